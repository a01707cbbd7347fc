package gateway

import (
	"context"
	"math/bits"
	"time"

	"tocsin/firmware/reach/narrow"
	"tocsin/firmware/reach/wire"
)

// hourEach is how often a station is told the county's time: a box beyond every network may have no other. It rides with
// acknowledgements that are due anyway.
const hourEach = 24 * time.Hour

// hour gives a message of acknowledgements with the hub's time beside them; false where it is not their turn, or the hub does
// not know the time itself.
func (n *Narrow) hour(ctx context.Context, f *far, most int) (narrow.Frame, bool) {
	if n.o.Clock == nil || f.end.AckDue() == 0 {
		return narrow.Frame{}, false
	}
	now := n.o.Mono()
	n.mu.Lock()
	early := f.hour >= 0 && now-f.hour < hourEach
	n.mu.Unlock()
	if early {
		return narrow.Frame{}, false
	}
	t, within, ok := n.o.Clock()
	if !ok {
		return narrow.Frame{}, false
	}
	c := wire.Clock{UnixMilli: t.UnixMilli(), Within: uint8(bits.Len64(uint64(max(0, within.Milliseconds()))))}
	frames, err := f.end.Pack(ctx, most, []narrow.Part{{ID: "hour", Class: wire.Telemetry, Item: wire.Item{Type: wire.ItemTime, Bytes: c.Bytes()}}})
	if err != nil || len(frames) != 1 {
		n.o.Log.Warn("the time could not be sealed", "link", n.name, "station", f.station, "err", err)
		return narrow.Frame{}, false
	}
	n.mu.Lock()
	f.hour = now
	n.mu.Unlock()
	return frames[0], true
}
