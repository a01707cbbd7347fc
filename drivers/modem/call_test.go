package modem

import (
	"context"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/drivertest"
	"tocsin/hwtest/cell"
)

func profile(t testing.TB, name string) *Profile {
	t.Helper()
	b, err := os.ReadFile("../../configs/terminals/modem-" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParseProfile(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// said is what is played: a sine at hz, for as long as for_.
func said(hz float64, for_ time.Duration) func([]int16) (int, bool) {
	at, n := 0, int(for_*drivers.CallRate/time.Second)
	return func(b []int16) (int, bool) {
		i := 0
		for ; i < len(b) && at < n; i++ {
			b[i] = int16(8000 * math.Sin(2*math.Pi*hz*float64(at)/drivers.CallRate))
			at++
		}
		return i, at >= n
	}
}

// line gives the amplitude of a frequency.
func line(pcm []int16, hz float64) float64 {
	var re, im float64
	for i, v := range pcm {
		s, c := math.Sincos(2 * math.Pi * hz * float64(i) / drivers.CallRate)
		re, im = re+float64(v)*c, im+float64(v)*s
	}
	return 2 * math.Hypot(re, im) / float64(len(pcm))
}

type voiced struct {
	*bench
	mu    sync.Mutex
	sound *drivertest.Duplex
}

func voice(t *testing.T, p *Profile, set func(*cell.Ways)) *voiced {
	t.Helper()
	v := &voiced{}
	o := Opts{Transmit: true, Profile: p, Card: imsi, Approval: "x", Start: func(_ string, run func()) { go run() }}
	o.Audio = func() (drivers.Port, error) {
		d := drivertest.NewDuplex()
		v.mu.Lock()
		v.sound = d
		v.mu.Unlock()
		go v.modem.Sound(d.Far())
		return d, nil
	}
	v.bench = open(t, o)
	if set != nil {
		v.modem.Set(set)
	}
	v.run(t)
	return v
}

func TestACallIsWhatBecameOfIt(t *testing.T) {
	answers := cell.Phone{Rings: 2 * time.Second, Answers: 4 * time.Second}
	with := func(f func(*cell.Phone)) cell.Phone { p := answers; f(&p); return p }
	one := []cell.Press{{After: 5 * time.Second, Key: '1'}}
	for _, c := range []struct {
		name    string
		phone   cell.Phone
		profile string
		set     func(*cell.Ways)
		stage   drivers.CallStage
		why     drivers.CallEnd
		keys    string
		whole   bool
		heard   time.Duration // at least, at most a second more
	}{
		{name: "a key in the middle", phone: with(func(p *cell.Phone) { p.Presses = one }), stage: drivers.CallAnswered, why: drivers.CallKey, keys: "1", heard: 4500 * time.Millisecond},
		{name: "a key after the end", phone: with(func(p *cell.Phone) { p.Presses = []cell.Press{{After: 12 * time.Second, Key: '1'}} }), stage: drivers.CallAnswered, why: drivers.CallKey, keys: "1", whole: true, heard: 10 * time.Second},
		{name: "another key", phone: with(func(p *cell.Phone) {
			p.Presses = []cell.Press{{After: time.Second, Key: '7'}, {After: 2 * time.Second, Key: '*'}}
		}), stage: drivers.CallAnswered, why: drivers.CallPlayed, keys: "7*", whole: true, heard: 10 * time.Second},
		{name: "no key", phone: answers, stage: drivers.CallAnswered, why: drivers.CallPlayed, whole: true, heard: 10 * time.Second},
		{name: "hung up in the middle", phone: with(func(p *cell.Phone) { p.Hangs = 3 * time.Second }), stage: drivers.CallAnswered, why: drivers.CallHungUp, heard: 2500 * time.Millisecond},
		{name: "busy", phone: cell.Phone{Busy: true}, stage: drivers.CallDialled, why: drivers.CallBusy},
		{name: "it rings for ever", phone: cell.Phone{Rings: time.Second}, stage: drivers.CallRinging, why: drivers.CallNoAnswer},
		{name: "in no network", phone: cell.Phone{Off: true}, stage: drivers.CallDialled, why: drivers.CallUnreachable},
		{name: "a network that says the end first", phone: with(func(p *cell.Phone) { p.Presses = one }), set: func(w *cell.Ways) { w.FalseEnd = true }, stage: drivers.CallAnswered, why: drivers.CallKey, keys: "1", heard: 4500 * time.Millisecond},
		{name: "answered as soon as it rings", phone: cell.Phone{Rings: time.Second}, set: func(w *cell.Ways) { w.EarlyActive = true }, stage: drivers.CallAnswered, why: drivers.CallPlayed, whole: true},
		{name: "in pieces, news amid answers, with echo", phone: with(func(p *cell.Phone) { p.Presses = one }), set: func(w *cell.Ways) { w.Split, w.Amid, w.Echo = 3, true, true }, stage: drivers.CallAnswered, why: drivers.CallKey, keys: "1", heard: 4500 * time.Millisecond},
		{name: "hung up, news amid answers", phone: with(func(p *cell.Phone) { p.Hangs = 3 * time.Second }), set: func(w *cell.Ways) { w.Amid = true }, stage: drivers.CallAnswered, why: drivers.CallHungUp, heard: 2500 * time.Millisecond},
		{name: "Quectel: a key", phone: with(func(p *cell.Phone) { p.Presses = one }), profile: "ec20", set: func(w *cell.Ways) { w.Dialect = cell.Quectel }, stage: drivers.CallAnswered, why: drivers.CallKey, keys: "1", heard: 4500 * time.Millisecond},
		{name: "Quectel: busy", phone: cell.Phone{Busy: true}, profile: "ec20", set: func(w *cell.Ways) { w.Dialect = cell.Quectel }, stage: drivers.CallDialled, why: drivers.CallBusy},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				name := c.profile
				if name == "" {
					name = "sim7600"
				}
				v := voice(t, profile(t, name), c.set)
				v.modem.Subscribe(cadre, c.phone)
				var stages []drivers.CallStage
				r, err := v.Call(t.Context(), drivers.Call{Number: cadre, Audio: said(1000, 10*time.Second), Keys: "1", Ring: 30 * time.Second, Changed: func(s drivers.CallStage) { stages = append(stages, s) }})
				if err != nil || r.Stage != c.stage || r.Why != c.why || r.Keys != c.keys || r.Whole != c.whole || r.Deaf {
					t.Fatalf("%+v, %v", r, err)
				}
				synctest.Wait()
				talks := v.modem.Talks()
				if len(talks) != 1 || !talks[0].Ended || talks[0].Number != cadre || talks[0].Lost > 0 {
					t.Fatalf("%d calls, %+v", len(talks), talks[0].Lost)
				}
				heard := talks[0].Heard
				if d := time.Duration(len(heard)) * time.Second / drivers.CallRate; d < c.heard || d > c.heard+time.Second {
					t.Errorf("%v were heard, %v were played", d, r.Played)
				}
				if len(heard) > 0 {
					if a := line(heard, 1000); math.Abs(a-8000) > 100 {
						t.Errorf("amplitude %.0f at 1000 Hz", a)
					}
				}
				if len(stages) == 0 || stages[len(stages)-1] != c.stage {
					t.Errorf("told %v", stages)
				}
				if s := v.Calls(); s.Busy || s.Made != 1 || (s.Answered == 1) != (c.stage == drivers.CallAnswered) {
					t.Errorf("%+v", s)
				}
				// A message goes out after it.
				if _, err := v.Send(t.Context(), drivers.Outgoing{To: cadre, Text: "解除"}); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestAKeyIsHeardInTheSoundWhereTheModemTellsNone(t *testing.T) {
	p := profile(t, "sim7600")
	p.Call.Keys.Line, p.Call.Keys.On = "", ""
	for _, key := range "0123456789*#ABCD" {
		synctest.Test(t, func(t *testing.T) {
			v := voice(t, p, func(w *cell.Ways) { w.KeysInSound = true })
			v.modem.Subscribe(cadre, cell.Phone{Rings: time.Second, Answers: time.Second, Presses: []cell.Press{{After: 3 * time.Second, Key: byte(key)}}})
			r, err := v.Call(t.Context(), drivers.Call{Number: cadre, Audio: said(440, 5*time.Second), Keys: string(key)})
			if err != nil || r.Why != drivers.CallKey || r.Keys != string(key) {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// The box or its port went in the middle of a call, and the modem did not.
func TestACallOfBeforeIsEndedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := voice(t, profile(t, "sim7600"), nil)
		v.modem.Subscribe(cadre, cell.Phone{Rings: time.Second, Answers: time.Second})
		v.modem.Set(func(w *cell.Ways) { w.Holds = true })
		go func() { time.Sleep(4 * time.Second); v.port.Load().Pull() }()
		if _, err := v.Call(t.Context(), drivers.Call{Number: cadre, Audio: said(500, 10*time.Second)}); drivers.KindOf(err) != drivers.FaultGone {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if x := v.modem.Talks(); len(x) != 1 || !x[0].Ended || !x[0].ByModem {
			t.Errorf("%+v", x)
		}
		v.modem.Subscribe(cadre, cell.Phone{Busy: true})
		if r, err := v.Call(t.Context(), drivers.Call{Number: cadre, Audio: said(500, time.Second)}); err != nil || r.Why != drivers.CallBusy {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestAModemThatRefusesToTellKeysIsListenedTo(t *testing.T) {
	p := profile(t, "sim7600")
	p.Call.Keys.On = "AT+QTONEDET=1" // another maker's
	synctest.Test(t, func(t *testing.T) {
		v := voice(t, p, func(w *cell.Ways) { w.KeysInSound = true })
		v.modem.Subscribe(cadre, cell.Phone{Rings: time.Second, Answers: time.Second, Presses: []cell.Press{{After: 3 * time.Second, Key: '1'}}})
		r, err := v.Call(t.Context(), drivers.Call{Number: cadre, Audio: said(440, 5*time.Second), Keys: "1"})
		if err != nil || r.Why != drivers.CallKey || !r.Deaf {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestMessagesWaitForACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := voice(t, profile(t, "sim7600"), nil)
		v.modem.Subscribe(cadre, cell.Phone{Rings: time.Second, Answers: time.Second})
		done := make(chan time.Time, 1)
		go func() {
			v.Call(t.Context(), drivers.Call{Number: cadre, Audio: said(500, 10*time.Second), Keys: "1"})
			done <- time.Now()
		}()
		time.Sleep(4 * time.Second)
		if s := v.Calls(); !s.Busy {
			t.Errorf("%+v", s)
		}
		soon, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := v.Send(soon, drivers.Outgoing{To: cadre, Text: "a"}); drivers.KindOf(err) != drivers.FaultCancelled {
			t.Errorf("%v", err)
		}
		v.modem.Say(cell.SMS{Number: cadre, Text: "收到"})
		if _, err := v.Send(t.Context(), drivers.Outgoing{To: cadre, Text: "b"}); err != nil {
			t.Error(err)
		}
		if over := <-done; over.IsZero() || len(v.modem.Sent()) != 1 {
			t.Errorf("%+v", v.modem.Sent())
		}
		time.Sleep(31 * time.Second)
		if m := v.take(); m == nil || m.Text != "收到" {
			t.Errorf("%+v", m)
		}
	})
}

func TestCallsThatComeAreRefusedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := voice(t, profile(t, "sim7600"), nil)
		for range 3 {
			if !v.modem.Ring("+8613900000000") {
				t.Error("it rang on")
			}
		}
		if s := v.Calls(); s.Refused != 3 || s.Made != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestACallEndsWithItsContextItsModemOrItsNetwork(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*cell.Ways)
		do   func(v *voiced, cancel func())
		kind drivers.FaultKind
		why  drivers.CallEnd
	}{
		{"the context ends", nil, func(_ *voiced, cancel func()) { cancel() }, 0, drivers.CallCancelled},
		{"the modem is pulled out", nil, func(v *voiced, _ func()) { v.port.Load().Pull() }, drivers.FaultGone, drivers.CallLost},
		{"the modem falls silent", nil, func(v *voiced, _ func()) { v.modem.Set(func(w *cell.Ways) { w.Deaf = true }) }, drivers.FaultTimeout, drivers.CallLost},
		{"the port for sound is pulled out", nil, func(v *voiced, _ func()) { v.mu.Lock(); v.sound.Pull(); v.mu.Unlock() }, 0, drivers.CallSilent},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := voice(t, profile(t, "sim7600"), c.set)
				v.modem.Subscribe(cadre, cell.Phone{Rings: time.Second, Answers: time.Second})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go func() { time.Sleep(5 * time.Second); c.do(v, cancel) }()
				began := time.Now()
				r, err := v.Call(ctx, drivers.Call{Number: cadre, Audio: said(500, 20*time.Second), Keys: "1"})
				if drivers.KindOf(err) != c.kind || r.Why != c.why || r.Stage != drivers.CallAnswered || r.Whole || r.Played > 10*time.Second {
					t.Errorf("%+v, %v", r, err)
				}
				if d := time.Since(began); d > 20*time.Second {
					t.Errorf("it took %v", d)
				}
				v.modem.Set(func(w *cell.Ways) { w.Deaf = false })
				time.Sleep(20 * time.Second)
				if c.kind == 0 && !v.modem.Talks()[0].ByModem {
					t.Error("it did not hang up")
				}
				v.modem.Subscribe("10086", cell.Phone{Busy: true})
				if c.kind == 0 {
					if r, err := v.Call(t.Context(), drivers.Call{Number: "10086", Audio: said(500, time.Second)}); err != nil || r.Why != drivers.CallBusy {
						t.Errorf("the next one: %+v, %v", r, err)
					}
				}
			})
		})
	}
}

func TestItCallsOnlyAsItMay(t *testing.T) {
	sim := profile(t, "sim7600")
	for _, c := range []struct {
		name string
		o    func(*Opts)
		set  func(*cell.Ways)
		to   string
		kind drivers.FaultKind
		why  drivers.CallEnd
		bar  drivers.Bar
	}{
		{name: "receive-only", o: func(o *Opts) { o.Transmit = false }, kind: drivers.FaultBarred, bar: drivers.BarReceiveOnly},
		{name: "no profile", o: func(o *Opts) { o.Profile = nil }, kind: drivers.FaultBarred, bar: drivers.BarNoVoice},
		{name: "no port for sound", o: func(o *Opts) { o.Audio = nil }, kind: drivers.FaultBarred, bar: drivers.BarNoVoice},
		{name: "a profile without sound", o: func(o *Opts) { o.Profile = profile(t, "tiantong") }, kind: drivers.FaultBarred, bar: drivers.BarNoVoice},
		{name: "another card", o: func(o *Opts) { o.Card = "460009999999999" }, kind: drivers.FaultBarred, bar: drivers.BarOtherCard},
		{name: "no network", set: func(w *cell.Ways) { w.Unregistered = true }, kind: drivers.FaultBarred, bar: drivers.BarNoSignal},
		{name: "no number", to: "1;+CFUN=0", kind: drivers.FaultRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := Opts{Transmit: true, Profile: sim, Card: imsi, Approval: "x", Start: func(_ string, run func()) { go run() }}
				o.Audio = func() (drivers.Port, error) { return drivertest.NewDuplex(), nil }
				if c.o != nil {
					c.o(&o)
				}
				b := open(t, o)
				if c.set != nil {
					b.modem.Set(c.set)
				}
				b.run(t)
				to := c.to
				if to == "" {
					to = cadre
				}
				r, err := b.Call(t.Context(), drivers.Call{Number: to, Audio: said(500, time.Second)})
				if drivers.KindOf(err) != c.kind || r.Stage != drivers.CallNone || b.Calls().Bar != c.bar || len(b.modem.Talks()) != 0 {
					t.Errorf("%+v, %v, %+v", r, err, b.Calls())
				}
			})
		})
	}
}

// The network goes between two looks at it: the modem says so when it dials.
func TestTheNetworkThatJustWentIsNoService(t *testing.T) {
	for name, dialect := range map[string]string{"ec20": cell.Quectel, "sim7600": cell.SIMCom} {
		synctest.Test(t, func(t *testing.T) {
			v := voice(t, profile(t, name), func(w *cell.Ways) { w.Dialect = dialect })
			v.modem.Set(func(w *cell.Ways) { w.Unregistered = true })
			r, err := v.Call(t.Context(), drivers.Call{Number: cadre, Audio: said(500, time.Second)})
			want := drivers.CallNoService
			if dialect == cell.SIMCom {
				want = drivers.CallUnreachable // it says no more than NO CARRIER
			}
			if err != nil || r.Why != want {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
		})
	}
}

func TestShippedProfilesHoldAndBadOnesAreRefused(t *testing.T) {
	for _, n := range []string{"sim7600", "ec20", "tiantong"} {
		if p := profile(t, n); len(p.Proof) < 2 || p.Satellite != (n == "tiantong") {
			t.Errorf("%s: %+v", n, p)
		}
	}
	b, err := os.ReadFile("../../configs/terminals/modem-sim7600.yaml")
	if err != nil {
		t.Fatal(err)
	}
	good := string(b)
	for name, change := range map[string][2]string{
		"a command that is two":   {"AT+CHUP", "\"AT+CHUP\\rAT+CFUN=0\""},
		"no number":               {"ATD{number};", "ATD10086;"},
		"a key that is told so":   {`"+RXDTMF: 1", means: key, key: "1"`, `"+RXDTMF: 1", means: key, key: "2"`},
		"an unknown key":          {"hang_up:", "hangup:"},
		"another version":         {"version: 1", "version: 2"},
		"asked without a pause":   {"every: 1s", "every: 1ms"},
		"a line that is anything": {"busy: [BUSY]", "busy: [\"\"]"},
	} {
		x := strings.Replace(good, change[0], change[1], 1)
		if _, err := ParseProfile([]byte(x)); x == good || err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
