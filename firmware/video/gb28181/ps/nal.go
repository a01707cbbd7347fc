package ps

import (
	"bytes"

	"tocsin/firmware/video/stream"
)

// Split finds the NAL units between start codes (H.264 and H.265, Annex B). What
// stands before the first start code is left out. The units are parts of b.
func Split(b []byte) [][]byte {
	var nals [][]byte
	at := bytes.Index(b, []byte{0, 0, 1})
	for at >= 0 {
		b = b[at+3:]
		at = bytes.Index(b, []byte{0, 0, 1})
		n := b
		if at >= 0 {
			n = b[:at]
		}
		n = bytes.TrimRight(n, "\x00") // the zero of a longer start code, and stuffing
		if len(n) > 0 {
			nals = append(nals, n[:len(n):len(n)])
		}
	}
	return nals
}

func delimiter(c stream.Codec, n []byte) bool {
	if c == stream.H264 {
		return n[0]&0x1F == 9
	}
	return n[0]>>1&0x3F == 35
}

// guess tells the codec by the parameter sets, where no map was seen: an SPS of H.264
// is 7, the VPS, SPS and PPS of H.265 are 32 to 34 of layer 0.
func guess(nals [][]byte) byte {
	for _, n := range nals {
		if len(n) < 4 || n[0]&0x80 != 0 {
			continue
		}
		if t := n[0] >> 1 & 0x3F; t >= 32 && t <= 34 && n[0]&1 == 0 && n[1]&0xF8 == 0 && n[1]&7 != 0 {
			return typeH265
		}
		// The profile of the SPS tells it from whatever else has these five bits.
		if n[0]&0x1F == 7 && n[0]>>5 != 0 {
			switch n[1] {
			case 66, 77, 88, 100, 110, 122, 244:
				return typeH264
			}
		}
	}
	return 0
}
