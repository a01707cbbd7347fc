package modem

import (
	"math"
	"sync/atomic"
	"time"

	"tocsin/drivers"
)

const (
	soundTick = 20 * time.Millisecond
	// ahead is how much lies in the modem at most: what is lost when the call ends.
	ahead = 120 * time.Millisecond
	// lateMost is how far behind sound may fall and catch up; beyond it is left out.
	lateMost = 500 * time.Millisecond
)

// sound gives a call what it plays, over the modem's second port, at the pace at
// which a telephone takes it, and listens for keys in what comes back where the
// modem does not tell them. Beyond that, what the other side says is dropped.
type sound struct {
	port  drivers.Port
	give  func([]int16) (int, bool)
	tones *tones // nil: the modem tells keys
	keys  chan byte

	samples atomic.Int64
	whole   atomic.Bool
	over    chan struct{} // all was heard, or the port went
	halt    chan struct{}
	gone    chan struct{}
}

func newSound(p drivers.Port, give func([]int16) (int, bool), listen bool) *sound {
	s := &sound{port: p, give: give, keys: make(chan byte, 16), over: make(chan struct{}), halt: make(chan struct{}), gone: make(chan struct{})}
	if listen {
		s.tones = &tones{}
	}
	return s
}

// stop ends it and waits for its end.
func (s *sound) stop() {
	close(s.halt)
	<-s.gone
}

func (s *sound) played() time.Duration {
	return time.Duration(s.samples.Load()) * time.Second / drivers.CallRate
}

// run is its goroutine. It owns the port.
func (s *sound) run() {
	defer close(s.gone)
	defer s.port.Close()
	tick := time.NewTicker(soundTick)
	defer tick.Stop()
	began, sent := time.Now(), time.Duration(0)
	done, over := false, false
	var half []byte
	for {
		run := time.Since(began)
		switch {
		case !done:
			if run-sent > lateMost {
				began = began.Add(run - sent)
				run = sent
			}
			done = s.write(run + ahead - sent)
			sent = s.played()
		case !over && run >= sent:
			over = true
			s.whole.Store(true)
			close(s.over)
		}
		select {
		case <-s.halt:
			return
		case c, ok := <-s.port.Received():
			if ok {
				half = s.hear(append(half, c.B...))
				continue
			}
			if !over {
				close(s.over)
			}
			<-s.halt
			return
		case <-tick.C:
		}
	}
}

// write gives the modem what it can take now.
func (s *sound) write(room time.Duration) (done bool) {
	n := int(room * drivers.CallRate / time.Second)
	for n > 0 && !done {
		var pcm [drivers.CallRate / 50]int16
		var got int
		got, done = s.give(pcm[:min(n, len(pcm))])
		if got <= 0 {
			return done
		}
		b := make([]byte, 0, 2*len(pcm))
		for _, v := range pcm[:got] {
			b = append(b, byte(v), byte(uint16(v)>>8))
		}
		if _, err := s.port.Write(b); err != nil {
			return done // the port's end is seen where it is read
		}
		s.samples.Add(int64(got))
		n -= got
	}
	return done
}

// hear looks for keys and gives back half a sample.
func (s *sound) hear(b []byte) []byte {
	if s.tones == nil {
		return b[:0]
	}
	i := 0
	for ; i+1 < len(b); i += 2 {
		if k := s.tones.add(int16(uint16(b[i]) | uint16(b[i+1])<<8)); k != 0 {
			select {
			case s.keys <- k:
			default:
			}
		}
	}
	return append(b[:0], b[i:]...)
}

// tones finds pressed keys in sound: two tones at once, one of four low and one of
// four high ones, for at least 40 ms (ITU-T Q.23 and Q.24). Blocks of 205 samples
// part the tones at 8000 Hz.
type tones struct {
	n      int
	q      [8][2]float64
	energy float64
	was    byte
	held   int
}

const (
	toneBlock = 205
	// toneShare is how much of the energy must lie in the two tones: speech has
	// hardly that much in two lines.
	toneShare = 0.6
	// twist is by how much one of the two may be louder, as a ratio of powers.
	twist = 10
	// quiet is the mean square below which nothing is looked for (about -45 dBFS).
	quiet = 2.1e4
	// toneBlocks is for how many blocks a key must be there: 51 ms.
	toneBlocks = 2
)

var (
	toneHz   = [8]float64{697, 770, 852, 941, 1209, 1336, 1477, 1633}
	toneKeys = [4]string{"123A", "456B", "789C", "*0#D"}
	toneTurn = func() (c [8]float64) {
		for i, hz := range toneHz {
			c[i] = 2 * math.Cos(2*math.Pi*hz/drivers.CallRate)
		}
		return c
	}()
)

// Keys gives the keys that are heard in sound of 8000 samples a second.
func Keys(pcm []int16) (keys string) {
	var t tones
	for _, v := range pcm {
		if k := t.add(v); k != 0 {
			keys += string(rune(k))
		}
	}
	return keys
}

// add takes a sample and gives a key once, when it was held long enough.
func (t *tones) add(s int16) byte {
	x := float64(s)
	t.energy += x * x
	for i := range t.q {
		t.q[i][0], t.q[i][1] = x+toneTurn[i]*t.q[i][0]-t.q[i][1], t.q[i][0]
	}
	if t.n++; t.n < toneBlock {
		return 0
	}
	k := t.block()
	t.n, t.energy, t.q = 0, 0, [8][2]float64{}
	if k != t.was {
		t.was, t.held = k, 0
	}
	t.held++
	if k != 0 && t.held == toneBlocks {
		return k
	}
	return 0
}

func (t *tones) block() byte {
	if t.energy/toneBlock < quiet {
		return 0
	}
	var p [8]float64
	for i, q := range t.q {
		p[i] = q[0]*q[0] + q[1]*q[1] - toneTurn[i]*q[0]*q[1]
	}
	best := func(from int) int {
		b := from
		for i := from; i < from+4; i++ {
			if p[i] > p[b] {
				b = i
			}
		}
		return b
	}
	lo, hi := best(0), best(4)
	// A tone alone has toneBlock/2 times its energy in its own line.
	if p[lo]+p[hi] < toneShare*t.energy*toneBlock/2 || p[lo] > twist*p[hi] || p[hi] > twist*p[lo] {
		return 0
	}
	for i := range p {
		if i != lo && i != hi && (p[i] > p[lo]/5 && i < 4 || p[i] > p[hi]/5 && i >= 4) {
			return 0
		}
	}
	return toneKeys[lo][hi-4]
}
