package whep

import (
	"encoding/hex"
	"strings"
	"sync"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"tocsin/firmware/video/stream"
)

// history is how many packets can be sent again: two seconds of 4 Mbit/s, and the
// round trip of a satellite in the air.
const history = 1024

// track is one codec of a session: where units become RTP packets. Payloads are the
// stream's own; only their order is kept.
type track struct {
	id      string
	codec   stream.Codec
	profile byte // profile_idc of the H.264 stream

	mu    sync.Mutex
	w     webrtc.TrackLocalWriter
	ssrc  uint32
	pt    uint8
	seq   uint16
	base  uint32 // RTP time of the stream's beginning
	sent  []sent // ring by sequence number
	count struct{ packets, bytes, again uint64 }
	last  struct {
		rtp uint32
		at  int64 // µs of the monotonic clock
	}
}

type sent struct {
	payload []byte
	time    uint32
	seq     uint16
	marker  bool
	again   uint8
}

func newTrack(c stream.Codec, id string, seq uint16, base uint32) *track {
	n := history
	if !c.Picture() {
		n = 64
	}
	return &track{id: id, codec: c, seq: seq, base: base, sent: make([]sent, n)}
}

func (t *track) ID() string       { return t.id }
func (t *track) RID() string      { return "" }
func (t *track) StreamID() string { return "tocsin" }

func (t *track) Kind() webrtc.RTPCodecType {
	if t.codec.Picture() {
		return webrtc.RTPCodecTypeVideo
	}
	return webrtc.RTPCodecTypeAudio
}

func mime(c stream.Codec) string {
	switch c {
	case stream.H264:
		return webrtc.MimeTypeH264
	case stream.H265:
		return webrtc.MimeTypeH265
	case stream.PCMA:
		return webrtc.MimeTypePCMA
	case stream.PCMU:
		return webrtc.MimeTypePCMU
	}
	return webrtc.MimeTypeOpus
}

// Bind takes, of what both ends can, the codec of the stream; of H.264's profiles the
// stream's own where it is offered.
func (t *track) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	var best webrtc.RTPCodecParameters
	found := -1
	for _, p := range c.CodecParameters() {
		if !strings.EqualFold(p.MimeType, mime(t.codec)) {
			continue
		}
		fit := 0
		if t.codec == stream.H264 {
			if !strings.Contains(p.SDPFmtpLine, "packetization-mode=1") {
				continue
			}
			if profileOf(p.SDPFmtpLine) == t.profile {
				fit = 1
			}
		}
		if fit > found {
			best, found = p, fit
		}
	}
	if found < 0 {
		return best, webrtc.ErrUnsupportedCodec
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.w, t.ssrc, t.pt = c.WriteStream(), uint32(c.SSRC()), uint8(best.PayloadType)
	return best, nil
}

func profileOf(fmtp string) byte {
	_, rest, ok := strings.Cut(fmtp, "profile-level-id=")
	if !ok || len(rest) < 2 {
		return 0x42 // RFC 6184 8.1: baseline where none is said
	}
	b, err := hex.DecodeString(rest[:2])
	if err != nil {
		return 0
	}
	return b[0]
}

// Unbind forgets the way out.
func (t *track) Unbind(webrtc.TrackLocalContext) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.w = nil
	return nil
}

// packet sends one payload.
func (t *track) packet(h *rtp.Header, payload []byte, at int64, time int64, marker bool) error {
	t.mu.Lock()
	w := t.w
	if w == nil {
		t.mu.Unlock()
		return nil
	}
	t.seq++
	rt := t.base + uint32(time)
	t.sent[int(t.seq)%len(t.sent)] = sent{payload: payload, time: rt, seq: t.seq, marker: marker}
	t.count.packets++
	t.count.bytes += uint64(len(payload))
	t.last.rtp, t.last.at = rt, at
	t.header(h, t.seq, rt, marker)
	t.mu.Unlock()
	_, err := w.WriteRTP(h, payload)
	return err
}

// header fills what is written again and again without allocating.
func (t *track) header(h *rtp.Header, seq uint16, time uint32, marker bool) {
	*h = rtp.Header{Version: 2, PayloadType: t.pt, SSRC: t.ssrc, SequenceNumber: seq, Timestamp: time, Marker: marker, Extensions: h.Extensions[:0]}
}

// mostAgain is how often one packet is sent again.
const mostAgain = 8

// resend sends again what is still held; it says how many bytes.
func (t *track) resend(h *rtp.Header, n *rtcp.TransportLayerNack, room int) int {
	bytes := 0
	for _, pair := range n.Nacks {
		for _, seq := range pair.PacketList() {
			t.mu.Lock()
			p := &t.sent[int(seq)%len(t.sent)]
			if t.w == nil || p.payload == nil || p.seq != seq || p.again >= mostAgain || bytes+len(p.payload) > room {
				t.mu.Unlock()
				continue
			}
			p.again++
			t.count.again++
			w, payload := t.w, p.payload
			t.header(h, seq, p.time, p.marker)
			t.mu.Unlock()
			if _, err := w.WriteRTP(h, payload); err != nil {
				return bytes
			}
			bytes += len(payload)
		}
	}
	return bytes
}

// report is the sender report of now (RFC 3550 6.4.1); nil where nothing was sent.
func (t *track) report(now int64) *rtcp.SenderReport {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count.packets == 0 {
		return nil
	}
	elapsed := (now - t.last.at) * t.codec.Rate() / 1e6
	return &rtcp.SenderReport{SSRC: t.ssrc, NTPTime: ntp(now), RTPTime: t.last.rtp + uint32(elapsed), PacketCount: uint32(t.count.packets), OctetCount: uint32(t.count.bytes)}
}

// ntp is a monotonic clock as the 64 bits of RFC 3550 4: the ends of a session compare
// only its own streams by it.
func ntp(us int64) uint64 {
	return uint64(us/1e6)<<32 | uint64(us%1e6)<<32/1e6
}
