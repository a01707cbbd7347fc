package order

import (
	"path"
	"slices"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// Bounds is what each source may order: data of the site (configs), proved by
// Validate.
type Bounds struct {
	// Sources by who asks. A source that is not named may only silence.
	Sources map[Source]Scope `yaml:"sources"`
	// Marked holds the kinds that must be told apart by ear: drill, test.
	Marked map[Kind]Mark `yaml:"marked"`
	// Reserved holds the tones that are kept for the government.
	Reserved Reserved `yaml:"reserved"`
	// AllClearTones are the tones that may say 解除; never a steady one.
	AllClearTones []string `yaml:"all_clear_tones"`
	// LeastVolume is the least, in percent, that a real level and its all-clear are
	// sounded at, whatever volume somebody set; 0: no bound.
	LeastVolume int `yaml:"least_volume"`
	// Live is how a person's voice is brought to people's ears.
	Live Live `yaml:"live"`
	// Known names every output of the site. It comes from the site's own list,
	// not from this document; empty means that it is not checked.
	Known []string `yaml:"-"`
}

// Scope is what one source may ask.
type Scope struct {
	Kinds   []Kind   `yaml:"kinds"`
	Actions []Action `yaml:"actions"`
	// Levels from Least to Most, both included.
	Least point.Level `yaml:"least"`
	Most  point.Level `yaml:"most"`
	// Outputs are names or patterns as of path.Match: "*", "siren-*".
	Outputs []string `yaml:"outputs"`
	// Longest is how long one order may sound.
	Longest point.Span `yaml:"longest"`
	// Live is how long one order may let a person speak; 0: the source may not.
	Live point.Span `yaml:"live"`
	// LiveRate is Rate of these alone: who holds a button to speak does so often, and must use up
	// nothing of what a level may need. None: as Rate says, counted for themselves.
	LiveRate Rate `yaml:"live_rate"`
	// Rest is the least pause of a standing level's duty cycle.
	Rest point.Span `yaml:"rest"`
	Rate Rate       `yaml:"rate"`
	// Notices are what the source may say for real without any level, with these
	// tones (patterns) and never standing; none: nothing.
	Notices []string `yaml:"notices"`
}

// Rate is so many new soundings in a sliding window, counted for each level by
// itself.
type Rate struct {
	Orders int        `yaml:"orders"`
	Within point.Span `yaml:"within"`
}

// Live bounds a live voice: data of the site, for sound/live.
type Live struct {
	// Hold is how much is held against jitter before it sounds, Most the most that it is ever
	// late by.
	Hold point.Span `yaml:"hold"`
	Most point.Span `yaml:"most"`
	// Quiet ends it where nothing is said for so long, Lost where nothing comes.
	Quiet point.Span `yaml:"quiet"`
	Lost  point.Span `yaml:"lost"`
	// RMS is what speech is brought to, in dB of full scale; no sample is above Peak.
	RMS  float64 `yaml:"rms"`
	Peak float64 `yaml:"peak"`
	// Gain is the most that a weak voice is raised by, in dB. What is below Floor, in dB of
	// full scale, is no speech: it is never raised.
	Gain  float64 `yaml:"gain"`
	Floor float64 `yaml:"floor"`
}

// MostHeld is the longest that a live voice may be held against jitter.
const MostHeld = 400 * time.Millisecond

func (l Live) good() bool {
	h, m := l.Hold.Duration(), l.Most.Duration()
	return h >= 20*time.Millisecond && h < m && m <= MostHeld && l.Quiet.Duration() >= time.Second && l.Quiet.Duration() <= time.Minute &&
		l.Lost.Duration() >= 500*time.Millisecond && l.Lost.Duration() <= 30*time.Second &&
		l.Peak <= 0 && l.Peak >= -20 && l.RMS <= l.Peak-3 && l.RMS >= -40 && l.Gain >= 0 && l.Gain <= 30 && l.Floor < l.RMS && l.Floor >= -90
}

// Mark is what tells a kind apart from the real thing by ear.
type Mark struct {
	// Tones and Clips that the kind may use, as patterns. Nothing else of the
	// bank is heard in it.
	Tones []string `yaml:"tones"`
	Clips []string `yaml:"clips"`
	// First is the clip that must be spoken first, where any is spoken.
	First string `yaml:"first"`
	// Words must begin with this in each language that they have.
	Words phrase.Text `yaml:"words"`
}

// Reserved are the civil-defence patterns, and the words of those who warn.
type Reserved struct {
	// Tones, as patterns.
	Tones []string `yaml:"tones"`
	// Unlocked says that the office that owns the patterns allowed this site to
	// use them; even then only Sources may, and only for the real thing.
	Unlocked bool     `yaml:"unlocked"`
	Sources  []Source `yaml:"sources"`
	// Clips, as patterns, that only SpokenBy may say: words that need a warning which was verified.
	Clips    []string `yaml:"clips"`
	SpokenBy []Source `yaml:"spoken_by"`
}

const (
	mostOrders  = 1000
	mostLongest = time.Hour
	mostWithin  = 24 * time.Hour
	slowestRate = 10 * time.Minute
)

// Validate proves the bounds and names thing, place and mend.
func (b Bounds) Validate() error {
	for _, s := range sorted(b.Sources) {
		if err := b.Sources[s].validate(s); err != nil {
			return err
		}
		if b.Sources[s].Live > 0 && !b.Live.good() {
			return phrase.E("sound.bounds_live", "place", "sources."+s.String())
		}
	}
	for _, k := range sorted(b.Marked) {
		if k != Drill && k != Test {
			return phrase.E("sound.bounds_marked_kind", "kind", k.String())
		}
		m := b.Marked[k]
		place := "marked." + k.String()
		for _, p := range slices.Concat(m.Tones, m.Clips) {
			if err := goodPattern(place, p); err != nil {
				return err
			}
			if slices.ContainsFunc(b.Reserved.Tones, func(r string) bool { return matches(m.Tones, r) }) {
				return phrase.E("sound.bounds_marked_reserved", "place", place)
			}
		}
		if len(m.Clips) > 0 && m.First == "" {
			return phrase.E("sound.bounds_no_mark", "place", place)
		}
	}
	if b.LeastVolume < 0 || b.LeastVolume > 100 {
		return phrase.E("sound.bounds_volume", "volume", b.LeastVolume)
	}
	for _, p := range b.Reserved.Tones {
		if err := goodPattern("reserved.tones", p); err != nil {
			return err
		}
	}
	for _, p := range b.Reserved.Clips {
		if err := goodPattern("reserved.clips", p); err != nil {
			return err
		}
	}
	for _, t := range b.AllClearTones {
		if matches(b.Reserved.Tones, t) {
			return phrase.E("sound.bounds_clear_reserved", "tone", t)
		}
	}
	return nil
}

func (s Scope) validate(src Source) error {
	place := "sources." + src.String()
	if src == 0 {
		return phrase.E("sound.bounds_source")
	}
	if len(s.Kinds) == 0 || len(s.Actions) == 0 {
		return phrase.E("sound.bounds_empty", "place", place)
	}
	if src == Rehearsal && slices.Contains(s.Kinds, Real) {
		return phrase.E("sound.bounds_drill_real", "place", place)
	}
	if slices.Contains(s.Actions, AllClear) && !mayClear(src) {
		return phrase.E("sound.bounds_clear", "place", place)
	}
	if s.Least > s.Most {
		return phrase.E("sound.bounds_levels", "place", place, "least", int(s.Least), "most", int(s.Most))
	}
	for _, p := range s.Outputs {
		if err := goodPattern(place+".outputs", p); err != nil {
			return err
		}
	}
	for _, p := range s.Notices {
		if err := goodPattern(place+".notices", p); err != nil {
			return err
		}
	}
	if slices.Equal(s.Actions, []Action{Silence}) {
		return nil
	}
	if d := s.Live.Duration(); d < 0 || d > s.Longest.Duration() {
		return phrase.E("sound.bounds_live_long", "place", place, "live", s.Live.String(), "most", s.Longest.String())
	}
	if r := s.LiveRate; r != (Rate{}) && (r.Orders < 1 || r.Orders > mostOrders || r.Within.Duration() <= 0 || r.Within.Duration() > mostWithin) {
		return phrase.E("sound.bounds_rate", "place", place+".live_rate")
	}
	if d := s.Longest.Duration(); d <= 0 || d > mostLongest {
		return phrase.E("sound.bounds_longest", "place", place, "longest", s.Longest.String(), "most", point.Span(mostLongest).String())
	}
	w := s.Rate.Within.Duration()
	if s.Rate.Orders < 1 || s.Rate.Orders > mostOrders || w <= 0 || w > mostWithin {
		return phrase.E("sound.bounds_rate", "place", place)
	}
	// A level that nobody acknowledged must be able to sound again in ten
	// minutes, whatever the rate.
	if slices.Contains(s.Kinds, Real) && w/time.Duration(s.Rate.Orders) > slowestRate {
		return phrase.E("sound.bounds_rate_slow", "place", place, "most", point.Span(slowestRate).String())
	}
	return nil
}

func mayClear(s Source) bool { return s == Alert || s == Command || s == Operator || s == Hand }

func goodPattern(place, p string) error {
	if _, err := path.Match(p, ""); err != nil || p == "" {
		return phrase.E("sound.bounds_pattern", "place", place, "pattern", p)
	}
	return nil
}

func matches(patterns []string, s string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, s); return ok })
}

func sorted[K ~uint8, V any](m map[K]V) []K {
	var keys []K
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
