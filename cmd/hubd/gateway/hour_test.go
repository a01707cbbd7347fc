package gateway

import (
	"testing"
	"time"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/reach/wire"
)

func TestTheCountysTimeRidesWithAcknowledgementsOnceADay(t *testing.T) {
	a := newAir(t, hubfile.KindBeidou)
	known := false
	a.hub.o.Clock = func() (time.Time, time.Duration, bool) { return epoch.Add(a.now), 300 * time.Millisecond, known }
	// told gives the times among what a station heard, and whether its alarm was acknowledged, in one message.
	n := uint32(0)
	told := func() []wire.Clock {
		t.Helper()
		n++
		a.hear(a.mine[upper], a.say(upper, alarm(t, n))[0])
		a.now += time.Minute
		out := a.out()
		if len(out) != 1 {
			t.Fatalf("%d messages", len(out))
		}
		heard, acked, _ := a.back(upper, out)
		if len(acked) != 1 {
			t.Errorf("acknowledged %v", acked)
		}
		var all []wire.Clock
		for _, h := range heard {
			for _, i := range h.Items {
				if i.Type == wire.ItemTime {
					c, err := wire.ReadClock(i.Bytes)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, c)
				}
			}
			a.ends[upper].Kept(h.Counter)
		}
		return all
	}
	if c := told(); len(c) != 0 {
		t.Errorf("a hub that does not know the time tells %v", c)
	}
	known = true
	c := told()
	if len(c) != 1 || time.UnixMilli(c[0].UnixMilli).Sub(epoch.Add(a.now)).Abs() > time.Second || c[0].Within != 9 {
		t.Errorf("told %+v at %v", c, epoch.Add(a.now))
	}
	if c := told(); len(c) != 0 {
		t.Errorf("told again: %v", c)
	}
	a.now += hourEach
	if c := told(); len(c) != 1 {
		t.Errorf("a day later: %v", c)
	}
}
