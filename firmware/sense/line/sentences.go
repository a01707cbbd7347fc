package line

import (
	"math"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
)

// decode gives what a line of text says. A sentence (NMEA) speaks of some points
// only, or of none.
func (t *Text) decode(fields []string) []profile.Value {
	if t.cfg.Profile.Via == profile.NMEA {
		return t.cfg.Profile.DecodeSentence(fields)
	}
	return t.cfg.Profile.DecodeFields(fields)
}

// whole tells whether every point was spoken of once, well or not.
func (t *Text) whole() bool {
	if t.cfg.Profile.Via != profile.NMEA {
		return true
	}
	for i := range t.points {
		if t.points[i].quality == point.Unknown {
			return false
		}
	}
	return true
}

// unsaid gives the points that no sentence has spoken of for as long as they may
// be old, while the instrument goes on talking: a sentence that it was not set to
// send, a transducer that was taken off.
func (t *Text) unsaid(now time.Time) []point.Reading {
	if t.cfg.Profile.Via != profile.NMEA || t.down || t.silent {
		return nil
	}
	var out []point.Reading
	for i := range t.points {
		ps := &t.points[i]
		if ps.limit <= 0 || ps.quality == point.CommFault || ps.quality == point.Stale || now.Sub(t.said[i]) <= ps.limit {
			continue
		}
		ps.quality = point.CommFault
		pt := &t.cfg.Profile.Points[i]
		out = append(out, point.Reading{Point: ps.id, Value: math.NaN(), Unit: pt.Unit, Quality: point.CommFault, At: t.o.Clock.StampAt(now),
			Why: phrase.M("line.unsaid", "device", t.cfg.Device, "channel", pt.Channel, "age", point.Span(now.Sub(t.said[i]).Truncate(time.Second)).String())})
	}
	if len(out) > 0 && t.whole() {
		t.round()
	}
	return out
}
