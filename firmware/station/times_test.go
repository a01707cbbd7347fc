package station

import (
	"context"
	"errors"
	"testing"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/beidou"
	"tocsin/firmware/clock"
	"tocsin/firmware/clock/source"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/reach/wire"
	"tocsin/hwtest/timeserver"
)

// aged is a house whose clock knows nothing and whose floor is a day ago.
func aged(t *testing.T) (*House, *clock.System, context.Context) {
	t.Helper()
	c := clock.NewSystem(time.Now().Add(-24*time.Hour), clock.Free)
	h, ctx := walls(t, c)
	return h, c, ctx
}

// word is what a source says now, ahead of this machine by so much; is gives its true time from then on. However long
// the machine stalls between two lines of a test, the two go by one instant.
func word(name string, kind source.Kind, ahead time.Duration) (s source.Sample, is func() time.Time) {
	s = source.Sample{Name: name, Kind: kind, At: clock.Mono(), UTC: time.Now().Add(ahead)}
	return s, func() time.Time { return s.UTC.Add(clock.Mono() - s.At) }
}

// reads tells whether what a clock reads is the truth, to within so much: it is read between two looks at the truth.
func reads(read, truth func() time.Time, within time.Duration) bool {
	before, at, after := truth(), read(), truth()
	return !at.Before(before.Add(-within)) && !at.After(after.Add(within))
}

// wall is what a house's clock reads.
func wall(c *clock.System) func() time.Time { return func() time.Time { return c.Now().Wall } }

func TestTimeServersSetTheClockAndAForgedOneIsCalled(t *testing.T) {
	t.Parallel()
	h, c, ctx := aged(t)
	const ahead = 3 * time.Hour
	truth := func() time.Time { return time.Now().Add(ahead) }
	var names timeServers
	for _, m := range []timeserver.Manner{{}, {Ahead: 10 * 365 * 24 * time.Hour}, {}} {
		s, err := timeserver.Start(truth, m)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		names = append(names, s.Addr)
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	done := make(chan error)
	go func() { done <- h.times.servers(names)(ctx) }()
	eventually(t, "the servers' time", func() bool {
		return c.Now().Trust == clock.Set && reads(wall(c), truth, time.Second) && h.hasFault("time server "+names[1])
	})
	if v := h.times.state(); v.Holder != "ntp" || v.Sure {
		t.Errorf("%+v", v)
	}
	end()
	<-done
	if h.hasFault("time server " + names[1]) {
		t.Error("the fault outlives the server")
	}
}

func TestOneServerAloneCannotCarryTheClockForYears(t *testing.T) {
	t.Parallel()
	h, c, _ := aged(t)
	h.times.hear(source.Sample{Name: "ntp", Kind: source.NTP, At: clock.Mono(), UTC: time.Now().AddDate(9, 0, 0)})
	if s := c.Now(); s.Trust != clock.Free || !h.hasFault("clock ntp") {
		t.Errorf("%+v", s)
	}
	h.times.hear(source.Sample{Name: "ntp", Kind: source.NTP, At: clock.Mono(), UTC: time.Now().Add(time.Hour)})
	if s := c.Now(); s.Trust != clock.Set || h.hasFault("clock ntp") {
		t.Errorf("%+v", s)
	}
}

func TestAServerAndTheChipThatItSetDoNotExpireWhatIsToCome(t *testing.T) {
	t.Parallel()
	h, c, _ := aged(t)
	was := c.Floor()
	for _, k := range []source.Kind{source.RTC, source.NTP} {
		h.times.hear(source.Sample{Name: string(k), Kind: k, At: clock.Mono(), UTC: time.Now().AddDate(0, 0, 100)})
	}
	if v := h.times.state(); !v.Sure {
		t.Fatalf("%+v", v)
	}
	h.times.raise()
	if d := c.Floor().Sub(was); d < 23*time.Hour || d > 25*time.Hour {
		t.Errorf("the floor rose by %v", d)
	}
	if kept, err := clock.LoadFloor(h.o.Data, was); err != nil || kept.Sub(was) > 25*time.Hour {
		t.Errorf("kept: %v, %v", kept, err)
	}
	h.times.hear(source.Sample{Name: "sky", Kind: source.GNSS, At: clock.Mono(), UTC: time.Now().AddDate(0, 0, 100)})
	h.times.raise()
	if d := c.Floor().Sub(was); d < 100*24*time.Hour {
		t.Errorf("with a receiver that agrees it rose by %v", d)
	}
}

func TestABeiDouTerminalsTimeOfDayMovesOnlyAClockThatHasADay(t *testing.T) {
	t.Parallel()
	h, c, _ := aged(t)
	heard := time.Now()
	day := heard.UTC().Add(20 * time.Minute)
	told := beidou.Told{UTC: time.Unix(0, 0).UTC().Add(day.Sub(day.Truncate(24 * time.Hour))), Heard: heard}
	h.times.terminal("link sky")(told)
	if c.Now().Trust != clock.Free {
		t.Fatal("a time of day made a date")
	}
	h.times.hear(source.Sample{Name: "rtc", Kind: source.RTC, At: clock.Mono(), UTC: time.Now()})
	h.times.terminal("link sky")(told)
	truth := func() time.Time { return heard.Add(20*time.Minute + time.Since(heard)) }
	if s := c.Now(); s.Trust != clock.Set || !reads(wall(c), truth, 3*time.Second) {
		t.Errorf("%+v", s)
	}
}

func TestTheCountysSealedTimeSetsAClockThatHasNoneBetter(t *testing.T) {
	t.Parallel()
	h, c, _ := aged(t)
	began := time.Now()
	item := wire.Clock{UnixMilli: began.Add(2 * time.Hour).UnixMilli(), Within: 10}.Bytes()
	if err := h.times.downlink("sky", item[:6]); err == nil {
		t.Error("a cut one is taken")
	}
	if err := h.times.downlink("sky", wire.Clock{UnixMilli: time.Now().UnixMilli(), Within: 40}.Bytes()); err != nil || c.Now().Trust != clock.Free {
		t.Errorf("one that knows nothing is taken: %v", err)
	}
	// It is true when it is taken, some time between these two.
	before := time.Since(began)
	if err := h.times.downlink("sky", item); err != nil {
		t.Fatal(err)
	}
	taken := time.Since(began) - before
	truth := func() time.Time { return began.Add(2*time.Hour + time.Since(began) - before) }
	if s := c.Now(); s.Trust != clock.Set || !reads(wall(c), truth, time.Second+taken) {
		t.Errorf("%+v", s)
	}
}

// pulses is a receiver's line in memory: a minute's pulses one after the other, then each second's, until the plug is
// pulled. They come as late as the machine stalls, some more than a pulse may; those that do count.
type pulses struct {
	truth func() time.Time
	next  time.Time
	plug  <-chan struct{} // pulled when closed
}

func (p *pulses) Next(ctx context.Context) (time.Duration, error) {
	if p.next.IsZero() {
		p.next = p.truth().Truncate(time.Second).Add(-time.Minute)
	}
	p.next = p.next.Add(time.Second)
	t := time.NewTimer(max(0, p.next.Sub(p.truth())))
	defer t.Stop()
	select {
	case <-p.plug:
		rest(ctx, 10*time.Millisecond)
		return 0, &drivers.Fault{Kind: drivers.FaultGone, Err: errors.New("unplugged")}
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-t.C:
		return p.truth().Sub(p.next), nil
	}
}
func (p *pulses) Close() error   { return nil }
func (p *pulses) String() string { return "pulses" }

func TestAPulseMakesTheClockExact(t *testing.T) {
	t.Parallel()
	h, c, ctx := aged(t)
	began := time.Now()
	truth := func() time.Time { return began.Add(time.Hour + 137*time.Millisecond).Add(time.Since(began)) }
	h.times.sky("sky")(began.Add(time.Hour-163*time.Millisecond), began)
	ctx, end := context.WithCancel(ctx)
	done, plug := make(chan error), make(chan struct{})
	go func() {
		done <- h.times.pulse("/dev/pps9", func() (drivers.Pulses, error) { return &pulses{truth: truth, plug: plug}, nil })(ctx)
	}()
	eventually(t, "the pulse to hold the clock", func() bool { return h.times.state().Holder == "/dev/pps9" })
	// The sentence had set it 200 ms ahead: it waits for the truth, and does not go back.
	eventually(t, "the exact time", func() bool { return reads(wall(c), truth, 20*time.Millisecond) })
	close(plug)
	eventually(t, "the lost device as a fault", func() bool { return h.hasFault("clock /dev/pps9") })
	end()
	<-done
}

func TestTheKernelsClockIsSetOnlyWhereTheSiteSaysSo(t *testing.T) {
	t.Parallel()
	for _, may := range []bool{false, true} {
		h, c, _ := aged(t)
		var set []time.Time
		h.bp.Doc = &config.Doc{}
		h.bp.Doc.Site.Time.Set = may
		h.shown.bp = h.bp
		said, truth := word("ntp", source.NTP, time.Hour)
		right := false
		h.times.set = func(at time.Time) error {
			set, right = append(set, at), !at.Before(said.UTC.Add(-time.Second)) && !at.After(truth().Add(time.Second))
			return nil
		}
		h.times.hear(said)
		if (len(set) == 1) != may {
			t.Errorf("may %v: set %v", may, set)
		}
		if may && (!right || c.Now().Trust != clock.Set) {
			t.Errorf("set to %v", set)
		}
		// Beside chrony it is left alone, whoever holds ours.
		h.times.bound = func() (time.Duration, bool) { return time.Second, true }
		h.times.set = func(time.Time) error { t.Error("set beside chrony"); return nil }
		h.times.judge()
		h.times.bound = func() (time.Duration, bool) { return 0, false }
		h.times.set = func(time.Time) error { return errors.New("not permitted") }
		h.times.judge()
		if h.hasFault("clock kernel") != may {
			t.Errorf("may %v: the fault %v", may, !may)
		}
	}
}

func TestAClockThatChronyKeepsCountsAsNTP(t *testing.T) {
	t.Parallel()
	h, c, _ := aged(t)
	h.times.bound = func() (time.Duration, bool) { return 20 * time.Millisecond, true }
	h.times.judge()
	if v := h.times.state(); v.Holder != kernelName || v.Kind != source.NTP || c.Now().Trust != clock.Set {
		t.Errorf("%+v", v)
	}
	h.times.hear(source.Sample{Name: "sky", Kind: source.GNSS, At: clock.Mono(), UTC: time.Now().Add(-1024 * 7 * 24 * time.Hour)})
	if !h.hasFault("clock sky") || !reads(wall(c), time.Now, time.Second) {
		t.Error("a receiver whose week rolled over moved it, or is not called")
	}
}
