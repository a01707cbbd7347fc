package source

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// Sample is one word of a source.
type Sample struct {
	// Name is the source's own: a line's, "ntp", "rtc0"; Kind what it is.
	Name string
	Kind Kind
	// At is when UTC was true, on the boot's monotonic clock.
	At  time.Duration
	UTC time.Time
	// Bound is how far UTC may be off, beside what the rules say of its kind.
	Bound time.Duration
	// TimeOfDay: the date means nothing; the day is that of the box's clock.
	TimeOfDay bool
	// Origin is where its time comes from, where that is not its kind's own: two of one
	// origin are one witness.
	Origin string
}

// own is what the box's clock itself is worth: who said last where it is, and how well.
type own struct {
	kind   Kind
	origin string
	bound  time.Duration
	at     time.Duration
}

// memory is where two origins agreed that the time is. The quartz carries it on, whoever moves the clock since.
type memory struct {
	utc   time.Time
	at    time.Duration
	bound time.Duration
}

// sourcesMost bounds how many sources are remembered.
const sourcesMost = 32

// heard is what is known of a source.
type heard struct {
	Sample
	since time.Duration // its words have agreed with each other since then
	fault phrase.Message
}

// Opts says what a Keeper works with.
type Opts struct {
	Rules *Rules
	// Build is when the program was built; zero where nobody knows.
	Build time.Time
}

// Keeper weighs the sources. One goroutine at a time uses it. Use New.
type Keeper struct {
	o       Opts
	sources map[string]*heard
	pulses  map[string]*pulse

	holder string
	calm   time.Duration // nothing contradicted the holder since then
	set    bool          // something set the clock in this boot
	own    own
	memory *memory
	proven proven
}

// proven is the last time that a source which is hard to forge bore out, at first the floor that
// this run began with. What other sources may raise the floor to counts from it.
type proven struct {
	utc time.Time
	at  time.Duration
	any bool
}

// New makes one.
func New(o Opts) *Keeper {
	return &Keeper{o: o, sources: map[string]*heard{}, pulses: map[string]*pulse{}}
}

// Hear takes a source's word. Words that come late are dropped.
func (k *Keeper) Hear(s Sample) {
	old := k.sources[s.Name]
	if s.UTC.IsZero() || k.o.Rules.rank(s.Kind) < 0 || old != nil && s.At < old.At || old == nil && len(k.sources) >= sourcesMost {
		return
	}
	s.UTC = s.UTC.Round(0).UTC()
	s.Bound = max(s.Bound, 0) + k.o.Rules.Of(s.Kind).Bound.d()
	h := &heard{Sample: s, since: s.At}
	if old != nil {
		h.fault = old.fault
		if k.live(old, s.At) && (s.TimeOfDay || apart(old.est(s.At), s.UTC) <= k.bound(old, s.At)+s.Bound) {
			h.since = old.since
		}
	}
	k.sources[s.Name] = h
}

// Forget drops a source that is no more.
func (k *Keeper) Forget(name string) {
	delete(k.sources, name)
	delete(k.pulses, name)
}

// Now is the box's clock as Judge finds it.
type Now struct {
	Mono  time.Duration
	Wall  time.Time
	Trust clock.Trust
	Floor time.Time
}

// Fault is a source that is not believed, and why.
type Fault struct {
	Source string
	Why    phrase.Message
}

// View is what is known of one source.
type View struct {
	Name  string
	Kind  Kind
	Heard time.Duration // on the monotonic clock
	Bound time.Duration // now
	// Ahead is by how much it is ahead of the box's clock.
	Ahead time.Duration
	Live  bool
	Holds bool
	Why   phrase.Message // where it is not believed
}

// Verdict is what to make of all that was heard.
type Verdict struct {
	// Holder holds the clock; "" for none. Kind is its kind, or that of the one that set
	// the clock last.
	Holder string
	Kind   Kind
	// Set: the clock is to be set to UTC, which is true at Now.Mono.
	Set bool
	UTC time.Time
	// Bound is how far the clock may be off when that is done; negative where nobody knows.
	Bound time.Duration
	// Trust is what the clock is worth then.
	Trust clock.Trust
	// Sure: the time is borne out. Top is what the floor may be raised to by it; zero where it may not.
	Sure    bool
	Top     time.Time
	Faults  []Fault
	Sources []View
}

func apart(a, b time.Time) time.Duration { return a.Sub(b).Abs() }

// est is the source's time at an instant.
func (h *heard) est(at time.Duration) time.Time { return h.UTC.Add(at - h.At) }

func (k *Keeper) drift(d time.Duration) time.Duration {
	return time.Duration(float64(d) * k.o.Rules.Drift / 1e6)
}

func (k *Keeper) bound(h *heard, at time.Duration) time.Duration { return h.Bound + k.drift(at-h.At) }

func (k *Keeper) live(h *heard, at time.Duration) bool {
	return at-h.At <= k.o.Rules.Of(h.Kind).Hold.d()
}

func (h *heard) origin() string {
	switch {
	case h.Origin != "":
		return h.Origin
	case h.Kind == PPS:
		return string(GNSS)
	}
	return string(h.Kind)
}

// witness is one whose word is weighed: a source, or the clock itself.
type witness struct {
	h      *heard // nil for the clock itself
	name   phrase.Message
	origin string
	at     time.Time
	bound  time.Duration
}

const ownOrigin = "clock"

func (k *Keeper) agree(a, b witness) bool {
	return apart(a.at, b.at) <= a.bound+b.bound+k.o.Rules.Slack.d()
}

// Judge weighs all at an instant.
func (k *Keeper) Judge(now Now) Verdict {
	r := k.o.Rules
	if !k.proven.any {
		k.proven = proven{utc: now.Floor, at: now.Mono, any: true}
	}
	k.number(now)
	var all []witness
	for _, name := range slices.Sorted(maps.Keys(k.sources)) {
		h := k.sources[name]
		if !k.live(h, now.Mono) {
			h.fault = phrase.Message{}
			continue
		}
		if w, ok := k.heard(h, now); ok {
			all = append(all, w)
		}
	}
	slices.SortStableFunc(all, func(a, b witness) int {
		return cmp.Or(cmp.Compare(r.rank(a.h.Kind), r.rank(b.h.Kind)), cmp.Compare(a.bound, b.bound))
	})
	voters := all
	if m := k.remembered(now.Mono); m != nil {
		voters = append(slices.Clone(voters), *m)
	}
	if b := k.ownBound(now.Mono); k.set && b <= r.Lost.d() && now.Trust == clock.Set {
		// Who set it is not two witnesses by it, until he says something else.
		voters = append(slices.Clone(voters), witness{name: phrase.M("time.own"), origin: k.own.origin, at: now.Wall, bound: b})
	}
	v := Verdict{Bound: -1, Trust: now.Trust, Kind: k.own.kind}
	var holder *witness
	for i := range all {
		w := all[i]
		if w.h.fault = k.against(w, voters, now); w.h.fault.IsZero() && k.mayHold(w, voters, now) {
			holder = &all[i]
			break
		}
	}
	if holder == nil {
		k.unheld(now, &v)
	} else {
		k.held(*holder, all, voters, now, &v)
	}
	k.show(now, &v)
	return v
}

// heard gives a live source's witness, unless it is certainly wrong.
func (k *Keeper) heard(h *heard, now Now) (witness, bool) {
	w := witness{h: h, name: phrase.M("error.plain", "text", phrase.Text{ZH: h.Name, EN: h.Name}), origin: h.origin(), at: h.est(now.Mono), bound: k.bound(h, now.Mono)}
	if h.TimeOfDay {
		if now.Trust == clock.Free {
			return w, false // no day is known
		}
		const day = 24 * time.Hour
		w.at = w.at.Add(now.Wall.Sub(w.at).Round(day))
	}
	stamp := w.at.UTC().Format(time.RFC3339)
	switch b := k.o.Build; {
	case w.at.Add(w.bound).Before(now.Floor):
		h.fault = phrase.M("time.below", "source", h.Name, "time", stamp, "floor", now.Floor.UTC().Format(time.RFC3339))
		return w, false
	case !b.IsZero() && w.at.After(b.AddDate(k.o.Rules.Years, 0, 0)):
		h.fault = phrase.M("time.beyond", "source", h.Name, "time", stamp, "years", k.o.Rules.Years)
		return w, false
	}
	h.fault = phrase.Message{}
	return w, true
}

// against tells whether two or more of other origins, agreeing with each other, disagree with w and are more
// than stand with it.
func (k *Keeper) against(w witness, voters []witness, now Now) phrase.Message {
	with := map[string]bool{w.origin: true}
	for _, o := range voters {
		if k.agree(w, o) {
			with[o.origin] = true
		}
	}
	for _, a := range voters {
		if a.h != nil && a.origin == w.origin || k.agree(w, a) {
			continue
		}
		names, origins := []any{a.name}, map[string]bool{a.origin: true}
		for _, b := range voters {
			if !origins[b.origin] && (b.h == nil || b.origin != w.origin) && !k.agree(w, b) && k.agree(a, b) {
				origins[b.origin] = true
				names = append(names, b.name)
			}
		}
		if len(origins) >= 2 && len(origins) > len(with) {
			return phrase.M("time.outvoted", "source", w.h.Name, "others", both(names), "by", span(apart(w.at, a.at)))
		}
	}
	return phrase.Message{}
}

// mayHold tells whether a source that nobody outvotes may move the clock to where it is.
func (k *Keeper) mayHold(w witness, voters []witness, now Now) bool {
	r := k.o.Rules
	backed := false
	for _, o := range voters {
		backed = backed || o.h != nil && o.origin != w.origin && k.agree(w, o)
	}
	if backed {
		return true
	}
	off := apart(w.at, now.Wall)
	if off <= k.ownBound(now.Mono)+w.bound+r.Slack.d() && k.set && now.Trust == clock.Set {
		return true
	}
	if now.Trust < clock.Set || !k.set || k.remembered(now.Mono) == nil && r.rank(w.h.Kind) < r.rank(k.own.kind) {
		// Nothing as good has said in this boot where it is; what is known is the floor.
		if by := w.at.Sub(now.Floor); !now.Floor.IsZero() && by > r.Leap.d() {
			w.h.fault = phrase.M("time.leap", "source", w.h.Name, "time", w.at.UTC().Format(time.RFC3339), "by", span(by))
			return false
		}
		return true
	}
	if off > r.Most.d() {
		w.h.fault = phrase.M("time.jump", "source", w.h.Name, "by", span(off))
		return false
	}
	return w.h.At-w.h.since >= r.Settle.d() // what was heard counts, not what came after it
}

// ownBound is how far the clock itself may have gone since it was set.
func (k *Keeper) ownBound(at time.Duration) time.Duration { return k.own.bound + k.drift(at-k.own.at) }

// held settles the verdict where a source holds the clock.
func (k *Keeper) held(w witness, all, voters []witness, now Now, v *Verdict) {
	r := k.o.Rules
	backed, spoiled, hard := false, false, w.hard()
	var by time.Duration // the best of those that agree
	for _, o := range all {
		switch {
		case o.h == w.h:
		case k.agree(w, o):
			hard = hard || o.hard()
			if o.origin != w.origin && (!backed || o.bound < by) {
				backed, by = true, o.bound
			}
		default:
			spoiled = true
			if o.h.fault.IsZero() && r.rank(o.h.Kind) >= r.rank(w.h.Kind) {
				o.h.fault = phrase.M("time.disagrees", "source", o.h.Name, "holder", w.h.Name, "by", span(apart(o.at, w.at)))
			}
		}
	}
	v.Holder, v.Kind, v.Trust = w.h.Name, w.h.Kind, clock.Set
	if w.h.Kind == RTC {
		v.Trust = clock.Held
	}
	off, before := apart(w.at, now.Wall), k.ownBound(now.Mono)
	stepped := false
	if k.set && now.Trust == clock.Set && before < w.bound && off <= before+w.bound {
		// The clock still knows better than who holds it now.
		v.Trust, v.Bound = clock.Set, before
	} else {
		if off > w.bound || now.Trust < v.Trust || !k.set && off > w.h.Bound/2 {
			v.Set, v.UTC = true, w.at
			if w.at.Before(now.Floor) {
				v.UTC = now.Floor // the truth lies above it, and within the bound
			}
			stepped = now.Trust == clock.Set && off > r.Slack.d()
			off = 0
		}
		v.Bound = w.bound + off
		k.set = k.set || w.h.Kind != RTC
		k.own = own{kind: w.h.Kind, origin: w.origin, bound: v.Bound, at: now.Mono}
	}
	if backed {
		k.memory = &memory{utc: w.at, at: now.Mono, bound: w.bound + by}
	}
	if k.holder == "" && k.calm == 0 || stepped || spoiled && !backed {
		k.calm = max(now.Mono, 1)
	}
	k.holder = w.h.Name
	v.Sure = v.Trust == clock.Set && (backed || now.Mono-k.calm >= r.Sure.d())
	if v.Sure {
		v.Top = now.Wall
		if v.Set {
			v.Top = v.UTC
		}
		k.top(hard, now, v)
	}
}

// hard tells whether forging a witness takes more than answering in a server's name or turning a chip: its date is a
// satellite's or the county's own.
func (w witness) hard() bool {
	switch w.origin {
	case string(NTP), string(RTC), ownOrigin: // a pulse has the origin of its number
		return false
	}
	return !w.h.TimeOfDay // its day is that of the box's clock
}

// top bounds how high the floor may rise. NTP and clock chips, alone or together, never expire more than the
// time that has passed, and a little.
func (k *Keeper) top(hard bool, now Now, v *Verdict) {
	if hard {
		k.proven.utc, k.proven.at = v.Top, now.Mono
		return
	}
	if most := k.proven.utc.Add(now.Mono - k.proven.at + k.o.Rules.Grant.d()); v.Top.After(most) {
		v.Top = most
	}
}

// remembered gives the memory as a witness, while the quartz vouches for it.
func (k *Keeper) remembered(at time.Duration) *witness {
	m := k.memory
	if m == nil {
		return nil
	}
	b := m.bound + k.drift(at-m.at)
	if b > k.o.Rules.Lost.d() {
		k.memory = nil
		return nil
	}
	return &witness{name: phrase.M("time.own"), origin: ownOrigin, at: m.utc.Add(at - m.at), bound: b}
}

// unheld lets the clock run on by itself.
func (k *Keeper) unheld(now Now, v *Verdict) {
	k.holder = ""
	if k.own.kind == "" {
		return // how the clock began says what it is worth
	}
	v.Bound = k.ownBound(now.Mono)
	if v.Bound > k.o.Rules.Lost.d() {
		v.Trust, v.Bound, k.set, k.own, k.calm = clock.Free, -1, false, own{}, 0
	}
}

// show lists the sources and what is wrong with them.
func (k *Keeper) show(now Now, v *Verdict) {
	for _, name := range slices.Sorted(maps.Keys(k.sources)) {
		h := k.sources[name]
		at := h.est(now.Mono)
		if h.TimeOfDay {
			const day = 24 * time.Hour
			at = at.Add(now.Wall.Sub(at).Round(day))
		}
		x := View{Name: name, Kind: h.Kind, Heard: h.At, Bound: k.bound(h, now.Mono), Ahead: at.Sub(now.Wall), Live: k.live(h, now.Mono), Holds: name == v.Holder, Why: h.fault}
		v.Sources = append(v.Sources, x)
		if !h.fault.IsZero() {
			v.Faults = append(v.Faults, Fault{name, h.fault})
		}
	}
	slices.SortStableFunc(v.Sources, func(a, b View) int { return cmp.Compare(k.o.Rules.rank(a.Kind), k.o.Rules.rank(b.Kind)) })
}
