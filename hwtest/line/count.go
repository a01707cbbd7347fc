package line

import (
	"maps"
	"sync"
	"time"
)

// Counters are what a line or a gateway has seen since it was made or since
// Reset.
type Counters struct {
	Requests    int // well-formed requests, to whichever unit
	Answers     int // answers that went out whole, exceptions among them
	Exceptions  int // answers that were exceptions
	Unanswered  int // requests that nobody answered
	BadFrames   int // what was heard that was no frame
	Collisions  int // requests begun while an answer was on the wire
	ShortGaps   int // requests begun less than 3.5 characters after the last frame
	NoiseBytes  int // bytes of noise sent
	Overruns    int // bytes that nobody took: port not open, or its reader asleep
	RequestWire time.Duration
	AnswerWire  time.Duration
	Since       time.Time
	Units       map[byte]UnitCounters
}

// UnitCounters are one unit's. Requests are those to it, heard or not; Faults
// are those of them that a Fault hit.
type UnitCounters struct {
	Requests, Answers, Exceptions, Faults int
}

// Busy is the share of the time since Since in which the wire carried bits.
func (c Counters) Busy() float64 {
	t := time.Since(c.Since)
	if t <= 0 {
		return 0
	}
	return float64(c.RequestWire+c.AnswerWire) / float64(t)
}

// tally is Counters with a lock.
type tally struct {
	mu sync.Mutex
	c  Counters
}

func newTally() *tally { return &tally{c: Counters{Since: time.Now(), Units: map[byte]UnitCounters{}}} }

func (t *tally) with(f func(*Counters)) {
	t.mu.Lock()
	f(&t.c)
	t.mu.Unlock()
}

func (t *tally) unit(u byte, f func(*UnitCounters)) {
	t.mu.Lock()
	x := t.c.Units[u]
	f(&x)
	t.c.Units[u] = x
	t.mu.Unlock()
}

func (t *tally) copy() Counters {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.c
	c.Units = maps.Clone(t.c.Units)
	return c
}

func (t *tally) reset() {
	t.mu.Lock()
	t.c = Counters{Since: time.Now(), Units: map[byte]UnitCounters{}}
	t.mu.Unlock()
}
