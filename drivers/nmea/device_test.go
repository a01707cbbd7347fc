package nmea

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/drivertest"
	sim "tocsin/hwtest/nmea"
)

func over(o Opts) (*Device, *drivertest.Wire) {
	w := drivertest.NewWire(&drivertest.Slave{}, 0)
	return New(func() (drivers.Port, error) { return w, nil }, o), w
}

// hear gives the address or the fault of each that comes within a second.
func hear(d *Device) (out []any) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for {
		r, err := d.Next(ctx)
		switch {
		case err == nil:
			out = append(out, strings.Join(r.Fields, ","))
		case ctx.Err() != nil:
			return out
		default:
			out = append(out, drivers.KindOf(err))
			if drivers.KindOf(err) == drivers.FaultGone {
				return out
			}
		}
	}
}

func TestOnlySentencesWithARightChecksumAreGiven(t *testing.T) {
	bad := drivers.FaultGarbled
	mwv := "$WIMWV,214.8,R,0.1,K,A*28\r\n"
	for _, c := range []struct {
		name   string
		pieces []string
		want   []any
	}{
		{"one", []string{mwv}, []any{"WIMWV,214.8,R,0.1,K,A"}},
		{"byte by byte", strings.Split(mwv, ""), []any{"WIMWV,214.8,R,0.1,K,A"}},
		{"only a line feed", []string{"$WIMWV,214.8,R,0.1,K,A*28\n"}, []any{"WIMWV,214.8,R,0.1,K,A"}},
		{"small hex", []string{sim.Frame("WIMTW,18.9,C")}, []any{"WIMTW,18.9,C"}},
		{"wrong checksum", []string{"$WIMWV,214.8,R,0.2,K,A*28\r\n"}, []any{bad}},
		{"no checksum", []string{"$WIMWV,214.8,R,0.1,K,A\r\n"}, []any{bad}},
		{"half a sentence first", []string{"R,0.1,K,A*28\r\n", mwv}, []any{"WIMWV,214.8,R,0.1,K,A"}},
		{"an end that was lost", []string{"$WIMWV,214.8", mwv}, []any{bad, "WIMWV,214.8,R,0.1,K,A"}},
		{"a ship's sentence", []string{"!AIVDM,1,1,,A,13u?etPv2;0n:dDPwUM1U1Cb069D,0*24\r\n", mwv}, []any{"WIMWV,214.8,R,0.1,K,A"}},
		{"parity arrives as NUL", []string{"$WIMWV,214\x00.8,R,0.1,K,A*28\r\n"}, []any{bad}},
		{"too long, then good", []string{"$" + strings.Repeat("A", 5000) + "\r\n" + mwv}, []any{bad, "WIMWV,214.8,R,0.1,K,A"}},
		{"nothing between", []string{"\r\n\r\n$\r\n"}, []any{bad}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, w := over(Opts{})
				defer d.Close()
				for i, p := range c.pieces {
					w.Put(time.Duration(i+1)*time.Millisecond, 0, []byte(p))
				}
				if got := hear(d); !reflect.DeepEqual(got, c.want) {
					t.Errorf("%v\nwant %v", got, c.want)
				}
			})
		})
	}
}

func TestNoiseIsNeverASentence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, w := over(Opts{})
		defer d.Close()
		rng := rand.New(rand.NewPCG(1, 2))
		b := make([]byte, 4096)
		for i := range 500 {
			for j := range b {
				b[j] = byte(rng.Uint32())
			}
			w.Put(time.Duration(i+1)*time.Millisecond, 0, append([]byte(nil), b...))
		}
		w.Put(time.Second/2+500*time.Millisecond/2, 0, []byte("\r\n$WIMWV,214.8,R,0.1,K,A*28\r\n"))
		good := 0
		for _, x := range hear(d) {
			if s, ok := x.(string); ok {
				if good++; s != "WIMWV,214.8,R,0.1,K,A" {
					t.Errorf("noise taken for %q", s)
				}
			}
		}
		if good != 1 || cap(d.line) > 4*Longest {
			t.Errorf("%d good, %d bytes held", good, cap(d.line))
		}
	})
}

func TestAPortThatWentIsOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := 0
		d := New(func() (drivers.Port, error) {
			opened++
			w := drivertest.NewWire(&drivertest.Slave{}, 0)
			w.Put(time.Millisecond, 0, []byte("$WIMWV,214.8,R,0.1,K,A*28\r\n"))
			time.AfterFunc(time.Second, w.Pull)
			return w, nil
		}, Opts{})
		for range 2 {
			if _, err := d.Next(context.Background()); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Next(context.Background()); drivers.KindOf(err) != drivers.FaultGone {
				t.Fatal(err)
			}
		}
		d.Close()
		if _, err := d.Next(context.Background()); drivers.KindOf(err) != drivers.FaultGone || opened != 2 {
			t.Errorf("%v, opened %d times", err, opened)
		}
	})
}

// told runs a receiver for some seconds and gives what was told of the time, less
// the truth.
func told(t *testing.T, seconds int, script func(second int, s *sim.Sky)) (offs []time.Duration, first int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		second := 0
		var d *Device
		var w *drivertest.Wire
		d, w = over(Opts{Tell: func(utc, heard time.Time) {
			if len(offs) == 0 {
				first = second
			}
			offs = append(offs, utc.Sub(heard.UTC()))
		}})
		defer d.Close()
		var s sim.Station
		ctx := context.Background()
		for ; second < seconds; second++ {
			s.Set(func(k *sim.Sky, _ *sim.Air) { script(second, k) })
			for i, x := range s.Say(time.Now()) {
				w.Put(time.Duration(20+60*i)*time.Millisecond, 0, []byte(x))
			}
			for range 5 {
				if _, err := d.Next(ctx); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Second - 260*time.Millisecond)
		}
	})
	return offs, first
}

func TestTheTimeOfAReceiverIsToldOnlyWithAFixAndAfterSeveralAgreed(t *testing.T) {
	fix := func(_ int, s *sim.Sky) { *s = sim.Sky{Fix: 1, Mode: "A"} }
	offs, first := told(t, 20, fix)
	if len(offs) < 20 || first < 4 {
		t.Errorf("told %d times, first in second %d", len(offs), first)
	}
	for _, o := range offs {
		if o > 0 || o < -time.Second {
			t.Errorf("told the time %v beside the truth", o)
		}
	}
	for _, c := range []struct {
		name   string
		script func(int, *sim.Sky)
		want   func(offs []time.Duration, first int) bool
	}{
		{"no fix", func(_ int, s *sim.Sky) { *s = sim.Sky{Fix: 0, Mode: "N"} }, never},
		{"a simulator", func(_ int, s *sim.Sky) { *s = sim.Sky{Fix: 8, Mode: "S"} }, never},
		{"dead reckoning", func(_ int, s *sim.Sky) { *s = sim.Sky{Fix: 6, Mode: "E"} }, never},
		{"typed in by hand", func(_ int, s *sim.Sky) { *s = sim.Sky{Fix: 1, Mode: "M"} }, never},
		{"an old receiver without mode", func(_ int, s *sim.Sky) { *s = sim.Sky{Fix: 1} }, func(o []time.Duration, _ int) bool { return len(o) > 5 }},
		{"a fix that comes and goes", func(n int, s *sim.Sky) { *s = sim.Sky{Fix: b2i(n%3 != 0), Mode: "A"} }, never},
		{"a time that jumps about", func(n int, s *sim.Sky) { *s = sim.Sky{Fix: 1, Mode: "A", Off: time.Duration(n%2) * time.Hour} }, never},
		{"a time that stands still", func(n int, s *sim.Sky) { *s = sim.Sky{Fix: 1, Mode: "A", Off: -time.Duration(n) * time.Second} }, never},
		{"a jump is believed only when it agrees again", func(n int, s *sim.Sky) {
			*s = sim.Sky{Fix: 1, Mode: "A"}
			if n >= 10 {
				s.Off = time.Hour
			}
		}, func(o []time.Duration, _ int) bool {
			for i := 1; i < len(o); i++ {
				if o[i]-o[i-1] > 30*time.Minute {
					return len(o) < 36 // seconds 10 to 13 said nothing
				}
			}
			return false
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if offs, first := told(t, 20, c.script); !c.want(offs, first) {
				t.Errorf("told %d times, first in second %d", len(offs), first)
			}
		})
	}
}

func never(o []time.Duration, _ int) bool { return len(o) == 0 }

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func FuzzSentences(f *testing.F) {
	f.Add([]byte("$WIMWV,214.8,R,0.1,K,A*28\r\n"), uint8(7))
	f.Add([]byte(sim.Frame("GPRMC,235960.00,A,2307.0380,N,11324.0000,E,0.0,0.0,311216,,,A")), uint8(255))
	f.Add([]byte(sim.Frame("GPZDA,,,,,,")+sim.Frame("GPZDA,000000,31,02,2027,00,00")), uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		d := New(nil, Opts{Tell: func(utc, _ time.Time) {
			if utc.Year() < 2000 || utc.Year() > 2100 {
				t.Fatalf("told %v", utc)
			}
		}})
		d.at = time.Now()
		d.sky.fixAt = d.at
		for p := b; len(p) > 0; {
			n := min(len(p), int(step)+1)
			d.spare, p = p[:n], p[n:]
			for len(d.spare) > 0 {
				s, ended, err := d.take()
				if err != nil || !ended {
					continue
				}
				if r, err := d.whole(s); err == nil && (len(r.Fields) == 0 || len(r.Raw) > Longest) {
					t.Fatalf("%+v", r)
				}
			}
			if len(d.line) > Longest {
				t.Fatalf("%d bytes held", len(d.line))
			}
		}
		// What is framed rightly must be parsed without harm too.
		if s := fmt.Sprintf("%.200s", b); len(s) > 0 {
			framed := strings.TrimSpace(sim.Frame(strings.Map(printable, s)))
			if f, err := Cut(framed); err == nil {
				d.sky.hear(framed, f[0], d.at)
			}
		}
	})
}

func printable(r rune) rune {
	if r < 0x20 || r > 0x7e {
		return -1
	}
	return r
}
