package recorder

import (
	"time"

	"tocsin/firmware/video/stream"
)

// Bounds of what a source's clock is believed. The monotonic arrival is the clock: the
// source's own only says how its pictures lie between each other.
const (
	mostDrift  = 5 * time.Second       // of media time from arrival, then it is put on it anew
	slew       = 5 * time.Millisecond  // at each key picture, towards arrival
	mostShown  = 10 * time.Second      // that a picture may wait behind its decoding
	mostStill  = 10 * time.Second      // that one picture may stand; longer is a gap
	usualStill = 40 * time.Millisecond // that the last one stands where nothing else is known
	leastStep  = time.Millisecond
)

// cutter cuts a stream's units into fragments. It touches no disk and no clock.
type cutter struct {
	longest time.Duration // of a fragment, by arrival
	least   time.Duration // at a key picture
	most    int           // bytes

	cur     *fragment
	began   time.Duration // arrival of the first picture in cur
	format  *format
	sound   stream.Codec // that the next segment will have
	anchor  time.Duration
	running bool // anchor holds
	last    int64
	heard   int64 // end of the last sound, in its ticks
	typical int64
	waits   bool // for a key picture
	gap     bool // something was lost before what comes

	number uint64 // of the last unit

	lostPictures uint64
	lostBytes    uint64
}

// take gives the fragments that a unit completes: at most one.
func (c *cutter) take(u *stream.Unit) *fragment {
	// A reader that was too slow goes on at a key picture: the numbers tell.
	if n := u.Number(); n > 0 {
		c.gap = c.gap || u.Key && c.number > 0 && n > c.number+1
		c.number = n
	}
	if u.Codec.Picture() {
		return c.picture(u)
	}
	c.hear(u)
	return nil
}

func (c *cutter) picture(u *stream.Unit) (done *fragment) {
	if u.Gap {
		c.gap, c.waits = true, c.waits || !u.Key
	}
	next := c.format
	if u.Key {
		f, err := formatOf(u.Codec, u.NALs, c.sound)
		switch {
		case err == nil && (next == nil || !f.equal(next)):
			next = f
		case err != nil && (next == nil || next.picture != u.Codec):
			next = nil
		}
	}
	if next == nil || c.waits && !u.Key || next.picture != u.Codec {
		c.lose(u)
		return c.flush()
	}
	x := sample{key: u.Key}
	for _, n := range u.NALs {
		if len(n) > 0 && !next.holds(n) {
			x.nals = append(x.nals, n)
			x.size += 4 + len(n)
		}
	}
	if len(x.nals) == 0 || x.size > mostMdat/2 {
		c.lose(u)
		return c.flush()
	}
	x.decode = c.place(u)
	if o := u.Time - u.Decode; o >= 0 && o < ticks(mostShown, u.Codec) {
		x.offset = int32(o)
	}
	if c.cur != nil {
		step := x.decode - c.last
		if step > ticks(mostStill, u.Codec) {
			c.gap = true
		} else {
			c.typical = step
		}
		age := u.Arrived - c.began
		if next != c.format || c.gap || u.Key && (age >= c.least || !c.cur.key) || age >= c.longest || c.cur.size+x.size > c.most {
			if !c.gap {
				c.cur.pictures[len(c.cur.pictures)-1].duration = uint32(step)
			}
			done = c.flush()
		} else {
			c.cur.pictures[len(c.cur.pictures)-1].duration = uint32(step)
		}
	}
	c.waits, c.format, c.last = false, next, x.decode
	if c.cur == nil {
		c.cur = &fragment{format: next, key: u.Key, gap: c.gap}
		c.began, c.gap = u.Arrived, false
	}
	c.cur.pictures = append(c.cur.pictures, x)
	c.cur.size += x.size
	return done
}

// place puts a picture on the box's clock: by the source's steps, near its arrival,
// never backwards.
func (c *cutter) place(u *stream.Unit) int64 {
	media := unticks(u.Decode, u.Codec)
	drift := u.Arrived - media - c.anchor
	switch {
	case !c.running || drift > mostDrift || drift < -mostDrift:
		c.anchor, c.running = u.Arrived-media, true
	case u.Key:
		c.anchor += max(-slew, min(slew, drift/8))
	}
	at := ticks(max(0, media+c.anchor), u.Codec)
	if least := c.last + ticks(leastStep, u.Codec); c.last > 0 && at < least {
		at = least
	}
	return at
}

// hear adds sound to the fragment that is open. Sound of a codec that the segment has
// no track for waits for the next key picture to make one.
func (c *cutter) hear(u *stream.Unit) {
	if c.sound != u.Codec {
		c.sound, c.heard = u.Codec, 0
	}
	if c.cur == nil || c.cur.format.sound != u.Codec || len(u.Sound) == 0 || len(u.Sound) > 1<<16 {
		return
	}
	at := ticks(max(0, unticks(u.Time, u.Codec)+c.anchor), u.Codec)
	if d := unticks(at, u.Codec) - u.Arrived; d > mostDrift || d < -mostDrift {
		at = ticks(u.Arrived, u.Codec)
	}
	at = max(at, c.heard)
	x := sample{decode: at, duration: uint32(lasts(u)), sound: u.Sound, size: len(u.Sound)}
	if n := len(c.cur.sounds); n > 0 {
		before := &c.cur.sounds[n-1]
		if step := at - before.decode; step > 0 && step < ticks(mostStill, u.Codec) {
			before.duration = uint32(step)
		}
	}
	c.heard = at + 1
	c.cur.sounds = append(c.cur.sounds, x)
	c.cur.size += x.size
}

// flush gives what is open, its last picture standing as long as the one before.
func (c *cutter) flush() *fragment {
	f := c.cur
	if f == nil {
		return nil
	}
	c.cur = nil
	p := &f.pictures[len(f.pictures)-1]
	if p.duration == 0 {
		p.duration = uint32(ticks(usualStill, f.format.picture))
		if c.typical > 0 && c.typical < ticks(time.Second, f.format.picture) {
			p.duration = uint32(c.typical)
		}
	}
	if n := len(f.sounds); n > 0 {
		c.heard = f.sounds[n-1].decode + int64(f.sounds[n-1].duration)
	}
	f.from = unticks(f.pictures[0].decode, f.format.picture)
	f.to = unticks(p.decode+int64(p.duration), f.format.picture)
	return f
}

// due says when what is open must be given, even if nothing more comes.
func (c *cutter) due() (time.Duration, bool) {
	return c.began + c.longest + c.longest/8, c.cur != nil
}

// skip says that what was given last could not be kept. What is open goes on where it
// begins with a key picture; else it is of no use without what was lost.
func (c *cutter) skip() {
	switch {
	case c.cur == nil:
		c.waits, c.gap = true, true
	case c.cur.key:
		c.cur.gap = true
	default:
		c.lostPictures += uint64(len(c.cur.pictures))
		c.lostBytes += uint64(c.cur.size)
		c.cur, c.waits, c.gap = nil, true, true
	}
}

func (c *cutter) lose(u *stream.Unit) {
	c.lostPictures++
	for _, n := range u.NALs {
		c.lostBytes += uint64(len(n))
	}
	c.gap, c.waits = true, true
}

// lasts is how long a packet of sound is, in its ticks: G.711 a byte each; Opus by its
// first byte (RFC 6716 3.1, table 2) and how many frames it has.
func lasts(u *stream.Unit) int64 {
	if u.Codec != stream.Opus {
		return int64(len(u.Sound))
	}
	toc := u.Sound[0]
	var frame int64
	switch n := toc >> 3; {
	case n < 12:
		frame = [...]int64{480, 960, 1920, 2880}[n&3]
	case n < 16:
		frame = [...]int64{480, 960}[n&1]
	default:
		frame = [...]int64{120, 240, 480, 960}[n&3]
	}
	switch toc & 3 {
	case 0:
		return frame
	case 3:
		if len(u.Sound) > 1 {
			return max(1, min(frame*int64(u.Sound[1]&63), 5760))
		}
		return frame
	}
	return 2 * frame
}
