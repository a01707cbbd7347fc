package recorder

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// mostReels is what a segment index can count (16 bits).
const mostReels = 1<<16 - 1

// finish makes the film's head: that of its segments with the whole length in its place,
// and an index of the fragments.
func (m *Film) finish(whole time.Duration) error {
	if len(m.frags) > mostReels {
		return errors.New("recorder: a film of too many fragments")
	}
	m.head = slices.Clone(m.head)
	m.rates = rates(m.head)
	_, moov := boxIn(m.head, "moov")
	if moov == nil {
		return errors.New("recorder: a head without a moov")
	}
	if _, mvex := boxIn(moov[8:], "mvex"); mvex != nil {
		if _, room := boxIn(mvex[8:], "free"); len(room) == 20 {
			copy(room[4:], "mehd\x01\x00\x00\x00")
			be.PutUint64(room[12:], uint64(whole.Milliseconds()))
		}
	}
	w := &boxes{b: m.head}
	const rate = 90000
	tick := func(d time.Duration) uint32 { return uint32(d * rate / time.Second) }
	w.full("sidx", 1, 0, func() {
		w.u32(pictureTrack, rate)
		w.u64(0)
		w.u64(0)
		w.u16(0)
		w.u16(uint16(len(m.frags)))
		for i, x := range m.frags {
			end := whole
			if i+1 < len(m.frags) {
				end = m.frags[i+1].shown
			}
			sap := uint32(0)
			if x.key {
				sap = 0x90000000
			}
			w.u32(uint32(x.size), tick(end)-tick(x.shown), sap)
		}
	})
	m.head = w.b
	m.size = int64(len(m.head))
	for i := range m.frags {
		m.frags[i].at = m.size
		m.size += m.frags[i].size
	}
	return nil
}

// rates reads the clock of each track from a head.
func rates(head []byte) map[uint32]int64 {
	out := map[uint32]int64{}
	_, moov := boxIn(head, "moov")
	for at := 8; at < len(moov); {
		i, trak := boxIn(moov[at:], "trak")
		if trak == nil {
			break
		}
		at += i + len(trak)
		_, tkhd := boxIn(trak[8:], "tkhd")
		_, mdia := boxIn(trak[8:], "mdia")
		if len(mdia) < 8 {
			continue
		}
		if _, mdhd := boxIn(mdia[8:], "mdhd"); len(tkhd) >= 24 && len(mdhd) >= 24 {
			out[be.Uint32(tkhd[20:])] = int64(be.Uint32(mdhd[20:]))
		}
	}
	return out
}

// Size is the film's length in bytes.
func (m *Film) Size() int64 { return m.size }

// Seek is io.Seeker's.
func (m *Film) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += m.at
	case io.SeekEnd:
		off += m.size
	}
	if off < 0 {
		return m.at, errors.New("recorder: a seek before the film's begin")
	}
	m.at = off
	return off, nil
}

// Read is io.Reader's.
func (m *Film) Read(b []byte) (n int, err error) {
	if m.at >= m.size {
		return 0, io.EOF
	}
	if m.at < int64(len(m.head)) {
		n = copy(b, m.head[m.at:])
		m.at += int64(n)
		return n, nil
	}
	i, ok := slices.BinarySearchFunc(m.frags, m.at, func(x reel, at int64) int { return cmp.Compare(x.at, at) })
	if !ok {
		i--
	}
	if err := m.load(i); err != nil {
		return 0, err
	}
	x := m.frags[i]
	off := m.at - x.at
	if off < int64(len(m.moof)) {
		n = copy(b, m.moof[off:])
	} else {
		n, err = m.open.ReadAt(b[:min(int64(len(b)), x.size-off)], x.from+off)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
	}
	m.at += int64(n)
	return n, err
}

// Close lets the file go that is being read.
func (m *Film) Close() error {
	if m.open == nil {
		return nil
	}
	f := m.open
	m.open, m.opened, m.last = nil, "", -1
	return f.Close()
}

// load opens a fragment's file and puts its moof on the film's time.
func (m *Film) load(i int) error {
	x := m.frags[i]
	if m.opened != x.path {
		if err := m.Close(); err != nil {
			return err
		}
		f, err := os.Open(x.path)
		if err != nil {
			return fmt.Errorf("recorder: what is played has been freed: %w", err)
		}
		m.open, m.opened = f, x.path
	}
	if m.last == i {
		return nil
	}
	s := scanner{r: m.open, size: x.from + x.size}
	kind, n, err := s.header(x.from)
	if err == nil && kind != "moof" {
		err = errors.New("no fragment where one was")
	}
	if err != nil {
		return err
	}
	b, err := s.whole(x.from, n, mostMoof)
	if err != nil {
		return err
	}
	if err := rebase(b, uint32(i+1), x.back, m.rates); err != nil {
		return err
	}
	m.moof, m.last = b, i
	return nil
}

// rebase puts a moof's number and decode times in place.
func rebase(moof []byte, number uint32, back time.Duration, rates map[uint32]int64) error {
	_, mfhd := boxIn(moof[8:], "mfhd")
	if len(mfhd) != 16 {
		return errors.New("recorder: a moof without a header")
	}
	be.PutUint32(mfhd[12:], number)
	for at := 8; at < len(moof); {
		i, traf := boxIn(moof[at:], "traf")
		if traf == nil {
			break
		}
		at += i + len(traf)
		_, tfhd := boxIn(traf[8:], "tfhd")
		_, tfdt := boxIn(traf[8:], "tfdt")
		if len(tfhd) < 16 || len(tfdt) != 20 {
			return errors.New("recorder: a track's part without its time")
		}
		rate := rates[be.Uint32(tfhd[12:])]
		off := int64(back/time.Second)*rate + int64(back%time.Second)*rate/int64(time.Second)
		be.PutUint64(tfdt[12:], uint64(max(0, int64(be.Uint64(tfdt[12:]))-off)))
	}
	return nil
}
