package whep

import "time"

// trainWait is how long a burst may be on its way before it is given up.
const trainWait = 3 * time.Second

// train is a burst of padding under way, and what the last one told: how far apart its packets came
// says what the thinnest piece of the way bears.
type train struct {
	number uint64
	sent   time.Duration
	leaving,
	done bool
	away        int // packets of which nothing is known yet
	first, last int64
	bytes       int // of those that came
	head        int // of it, of the one that came first
	came        int

	told uint64
	rate int
}

// begin says that what is written from now on is of a train, until end.
func (w *wire) begin(number uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.train = train{number: number, sent: w.now(), leaving: true, told: w.train.told, rate: w.train.rate}
}

func (w *wire) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.train.leaving = false
}

// leaves is the train's number where a packet that leaves now is of it.
func (t *train) leaves() uint64 {
	if !t.leaving {
		return 0
	}
	t.away++
	return t.number
}

// comes takes what the other end says of a packet, and when it came by its own clock, in µs.
func (t *train) comes(s *onWire, came bool, at int64) {
	if s.of != t.number || t.number == 0 || t.done {
		return
	}
	t.away--
	s.of = 0
	if came {
		if t.came++; t.came == 1 || at < t.first {
			t.first, t.head = at, int(s.size)
		}
		t.last, t.bytes = max(t.last, at), t.bytes+int(s.size)
	}
	if t.away == 0 && !t.leaving {
		t.tell()
	}
}

// tell makes the word of it: half of it has to have come.
func (t *train) tell() {
	t.done, t.told, t.rate = true, t.number, 0
	if t.came >= 3 {
		t.rate = int(int64(t.bytes-t.head) * 8 * 1_000_000 / max(t.last-t.first, 1000))
	}
}

// trained is the last train of which something is known, and what it told.
func (w *wire) trained(now time.Duration) (uint64, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := &w.train; t.number > 0 && !t.done && !t.leaving && now-t.sent > trainWait {
		t.tell()
	}
	return w.train.told, w.train.rate
}
