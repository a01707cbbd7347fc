package blackbox

import (
	"fmt"
	"time"

	"tocsin/firmware/guard"
)

// Pen decides when what is in memory goes to the disk. It is pure: time comes in.
//
// At intervals it writes what is cheap. An event has everything written at once, and once
// more a while later, so that what followed is there too; events that come fast wait for one
// another, and an hour has only so many of them: a fault that comes and goes must not wear
// the flash.
type Pen struct {
	rules guard.BlackBox
	last  time.Duration // any writing
	event time.Duration // the last for an event
	wants time.Duration // when an event wants everything written; 0 for none
	again time.Duration // when everything is written once more; 0 for not
	spent []time.Duration
	begun bool
}

// NewPen makes one; the first interval begins now.
func NewPen(r guard.BlackBox, now time.Duration) *Pen { return &Pen{rules: r, last: now} }

// Happened says that something happened.
func (p *Pen) Happened(now time.Duration) {
	if p.wants == 0 {
		p.wants = now
		if p.begun {
			p.wants = max(now, p.event+p.rules.Soon)
		}
	}
}

// Due tells whether to write now, and whether everything.
func (p *Pen) Due(now time.Duration) (write, all bool) {
	event := p.wants > 0 && now >= p.wants || p.again > 0 && now >= p.again
	if event && p.may(now) {
		return true, true
	}
	return now-p.last >= p.rules.Every, false
}

func (p *Pen) may(now time.Duration) bool {
	kept := p.spent[:0]
	for _, t := range p.spent {
		if now-t < time.Hour {
			kept = append(kept, t)
		}
	}
	p.spent = kept
	return len(p.spent) < p.rules.Hourly
}

// Wrote says that it was written.
func (p *Pen) Wrote(now time.Duration, all bool) {
	p.last = now
	if !all {
		return
	}
	p.spent = append(p.spent, now)
	if p.wants > 0 && now >= p.wants {
		p.event, p.begun, p.wants, p.again = now, true, 0, now+p.rules.After
	} else {
		p.again = 0
	}
}

// Write writes what is not written yet, each text as clean gives it. Where the disk refuses,
// it is as it was before.
func (b *Box) Write(s *Store, all bool, clean func(string) string) error {
	rs, lost, undo := b.take(all)
	for _, k := range []Kind{Log, Values, Event} {
		if n := lost[k]; n > 0 && len(rs) > 0 {
			rs = append([]Record{{Kind: Lost, Wall: rs[0].Wall, Mono: rs[0].Mono, Text: fmt.Sprintf("%d records of kind %s found no room", n, k)}}, rs...)
		}
	}
	if len(rs) == 0 {
		return nil
	}
	out := make([]Record, len(rs)) // undo looks for what was taken
	for i, r := range rs {
		r.Text = clean(r.Text)
		out[i] = r
	}
	if err := s.Write(out); err != nil {
		undo()
		return err
	}
	return nil
}
