package recorder

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// Span is a time of which something is kept.
type Span struct {
	Boot string        `json:"boot"`
	From time.Duration `json:"from"`
	To   time.Duration `json:"to"`
	// Began is From in UTC, zero where nobody knows; Trust says how far it may be
	// believed.
	Began time.Time   `json:"began,omitzero"`
	Trust clock.Trust `json:"trust"`
	Bytes int64       `json:"bytes"`
}

// near is how far segments may lie apart and still be one span.
const near = 2 * time.Second

// Spans lists what the ring has, the oldest first: times without a hole longer than two
// seconds between their segments.
func (r *Recorder) Spans() (all []Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.segs {
		if s.label.boot == "" {
			continue // cannot be read
		}
		if n := len(all); n > 0 && all[n-1].Boot == s.label.boot && s.from-all[n-1].To < near {
			all[n-1].To = max(all[n-1].To, s.to)
			all[n-1].Bytes += s.size
			continue
		}
		x := Span{Boot: s.label.boot, From: s.from, To: s.to, Bytes: s.size}
		x.Began, x.Trust, _ = r.times.utc(x.Boot, x.From)
		all = append(all, x)
	}
	return all
}

// Between gives the spans, or their parts, of a time in UTC.
func (r *Recorder) Between(from, to time.Time) (all []Span) {
	for _, s := range r.Spans() {
		end := s.Began.Add(s.To - s.From)
		if s.Began.IsZero() || !s.Began.Before(to) || !end.After(from) {
			continue
		}
		if late := from.Sub(s.Began); late > 0 {
			s.From, s.Began = s.From+late, from
		}
		if over := end.Sub(to); over > 0 {
			s.To -= over
		}
		all = append(all, s)
	}
	return all
}

// Film is one playable file (fragmented MP4 with a segment index, 14496-12 8.16.3) of
// what was kept of a time. It is put together while it is read and reads at any offset,
// so that http.ServeContent can serve it to a browser that asks for ranges. Its time
// begins at zero; holes longer than two seconds are left out, Parts says where.
//
// Segments that are freed while it is shown end it with an error.
type Film struct {
	Parts []Part
	// Rest says that the codec or the size changed at that time: what follows is a film
	// of its own.
	Rest time.Duration
	More bool

	head   []byte
	frags  []reel
	size   int64
	at     int64
	rates  map[uint32]int64
	open   *os.File
	opened string
	last   int // whose moof is in moof
	moof   []byte
}

// Part is a stretch of a film: at Shown it shows what was seen at From.
type Part struct {
	Boot     string `json:"boot"`
	Shown    time.Duration
	From, To time.Duration
	Began    time.Time
}

// reel is a fragment's place in the film and in its file.
type reel struct {
	path  string
	from  int64 // in the file
	size  int64 // moof and mdat
	at    int64 // in the film
	shown time.Duration
	back  time.Duration // from the boot's time to the film's
	key   bool
}

// Play makes a film of what was seen between two times of a boot. It begins at the key
// picture before From.
func (r *Recorder) Play(boot string, from, to time.Duration) (*Film, error) {
	if to-from > r.o.MostFilm {
		return nil, phrase.E("recorder.film_long", "minutes", int(r.o.MostFilm.Minutes()))
	}
	r.mu.Lock()
	var files []filmed
	for _, s := range r.segs {
		if s.label.boot == boot && s.to > from && s.from < to {
			files = append(files, filmed{filepath.Join(r.ring(), s.name), *s})
		}
	}
	t := r.times
	began, _, _ := t.utc(boot, 0)
	r.mu.Unlock()
	return film(r.o.Stream, files, boot, began, from, to)
}

// PlayClip makes a film of a clip.
func (r *Recorder) PlayClip(id string) (*Film, error) {
	r.mu.Lock()
	i := slices.IndexFunc(r.clips, func(c *clip) bool { return c.ID == id })
	if i < 0 {
		r.mu.Unlock()
		return nil, phrase.E("recorder.film_none", "stream", r.o.Stream)
	}
	c := r.clips[i]
	var files []filmed
	for _, s := range c.links {
		files = append(files, filmed{filepath.Join(r.kept(), c.ID, s.name), *s})
	}
	began, _, _ := r.times.utc(c.Boot, 0)
	boot, from, to := c.Boot, c.From, c.To
	r.mu.Unlock()
	slices.SortFunc(files, func(a, b filmed) int { return cmp.Compare(a.kept.label.order, b.kept.label.order) })
	return film(r.o.Stream, files, boot, began, from, to)
}

type filmed struct {
	path string
	kept kept
}

func film(name string, files []filmed, boot string, began time.Time, from, to time.Duration) (*Film, error) {
	c := &cut{Film: &Film{last: -1}}
	for _, s := range files {
		head, found, err := read(s, from, to, len(c.frags) == 0)
		if err != nil {
			return nil, err
		}
		if len(found) > 0 && !c.add(s.path, boot, began, head, found) {
			break
		}
	}
	return c.finished(name)
}

// cut is a film that is being put together.
type cut struct {
	*Film
	shown, end time.Duration
}

// add puts a segment's fragments behind what there is; false where they are of another
// codec or size.
func (c *cut) add(path, boot string, began time.Time, head []byte, found []piece) bool {
	if c.head != nil && !bytes.Equal(c.head, head) {
		c.Rest, c.More = found[0].seal.from, true
		return false
	}
	c.head = head
	for _, x := range found {
		if n := len(c.Parts); n == 0 || x.seal.from-c.end > near {
			p := Part{Boot: boot, Shown: c.shown, From: x.seal.from}
			if !began.IsZero() {
				p.Began = began.Add(p.From)
			}
			c.Parts = append(c.Parts, p)
		} else {
			c.shown += x.seal.from - c.end // a small hole is shown as it was
		}
		c.frags = append(c.frags, reel{path: path, from: x.at, size: int64(x.seal.length), shown: c.shown, back: x.seal.from - c.shown, key: x.seal.key})
		c.shown, c.end = c.shown+x.seal.to-x.seal.from, x.seal.to
		c.Parts[len(c.Parts)-1].To = c.end
	}
	return true
}

// finished gives the film, where something is to be shown.
func (c *cut) finished(name string) (*Film, error) {
	if len(c.frags) == 0 {
		return nil, phrase.E("recorder.film_none", "stream", name)
	}
	return c.Film, c.finish(c.shown)
}

// read gives a segment's head without its label, and the fragments of a time.
func read(s filmed, from, to time.Duration, first bool) (head []byte, found []piece, err error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	end := scan(f, s.kept.size, false, func(x piece) error {
		switch {
		case x.label != nil:
			var err error
			if head, err = headOf(f, x); err != nil {
				return err
			}
		case x.seal.from >= to:
			return errEnough
		case x.seal.key && x.seal.from <= from && first:
			found = append(found[:0], x)
		case x.seal.to > from || len(found) > 0:
			found = append(found, x)
		}
		return nil
	})
	var bad *os.PathError
	if errors.As(end.why, &bad) {
		return nil, nil, end.why
	}
	return head, found, nil
}

// headOf reads a head without its label.
func headOf(f *os.File, x piece) ([]byte, error) {
	head := make([]byte, x.end-x.at)
	if _, err := f.ReadAt(head, x.at); err != nil {
		return nil, err
	}
	at, moov := boxIn(head, "moov")
	return head[:at+len(moov)], nil
}

// OpenClip makes a film of a clip's bytes as they were sent, for whoever took them: they
// are held to what this package writes, and refused where they are anything else.
func OpenClip(path string) (*Film, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	i, err := f.Stat()
	if err != nil {
		return nil, err
	}
	c := &cut{Film: &Film{last: -1}}
	var head []byte
	var boot, name string
	s := scan(f, i.Size(), false, func(x piece) error {
		switch {
		case x.label != nil:
			boot, name = x.label.boot, x.label.stream
			head, err = headOf(f, x)
			return err
		case len(c.frags) == mostReels:
			return errors.New("too many fragments")
		case x.seal.from < c.end-near:
			return errors.New("fragments that go back in time")
		case !c.add(path, boot, time.Time{}, head, []piece{x}):
			return errEnough
		}
		return nil
	})
	if s.why != nil && !errors.Is(s.why, errEnough) {
		return nil, fmt.Errorf("recorder: no clip: %w", s.why)
	}
	return c.finished(name)
}
