package narrow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/wire"
)

// fake is a terminal that does what it is told.
type fake struct {
	mu     sync.Mutex
	limits drivers.TerminalLimits
	fault  error
	sent   [][]byte
	in     chan drivers.Incoming
}

func newFake() *fake {
	return &fake{limits: drivers.TerminalLimits{Bytes: 78, Transmit: true}, in: make(chan drivers.Incoming, 64)}
}

func (f *fake) Run(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
func (f *fake) Send(_ context.Context, m drivers.Outgoing) (drivers.Sent, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fault != nil {
		return drivers.Sent{}, f.fault
	}
	f.sent = append(f.sent, m.Bytes)
	return drivers.Sent{At: time.Now(), Stage: drivers.StageAired}, nil
}
func (f *fake) Received() <-chan drivers.Incoming { return f.in }
func (f *fake) Limits() drivers.TerminalLimits    { f.mu.Lock(); defer f.mu.Unlock(); return f.limits }
func (f *fake) State() drivers.TerminalState      { return drivers.TerminalState{} }
func (f *fake) String() string                    { return "fake" }
func (f *fake) set(change func(*fake))            { f.mu.Lock(); defer f.mu.Unlock(); change(f) }
func (f *fake) out() [][]byte                     { f.mu.Lock(); defer f.mu.Unlock(); return slices.Clone(f.sent) }

// linked is a station's Link over a fake terminal, and the hub's end.
type linked struct {
	*Link
	term    *fake
	hub     *End
	station *End
	mu      sync.Mutex
	heard   []Heard
	compact int
	refuse  error
}

func link(t *testing.T, change ...func(*LinkOpts)) *linked {
	t.Helper()
	station, hub := pair(t)
	x := &linked{term: newFake(), hub: hub, station: station}
	o := LinkOpts{Name: "beidou", Terminal: x.term, End: station, To: hubCard,
		Item: func(p courier.Part) (wire.Item, bool) {
			return wire.Item{Type: wire.ItemText, Bytes: p.Bytes}, p.ID != "none"
		},
		Heard: func(_ context.Context, h Heard) error {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.heard = append(x.heard, h)
			return x.refuse
		},
		Compact: func(context.Context, drivers.Incoming) { x.mu.Lock(); x.compact++; x.mu.Unlock() },
		Start:   func(_ string, run func()) { go run() },
	}
	for _, f := range change {
		f(&o)
	}
	x.Link = NewLink(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- x.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return x
}

func parcel(class courier.Class, id string, n int) courier.Parcel {
	return courier.Parcel{Parts: []courier.Part{{ID: id, Class: class, Bytes: noise(n, 1)}}}
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(60 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("waited in vain: ", what)
		}
	}
}

func TestATerminalsFaultIsTheCouriers(t *testing.T) {
	for kind, want := range map[drivers.FaultKind]courier.FaultKind{
		drivers.FaultEarly: courier.FaultEarly, drivers.FaultTooLong: courier.FaultTooLong, drivers.FaultBarred: courier.FaultRefused, drivers.FaultRefused: courier.FaultRefused,
		drivers.FaultCancelled: courier.FaultRefused, drivers.FaultGone: courier.FaultGone, drivers.FaultTimeout: courier.FaultUnsure, drivers.FaultOther: courier.FaultUnsure,
	} {
		l := link(t)
		l.term.set(func(f *fake) { f.fault = &drivers.Fault{Kind: kind, Until: time.Now().Add(time.Minute)} })
		var got *courier.Fault
		err := l.Send(t.Context(), parcel(courier.Alarm, "a", 20))
		if !errors.As(err, &got) || got.Kind != want || (got.Wait > 50*time.Second) != (want == courier.FaultEarly) {
			t.Errorf("%v is told as %v", kind, err)
		}
	}
	if FaultOf(nil) != nil || FaultOf(errors.New("x")).(*courier.Fault).Kind != courier.FaultUnsure {
		t.Error("no fault, or an unknown one")
	}
}

func TestALinkSaysWhyItSendsNothing(t *testing.T) {
	l := link(t)
	seen := map[string]bool{}
	for _, b := range []drivers.Bar{drivers.BarStarting, drivers.BarReceiveOnly, drivers.BarNoCard, drivers.BarOtherCard, drivers.BarLevel, drivers.BarSettings, drivers.BarNoSignal, drivers.BarSilenced, "new"} {
		l.term.set(func(f *fake) { f.limits = drivers.TerminalLimits{Bytes: 78, Bar: b, Every: time.Minute} })
		x := l.Limits()
		if x.May || x.Every != time.Minute || x.Bytes != 78 || x.Why.In(phrase.ZH) == "" || seen[x.Why.In(phrase.ZH)] {
			t.Errorf("%s: %+v", b, x)
		}
		seen[x.Why.In(phrase.ZH)] = true
		var f *courier.Fault
		if err := l.Send(t.Context(), parcel(courier.Alarm, "a", 20)); !errors.As(err, &f) || f.Kind != courier.FaultRefused {
			t.Errorf("%s: %v", b, err)
		}
	}
	l.term.set(func(f *fake) { f.limits = drivers.TerminalLimits{Bytes: 11, Transmit: true} })
	if l.Limits().May {
		t.Error("no room for anything, and it may")
	}
}

func TestWhatIsEarlyOrHasNoFormCostsNoCounter(t *testing.T) {
	l := link(t)
	l.term.set(func(f *fake) { f.limits.Next = time.Now().Add(time.Minute) })
	var f *courier.Fault
	if err := l.Send(t.Context(), parcel(courier.Alarm, "a", 20)); !errors.As(err, &f) || f.Kind != courier.FaultEarly || f.Wait < 50*time.Second {
		t.Error(err)
	}
	l.term.set(func(f *fake) { f.limits.Next = time.Time{} })
	for _, p := range []courier.Parcel{parcel(courier.Alarm, "none", 20), parcel(courier.Alarm, "huge", 1500)} {
		if err := l.Send(t.Context(), p); !errors.As(err, &f) || f.Kind != courier.FaultTooLong {
			t.Errorf("%s: %v", p.Parts[0].ID, err)
		}
	}
	if len(l.station.out) != 0 || len(l.term.out()) != 0 {
		t.Error("something went out")
	}
}

func TestTheCourierHearsWhichFormTheHubHasKept(t *testing.T) {
	l := link(t)
	p := parcel(courier.Receipt, "a1b2c3-1", 10)
	p.Parts = append(p.Parts, courier.Part{ID: "a1b2c3-2", Class: courier.Telemetry, Short: true, Bytes: noise(20, 2)})
	if err := l.Send(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	r, err := l.hub.Hear(t.Context(), l.term.out()[0], stationCard, 0)
	if err != nil {
		t.Fatal(err)
	}
	l.hub.Kept(r.Heard[0].Counter)
	ack, _, err := l.hub.Acks(t.Context(), 78)
	if err != nil {
		t.Fatal(err)
	}
	l.term.in <- drivers.Incoming{From: hubCard, Bytes: ack.Bytes}
	select {
	case got := <-l.Acks():
		if fmt.Sprint(got) != "[{a1b2c3-1 false } {a1b2c3-2 true }]" {
			t.Error(got)
		}
	case <-time.After(60 * time.Second):
		t.Fatal("no receipt")
	}
}

func TestOnlyWhatWasKeptIsAcknowledgedAndAloneOnlyWhenItWaitedOrManyDo(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*LinkOpts)
		refuse error
		n      int
		goes   bool
	}{
		"never alone": {func(*LinkOpts) {}, nil, 5, false}, "after a while": {func(o *LinkOpts) { o.AckAfter = 50 * time.Millisecond }, nil, 1, true},
		"not kept": {func(o *LinkOpts) { o.AckAfter = time.Millisecond }, errors.New("disk"), 1, false}, "many": {func(o *LinkOpts) { o.AckMost = 4 }, nil, 4, true}, "few": {func(o *LinkOpts) { o.AckMost = 4 }, nil, 3, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				l := link(t, c.change, func(o *LinkOpts) { o.Mono = func() time.Duration { return time.Since(began) } })
				l.mu.Lock()
				l.refuse = c.refuse
				l.mu.Unlock()
				for i := range c.n {
					l.term.in <- drivers.Incoming{From: hubCard, Bytes: pack(t, l.hub, 78, part(fmt.Sprint(i), wire.Command, wire.ItemCommand, 20))[0].Bytes}
				}
				await(t, "the commands", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return len(l.heard) == c.n })
				if !c.goes {
					synctest.Wait() // what was heard is kept, and its wait noted
					time.Sleep(time.Hour)
					synctest.Wait()
					if f, _, ok := l.pick(t.Context(), 78); ok {
						t.Errorf("%x would go out", f.Bytes)
					}
					if len(l.term.out()) != 0 {
						t.Errorf("%d went out alone", len(l.term.out()))
					}
					if c.refuse == nil && l.station.AckDue() != c.n {
						t.Error("they do not wait to ride along")
					}
					return
				}
				await(t, "the acknowledgement", func() bool { l.wake(); return len(l.term.out()) == 1 })
				if d := time.Since(began); d < l.o.AckAfter {
					t.Errorf("it went alone after %v", d)
				}
				r, err := l.hub.Hear(t.Context(), l.term.out()[0], stationCard, 0)
				if err != nil || len(r.Acked) != c.n || l.Counts().Alone != 1 {
					t.Errorf("%+v %v", r, err)
				}
			})
		})
	}
}

func TestFragmentsFollowAndWhatIsMoreUrgentGoesBeforeThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const every = 20 * time.Second
		began := time.Now()
		l := link(t, func(o *LinkOpts) {
			o.Every, o.Mono = every, func() time.Duration { return time.Since(began) }
		})
		if err := l.Send(t.Context(), parcel(courier.Alarm, "long", 200)); err != nil {
			t.Fatal(err)
		}
		var f *courier.Fault
		if err := l.Send(t.Context(), parcel(courier.Alarm, "b", 20)); !errors.As(err, &f) || f.Kind != courier.FaultEarly || f.Wait < 2*every {
			t.Errorf("it does not wait for the fragments: %v", err)
		}
		// The courier comes again when it was told to, and finds the slot free.
		err := l.Send(t.Context(), parcel(courier.Command, "urgent", 20))
		if !errors.As(err, &f) || f.Kind != courier.FaultEarly || f.Wait > every {
			t.Fatal(err)
		}
		time.Sleep(f.Wait + 50*time.Millisecond)
		synctest.Wait()
		if err := l.Send(t.Context(), parcel(courier.Command, "urgent", 20)); err != nil || len(l.term.out()) != 2 {
			t.Fatalf("%v, after %d messages", err, len(l.term.out()))
		}
		time.Sleep(6*every + 2*pumpEach)
		synctest.Wait()
		if n := len(l.term.out()); n != 8 {
			t.Fatalf("%d messages went out, not the fragments and the urgent one", n)
		}
		var ids []string
		for _, b := range l.term.out() {
			r, err := l.hub.Hear(t.Context(), b, stationCard, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range r.Heard {
				ids = append(ids, fmt.Sprint(h.Class))
				l.hub.Kept(h.Counter)
			}
		}
		if fmt.Sprint(ids) != "[1 3]" {
			t.Errorf("they came as %v", ids)
		}
	})
}

func TestWhatTheHubAsksForGoesOut(t *testing.T) {
	l := link(t)
	if err := l.Send(t.Context(), parcel(courier.Alarm, "long", 200)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.hub.Hear(t.Context(), l.term.out()[0], stationCard, 0); err != nil {
		t.Fatal(err)
	}
	await(t, "the fragments", func() bool { return len(l.term.out()) == 7 }) // and all of them are lost
	ask, ok, err := l.hub.Ask(t.Context(), 78, time.Hour)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	l.term.in <- drivers.Incoming{From: hubCard, Bytes: ask.Bytes}
	await(t, "what was asked for", func() bool { return len(l.term.out()) >= 10 })
	given := 0
	for _, b := range l.term.out()[7:] {
		r, err := l.hub.Hear(t.Context(), b, stationCard, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range r.Heard {
			given++
			l.hub.Kept(h.Counter)
		}
	}
	if given != 1 {
		t.Error("it did not come")
	}
}

func TestAMessageThatDidNotGoOutWaitsForTheNextSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		l := link(t, func(o *LinkOpts) { o.Mono = func() time.Duration { return time.Since(began) } })
		if err := l.Send(t.Context(), parcel(courier.Alarm, "a", 20)); err != nil {
			t.Fatal(err)
		}
		l.term.set(func(f *fake) { f.fault = &drivers.Fault{Kind: drivers.FaultGone} })
		l.later(pack(t, l.station, 78, part("b", wire.Alarm, wire.ItemAlarm, 20)))
		time.Sleep(time.Minute)
		l.term.set(func(f *fake) { f.fault = nil })
		time.Sleep(2 * pumpEach)
		synctest.Wait()
		if n := len(l.term.out()); n != 2 {
			t.Errorf("%d messages went out", n)
		}
	})
}

func TestOnlyNarrowMessagesGoToTheEnd(t *testing.T) {
	l := link(t)
	stranger := end(t, wire.Down, keys(t, 2, 1), newDisk())
	for _, m := range []drivers.Incoming{
		{From: hubCard, Bytes: append([]byte{0x12}, noise(77, 1)...)}, {From: hubCard, Bytes: []byte("你好")}, {From: hubCard, Text: "hello"}, {From: hubCard, Bytes: []byte{0x84, 1, 2}, GB2312: true},
		{From: hubCard, Bytes: pack(t, stranger, 78, part("c", wire.Command, wire.ItemCommand, 20))[0].Bytes},
	} {
		l.term.in <- m
	}
	good := pack(t, l.hub, 78, part("c", wire.Command, wire.ItemCommand, 20))[0].Bytes
	for range 2 {
		l.term.in <- drivers.Incoming{From: hubCard, Bytes: good}
	}
	await(t, "all", func() bool { return l.Counts().Again == 1 })
	c := l.Counts()
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.Taken != 1 || c.Refused != 1 || c.Foreign != 4 || l.compact != 4 || len(l.heard) != 1 || l.heard[0].Class != wire.Command {
		t.Errorf("%+v, %d, %v", c, l.compact, l.heard)
	}
}
