package recorder

import (
	"errors"
	"hash/crc32"
	"time"

	"tocsin/firmware/clock"
)

// The recorder's own records lie in free boxes (14496-12 8.1.2): size, "free", a mark
// of four letters, the record. Their CRCs are CRC-32C. That of a label covers the
// segment's head; every later one begins with the label's, so that what another file
// once held in the same blocks never passes for this one's.
const (
	markLabel = "TcLb"
	markSeal  = "TcSl"
	markEnd   = "TcEn"

	recordVersion = 1
	sealSize      = 12 + 48
	endSize       = 12 + 28
	mostBoot      = 64
	mostName      = 64
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// label says whose a segment is.
type label struct {
	stream string
	boot   string
	order  uint64        // of the ring's segments
	from   time.Duration // since that boot
	wall   time.Time     // at from; zero where nothing was trusted
	trust  clock.Trust
	// follows says that it begins with no key picture: it goes on where the last
	// segment ended.
	follows bool
}

// seal closes a fragment.
type seal struct {
	number   uint32 // of the segment's fragments, from 0
	key      bool   // begins with a key picture
	gap      bool   // something before it is missing
	trust    clock.Trust
	length   uint32        // of moof and mdat
	from, to time.Duration // since the boot
	wall     time.Time     // at from; zero where nothing was trusted
}

// ending closes a segment that was finished in order.
type ending struct {
	fragments uint32
	from, to  time.Duration
}

// labelled appends a label to a head and gives its CRC.
func (l label) appendTo(head []byte) ([]byte, uint32) {
	w := &boxes{b: head}
	boot, name := l.boot[:min(len(l.boot), mostBoot)], l.stream[:min(len(l.stream), mostName)]
	w.box("free", func() {
		w.text(markLabel)
		w.u8(recordVersion, flags(l.follows), uint8(l.trust), uint8(len(boot)), uint8(len(name)))
		w.text(boot)
		w.text(name)
		w.u64(l.order)
		w.u64(uint64(l.from))
		w.u64(uint64(unixNano(l.wall)))
		w.u32(0)
	})
	// The size is in its place now: the sum covers all but itself.
	sum := crc32.Checksum(w.b[:len(w.b)-4], castagnoli)
	be.PutUint32(w.b[len(w.b)-4:], sum)
	return w.b, sum
}

// readLabel reads the box of a label; the caller checks the sum, which it gives.
func readLabel(box []byte) (l label, sum uint32, err error) {
	b, err := record(box, markLabel)
	if err != nil {
		return l, 0, err
	}
	if len(b) < 5 || b[0] != recordVersion || b[2] > uint8(clock.Set) {
		return l, 0, errors.New("a label of another version")
	}
	boot, name := int(b[3]), int(b[4])
	if boot > mostBoot || name > mostName || len(b) != 5+boot+name+24+4 {
		return l, 0, errors.New("a label of a wrong length")
	}
	l.follows, l.trust = b[1]&1 != 0, clock.Trust(b[2])
	l.boot, l.stream = string(b[5:5+boot]), string(b[5+boot:5+boot+name])
	b = b[5+boot+name:]
	l.order, l.from, l.wall = be.Uint64(b), time.Duration(be.Uint64(b[8:])), fromNano(be.Uint64(b[16:]))
	return l, be.Uint32(b[24:]), nil
}

// appendTo appends the seal of the fragment in b[at:], over which the sum is made.
func (s seal) appendTo(b []byte, at int, labelSum uint32) []byte {
	s.length = uint32(len(b) - at)
	w := &boxes{b: b}
	w.u32(sealSize)
	w.text("free" + markSeal)
	w.u8(recordVersion, flags(s.key, s.gap), uint8(s.trust), 0)
	w.u32(s.number, s.length)
	w.u64(uint64(s.from))
	w.u64(uint64(s.to))
	w.u64(uint64(unixNano(s.wall)))
	w.zeros(8) // room for what is not known yet
	w.u32(crc32.Update(labelSum, castagnoli, w.b[at:]))
	return w.b
}

func readSeal(box []byte) (s seal, sum uint32, err error) {
	b, err := record(box, markSeal)
	if err != nil {
		return s, 0, err
	}
	if len(box) != sealSize || b[0] != recordVersion || b[2] > uint8(clock.Set) {
		return s, 0, errors.New("a seal of another version")
	}
	s.key, s.gap, s.trust = b[1]&1 != 0, b[1]&2 != 0, clock.Trust(b[2])
	s.number, s.length = be.Uint32(b[4:]), be.Uint32(b[8:])
	s.from, s.to, s.wall = time.Duration(be.Uint64(b[12:])), time.Duration(be.Uint64(b[20:])), fromNano(be.Uint64(b[28:]))
	if s.from < 0 || s.to < s.from || s.to > mostMono {
		return s, 0, errors.New("a seal of impossible times")
	}
	return s, be.Uint32(b[44:]), nil
}

// mostMono bounds the time since a boot that is believed: a century.
const mostMono = 100 * 366 * 24 * time.Hour

func (e ending) appendTo(b []byte, labelSum uint32) []byte {
	at := len(b)
	w := &boxes{b: b}
	w.u32(endSize)
	w.text("free" + markEnd)
	w.u8(recordVersion, 0, 0, 0)
	w.u32(e.fragments)
	w.u64(uint64(e.from))
	w.u64(uint64(e.to))
	w.u32(crc32.Update(labelSum, castagnoli, w.b[at:]))
	return w.b
}

func readEnding(box []byte, labelSum uint32) (e ending, err error) {
	b, err := record(box, markEnd)
	if err != nil {
		return e, err
	}
	if len(box) != endSize || b[0] != recordVersion {
		return e, errors.New("an end of another version")
	}
	e.fragments, e.from, e.to = be.Uint32(b[4:]), time.Duration(be.Uint64(b[8:])), time.Duration(be.Uint64(b[16:]))
	if crc32.Update(labelSum, castagnoli, box[:endSize-4]) != be.Uint32(b[24:]) {
		return e, errSum
	}
	return e, nil
}

var errSum = errors.New("the sum does not hold")

// record gives what follows the mark in a free box.
func record(box []byte, mark string) ([]byte, error) {
	if len(box) < 16 || uint32(len(box)) != be.Uint32(box) || string(box[4:12]) != "free"+mark {
		return nil, errors.New("no such record")
	}
	return box[12:], nil
}

func flags(bits ...bool) (f uint8) {
	for i, b := range bits {
		if b {
			f |= 1 << i
		}
	}
	return f
}

func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNano(n uint64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n)).UTC()
}
