package recorder

import (
	"context"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/stream"
)

// mostLoad is the most of a fragment that a Tape reads at once: a recorder writes 4 MiB
// and one picture. What is bigger is passed over as a gap.
const mostLoad = 16 << 20

// Tape gives what was kept of a time in UTC as the units that were recorded, one after
// another, over holes, other codecs and other boots. Their Time and Decode count from the
// begin of the tape, a hole as long as it was; the unit after one has Gap set. A segment
// that is freed while the tape runs is such a hole. A tape is of one goroutine.
type Tape struct {
	r        *Recorder
	from, to time.Time

	at    time.Time // where to begin, after Seek
	order uint64    // of the segment that is open, or was the last
	begun bool      // order holds
	zero  time.Time // at which Time is zero
	last  time.Duration
	ended time.Time // the end of the last fragment, zero before the first

	file   *os.File
	size   int64 // that has been scanned
	form   *format
	boot   string
	began  time.Time     // of the boot, as the times say
	back   time.Duration // from the boot's time to the tape's
	pieces []piece
	units  []*stream.Unit
	gap    bool // the next unit is after a hole
	waits  bool // for a key picture
}

// Tape begins at the key picture before from, and ends with what there is before to. What
// was recorded while no clock was trusted and is not known since has no place on it.
func (r *Recorder) Tape(from, to time.Time) (*Tape, error) {
	t := &Tape{r: r, from: from, to: to, at: from}
	if _, ok := t.next(); !ok {
		return nil, phrase.E("recorder.film_none", "stream", r.o.Stream)
	}
	return t, nil
}

// Seek goes on at the key picture before that place of the tape, counted from From.
func (t *Tape) Seek(to time.Duration) error {
	t.close()
	t.at, t.begun = t.from.Add(max(0, to)), false
	t.units, t.gap, t.last, t.ended = nil, true, 0, time.Time{}
	return nil
}

// Close lets the file go that is being read.
func (t *Tape) Close() { t.close() }

func (t *Tape) close() {
	if t.file != nil {
		t.file.Close()
	}
	t.file, t.pieces, t.size = nil, nil, 0
}

// Next gives the next unit in the order of decoding; io.EOF at the end.
func (t *Tape) Next(ctx context.Context) (*stream.Unit, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(t.units) > 0 {
			u := t.units[0]
			t.units = t.units[1:]
			if t.waits && (!u.Key || !u.Codec.Picture()) {
				continue
			}
			t.waits = false
			if u.Codec.Picture() {
				u.Gap, t.gap = t.gap, false
			}
			return u, nil
		}
		if len(t.pieces) > 0 {
			p := t.pieces[0]
			t.pieces = t.pieces[1:]
			if !t.began.Add(p.seal.from).Before(t.to) {
				return nil, io.EOF
			}
			t.load(p)
			continue
		}
		if t.file != nil && t.grow() {
			continue
		}
		t.close()
		k, ok := t.next()
		if !ok {
			return nil, io.EOF
		}
		if err := t.open(k); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.r.o.Log.Warn("recorder: a segment cannot be played", "segment", k.name, "err", err)
		}
	}
}

// next is the segment after the one that was read last; after a Seek the first that has
// something of what is wanted.
func (t *Tape) next() (kept, bool) {
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	for _, s := range t.r.segs {
		if s.label.boot == "" || t.begun && s.label.order <= t.order {
			continue
		}
		began, _, known := t.r.times.utc(s.label.boot, 0)
		if known && began.Add(s.to).After(t.at) && began.Add(s.from).Before(t.to) {
			return *s, true
		}
	}
	return kept{}, false
}

// open reads a segment's head and where its fragments are.
func (t *Tape) open(k kept) error {
	first := !t.begun
	t.order, t.begun = k.label.order, true
	f, err := os.Open(filepath.Join(t.r.ring(), k.name))
	if err != nil {
		t.gap = true
		return err
	}
	t.r.mu.Lock()
	began, _, known := t.r.times.utc(k.label.boot, 0)
	t.r.mu.Unlock()
	head := make([]byte, min(k.head, mostHead))
	if _, err = f.ReadAt(head, 0); err == nil {
		t.form, err = formatIn(head)
	}
	if err != nil || !known {
		f.Close()
		t.gap = true
		return err
	}
	t.file, t.began, t.boot = f, began, k.label.boot
	t.scan(k.size, first)
	if len(t.pieces) == 0 {
		return nil
	}
	begin := t.began.Add(t.pieces[0].seal.from)
	if t.zero.IsZero() {
		if t.zero = t.from; begin.Before(t.from) {
			t.zero = begin
		}
	}
	// Where a clock was put right between two boots, time stands still and does not run back.
	t.back = t.began.Sub(t.zero)
	if low := t.last - t.pieces[0].seal.from; t.back < low {
		t.back = low
	}
	return nil
}

// grow looks for more in a segment that was being written.
func (t *Tape) grow() bool {
	t.r.mu.Lock()
	size := int64(0)
	for _, s := range t.r.segs {
		if s.label.order == t.order {
			size = s.size
		}
	}
	t.r.mu.Unlock()
	if size <= t.size {
		return false
	}
	t.scan(size, false)
	return len(t.pieces) > 0
}

// scan finds the fragments behind what was scanned; at a beginning those from the last key
// picture before it on.
func (t *Tape) scan(size int64, first bool) {
	since := t.size
	at := t.at.Sub(t.began)
	s := scan(t.file, size, false, func(p piece) error {
		switch {
		case p.label != nil || p.end <= since:
		case first && p.seal.key && p.seal.from <= at:
			t.pieces = append(t.pieces[:0], p)
		case !first || p.seal.to > at || len(t.pieces) > 0:
			t.pieces = append(t.pieces, p)
		}
		return nil
	})
	t.size = max(s.good, since)
	if s.why != nil { // what lies behind cannot be found
		t.size = size
	}
	if first {
		t.waits = true
	}
}

// load reads a fragment and makes units of it.
func (t *Tape) load(p piece) {
	if p.end-p.at > mostLoad {
		t.gap, t.waits = true, true
		return
	}
	b := make([]byte, p.end-p.at)
	_, err := t.file.ReadAt(b, p.at)
	if err == nil && crc32.Update(p.sum, castagnoli, b[:len(b)-4]) != be.Uint32(b[len(b)-4:]) {
		err = errSum
	}
	var pictures, sounds []sample
	if err == nil {
		pictures, sounds, err = samplesIn(b[:len(b)-sealSize])
	}
	if err != nil {
		t.r.o.Log.Warn("recorder: a fragment cannot be played", "at", p.at, "err", err)
		t.gap, t.waits = true, true
		return
	}
	begin := t.began.Add(p.seal.from)
	if p.seal.gap || t.ended.IsZero() || begin.Sub(t.ended).Abs() > near {
		t.gap = true
		t.waits = t.waits || !p.seal.key
	}
	t.ended = t.began.Add(p.seal.to)
	for len(pictures) > 0 || len(sounds) > 0 {
		if len(pictures) == 0 || len(sounds) > 0 && unticks(sounds[0].decode, t.form.soundOr()) < unticks(pictures[0].decode, t.form.picture) {
			t.give(sounds[0], t.form.sound)
			sounds = sounds[1:]
			continue
		}
		t.give(pictures[0], t.form.picture)
		pictures = pictures[1:]
	}
}

func (t *Tape) give(x sample, c stream.Codec) {
	if c == stream.None {
		return
	}
	at := x.decode + ticks(t.back, c)
	u := &stream.Unit{Codec: c, Decode: at, Time: at + int64(x.offset), Arrived: unticks(x.decode, c), Key: x.key, Sound: x.sound, NALs: x.nals}
	if c.Picture() {
		t.last = max(t.last, unticks(at, c))
	}
	if x.key {
		u.NALs = append(t.form.sets(), x.nals...)
	}
	t.units = append(t.units, u)
}
