package pack

import (
	"encoding/binary"
	"math/bits"
)

// piece is a part of a new image that resembles a part of what it is made from: as long,
// and with few other bytes. What lies between pieces is new.
type piece struct{ at, end, old int }

// seeds finds where eight bytes stand in what an image is made from: the base, and behind it
// the image itself, as far as its chunks are done.
type seeds struct {
	src   []byte // base and image
	split int    // the base's length
	image []byte
	sown  int // the image's bytes that are in the table

	bits       int      // of a hash
	based, own []uint32 // by hash: the last place, plus one
	prev       []uint32 // by place: the place before it with the same hash, plus one

	// The piece that goes on, over the chunks' edges: old = new + shift.
	shift int
	on    bool
}

const (
	seedLength = 8
	seedLook   = 24 // places that are looked at for one seed
	worthwhile = 24 // a match that begins a piece is this long at least

	// Within an image most does not come again: fewer places are kept and looked at.
	ownStep = 4
	ownLook = 8
	ownLead = 8 // by how much a match in the image is longer than one in the base
)

func (s *seeds) hash(b []byte) uint32 {
	return uint32(binary.LittleEndian.Uint64(b) * 0x9e3779b97f4a7c15 >> (64 - s.bits))
}

func sow(base, image []byte) *seeds {
	src := append(base[:len(base):len(base)], image...)
	wide := min(bits.Len(uint(len(src))), 24)
	s := &seeds{src: src, split: len(base), image: image, bits: wide, based: make([]uint32, 1<<wide), own: make([]uint32, 1<<wide), prev: make([]uint32, len(src))}
	s.keep(s.based, 0, s.split, 1)
	return s
}

func (s *seeds) base() []byte { return s.src[:s.split] }

// keep puts the seeds of src[from:to] into a table.
func (s *seeds) keep(head []uint32, from, to, step int) {
	for n := from; n+seedLength <= to; n += step {
		if n > from && s.src[n] == s.src[n-1] && binary.LittleEndian.Uint64(s.src[n:]) == uint64(s.src[n])*0x0101010101010101 {
			continue // within a run of one byte every place looks alike
		}
		h := s.hash(s.src[n:])
		s.prev[n], head[h] = head[h], uint32(n+1)
	}
}

// around gives the part of src that a place lies in, of which a copy stays within: the base, or
// the image before the chunk that begins at at.
func (s *seeds) around(place, at int) (from, to int) {
	if place < s.split {
		return 0, s.split
	}
	return s.split, s.split + at
}

// alike is how many bytes of a and b agree from their beginnings on.
func alike(a, b []byte) int {
	n, most := 0, min(len(a), len(b))
	for n+8 <= most {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
		n += 8
	}
	for n < most && a[n] == b[n] {
		n++
	}
	return n
}

// longest gives the longest match of what begins b, before to.
func (s *seeds) longest(head []uint32, b []byte, to, look int) (old, length int) {
	p := head[s.hash(b)]
	for ; p != 0 && look > 0; look-- {
		if n := alike(s.src[p-1:to], b); n > length {
			old, length = int(p-1), n
		}
		p = s.prev[p-1]
	}
	return old, length
}

// find gives where what begins b comes from: the base, or the image where that says clearly more.
func (s *seeds) find(b []byte, at int) (old, length int) {
	old, length = s.longest(s.based, b, s.split, seedLook)
	if o, n := s.longest(s.own, b, s.split+at, ownLook); n > length+ownLead {
		return o, n
	}
	return old, length
}

// agree counts the bytes of b that stand at place old.
func (s *seeds) agree(b []byte, old, at int) (n int) {
	if old < 0 {
		return 0
	}
	_, to := s.around(old, at)
	if old >= to {
		return 0
	}
	o := s.src[old:to]
	for i := range min(len(b), len(o)) {
		if b[i] == o[i] {
			n++
		}
	}
	return n
}

// pieces finds what of the chunk image[at:end] resembles what it is made from, in order and
// apart. Chunks are asked for in their order.
func (s *seeds) pieces(at, end int) []piece {
	s.keep(s.own, s.split+s.sown, s.split+at, ownStep)
	s.sown = at
	news := s.image[:end]
	var out []piece
	missed := 0
	for i := at; i+seedLength <= end; {
		if s.on {
			if p := i + s.shift; p >= 0 {
				if _, to := s.around(p, at); p < to {
					if n := alike(s.src[p:to], news[i:]); n >= seedLength {
						if last := len(out) - 1; last >= 0 && out[last].old-out[last].at == s.shift && (out[last].old < s.split) == (p < s.split) {
							out[last].end = i + n
						} else {
							out = append(out, piece{i, i + n, p})
						}
						i, missed = i+n, 0
						continue
					}
				}
			}
		}
		old, n := s.find(news[i:], at)
		// It begins a piece where it says clearly more than the one that goes on.
		if n >= worthwhile && !(s.on && s.agree(news[i:i+n], i+s.shift, at) >= n-seedLength) {
			out = append(out, piece{i, i + n, old})
			s.shift, s.on = old-i, true
			i, missed = i+n, 0
			continue
		}
		i, missed = i+1, missed+1
		if s.split == 0 { // what has not come before for long is looked at here and there
			i += min(missed/512, 6)
		}
	}
	for n := range out {
		floor, ceiling := at, end
		if n > 0 {
			floor = out[n-1].end
		}
		if n+1 < len(out) {
			ceiling = out[n+1].at
		}
		from, to := s.around(out[n].old, at)
		out[n].widen(s.src, news, floor, ceiling, from, to)
	}
	return out
}

// widen lets a piece take of the gaps beside it what still resembles more than it differs:
// of the new image between floor and ceiling, of the old between from and to.
func (p *piece) widen(old, news []byte, floor, ceiling, from, to int) {
	score, best, reach := 0, 0, p.at
	for i := p.at - 1; i >= floor; i-- {
		o := p.old - (p.at - i)
		if o < from || score < best-64 {
			break
		}
		if old[o] == news[i] {
			score++
		} else {
			score--
		}
		if score > best {
			best, reach = score, i
		}
	}
	p.old, p.at = p.old-(p.at-reach), reach
	score, best, reach = 0, 0, p.end
	for i := p.end; i < ceiling; i++ {
		o := p.old + i - p.at
		if o >= to || score < best-64 {
			break
		}
		if old[o] == news[i] {
			score++
		} else {
			score--
		}
		if score > best {
			best, reach = score, i+1
		}
	}
	p.end = reach
}

// opened writes the patch of the chunk image[at:end] as Reader.patch opens it.
func (s *seeds) opened(at, end int, ps []piece) []byte {
	var steps, diff, fresh []byte
	count, base, from := 0, 0, at
	for _, p := range append(ps[:len(ps):len(ps)], piece{end, end, -1}) {
		if p.old < 0 { // what is new at the end
			if from == end {
				break
			}
			p.old = base
		}
		steps = binary.AppendVarint(steps, int64(p.at-from)) // new bytes up to p.at, then the copy
		steps = binary.AppendVarint(steps, int64(p.end-p.at))
		steps = binary.AppendVarint(steps, int64(p.old-base))
		fresh = append(fresh, s.image[from:p.at]...)
		for i := p.at; i < p.end; i++ {
			diff = append(diff, s.image[i]-s.src[p.old+i-p.at])
		}
		base, from, count = p.old+p.end-p.at, p.end, count+1
	}
	out := binary.AppendVarint(nil, int64(count))
	return append(append(append(out, steps...), diff...), fresh...)
}
