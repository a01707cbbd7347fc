package recorder

import (
	"errors"

	"tocsin/firmware/video/stream"
)

var errSamples = errors.New("recorder: a fragment that does not hold together")

// samplesIn takes a fragment (moof and mdat) apart, as fragment.marshal makes it. What it
// gives are parts of b.
func samplesIn(b []byte) (pictures, sounds []sample, err error) {
	_, moof := boxIn(b, "moof")
	if moof == nil {
		return nil, nil, errSamples
	}
	for at := 8; at < len(moof); {
		i, traf := boxIn(moof[at:], "traf")
		if traf == nil {
			break
		}
		at += i + len(traf)
		_, tfhd := boxIn(traf[8:], "tfhd")
		_, tfdt := boxIn(traf[8:], "tfdt")
		_, trun := boxIn(traf[8:], "trun")
		if len(tfhd) < 16 || len(tfdt) != 20 || len(trun) < 20 {
			return nil, nil, errSamples
		}
		decode := int64(be.Uint64(tfdt[12:]))
		if decode < 0 || decode > int64(mostMono.Seconds())*90000 {
			return nil, nil, errSamples
		}
		switch track := be.Uint32(tfhd[12:]); {
		case track == pictureTrack && pictures == nil:
			pictures, err = run(b, trun, decode, true)
		case track == soundTrack && sounds == nil:
			sounds, err = run(b, trun, decode, false)
		default:
			err = errSamples
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return pictures, sounds, nil
}

// run reads a track's run (14496-12 8.8.8) and the samples that it names.
func run(b, trun []byte, decode int64, isPicture bool) (all []sample, err error) {
	each, want := 8, uint32(0x000301)
	if isPicture {
		each, want = 16, 0x000f01
	}
	n, place := int64(be.Uint32(trun[12:])), int64(be.Uint32(trun[16:]))
	if be.Uint32(trun[8:])&0xffffff != want || int64(len(trun)) != 20+n*int64(each) {
		return nil, errSamples
	}
	for rest := trun[20:]; len(rest) > 0; rest = rest[each:] {
		x := sample{decode: decode, duration: be.Uint32(rest), size: int(be.Uint32(rest[4:]))}
		decode += int64(x.duration)
		if place+int64(x.size) > int64(len(b)) {
			return nil, errSamples
		}
		data := b[place : place+int64(x.size) : place+int64(x.size)]
		place += int64(x.size)
		if !isPicture {
			x.sound = data
			all = append(all, x)
			continue
		}
		x.key, x.offset = be.Uint32(rest[8:])&0x02000000 != 0, int32(be.Uint32(rest[12:]))
		for len(data) > 0 {
			if len(data) < 4 || int64(be.Uint32(data)) > int64(len(data)-4) {
				return nil, errSamples
			}
			k := 4 + int(be.Uint32(data))
			x.nals = append(x.nals, data[4:k:k])
			data = data[k:]
		}
		all = append(all, x)
	}
	return all, nil
}

// formatIn reads back what format.head wrote.
func formatIn(head []byte) (*format, error) {
	f := &format{}
	_, moov := boxIn(head, "moov")
	for at := 8; at < len(moov); {
		i, trak := boxIn(moov[at:], "trak")
		if trak == nil {
			break
		}
		at += i + len(trak)
		stsd := trak
		for _, kind := range []string{"mdia", "minf", "stbl", "stsd"} {
			if len(stsd) < 8 {
				return nil, errSamples
			}
			_, stsd = boxIn(stsd[8:], kind)
		}
		if len(stsd) < 24 {
			return nil, errSamples
		}
		entry := stsd[16:]
		ok := true
		switch string(entry[4:8]) {
		case "avc1":
			f.picture, ok = stream.H264, f.readAVC(visualIn(entry, "avcC"))
		case "hvc1":
			f.picture, ok = stream.H265, f.readHVC(visualIn(entry, "hvcC"))
		case "Opus":
			f.sound = stream.Opus
		case "alaw":
			f.sound = stream.PCMA
		case "ulaw":
			f.sound = stream.PCMU
		default:
			ok = false
		}
		if !ok {
			return nil, errSamples
		}
	}
	if !f.picture.Picture() {
		return nil, errSamples
	}
	return f, nil
}

// visualIn gives a box in a visual sample entry (8 and 78 bytes before it, 12.1.3).
func visualIn(entry []byte, kind string) []byte {
	if len(entry) < 86 {
		return nil
	}
	_, box := boxIn(entry[86:], kind)
	return box
}

func (f *format) readAVC(b []byte) bool {
	if len(b) < 15 {
		return false
	}
	rest, ok := setsIn(b[14:], int(b[13]&0x1f), &f.sps)
	if !ok || len(rest) == 0 {
		return false
	}
	_, ok = setsIn(rest[1:], int(rest[0]), &f.pps)
	return ok && len(f.sps) > 0 && len(f.pps) > 0
}

func (f *format) readHVC(b []byte) bool {
	if len(b) < 31 {
		return false
	}
	rest := b[31:]
	for range int(b[30]) {
		if len(rest) < 3 {
			return false
		}
		set := map[uint8]*[][]byte{32: &f.vps, 33: &f.sps, 34: &f.pps}[rest[0]&0x3f]
		if set == nil {
			return false
		}
		var ok bool
		if rest, ok = setsIn(rest[3:], int(be.Uint16(rest[1:])), set); !ok {
			return false
		}
	}
	return len(f.vps) > 0 && len(f.sps) > 0 && len(f.pps) > 0
}

// setsIn reads n parameter sets, each after its length.
func setsIn(b []byte, n int, into *[][]byte) (rest []byte, ok bool) {
	for range n {
		if len(b) < 2 || int(be.Uint16(b)) > len(b)-2 || len(*into) == mostSets {
			return nil, false
		}
		k := 2 + int(be.Uint16(b))
		*into = append(*into, b[2:k:k])
		b = b[k:]
	}
	return b, true
}

// sets are the parameter sets in the order that a decoder wants them, in a slice of its own.
func (f *format) sets() (all [][]byte) {
	all = append(all, f.vps...)
	all = append(all, f.sps...)
	return append(all, f.pps...)
}

// soundOr is a codec whose clock can be asked for, also where there is no sound.
func (f *format) soundOr() stream.Codec {
	if f.sound == stream.None {
		return stream.Opus
	}
	return f.sound
}
