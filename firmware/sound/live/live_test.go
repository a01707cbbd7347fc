package live

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"tocsin/drivers"
)

var shipped = Bounds{Hold: 120 * time.Millisecond, Most: 400 * time.Millisecond, Quiet: 10 * time.Second, Lost: 3 * time.Second, RMS: -16, Peak: -3, Gain: 18, Floor: -45}

var card = drivers.Format{Rate: 48000, Channels: 2}

// bench is a voice and a card in virtual time.
type bench struct {
	now   time.Duration
	v     *Voice
	r     *Reader
	heard []int16 // of one channel
	done  bool
}

func newBench() *bench {
	b := &bench{now: time.Hour}
	b.v = New(Opts{Rate: 8000, Bounds: shipped, Now: func() time.Duration { return b.now }})
	b.r = b.v.Samples(card)
	return b
}

// play lets the card take d.
func (b *bench) play(d time.Duration) {
	for ; d > 0 && !b.done; d -= 10 * time.Millisecond {
		buf := make([]int16, 960)
		n, done := b.r.Read(buf)
		for i := 0; i < n; i += 2 {
			if buf[i] != buf[i+1] {
				panic("the channels differ")
			}
			b.heard = append(b.heard, buf[i])
		}
		b.done = done
		b.now += 10 * time.Millisecond
	}
}

// voiced is a voice of 20 ms frames: a buzz of 125 Hz with four harmonics at a level.
func voiced(frames int, db float64) [][]int16 {
	var all [][]int16
	for n := range frames {
		f := make([]int16, 160)
		for i := range f {
			t := float64(n*160+i) / 8000
			x := 0.0
			for h := 1.0; h < 5; h++ {
				x += math.Sin(2*math.Pi*125*h*t) / h
			}
			f[i] = int16(max(-32768, min(32767, x*32768*math.Pow(10, db/20)/0.844)))
		}
		all = append(all, f)
	}
	return all
}

func db(s []int16) float64 { return 20 * math.Log10(max(rms(s), 1e-3)/32768) }

func peak(s []int16) (top float64) {
	for _, x := range s {
		top = max(top, math.Abs(float64(x)))
	}
	return top
}

// say gives frames at their pace, each late by what late says; under zero it never comes.
func (b *bench) say(frames [][]int16, late func(n int) time.Duration) {
	type piece struct {
		at time.Duration
		n  int
	}
	var wait []piece
	began := b.now
	for n := range frames {
		if l := late(n); l >= 0 {
			wait = append(wait, piece{began + time.Duration(n+1)*20*time.Millisecond + l, n})
		}
	}
	for len(wait) > 0 || b.now < began+time.Duration(len(frames))*20*time.Millisecond {
		rest := wait[:0:0]
		for _, p := range wait {
			if p.at > b.now {
				rest = append(rest, p)
				continue
			}
			b.v.Put(int64(p.n)*2, frames[p.n])
		}
		wait = rest
		b.play(10 * time.Millisecond)
	}
}

func punctual(int) time.Duration { return 0 }

func TestAVoiceIsHeardWholeAndNoLaterThanItIsHeld(t *testing.T) {
	b := newBench()
	b.play(500 * time.Millisecond)
	if peak(b.heard) != 0 {
		t.Error("something sounds before anybody spoke")
	}
	b.say(voiced(100, -20), punctual)
	b.v.End(200)
	b.play(2 * time.Second)
	s := b.v.Look()
	if !b.done || s.Why != Done || s.Played != 200 || s.Concealed != 0 || s.Late+s.Skipped != 0 {
		t.Errorf("%v %+v", b.done, s)
	}
	first := 0
	for first < len(b.heard) && b.heard[first] == 0 {
		first++
	}
	if late := time.Duration(first-500*48)*time.Second/48000 - 20*time.Millisecond; late > shipped.Hold+20*time.Millisecond {
		t.Errorf("it is late by %v", late)
	}
	if got := time.Duration(len(b.heard)-first) * time.Second / 48000; got < 1990*time.Millisecond || got > 2050*time.Millisecond {
		t.Errorf("%v of 2 s were heard", got)
	}
}

func TestNobodyIsLouderByShoutingAndTheWeakAreRaised(t *testing.T) {
	for _, level := range []float64{-1, -6, -16, -30, -40} {
		b := newBench()
		b.say(voiced(250, level), punctual)
		end := b.heard[len(b.heard)-48000:]
		if p := 20 * math.Log10(peak(b.heard)/32768); p > shipped.Peak+0.01 {
			t.Errorf("at %v dB a peak of %.1f dB sounds", level, p)
		}
		want := min(shipped.RMS, level+shipped.Gain)
		if got := db(end); math.Abs(got-want) > 2 {
			t.Errorf("%v dB sound at %.1f, want %.1f", level, got, want)
		}
	}
	b := newBench()
	b.say(voiced(250, -55), punctual)
	if got := db(b.heard[len(b.heard)-48000:]); got > -54 {
		t.Errorf("noise was raised to %.1f dB", got)
	}
	// A shout after a whisper: turned down at once.
	b = newBench()
	b.say(append(voiced(200, -34), voiced(50, -1)...), punctual)
	if p := 20 * math.Log10(peak(b.heard)/32768); p > shipped.Peak+0.01 {
		t.Errorf("the shout had %.1f dB", p)
	}
}

func TestJitterIsHeldAndTheDelayIsBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := newBench()
	b.say(voiced(300, -20), func(int) time.Duration { return time.Duration(r.IntN(80)) * time.Millisecond })
	if s := b.v.Look(); s.Concealed > 0 || s.Skipped > 0 || s.Late > 0 {
		t.Errorf("80 ms of jitter: %+v", s)
	}
	b = newBench()
	stall := func(n int) time.Duration { // a link that stands still for a second, then brings all at once
		if n >= 100 && n < 150 {
			return time.Duration(150-n) * 20 * time.Millisecond
		}
		return 0
	}
	b.say(voiced(300, -20), stall)
	if s := b.v.Look(); s.Held > shipped.Most || s.Skipped == 0 || s.Concealed == 0 {
		t.Errorf("after a stall: %+v", s)
	}
}

func TestAMissingPieceIsFilledAndFades(t *testing.T) {
	b := newBench()
	b.say(voiced(100, -20), func(n int) time.Duration {
		if n == 50 {
			return -1
		}
		return 0
	})
	s := b.v.Look()
	if s.Concealed != 2 {
		t.Errorf("%+v", s)
	}
	// Where it was missing something sounds, about as loud.
	at := int((time.Duration(50)*20*time.Millisecond + shipped.Hold + 20*time.Millisecond) * 48000 / time.Second)
	if got := db(b.heard[at : at+960]); got < -24 {
		t.Errorf("there is a hole of %.1f dB", got)
	}
	b = newBench()
	b.say(voiced(50, -20), punctual)
	b.play(400 * time.Millisecond)
	if got := peak(b.heard[len(b.heard)-4800:]); got != 0 {
		t.Errorf("what is put in goes on for ever: %v", got)
	}
}

func TestItEndsByItselfWhereNothingIsSaidOrNothingComes(t *testing.T) {
	b := newBench()
	b.play(shipped.Lost + time.Second)
	if s := b.v.Look(); !b.done || s.Why != Lost || peak(b.heard) != 0 {
		t.Errorf("%+v", s)
	}
	b = newBench()
	b.say(voiced(50, -20), punctual)
	for n := 50; n < 700 && !b.done; n++ {
		b.v.Put(int64(n)*2, make([]int16, 160))
		b.play(20 * time.Millisecond)
	}
	if s := b.v.Look(); s.Why != Quiet || b.now > time.Hour+12*time.Second {
		t.Errorf("%+v at %v", s, b.now)
	}
	b = newBench()
	b.say(voiced(50, -20), punctual)
	b.v.Break()
	before := len(b.heard)
	b.play(time.Second)
	if got := time.Duration(len(b.heard)-before) * time.Second / 48000; got > 40*time.Millisecond {
		t.Errorf("%v sounded after it was broken off", got)
	}
	if b.v.Put(1000, make([]int16, 160)) {
		t.Error("a voice that is over takes more")
	}
}

func TestACopyAndATooLateOneAreNotPlayed(t *testing.T) {
	b := newBench()
	f := voiced(100, -20)
	for n := range f {
		b.v.Put(int64(n)*2, f[n])
		b.v.Put(int64(n)*2, f[n])
		if n > 80 {
			b.v.Put(int64(n-80)*2, f[n-80])
		}
		b.play(20 * time.Millisecond)
	}
	if s := b.v.Look(); s.Played > 200 || s.Late == 0 {
		t.Errorf("%+v", s)
	}
}

// TestWhatIsHeardIsWhatWasSaid holds the turn to each card's rate by how much of a tone is
// beside the tone.
func TestWhatIsHeardIsWhatWasSaid(t *testing.T) {
	for _, rate := range []int{8000, 16000, 44100, 48000} {
		c := newConverter(8000, rate)
		in := make([]int16, 8000)
		for i := range in {
			in[i] = int16(12000 * math.Sin(2*math.Pi*1000*float64(i)/8000))
		}
		out := c.turn(nil, in)
		if len(out) < rate-rate/100 || len(out) > rate+rate/100 {
			t.Errorf("%d: %d samples of a second", rate, len(out))
		}
		var s, co, p float64
		for i, x := range out[rate/10:] {
			w := 2 * math.Pi * 1000 * float64(i) / float64(rate)
			s, co, p = s+float64(x)*math.Sin(w), co+float64(x)*math.Cos(w), p+float64(x)*float64(x)
		}
		n := float64(len(out) - rate/10)
		tone := 2 * (s*s + co*co) / n
		if tone/p < 0.999 {
			t.Errorf("%d: %.1f dB beside the tone", rate, 10*math.Log10(1-tone/p))
		}
		if a := math.Sqrt(2 * p / n); math.Abs(a-12000) > 400 {
			t.Errorf("%d: amplitude %.0f", rate, a)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	x := newBench()
	f := voiced(1, -20)[0]
	buf := make([]int16, 1920)
	n := int64(0)
	for b.Loop() {
		x.v.Put(n, f)
		n += 2
		x.r.Read(buf)
	}
}
