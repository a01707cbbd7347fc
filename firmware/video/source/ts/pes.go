package ts

import "bytes"

// pesSize is the most of a picture: the best key picture in 4K is below 2 MiB.
const pesSize = 4 << 20

// keepSize is how much room is kept for the next one.
const keepSize = 512 << 10

// pes puts one PID's PES packets together (2.4.3.6).
type pes struct {
	counter byte
	begun   bool // the counter is known
	b       []byte
	open    bool // one is being put together
	lost    bool // a part of it
	early   bool // the last was given because of padding, and nothing came of it since
	noHint  bool // this source pads elsewhere
	clock   clock
	shown   int64
	timed   bool
}

// a whole PES packet's times, in ticks of 90 kHz, and what it carries, fresh memory.
type whole struct {
	pts, dts int64
	data     []byte
}

// add takes a packet. What it completes is given to whole; lost is called for what is given up.
func (s *pes) add(p *packet, give func(whole), lost func()) {
	if s.begun && p.counter == s.counter && !p.jumps {
		return // sent twice (2.4.3.3)
	}
	gap := s.begun && p.counter != (s.counter+1)&0x0f && !p.jumps
	s.begun, s.counter = true, p.counter
	switch {
	case gap && s.open:
		s.lost = true
	case gap:
		s.early = false
		lost()
	}
	if p.starts {
		s.end(give, lost)
		s.early = false
		s.b, s.open, s.lost = append(s.b[:0], p.payload...), true, false
	} else {
		if !s.open {
			if s.early {
				// It went on after all: what was given was a half.
				s.noHint, s.early = true, false
				lost()
			}
			return
		}
		if len(s.b)+len(p.payload) > pesSize {
			s.b, s.open = nil, false
			lost()
			return
		}
		s.b = append(s.b, p.payload...)
	}
	if n := told(s.b); n > 0 && len(s.b) >= n {
		s.b = s.b[:n]
		s.end(give, lost)
	} else if n == 0 && p.padded && !s.noHint {
		s.end(give, lost)
		s.early = true
	}
}

// told is how long a PES packet says that it is; 0 where it does not (2.4.3.7).
func told(b []byte) int {
	if len(b) < 6 || b[4]|b[5] == 0 {
		return 0
	}
	return 6 + int(b[4])<<8 + int(b[5])
}

// end gives what is there.
func (s *pes) end(give func(whole), lost func()) {
	if !s.open {
		return
	}
	b := s.b
	s.open = false
	if s.b = s.b[:0]; cap(s.b) > keepSize {
		s.b = nil
	}
	if s.lost || len(b) < told(b) {
		lost()
		return
	}
	if w, ok := s.parse(b); ok {
		give(w)
	}
}

func (s *pes) parse(b []byte) (w whole, ok bool) {
	if len(b) < 9 || b[0] != 0 || b[1] != 0 || b[2] != 1 || b[6]>>6 != 2 {
		return w, false
	}
	head := 9 + int(b[8])
	if len(b) <= head {
		return w, false
	}
	w.data = bytes.Clone(b[head:]) // as long as it is, since readers keep it
	times := b[9:head]
	switch f := b[7] >> 6; {
	case f == 2 && len(times) >= 5:
		w.pts = s.clock.tell(stamp(times))
		w.dts = w.pts
	case f == 3 && len(times) >= 10:
		// By the time of decoding, which runs forward.
		w.dts = s.clock.tell(stamp(times[5:]))
		w.pts = w.dts + near(stamp(times)-stamp(times[5:]))
	case s.timed:
		w.pts, w.dts = s.shown, s.clock.at // it goes with the last
	default:
		return w, false
	}
	s.shown, s.timed = w.pts, true
	return w, true
}

// stamp reads 33 bits of time (2.4.3.7).
func stamp(b []byte) int64 {
	return int64(b[0]>>1&7)<<30 | int64(b[1])<<22 | int64(b[2]>>1)<<15 | int64(b[3])<<7 | int64(b[4]>>1)
}

// near takes a difference of two stamps for the shorter way around.
func near(d int64) int64 { return d << 31 >> 31 }

// A clock undoes the wrap of 33 bits, once in 26.5 hours.
type clock struct {
	last, at int64
	began    bool
}

func (c *clock) tell(t int64) int64 {
	if !c.began {
		c.began, c.at = true, t
	} else {
		c.at += near(t - c.last)
	}
	c.last = t
	return c.at
}

// split cuts a byte stream (H.264, H.265 annex B) into NAL units. What is before the first start
// code is left out.
func split(b []byte) [][]byte {
	var nals [][]byte
	i := bytes.Index(b, []byte{0, 0, 1})
	for i >= 0 {
		b = b[i+3:]
		i = bytes.Index(b, []byte{0, 0, 1})
		n := b
		if i >= 0 {
			n = b[:i]
		}
		if n = bytes.TrimRight(n, "\x00"); len(n) > 0 {
			nals = append(nals, n[:len(n):len(n)])
		}
	}
	return nals
}
