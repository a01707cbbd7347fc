//go:build linux

package audio

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
)

func card(t *testing.T, b *board, o Opts) *Card {
	t.Helper()
	o.kernel = b
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func usb() *board { return &board{list: onePCH, formats: []drivers.Format{cd}} }

func TestACardIsFoundByNameNumberOrFirst(t *testing.T) {
	for name, want := range map[string]string{"": "/dev/snd/pcmC0D0p", "Device": "/dev/snd/pcmC1D0p", "1": "/dev/snd/pcmC1D0p", "PCH": "/dev/snd/pcmC0D0p"} {
		b := usb()
		s := open(t, card(t, b, Opts{Card: name}), cd)
		s.Drop()
		if b.opened[0] != want {
			t.Errorf("%q opened %s", name, b.opened[0])
		}
	}
	for _, b := range []*board{{}, {list: "--- no soundcards ---\n"}, usb()} {
		c, err := New(Opts{Card: "Horn", kernel: b})
		if !errors.Is(err, drivers.ErrAbsent) || c == nil {
			t.Errorf("%v", err)
			continue
		}
		if _, err := c.Open(t.Context(), cd); drivers.KindOf(err) != drivers.FaultGone || !errors.Is(err, drivers.ErrAbsent) {
			t.Errorf("Open: %v", err)
		}
		// It is plugged in.
		b.list, b.formats = strings.ReplaceAll(onePCH, "Device         ", "Horn           "), []drivers.Format{cd}
		open(t, c, cd).Drop()
	}
	if _, err := New(Opts{Volume: 101, kernel: usb()}); err == nil {
		t.Error("101 % was taken")
	}
}

func TestACardPlaysEverySampleInItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := usb()
		s := open(t, card(t, b, Opts{}), cd)
		want, began := sine(cd, 2*time.Second), time.Now()
		for at := 0; at < len(want); at += 1000 {
			if err := s.Write(t.Context(), want[at:min(at+1000, len(want))]); err != nil {
				t.Fatal(err)
			}
		}
		if d := s.Delay(); d <= 0 || d > 100*time.Millisecond {
			t.Errorf("%v waiting", d)
		}
		if err := s.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 1990*time.Millisecond || took > 2050*time.Millisecond {
			t.Errorf("2 s took %v", took)
		}
		if !slices.Equal(b.heard, want) {
			t.Errorf("%d of %d samples were heard, or others", len(b.heard), len(want))
		}
		if b.period != 960 || b.buffer > 4800 || b.most > 4800 || len(b.fds) != 0 {
			t.Errorf("period %d, buffer %d, at most %d waited, open %v", b.period, b.buffer, b.most, b.fds)
		}
		if n := s.(*Sounding).Underruns(); n != 0 {
			t.Errorf("%d underruns", n)
		}
	})
}

func TestAShortSoundIsHeardWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := usb()
		s := open(t, card(t, b, Opts{}), cd)
		want := sine(cd, 7*time.Millisecond) // less than a period
		if err := s.Write(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if err := s.Drain(t.Context()); err != nil || !slices.Equal(b.heard, want) {
			t.Errorf("%v, %d of %d samples", err, len(b.heard), len(want))
		}
	})
}

func TestDropSilencesACardAtOnceFromAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := usb()
		s := open(t, card(t, b, Opts{}), cd)
		done := make(chan error)
		go func() { done <- s.Write(context.Background(), sine(cd, 10*time.Second)) }()
		time.Sleep(500 * time.Millisecond)
		began := time.Now()
		if err := s.Drop(); err != nil {
			t.Fatal(err)
		}
		if time.Since(began) != 0 || len(b.fds) != 0 || b.state != "setup" {
			t.Errorf("after %v: %s, %v", time.Since(began), b.state, b.fds)
		}
		if err := <-done; drivers.KindOf(err) != drivers.FaultCancelled {
			t.Errorf("Write: %v", err)
		}
		if s.Drop() != nil || s.Drain(t.Context()) != nil || s.Delay() != 0 {
			t.Error("a second end is an error")
		}
	})
}

func TestAnUnderrunIsRecovered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := usb()
		s := open(t, card(t, b, Opts{}), cd).(*Sounding)
		for range 3 {
			if err := s.Write(t.Context(), sine(cd, 40*time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(300 * time.Millisecond)
		}
		if err := s.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.Underruns() != 2 || len(b.heard) != 3*1920*2 {
			t.Errorf("%d underruns, %d samples", s.Underruns(), len(b.heard))
		}
	})
}

func TestASleepingBoardWakesThePlayer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := usb()
		s := open(t, card(t, b, Opts{}), cd)
		s.Write(t.Context(), sine(cd, 40*time.Millisecond))
		b.state = "suspended"
		if err := s.Write(t.Context(), sine(cd, 40*time.Millisecond)); err != nil || b.state != "running" {
			t.Errorf("%v, %s", err, b.state)
		}
		s.Drop()
	})
}

func TestACardThatFailsSaysHow(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*board)
		kind  drivers.FaultKind
	}{
		"unplugged": {func(b *board) { b.gone = true }, drivers.FaultGone},
		"frozen":    {func(b *board) { b.frozen = true }, drivers.FaultTimeout},
		"closed":    {func(b *board) { b.state = "setup" }, drivers.FaultGone},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := usb()
			s := open(t, card(t, b, Opts{}), cd)
			if err := s.Write(t.Context(), sine(cd, 40*time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			c.spoil(b)
			began := time.Now()
			if err := s.Write(t.Context(), sine(cd, time.Second)); drivers.KindOf(err) != c.kind {
				t.Errorf("%s: %v", name, err)
			}
			if took := time.Since(began); took > 1500*time.Millisecond {
				t.Errorf("%s: it was seen after %v", name, took)
			}
			s.Drop()
		})
	}
	b := usb()
	c := card(t, b, Opts{})
	b.busy = true
	if _, err := c.Open(t.Context(), cd); drivers.KindOf(err) != drivers.FaultRefused {
		t.Errorf("busy: %v", err)
	}
	b.busy, b.formats = false, nil
	if _, err := c.Open(t.Context(), cd); err == nil || len(b.fds) != 0 {
		t.Errorf("no format: %v, open %v", err, b.fds)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Open(ctx, cd); drivers.KindOf(err) != drivers.FaultCancelled {
		t.Errorf("ended: %v", err)
	}
	for _, f := range []drivers.Format{{}, {Rate: 48000, Channels: 99}} {
		if _, err := c.Open(t.Context(), f); err == nil {
			t.Errorf("%v was opened", f)
		}
	}
}

func TestADrainEndsWhenItsContextDoes(t *testing.T) {
	for name, freeze := range map[string]bool{"in time": false, "frozen": true} {
		synctest.Test(t, func(t *testing.T) {
			b := usb()
			s := open(t, card(t, b, Opts{}), cd)
			s.Write(t.Context(), sine(cd, 80*time.Millisecond))
			b.frozen = freeze
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			defer cancel()
			want := drivers.FaultCancelled
			if freeze {
				ctx, want = t.Context(), drivers.FaultTimeout
			}
			if err := s.Drain(ctx); drivers.KindOf(err) != want || len(b.fds) != 0 {
				t.Errorf("%s: %v, open %v", name, err, b.fds)
			}
		})
	}
}

func TestACardThatPlaysAnotherFormatIsConvertedTo(t *testing.T) {
	mono := drivers.Format{Rate: 16000, Channels: 1}
	for _, c := range []struct {
		has  drivers.Format
		odd  int
		asks drivers.Format
	}{
		{cd, 0, mono}, {cd, 512, mono}, {cd, 1024, cd}, {drivers.Format{Rate: 44100, Channels: 2}, 0, cd},
		{drivers.Format{Rate: 48000, Channels: 1}, 0, cd}, {drivers.Format{Rate: 48000, Channels: 8}, 0, mono}, {mono, 0, cd},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &board{list: onePCH, formats: []drivers.Format{c.has}, odd: c.odd}
				s := open(t, card(t, b, Opts{}), c.asks)
				if got := s.(*Sounding).Format(); got != c.has {
					t.Fatalf("plays %v", got)
				}
				in := sine(c.asks, time.Second)
				for at, step := 0, 333*c.asks.Channels; at < len(in); at += step {
					if err := s.Write(t.Context(), in[at:min(at+step, len(in))]); err != nil {
						t.Fatal(err)
					}
				}
				if err := s.Drain(t.Context()); err != nil {
					t.Fatal(err)
				}
				frames := len(b.heard) / c.has.Channels
				if frames < c.has.Rate-10 || frames > c.has.Rate+10 {
					t.Errorf("1 s became %d frames of %v", frames, c.has)
				}
				// The same 1000 Hz at the same level, in every channel.
				for i := range frames {
					want := 12000 * sin1k(float64(i)/float64(c.has.Rate))
					for ch := range c.has.Channels {
						if d := float64(b.heard[i*c.has.Channels+ch]) - want; d > 700 || d < -700 {
							t.Fatalf("frame %d channel %d is off by %.0f", i, ch, d)
						}
					}
				}
			})
		})
	}
}

func TestTheMixerIsTurnedUpAndUnmuted(t *testing.T) {
	b := usb()
	b.controls = []*control{
		{name: "Master Playback Volume", kind: elemInteger, hi: 87, values: []int{0, 0}},
		{name: "Speaker Playback Switch", kind: elemBoolean, hi: 1, values: []int{0, 0}},
		{name: "PCM Playback Volume", kind: elemInteger, lo: -10239, hi: 400, values: []int{-3000}},
		{name: "Mic Playback Volume", kind: elemInteger, hi: 31, values: []int{0}},
		{name: "Capture Volume", kind: elemInteger, hi: 31, values: []int{5}},
		{name: "Headphone Playback Volume", kind: elemInteger, hi: 31, values: []int{0}, readOnly: true},
		{name: "Front Playback Volume", kind: elemInteger, hi: 100, values: []int{80}},
		{name: "Digital Playback Volume", kind: elemInteger, hi: 100, values: []int{7}, iface: 3},
	}
	s := open(t, card(t, b, Opts{Volume: 80}), cd).(*Sounding)
	defer s.Drop()
	want := [][]int{{69, 69}, {1, 1}, {-1728}, {0}, {5}, {0}, {80}, {7}}
	for i, c := range b.controls {
		if !slices.Equal(c.values, want[i]) {
			t.Errorf("%s is %v, want %v", c.name, c.values, want[i])
		}
	}
	if b.controls[6].writes != 0 {
		t.Error("what stood as wanted was written")
	}
	m := s.Mixer()
	if strings.Join(m.Set, ",") != "Master Playback Volume,Speaker Playback Switch,PCM Playback Volume,Front Playback Volume" || !strings.Contains(m.Left, "Headphone") {
		t.Errorf("%s", m)
	}
}

func TestACardWithoutAMixerPlaysAndSaysSo(t *testing.T) {
	for name, b := range map[string]*board{"none": usb(), "closed": {list: onePCH, formats: []drivers.Format{cd}, noMixer: true}} {
		s := open(t, card(t, b, Opts{Volume: 80}), cd).(*Sounding)
		if m := s.Mixer(); len(m.Set) != 0 || m.Left == "" {
			t.Errorf("%s: %s", name, m)
		}
		s.Drop()
	}
	b := usb()
	b.controls = []*control{{name: "Master Playback Volume", kind: elemInteger, hi: 87, values: []int{3}}}
	s := open(t, card(t, b, Opts{}), cd).(*Sounding)
	if b.controls[0].values[0] != 3 || s.Mixer().Left == "" {
		t.Error("a mixer that should be left alone was set")
	}
	s.Drop()
}

// TestARealCardPlays plays 100 ms of silence where this board has a card.
func TestARealCardPlays(t *testing.T) {
	cards, err := Cards()
	if err != nil || len(cards) == 0 {
		t.Skipf("no sound card here: %v", err)
	}
	c, err := New(Opts{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Open(t.Context(), cd)
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EACCES) || drivers.KindOf(err) == drivers.FaultRefused {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), make([]int16, 9600)); err != nil {
		t.Error(err)
	}
	if err := s.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

func FuzzCards(f *testing.F) {
	f.Add([]byte(onePCH))
	f.Add([]byte("--- no soundcards ---\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, l := range parseCards(b) {
			if l.Number < 0 || l.Number > 255 {
				t.Error(l)
			}
		}
	})
}
