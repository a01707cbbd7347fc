package sbd

import (
	"context"
	"encoding/hex"
	"errors"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/drivertest"
	sim "tocsin/hwtest/sbd"
)

const imei = "300234010753370"

type bench struct {
	*Device
	modem *sim.Modem
	port  atomic.Pointer[drivertest.Duplex]
}

func licensed() Opts {
	return Opts{Transmit: true, Licence: "test", IMEI: imei, Random: func() float64 { return 0.5 }}
}

func open(t *testing.T, o Opts) *bench {
	t.Helper()
	b := &bench{modem: sim.New()}
	d, err := New(func() (drivers.Port, error) {
		p := drivertest.NewDuplex()
		b.port.Store(p)
		go b.modem.Serve(p.Far())
		return p, nil
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	b.Device = d
	return b
}

func (b *bench) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { b.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	time.Sleep(2 * time.Second)
}

func (b *bench) take() *drivers.Incoming {
	select {
	case m := <-b.Received():
		return &m
	default:
		return nil
	}
}

var hello = drivers.Outgoing{To: "gateway", Bytes: []byte("hello")}

func TestItDoesWhatATerminalPromises(t *testing.T) {
	drivertest.Terminal(t, func(t *testing.T, transmit bool) *drivertest.TerminalBench {
		o := Opts{}
		if transmit {
			o = licensed()
		}
		o.Buffer = 4
		b := open(t, o)
		return &drivertest.TerminalBench{Terminal: b.Device, To: "gateway", Say: b.modem.Say, Aired: b.modem.Sent, Buffer: 4, Settle: 20 * time.Second,
			Pull: func() { b.port.Load().Pull() }, Deaf: true}
	})
}

// The vectors are those of the 9602's guide.
func TestChecksums(t *testing.T) {
	if sum([]byte("hello")) != 0x0214 {
		t.Errorf("%04X", sum([]byte("hello")))
	}
	for h, want := range map[string]string{"000568656c6c6f0214": "hello", "00000000": "", "000568656c6c6f0215": "!", "000668656c6c6f0214": "!", "0005": "!", "": "!"} {
		b, _ := hex.DecodeString(h)
		m, err := message(b)
		if err == nil && string(m) != want || (err != nil) != (want == "!") {
			t.Errorf("%s: %q, %v", h, m, err)
		}
	}
}

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		line string
		want outcome
		ok   bool
	}{
		{"+SBDIX: 0, 23, 1, 237, 90, 2", outcome{0, 23, 1, 237, 90, 2}, true},
		{"+SBDIX:32,24,2,0,0,0", outcome{32, 24, 2, 0, 0, 0}, true},
		{"+SBDIX: 0, 23, 1, 237, 90", outcome{}, false},
		{"+SBDIX: a, 23, 1, 237, 90, 2", outcome{}, false},
		{"+SBDIX: -1, 23, 1, 237, 90, 2", outcome{}, false},
		{"OK", outcome{}, false},
	} {
		if got, ok := outcomeOf([]string{"noise", c.line}); !reflect.DeepEqual(got, c.want) || ok != c.ok {
			t.Errorf("%s: %+v, %v", c.line, got, ok)
		}
	}
}

func TestASessionThatFailsIsTriedAgainWithinTheCallersTime(t *testing.T) {
	for _, c := range []struct {
		name     string
		fail     []int
		within   time.Duration
		kind     drivers.FaultKind
		sessions int
		after    time.Duration // at least
	}{
		{"at once", nil, time.Minute, 0, 1, 0},
		{"too big an answer, but sent", []int{1}, time.Minute, 0, 1, 0},
		{"twice none", []int{32, 18}, time.Hour, 0, 3, 5 * time.Second},
		{"five times none", []int{17, 18, 19, 32, 35}, time.Hour, 0, 6, 5 * time.Minute},
		{"no time left", []int{32, 32, 32, 32, 32, 32, 32}, 30 * time.Second, drivers.FaultRefused, 0, 0},
		{"wait three minutes", []int{36}, time.Hour, drivers.FaultEarly, 1, 0},
		{"denied", []int{15}, time.Hour, drivers.FaultBarred, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, licensed())
				b.modem.Set(func(w *sim.Ways) { w.Fail = c.fail })
				b.run(t)
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), c.within)
				defer cancel()
				s, err := b.Send(ctx, hello)
				if (err != nil || c.kind != 0) && drivers.KindOf(err) != c.kind || err == nil && s.Stage != drivers.StageTaken ||
					c.sessions > 0 && b.modem.Sessions() != c.sessions || time.Since(began) < c.after || time.Since(began) > c.within+time.Second {
					t.Fatalf("%+v, %v after %v and %d sessions", s, err, time.Since(began), b.modem.Sessions())
				}
				if n := len(b.modem.Sent()); (n == 1) != (err == nil) || n > 1 {
					t.Errorf("%d came", n)
				}
				var f *drivers.Fault
				if errors.As(err, &f) && f.Kind == drivers.FaultEarly {
					time.Sleep(time.Until(f.Until))
					if _, err := b.Send(t.Context(), hello); err != nil {
						t.Error(err)
					}
				}
				if c.kind == drivers.FaultBarred && b.Limits().Bar != drivers.BarSilenced {
					t.Errorf("%+v", b.Limits())
				}
			})
		})
	}
}

func TestASessionThatTookNothingMayHaveBroughtSomething(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, licensed())
		b.modem.Set(func(w *sim.Ways) { w.NoRing, w.Hurt = true, 1 })
		b.modem.Say([]byte("down"))
		b.modem.Say([]byte("again"))
		b.run(t)
		if _, err := b.Send(t.Context(), hello); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // the gateway said that it has another
		x, y := b.take(), b.take()
		b.modem.Set(func(w *sim.Ways) { w.Fail, w.Brings = []int{18, 18}, true })
		b.modem.Say([]byte("third"))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := b.Send(ctx, hello); err == nil {
			t.Error("it was sent")
		}
		time.Sleep(10 * time.Second)
		if m := b.take(); m == nil || string(m.Bytes) != "third" {
			t.Errorf("%+v", m)
		}
		if x == nil || y == nil || string(x.Bytes) != "down" || string(y.Bytes) != "again" || b.State().Garbled != 1 {
			t.Errorf("%+v %+v %+v", x, y, b.State())
		}
		if n := len(b.modem.Sent()); n != 1 {
			t.Errorf("the message went %d times", n)
		}
	})
}

func TestRingsThatAreLostAreMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, licensed())
		b.modem.Set(func(w *sim.Ways) { w.NoRing = true })
		b.run(t)
		b.modem.Say([]byte("down"))
		time.Sleep(5 * time.Hour)
		if b.modem.Sessions() != 0 {
			t.Errorf("%d sessions with nothing to do", b.modem.Sessions())
		}
		time.Sleep(time.Hour + time.Minute)
		if m := b.take(); m == nil || b.modem.Sessions() != 1 {
			t.Errorf("%+v, %d sessions", m, b.modem.Sessions())
		}
	})
}

func TestItBeginsNoSessionUnlessItMay(t *testing.T) {
	for _, o := range []Opts{{Transmit: true}, {Transmit: true, Licence: "x"}, {Transmit: true, IMEI: "1"}} {
		if _, err := New(nil, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	other := licensed()
	other.IMEI = "300234010753371"
	for name, c := range map[string]struct {
		o    Opts
		bars int
		want drivers.Bar
	}{
		"receive-only":  {Opts{}, 4, drivers.BarReceiveOnly},
		"another modem": {other, 4, drivers.BarOtherCard},
		"no satellite":  {licensed(), 0, drivers.BarNoSignal},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := open(t, c.o)
			b.modem.Set(func(w *sim.Ways) { w.Bars = c.bars })
			b.run(t)
			b.modem.Say([]byte("down"))
			_, err := b.Send(t.Context(), hello)
			time.Sleep(24 * time.Hour)
			if drivers.KindOf(err) != drivers.FaultBarred || b.Limits().Bar != c.want || b.modem.Sessions() != 0 {
				t.Errorf("%s: %v, %+v, %d sessions", name, err, b.Limits(), b.modem.Sessions())
			}
		})
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add("+SBDIX: 0, 23, 1, 237, 90, 2", []byte("\x00\x05hello\x02\x14"))
	f.Add("+SBDIX: 0, 99999999999999999999, 1, 237, 90, 2", []byte{0xFF, 0xFF, 0, 0})
	f.Fuzz(func(t *testing.T, line string, b []byte) {
		if s, ok := outcomeOf([]string{line}); ok && (s.mo < 0 || s.queued < 0 || s.mt < 0) {
			t.Fatalf("%+v", s)
		}
		if m, err := message(b); err == nil && (len(m) > mostIn || len(m) != len(b)-4) {
			t.Fatalf("%d bytes", len(m))
		}
	})
}
