package gpio

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/physic"

	"tocsin/drivers"
)

// fakePin is a pin in memory. (conn's gpiotest.Pin needs a module that nothing
// else here does.)
type fakePin struct {
	mu    sync.Mutex
	level gpio.Level
	pull  gpio.Pull
	stuck bool // Out does nothing
	edges chan struct{}
	outs  []gpio.Level
}

func newPin(l gpio.Level) *fakePin { return &fakePin{level: l, edges: make(chan struct{}, 64)} }

func (p *fakePin) String() string   { return "FAKE" }
func (p *fakePin) Halt() error      { return nil }
func (p *fakePin) Name() string     { return "FAKE" }
func (p *fakePin) Number() int      { return 1 }
func (p *fakePin) Function() string { return "" }
func (p *fakePin) In(pull gpio.Pull, _ gpio.Edge) error {
	p.pull = pull
	return nil
}
func (p *fakePin) Read() gpio.Level {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.level
}
func (p *fakePin) WaitForEdge(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.edges:
		return true
	case <-t.C:
		return false
	}
}
func (p *fakePin) Pull() gpio.Pull        { return p.pull }
func (p *fakePin) DefaultPull() gpio.Pull { return gpio.Float }
func (p *fakePin) Out(l gpio.Level) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.outs = append(p.outs, l)
	if !p.stuck {
		p.level = l
	}
	return nil
}
func (p *fakePin) PWM(gpio.Duty, physic.Frequency) error { return errors.ErrUnsupported }

// turn sets the level, with or without telling.
func (p *fakePin) turn(l gpio.Level, tell bool) {
	p.mu.Lock()
	p.level = l
	p.mu.Unlock()
	if tell {
		p.edges <- struct{}{}
	}
}

func input(t *testing.T, p *fakePin, o InputOpts) *Input {
	t.Helper()
	i, err := NewInput(p, o)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestAnInputWakesByEdgeAndByTime(t *testing.T) {
	for _, c := range []struct {
		name  string
		tell  bool
		after time.Duration
	}{
		{"an edge", true, 200 * time.Millisecond},
		{"an edge that was lost is found by reading again", false, 300 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPin(gpio.High)
			i := input(t, p, InputOpts{ActiveLow: true, Pull: PullUp})
			ctx := context.Background()
			if on, err := i.Read(ctx); on || err != nil || p.pull != gpio.PullUp {
				t.Errorf("%s: at rest: %v %v, pull %v", c.name, on, err, p.pull)
			}
			start := time.Now()
			time.AfterFunc(195*time.Millisecond, func() { p.turn(gpio.Low, c.tell) })
			if err := i.WaitEdge(ctx, time.Second); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(start); d > c.after {
				t.Errorf("%s: woke after %v", c.name, d)
			}
			if on, err := i.Read(ctx); !on || err != nil {
				t.Errorf("%s: %v %v", c.name, on, err)
			}
			start = time.Now()
			if err := i.WaitEdge(ctx, 250*time.Millisecond); err != nil || time.Since(start) != 250*time.Millisecond {
				t.Errorf("%s: no edge: %v after %v", c.name, err, time.Since(start))
			}
		})
	}
}

func TestABouncingContactCountsOnceItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPin(gpio.Low)
		i := input(t, p, InputOpts{Debounce: 20 * time.Millisecond})
		ctx := context.Background()
		i.Read(ctx)
		for n := range 8 { // up and down for 32 ms, then up
			time.AfterFunc(time.Duration(n*4)*time.Millisecond, func() { p.turn(n%2 == 0, true) })
		}
		time.AfterFunc(32*time.Millisecond, func() { p.turn(gpio.High, true) })
		start := time.Now()
		time.Sleep(time.Millisecond)
		on, err := i.Read(ctx)
		if !on || err != nil || time.Since(start) < 50*time.Millisecond {
			t.Errorf("%v %v after %v", on, err, time.Since(start))
		}
		// A spike is nothing.
		time.AfterFunc(time.Millisecond, func() { p.turn(gpio.Low, true) })
		time.AfterFunc(3*time.Millisecond, func() { p.turn(gpio.High, true) })
		time.Sleep(2 * time.Millisecond)
		if on, err := i.Read(ctx); !on || err != nil {
			t.Errorf("a spike: %v %v", on, err)
		}
	})
}

func TestAContactThatNeverHoldsIsAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPin(gpio.Low)
		i := input(t, p, InputOpts{})
		stop := make(chan struct{})
		go func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(3 * time.Millisecond):
					p.turn(n%2 == 0, false)
				}
			}
		}()
		if _, err := i.Read(context.Background()); drivers.KindOf(err) != drivers.FaultGarbled {
			t.Error(err)
		}
		close(stop)
	})
}

func TestAWaitEndsWithItsContextAndWithTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := input(t, newPin(gpio.Low), InputOpts{})
		i.Read(context.Background())
		ctx, cancel := context.WithTimeout(context.Background(), 250*time.Millisecond)
		defer cancel()
		start := time.Now()
		if err := i.WaitEdge(ctx, time.Hour); drivers.KindOf(err) != drivers.FaultCancelled || time.Since(start) > 350*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		time.AfterFunc(50*time.Millisecond, func() { i.Close() })
		if err := i.WaitEdge(context.Background(), time.Hour); drivers.KindOf(err) != drivers.FaultGone {
			t.Error(err)
		}
	})
}

func TestAnOutputIsReadBackAndGoesOffAtItsEnd(t *testing.T) {
	for _, low := range []bool{false, true} {
		p := newPin(gpio.Level(!low)) // on, before anybody opened it
		o, err := NewOutput(p, OutputOpts{ActiveLow: low})
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		if p.Read() != gpio.Level(low) {
			t.Error("not off when opened")
		}
		if err := o.Set(ctx, true); err != nil || p.Read() == gpio.Level(low) {
			t.Errorf("%v, level %v", err, p.Read())
		}
		p.stuck = true
		if err := o.Set(ctx, false); drivers.KindOf(err) != drivers.FaultOther || err == nil {
			t.Errorf("a stuck line: %v", err)
		}
		p.stuck = false
		if err := o.Close(); err != nil || p.Read() != gpio.Level(low) {
			t.Errorf("at its end: %v, level %v", err, p.Read())
		}
		if err := o.Set(ctx, true); drivers.KindOf(err) != drivers.FaultGone {
			t.Errorf("after its end: %v", err)
		}
	}
}

func TestABoardWithoutTheLineSaysSo(t *testing.T) {
	if chips, _ := filepath.Glob("/dev/gpiochip*"); len(chips) > 0 {
		t.Log("this board has chips; only the name is missing")
	}
	if _, err := OpenInput("TOCSIN-NO-SUCH-LINE", InputOpts{}); !errors.Is(err, drivers.ErrAbsent) {
		t.Error(err)
	}
	if _, err := OpenOutput("gpiochip99/1", OutputOpts{}); !errors.Is(err, drivers.ErrAbsent) {
		t.Error(err)
	}
}
