package gauge

import (
	"fmt"
	"sync"
	"time"

	"tocsin/hwtest/line"
)

// Talker is a rain gauge that talks by itself: each period a line
//
//	$RAIN,<total mm, one decimal>,<tips>*<XOR of what stands between $ and *, two hex digits>\r\n
//
// after the manner of NMEA 0183. It is a device of ours, not a product.
type Talker struct {
	rain *Rain
	line *line.Line

	mu     sync.Mutex
	silent bool
	badSum bool
	half   bool

	once sync.Once
	stop chan struct{}
	done chan struct{}
}

// NewTalker has a rain gauge talk on a line of its own. Close ends it; the line
// stays.
func NewTalker(l *line.Line, r *Rain, every time.Duration) *Talker {
	t := &Talker{rain: r, line: l, stop: make(chan struct{}), done: make(chan struct{})}
	go t.run(every)
	return t
}

// Silence true: it says nothing more.
func (t *Talker) Silence(on bool) { t.mu.Lock(); t.silent = on; t.mu.Unlock() }

// BadSum true: its check sums are wrong.
func (t *Talker) BadSum(on bool) { t.mu.Lock(); t.badSum = on; t.mu.Unlock() }

// Half true: its lines break off in the middle, with no end.
func (t *Talker) Half(on bool) { t.mu.Lock(); t.half = on; t.mu.Unlock() }

// Close ends it; again does nothing.
func (t *Talker) Close() error {
	t.once.Do(func() { close(t.stop) })
	<-t.done
	return nil
}

func (t *Talker) run(every time.Duration) {
	defer close(t.done)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-tick.C:
		}
		t.mu.Lock()
		silent, bad, half := t.silent, t.badSum, t.half
		t.mu.Unlock()
		if silent {
			continue
		}
		s := Sentence(t.rain.Total(), t.rain.Tips())
		if bad {
			s[len(s)-3] ^= 1
		}
		if half {
			s = s[:len(s)/2]
		}
		if t.line.Say(s) != nil {
			return
		}
	}
}

// Sentence is the line that a Talker says.
func Sentence(totalMM float64, tips int) []byte {
	body := fmt.Sprintf("RAIN,%.1f,%d", totalMM, tips)
	var sum byte
	for i := range len(body) {
		sum ^= body[i]
	}
	return fmt.Appendf(nil, "$%s*%02X\r\n", body, sum)
}
