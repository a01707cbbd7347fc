package beidou

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/configs"
	"tocsin/drivers"
	"tocsin/drivers/drivertest"
	sim "tocsin/hwtest/beidou"
)

func profile(t testing.TB, name string) *Profile {
	t.Helper()
	b, err := configs.FS.ReadFile("terminals/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParseProfile(b)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return p
}

const (
	ownNumber = 4207733
	hubNumber = 179773
)

// bench is a terminal at the simulator, with a hub's terminal under the same sky.
type bench struct {
	*Device
	sky      *sim.Sky
	own, hub *sim.Terminal
	port     atomic.Pointer[drivertest.Duplex]
}

func open(t *testing.T, proto sim.Protocol, transmit bool, change func(*Opts)) *bench {
	t.Helper()
	name := map[sim.Protocol]string{sim.BDS2: "beidou-bds2", sim.BDS3: "beidou-bds3"}[proto]
	b := &bench{sky: sim.NewSky(1)}
	b.own = b.sky.Terminal(proto, sim.Card{Number: ownNumber, Broadcast: 2032472, Frequency: 60, Level: 3})
	b.hub = b.sky.Terminal(proto, sim.Card{Number: hubNumber, Frequency: 1, Level: 3})
	o := Opts{Profile: profile(t, name)}
	if transmit {
		o.Transmit, o.Card, o.Approval = true, fmt.Sprint("0", ownNumber), "2026FP0001"
	}
	if change != nil {
		change(&o)
	}
	d, err := New(func() (drivers.Port, error) {
		p := drivertest.NewDuplex()
		b.port.Store(p)
		go b.own.Serve(p.Far())
		return p, nil
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	b.Device = d
	return b
}

// run runs it until the test's bubble ends.
func (b *bench) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { b.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	time.Sleep(3 * time.Second)
}

// say sends bytes from the centre.
func (b *bench) say(p []byte) {
	b.sky.Radiate(sim.Message{From: hubNumber, To: ownNumber, Content: strings.ToUpper(hex.EncodeToString(p)), Coding: sim.Code})
}

func (b *bench) take() *drivers.Incoming {
	select {
	case m := <-b.Received():
		return &m
	default:
		return nil
	}
}

func TestItDoesWhatATerminalPromises(t *testing.T) {
	for _, proto := range []sim.Protocol{sim.BDS2, sim.BDS3} {
		for _, coding := range []string{codeCoding, mixedCoding} {
			t.Run(fmt.Sprint(proto, coding), func(t *testing.T) {
				drivertest.Terminal(t, func(t *testing.T, transmit bool) *drivertest.TerminalBench {
					b := open(t, proto, transmit, func(o *Opts) { o.Buffer, o.Coding = 4, coding })
					return &drivertest.TerminalBench{
						Terminal: b.Device, To: fmt.Sprint(hubNumber), Say: b.say, Buffer: 4, Settle: 12 * time.Second,
						Pull: func() { b.port.Load().Pull() },
						Aired: func() (out [][]byte) {
							for _, m := range b.sky.Sent() {
								if m.From == ownNumber {
									x, err := hex.DecodeString(strings.TrimPrefix(m.Content, map[sim.Coding]string{sim.Mixed: "A4"}[m.Coding]))
									if err != nil {
										t.Error(err)
									}
									out = append(out, x)
								}
							}
							return out
						},
					}
				})
			})
		}
	}
}

func TestFrequencyAndLevelAreTheCardsWord(t *testing.T) {
	for _, c := range []struct {
		name   string
		proto  sim.Protocol
		coding string
		card   sim.Card
		bytes  int
	}{
		{"level 1", sim.BDS2, codeCoding, sim.Card{Frequency: 60, Level: 1}, 13},
		{"level 2", sim.BDS2, codeCoding, sim.Card{Frequency: 60, Level: 2}, 51},
		{"level 3", sim.BDS2, codeCoding, sim.Card{Frequency: 60, Level: 3}, 78},
		{"level 3, mixed", sim.BDS2, mixedCoding, sim.Card{Frequency: 60, Level: 3}, 77},
		{"level 4", sim.BDS2, codeCoding, sim.Card{Frequency: 30, Level: 4}, 106},
		{"encrypted level 3", sim.BDS2, codeCoding, sim.Card{Frequency: 60, Level: 3, Encrypted: true}, 72},
		{"level 5, written 0", sim.BDS3, codeCoding, sim.Card{Frequency: 1, Level: 5}, 1750},
		{"a level in no table", sim.BDS2, codeCoding, sim.Card{Frequency: 60, Level: 9}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, c.proto, true, func(o *Opts) { o.Coding = c.coding })
				b.own.Set(func(k *sim.Card, _ *sim.Ways) {
					k.Frequency, k.Level, k.Encrypted = c.card.Frequency, c.card.Level, c.card.Encrypted
				})
				b.run(t)
				l := b.Limits()
				if l.Bytes != c.bytes || l.Every != time.Duration(c.card.Frequency)*time.Second || l.Transmit != (c.bytes > 0) {
					t.Fatalf("%+v", l)
				}
				if c.bytes == 0 {
					if l.Bar != drivers.BarLevel {
						t.Errorf("%+v", l)
					}
					return
				}
				// The simulator holds a message to the level's bits by itself.
				if _, err := b.Send(t.Context(), drivers.Outgoing{To: "179773", Bytes: bytes.Repeat([]byte{0xAB}, c.bytes)}); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestTooEarlySaysHowLongToWaitAndThenItGoes(t *testing.T) {
	for _, proto := range []sim.Protocol{sim.BDS2, sim.BDS3} {
		synctest.Test(t, func(t *testing.T) {
			b := open(t, proto, true, nil)
			b.run(t)
			m := drivers.Outgoing{To: "179773", Bytes: []byte{1}}
			if s, err := b.Send(t.Context(), m); err != nil || s.Stage != drivers.StageAired {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Second)
			_, err := b.Send(t.Context(), m)
			var f *drivers.Fault
			if !errors.As(err, &f) || f.Kind != drivers.FaultEarly || time.Until(f.Until) > 40*time.Second || time.Until(f.Until) < 38*time.Second {
				t.Fatalf("%v", err)
			}
			if n := strings.Count(strings.Join(b.own.Heard(), "\n"), ",179773") + strings.Count(strings.Join(b.own.Heard(), "\n"), ",0179773"); n != 1 {
				t.Errorf("the terminal was asked %d times, though the driver knew", n)
			}
			// The driver knew; now the terminal does alone, after a restart.
			b.port.Load().Pull()
			b.mu.Lock()
			b.next = time.Time{}
			b.mu.Unlock()
			time.Sleep(10 * time.Second)
			_, err = b.Send(t.Context(), m)
			if !errors.As(err, &f) || f.Kind != drivers.FaultEarly || time.Until(f.Until) > 31*time.Second || time.Until(f.Until) < 28*time.Second {
				t.Fatalf("%v, until %v", err, time.Until(f.Until))
			}
			time.Sleep(time.Until(f.Until))
			if _, err := b.Send(t.Context(), m); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestItTransmitsOnlyWithTheRegisteredCard(t *testing.T) {
	for _, o := range []Opts{{Transmit: true}, {Transmit: true, Card: "4207733"}, {Transmit: true, Approval: "x"}, {Transmit: true, Card: "0000", Approval: "x"}, {Transmit: true, Card: "12x", Approval: "x"}} {
		o.Profile = profile(t, "beidou-bds2")
		if _, err := New(nil, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	for _, c := range []struct {
		name string
		set  func(*sim.Card, *sim.Ways)
		bar  drivers.Bar
	}{
		{"another card", func(c *sim.Card, _ *sim.Ways) { c.Number = 4207734 }, drivers.BarOtherCard},
		{"no card", func(c *sim.Card, _ *sim.Ways) { c.Number = 0 }, drivers.BarNoCard},
		{"no beam", func(_ *sim.Card, w *sim.Ways) { w.Beams = nil }, drivers.BarNoSignal},
		{"it says nothing", func(_ *sim.Card, w *sim.Ways) { w.Deaf = true }, drivers.BarStarting},
	} {
		for _, proto := range []sim.Protocol{sim.BDS2, sim.BDS3} {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, proto, true, nil)
				b.own.Set(c.set)
				b.run(t)
				_, err := b.Send(t.Context(), drivers.Outgoing{To: "179773", Bytes: []byte{1}})
				if l := b.Limits(); l.Bar != c.bar || l.Transmit || err == nil || len(b.sky.Sent()) != 0 {
					t.Errorf("%s: %+v, %v", c.name, l, err)
				}
				// A card that is put in, a beam that comes back.
				b.own.Set(func(k *sim.Card, w *sim.Ways) { k.Number, w.Beams, w.Deaf = ownNumber, []int{4, 44}, false })
				if c.bar == drivers.BarOtherCard {
					time.Sleep(cardEvery) // nobody would change a good card so soon
				}
				time.Sleep(2 * retry)
				if _, err := b.Send(t.Context(), drivers.Outgoing{To: "179773", Bytes: []byte{1}}); err != nil {
					t.Errorf("%s, mended: %v", c.name, err)
				}
			})
		}
	}
}

func TestRefusalsSayWhatTheyAre(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*sim.Card, *sim.Ways)
		kind drivers.FaultKind
		bar  drivers.Bar
	}{
		{"silence is ordered", func(_ *sim.Card, w *sim.Ways) { w.Silenced = true }, drivers.FaultBarred, drivers.BarSilenced},
		{"Y with a reason is no yes", func(_ *sim.Card, w *sim.Ways) { w.YesAndReason = 4 }, drivers.FaultRefused, ""},
		{"nothing is said", func(_ *sim.Card, w *sim.Ways) { w.Mute = 1 }, drivers.FaultTimeout, ""},
		{"the card was pulled out a moment ago", func(c *sim.Card, _ *sim.Ways) { c.Number = 0 }, drivers.FaultBarred, drivers.BarNoCard},
		{"the level was lowered a moment ago", func(c *sim.Card, _ *sim.Ways) { c.Level = 1 }, drivers.FaultRefused, ""},
		{"the fields are not its own", func(_ *sim.Card, w *sim.Ways) { w.Spare = true }, drivers.FaultTimeout, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, sim.BDS3, true, nil)
				b.run(t)
				b.own.Set(c.set)
				began := time.Now()
				_, err := b.Send(t.Context(), drivers.Outgoing{To: "179773", Bytes: make([]byte, 20)})
				synctest.Wait()
				if l := b.Limits(); drivers.KindOf(err) != c.kind || l.Bar != c.bar || time.Since(began) > answerIn+time.Second {
					t.Errorf("%v, %+v after %v", err, l, time.Since(began))
				}
			})
		})
	}
}

func TestAContextThatEndsWithTheTerminalSaysThatItMayHaveGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, sim.BDS3, true, nil)
		b.own.Set(func(_ *sim.Card, w *sim.Ways) { w.Mute = 1 })
		b.run(t)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := b.Send(ctx, drivers.Outgoing{To: "179773", Bytes: []byte{1}}); drivers.KindOf(err) != drivers.FaultTimeout {
			t.Error(err)
		}
		// The next one does not wait for it longer than its own context.
		ctx2, cancel2 := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel2()
		if _, err := b.Send(ctx2, drivers.Outgoing{To: "179773", Bytes: []byte{1}}); drivers.KindOf(err) != drivers.FaultCancelled {
			t.Error(err)
		}
		if len(b.sky.Sent()) != 1 {
			t.Errorf("%d aired", len(b.sky.Sent()))
		}
		time.Sleep(answerIn)
		if l, s := b.Limits(), b.State(); time.Until(l.Next) < 30*time.Second || s.Unknown != 1 {
			t.Errorf("%+v, %+v", l, s)
		}
	})
}

func TestMakersOrdersAreChosenByName(t *testing.T) {
	for variant, set := range map[string]func(*sim.Ways){
		"":            func(*sim.Ways) {},
		"no-period":   func(w *sim.Ways) { w.NoPeriod = true },
		"empty-field": func(w *sim.Ways) { w.Spare = true },
	} {
		synctest.Test(t, func(t *testing.T) {
			b := open(t, sim.BDS3, true, func(o *Opts) { o.Variant = variant })
			b.own.Set(func(_ *sim.Card, w *sim.Ways) { set(w); w.ShortBeams = true })
			b.run(t)
			if _, err := b.Send(t.Context(), drivers.Outgoing{To: "179773", Bytes: []byte{1}}); err != nil || b.State().Bars != 3 {
				t.Errorf("%s: %v, %+v", variant, err, b.State())
			}
		})
	}
	if _, err := New(nil, Opts{Profile: profile(t, "beidou-bds3"), Variant: "other"}); err == nil {
		t.Error("a variant that is not there was taken")
	}
}

// Two terminals under one sky: what one sends comes out at the other, over split
// reads, noise, hurt sentences and doubles.
func TestWhatOneSendsComesOutAtTheOther(t *testing.T) {
	for _, proto := range []sim.Protocol{sim.BDS2, sim.BDS3} {
		synctest.Test(t, func(t *testing.T) {
			b := open(t, proto, true, nil)
			b.sky.Set(sim.Weather{Least: time.Second, Most: 5 * time.Second, Double: 1})
			b.own.Set(func(_ *sim.Card, w *sim.Ways) { w.Garbage, w.Split = 0.5, 7 })
			b.hub.Set(func(_ *sim.Card, w *sim.Ways) { w.Garbage, w.Split, w.Hurt = 0.5, 3, 0.1 })
			port := drivertest.NewDuplex()
			go b.hub.Serve(port.Far())
			hub, err := New(func() (drivers.Port, error) { return port, nil }, Opts{Profile: b.o.Profile})
			if err != nil {
				t.Fatal(err)
			}
			other := &bench{Device: hub}
			other.run(t)
			b.run(t)
			const n = 40
			got := map[byte]int{}
			for i := range byte(n) {
				if _, err := b.Send(t.Context(), drivers.Outgoing{To: fmt.Sprint(hubNumber), Bytes: []byte{0x80, i}}); err != nil {
					t.Fatal(i, err)
				}
				time.Sleep(61 * time.Second)
				for m := other.take(); m != nil; m = other.take() {
					if m.From != fmt.Sprint(ownNumber) || len(m.Bytes) != 2 || m.Bytes[0] != 0x80 || m.Broadcast {
						t.Fatalf("%+v", m)
					}
					if proto == sim.BDS3 && (m.At.Sub(m.Sent) > 7*time.Second || m.At.Before(m.Sent) || m.To != fmt.Sprint(hubNumber)) {
						t.Errorf("sent %v, heard %v, to %s", m.Sent, m.At, m.To)
					}
					got[m.Bytes[1]]++
				}
			}
			doubles := 0
			for _, c := range got {
				if c == 2 {
					doubles++
				}
			}
			if s := other.State(); len(got) < n-3 || doubles < n/2 || s.Garbled == 0 {
				t.Errorf("%d of %d came, %d twice, %+v", len(got), n, doubles, s)
			}
		})
	}
}

func TestTheSkyLosesWhatWasRadiatedAndNobodyIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, sim.BDS3, true, nil)
		b.own.Set(func(c *sim.Card, _ *sim.Ways) { c.Frequency = 1 })
		b.sky.Set(sim.Weather{Lose: 0.2})
		b.run(t)
		lost := 0
		for range 200 {
			if _, err := b.Send(t.Context(), drivers.Outgoing{To: fmt.Sprint(hubNumber), Bytes: []byte{1}}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		for _, m := range b.sky.Sent() {
			if m.Lost {
				lost++
			}
		}
		if lost < 20 || lost > 60 {
			t.Errorf("%d of 200 lost", lost)
		}
	})
}

func TestABroadcastIsKnownForOne(t *testing.T) {
	for _, proto := range []sim.Protocol{sim.BDS2, sim.BDS3} {
		synctest.Test(t, func(t *testing.T) {
			b := open(t, proto, false, nil)
			b.run(t)
			b.sky.Radiate(sim.Message{From: hubNumber, To: 2032472, Content: "4142", Coding: sim.Code})
			b.sky.Radiate(sim.Message{From: hubNumber, To: ownNumber, Content: "A44142", Coding: sim.Mixed})
			b.sky.Radiate(sim.Message{From: hubNumber, To: ownNumber, Content: "\xBE\xAF\xB1\xA8", Coding: sim.Hanzi})
			time.Sleep(10 * time.Second)
			seen := map[string]bool{}
			for m := b.take(); m != nil; m = b.take() {
				seen[fmt.Sprintf("%x %v %v", m.Bytes, m.Broadcast, m.GB2312)] = true
			}
			if len(seen) != 3 || !seen["4142 true false"] || !seen["4142 false false"] || !seen["beafb1a8 false true"] {
				t.Errorf("%v: %v", proto, seen)
			}
		})
	}
}

func TestTheTimeIsToldOnceSentencesAgree(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(second int, w *sim.Ways)
		want func(told []Told) bool
	}{
		{"a good clock", func(int, *sim.Ways) {}, func(told []Told) bool {
			for _, x := range told {
				h := x.Heard.UTC()
				d := time.Duration(x.UTC.Hour()-h.Hour())*time.Hour + time.Duration(x.UTC.Minute()-h.Minute())*time.Minute + time.Duration(x.UTC.Second()-h.Second())*time.Second
				if x.Dated || d > time.Second || d < -time.Second && d > -23*time.Hour {
					return false
				}
			}
			return len(told) > 20
		}},
		{"no time yet", func(_ int, w *sim.Ways) { w.NoTime = true }, func(told []Told) bool { return len(told) == 0 }},
		{"a clock that jumps", func(n int, w *sim.Ways) { w.Off = time.Duration(n%3) * time.Minute }, func(told []Told) bool { return len(told) == 0 }},
		{"a clock that stands", func(n int, w *sim.Ways) { w.Off = -time.Duration(n) * time.Second }, func(told []Told) bool { return len(told) == 0 }},
		{"no beam, no time", func(_ int, w *sim.Ways) { w.Beams = nil }, func(told []Told) bool { return len(told) == 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(24*time.Hour - 15*time.Second) // over midnight
				var told []Told
				b := open(t, sim.BDS3, false, func(o *Opts) { o.Tell = func(x Told) { told = append(told, x) } })
				b.own.Set(func(_ *sim.Card, w *sim.Ways) { w.NoTime = true })
				b.run(t)
				for n := range 40 {
					b.own.Set(func(_ *sim.Card, w *sim.Ways) { w.NoTime = false; c.set(n, w) })
					time.Sleep(time.Second)
				}
				synctest.Wait()
				if !c.want(told) {
					t.Errorf("told %d times: %+v", len(told), told)
				}
			})
		})
	}
}

func TestADatedTimeNeedsAFixBesideIt(t *testing.T) {
	at := time.Date(2024, 3, 7, 7, 7, 23, 0, time.UTC)
	zda := func(sec int) []string {
		return []string{fmt.Sprintf("0707%02d.00", sec), "07", "03", "2024", "00", "00"}
	}
	rmc := func(status, mode string) []string {
		return []string{"070723.00", status, "2309.30979", "N", "11330.00659", "E", "0.08", "", "070324", "", "", mode, "V"}
	}
	for _, c := range []struct {
		status, mode string
		want         bool
	}{{"A", "A", true}, {"V", "A", false}, {"A", "S", false}, {"A", "M", false}, {"A", "E", false}} {
		var k clock
		told := false
		for i := range 8 {
			now := at.Add(time.Duration(i) * time.Second)
			k.navigation("RMC", rmc(c.status, c.mode), now)
			x, ok := k.navigation("ZDA", zda(23+i), now)
			if ok && (!x.Dated || !x.UTC.Equal(now)) {
				t.Errorf("%+v", x)
			}
			told = told || ok
		}
		if told != c.want {
			t.Errorf("%+v: told %v", c, told)
		}
	}
}
