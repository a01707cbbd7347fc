package pack

import (
	"encoding/binary"
	"math/bits"
)

// piece is a part of a new image that resembles a part of the old one: as long, and with
// few other bytes. What lies between pieces is new.
type piece struct{ at, end, old int }

// seeds finds where eight bytes stand in an image.
type seeds struct {
	old  []byte
	head []uint32 // by hash: the last place, plus one
	prev []uint32 // by place: the place before it with the same hash, plus one
}

const (
	seedLength = 8
	seedBits   = 22
	seedLook   = 24 // places that are looked at for one seed
	worthwhile = 24 // a match that begins a piece is this long at least
)

func seedOf(b []byte) uint32 {
	return uint32(binary.LittleEndian.Uint64(b) * 0x9e3779b97f4a7c15 >> (64 - seedBits))
}

func sow(old []byte) *seeds {
	s := &seeds{old: old, head: make([]uint32, 1<<seedBits), prev: make([]uint32, len(old))}
	for n := 0; n+seedLength <= len(old); n++ {
		if n > 0 && old[n] == old[n-1] && binary.LittleEndian.Uint64(old[n:]) == uint64(old[n])*0x0101010101010101 {
			continue // within a run of one byte every place looks alike
		}
		h := seedOf(old[n:])
		s.prev[n], s.head[h] = s.head[h], uint32(n+1)
	}
	return s
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

// find gives the longest match of what begins b.
func (s *seeds) find(b []byte) (old, length int) {
	p := s.head[seedOf(b)]
	for look := 0; p != 0 && look < seedLook; look++ {
		if n := alike(s.old[p-1:], b); n > length {
			old, length = int(p-1), n
		}
		p = s.prev[p-1]
	}
	return old, length
}

// agree counts the bytes of b that stand at place old of the old image.
func (s *seeds) agree(b []byte, old int) (n int) {
	if old < 0 || old >= len(s.old) {
		return 0
	}
	o := s.old[old:]
	for i := range min(len(b), len(o)) {
		if b[i] == o[i] {
			n++
		}
	}
	return n
}

// pieces finds what of news resembles the old image, in order and apart.
func pieces(old, news []byte) []piece {
	s := sow(old)
	var out []piece
	shift, on := 0, false // the piece that goes on: old = new + shift
	for i := 0; i+seedLength <= len(news); {
		if on {
			if p := i + shift; p >= 0 && p < len(old) {
				if n := alike(old[p:], news[i:]); n >= seedLength {
					out[len(out)-1].end = i + n
					i += n
					continue
				}
			}
		}
		at, n := s.find(news[i:])
		// It begins a piece where it says clearly more than the one that goes on.
		if n >= worthwhile && !(on && s.agree(news[i:i+n], i+shift) >= n-seedLength) {
			out = append(out, piece{i, i + n, at})
			shift, on = at-i, true
			i += n
			continue
		}
		i++
	}
	for n := range out {
		out[n].widen(old, news, out, n)
	}
	return out
}

// widen lets a piece take of the gaps beside it what still resembles more than it differs.
func (p *piece) widen(old, news []byte, all []piece, n int) {
	floor, ceiling := 0, len(news)
	if n > 0 {
		floor = all[n-1].end
	}
	if n+1 < len(all) {
		ceiling = all[n+1].at
	}
	score, best, to := 0, 0, p.at
	for i := p.at - 1; i >= floor; i-- {
		o := p.old - (p.at - i)
		if o < 0 || score < best-64 {
			break
		}
		if old[o] == news[i] {
			score++
		} else {
			score--
		}
		if score > best {
			best, to = score, i
		}
	}
	p.old, p.at = p.old-(p.at-to), to
	score, best, to = 0, 0, p.end
	for i := p.end; i < ceiling; i++ {
		o := p.old + i - p.at
		if o >= len(old) || score < best-64 {
			break
		}
		if old[o] == news[i] {
			score++
		} else {
			score--
		}
		if score > best {
			best, to = score, i+1
		}
	}
	p.end = to
}

// opened writes the patch of news[at:end] as Reader.patch opens it.
func opened(old, news []byte, at, end int, ps []piece) []byte {
	var steps, diff, fresh []byte
	count, base, from := 0, 0, at
	add := func(to int, p piece) { // new bytes up to p.at, then the copy
		steps = binary.AppendVarint(steps, int64(p.at-from))
		steps = binary.AppendVarint(steps, int64(p.end-p.at))
		steps = binary.AppendVarint(steps, int64(p.old-base))
		fresh = append(fresh, news[from:p.at]...)
		for i := p.at; i < p.end; i++ {
			diff = append(diff, news[i]-old[p.old+i-p.at])
		}
		base, from, count = p.old+p.end-p.at, to, count+1
	}
	for _, p := range ps {
		if p.end <= at || p.at >= end {
			continue
		}
		if p.at < at {
			p.old, p.at = p.old+at-p.at, at
		}
		p.end = min(p.end, end)
		add(p.end, p)
	}
	if from < end {
		add(end, piece{end, end, base})
	}
	out := binary.AppendVarint(nil, int64(count))
	return append(append(append(out, steps...), diff...), fresh...)
}
