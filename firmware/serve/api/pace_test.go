package api

import (
	"fmt"
	"testing"
	"time"
)

// asker asks again as soon as it was answered, from one address.
type asker struct {
	addr  string
	due   time.Duration
	had   int
	worst time.Duration
}

// crowded lets askers ask in virtual time; each answer takes the handler's time and what lies beside it, one after another on one core.
func crowded(t *testing.T, all []*asker, took, long time.Duration) (busy time.Duration) {
	t.Helper()
	var p pace
	began := time.Unix(1_900_000_000, 0)
	core := time.Duration(0) // until when it is busy
	for {
		a := all[0]
		for _, x := range all {
			if x.due < a.due {
				a = x
			}
		}
		if a.due >= long {
			return busy
		}
		now := began.Add(a.due)
		wait, ok := p.enter(now, a.addr)
		if !ok {
			t.Fatalf("%s was refused after %v", a.addr, a.due)
		}
		from := max(a.due+wait, core)
		core = from + took + paceCost
		busy += took + paceCost
		p.leave(began.Add(core), a.addr, took)
		a.had, a.worst, a.due = a.had+1, max(a.worst, core-a.due), core
	}
}

func TestWhoAsksAsFastAsACoreCanHasAShareOfIt(t *testing.T) {
	const long = 20 * time.Second
	for _, n := range []int{1, 8, 60} {
		for _, took := range []time.Duration{50 * time.Microsecond, 500 * time.Microsecond, 5 * time.Millisecond} {
			var all []*asker
			for i := range n {
				all = append(all, &asker{addr: fmt.Sprint("10.0.0.", i)})
			}
			busy := crowded(t, all, took, long)
			share := min(shareOfAll, float64(n)*shareOfAddr)
			if most := time.Duration(share*float64(long)) + 5*paceBurst; busy > most || busy < most/2 {
				t.Errorf("%d askers of %v took %v of the core in %v, not %v", n, took, busy, long, most)
			}
		}
	}
}

// Who asks little beside one who asks without end waits for the share of all at most, not behind all that is asked.
func TestOneAddressDoesNotKeepOthersWaiting(t *testing.T) {
	var p pace
	now := time.Unix(1_900_000_000, 0)
	for range 2000 { // twelve connections that wait for nothing
		if _, ok := p.enter(now, "10.0.0.1"); ok {
			p.leave(now, "10.0.0.1", time.Millisecond)
		}
	}
	if _, ok := p.enter(now, "10.0.0.1"); ok {
		t.Error("it asks on without end")
	}
	if wait, ok := p.enter(now, "10.0.0.2"); !ok || wait > paceMost {
		t.Errorf("another waits %v, %v", wait, ok)
	}
	if wait, ok := p.enter(now.Add(10*time.Second), "10.0.0.1"); !ok || wait > 0 {
		t.Errorf("ten seconds later it still waits %v", wait)
	}
}

func TestAConsoleLoadsAtOnce(t *testing.T) {
	var p pace
	now := time.Unix(1_900_000_000, 0)
	for i := range 12 {
		for range 20 {
			if wait, ok := p.enter(now, fmt.Sprint(i)); !ok || wait > 0 {
				t.Fatalf("person %d waits %v", i, wait)
			}
			p.leave(now, fmt.Sprint(i), 200*time.Microsecond)
		}
	}
}

func TestOnlySoManyAddressesAreKnown(t *testing.T) {
	var p pace
	now := time.Unix(1_900_000_000, 0)
	for i := range 20_000 {
		if _, ok := p.enter(now, fmt.Sprint(i)); ok {
			p.leave(now, fmt.Sprint(i), time.Millisecond)
		}
		now = now.Add(100 * time.Millisecond / 3)
	}
	if len(p.from) > paceAddrs {
		t.Errorf("%d addresses are known", len(p.from))
	}
}

// Strangers ask from a whole network without end: all that is answered is asked for, and who comes then is
// neither refused nor kept waiting; nor is a STOP.
func TestWhoComesToABesiegedPageSeesIt(t *testing.T) {
	var p pace
	now := time.Unix(1_900_000_000, 0)
	refused := 0
	for range 400 {
		for i := range 254 {
			if _, ok := p.enter(now, fmt.Sprint("10.0.0.", i)); ok {
				p.leave(now, fmt.Sprint("10.0.0.", i), time.Millisecond)
			} else {
				refused++
			}
		}
		now = now.Add(100 * time.Millisecond)
	}
	if refused == 0 {
		t.Fatal("it is no siege")
	}
	if wait, ok := p.enter(now, "10.0.1.1"); !ok || wait > 0 {
		t.Errorf("who comes anew waits %v, let in: %v", wait, ok)
	}
	if wait := p.stop(now, "10.0.1.1"); wait > 0 {
		t.Errorf("STOP waits %v", wait)
	}
	for range 100_000 {
		if wait := p.stop(now, "10.0.0.1"); wait > stopMost {
			t.Fatalf("STOP waits %v", wait)
		}
	}
	if p.stop(now, "10.0.0.1") == 0 {
		t.Error("who asks for STOP without end has all of the processor")
	}
}
