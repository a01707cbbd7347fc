package order

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// Event is one decision of a Desk.
type Event struct {
	// Order is what was granted; not valid where it was refused.
	Order Order
	// Ask is what was asked.
	Ask Ask
	// Refused says why, where it was.
	Refused phrase.Message
	// Cut says that it was granted for less time, with longer pauses or louder than
	// was asked.
	Cut bool
	At  clock.Stamp
}

// Refusal is the error of an Ask that was not granted. It wraps a
// *phrase.Error.
type Refusal struct {
	Err *phrase.Error
	// Retry is how long until the same Ask may be granted; 0 where it never
	// will be.
	Retry time.Duration
}

// Error gives the reason in English.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap gives the reason.
func (r *Refusal) Unwrap() error { return r.Err }

// RetryAfter gives how long after err the same Ask may be granted; false where
// it never will be.
func RetryAfter(err error) (time.Duration, bool) {
	var r *Refusal
	if errors.As(err, &r) && r.Retry > 0 {
		return r.Retry, true
	}
	return 0, false
}

// Desk makes Orders. It is safe from any goroutine and never blocks. Use
// NewDesk.
type Desk struct {
	bounds Bounds
	clock  clock.Clock
	offer  func(Event)
	prefix string

	mu    sync.Mutex
	n     uint64
	made  map[counter][]time.Duration // when new soundings were granted, within the window
	turns map[standing]*turn
}

type counter struct {
	source Source
	level  point.Level
	live   bool
}

type standing struct {
	source Source
	cause  string
	level  point.Level
}

// turn paces the turns of one standing level: due moves on by half a cycle a
// turn and may run ahead of now by as many half cycles as the rate allows
// orders (a leaky bucket), so that a pre-empted turn may be taken up again at
// once and no cause can sound faster than twice its duty cycle for long.
type turn struct {
	due, last time.Duration
}

// forgetTurn is how long after its last turn a standing level is counted as a
// new sounding again.
const forgetTurn = 24 * time.Hour

// NewDesk makes a Desk. The bounds must be valid. offer is called with every
// decision, in order; it must neither block nor call the Desk, and may be nil.
func NewDesk(b Bounds, c clock.Clock, offer func(Event)) *Desk {
	if offer == nil {
		offer = func(Event) {}
	}
	now := c.Now()
	boot := now.Boot
	if len(boot) > 8 {
		boot = boot[:8]
	}
	return &Desk{
		bounds: b, clock: c, offer: offer,
		prefix: fmt.Sprintf("%s-%x", boot, now.Mono.Microseconds()),
		made:   map[counter][]time.Duration{},
		turns:  map[standing]*turn{},
	}
}

// Make grants an Order or gives a *Refusal that says what is wrong, where, and
// what would mend it.
func (d *Desk) Make(a Ask) (Order, error) {
	a.Outputs = slices.Clone(a.Outputs)
	a.Content = a.Content.clone()
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.clock.Now()
	asked := a
	if err := d.check(a); err != nil {
		return d.refuse(asked, err, 0, now)
	}
	cut := d.cut(&a)
	if a.Action != Silence {
		if wait, err := d.pace(a, now.Mono); err != nil {
			return d.refuse(asked, err, wait, now)
		}
	}
	d.n++
	o := Order{id: fmt.Sprintf("%s-%d", d.prefix, d.n), ask: a, at: now}
	d.offer(Event{Order: o, Ask: asked, Cut: cut, At: now})
	return o, nil
}

// Check tells whether the bounds would let an Ask pass, but for its rate. It makes
// no order and counts nothing.
func (d *Desk) Check(a Ask) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check(a); err != nil {
		return &Refusal{Err: err}
	}
	return nil
}

func (d *Desk) refuse(a Ask, err *phrase.Error, retry time.Duration, now clock.Stamp) (Order, error) {
	d.offer(Event{Ask: a, Refused: err.Message, At: now})
	return Order{}, &Refusal{Err: err, Retry: retry}
}

// The sizes that an Ask may have.
const (
	mostOutputs = 256
	mostClips   = 256 // a sentence in pieces, and in each of four languages other ones
	longestName = 200
	longestText = 4000
)

func (d *Desk) check(a Ask) *phrase.Error {
	switch {
	case a.Action < Sound || a.Action > AllClear:
		return phrase.E("sound.ask_action")
	case a.Source < Rule || a.Source > Hand:
		return phrase.E("sound.ask_source")
	case len(a.Outputs) > mostOutputs || len(a.Content.Clips) > mostClips || len(a.Cause) > longestName ||
		len(a.Hazard) > longestName || len(a.Content.Words.ZH)+len(a.Content.Words.EN) > longestText || len(a.Content.Live) > longestName:
		return phrase.E("sound.ask_size")
	}
	if a.Action == Silence {
		return nil // whoever asks, and as often as they ask
	}
	s, ok := d.bounds.Sources[a.Source]
	spoken := a.Content.Live != "" && a.Content.Tone == "" // who may speak needs no tone for it
	switch {
	case a.Kind < Real || a.Kind > Test:
		return phrase.E("sound.ask_kind", "source", a.Source.Message())
	case a.Cause == "":
		return phrase.E("sound.ask_cause", "source", a.Source.Message())
	case !ok || !slices.Contains(s.Actions, a.Action):
		return phrase.E("sound.ask_scope_action", "source", a.Source.Message(), "action", a.Action.String(), "place", a.Source.String())
	case a.Action == AllClear && !mayClear(a.Source):
		return phrase.E("sound.ask_clear_source", "source", a.Source.Message())
	case !slices.Contains(s.Kinds, a.Kind) || a.Source == Rehearsal && a.Kind == Real:
		return phrase.E("sound.ask_scope_kind", "source", a.Source.Message(), "kind", a.Kind.Message(), "place", a.Source.String())
	case a.Content.Live != "" && (s.Live == 0 || a.Action != Sound || a.Standing):
		return phrase.E("sound.ask_live", "source", a.Source.Message(), "place", a.Source.String())
	case !spoken && a.Action == Sound && a.Kind == Real && a.Level == point.Calm && len(s.Notices) == 0:
		return phrase.E("sound.ask_calm", "source", a.Source.Message())
	case !spoken && a.Action == Sound && a.Kind == Real && a.Level == point.Calm && (a.Standing || !matches(s.Notices, a.Content.Tone)):
		return phrase.E("sound.ask_notice", "source", a.Source.Message(), "tone", a.Content.Tone, "place", a.Source.String())
	case a.Action == Sound && (a.Level < s.Least || a.Level > s.Most):
		return phrase.E("sound.ask_scope_level", "source", a.Source.Message(), "level", int(a.Level),
			"least", int(s.Least), "most", int(s.Most), "place", a.Source.String())
	case a.Who.Name == "" && (a.Action == AllClear || a.Source == Operator || a.Source == Command || a.Source == Hand):
		return phrase.E("sound.ask_who", "source", a.Source.Message())
	case len(a.Outputs) == 0:
		return phrase.E("sound.ask_outputs", "cause", a.Cause)
	case a.For < 0 || a.Off < 0:
		return phrase.E("sound.ask_duration", "cause", a.Cause)
	case a.Content.Volume < 0 || a.Content.Volume > 100:
		return phrase.E("sound.ask_volume", "volume", a.Content.Volume)
	}
	for i, o := range a.Outputs {
		if len(d.bounds.Known) > 0 && !slices.Contains(d.bounds.Known, o) {
			return phrase.E("sound.ask_unknown_output", "output", o, "known", strings.Join(d.bounds.Known, "、"))
		}
		if !matches(s.Outputs, o) {
			return phrase.E("sound.ask_scope_output", "source", a.Source.Message(), "output", o, "place", a.Source.String())
		}
		if slices.Contains(a.Outputs[:i], o) {
			return phrase.E("sound.ask_twice", "output", o)
		}
	}
	return d.checkContent(a)
}

func (d *Desk) checkContent(a Ask) *phrase.Error {
	c, tone := a.Content, a.Content.Tone
	if r := d.bounds.Reserved; tone != "" && matches(r.Tones, tone) {
		switch {
		case a.Kind != Real:
			return phrase.E("sound.ask_reserved_kind", "tone", tone, "kind", a.Kind.Message())
		case !r.Unlocked:
			return phrase.E("sound.ask_reserved_locked", "tone", tone)
		case !slices.Contains(r.Sources, a.Source):
			return phrase.E("sound.ask_reserved_source", "tone", tone, "source", a.Source.Message())
		}
	}
	for _, clip := range c.Clips {
		if r := d.bounds.Reserved; matches(r.Clips, clip) && !slices.Contains(r.SpokenBy, a.Source) {
			return phrase.E("sound.ask_reserved_clip", "clip", clip, "source", a.Source.Message())
		}
	}
	if a.Action == AllClear {
		if !slices.Contains(d.bounds.AllClearTones, tone) {
			return phrase.E("sound.ask_clear_tone", "tone", tone)
		}
		if len(c.Clips) == 0 && c.Words == (phrase.Text{}) {
			return phrase.E("sound.ask_clear_words", "cause", a.Cause)
		}
	}
	if a.Kind == Real {
		return nil
	}
	m, ok := d.bounds.Marked[a.Kind]
	if !ok {
		return phrase.E("sound.ask_unmarked", "kind", a.Kind.Message(), "place", a.Kind.String())
	}
	if tone != "" && !matches(m.Tones, tone) {
		return phrase.E("sound.ask_marked_tone", "kind", a.Kind.Message(), "tone", tone, "place", a.Kind.String())
	}
	for _, clip := range c.Clips {
		if clip != m.First && !matches(m.Clips, clip) {
			return phrase.E("sound.ask_marked_clip", "kind", a.Kind.Message(), "clip", clip, "place", a.Kind.String())
		}
	}
	if (len(c.Clips) > 0 || c.Live != "") && (len(c.Clips) == 0 || m.First == "" || c.Clips[0] != m.First) {
		return phrase.E("sound.ask_marked_first", "kind", a.Kind.Message(), "clip", m.First)
	}
	if c.Words.ZH != "" && (m.Words.ZH == "" || !strings.HasPrefix(c.Words.ZH, m.Words.ZH)) ||
		c.Words.EN != "" && (m.Words.EN == "" || !strings.HasPrefix(c.Words.EN, m.Words.EN)) {
		return phrase.E("sound.ask_marked_words", "kind", a.Kind.Message(), "words", m.Words)
	}
	return nil
}

// cut brings the times within the bounds of the source.
func (d *Desk) cut(a *Ask) bool {
	if a.Action == Silence {
		a.For, a.Off, a.Standing = 0, 0, false
		return false
	}
	s := d.bounds.Sources[a.Source]
	longest, rest := s.Longest.Duration(), s.Rest.Duration()
	if a.Content.Live != "" {
		longest = s.Live.Duration()
	}
	cut := a.For > longest || a.Standing && a.Off < rest
	// What calls on people to move is never made so quiet that nobody hears it.
	if v := a.Content.Volume; v > 0 && v < d.bounds.LeastVolume && a.Kind == Real && (a.Level > point.Calm || a.Action == AllClear) {
		a.Content.Volume, cut = d.bounds.LeastVolume, true
	}
	if a.For == 0 || a.For > longest {
		a.For = longest
	}
	if a.Standing {
		a.Off = max(a.Off, rest)
	}
	return cut
}

// pace holds a source to its rate. It gives how long to wait where it refuses.
func (d *Desk) pace(a Ask, now time.Duration) (time.Duration, *phrase.Error) {
	rate, live := d.bounds.Sources[a.Source].Rate, a.Content.Live != ""
	if r := d.bounds.Sources[a.Source].LiveRate; live && r.Orders > 0 {
		rate = r
	}
	within := rate.Within.Duration()
	var t *turn
	key := standing{a.Source, a.Cause, a.Level}
	if a.Standing {
		d.forget(now)
		t = d.turns[key]
	}
	if t != nil {
		step := max((a.For+a.Off)/2, time.Second)
		due := max(t.due, now)
		if ahead := due - now - step*time.Duration(rate.Orders); ahead > 0 {
			return ahead, phrase.E("sound.ask_turns", "cause", a.Cause, "wait", point.Span(ahead.Round(time.Second)).String())
		}
		t.due, t.last = due+step, now
		return 0, nil
	}
	c := counter{a.Source, a.Level, live}
	made := slices.DeleteFunc(d.made[c], func(at time.Duration) bool { return now-at >= within })
	d.made[c] = made
	if len(made) >= rate.Orders {
		wait := max(made[0]+within-now, time.Millisecond)
		if a.Standing && a.Kind == Real {
			// However the rate was used up, a level that stands begins to sound in
			// ten minutes: alarms that somebody raised and ended one after the
			// other must not buy silence for the true one.
			wait = min(wait, made[len(made)-1]+slowestRate-now)
		}
		if wait > 0 {
			return wait, phrase.E("sound.ask_rate", "source", a.Source.Message(), "orders", rate.Orders, "within", rate.Within.String(),
				"wait", point.Span(wait.Round(time.Second)).String(), "place", a.Source.String())
		}
	}
	d.made[c] = append(made, now)
	if a.Standing {
		d.turns[key] = &turn{due: now, last: now}
	}
	return 0, nil
}

func (d *Desk) forget(now time.Duration) {
	for k, t := range d.turns {
		if now-t.last > forgetTurn {
			delete(d.turns, k)
		}
	}
}
