package guard

import (
	"maps"
	"slices"
	"time"
)

// SurgeRules are when parts that die together are taken for a surge.
type SurgeRules struct {
	// Window is within what time they die, Lived how long each must have lived before.
	Window time.Duration `yaml:"window"`
	Lived  time.Duration `yaml:"lived"`
	// Within is how long the outputs have to answer the quiet test; Again how long no other follows.
	Within time.Duration `yaml:"within"`
	Again  time.Duration `yaml:"again"`
}

func (s SurgeRules) prove(p *proof) {
	p.need(s.Window >= time.Second && s.Window <= 10*time.Minute, "surge.window", time.Second, 10*time.Minute)
	p.need(s.Lived >= time.Second && s.Lived <= time.Hour, "surge.lived", time.Second, time.Hour)
	p.need(s.Within >= 3*time.Second && s.Within <= time.Minute, "surge.within", 3*time.Second, time.Minute)
	p.need(s.Again >= time.Minute && s.Again <= 24*time.Hour, "surge.again", time.Minute, 24*time.Hour)
}

// Surge sees which parts with wires of their own (lines, outputs, terminals) die together. It
// is pure: time comes in.
type Surge struct {
	parts map[string]*wired
	last  time.Duration
	any   bool
}

type wired struct {
	dead        bool
	since, died time.Duration
	counts      bool // it had lived for long when it died
}

// See takes what is dead now of all the parts that there are. It gives those that died
// together, once; others that join them later are another surge, in its time.
func (s *Surge) See(now time.Duration, r SurgeRules, dead map[string]bool) []string {
	if s.parts == nil {
		s.parts = map[string]*wired{}
	}
	maps.DeleteFunc(s.parts, func(name string, _ *wired) bool { _, there := dead[name]; return !there })
	var together []string
	for name, is := range dead {
		w := s.parts[name]
		switch {
		case w == nil:
			w = &wired{dead: is, since: now}
			s.parts[name] = w
		case is && !w.dead:
			w.dead, w.counts, w.died, w.since = true, now-w.since >= r.Lived, now, now
		case !is && w.dead:
			w.dead, w.counts, w.since = false, false, now
		}
		if w.dead && w.counts && now-w.died <= r.Window {
			together = append(together, name)
		}
	}
	if len(together) < 2 || s.any && now-s.last < r.Again {
		return nil
	}
	for _, name := range together {
		s.parts[name].counts = false
	}
	s.any, s.last = true, now
	slices.Sort(together)
	return together
}
