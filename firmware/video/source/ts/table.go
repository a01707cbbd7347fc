package ts

import (
	"bytes"

	"tocsin/firmware/video/stream"
)

const (
	tablePAT = 0x00
	tablePMT = 0x02
	// tableSize is the most of a section: 12 bits of length, of which two are 0 (2.4.4.5).
	tableSize = 1024
)

// section puts a table together that may be over several packets (2.4.4.1).
type section struct{ b []byte }

// add takes a packet's payload and calls with each table that is whole and unspoiled.
func (s *section) add(p *packet, table func([]byte)) {
	b := p.payload
	if p.starts {
		if len(b) == 0 || int(b[0]) >= len(b) {
			s.b = s.b[:0]
			return
		}
		if len(s.b) > 0 { // the end of the last is before the pointer
			s.b = append(s.b, b[1:1+int(b[0])]...)
			s.whole(table)
		}
		s.b = append(s.b[:0], b[1+int(b[0]):]...)
	} else if len(s.b) > 0 {
		s.b = append(s.b, b...)
	}
	for s.whole(table) {
	}
	if len(s.b) > tableSize+packetSize {
		s.b = s.b[:0]
	}
}

// whole takes a table off the front, if it is there.
func (s *section) whole(table func([]byte)) bool {
	if len(s.b) < 3 {
		return false
	}
	if s.b[0] == 0xff { // padding behind the last
		s.b = s.b[:0]
		return false
	}
	n := 3 + int(s.b[1]&0x0f)<<8 + int(s.b[2])
	if n > tableSize || n < 12 {
		s.b = s.b[:0]
		return false
	}
	if len(s.b) < n {
		return false
	}
	if crc(s.b[:n]) == 0 && s.b[5]&1 != 0 { // in force now, not next
		table(s.b[:n])
	}
	s.b = append(s.b[:0], s.b[n:]...)
	return len(s.b) > 0
}

// crc is that of annex A: 0 over a table with its own. Tables are small and rare: no table of it.
func crc(b []byte) uint32 {
	c := ^uint32(0)
	for _, x := range b {
		c ^= uint32(x) << 24
		for range 8 {
			if c&(1<<31) != 0 {
				c = c<<1 ^ 0x04c11db7
			} else {
				c <<= 1
			}
		}
	}
	return c
}

// program gives the PID of the first program's table, 0 where there is none (2.4.4.4).
func program(b []byte) uint16 {
	if b[0] != tablePAT {
		return 0
	}
	for b = b[8 : len(b)-4]; len(b) >= 4; b = b[4:] {
		if b[0]|b[1] != 0 { // number 0 is the network's
			return uint16(b[2]&0x1f)<<8 | uint16(b[3])
		}
	}
	return 0
}

// tracks is what of a program is taken.
type tracks struct {
	video, audio uint16 // PIDs, 0 where there is none
	codec        stream.Codec
	aac, foreign bool
}

// read reads a program's table (2.4.4.9); false where it is none or broken.
func (t *tracks) read(b []byte) bool {
	*t = tracks{}
	if b[0] != tablePMT || len(b) < 16 {
		return false
	}
	skip := 12 + int(b[10]&0x0f)<<8 + int(b[11])
	if skip > len(b)-4 {
		return false
	}
	for b = b[skip : len(b)-4]; len(b) >= 5; {
		pid := uint16(b[1]&0x1f)<<8 | uint16(b[2])
		n := int(b[3]&0x0f)<<8 + int(b[4])
		if len(b) < 5+n {
			return false
		}
		t.track(b[0], pid, b[5:5+n])
		b = b[5+n:]
	}
	return true
}

func (t *tracks) track(kind byte, pid uint16, about []byte) {
	if pid < 0x10 || pid == 0x1fff { // of the system's own, and of padding
		return
	}
	switch kind {
	case 0x1b, 0x24:
		if t.video != 0 {
			return // the first is taken
		}
		t.video, t.codec = pid, stream.H264
		if kind == 0x24 {
			t.codec = stream.H265
		}
	case 0x0f, 0x11:
		t.aac = true
	case 0x01, 0x02, 0x10, 0x33, 0x03, 0x04, 0x80, 0x81, 0x87: // MPEG-1, -2 and -4, H.266; MPEG audio, AC-3
		t.foreign = true
	case 0x06:
		if registered(about, "Opus") && t.audio == 0 {
			t.audio = pid
		}
	}
}

// registered looks for a registration descriptor (2.6.8).
func registered(b []byte, name string) bool {
	for len(b) >= 2 {
		n := int(b[1])
		if len(b) < 2+n {
			return false
		}
		if b[0] == 5 && bytes.HasPrefix(b[2:2+n], []byte(name)) {
			return true
		}
		b = b[2+n:]
	}
	return false
}
