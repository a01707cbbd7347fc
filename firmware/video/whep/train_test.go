package whep

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
)

// A train tells of the way by how far apart its packets came, in one word of the other end or in two, and
// where some were lost.
func TestATrainTellsWhatTheWayBears(t *testing.T) {
	const size = 250
	// Each packet came so many µs after the one before it; below 0 it never did.
	for name, c := range map[string]struct {
		gaps []int64
		cut  int // how many the first word tells of
		want int
	}{
		"64 kbit/s":             {[]int64{0, 31250, 31250, 31250}, 4, 64_000},
		"in two words":          {[]int64{0, 31250, 31250, 31250}, 2, 64_000},
		"8 Mbit/s":              {[]int64{0, 250, 250, 500}, 4, 6_000_000},
		"all at once":           {[]int64{0, 0, 0, 0}, 4, 6_000_000}, // no clock tells less than a millisecond
		"one lost":              {[]int64{0, 31250, -1, 62500}, 4, 42_666},
		"too few":               {[]int64{0, -1, -1, 31250}, 4, 0},
		"one overtook another":  {[]int64{31250, -31250 - 1, 62500, 31250}, 4, 64_000},
		"none of it ever comes": {nil, 4, 0},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Second
			w := &wire{now: func() time.Duration { return now }}
			w.begin(7)
			for seq := range uint16(4) {
				w.sent[seq] = onWire{seq, size, now, w.train.leaves()}
			}
			w.end()
			if n, _ := w.trained(now); n != 0 {
				t.Fatalf("train %d is told of before it came", n)
			}
			at := int64(0)
			for from, to := 0, min(c.cut, len(c.gaps)); from < len(c.gaps); from, to = to, len(c.gaps) {
				p := &rtcp.TransportLayerCC{BaseSequenceNumber: uint16(from), ReferenceTime: uint32(100 + at/64_000)}
				last := at / 64_000 * 64_000
				for _, gap := range c.gaps[from:to] {
					symbol := uint16(rtcp.TypeTCCPacketNotReceived)
					if gap != -1 {
						symbol = rtcp.TypeTCCPacketReceivedLargeDelta
						if gap < -1 {
							gap++
						}
						at += gap
						p.RecvDeltas = append(p.RecvDeltas, &rtcp.RecvDelta{Type: symbol, Delta: at - last})
						last = at
					}
					p.PacketChunks = append(p.PacketChunks, &rtcp.RunLengthChunk{PacketStatusSymbol: symbol, RunLength: 1})
					p.PacketStatusCount++
				}
				w.tells(now, p)
			}
			now += trainWait + 1
			if n, rate := w.trained(now); n != 7 || rate != c.want {
				t.Errorf("train %d told %d bit/s, not %d", n, rate, c.want)
			}
		})
	}
}
