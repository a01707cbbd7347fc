package whep

import (
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
)

// wireKept is how many packets on their way are known: two seconds of 20 Mbit/s.
const wireKept = 1 << 12

// wire knows what was sent under each transport-wide number, so that what the other end
// tells of a number can be counted in bytes and in time.
type wire struct {
	interceptor.NoOp
	now func() time.Duration

	mu    sync.Mutex
	sent  [wireKept]onWire
	train train
}

type onWire struct {
	seq  uint16
	size uint16 // 0: nothing, or told of
	at   time.Duration
	of   uint64 // the train that it belongs to
}

// BindLocalStream notes what goes out. It stands behind whoever numbers.
func (w *wire) BindLocalStream(info *interceptor.StreamInfo, next interceptor.RTPWriter) interceptor.RTPWriter {
	id := uint8(0)
	for _, e := range info.RTPHeaderExtensions {
		if e.URI == sdp.TransportCCURI {
			id = uint8(e.ID)
		}
	}
	if id == 0 {
		return next
	}
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		var n rtp.TransportCCExtension
		if n.Unmarshal(h.GetExtension(id)) == nil {
			w.mu.Lock()
			w.sent[n.TransportSequence%wireKept] = onWire{n.TransportSequence, uint16(h.MarshalSize() + len(payload)), w.now(), w.train.leaves()}
			w.mu.Unlock()
		}
		return next.Write(h, payload, a)
	})
}

// tells is what one word of the other end means: bytes that came, bytes that did not, and
// how long the newest was on its way there, and the word back.
func (w *wire) tells(now time.Duration, p *rtcp.TransportLayerCC) (came, lost int, way time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seq, left := p.BaseSequenceNumber, p.PacketStatusCount
	deltas, at := p.RecvDeltas, int64(p.ReferenceTime)*64_000 // µs, of the other end's clock
	one := func(symbol uint16) {
		if (symbol == rtcp.TypeTCCPacketReceivedSmallDelta || symbol == rtcp.TypeTCCPacketReceivedLargeDelta) && len(deltas) > 0 {
			at, deltas = at+deltas[0].Delta, deltas[1:]
		}
		s := &w.sent[seq%wireKept]
		if s.seq == seq && s.size > 0 {
			w.train.comes(s, symbol != rtcp.TypeTCCPacketNotReceived, at)
			switch {
			case symbol != rtcp.TypeTCCPacketNotReceived:
				came += int(s.size)
				way = now - s.at
				s.size = 0
			case now-s.at < wordFor: // what was lost at the end of a flow is told when the next begins
				lost += int(s.size)
			}
		}
		seq, left = seq+1, left-1
	}
	for _, c := range p.PacketChunks {
		switch c := c.(type) {
		case *rtcp.RunLengthChunk:
			for n := c.RunLength; n > 0 && left > 0; n-- {
				one(c.PacketStatusSymbol)
			}
		case *rtcp.StatusVectorChunk:
			for _, symbol := range c.SymbolList {
				if left > 0 {
					one(symbol)
				}
			}
		}
	}
	return came, lost, way
}

// nothing is what a probe carries until it leaves.
var nothing [padding]byte

// hollow makes packets that carry nothing padding (RFC 3550 5.1) where they leave: whoever
// counts bytes before counts all of them.
type hollow struct{ interceptor.NoOp }

func (*hollow) BindLocalStream(_ *interceptor.StreamInfo, next interceptor.RTPWriter) interceptor.RTPWriter {
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		if len(payload) == padding && &payload[0] == &nothing[0] {
			h.Padding, h.PaddingSize = true, padding
			payload = nil
		}
		return next.Write(h, payload, a)
	})
}

// with is a factory of an interceptor that is there already.
type with struct{ interceptor.Interceptor }

func (w with) NewInterceptor(string) (interceptor.Interceptor, error) { return w.Interceptor, nil }
