package narrow

import (
	"context"

	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/firmware/reach/wire"
)

func TestWhatCannotBeKeptIsNotActedUponAndComesAgain(t *testing.T) {
	k, d := keys(t, 1, 1), newDisk()
	station, hub := end(t, wire.Up, k, d), end(t, wire.Down, k, newDisk())
	for _, p := range []Part{part("c", wire.Command, wire.ItemCommand, 20), part("t", wire.Telemetry, wire.ItemTime, 7)} {
		f := pack(t, hub, 78, p)[0]
		d.bad = true
		if r, err := station.Hear(t.Context(), f.Bytes, hubCard, 0); err == nil || len(r.Heard) > 0 {
			t.Fatalf("acted upon without a disk: %+v", r)
		}
		d.bad = false
		if r := hear(t, station, hubCard, f); len(r.Heard) != 1 || r.Heard[0].Unkept {
			t.Errorf("it did not come again: %+v", r)
		}
	}
}

func TestAFreshSignedRedIsGivenThoughTheDiskIsDeadAndNothingElseWithIt(t *testing.T) {
	k, d := keys(t, 1, 1), newDisk()
	station, hub := end(t, wire.Up, k, d), end(t, wire.Down, k, newDisk())
	f := pack(t, hub, 200, part("w", wire.Warning, wire.ItemWarning, 78), part("t", wire.Warning, wire.ItemTime, 7))[0]
	d.bad = true
	r := hear(t, station, hubCard, f)
	if len(r.Heard) != 1 || !r.Heard[0].Unkept || len(r.Heard[0].Items) != 1 || r.Heard[0].Items[0].Type != wire.ItemWarning {
		t.Fatalf("%+v", r)
	}
	if again, err := station.Hear(t.Context(), f.Bytes, hubCard, 0); !wire.Replayed(err) || len(again.Heard) > 0 {
		t.Error("it sounds twice in one life")
	}
	// After a power cut it may come again: nothing says that it was heard.
	if r := hear(t, end(t, wire.Up, k, d.copy()), hubCard, f); len(r.Heard) != 1 {
		t.Error("it was lost")
	}
}

// stuck is a disk that answers nothing.
type stuck struct{ *disk }

func (s stuck) Put(ctx context.Context, _ string, _ []byte) error { <-ctx.Done(); return ctx.Err() }

func TestAStuckDiskHoldsUpARedForAMomentOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const patience = 20 * time.Millisecond
		k := keys(t, 1, 1)
		hub := end(t, wire.Down, k, newDisk())
		station := end(t, wire.Up, k, stuck{newDisk()}, func(o *Opts) { o.Patience = patience })
		begun := time.Now()
		if r := hear(t, station, hubCard, pack(t, hub, 100, part("w", wire.Warning, wire.ItemWarning, 78))[0]); len(r.Heard) != 1 {
			t.Error("it was not given")
		}
		if d := time.Since(begun); d != patience {
			t.Errorf("it took %v", d)
		}
	})
}

func TestWithADeadDiskCountersGoOnAsLongAsTheyAreReserved(t *testing.T) {
	d := newDisk()
	station := end(t, wire.Up, keys(t, 1, 1), d)
	pack(t, station, 78, part("a", wire.Alarm, wire.ItemAlarm, 20))
	d.bad = true
	sent := 1
	for ; sent < 3000; sent++ {
		if _, err := station.Pack(t.Context(), 78, []Part{part("a", wire.Alarm, wire.ItemAlarm, 20)}); err != nil {
			break
		}
	}
	if sent != wire.CounterBlock {
		t.Errorf("%d messages went out of the %d that were reserved", sent, wire.CounterBlock)
	}
}

// lazy is a disk that shows what it was given though it could not keep it, as a journal does.
type lazy struct{ *disk }

func (l lazy) Put(ctx context.Context, key string, v []byte) error {
	err := l.disk.Put(ctx, key, v)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept[key] = v
	return err
}

func TestADiskThatIsDeadForLongDoesNotLeadCountersAwayFromThePeer(t *testing.T) {
	k, d := keys(t, 1, 1), newDisk()
	station, hub := end(t, wire.Up, k, lazy{d}), end(t, wire.Down, k, newDisk())
	hear(t, hub, stationCard, pack(t, station, 78, part("a", wire.Alarm, wire.ItemAlarm, 20))[0])
	d.bad = true
	for range 5000 {
		station.Pack(t.Context(), 78, []Part{part("a", wire.Alarm, wire.ItemAlarm, 20)})
	}
	d.bad = false
	if r := hear(t, hub, stationCard, pack(t, station, 78, part("a", wire.Alarm, wire.ItemAlarm, 20))[0]); len(r.Heard) != 1 || r.Heard[0].Counter > 4*wire.CounterBlock {
		t.Errorf("%+v", r)
	}
}

func TestEndsOfOnePairNeverUseACounterTwiceWhateverTheLink(t *testing.T) {
	for name, shared := range map[string]bool{"shared": true, "each its own, one disk": false} {
		k, d := keys(t, 1, 1), newDisk()
		c := NewCounters(d)
		ends := map[string]*End{}
		for _, link := range []string{"beidou", "mesh"} {
			ends[link] = end(t, wire.Down, k, d, func(o *Opts) {
				o.Link = link
				if shared {
					o.Counters = c
				}
			})
		}
		open := wire.Receiver{Keys: k, Direction: wire.Down, Window: &wire.Window{}, Hidden: wire.HideCommands}
		used := map[uint64]bool{}
		for i := range 4000 {
			link := []string{"beidou", "mesh"}[i%2]
			f := pack(t, ends[link], 78, part("c", wire.Command, wire.ItemCommand, 20))[0]
			m, err := open.Open(f.Bytes, hubCard)
			if m.Counter == 0 || used[m.Counter] {
				t.Fatalf("%s: %d was used twice (%v)", name, m.Counter, err)
			}
			used[m.Counter] = true
			open.Window = &wire.Window{}
			open.Window.Take(max(1, m.Counter-1))
		}
	}
}

func TestWhatIsKeptAndCannotBeReadIsNoBeginningAtZero(t *testing.T) {
	k, d := keys(t, 1, 1), newDisk()
	station, hub := end(t, wire.Up, k, d), end(t, wire.Down, k, newDisk())
	pack(t, station, 78, part("a", wire.Alarm, wire.ItemAlarm, 20))
	hear(t, station, hubCard, pack(t, hub, 78, part("c", wire.Command, wire.ItemCommand, 20))[0])
	if len(d.kept) != 2 {
		t.Fatalf("%v", d.kept)
	}
	for key := range d.kept {
		for _, bad := range []string{"", "x", "-1", `{"version":2,"highest":5}`, strings.Repeat("9", 40)} {
			c := d.copy()
			c.kept[key] = []byte(bad)
			_, err := New(Opts{Link: "beidou", Direction: wire.Up, Keys: k, Self: stationCard, Peer: hubCard, Keep: c})
			if err == nil {
				t.Errorf("%s = %q begins at zero", key, bad)
			}
		}
	}
}

func TestAHubThatLostItsDiskHearsItsStationsAgain(t *testing.T) {
	k, d := keys(t, 1, 1), newDisk()
	d.kept["narrow/"+k[0].Pair+"/up/sent"] = []byte("21000000") // twenty years, two a minute
	station := end(t, wire.Up, k, d)
	hub := end(t, wire.Down, k, newDisk())
	if r := hear(t, hub, stationCard, pack(t, station, 78, part("a", wire.Alarm, wire.ItemAlarm, 20))[0]); len(r.Heard) != 1 {
		t.Error("it does not")
	}
}

func TestOnlyThePeerIsHeard(t *testing.T) {
	station, hub := pair(t)
	f := pack(t, station, 78, part("a", wire.Alarm, wire.ItemAlarm, 20))[0]
	for name, from := range map[string]string{"another card": "4207734", "the hub's own": hubCard} {
		if _, err := hub.Hear(t.Context(), f.Bytes, from, 0); err == nil {
			t.Errorf("%s is heard", name)
		}
	}
	// What went to the one cannot be sent back to the other as its own.
	if _, err := station.Hear(t.Context(), f.Bytes, hubCard, 0); err == nil {
		t.Error("its own message is heard")
	}
	if _, err := hub.Hear(t.Context(), f.Bytes, "", 0); err != nil {
		t.Error("a link that names nobody:", err)
	}
}

func TestKeysRollOverWhoeverHasTheNewOnesFirst(t *testing.T) {
	old, both := keys(t, 1, 1), keys(t, 1, 2, 1)
	talk := func(from, to *End, card string) bool {
		ok := false
		for i := range 20 {
			if r, err := to.Hear(t.Context(), pack(t, from, 78, part(fmt.Sprint(i), wire.Alarm, wire.ItemAlarm, 10))[0].Bytes, card, 0); err == nil && len(r.Heard) == 1 {
				ok = true
			}
		}
		return ok
	}
	for name, c := range map[string]struct{ station, hub []*wire.Keys }{
		"old": {old, old}, "hub first": {old, both}, "station first": {both, old}, "both": {both, both}, "hub has only the new": {both, both[:1]}, "station has only the new": {both[:1], both},
	} {
		station, hub := end(t, wire.Up, c.station, newDisk()), end(t, wire.Down, c.hub, newDisk())
		for range 2 {
			if !talk(station, hub, stationCard) || !talk(hub, station, hubCard) {
				t.Errorf("%s: they do not hear each other", name)
			}
		}
		if name == "both" && (station.proven != 0 || hub.proven != 0) {
			t.Error("both have the new keys and do not use them")
		}
		// In a settled state none is lost.
		for range 20 {
			hear(t, hub, stationCard, pack(t, station, 78, part("a", wire.Alarm, wire.ItemAlarm, 10))[0])
			hear(t, station, hubCard, pack(t, hub, 78, part("a", wire.Command, wire.ItemCommand, 10))[0])
		}
	}
	if _, err := New(Opts{Link: "x", Direction: wire.Up, Keys: append(keys(t, 1, 1), keys(t, 2, 1)...), Self: "1", Peer: "2", Keep: newDisk()}); err == nil {
		t.Error("keys of two pairs")
	}
}

func TestCommandsGoHiddenAndOnlyWithTheirOwnClass(t *testing.T) {
	_, hub := pair(t)
	frames := pack(t, hub, 200, part("w", wire.Warning, wire.ItemText, 20), part("c", wire.Command, wire.ItemCommand, 20), part("r", wire.Receipt, wire.ItemReceipts, 20), part("c", wire.Command, wire.ItemCommand, 20))
	if len(frames) != 2 || fmt.Sprint(frames[0].IDs, frames[1].IDs) != "[w r] [c c]" {
		t.Fatalf("%+v", frames)
	}
	if strings.Contains(string(frames[1].Bytes), "ccccc") || !strings.Contains(string(frames[0].Bytes), "wwwww") {
		t.Error("commands go in the clear, or others hidden")
	}
}

func TestAcknowledgementsReachBackAndRideAlong(t *testing.T) {
	station, hub := pair(t)
	for i := range 50 {
		f := pack(t, station, 78, part(fmt.Sprint(i), wire.Alarm, wire.ItemAlarm, 50))[0]
		hub.Kept(hear(t, hub, stationCard, f).Heard[0].Counter)
		if i%10 == 9 && i < 49 {
			if _, ok, err := hub.Acks(t.Context(), 78); !ok || err != nil {
				t.Fatal(ok, err)
			} // and it is lost
		}
	}
	down := pack(t, hub, 78, part("c", wire.Command, wire.ItemCommand, 45))
	if r := hear(t, station, hubCard, down[0]); len(r.Acked) != 33 || hub.AckDue() != 0 {
		t.Errorf("%d acknowledged: those of before are not in it", len(r.Acked))
	}
	if full := pack(t, hub, 78, part("c", wire.Command, wire.ItemCommand, 66)); len(full) != 1 {
		t.Error("there was no room")
	}
}

func TestWhatWasNotKeptIsNotAcknowledgedWhenItComesAgain(t *testing.T) {
	station, hub := pair(t)
	f := pack(t, station, 78, part("a", wire.Alarm, wire.ItemAlarm, 50))[0]
	hear(t, hub, stationCard, f)
	if _, err := hub.Hear(t.Context(), f.Bytes, stationCard, 0); !wire.Replayed(err) || hub.AckDue() != 0 {
		t.Error(err, hub.AckDue())
	}
	if _, ok, err := hub.Acks(t.Context(), 78); ok || err != nil {
		t.Error(ok, err)
	}
}

func TestAMessageThatCannotBeReadIsRefusedAndGoesOn(t *testing.T) {
	k := keys(t, 1, 1)
	hub := end(t, wire.Down, k, newDisk())
	n := wire.NewCounter(0, func(uint64) error { return nil })
	s := wire.Sender{Keys: k[0], Direction: wire.Up, Counter: n, Hidden: wire.HideCommands}
	for _, m := range []wire.Message{{Class: wire.Alarm, Content: []byte{0}}, {Class: wire.Alarm, Kind: wire.Fragment, Content: []byte{1}}, {Class: wire.Alarm, Kind: wire.AckOnly, Content: []byte{1}}, {Class: wire.Alarm}} {
		b, err := s.Seal(m, stationCard)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := hub.Hear(t.Context(), b, stationCard, 0); len(r.Heard)+len(r.Acked)+len(r.Send) > 0 || err == nil && m.Content != nil {
			t.Errorf("%+v gives %+v, %v", m, r, err)
		}
	}
}

func TestAnotherMessageWithACounterThatWasKeptIsNotAcknowledged(t *testing.T) {
	k := keys(t, 1, 1)
	hub := end(t, wire.Down, k, newDisk())
	first := pack(t, end(t, wire.Up, k, newDisk()), 78, part("a", wire.Alarm, wire.ItemAlarm, 20))[0]
	hub.Kept(hear(t, hub, stationCard, first).Heard[0].Counter)
	if _, ok, err := hub.Acks(t.Context(), 78); !ok || err != nil {
		t.Fatal(ok, err)
	}
	// The station lost its disk, and begins with the same counters.
	other := pack(t, end(t, wire.Up, k, newDisk()), 78, part("b", wire.Alarm, wire.ItemAlarm, 20))[0]
	if _, err := hub.Hear(t.Context(), other.Bytes, stationCard, 0); !wire.Replayed(err) || hub.AckDue() != 0 {
		t.Errorf("an alarm that nobody kept is acknowledged: %v", err)
	}
	if _, err := hub.Hear(t.Context(), first.Bytes, stationCard, 0); !wire.Replayed(err) || hub.AckDue() != 1 {
		t.Errorf("what was kept is not acknowledged again: %v", err)
	}
}

func TestAStationThatLostItsDiskIsHeardByAHubThatKnowsIt(t *testing.T) {
	first := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		began, now time.Time
		fresh      bool // the hub lost its disk, too
	}{
		"a minute after":              {first, first.Add(time.Minute), false},
		"years after":                 {first, first.AddDate(4, 0, 0), false},
		"after a life from 1":         {time.Time{}, first, false},
		"a hub that is new, too":      {first, first, true},
		"a hub that lost it long ago": {first, first.AddDate(1, 0, 0), true},
	} {
		k, now := keys(t, 1, 1), c.began
		hub := end(t, wire.Down, k, newDisk(), func(o *Opts) { o.Now = func() time.Time { return now } })
		life := func() *End {
			d := newDisk()
			return end(t, wire.Up, k, d, func(o *Opts) {
				o.Counters = NewCounters(d)
				if !now.IsZero() {
					o.Counters.Clock = func() (time.Time, bool) { return now, true }
				}
			})
		}
		station := life()
		if !c.fresh {
			for range 700 {
				hub.Kept(hear(t, hub, stationCard, pack(t, station, 78, part("a", wire.Alarm, wire.ItemAlarm, 20))[0]).Heard[0].Counter)
			}
			now = c.now
			station = life()
		}
		now = c.now
		f := pack(t, station, 78, part("b", wire.Alarm, wire.ItemAlarm, 20))[0]
		r, err := hub.Hear(t.Context(), f.Bytes, stationCard, 0)
		if err != nil || len(r.Heard) != 1 {
			t.Errorf("%s: the alarm of the new life is not heard: %v", name, err)
		}
	}
}

func TestCountersThatBeganByAFreeClockGoOnFromTheRightTime(t *testing.T) {
	k, build, set := keys(t, 1, 1), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), false
	now := build
	hub := end(t, wire.Down, k, newDisk(), func(o *Opts) { o.Now = func() time.Time { return build.AddDate(1, 0, 0) } })
	used := map[uint64]bool{}
	for life := range 5 {
		set, now = false, build
		d := newDisk()
		c := NewCounters(d)
		c.Clock = func() (time.Time, bool) { return now, set }
		var ends []*End
		for range 2 {
			ends = append(ends, end(t, wire.Up, k, d, func(o *Opts) { o.Counters = c }))
		}
		for _, e := range ends {
			f := pack(t, e, 78, part("a", wire.Alarm, wire.ItemAlarm, 20))[0]
			open := wire.Receiver{Keys: k, Direction: wire.Up, Window: &wire.Window{}, Anew: wire.CountersFrom(build.Unix())}
			m, err := open.Open(f.Bytes, stationCard)
			if err != nil || used[m.Counter] {
				t.Fatalf("life %d: %d was used before, %v", life, m.Counter, err)
			}
			used[m.Counter] = true
		}
		set, now = true, build.AddDate(1, 0, life)
		for i, e := range ends {
			r := hear(t, hub, stationCard, pack(t, e, 78, part("b", wire.Alarm, wire.ItemAlarm, 20))[0])
			if len(r.Heard) != 1 || r.Heard[0].Counter < wire.CountersFrom(now.Unix()) {
				t.Errorf("life %d, end %d: %+v", life, i, r)
			}
		}
	}
}
