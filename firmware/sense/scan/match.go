package scan

import (
	"cmp"
	"math"
	"slices"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
)

// Match is a profile that fits a unit.
type Match struct {
	Profile string
	Title   phrase.Text
	// Fingerprint: the registers by which the profile knows its device say so.
	// Else only everything that it reads is there and plausible.
	Fingerprint bool
	Values      []profile.Value
	Units       []point.Unit // of Values
}

const (
	mostMatches  = 5
	mostRequests = 4 // of one profile
)

// match reads what each profile would and gives those that fit. A unit that
// gives nothing but zeros fits everything and so nothing.
func (k *reader) match(all []*profile.Profile) ([]Match, error) {
	var out []Match
	for _, p := range all {
		if p.Via != profile.Modbus || len(p.Points) == 0 {
			continue
		}
		printed := false
		if len(p.Fingerprint) > 0 {
			var err error
			if printed, err = k.printed(p.Fingerprint); err != nil {
				return nil, err
			}
			if !printed {
				continue
			}
		}
		vs, err := k.values(p)
		if err := fatal(k.ctx, err); err != nil {
			return nil, err
		}
		// Whoever has the mark must have the points too: a mark is a small number,
		// and chance has small numbers.
		if err != nil || !printed && !telling(vs) {
			continue
		}
		m := Match{Profile: p.Name, Title: p.Title, Fingerprint: printed, Values: vs}
		for _, v := range vs {
			m.Units = append(m.Units, p.Points[v.Index].Unit)
		}
		out = append(out, m)
	}
	slices.SortStableFunc(out, func(a, b Match) int {
		if a.Fingerprint != b.Fingerprint {
			if a.Fingerprint {
				return -1
			}
			return 1
		}
		return cmp.Compare(len(b.Values), len(a.Values))
	})
	return out[:min(len(out), mostMatches)], nil
}

// printed tells whether the unit has every register of a fingerprint.
func (k *reader) printed(all []profile.Print) (bool, error) {
	for _, f := range all {
		data, err := k.read(f.Table, f.Addr, 1)
		if err := fatal(k.ctx, err); err != nil {
			return false, err
		}
		if w := wordsOf(f.Table, 1, data); err != nil || len(w) != 1 || !f.Is(w[0]) {
			return false, nil
		}
	}
	return true, nil
}

// values reads all of a profile's points.
func (k *reader) values(p *profile.Profile) ([]profile.Value, error) {
	var out []profile.Value
	for i, q := range p.Plan() {
		if i == mostRequests {
			break
		}
		data, err := k.read(q.Table, q.Addr, int(q.Count))
		if err != nil {
			return out, err
		}
		out = append(out, p.Decode(q, data)...)
	}
	return out, nil
}

// telling tells whether values are all as a healthy device gives them, and say
// more than nothing.
func telling(vs []profile.Value) bool {
	some := false
	for _, v := range vs {
		if v.Quality != point.Good || math.Abs(v.Value) > 1e9 || v.Value != 0 && math.Abs(v.Value) < 1e-9 {
			return false
		}
		some = some || v.Value != 0
	}
	return some && len(vs) > 0
}
