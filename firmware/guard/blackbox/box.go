package blackbox

import (
	"sync"
)

// Box is the ring in memory. Use New; it is safe for use by several goroutines.
type Box struct {
	most int

	mu    sync.Mutex
	all   []held
	bytes int
	lost  map[Kind]int // pushed out before they were written, since the last time they were told
}

type held struct {
	Record
	written bool
}

// New makes one of so many bytes, as they would stand in a file.
func New(most int) *Box { return &Box{most: most, lost: map[Kind]int{}} }

// Put takes records; the oldest go where there is no room.
func (b *Box) Put(rs ...Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range rs {
		r.Text = cut(r.Text)
		b.all, b.bytes = append(b.all, held{Record: r}), b.bytes+r.size()
	}
	gone := 0
	for b.bytes > b.most && gone < len(b.all)-1 {
		h := &b.all[gone]
		// What only an event would have written is not lost without one.
		if !h.written && h.Kind != Frame {
			b.lost[h.Kind]++
		}
		b.bytes -= h.size()
		gone++
	}
	if gone > 0 {
		b.all = append(b.all[:0:0], b.all[gone:]...)
	}
}

// take gives what was not written yet, all of it or what an interval writes, and counts it
// as written; undo takes that back.
func (b *Box) take(all bool) (rs []Record, lost map[Kind]int, undo func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for i := range b.all {
		if h := &b.all[i]; !h.written && (all || h.Kind != Frame) {
			rs, h.written = append(rs, h.Record), true
			n++
		}
	}
	lost, b.lost = b.lost, map[Kind]int{}
	return rs, lost, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for k, n := range lost {
			b.lost[k] += n
		}
		// What has been pushed out meanwhile was the oldest; the others are found by what they are.
		back := map[Record]int{}
		for _, r := range rs {
			back[r]++
		}
		for i := range b.all {
			if h := &b.all[i]; h.written && back[h.Record] > 0 {
				back[h.Record]--
				h.written = false
			}
		}
		for r, n := range back {
			if n > 0 && r.Kind != Frame {
				b.lost[r.Kind] += n
			}
		}
	}
}

// Held gives what is in memory, the oldest first.
func (b *Box) Held() []Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Record, 0, len(b.all))
	for _, h := range b.all {
		out = append(out, h.Record)
	}
	return out
}

// Unwritten gives what is in memory and in no file yet.
func (b *Box) Unwritten() []Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Record
	for _, h := range b.all {
		if !h.written {
			out = append(out, h.Record)
		}
	}
	return out
}
