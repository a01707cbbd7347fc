package ps

import (
	"bytes"
	"encoding/binary"
	"slices"

	"tocsin/firmware/video/stream"
)

const (
	// MostUnit is a picture at most; a bigger one is left out. 4K key pictures of
	// drones have about 1 MB.
	MostUnit = 4 << 20
	// mostSound is a packet of sound at most: a second of G.711.
	mostSound = 8000
)

// Unit is what came of one picture or packet of sound.
type Unit struct {
	Codec    stream.Codec
	PTS, DTS int64    // 90 kHz, as the source counts, over its turns of 33 bits
	NALs     [][]byte // of a picture; fresh memory
	Sound    []byte   // fresh memory
	Lost     bool     // something before it is missing
}

// Demuxer takes a program stream apart. It is of one goroutine.
type Demuxer struct {
	Take func(Unit)
	Note func(stream.Note) // once for each

	in   []byte // not yet understood
	sink int    // what the open PES packet is: of a picture, of sound, of no use
	left int    // bytes of the open PES packet; below nought: up to the next start code

	types     [2][32]byte // stream types told by the map: pictures' 16 ids, sounds' 32
	pictureID byte        // the one stream of pictures that is followed
	soundID   byte

	cur      []byte // the picture under way
	curType  byte
	pts, dts int64
	timed    bool // the picture under way has a time
	told     bool // this source tells times in PES headers
	broken   bool // the picture under way lacks a part: leave it out
	lost     bool // tell with the next unit
	early    bool // End gave the last picture away
	distrust bool // markers stand in wrong places
	scr      int64
	sound    []byte
	soundPTS int64
	last     [2]int64 // to unfold times: pictures, sound
	begun    [2]bool
	noted    []stream.Note
}

const (
	nowhere = iota
	toPicture
	toSound
)

func (d *Demuxer) note(code stream.Note) {
	if d.Note != nil && !slices.Contains(d.noted, code) {
		d.noted = append(d.noted, code)
		d.Note(code)
	}
}

// Write takes what came next. It never fails: what cannot be followed is left out.
func (d *Demuxer) Write(b []byte) {
	for len(b) > 0 {
		n := min(len(b), 1<<16) // keeps what is held small whatever is given
		d.in = append(d.in, b[:n]...)
		b = b[n:]
		used := 0
		for {
			k := d.step(d.in[used:])
			if k == 0 {
				break
			}
			used += k
		}
		d.in = d.in[:copy(d.in, d.in[used:])]
	}
}

// Lost says that bytes between the last Write and the next are missing: the picture
// under way is given up, and what follows begins at a start code.
func (d *Demuxer) Lost() {
	d.in = d.in[:0]
	d.left, d.sink = 0, nowhere
	d.cur, d.sound = nil, nil
	d.broken, d.lost, d.early = true, true, false
}

// End says that a unit ends here (the RTP marker). The picture goes out at once where
// that holds; a source whose markers stand elsewhere is found out and not believed.
func (d *Demuxer) End() {
	d.endSound()
	if d.distrust || d.broken || d.left > 0 || len(d.cur) == 0 {
		return
	}
	if d.left < 0 { // a packet without a length ends where its unit does
		d.deliver(d.in)
		d.in, d.left = d.in[:0], 0
	} else if len(d.in) > 0 {
		return
	}
	if d.emit() {
		d.early = true
	}
}

// Close gives away what is still held.
func (d *Demuxer) Close() {
	if d.left < 0 {
		d.deliver(d.in)
	}
	d.in, d.left = nil, 0
	d.endSound()
	d.emit()
}

// step understands a piece at the beginning of b and says how long it is; nought where
// more bytes are needed.
func (d *Demuxer) step(b []byte) int {
	if d.left > 0 {
		n := min(d.left, len(b))
		if n > 0 {
			d.deliver(b[:n])
			if d.left -= n; d.left == 0 && d.sink == toSound {
				d.endSound()
			}
		}
		return n
	}
	i := startCode(b)
	if d.left < 0 { // up to the next start code that is none of a NAL unit
		n := i
		if n < 0 {
			n = max(0, len(b)-3)
		}
		if n > 0 {
			d.deliver(b[:n])
			return n
		}
		if i < 0 {
			return 0
		}
		d.left = 0
	}
	if i < 0 {
		return d.skip(b, max(0, len(b)-3))
	}
	if i > 0 {
		return d.skip(b, i)
	}
	return d.element(b)
}

// skip leaves bytes between packets out. Devices whose PES length overflowed have the
// rest of the picture there, so it stays a part of it.
func (d *Demuxer) skip(b []byte, n int) int {
	if n == 0 {
		return 0
	}
	if d.sink == toPicture && !d.broken {
		d.deliver(b[:n])
	}
	return n
}

// startCode finds a start code of the program stream; those of NAL units are below.
func startCode(b []byte) int {
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte{0, 0, 1})
		if i < 0 || at+i+3 >= len(b) {
			return -1
		}
		if b[at+i+3] >= idEnd {
			return at + i
		}
		at += i + 3
	}
}

// element reads the header at the beginning of b.
func (d *Demuxer) element(b []byte) int {
	id := b[3]
	switch {
	case id == idEnd:
		return 4
	case id == idPack:
		if len(b) < 14 {
			return 0
		}
		d.sink = nowhere
		if b[4]>>6 != 1 { // of MPEG-1, or none
			return 4
		}
		n := 14 + int(b[13]&7)
		if len(b) < n {
			return 0
		}
		scr := int64(b[4]>>3&7)<<30 | int64(b[4]&3)<<28 | int64(b[5])<<20 | int64(b[6]>>3)<<15 | int64(b[6]&3)<<13 | int64(b[7])<<5 | int64(b[8]>>3)
		if scr != d.scr && !d.told {
			d.emit() // no times in PES headers: a pack is a picture
		}
		d.scr = scr
		return n
	}
	if len(b) < 6 {
		return 0
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	switch {
	case id >= 0xE0 && id <= 0xEF, id >= 0xC0 && id <= 0xDF:
		return d.pes(b, id, length)
	case id == idMap && length <= 1024:
		if len(b) < 6+length {
			return 0
		}
		d.streamMap(b[6 : 6+length])
		d.sink = nowhere
		return 6 + length
	}
	// The system header, private and padding streams, directories: of no use here.
	d.sink, d.left = nowhere, length
	return 6
}

// streamMap reads 2.5.4.1. Its check sum is not looked at: devices send nought.
func (d *Demuxer) streamMap(b []byte) {
	if len(b) < 6 {
		return
	}
	b = b[2:]
	info := int(binary.BigEndian.Uint16(b))
	if info+4 > len(b) {
		return
	}
	b = b[2+info:]
	n := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	b = b[:min(n, len(b))]
	for len(b) >= 4 {
		typ, id := b[0], b[1]
		skip := 4 + int(binary.BigEndian.Uint16(b[2:]))
		switch {
		case id >= 0xE0 && id <= 0xEF:
			d.types[0][id&0x0F] = typ
		case id >= 0xC0 && id <= 0xDF:
			d.types[1][id&0x1F] = typ
		}
		if skip > len(b) {
			return
		}
		b = b[skip:]
	}
}

// pes reads a PES packet's header and says where its payload goes.
func (d *Demuxer) pes(b []byte, id byte, length int) int {
	if len(b) < 9 {
		return 0
	}
	n := 9 + int(b[8])
	if b[6]>>6 != 2 || length > 0 && n > 6+length { // of MPEG-1, or damaged
		d.sink = nowhere
		return 4
	}
	if len(b) < n {
		return 0
	}
	pts, dts, ok := times(b[7], b[9:n])
	d.left = length - (n - 6)
	if length == 0 {
		d.left = -1
	}
	d.sink = nowhere
	if id < 0xE0 {
		d.beginSound(id, pts, ok)
		return n
	}
	if d.pictureID == 0 {
		d.pictureID = id
	}
	if id == d.pictureID {
		d.beginPicture(pts, dts, ok)
	}
	return n
}

// times reads PTS and DTS of a PES header (2.4.3.6), marker bits unseen.
func times(flags byte, b []byte) (pts, dts int64, ok bool) {
	read := func(b []byte) int64 {
		return int64(b[0]>>1&7)<<30 | int64(b[1])<<22 | int64(b[2]>>1)<<15 | int64(b[3])<<7 | int64(b[4]>>1)
	}
	if flags&0x80 == 0 || len(b) < 5 {
		return 0, 0, false
	}
	pts = read(b)
	dts = pts
	if flags&0x40 != 0 && len(b) >= 10 {
		dts = read(b[5:])
	}
	return pts, dts, true
}

// unfold goes on counting where a time of 33 bits turns over.
func (d *Demuxer) unfold(which int, t int64) int64 {
	if d.begun[which] {
		t = d.last[which] + (t-d.last[which])<<31>>31
	}
	d.begun[which], d.last[which] = true, t
	return t
}

func (d *Demuxer) beginPicture(pts, dts int64, timed bool) {
	d.sink = toPicture
	if timed {
		d.told = true
		delay := (pts - dts) << 31 >> 31
		dts = d.unfold(0, dts)
		pts = dts + max(0, delay)
	}
	fresh := timed && (!d.timed || dts != d.dts || pts != d.pts)
	if fresh {
		d.emit()
		d.broken, d.early = false, false
	} else if d.early && d.timed {
		// The picture goes on after its end was told: markers mean nothing here.
		// Its first part is gone; the writer joins equal times, so only a NAL unit
		// that is cut in two is damaged, once.
		d.distrust, d.early = true, false
	}
	if timed {
		d.pts, d.dts, d.timed = pts, dts, true
	} else if !d.told {
		d.pts = d.unfold(0, d.scr)
		d.dts = d.pts
		d.broken = false
	}
}

func (d *Demuxer) beginSound(id byte, pts int64, timed bool) {
	if d.soundID == 0 {
		d.soundID = id
	}
	switch typ := d.types[1][id&0x1F]; {
	case id != d.soundID:
	case typ == typeG711A, typ == typeG711U:
		if timed {
			d.endSound()
			d.soundPTS = d.unfold(1, pts)
		}
		if d.begun[1] {
			d.sink = toSound
		}
	case typ == typeAAC:
		d.note(stream.AACDropped)
	case typ != 0:
		d.note(stream.Foreign)
	}
}

func (d *Demuxer) deliver(b []byte) {
	switch d.sink {
	case toPicture:
		if d.broken || len(b) == 0 {
			return
		}
		if len(d.cur)+len(b) > MostUnit {
			d.cur, d.broken, d.lost = nil, true, true
			return
		}
		d.cur = append(d.cur, b...)
	case toSound:
		if len(d.sound)+len(b) <= mostSound {
			d.sound = append(d.sound, b...)
		}
	}
}

func (d *Demuxer) endSound() {
	b := d.sound
	if d.sound = nil; len(b) == 0 {
		return
	}
	u := Unit{Codec: stream.PCMA, PTS: d.soundPTS, DTS: d.soundPTS, Sound: b}
	if d.types[1][d.soundID&0x1F] == typeG711U {
		u.Codec = stream.PCMU
	}
	d.Take(u)
}

// emit gives the picture under way away, and says whether there was one.
func (d *Demuxer) emit() bool {
	b, broken := d.cur, d.broken
	d.cur = nil
	if len(b) == 0 {
		return false
	}
	if broken {
		return false
	}
	typ := d.types[0][d.pictureID&0x0F]
	nals := Split(b)
	if typ == 0 {
		if d.curType == 0 {
			d.curType = guess(nals)
		}
		typ = d.curType
	}
	u := Unit{PTS: d.pts, DTS: d.dts, Lost: d.lost}
	switch typ {
	case typeH264:
		u.Codec = stream.H264
	case typeH265:
		u.Codec = stream.H265
	case 0:
		return false // not yet known
	default:
		d.note(stream.Foreign)
		return false
	}
	for _, n := range nals {
		if !delimiter(u.Codec, n) {
			u.NALs = append(u.NALs, n)
		}
	}
	if len(u.NALs) == 0 {
		return false
	}
	d.lost = false
	d.Take(u)
	// The next picture is about as large.
	d.cur = make([]byte, 0, min(len(b)+len(b)/4, 64<<10))
	return true
}
