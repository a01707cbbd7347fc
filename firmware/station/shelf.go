package station

import (
	"math/bits"
	"sync"

	"tocsin/firmware/point"
)

// shelfMost is how many rooms of one size wait to be used again: more than are
// ever under way while nothing hangs.
const shelfMost = 16

// shelf keeps the room of readings that were taken, so that a box of thousands
// of points does not make it anew at each reading. Who takes room owns it until
// the decide goroutine has put it back, and that copies what it keeps.
type shelf struct {
	mu    sync.Mutex
	rooms [16][][]point.Reading // by the power of two that they hold
}

// take gives empty room for n readings.
func (s *shelf) take(n int) []point.Reading {
	c := bits.Len(uint(max(n, 1) - 1))
	if c >= len(s.rooms) {
		return make([]point.Reading, 0, n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.rooms[c]; len(have) > 0 {
		r := have[len(have)-1]
		s.rooms[c] = have[:len(have)-1]
		return r
	}
	return make([]point.Reading, 0, 1<<c)
}

// put takes room back of which nobody holds anything any more.
func (s *shelf) put(rs []point.Reading) {
	c := bits.Len(uint(cap(rs))) - 1 // what it holds at least
	if c < 0 || c >= len(s.rooms) {
		return
	}
	clear(rs) // no reason is kept alive, and nobody is shown a reading of another time
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rooms[c]) < shelfMost {
		s.rooms[c] = append(s.rooms[c], rs[:0])
	}
}
