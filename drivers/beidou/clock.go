package beidou

import (
	"strconv"
	"time"
)

// Told is a time that the sentences said. It is good to about a second: what a
// terminal says is the time of its last fix or frame.
type Told struct {
	// UTC is the time. Where Dated is false only its hour, minute and second mean
	// anything: the terminal's own sentence has no date.
	UTC   time.Time
	Dated bool
	// Heard is when the sentence was heard.
	Heard time.Time
}

const (
	agreeing    = 4
	agreeFor    = 3 * time.Second
	agreeWithin = 1500 * time.Millisecond
	fixFor      = 3 * time.Second
	halfDay     = 12 * time.Hour
)

// clock believes a time only after several sentences agreed with the time that
// passed between them. A clock that stands still or jumps agrees with nothing.
type clock struct {
	dated, plain witness
	fixAt        time.Time
}

type witness struct {
	said0, heard0, last time.Time
	n                   int
}

func (w *witness) agrees(said, heard time.Time) bool {
	d := said.Sub(w.said0) - heard.Sub(w.heard0)
	if w.n == 0 || d > agreeWithin || d < -agreeWithin || said.Before(w.last) {
		*w = witness{said0: said, heard0: heard}
	}
	w.n++
	w.last = said
	return w.n >= agreeing && heard.Sub(w.heard0) >= agreeFor
}

// terminal takes the time of day of the terminal's own sentence. Midnight exactly
// is how a terminal says that it has none yet: that second is never believed.
func (c *clock) terminal(of time.Duration, at time.Time) (Told, bool) {
	if of <= 0 {
		c.plain = witness{}
		return Told{}, false
	}
	said := time.Unix(0, 0).UTC().Add(of)
	if c.plain.n > 0 {
		// The day is not said: that which is nearest to what is expected.
		expect := c.plain.said0.Add(at.Sub(c.plain.heard0))
		for expect.Sub(said) > halfDay {
			said = said.Add(2 * halfDay)
		}
	}
	return Told{UTC: said, Heard: at}, c.plain.agrees(said, at)
}

// navigation takes RMC, which says whether there is a fix, and ZDA, which has the
// whole date and says not.
func (c *clock) navigation(kind string, v []string, at time.Time) (Told, bool) {
	get := func(i int) string {
		if i < len(v) {
			return v[i]
		}
		return ""
	}
	if kind == "RMC" {
		// Status, and the mode where it is said: dead reckoning, a simulator or what
		// somebody typed in are no fix.
		switch mode := get(11); {
		case get(1) != "A", mode == "N", mode == "E", mode == "M", mode == "S":
			c.fixAt, c.dated = time.Time{}, witness{}
		default:
			c.fixAt = at
		}
		return Told{}, false
	}
	if c.fixAt.IsZero() || at.Sub(c.fixAt) > fixFor {
		return Told{}, false
	}
	of := ofDay(get(0), "hhmmss")
	day, err1 := strconv.Atoi(get(1))
	month, err2 := strconv.Atoi(get(2))
	year, err3 := strconv.Atoi(get(3))
	if of < 0 || err1 != nil || err2 != nil || err3 != nil || year < 2000 || year > 2099 || month < 1 || month > 12 || day < 1 {
		return Told{}, false
	}
	date := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if date.Day() != day {
		return Told{}, false
	}
	said := date.Add(of)
	return Told{UTC: said, Dated: true, Heard: at}, c.dated.agrees(said, at)
}
