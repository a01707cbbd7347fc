package commission

import (
	"math"

	"tocsin/firmware/phrase"
)

// Millilitres is how much water makes a depth of rain in a round funnel, both in mm.
func Millilitres(depth, funnel float64) float64 {
	return math.Pi / 4 * funnel * funnel * depth / 1000
}

// Bucket judges a volume of water that was poured into a rain gauge: what must have been
// counted and what was, in mm; tip is one step of the bucket, 0 where it is not known.
func Bucket(l Limits, funnel, tip, from, to float64) Take {
	got := to - from
	off := 100 * (got - l.Depth) / l.Depth
	// Less than one tip may still lie in the bucket.
	good := math.Abs(got-l.Depth) <= max(l.Depth*l.Within/100, tip)+1e-9
	t := Take{Good: good, Text: phrase.M("commission.bucket", "got", round(got, 2), "want", l.Depth, "off", round(off, 1), "within", l.Within),
		More: []phrase.Message{phrase.M("commission.bucket_water", "ml", round(Millilitres(l.Depth, funnel), 0), "funnel", funnel)}}
	if tip > 0 {
		t.More = append(t.More, phrase.M("commission.bucket_tips", "tips", int(math.Round(got/tip)), "want", int(math.Round(l.Depth/tip)), "tip", tip))
	}
	switch {
	case got < 0:
		t.Good, t.Text = false, phrase.M("commission.counter_back")
	case got == 0:
		t.More = append(t.More, phrase.M("commission.bucket_none"))
	case !good && off < 0:
		t.More = append(t.More, phrase.M("commission.bucket_less"))
	case !good:
		t.More = append(t.More, phrase.M("commission.bucket_more"))
	}
	return t
}

// Target judges a level gauge whose target was moved by a measured distance, in metres.
func Target(l Limits, given, from, to float64) Take {
	got := to - from
	t := Take{Good: math.Abs(got-given) <= l.Within+1e-9, Text: phrase.M("commission.moved", "got", round(got, 3), "given", round(given, 3), "within", l.Within)}
	switch {
	case t.Good:
	case math.Abs(got+given) <= l.Within:
		t.More = append(t.More, phrase.M("commission.moved_sign"))
	case math.Abs(got) < l.Within:
		t.More = append(t.More, phrase.M("commission.moved_none"))
	default:
		t.More = append(t.More, phrase.M("commission.moved_scale", "factor", round(got/given, 3)))
	}
	return t
}

// Bump judges a gas detector by the bottle's concentration, the largest value seen and
// what is left of it, all in its own unit.
func Bump(l Limits, given, base, peak, now float64, unit string) Take {
	t := Take{Text: phrase.M("commission.bump", "peak", round(peak, 2), "given", given, "unit", unit, "within", l.Within)}
	reached := math.Abs(peak-given) <= given*l.Within/100+1e-9
	back := now <= base+given*l.Back/100+1e-9
	t.Good = reached && back
	switch {
	case peak <= base+given*l.Back/100:
		t.More = append(t.More, phrase.M("commission.bump_none"))
	case !reached:
		t.More = append(t.More, phrase.M("commission.bump_off"))
	case !back:
		t.More = append(t.More, phrase.M("commission.bump_left", "now", round(now, 2), "unit", unit))
	}
	return t
}

func round(v float64, digits int) float64 {
	f := math.Pow(10, float64(digits))
	r := math.Round(v*f) / f
	if r == 0 {
		return 0 // no minus zero
	}
	return r
}

// Fits tells whether what a person says to be true can prove anything.
func (l Limits) Fits(m Measure, given float64) error {
	switch {
	case m == Moved && !(math.Abs(given) >= l.Least && math.Abs(given) < 1e3):
		return phrase.E("commission.moved_least", "least", l.Least)
	case m == Gas && !(given > 0 && given < 1e6):
		return phrase.E("commission.given")
	}
	return nil
}
