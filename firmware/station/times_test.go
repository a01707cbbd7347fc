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
		s := c.Now()
		return s.Trust == clock.Set && s.Wall.Sub(truth()).Abs() < time.Second && h.hasFault("time server "+names[1])
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
	day := time.Now().UTC().Add(20 * time.Minute)
	told := beidou.Told{UTC: time.Unix(0, 0).UTC().Add(day.Sub(day.Truncate(24 * time.Hour))), Heard: time.Now()}
	h.times.terminal("link sky")(told)
	if c.Now().Trust != clock.Free {
		t.Fatal("a time of day made a date")
	}
	h.times.hear(source.Sample{Name: "rtc", Kind: source.RTC, At: clock.Mono(), UTC: time.Now()})
	h.times.terminal("link sky")(told)
	if s := c.Now(); s.Trust != clock.Set || s.Wall.Sub(time.Now().Add(20*time.Minute)).Abs() > 3*time.Second {
		t.Errorf("%+v", s)
	}
}

func TestTheCountysSealedTimeSetsAClockThatHasNoneBetter(t *testing.T) {
	t.Parallel()
	h, c, _ := aged(t)
	item := wire.Clock{UnixMilli: time.Now().Add(2 * time.Hour).UnixMilli(), Within: 10}.Bytes()
	if err := h.times.downlink("sky", item[:6]); err == nil {
		t.Error("a cut one is taken")
	}
	if err := h.times.downlink("sky", wire.Clock{UnixMilli: time.Now().UnixMilli(), Within: 40}.Bytes()); err != nil || c.Now().Trust != clock.Free {
		t.Errorf("one that knows nothing is taken: %v", err)
	}
	if err := h.times.downlink("sky", item); err != nil {
		t.Fatal(err)
	}
	if s := c.Now(); s.Trust != clock.Set || s.Wall.Sub(time.Now().Add(2*time.Hour)).Abs() > time.Second {
		t.Errorf("%+v", s)
	}
}

// pulses is a receiver's line in memory: the pulses of the last seconds, all at once, then the plug is pulled.
type pulses struct {
	n     int
	truth func() time.Time
}

func (p *pulses) Next(ctx context.Context) (time.Duration, error) {
	if p.n++; p.n > 6 {
		rest(ctx, 10*time.Millisecond)
		return 0, &drivers.Fault{Kind: drivers.FaultGone, Err: errors.New("unplugged")}
	}
	now := p.truth()
	return now.Sub(now.Truncate(time.Second)) + time.Duration(6-p.n)*time.Second, ctx.Err()
}
func (p *pulses) Close() error   { return nil }
func (p *pulses) String() string { return "pulses" }

func TestAPulseMakesTheClockExact(t *testing.T) {
	t.Parallel()
	h, c, ctx := aged(t)
	began := time.Now()
	truth := func() time.Time { return began.Add(time.Hour + 137*time.Millisecond).Add(time.Since(began)) }
	h.times.sky("sky")(truth().Add(-300*time.Millisecond), time.Now())
	ctx, end := context.WithCancel(ctx)
	done := make(chan error)
	go func() {
		done <- h.times.pulse("/dev/pps9", func() (drivers.Pulses, error) { return &pulses{truth: truth}, nil })(ctx)
	}()
	eventually(t, "the pulse to hold the clock", func() bool { return h.times.state().Holder == "/dev/pps9" })
	// The sentence had set it 200 ms ahead: it waits for the truth, and does not go back.
	eventually(t, "the exact time", func() bool { return c.Now().Wall.Sub(truth()).Abs() < 20*time.Millisecond })
	eventually(t, "the lost device as a fault", func() bool { return h.hasFault("clock /dev/pps9") })
	end()
	<-done
}

func TestTheKernelsClockIsSetOnlyWhereTheSiteSaysSo(t *testing.T) {
	t.Parallel()
	for _, may := range []bool{false, true} {
		h, c, _ := aged(t)
		var set []time.Time
		h.times.set = func(at time.Time) error { set = append(set, at); return nil }
		h.bp.Doc = &config.Doc{}
		h.bp.Doc.Site.Time.Set = may
		h.shown.bp = h.bp
		h.times.hear(source.Sample{Name: "ntp", Kind: source.NTP, At: clock.Mono(), UTC: time.Now().Add(time.Hour)})
		if (len(set) == 1) != may {
			t.Errorf("may %v: set %v", may, set)
		}
		if may && (set[0].Sub(time.Now().Add(time.Hour)).Abs() > time.Second || c.Now().Trust != clock.Set) {
			t.Errorf("set to %v", set[0])
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
	if !h.hasFault("clock sky") || time.Until(c.Now().Wall).Abs() > time.Second {
		t.Error("a receiver whose week rolled over moved it, or is not called")
	}
}
