package rtmp

import (
	"encoding/hex"
)

// Parameter sets of x264 and x265 for 64×48 at 5 frames a second.
var (
	sps  = unhex("67f4000a9196847b0110000003001000000300a8f1226a")
	pps  = unhex("68ce0f1920")
	vpsH = unhex("40010c01ffff0408000003009e0800000300001eba0240")
	spsH = unhex("4201010408000003009e0800000300001e90041062cb7494985e02dc080800100000030010000003005080")
	ppsH = unhex("4401c07318300890")

	idr   = unhex("6588843a084001000040084ba06d05d62c6f22888f4031187e001e6c")
	inter = unhex("419a2015af1d80075131ffd325bbf6000ea263ffa64b77ede36e3999")
	idrH  = unhex("2801ac9891275fdffffff968aca8fc0b43114c009370a1d3cc37edcf")
	intH  = unhex("0201d0097884c0d840d1f499683c52ac90f8c7167d419abbdd16408c")
	// sei is user data (type 5) as DJI sends it before each picture, with our own UUID.
	sei = append(append(unhex("0605"), 20), append([]byte("0123456789abcdefdji!"), 0x80)...)
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// avcC is a record of ISO/IEC 14496-15, 5.3.3.1, with lengths of so many bytes.
func avcC(size int, sps, pps []byte) []byte {
	b := []byte{1, sps[1], sps[2], sps[3], 0xfc | byte(size-1), 0xe1, byte(len(sps) >> 8), byte(len(sps))}
	b = append(b, sps...)
	b = append(b, 1, byte(len(pps)>>8), byte(len(pps)))
	return append(b, pps...)
}

// hvcC is a record of 8.3.3.1.
func hvcC(size int, sets ...[]byte) []byte {
	b := make([]byte, 23)
	b[0], b[21], b[22] = 1, 0xc|byte(size-1), byte(len(sets))
	for _, s := range sets {
		b = append(b, 0x80|s[0]>>1&0x3f, 0, 1, byte(len(s)>>8), byte(len(s)))
		b = append(b, s...)
	}
	return b
}

func lengths(size int, nals ...[]byte) []byte {
	var b []byte
	for _, n := range nals {
		for i := size - 1; i >= 0; i-- {
			b = append(b, byte(len(n)>>(8*i)))
		}
		b = append(b, n...)
	}
	return b
}

// old makes a video message of FLV: 1 a key frame, 2 another.
func old(frame, codec, packet byte, shift int32, data []byte) []byte {
	return append(append24([]byte{frame<<4 | codec, packet}, uint32(shift)), data...)
}

// enhanced makes one of Enhanced RTMP.
func enhanced(frame, packet byte, fourcc string, data []byte) []byte {
	return append(append([]byte{0x80 | frame<<4 | packet}, fourcc...), data...)
}
