package speech

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"tocsin/firmware/phrase"
)

// reserved are the authorities' patterns of on and off.
var reserved = []Pulse{
	{36 * time.Second, 24 * time.Second}, // pre-alarm
	{6 * time.Second, 6 * time.Second},   // air raid
	{15 * time.Second, 15 * time.Second}, // disaster, as used in places
}

const (
	// away is how far on or off must be from a reserved pattern's.
	away = 0.20
	// steadyMost is the longest unbroken tone: three minutes of one is the
	// civil-defence all clear.
	steadyMost = 20 * time.Second
	// lockedMost is the longest that a locked pattern may last, all times of it.
	lockedMost = 10 * time.Minute
	// gapLeast is the shortest silence that an ear across a valley takes for
	// one; a shorter gap does not part two sounds.
	gapLeast = 100 * time.Millisecond
)

// Reserved tells which reserved pattern on and off come near to: both within
// 20 % of it.
func Reserved(p Pulse) (Pulse, bool) {
	near := func(a, b time.Duration) bool {
		return math.Abs(a.Seconds()-b.Seconds()) < away*b.Seconds()-1e-9
	}
	for _, r := range reserved {
		if near(p.On, r.On) && near(p.Off, r.Off) {
			return r, true
		}
	}
	return Pulse{}, false
}

type checker struct {
	file string
	tree *ast.File
	errs []error
}

// at gives file:line:col of a place in the document.
func (c *checker) at(format string, a ...any) string {
	if p, err := yaml.PathString(fmt.Sprintf("$."+format, a...)); err == nil {
		if n, err := p.FilterFile(c.tree); err == nil {
			return c.file + position(n)
		}
	}
	return c.file + ":1:1"
}

func (c *checker) add(err *phrase.Error) { c.errs = append(c.errs, err) }

func (c *checker) between(at, what string, v, lo, hi float64) {
	if !(v >= lo && v <= hi) {
		c.add(phrase.E("speech.tones.range", "at", at, "what", what, "value", v, "low", lo, "high", hi))
	}
}

func (c *checker) all(f *tonesFile) {
	if f.Version != 1 {
		c.add(phrase.E("speech.tones.version", "at", c.at("version"), "version", f.Version))
	}
	if n := len(f.Tones); n == 0 || n > maxTones {
		c.add(phrase.E("speech.tones.count", "at", c.at("tones"), "count", n, "most", maxTones))
		return
	}
	for what, d := range map[string]time.Duration{"words": f.Pause.Words, "languages": f.Pause.Languages, "repeats": f.Pause.Repeats, "pieces": f.Pause.Pieces, "phrases": f.Pause.Phrases} {
		c.between(c.at("pause.%s", what), "pause."+what, d.Seconds(), 0, 30)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Tones)) {
		if !plain(name) {
			c.add(phrase.E("speech.tones.name", "at", c.at("tones"), "tone", name))
			continue
		}
		if f.Tones[name] == nil {
			f.Tones[name] = &Tone{}
		}
		c.tone("tones."+name, f.Tones[name])
	}
}

// plain holds names to what can be a file's and a path's.
func plain(s string) bool {
	if s == "" || len(s) > 40 {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return true
}

func (c *checker) tone(p string, t *Tone) {
	if t.ZH == "" || t.EN == "" {
		c.add(phrase.E("speech.tones.title", "at", c.at("%s", p)))
	}
	c.between(c.at("%s.level", p), "level", t.Level, -40, -1)
	if !t.Locked {
		c.between(c.at("%s.lead", p), "lead", t.Lead.Seconds(), 4, 10)
	}
	least := 0.0
	if t.Locked {
		least = 1 // it has no lead: without it there would be no sound at all
	}
	c.between(c.at("%s.times", p), "times", float64(t.Times), least, 60)
	for i, w := range t.Words {
		if !plain(w) {
			c.add(phrase.E("speech.tones.name", "at", c.at("%s.words[%d]", p, i), "tone", w))
		}
	}
	if n := len(t.Segments); n == 0 || n > maxSegments {
		c.add(phrase.E("speech.tones.count", "at", c.at("%s.segments", p), "count", n, "most", maxSegments))
		return
	}
	bad := len(c.errs)
	for i, s := range t.Segments {
		c.segment(fmt.Sprintf("%s.segments[%d]", p, i), s)
	}
	for kind, row := range map[string][]Pulse{"electronic": t.Relay.Electronic, "motor": t.Relay.Motor} {
		if len(row) > maxSegments {
			c.add(phrase.E("speech.tones.count", "at", c.at("%s.relay.%s", p, kind), "count", len(row), "most", maxSegments))
			continue
		}
		for i, u := range row {
			at := c.at("%s.relay.%s[%d]", p, kind, i)
			c.between(at, "on", u.On.Seconds(), 0.1, maxSegment.Seconds())
			c.between(at, "off", u.Off.Seconds(), 0, maxSegment.Seconds())
		}
	}
	if len(c.errs) > bad {
		return
	}
	if t.Locked {
		c.between(c.at("%s.times", p), "times × segments", float64(t.Times)*t.Length().Seconds(), 0, lockedMost.Seconds())
		return
	}
	c.apart(p+".segments", sounding(t.Segments), t.steady())
	c.apart(p+".relay.electronic", joined(t.Relay.Electronic), true)
	c.apart(p+".relay.motor", joined(t.Relay.Motor), true)
}

func (c *checker) segment(p string, s Segment) {
	if n := len(s.Hz); n < 1 || n > 4 || s.To > 0 && n > 1 {
		c.add(phrase.E("speech.tones.hz", "at", c.at("%s", p)))
	}
	// A horn carries 300 to 3400 Hz; a little more on both sides is heard.
	for _, hz := range s.Hz {
		c.between(c.at("%s.hz", p), "hz", hz, 200, 3800)
	}
	if s.To != 0 {
		c.between(c.at("%s.to", p), "to", s.To, 200, 3800)
	}
	c.between(c.at("%s.on", p), "on", s.On.Seconds(), 0.02, maxSegment.Seconds())
	c.between(c.at("%s.off", p), "off", s.Off.Seconds(), 0, maxSegment.Seconds())
}

// apart holds a repeated row of pulses away from the reserved patterns, and
// its stretches, where nothing varies within them, from being a steady tone.
func (c *checker) apart(p string, row []Pulse, steady bool) {
	for _, u := range row {
		if r, near := Reserved(u); near {
			c.add(phrase.E("speech.tones.reserved", "at", c.at("%s", p), "on", u.On.Seconds(), "off", u.Off.Seconds(),
				"reserved_on", r.On.Seconds(), "reserved_off", r.Off.Seconds(), "percent", int(away*100)))
		}
		if steady && (u.On > steadyMost || u.Off == 0) {
			c.add(phrase.E("speech.tones.steady", "at", c.at("%s", p), "most", steadyMost.Seconds()))
		}
	}
}

// joined gives the stretches of on and off of a repeated row: pulses without a
// silence between them are one, also over the end. A row that is never off is
// one stretch with Off 0.
func joined(row []Pulse) []Pulse {
	row = slices.Clone(row)
	for i, u := range row {
		if u.Off < gapLeast {
			row[i] = Pulse{On: u.On + u.Off}
		}
	}
	// Begin behind a silence.
	first := slices.IndexFunc(row, func(u Pulse) bool { return u.Off > 0 })
	if first < 0 {
		var on time.Duration
		for _, u := range row {
			on += u.On
		}
		if on == 0 {
			return nil
		}
		return []Pulse{{On: on}}
	}
	var out []Pulse
	var cur Pulse
	for i := range row {
		u := row[(first+1+i)%len(row)]
		cur.On += u.On
		if u.Off > 0 {
			cur.Off = u.Off
			out, cur = append(out, cur), Pulse{}
		}
	}
	return out
}

func sounding(s []Segment) []Pulse {
	row := make([]Pulse, len(s))
	for i, g := range s {
		row[i] = Pulse{g.On, g.Off}
	}
	return joined(row)
}

// steady tells whether the pattern's stretches keep one pitch: it has no sweep
// and never changes frequency without a silence.
func (t *Tone) steady() bool {
	for i, s := range t.Segments {
		if s.To > 0 && math.Abs(s.To-s.Hz[0]) > 0.05*s.Hz[0] || s.On > steadyMost {
			// A sweep so slow that it is heard as steady is one.
			if s.On <= steadyMost {
				return false
			}
			return true
		}
		next := t.Segments[(i+1)%len(t.Segments)]
		if !slices.EqualFunc(s.Hz, next.Hz, func(a, b float64) bool { return math.Abs(a-b) <= 0.05*a }) {
			return false
		}
	}
	return true
}
