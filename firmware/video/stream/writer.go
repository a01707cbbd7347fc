package stream

import (
	"errors"
	"time"
)

// What a picture may hold; beyond, it is refused.
const (
	maxUnit  = 8 << 20
	maxNALs  = 1024
	maxAhead = 90000 * 2 // decode to show, in ticks
	jump     = time.Second
)

// ErrUnit says that a unit is beyond the bounds or none at all.
var ErrUnit = errors.New("no picture that can be used: empty, or beyond 8 MiB or 1024 parts")

// A Writer puts a source's units right and gives them to the stream. It is of one
// goroutine, but Note and Close may come from any.
type Writer struct {
	s *Stream

	onKey  func()
	onRung func(int) bool

	held            [][]byte // parts of a picture that is not whole yet
	heldC           Codec
	heldPTS, heldAt int64 // pts and dts
	split           bool
	last            struct {
		pts   int64
		valid bool
	}
	reordering int64 // how far shown and decoded are apart where the source tells only one
	highest    uint8 // H.265: highest temporal layer
	closed     bool
}

// OnKey gives the way to ask the source for a key picture.
func (w *Writer) OnKey(ask func()) { w.s.mu.Lock(); w.onKey = ask; w.s.mu.Unlock() }

// OnRung gives the way to ask the source for another rung (0 its best, 1 lower).
func (w *Writer) OnRung(ask func(rung int) bool) { w.s.mu.Lock(); w.onRung = ask; w.s.mu.Unlock() }

// Note tells people something about the source.
func (w *Writer) Note(n Note) { w.s.mu.Lock(); w.s.note(n); w.s.mu.Unlock() }

// Stream is where it writes.
func (w *Writer) Stream() *Stream { return w.s }

// Close ends the publishing; the stream waits for the next. What is kept is dropped:
// nobody is shown a picture of before as one of now.
func (w *Writer) Close(error) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.closed {
		return
	}
	w.closed = true
	if w.s.w == w {
		w.s.w = nil
		w.s.st = State{Name: w.s.o.Name, Picture: Parameters{Version: w.s.st.Picture.Version}}
		w.s.keyAt = 0
		w.s.rate = meter{}
	}
}

// Picture takes a picture, or a part of one, with its times in ticks of 90 kHz of any
// origin: when it is shown and when it is decoded (the same where the source does not
// tell). The NALs have no start codes; they are kept and must be fresh memory. Calls
// with the same pts are one picture.
func (w *Writer) Picture(c Codec, pts, dts int64, nals [][]byte) error {
	total := 0
	for _, n := range nals {
		total += len(n)
	}
	if len(nals) == 0 || len(nals) > maxNALs || total > maxUnit || !c.Picture() {
		return ErrUnit
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.closed || w.s.ended {
		return errClosed
	}
	pictures, first := false, false
	clean := make([][]byte, 0, len(nals))
	for _, n := range nals {
		if len(n) <= headLen(c) {
			continue
		}
		switch kindOf(c, n) {
		case useless:
			continue
		case slice, key:
			if !pictures {
				first = opens(c, n)
			}
			pictures = true
		}
		clean = append(clean, n)
	}
	if len(clean) == 0 {
		return nil
	}
	if w.held != nil && (w.heldC != c || w.heldPTS != pts) {
		w.flush()
	}
	if !pictures {
		w.hold(c, pts, dts, clean)
		return nil
	}
	if !first && !w.split && w.last.valid && w.last.pts == pts {
		w.split = true
		w.s.note(Split)
		// What went out of this picture is out; this part follows it at once, below.
		w.hold(c, pts, dts, clean)
		w.flush()
		return nil
	}
	if first && w.split && w.held != nil && w.heldPictures() {
		w.flush() // two pictures with one time: some sources do that
	}
	w.hold(c, pts, dts, clean)
	if !w.split {
		w.flush()
	}
	return nil
}

var errClosed = errors.New("the stream is closed")

func (w *Writer) heldPictures() bool {
	for _, n := range w.held {
		if k := kindOf(w.heldC, n); k == slice || k == key {
			return true
		}
	}
	return false
}

func (w *Writer) hold(c Codec, pts, dts int64, nals [][]byte) {
	if len(w.held)+len(nals) > maxNALs {
		w.flush()
	}
	w.heldC, w.heldPTS, w.heldAt = c, pts, dts
	w.held = append(w.held, nals...)
}

// flush makes a unit of what is held. The caller holds the stream's lock.
func (w *Writer) flush() {
	nals, c := w.held, w.heldC
	w.held = nil
	if len(nals) == 0 {
		return
	}
	p := &w.s.st.Picture
	u := &Unit{Codec: c, Droppable: true, Arrived: w.s.o.Now()}
	body := make([][]byte, 0, len(nals)+3)
	pictures, news := false, false
	layer := uint8(0)
	for _, n := range nals {
		switch kindOf(c, n) {
		case params:
			news = p.set(c, n) || news
			continue
		case slice, key:
			pictures = true
			u.Key = u.Key || kindOf(c, n) == key
			u.leading = u.leading || rasl(c, n)
			u.trailing = u.trailing || trails(c, n)
			u.Reordered = u.Reordered || bipredictive(c, n)
			l, ref := layerOf(c, n)
			layer = max(layer, l)
			u.Droppable = u.Droppable && !ref
		}
		body = append(body, n)
	}
	if news && p.whole() && !p.read() {
		w.s.note(Unreadable)
	}
	if !pictures {
		// Supplemental information alone belongs to the picture that follows.
		if len(body) > 0 && len(body) < 64 {
			w.held = body
		}
		return
	}
	if w.highest = max(w.highest, layer); c == H265 && layer < w.highest {
		u.Droppable = false
	}
	if u.Key {
		u.Droppable = false
		if !p.whole() {
			return // nobody could show it
		}
		sets := make([][]byte, 0, 3+len(body))
		if c == H265 {
			sets = append(sets, p.VPS)
		}
		body = append(append(sets, p.SPS, p.PPS), body...)
	}
	u.NALs = body
	for _, n := range body {
		u.size += len(n)
	}
	w.time(u, w.heldPTS, w.heldAt)
	w.last.pts, w.last.valid = w.heldPTS, true
	w.s.put(u)
}

// time puts a picture's times right. u.Reordered says what its slices say: that it
// may be shown before one that came earlier.
func (w *Writer) time(u *Unit, pts, dts int64) {
	l := &w.s.pic
	may := u.Reordered || u.Codec == H265
	u.Reordered = false
	if cts := pts - dts; cts < 0 || cts > maxAhead {
		dts = pts
	}
	if back := l.from - pts; l.set && may && dts == pts && back > 0 && back < 90000 {
		// Only one time is told, and it runs back: pictures are reordered.
		w.reordering = max(w.reordering, min(back+3000, maxAhead))
		u.Time, u.Reordered = l.at-back, true
	} else {
		u.Time, u.Gap = l.step(dts, u.Arrived, w.s.epoch, 90000)
		if u.Gap && l.steps > 1 {
			w.s.note(Jumped)
		}
		u.Time += pts - dts
	}
	if u.Decode = u.Time - (pts - dts); pts == dts {
		u.Decode -= w.reordering
	}
	u.Decode = max(u.Decode, l.decode+1)
	u.Time = max(u.Time, u.Decode)
	l.decode = u.Decode
	if u.Reordered = u.Reordered || u.Time < l.shown && may; u.Reordered {
		w.s.st.Reordered = true
		w.s.note(Reordered)
		if !u.Droppable {
			w.s.note(Referenced)
		}
	}
	l.shown = max(l.shown, u.Time)
}

// Sound takes one packet's payload; pts is in ticks of c.Rate.
func (w *Writer) Sound(c Codec, pts int64, payload []byte) error {
	if c.Picture() || c == None || len(payload) == 0 || len(payload) > 4096 {
		return ErrUnit
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.closed || w.s.ended {
		return errClosed
	}
	u := &Unit{Codec: c, Sound: payload, size: len(payload), Arrived: w.s.o.Now()}
	u.Time, u.Gap = w.s.snd.step(pts, u.Arrived, w.s.epoch, c.Rate())
	u.Decode = u.Time
	w.s.put(u)
	return nil
}

// line makes a source's time run forward.
type line struct {
	set    bool
	from   int64 // the source's time
	at     int64 // ours, in ticks
	arr    time.Duration
	decode int64
	shown  int64
	steps  int
}

// step is our time for the source's; gap where it was broken.
func (l *line) step(src int64, now, epoch time.Duration, rate int64) (at int64, gap bool) {
	l.steps++
	if !l.set {
		l.set, l.from, l.arr = true, src, now
		l.at = max(ticks(now-epoch, rate), l.at+1, l.shown+1)
		return l.at, true
	}
	d := src - l.from
	passed := ticks(now-l.arr, rate)
	off := d - passed
	if off < 0 {
		off = -off
	}
	if limit := ticks(jump, rate); d < -limit || off > limit && (d > limit || d < 0) {
		d, gap = max(passed, 1), true
	} else if d <= 0 {
		d = 1
	}
	l.from, l.arr = src, now
	l.at += d
	return l.at, gap
}

// ticks of a clock of rate Hz; whole seconds apart, so that years do not overflow.
func ticks(d time.Duration, rate int64) int64 {
	return int64(d/time.Second)*rate + int64(d%time.Second)*rate/int64(time.Second)
}
