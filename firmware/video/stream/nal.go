package stream

// kind is what a NAL is to the stream.
type kind uint8

const (
	other   kind = iota
	slice        // of a picture that is no key picture
	key          // of an IDR or IRAP picture
	params       // VPS, SPS, PPS
	sei          // supplemental enhancement information
	useless      // delimiters and filler
)

// headLen is the length of a NAL's header.
func headLen(c Codec) int {
	if c == H265 {
		return 2
	}
	return 1
}

// nalType is nal_unit_type (H.264 Table 7-1, H.265 Table 7-1).
func nalType(c Codec, n []byte) byte {
	if c == H265 {
		return n[0] >> 1 & 0x3f
	}
	return n[0] & 0x1f
}

func kindOf(c Codec, n []byte) kind {
	t := nalType(c, n)
	if c == H265 {
		switch {
		case t >= 16 && t <= 21:
			return key
		case t <= 9:
			return slice
		case t >= 32 && t <= 34:
			return params
		case t == 39 || t == 40:
			return sei
		case t == 35 || t == 38:
			return useless
		}
		return other
	}
	switch t {
	case 5:
		return key
	case 1, 2, 3, 4:
		return slice
	case 7, 8:
		return params
	case 6:
		return sei
	case 9, 12:
		return useless
	}
	return other
}

// opens says that a slice is the first of its picture: first_mb_in_slice = 0,
// first_slice_segment_in_pic_flag = 1; both are a set first bit.
func opens(c Codec, n []byte) bool {
	h := headLen(c)
	return len(n) > h && n[h]&0x80 != 0
}

// layer is H.265's TemporalId; reference says that other pictures may need this one.
func layerOf(c Codec, n []byte) (layer uint8, reference bool) {
	if c == H264 {
		return 0, n[0]&0x60 != 0
	}
	t := nalType(c, n)
	return max(n[1]&7, 1) - 1, t > 14 || t&1 == 1
}

// rasl is a picture that cannot be decoded after a beginning at the key picture
// before it (H.265 3.118).
func rasl(c Codec, n []byte) bool { return c == H265 && (nalType(c, n) == 8 || nalType(c, n) == 9) }

// trails says that a slice is of a trailing picture (H.265 Table 7-1, 0 to 5).
func trails(c Codec, n []byte) bool { return c == H264 || nalType(c, n) <= 5 }

// bipredictive says that a slice of H.264 is a B slice (7.3.3: first_mb_in_slice, then
// slice_type 1 or 6). H.265's slice header cannot be read without its parameter sets.
func bipredictive(c Codec, n []byte) bool {
	if c != H264 || len(n) < 2 {
		return false
	}
	b := bits{b: n[1:min(len(n), 17)]}
	b.ue()
	t := b.ue()
	return t == 1 || t == 6
}

// bits reads exponential Golomb codes (H.264 9.1); beyond its end it reads zeros.
type bits struct {
	b  []byte
	at int
}

func (b *bits) bit() uint32 {
	i := b.at
	b.at++
	if i/8 >= len(b.b) {
		return 0
	}
	return uint32(b.b[i/8]>>(7-i%8)) & 1
}

func (b *bits) ue() uint32 {
	n := 0
	for b.bit() == 0 {
		if n++; n > 31 {
			return 1<<32 - 1
		}
	}
	v := uint32(1)
	for range n {
		v = v<<1 | b.bit()
	}
	return v - 1
}

// withoutUserData is an SEI NAL without its messages of type 5 (user data,
// unregistered), or nil where nothing is left; any other NAL as it is. What cannot be
// read is left out: nothing is shown by it.
func withoutUserData(c Codec, n []byte) []byte {
	h := headLen(c)
	if len(n) <= h || kindOf(c, n) != sei {
		return n
	}
	var out []byte
	dropped := false
	b := n[h:]
	for len(b) > 1 || len(b) == 1 && b[0] != 0x80 {
		typ, size, i, ok := 0, 0, 0, false
		for _, v := range []*int{&typ, &size} {
			ok = false
			for i < len(b) {
				*v += int(b[i])
				i++
				if b[i-1] != 0xff {
					ok = true
					break
				}
			}
		}
		// The size counts bytes without emulation prevention, so the end is sought.
		end := i
		zeros := 0
		for left := size; left > 0 && end < len(b); end++ {
			if zeros >= 2 && b[end] == 3 {
				zeros = 0
				continue
			}
			if b[end] == 0 {
				zeros++
			} else {
				zeros = 0
			}
			if left--; left == 0 {
				end++
				break
			}
		}
		if !ok || size > end-i {
			dropped = true
			break
		}
		if typ == 5 {
			dropped = true
		} else {
			out = append(out, b[:end]...)
		}
		b = b[end:]
	}
	switch {
	case !dropped:
		return n
	case len(out) == 0:
		return nil
	}
	return append(append(append(make([]byte, 0, h+len(out)+1), n[:h]...), out...), 0x80)
}

// HasKey says that among NALs there is a slice of a key picture.
func HasKey(c Codec, nals [][]byte) bool {
	for _, n := range nals {
		if len(n) > headLen(c) && kindOf(c, n) == key {
			return true
		}
	}
	return false
}
