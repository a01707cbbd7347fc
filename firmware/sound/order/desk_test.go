package order

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

const document = `
sources:
  rule: {kinds: [real], actions: [sound, silence], least: 1, most: 4, outputs: ["*"], longest: 3m, rest: 1m, rate: {orders: 3, within: 10m}}
  operator: {kinds: [real, drill, test], actions: [sound, silence, all_clear], least: 0, most: 4, outputs: ["siren-*"], longest: 3m, rate: {orders: 5, within: 10m}}
  drill: {kinds: [drill, test], actions: [sound], least: 0, most: 4, outputs: ["*"], longest: 1m, rate: {orders: 2, within: 10m}}
  command: {kinds: [real], actions: [sound, all_clear], least: 1, most: 4, outputs: ["*"], longest: 3m, rate: {orders: 3, within: 10m}}
marked:
  drill: {tones: [drill-*], clips: [drill-*], first: this-is-a-drill, words: {zh: 演练, en: Drill}}
reserved: {tones: [civil-*], unlocked: false, sources: [command]}
all_clear_tones: [chime]
`

func bounds(t interface{ Fatal(...any) }) Bounds {
	var b Bounds
	if err := yaml.UnmarshalWithOptions([]byte(document), &b, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if err := b.Validate(); err != nil {
		t.Fatal(err)
	}
	b.Known = []string{"siren-roof", "siren-dam", "horn"}
	return b
}

type hand struct{ now time.Duration }

func (h *hand) Now() clock.Stamp {
	return clock.Stamp{Mono: h.now, Wall: time.Unix(0, 0).Add(h.now), Boot: "boot-of-the-test"}
}

func good() Ask {
	return Ask{Cause: "flood-1", Kind: Real, Source: Rule, Action: Sound, Hazard: "flood", Level: 3,
		Outputs: []string{"siren-roof", "horn"}, Content: Content{Tone: "fast"}, For: time.Minute}
}

func TestTheZeroOrderIsNotValidAndAGrantedOneSaysWhatWasAsked(t *testing.T) {
	var zero Order
	if zero.Valid() || zero.Covers("horn") {
		t.Error("the zero Order is valid")
	}
	var events []Event
	d := NewDesk(bounds(t), &hand{now: time.Second}, func(e Event) { events = append(events, e) })
	a := good()
	o, err := d.Make(a)
	if err != nil {
		t.Fatal(err)
	}
	a.Outputs[0] = "changed after"
	o.Outputs()[1] = "changed by a taker"
	if !o.Valid() || o.Cause() != "flood-1" || o.Kind() != Real || o.Level() != 3 || o.For() != time.Minute ||
		!slices.Equal(o.Outputs(), []string{"siren-roof", "horn"}) || !o.Covers("horn") || o.Covers("siren-dam") {
		t.Errorf("order: %+v", o)
	}
	if len(events) != 1 || events[0].Order.ID() != o.ID() || !events[0].Refused.IsZero() {
		t.Errorf("events: %+v", events)
	}
	p, err := d.Make(good())
	if err != nil || p.ID() == o.ID() {
		t.Errorf("second: %v, ids %s %s", err, o.ID(), p.ID())
	}
}

func TestANoticeNeedsNoLevelWhereItsSourceMayGiveOne(t *testing.T) {
	b := bounds(t)
	op := b.Sources[Operator]
	op.Notices, op.Least = []string{"chime"}, 0
	b.Sources[Operator] = op
	a := good()
	a.Source, a.Who, a.Level = Operator, Who{Name: "李雷"}, 0
	a.Outputs, a.Content = []string{"siren-roof"}, Content{Tone: "chime"}
	if _, err := NewDesk(b, &hand{}, nil).Make(a); err != nil {
		t.Error(err)
	}
}

func TestNoVolumeMutesALevel(t *testing.T) {
	b := bounds(t)
	op := b.Sources[Operator]
	op.Notices, op.Least = []string{"chime"}, 0
	b.Sources[Operator], b.LeastVolume = op, 60
	for asked, want := range map[int]int{0: 0, 1: 60, 59: 60, 60: 60, 80: 80} {
		a := good()
		a.Cause, a.Content.Volume = fmt.Sprint("v", asked), asked
		o, err := NewDesk(b, &hand{}, nil).Make(a) // a desk for each: the rate is not the matter
		if err != nil {
			t.Fatal(err)
		}
		if got := o.Content().Volume; got != want {
			t.Errorf("a level asked for at %d %% sounds at %d, want %d", asked, got, want)
		}
	}
	notice := good()
	notice.Source, notice.Who, notice.Level = Operator, Who{Name: "李雷"}, 0
	notice.Outputs, notice.Content = []string{"siren-roof"}, Content{Tone: "chime", Volume: 20}
	if o, err := NewDesk(b, &hand{}, nil).Make(notice); err != nil || o.Content().Volume != 20 {
		t.Errorf("a notice may be quiet: %d %v", o.Content().Volume, err)
	}
	b.LeastVolume = 101
	if b.Validate() == nil {
		t.Error("more than all is proved")
	}
}

func TestWhatTheDeskRefuses(t *testing.T) {
	drill := func(a *Ask) {
		a.Source, a.Kind = Rehearsal, Drill
		a.Content = Content{Tone: "drill-fast", Clips: []string{"this-is-a-drill", "drill-go"}, Words: phrase.Text{ZH: "演练，请转移"}}
	}
	clear := func(a *Ask) {
		a.Source, a.Action, a.Who = Operator, AllClear, Who{Name: "李雷", Via: "page"}
		a.Outputs, a.Content = []string{"siren-roof"}, Content{Tone: "chime", Words: phrase.Text{ZH: "警报解除"}}
	}
	notice := func(a *Ask) {
		a.Source, a.Who, a.Level = Operator, Who{Name: "李雷"}, 0
		a.Outputs, a.Content = []string{"siren-roof"}, Content{Tone: "chime"}
	}
	for _, c := range []struct {
		name, code string
		change     func(*Ask)
	}{
		{"no action", "sound.ask_action", func(a *Ask) { a.Action = 0 }},
		{"an action beyond the table", "sound.ask_action", func(a *Ask) { a.Action = 99 }},
		{"no source", "sound.ask_source", func(a *Ask) { a.Source = 0 }},
		{"no kind", "sound.ask_kind", func(a *Ask) { a.Kind = 0 }},
		{"no cause", "sound.ask_cause", func(a *Ask) { a.Cause = "" }},
		{"calm", "sound.ask_calm", func(a *Ask) { a.Level = 0 }},
		{"a notice that stands", "sound.ask_notice", func(a *Ask) { notice(a); a.Standing = true }},
		{"a notice with an alarm's tone", "sound.ask_notice", func(a *Ask) { notice(a); a.Content.Tone = "fast" }},
		{"a level above the scope", "sound.ask_scope_level", func(a *Ask) { a.Level = 5 }},
		{"a kind out of scope", "sound.ask_scope_kind", func(a *Ask) { a.Kind = Drill }},
		{"an action out of scope", "sound.ask_scope_action", func(a *Ask) { a.Action = AllClear }},
		{"a source without a scope", "sound.ask_scope_action", func(a *Ask) { a.Source = Alert }},
		{"no outputs", "sound.ask_outputs", func(a *Ask) { a.Outputs = nil }},
		{"an unknown output", "sound.ask_unknown_output", func(a *Ask) { a.Outputs = []string{"horn2"} }},
		{"an output twice", "sound.ask_twice", func(a *Ask) { a.Outputs = []string{"horn", "horn"} }},
		{"an output out of scope", "sound.ask_scope_output", func(a *Ask) { a.Source, a.Who.Name = Operator, "x" }},
		{"a nameless operator", "sound.ask_who", func(a *Ask) { a.Source, a.Outputs = Operator, []string{"siren-roof"} }},
		{"a negative time", "sound.ask_duration", func(a *Ask) { a.For = -1 }},
		{"too loud", "sound.ask_volume", func(a *Ask) { a.Content.Volume = 101 }},
		{"too much", "sound.ask_size", func(a *Ask) { a.Cause = strings.Repeat("x", 1000) }},
		{"a locked civil-defence tone", "sound.ask_reserved_locked", func(a *Ask) { a.Content.Tone = "civil-air-raid" }},
		{"words of a verified warning", "sound.ask_reserved_clip", func(a *Ask) { a.Content.Clips = []string{"siren", "say-red.yue"} }},
		{"a drill with a real tone", "sound.ask_marked_tone", func(a *Ask) { drill(a); a.Content.Tone = "fast" }},
		{"a drill with a civil-defence tone", "sound.ask_reserved_kind", func(a *Ask) { drill(a); a.Content.Tone = "civil-pre" }},
		{"a drill with a real clip", "sound.ask_marked_clip", func(a *Ask) { drill(a); a.Content.Clips[1] = "go-now" }},
		{"a drill that does not say so first", "sound.ask_marked_first", func(a *Ask) { drill(a); a.Content.Clips = []string{"drill-go"} }},
		{"a drill whose words do not say so", "sound.ask_marked_words", func(a *Ask) { drill(a); a.Content.Words.EN = "Go now" }},
		{"a test of which nothing says how it is marked", "sound.ask_unmarked", func(a *Ask) { drill(a); a.Kind = Test }},
		{"a drill that says it is real", "sound.ask_scope_kind", func(a *Ask) { drill(a); a.Kind = Real }},
		{"a nameless all-clear", "sound.ask_who", func(a *Ask) { clear(a); a.Who = Who{} }},
		{"an all-clear with an alarm's tone", "sound.ask_clear_tone", func(a *Ask) { clear(a); a.Content.Tone = "fast" }},
		{"an all-clear without words", "sound.ask_clear_words", func(a *Ask) { clear(a); a.Content.Words = phrase.Text{} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var last Event
			b := bounds(t)
			b.Reserved.Clips, b.Reserved.SpokenBy = []string{"say-*"}, []Source{Alert}
			if c.code == "sound.ask_notice" {
				op := b.Sources[Operator]
				op.Notices, op.Least = []string{"chime"}, 0
				b.Sources[Operator] = op
			}
			d := NewDesk(b, &hand{}, func(e Event) { last = e })
			a := good()
			c.change(&a)
			o, err := d.Make(a)
			var pe *phrase.Error
			if o.Valid() || !errors.As(err, &pe) || pe.Code != c.code {
				t.Fatalf("got %v, %v, want %s", o.Valid(), err, c.code)
			}
			if err := d.Check(a); !errors.As(err, &pe) || pe.Code != c.code {
				t.Errorf("Check: %v", err)
			}
			if last.Refused.Code != c.code {
				t.Errorf("told %v", last.Refused)
			}
			if zh := phrase.In(err, phrase.ZH); strings.Contains(zh, "{") || zh == c.code {
				t.Errorf("in Chinese: %s", zh)
			}
			if _, again := RetryAfter(err); again {
				t.Error("says that it may be granted later")
			}
		})
	}
	for name, change := range map[string]func(*Ask){"drill": drill, "all-clear": clear} {
		a := good()
		change(&a)
		if _, err := NewDesk(bounds(t), &hand{}, nil).Make(a); err != nil {
			t.Errorf("a proper %s is refused: %v", name, err)
		}
	}
}

func TestARuleMayNeverGiveTheAllClearWhateverTheBoundsSay(t *testing.T) {
	b := bounds(t)
	s := b.Sources[Rule]
	s.Actions = append(s.Actions, AllClear)
	b.Sources[Rule] = s
	if err := b.Validate(); err == nil {
		t.Error("the bounds pass")
	}
	a := good()
	a.Action, a.Who.Name = AllClear, "rule"
	if _, err := NewDesk(b, &hand{}, nil).Make(a); err == nil {
		t.Error("the desk grants it")
	}
}

func TestUnlockedCivilDefenceTonesAreForTheirSourcesOnly(t *testing.T) {
	b := bounds(t)
	b.Reserved.Unlocked = true
	d := NewDesk(b, &hand{}, nil)
	a := good()
	a.Content.Tone = "civil-pre"
	if _, err := d.Make(a); err == nil {
		t.Error("a rule may")
	}
	a.Source, a.Who.Name = Command, "county"
	if _, err := d.Make(a); err != nil {
		t.Errorf("a signed command may not: %v", err)
	}
}

func TestTimesAreCutToTheBoundsRatherThanRefused(t *testing.T) {
	var last Event
	d := NewDesk(bounds(t), &hand{}, func(e Event) { last = e })
	a := good()
	a.For, a.Standing, a.Off = time.Hour, true, time.Second
	o, err := d.Make(a)
	if err != nil || o.For() != 3*time.Minute || o.Off() != time.Minute || !last.Cut {
		t.Errorf("%v for %v off %v cut %v", err, o.For(), o.Off(), last.Cut)
	}
	a = good()
	a.For = 0
	if o, err = d.Make(a); err != nil || o.For() != 3*time.Minute {
		t.Errorf("%v for %v", err, o.For())
	}
}

func TestTheRateIsSlidingAndEachLevelHasItsOwn(t *testing.T) {
	h := &hand{}
	d := NewDesk(bounds(t), h, nil)
	ask := func(level point.Level) error {
		a := good()
		a.Level = level
		_, err := d.Make(a)
		return err
	}
	for i := range 3 {
		h.now = time.Duration(i) * time.Minute
		if err := ask(2); err != nil {
			t.Fatal(err)
		}
	}
	h.now = 5 * time.Minute
	err := ask(2)
	if wait, again := RetryAfter(err); !again || wait != 5*time.Minute {
		t.Errorf("fourth in ten minutes: %v, wait %v", err, wait)
	}
	if err := ask(4); err != nil {
		t.Errorf("a flood of lower levels uses up the red: %v", err)
	}
	h.now = 10 * time.Minute
	if err := ask(2); err != nil {
		t.Errorf("after the first has slid out: %v", err)
	}
	if err := ask(2); err == nil {
		t.Error("the window jumps instead of sliding")
	}
}

func TestSilenceIsNeverRefusedNorCounted(t *testing.T) {
	d := NewDesk(bounds(t), &hand{}, nil)
	for i := range 5000 {
		o, err := d.Make(Ask{Action: Silence, Source: Source(1 + i%6)})
		if err != nil || !o.Covers("anything") {
			t.Fatal(i, err)
		}
	}
	if _, err := d.Make(good()); err != nil {
		t.Error(err)
	}
}

func TestALevelThatStandsSoundsForDaysInItsDutyCycleAndNoFaster(t *testing.T) {
	h := &hand{}
	d := NewDesk(bounds(t), h, nil)
	a := good()
	a.Standing, a.For, a.Off = true, time.Minute, 2*time.Minute
	for h.now < 72*time.Hour {
		if _, err := d.Make(a); err != nil {
			t.Fatalf("after %v: %v", h.now, err)
		}
		h.now += 3 * time.Minute
	}
	granted, end := 0, h.now+time.Hour
	for ; h.now < end; h.now += time.Second {
		if _, err := d.Make(a); err == nil {
			granted++
		}
	}
	if granted > 20*2+4 {
		t.Errorf("%d turns of 3 minutes in an hour", granted)
	}
}

func TestBadBoundsAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		code   string
		change func(*Bounds)
	}{
		"a drill that may be real": {"sound.bounds_drill_real", func(b *Bounds) { s := b.Sources[Rehearsal]; s.Kinds = []Kind{Real}; b.Sources[Rehearsal] = s }},
		"levels upside down":       {"sound.bounds_levels", func(b *Bounds) { s := b.Sources[Rule]; s.Least = 9; b.Sources[Rule] = s }},
		"no longest":               {"sound.bounds_longest", func(b *Bounds) { s := b.Sources[Rule]; s.Longest = 0; b.Sources[Rule] = s }},
		"no rate":                  {"sound.bounds_rate", func(b *Bounds) { s := b.Sources[Rule]; s.Rate = Rate{}; b.Sources[Rule] = s }},
		"a rate that silences a standing level": {"sound.bounds_rate_slow", func(b *Bounds) {
			s := b.Sources[Rule]
			s.Rate = Rate{1, point.Span(24 * time.Hour)}
			b.Sources[Rule] = s
		}},
		"a broken pattern":          {"sound.bounds_pattern", func(b *Bounds) { s := b.Sources[Rule]; s.Outputs = []string{"["}; b.Sources[Rule] = s }},
		"a marked real":             {"sound.bounds_marked_kind", func(b *Bounds) { b.Marked[Real] = Mark{} }},
		"a drill without a mark":    {"sound.bounds_no_mark", func(b *Bounds) { b.Marked[Drill] = Mark{Clips: []string{"*"}} }},
		"a drill as civil defence":  {"sound.bounds_marked_reserved", func(b *Bounds) { b.Marked[Drill] = Mark{Tones: []string{"civil-*"}} }},
		"an all-clear that is kept": {"sound.bounds_clear_reserved", func(b *Bounds) { b.AllClearTones = []string{"civil-clear"} }},
		"an empty scope":            {"sound.bounds_empty", func(b *Bounds) { b.Sources[Alert] = Scope{} }},
	} {
		b := bounds(t)
		c.change(&b)
		var pe *phrase.Error
		if err := b.Validate(); !errors.As(err, &pe) || pe.Code != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}

// Whatever is asked: what is granted lies within the bounds.
func TestNothingOutsideTheBoundsIsEverGranted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &hand{}
		b := bounds(t)
		d := NewDesk(b, h, nil)
		for range rapid.IntRange(1, 40).Draw(t, "n") {
			h.now += time.Duration(rapid.IntRange(0, 600).Draw(t, "s")) * time.Second
			a := Ask{
				Cause: fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "cause")), Kind: Kind(rapid.IntRange(0, 4).Draw(t, "kind")),
				Source: Source(rapid.IntRange(0, 7).Draw(t, "source")), Action: Action(rapid.IntRange(0, 4).Draw(t, "action")),
				Level:    point.Level(rapid.IntRange(0, 6).Draw(t, "level")),
				Outputs:  rapid.SliceOfN(rapid.SampledFrom([]string{"siren-roof", "siren-dam", "horn", "x"}), 0, 3).Draw(t, "outputs"),
				For:      time.Duration(rapid.IntRange(-1, 600).Draw(t, "for")) * time.Second,
				Standing: rapid.Bool().Draw(t, "standing"), Off: time.Duration(rapid.IntRange(0, 100).Draw(t, "off")) * time.Second,
				Content: Content{Tone: rapid.SampledFrom([]string{"", "fast", "chime", "civil-pre", "drill-slow"}).Draw(t, "tone"), Words: phrase.Text{ZH: "演练"}},
				Who:     Who{Name: rapid.SampledFrom([]string{"", "x"}).Draw(t, "who")},
			}
			o, err := d.Make(a)
			if (err == nil) != o.Valid() {
				t.Fatal("an error and an order")
			}
			if err != nil || o.Action() == Silence {
				continue
			}
			s := b.Sources[o.Source()]
			if o.For() <= 0 || o.For() > s.Longest.Duration() || strings.HasPrefix(o.Content().Tone, "civil") ||
				o.Kind() != Real && o.Content().Tone != "" && !strings.HasPrefix(o.Content().Tone, "drill") ||
				!slices.Contains(s.Kinds, o.Kind()) || slices.Contains(o.Outputs(), "x") || len(o.Outputs()) == 0 ||
				o.Action() == AllClear && o.Who().Name == "" || o.Action() == Sound && o.Level() > s.Most {
				t.Fatalf("granted %+v", o.Ask())
			}
		}
	})
}

// Whoever raises and ends alarms in a row uses up the rate of their level.
func TestAUsedUpRateKeepsNoTrueLevelSilentForMoreThanTenMinutes(t *testing.T) {
	b := bounds(t)
	s := b.Sources[Rule]
	s.Rate = Rate{Orders: 12, Within: point.Span(time.Hour)}
	b.Sources[Rule] = s
	h := &hand{now: time.Second}
	d := NewDesk(b, h, nil)
	a := good()
	a.Standing, a.Off = true, time.Minute
	for i := range 12 {
		a.Cause = fmt.Sprint("toy-", i)
		if _, err := d.Make(a); err != nil {
			t.Fatal(err)
		}
		h.now += time.Second
	}
	a.Cause = "flood"
	_, err := d.Make(a)
	wait, again := RetryAfter(err)
	if !again || wait > 10*time.Minute {
		t.Fatalf("silent for %v: %v", wait, err)
	}
	h.now += wait
	if _, err := d.Make(a); err != nil {
		t.Errorf("after %v: %v", wait, err)
	}
	// What does not stand waits for its turn as before.
	a.Standing, a.Cause = false, "once"
	if _, err := d.Make(a); err == nil {
		t.Error("the rate counts no more")
	}
}

func TestAPersonSpeaksOnlyWhereTheBoundsLetItAndNoLonger(t *testing.T) {
	b := bounds(t)
	op := b.Sources[Operator]
	op.Live, op.Least = point.Span(90*time.Second), 0
	b.Sources[Operator] = op
	if b.Validate() == nil {
		t.Error("a voice that nothing bounds is proved")
	}
	b.Live = Live{Hold: point.Span(100 * time.Millisecond), Most: point.Span(400 * time.Millisecond), Quiet: point.Span(10 * time.Second), Lost: point.Span(3 * time.Second),
		RMS: -16, Peak: -3, Gain: 18, Floor: -45}
	if err := b.Validate(); err != nil {
		t.Fatal(err)
	}
	late := b
	late.Live.Most = point.Span(time.Second)
	if late.Validate() == nil {
		t.Error("a second of jitter is proved")
	}
	voice := func(change func(*Ask)) Ask {
		a := good()
		a.Source, a.Who, a.Level, a.Outputs, a.Content, a.For = Operator, Who{Name: "李雷"}, 0, []string{"siren-roof"}, Content{Live: "s-1"}, time.Hour
		change(&a)
		return a
	}
	for name, c := range map[string]struct {
		change func(*Ask)
		code   string
	}{
		"a notice":                        {func(*Ask) {}, ""},
		"at a level":                      {func(a *Ask) { a.Level = 3 }, ""},
		"a drill that says so first":      {func(a *Ask) { a.Kind, a.Content.Clips = Drill, []string{"this-is-a-drill"} }, ""},
		"a drill that does not say so":    {func(a *Ask) { a.Kind = Drill }, "sound.ask_marked_first"},
		"a source that may not":           {func(a *Ask) { a.Source = Rule; a.Level = 3 }, "sound.ask_live"},
		"a level that stands":             {func(a *Ask) { a.Standing, a.Level = true, 3 }, "sound.ask_live"},
		"an all-clear by word of mouth":   {func(a *Ask) { a.Action, a.Content.Tone, a.Content.Words = AllClear, "chime", phrase.Text{ZH: "解除"} }, "sound.ask_live"},
		"a nameless person":               {func(a *Ask) { a.Who = Who{} }, "sound.ask_who"},
		"a notice with a tone of its own": {func(a *Ask) { a.Content.Tone = "fast" }, "sound.ask_calm"},
	} {
		o, err := NewDesk(b, &hand{}, nil).Make(voice(c.change))
		var pe *phrase.Error
		switch {
		case c.code == "" && (err != nil || o.For() != 90*time.Second || o.Content().Live != "s-1"):
			t.Errorf("%s: %v for %v", name, err, o.For())
		case c.code != "" && (!errors.As(err, &pe) || pe.Code != c.code):
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}

func TestWhoSpeaksOftenUsesUpNothingOfALevel(t *testing.T) {
	b := bounds(t)
	b.Live = Live{Hold: point.Span(100 * time.Millisecond), Most: point.Span(400 * time.Millisecond), Quiet: point.Span(10 * time.Second), Lost: point.Span(3 * time.Second),
		RMS: -16, Peak: -3, Gain: 18, Floor: -45}
	c := b.Sources[Command]
	c.Live, c.LiveRate = point.Span(time.Minute), Rate{Orders: 7, Within: point.Span(time.Hour)}
	b.Sources[Command] = c
	if err := b.Validate(); err != nil {
		t.Fatal(err)
	}
	d := NewDesk(b, &hand{now: time.Second}, nil)
	a := good()
	a.Source, a.Who = Command, Who{Name: "county"}
	voice := a
	voice.Content = Content{Live: "s"}
	for n := range 8 {
		_, err := d.Make(voice)
		if _, later := RetryAfter(err); (err == nil) != (n < 7) || err != nil && !later {
			t.Errorf("talk %d: %v", n+1, err)
		}
	}
	if _, err := d.Make(a); err != nil {
		t.Errorf("the level is held up by talks: %v", err)
	}
	c.LiveRate.Within = 0
	b.Sources[Command] = c
	if b.Validate() == nil {
		t.Error("a rate without a time is proved")
	}
}
