package rtmp

import (
	"bytes"
	"errors"

	"tocsin/firmware/video/stream"
)

// recordSets is how many parameter sets a record may have; encoders send one of each.
const recordSets = 32

var (
	errRecord = errors.New("decoder configuration record is broken")
	errNALs   = errors.New("lengths of a picture's parts do not fit")
)

// A record is what a decoder configuration record says.
type record struct {
	codec stream.Codec
	size  int      // bytes of a NAL unit's length: 1, 2 or 4
	sets  [][]byte // parameter sets in their order
}

// readRecord reads an AVC or HEVC decoder configuration record (ISO/IEC 14496-15, 5.3.3.1
// and 8.3.3.1). Empty parameter sets are left out.
func readRecord(codec stream.Codec, b []byte) (record, error) {
	r := record{codec: codec}
	var err error
	if codec == stream.H265 {
		err = r.readHEVC(b)
	} else {
		err = r.readAVC(b)
	}
	if err == nil && r.size == 3 {
		err = errRecord
	}
	return r, err
}

func (r *record) readAVC(b []byte) error {
	if len(b) < 7 || b[0] != 1 {
		return errRecord
	}
	r.size = int(b[4]&3) + 1
	b, err := r.take(b[6:], int(b[5]&0x1f))
	if err != nil || len(b) < 1 {
		return errRecord
	}
	// What profiles of more than 8 bits append is not needed here.
	_, err = r.take(b[1:], int(b[0]))
	return err
}

func (r *record) readHEVC(b []byte) error {
	if len(b) < 23 {
		return errRecord
	}
	r.size = int(b[21]&3) + 1
	arrays := int(b[22])
	b = b[23:]
	for range arrays {
		if len(b) < 3 {
			return errRecord
		}
		var err error
		if b, err = r.take(b[3:], int(b[1])<<8|int(b[2])); err != nil {
			return err
		}
	}
	return nil
}

func (r *record) take(b []byte, n int) ([]byte, error) {
	for range n {
		if len(b) < 2 {
			return nil, errRecord
		}
		size := int(b[0])<<8 | int(b[1])
		if b = b[2:]; len(b) < size || len(r.sets) >= recordSets {
			return nil, errRecord
		}
		if size > 0 {
			r.sets = append(r.sets, b[:size:size])
		}
		b = b[size:]
	}
	return b, nil
}

var startCode = []byte{0, 0, 1}

// split cuts what is behind lengths of so many bytes into NAL units, which stay parts of b.
//
// Some encoders put start codes (annex B) where lengths belong (srs, issue 184), or several NAL units with start
// codes between them behind one length (RootEncoder, issue 2086). Within a NAL unit there is never a
// start code (H.264, H.265: 7.4.1), so that the second is told without doubt. For the first lengths are tried
// before, since a length can look like a start code (srs, issue 1405).
func split(b []byte, size int) ([][]byte, error) {
	var nals [][]byte
	for rest := b; len(rest) > 0; {
		n, ok := length(rest, size)
		if !ok {
			if nals := annexB(b); nals != nil {
				return nals, nil
			}
			return nals, errNALs
		}
		nal := rest[size : size+n : size+n]
		rest = rest[size+n:]
		if coded(nal) {
			nals = append(nals, between(nal)...)
		} else if n > 0 {
			nals = append(nals, nal)
		}
	}
	return nals, nil
}

// length reads a length; false where there is none or less behind it.
func length(b []byte, size int) (int, bool) {
	if len(b) < size {
		return 0, false
	}
	n := uint64(0)
	for _, c := range b[:size] {
		n = n<<8 | uint64(c)
	}
	return int(n), n <= uint64(len(b)-size)
}

// coded says that there is a start code in b. It looks for the rarest of its bytes, which is many times faster.
func coded(b []byte) bool {
	for at := 2; at < len(b); at++ {
		i := bytes.IndexByte(b[at:], 1)
		if i < 0 {
			return false
		}
		if at += i; b[at-1] == 0 && b[at-2] == 0 {
			return true
		}
	}
	return false
}

// annexB gives the NAL units of what begins with a start code; nil where it does not.
func annexB(b []byte) [][]byte {
	if !bytes.HasPrefix(b, startCode) && !bytes.HasPrefix(b, []byte{0, 0, 0, 1}) {
		return nil
	}
	return between(b)
}

// between gives what is between start codes, before the first too.
func between(b []byte) (nals [][]byte) {
	for more := true; more; {
		var n []byte
		n, b, more = bytes.Cut(b, startCode)
		if n = bytes.TrimRight(n, "\x00"); len(n) > 0 {
			nals = append(nals, n[:len(n):len(n)])
		}
	}
	return nals
}

// setOf says that a NAL unit is a parameter set (H.264 table 7-1; H.265 table 7-1).
func setOf(codec stream.Codec, nal []byte) bool {
	if codec == stream.H265 {
		t := nal[0] >> 1 & 0x3f
		return t >= 32 && t <= 34
	}
	t := nal[0] & 0x1f
	return t == 7 || t == 8
}
