package stream

import (
	"sync"

	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph265"
	"github.com/pion/rtp"
)

// PayloadMax is the longest RTP payload in bytes: with IPv6, UDP, SRTP and two header
// extensions it stays below the 1280 bytes that every IPv6 link carries (RFC 8200).
const PayloadMax = 1188

// packing is a unit's RTP payloads, made for the first who asks.
type packing struct {
	once     sync.Once
	payloads [][]byte
}

// Payloads are the unit's RTP payloads, the last of which carries the marker: RFC 6184
// mode 1, RFC 7798. User data of SEI type 5 is left out: one maker's freezes browsers.
// They are made once and shared: nobody changes them.
func (u *Unit) Payloads() [][]byte {
	if !u.Codec.Picture() {
		return [][]byte{u.Sound}
	}
	u.pack.once.Do(func() {
		nals := make([][]byte, 0, len(u.NALs))
		for _, n := range u.NALs {
			if n = withoutUserData(u.Codec, n); n != nil {
				nals = append(nals, n)
			}
		}
		var packets []*rtp.Packet
		if u.Codec == H264 {
			e := rtph264.Encoder{PayloadMaxSize: PayloadMax, PacketizationMode: 1}
			if e.Init() == nil {
				packets, _ = e.Encode(nals)
			}
		} else {
			e := rtph265.Encoder{PayloadMaxSize: PayloadMax}
			if e.Init() == nil {
				packets, _ = e.Encode(nals)
			}
		}
		u.pack.payloads = make([][]byte, len(packets))
		for i, p := range packets {
			u.pack.payloads[i] = p.Payload
		}
	})
	return u.pack.payloads
}
