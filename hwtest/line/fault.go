package line

import "time"

// Fault is how a unit misbehaves. The zero value is a healthy unit. Fields may
// be set together where that makes sense (Late and Duplicate, for one).
type Fault struct {
	Dead      bool                        // without power: hears nothing, does nothing
	Drop      bool                        // acts, but the answer is lost
	Late      time.Duration               // this much beyond the turnaround
	LateBy    func(nth int) time.Duration // if set, in place of Late; nth request counted from 1
	Garbage   []byte                      // these bytes go before the answer
	InPlace   bool                        // Garbage in place of the answer
	WrongUnit byte                        // not 0: answers under this id
	HalfFrame bool                        // stops in the middle of the answer
	Exception Exception                   // not 0: does nothing and answers with this
	Duplicate bool                        // sends the answer twice
	BadCRC    bool                        // RTU: CRC wrong; TCP: transaction id wrong
	Every     int                         // only each Every-th request is hit (0 and 1: all)
	Times     int                         // not 0: after this many hits the unit is healthy again
}

// sickness is a fault at work.
type sickness struct {
	Fault
	seen, hit int
}

// next says what happens to the next request, whether it is hit, and whether
// the fault is over after it.
func (s *sickness) next() (f Fault, hit, over bool) {
	s.seen++
	if s.Every > 1 && s.seen%s.Every != 0 {
		return Fault{}, false, false
	}
	s.hit++
	f = s.Fault
	if f.LateBy != nil {
		f.Late = f.LateBy(s.hit)
	}
	return f, true, s.Times > 0 && s.hit >= s.Times
}

// clean tells whether the answer goes out as the unit meant it, if late or
// twice.
func (f Fault) clean() bool {
	return !f.Drop && !f.InPlace && f.WrongUnit == 0 && !f.HalfFrame && !f.BadCRC
}
