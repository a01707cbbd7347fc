package feed

import (
	"cmp"
	"crypto/sha256"
	"maps"
	"slices"
)

// key names an entry in one state of it.
type key [16]byte

// keyOf hashes its parts, which cannot be confused with each other.
func keyOf(parts ...string) key {
	h := sha256.New()
	for _, p := range parts {
		n := len(p)
		h.Write([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		h.Write([]byte(p))
	}
	return key(h.Sum(nil)[:16])
}

const judgedVersion = 1

// judged remembers which entries were handed on and judged: those that the feed
// shows, and some that it no longer shows. To forget one costs a fetch and a
// duplicate, which the verifier counts; to remember one wrongly would lose an
// alert, so what cannot be read of the memory is dropped.
type judged struct {
	mem   Memory
	name  string
	judge string
	seen  map[key]int64 // by when the feed last showed it
	turn  int64
	dirty bool
}

func loadJudged(m Memory, name, judge string) *judged {
	j := &judged{mem: m, name: name, judge: judge, seen: map[key]int64{}}
	if m == nil {
		return j
	}
	b, ok := m.Get(name)
	if !ok || len(b) == 0 || b[0] != judgedVersion || (len(b)-1)%16 != 0 {
		return j
	}
	for b = b[1:]; len(b) >= 16; b = b[16:] {
		j.turn++
		j.seen[key(b[:16])] = j.turn
	}
	return j
}

// by is an entry as this judge saw it.
func (j *judged) by(k key) key {
	if j.judge == "" {
		return k
	}
	return keyOf(j.judge, string(k[:]))
}

func (j *judged) has(k key) bool { _, ok := j.seen[j.by(k)]; return ok }

func (j *judged) add(k key) {
	j.seen[j.by(k)] = j.turn
	j.dirty = true
}

// bound forgets the oldest beyond most, whatever the feed shows: answers that
// never end well must not fill the memory either.
func (j *judged) bound(most int) {
	if len(j.seen) > most {
		j.forget(slices.Collect(maps.Keys(j.seen)), most)
	}
}

// forget keeps the newest n of keys.
func (j *judged) forget(keys []key, n int) {
	if len(keys) <= n {
		return
	}
	slices.SortFunc(keys, j.older)
	for _, k := range keys[:len(keys)-n] {
		delete(j.seen, k)
	}
	j.dirty = true
}

func (j *judged) older(a, b key) int {
	return cmp.Or(cmp.Compare(j.seen[a], j.seen[b]), slices.Compare(a[:], b[:]))
}

// shown notes what a whole answer showed and forgets the oldest of the rest.
func (j *judged) shown(keys []key, absent int) {
	j.turn++
	for _, k := range keys {
		if j.has(k) {
			j.seen[j.by(k)] = j.turn
		}
	}
	var gone []key
	for k, t := range j.seen {
		if t != j.turn {
			gone = append(gone, k)
		}
	}
	j.forget(gone, absent)
}

// save writes what changed, oldest first.
func (j *judged) save() {
	if !j.dirty || j.mem == nil {
		return
	}
	keys := slices.SortedFunc(maps.Keys(j.seen), j.older)
	b := make([]byte, 1, 1+16*len(keys))
	b[0] = judgedVersion
	for _, k := range keys {
		b = append(b, k[:]...)
	}
	j.mem.Put(j.name, b)
	j.dirty = false
}
