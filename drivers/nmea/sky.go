package nmea

import (
	"time"

	"github.com/adrianmo/go-nmea"
)

const (
	// agreeing is how many sentences in a row must say the same time, apart from
	// what passed between them, before it is believed; over agreeFor at least, so
	// that the RMC and ZDA of one second are not two witnesses.
	agreeing = 6
	agreeFor = 4 * time.Second
	// agreeWithin is how far two sentences may differ: what the pauses of a 1 Hz
	// receiver at 4800 baud make of one time.
	agreeWithin = 900 * time.Millisecond
	// fixFor is how long a fix that GGA or RMC said covers a ZDA, which says none.
	fixFor = 3 * time.Second
)

// sky is what a receiver's sentences said of the time.
type sky struct {
	parser  nmea.SentenceParser
	fixAt   time.Time
	agreed  int
	utc0    time.Time // what the first of those that agree said,
	since   time.Time // and when it was heard
	lastUTC time.Time
}

// hear takes a checked sentence and gives the time where it may be believed.
func (s *sky) hear(raw, address string, at time.Time) (time.Time, bool) {
	if len(address) != 5 || at.IsZero() {
		return time.Time{}, false
	}
	switch address[2:] {
	case nmea.TypeRMC, nmea.TypeZDA, nmea.TypeGGA:
	default:
		return time.Time{}, false
	}
	parsed, err := s.parser.Parse(raw)
	if err != nil {
		return time.Time{}, false
	}
	var utc time.Time
	switch m := parsed.(type) {
	case nmea.GGA:
		switch m.FixQuality {
		case nmea.GPS, nmea.DGPS, nmea.PPS, nmea.RTK, nmea.FRTK:
			s.fixAt = at
		default: // no fix, dead reckoning, typed in, simulated
			s.lost()
		}
		return time.Time{}, false
	case nmea.RMC:
		if m.Validity != nmea.ValidRMC || !surveyed(m.FFAMode) {
			s.lost()
			return time.Time{}, false
		}
		s.fixAt = at
		utc = moment(m.Time, 2000+int64(m.Date.YY), int64(m.Date.MM), int64(m.Date.DD), m.Date.Valid)
	case nmea.ZDA:
		if s.fixAt.IsZero() || at.Sub(s.fixAt) > fixFor {
			return time.Time{}, false
		}
		utc = moment(m.Time, m.Year, m.Month, m.Day, true)
	}
	if utc.IsZero() {
		return time.Time{}, false
	}
	return utc, s.agrees(utc, at)
}

// lost forgets what agreed: without a fix the receiver runs on its own clock.
func (s *sky) lost() { s.fixAt, s.agreed = time.Time{}, 0 }

// surveyed tells whether a mode is one of a position from the sky: autonomous,
// differential, precise, float and fixed RTK. Old receivers say none.
func surveyed(mode string) bool {
	switch mode {
	case "", "A", "D", "P", "F", "R":
		return true
	}
	return false
}

func moment(t nmea.Time, year, month, day int64, valid bool) time.Time {
	if !t.Valid || !valid || year < 2000 || year > 2099 || month < 1 || month > 12 || day < 1 || day > 31 {
		return time.Time{}
	}
	u := time.Date(int(year), time.Month(month), int(day), t.Hour, t.Minute, t.Second, t.Millisecond*int(time.Millisecond), time.UTC)
	if u.Day() != int(day) && !(t.Hour == 23 && t.Second == 60) {
		return time.Time{} // the 31st of a shorter month
	}
	return u
}

// agrees counts the sentences that say the same time, and tells whether they are
// enough. A clock that stands still or runs back is not agreeing.
func (s *sky) agrees(utc, at time.Time) bool {
	// By the process's monotonic clock: a step of the wall clock, which this very
	// time may set, is no disagreement.
	d := utc.Sub(s.utc0) - at.Sub(s.since)
	if s.agreed == 0 || d > agreeWithin || d < -agreeWithin || utc.Before(s.lastUTC) {
		s.agreed, s.since, s.utc0 = 0, at, utc
	}
	s.agreed++
	s.lastUTC = utc
	return s.agreed >= agreeing && at.Sub(s.since) >= agreeFor
}
