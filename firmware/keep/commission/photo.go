package commission

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	_ "image/jpeg" // their frames are read by image.DecodeConfig
	_ "image/png"

	"tocsin/firmware/phrase"
)

// Picture is a photo that may be kept.
type Picture struct {
	Bytes  []byte
	Kind   string // jpeg or png
	Width  int
	Height int
}

// Clean takes a photo from outside: it reads its frame, never the picture, refuses what
// is no JPEG or PNG or larger than the bounds, and drops all that is not the picture
// itself (Exif with the place, XMP, comments, thumbnails), but for the orientation.
func Clean(b []byte, most Bounds) (Picture, error) {
	if int64(len(b)) > most.Bytes {
		return Picture{}, phrase.E("commission.photo_large", "most", most.Bytes>>20)
	}
	c, kind, err := image.DecodeConfig(bytes.NewReader(b))
	if err != nil || kind != "jpeg" && kind != "png" {
		return Picture{}, phrase.E("commission.photo_kind")
	}
	if c.Width <= 0 || c.Height <= 0 || int64(c.Width)*int64(c.Height) > most.Pixels {
		return Picture{}, phrase.E("commission.photo_pixels", "width", c.Width, "height", c.Height, "most", most.Pixels/1e6)
	}
	p := Picture{Kind: kind, Width: c.Width, Height: c.Height}
	ok := false
	if kind == "jpeg" {
		p.Bytes, ok = cleanJPEG(b)
	} else {
		p.Bytes, ok = cleanPNG(b)
	}
	if !ok {
		return Picture{}, phrase.E("commission.photo_kind")
	}
	return p, nil
}

// Markers of JPEG that matter here: ISO/IEC 10918-1, table B.1.
const (
	mSOI  = 0xD8
	mEOI  = 0xD9
	mSOS  = 0xDA
	mCOM  = 0xFE
	mAPP0 = 0xE0
	mAPP1 = 0xE1
	mAPPE = 0xEE // Adobe: tells how colours are coded
	mAPPF = 0xEF
)

// cleanJPEG copies the segments of the picture and its entropy-coded data up to the end
// of image; what comes after it is dropped.
func cleanJPEG(b []byte) ([]byte, bool) {
	if len(b) < 4 || b[0] != 0xFF || b[1] != mSOI {
		return nil, false
	}
	out := append(make([]byte, 0, len(b)), 0xFF, mSOI)
	turned := false
	for i := 2; ; {
		if i+4 > len(b) || b[i] != 0xFF {
			return nil, false
		}
		m := b[i+1]
		if m == 0xFF { // fill
			i++
			continue
		}
		if m == mEOI {
			return append(out, 0xFF, mEOI), true
		}
		if m == 0 || m == 1 || m >= 0xD0 && m <= 0xD8 {
			return nil, false // none of these stands alone here
		}
		n := int(binary.BigEndian.Uint16(b[i+2:]))
		if n < 2 || i+2+n > len(b) {
			return nil, false
		}
		seg := b[i : i+2+n]
		i += 2 + n
		switch {
		case m == mAPP1 && !turned:
			if o := orientation(seg[4:]); o > 1 {
				out, turned = append(out, turn(o)...), true
			}
		case m > mAPP0 && m <= mAPPF && m != mAPPE || m == mCOM:
		default:
			out = append(out, seg...)
		}
		if m != mSOS {
			continue
		}
		// Entropy-coded data ends at a marker that is neither stuffing nor a restart.
		begin := i
		for ; ; i++ {
			if i+1 >= len(b) {
				return nil, false
			}
			if b[i] == 0xFF && b[i+1] != 0 && b[i+1] != 0xFF && (b[i+1] < 0xD0 || b[i+1] > 0xD7) {
				break
			}
		}
		out = append(out, b[begin:i]...)
		if b[i+1] == mEOI {
			return append(out, 0xFF, mEOI), true
		}
	}
}

// orientation reads tag 0x0112 of an Exif segment's first directory; 0 where there is none.
func orientation(b []byte) int {
	t, ok := bytes.CutPrefix(b, []byte("Exif\x00\x00"))
	if !ok || len(t) < 8 {
		return 0
	}
	var o binary.ByteOrder = binary.BigEndian
	if t[0] == 'I' {
		o = binary.LittleEndian
	}
	at := int(o.Uint32(t[4:]))
	if at < 8 || at+2 > len(t) {
		return 0
	}
	for i := range int(o.Uint16(t[at:])) {
		e := at + 2 + 12*i
		if e+12 > len(t) {
			return 0
		}
		if o.Uint16(t[e:]) == 0x0112 {
			if v := int(o.Uint16(t[e+8:])); v >= 1 && v <= 8 {
				return v
			}
			return 0
		}
	}
	return 0
}

// turn is an Exif segment that says the orientation and nothing else.
func turn(o int) []byte {
	return append([]byte{0xFF, mAPP1, 0, 34, 'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, byte(o), 0, 0}, 0, 0, 0, 0)
}

// keptChunks are those of PNG that the picture needs.
var keptChunks = map[string]bool{"IHDR": true, "PLTE": true, "tRNS": true, "IDAT": true, "IEND": true, "gAMA": true, "sRGB": true, "pHYs": true, "sBIT": true}

func cleanPNG(b []byte) ([]byte, bool) {
	const head = "\x89PNG\r\n\x1a\n"
	rest, ok := bytes.CutPrefix(b, []byte(head))
	if !ok {
		return nil, false
	}
	out := append(make([]byte, 0, len(b)), head...)
	for {
		if len(rest) < 12 {
			return nil, false
		}
		n := binary.BigEndian.Uint32(rest)
		if int64(n) > int64(len(rest)-12) {
			return nil, false
		}
		whole, kind := rest[:12+n], string(rest[4:8])
		if crc32.ChecksumIEEE(whole[4:8+n]) != binary.BigEndian.Uint32(whole[8+n:]) {
			return nil, false
		}
		if keptChunks[kind] {
			out = append(out, whole...)
		}
		if rest = rest[12+n:]; kind == "IEND" {
			return out, true
		}
	}
}
