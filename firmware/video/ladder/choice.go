package ladder

import (
	"time"

	"tocsin/firmware/phrase"
)

// Rung is how much of a stream goes out.
type Rung uint8

// The rungs, best first.
const (
	Main    Rung = iota // all of the source's main stream
	Lower               // all of its own lower one
	Thinned             // without pictures that no other needs
	Keys                // key pictures only, or every k-th
	Stills              // JPEG of the bigger size
	Thumbs              // JPEG of the smaller sizes
	Text                // words only
	None                // nothing
)

var rungs = [...]phrase.Message{
	phrase.M("ladder.rung_main"), phrase.M("ladder.rung_lower"), phrase.M("ladder.rung_thinned"), phrase.M("ladder.rung_keys"),
	phrase.M("ladder.rung_stills"), phrase.M("ladder.rung_thumbs"), phrase.M("ladder.rung_text"), phrase.M("ladder.rung_none"),
}

// Message names the rung.
func (r Rung) Message() phrase.Message { return rungs[min(r, None)] }

// Video says that units of the stream go out, and not stills or words.
func (r Rung) Video() bool { return r <= Keys }

// Supply is what a source can give now. Rates are bit/s as measured, 0 where they were not.
type Supply struct {
	Main  int // of the main stream, when it was last there
	Lower int // of the source's lower rung, when it was last there
	// Thinned, Keys, KeyBytes and KeyEvery are of what comes now.
	Thinned  int           // without droppable pictures
	KeyBytes int           // the last key picture
	KeyEvery time.Duration // between key pictures
	// HasLower: it can be asked for a lower rung, or gives it now. HasDroppable: it sends
	// pictures that no other needs. CanStill: stills can be made of it.
	HasLower, HasDroppable, CanStill bool
	// LiveStill: the camera makes stills itself, of this moment; without it they are made of
	// the last key picture.
	LiveStill bool
	// StillBytes, ThumbBytes, SmallBytes are of the last JPEG of each size.
	StillBytes, ThumbBytes, SmallBytes int
}

// tier is a rung in one of its forms; better ones need more.
type tier uint8

const (
	tMain tier = iota
	tLower
	tThinned
	tKeys
	tStills     // as often as nobody waits too long
	tThumbs     //
	tSmall      //
	tSlowStills // seldom, on links too thin for that
	tSlowThumbs //
	tSlowSmall  //
	tSeldomKeys // where no stills can be made
	tText       //
	tNone       //
)

var tierRung = [...]Rung{Main, Lower, Thinned, Keys, Stills, Thumbs, Thumbs, Stills, Thumbs, Thumbs, Keys, Text, None}

// steady says that pictures flow all the time, and not in bursts.
func (t tier) steady() bool { return t <= tThinned }

// choice is a tier that a budget can pay.
type choice struct {
	tier   tier
	need   int // bit/s that it takes at least
	rate   int // bit/s that it sends; 0 where it sends as the budget allows
	nth    int
	every  time.Duration
	size   Size
	offers bool
}

// never is a rate that no link bears; it fits the int of a 32-bit board, twice.
const never = 1 << 30

func over(bits int, d time.Duration) int {
	if d <= 0 {
		return never
	}
	return int(min(float64(bits)/d.Seconds(), never))
}

func lasts(bytes, rate int) time.Duration {
	return time.Duration(float64(bytes*8) / float64(max(rate, 1)) * float64(time.Second))
}

// choose says what a tier would be with a budget. It is not offered where the source
// cannot give it.
func (r *Rules) choose(t tier, s *Supply, budget int) choice {
	c := choice{tier: t, nth: 1, offers: true}
	switch t {
	case tMain:
		c.need = or(s.Main, int(r.Source.Main))
		c.rate = c.need
	case tLower:
		c.need = or(s.Lower, int(r.Source.Lower))
		c.rate, c.offers = c.need, s.HasLower
	case tThinned:
		c.need, c.rate = s.Thinned, s.Thinned
		c.offers = s.HasDroppable && s.Thinned > 0
	case tKeys:
		r.keys(&c, s, budget)
	case tStills, tThumbs, tSmall:
		r.fresh(&c, s, budget)
	case tSlowStills, tSlowThumbs, tSlowSmall:
		r.slow(&c, s, budget)
	case tSeldomKeys:
		c.offers = !s.CanStill && s.KeyBytes > 0 && s.KeyEvery > 0
		if c.offers {
			bits := s.KeyBytes * 8
			most := max(1, int(r.Stills.Most.D()/s.KeyEvery))
			c.need = over(bits, time.Duration(most)*s.KeyEvery)
			for c.nth = 1; c.nth < most && over(bits, time.Duration(c.nth)*s.KeyEvery) > budget; c.nth++ {
			}
			c.every = time.Duration(c.nth) * s.KeyEvery
			c.rate = over(bits, c.every)
		}
	case tText, tNone:
		c.need = 0
	}
	return c
}

// keys asks for the wait for a key picture and its way to fit into the gap. Where the source's
// key pictures are further apart than that, nothing is fresher but stills that the camera makes.
func (r *Rules) keys(c *choice, s *Supply, budget int) {
	bits, gap := s.KeyBytes*8, r.Fresh.Gap.D()
	if c.offers = bits > 0 && s.KeyEvery > 0; !c.offers {
		return
	}
	if s.KeyEvery >= gap {
		c.offers = !(s.CanStill && s.LiveStill)
		c.need = over(bits, s.KeyEvery)
		c.rate, c.every = c.need, s.KeyEvery
		return
	}
	c.need = never
	for k := 1; time.Duration(k)*s.KeyEvery < gap && k <= 100; k++ {
		every := time.Duration(k) * s.KeyEvery
		need := max(over(bits, every), over(bits, gap-every))
		if need < c.need {
			c.need, c.nth, c.rate, c.every = need, k, over(bits, every), every
		}
		if need <= budget {
			return
		}
	}
}

func (r *Rules) size(c *choice, s *Supply) Size {
	size, measured := r.Stills.Still, s.StillBytes
	switch c.tier {
	case tThumbs, tSlowThumbs:
		size, measured = r.Stills.Thumb, s.ThumbBytes
	case tSmall, tSlowSmall:
		size, measured = r.Stills.Small, s.SmallBytes
	}
	size.Bytes = or(measured, size.Bytes)
	return size
}

// fresh is stills so often that the wait for the next, its making and its way fit into the gap.
func (r *Rules) fresh(c *choice, s *Supply, budget int) {
	c.size = r.size(c, s)
	left := r.Fresh.Gap.D() - r.Fresh.Make.D()
	way := time.Duration(float64(left) / (1 + 1/r.Fresh.Fill)) // of one picture, where the next may begin at any time
	period := time.Duration(0)
	if !s.LiveStill && s.KeyEvery > 0 {
		period = s.KeyEvery
		way = min(left-period, time.Duration(r.Fresh.Fill*float64(period)))
	}
	if c.offers = s.CanStill && way > 0; !c.offers {
		return
	}
	c.need = max(over(c.size.Bytes*8, way), int(r.Fresh.From))
	c.every = max(time.Duration(float64(lasts(c.size.Bytes, max(budget, c.need)))/r.Fresh.Fill), period, r.Stills.Quick.D())
	if period > 0 {
		c.nth = max(1, int((c.every+period/2)/period))
	}
}

// slow is stills as often as a share of the budget pays.
func (r *Rules) slow(c *choice, s *Supply, budget int) {
	c.size, c.offers = r.size(c, s), s.CanStill
	c.need = int(float64(over(c.size.Bytes*8, r.Stills.Most.D())) / r.Stills.Share)
	c.every = max(r.Stills.Every.D(), time.Duration(float64(lasts(c.size.Bytes, max(budget, c.need)))/r.Stills.Share))
	if !s.LiveStill && s.KeyEvery > 0 {
		c.nth = max(1, int((c.every+s.KeyEvery-1)/s.KeyEvery))
		c.every = time.Duration(c.nth) * s.KeyEvery
	}
}

// best is the best tier not above from that the budget pays times margin.
func (r *Rules) best(from tier, s *Supply, budget int, margin float64) choice {
	for t := from; t < tText; t++ {
		if c := r.choose(t, s, budget); c.offers && float64(c.need)*margin <= float64(budget) {
			return c
		}
	}
	return r.choose(tText, s, budget)
}

func or(v, instead int) int {
	if v > 0 {
		return v
	}
	return instead
}
