package managed_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/config/managed"
	"tocsin/firmware/keep/config/revision"
	"tocsin/firmware/phrase"
)

const site = `version: 1
site: {id: "441882103201"} # the place
plan: village
rules:
  flash-flood: # the county's
    any_of:
      - {point: rain.total, over: 1h, prepare: 45 mm, evacuate: 60 mm} # measured in 2014
      - {point: river.level, prepare: 101.2 m}
  own: {any_of: [{point: gas.ch4, prepare: 20 %LEL}]}
managed:
  by: {zh: 县防指, en: county}
  since: "2026-05-12"
  paths: [/rules/flash-flood, /plan, /history]
`

var (
	at    = time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	rules = managed.Rules{Least: 10 * time.Minute, Most: 72 * time.Hour}
)

func change(t *testing.T, text string, pairs ...string) []byte {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("no %q in\n%s", pairs[i], text)
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return []byte(text)
}

func overridden(t *testing.T, draft []byte, lasts time.Duration) []byte {
	t.Helper()
	c, err := managed.Conflicts([]byte(site), draft)
	if err != nil || len(c) == 0 {
		t.Fatal(c, err)
	}
	b, err := managed.Override([]byte(site), draft, c, "王工", "塘坝检修", at, lasts)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatTheCountyManagesIsFoundInADraft(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edits []string
		paths string // of the conflicts
		code  string // of the error
	}{
		"another setting":         {[]string{"20 %LEL", "25 %LEL"}, "", ""},
		"a comment":               {[]string{"# measured in 2014", "# measured in 2015"}, "", ""},
		"another way of writing":  {[]string{"plan: village", `plan: "village"`}, "", ""},
		"a threshold":             {[]string{"45 mm", "55 mm"}, "/rules/flash-flood/any_of/0/prepare", ""},
		"a condition less":        {[]string{"      - {point: river.level, prepare: 101.2 m}\n", ""}, "/rules/flash-flood/any_of", ""},
		"a rule less":             {[]string{"  own:", "  other:"}, "", ""},
		"a setting that was none": {[]string{"plan: village", "plan: village\nhistory: {keep: 1h}"}, "/history", ""},
		"two of them":             {[]string{"45 mm", "55 mm", "plan: village", "plan: town"}, "/rules/flash-flood/any_of/0/prepare /plan", ""},
		"the mark":                {[]string{"/rules/flash-flood, ", ""}, "", "managed.touched"},
		"all of the mark":         {[]string{"managed:\n  by: {zh: 县防指, en: county}\n  since: \"2026-05-12\"\n  paths: [/rules/flash-flood, /plan, /history]\n", ""}, "", "managed.touched"},
		"who manages":             {[]string{"县防指", "我"}, "", "managed.touched"},
		"an override by hand":     {[]string{"/history]\n", "/history]\n  overrides: [{path: /plan, county: village, who: a, why: b, from: 2026-11-27T10:00:00Z, until: 2026-11-28T10:00:00Z}]\n"}, "", "managed.written"},
	} {
		got, err := managed.Conflicts([]byte(site), change(t, site, c.edits...))
		var paths []string
		for _, x := range got {
			paths = append(paths, x.Path)
		}
		if strings.Join(paths, " ") != c.paths || (err == nil) != (c.code == "") || err != nil && !strings.Contains(codeOf(err), c.code) {
			t.Errorf("%s: %v %v", name, paths, err)
		}
	}
	if _, err := managed.Conflicts(change(t, site, site[strings.Index(site, "managed:"):], ""), []byte(site)); err == nil || codeOf(err) != "managed.made" {
		t.Errorf("somebody at the box marked settings as the county's: %v", err)
	}
}

func TestAnOverrideStandsBesideTheCountysValueAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for name, edits := range map[string][]string{
		"a threshold":        {"45 mm", "55 mm"},
		"two":                {"45 mm", "55 mm", "plan: village", "plan: town"},
		"a whole list":       {"      - {point: river.level, prepare: 101.2 m}\n", ""},
		"what was not there": {"plan: village\n", "plan: village\nhistory: {keep: 1h}\n"},
		"what is gone":       {"plan: village\n", ""},
	} {
		draft := change(t, site, edits...)
		b := overridden(t, draft, 12*time.Hour)
		d, ps := config.Parse("", b)
		if d == nil {
			t.Fatal(name, ps)
		}
		if err := managed.Good(d.Site.Managed, rules); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := managed.Conflicts(b, b); err != nil || len(left) > 0 {
			t.Errorf("%s: the box's own override is refused: %v %v", name, left, err)
		}
		back, err := managed.County(b)
		if err != nil {
			t.Fatal(name, err)
		}
		if left, err := managed.Conflicts([]byte(site), back); err != nil || len(left) > 0 {
			t.Errorf("%s: %v %v after it fell back:\n%s", name, left, err, back)
		}
		if name == "a threshold" && string(back) != site {
			t.Errorf("the county's text is not as it was:\n%s", back)
		}
		if !strings.Contains(string(b), "# measured in 2014") {
			t.Errorf("%s: a comment is gone", name)
		}
	}
}

func TestNobodyChangesWhatComesBack(t *testing.T) {
	t.Parallel()
	b := string(overridden(t, change(t, site, "45 mm", "55 mm"), 12*time.Hour))
	for name, c := range map[string]struct {
		edits []string
		ok    bool
	}{
		"another value meanwhile": {[]string{"prepare: 55 mm", "prepare: 58 mm"}, true},
		"another county's value":  {[]string{"county: 45 mm", "county: 55 mm"}, false},
		"more time":               {[]string{"until: 2026-11-27T22:00:00Z", "until: 2026-11-29T22:00:00Z"}, false},
		"its end":                 {[]string{"prepare: 55 mm", "prepare: 45 mm", b[strings.Index(b, "  overrides:"):], ""}, true},
		"no end":                  {[]string{b[strings.Index(b, "  overrides:"):], ""}, false},
		"another":                 {[]string{"101.2 m", "101.4 m"}, false},
	} {
		edits := c.edits
		for i := range edits { // times are written as the box writes them
			if i%2 == 0 && !strings.Contains(b, edits[i]) {
				edits[i] = strings.Replace(edits[i], "until: 2026-11-27T22:00:00Z", `until: "2026-11-27T22:00:00Z"`, 1)
			}
		}
		got, err := managed.Conflicts([]byte(b), change(t, b, edits...))
		if ok := err == nil && len(got) == 0; ok != c.ok {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

// world is a box's disk and clock.
type world struct {
	t     *testing.T
	dir   string
	now   clock.Stamp
	store *revision.Store
	watch managed.Watch
	kept  []byte
}

func (w *world) begin() {
	w.t.Helper()
	s, _, err := revision.Open(revision.Opts{File: filepath.Join(w.dir, "site.yaml"), Dir: filepath.Join(w.dir, "revisions"), Now: func() clock.Stamp { return w.now }})
	if err != nil {
		w.t.Fatal(err)
	}
	w.store, w.watch = s, managed.Watch{}
	if w.kept != nil {
		w.watch.Restore(w.kept)
	}
}

func (w *world) document() (string, *config.Managed) {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, "site.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	d, ps := config.Parse("", b)
	if d == nil {
		w.t.Fatal(ps)
	}
	return string(b), d.Site.Managed
}

// pass lets time go by in steps of a minute, as the house does, and takes back what is over.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	for ; d > 0; d -= time.Minute {
		w.now = w.now.Add(min(d, time.Minute))
		b, m := w.document()
		over := w.watch.Look(m, w.now, time.Time{})
		w.kept = w.watch.Snapshot()
		if len(over) == 0 {
			continue
		}
		back, err := managed.Lapse([]byte(b), over)
		if err == nil {
			_, err = w.store.Propose(revision.Change{Base: w.store.Newest().Number, Document: back, By: revision.Lapsed})
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// cut is a power cut; trusted tells whether the clock is believed after it.
func (w *world) cut(off time.Duration, trust clock.Trust) {
	wall := w.now.Wall.Add(off)
	if trust == clock.Free {
		wall = w.now.Wall.Add(-30 * 24 * time.Hour) // what a box without a battery wakes with
	}
	w.now = clock.Stamp{Mono: time.Second, Wall: wall, Boot: w.now.Boot + "'", Trust: trust}
	w.begin()
	_, m := w.document()
	w.watch.Look(m, w.now, time.Time{})
}

func TestAnOverrideFallsBackByItselfAlsoOverRestarts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		steps func(w *world)
		stood bool
	}{
		"before its end":                   {func(w *world) { w.pass(11 * time.Hour) }, true},
		"at its end":                       {func(w *world) { w.pass(12*time.Hour + time.Minute) }, false},
		"off over its end, clock known":    {func(w *world) { w.pass(time.Hour); w.cut(20*time.Hour, clock.Held); w.pass(time.Minute) }, false},
		"off and on again before its end":  {func(w *world) { w.pass(time.Hour); w.cut(time.Hour, clock.Held); w.pass(time.Hour) }, true},
		"restarts, clock never known":      {func(w *world) { w.pass(7 * time.Hour); w.cut(0, clock.Free); w.pass(6 * time.Hour) }, false},
		"a restart, clock unknown, before": {func(w *world) { w.pass(7 * time.Hour); w.cut(0, clock.Free); w.pass(4 * time.Hour) }, true},
	} {
		w := &world{t: t, dir: t.TempDir(), now: clock.Stamp{Mono: time.Hour, Wall: at, Boot: "a", Trust: clock.Held}}
		if err := os.WriteFile(filepath.Join(w.dir, "site.yaml"), []byte(site), 0o600); err != nil {
			t.Fatal(err)
		}
		w.begin()
		b := overridden(t, change(t, site, "45 mm", "55 mm"), 12*time.Hour)
		if _, err := w.store.Propose(revision.Change{Base: 1, Document: b, By: revision.Page, Who: "王工", Why: "塘坝检修"}); err != nil {
			t.Fatal(err)
		}
		_, m := w.document()
		w.watch.Look(m, w.now, time.Time{})
		c.steps(w)
		got, _ := w.document()
		if stands := strings.Contains(got, "prepare: 55 mm"); stands != c.stood || !stands && got != site {
			t.Errorf("%s: it stands: %v\n%s", name, stands, got)
		}
		if last := w.store.Newest(); !c.stood && last.By != revision.Lapsed {
			t.Errorf("%s: %+v", name, last)
		}
	}
}

func TestAMarkThatMarksNothingIsRefused(t *testing.T) {
	t.Parallel()
	good := config.Managed{Paths: []string{"/plan"}}
	good.By.ZH = "县"
	m := func(f func(*config.Managed)) *config.Managed { x := good; f(&x); return &x }
	from := config.Moment{Time: at}
	for name, c := range map[string]struct {
		m  *config.Managed
		ok bool
	}{
		"good":       {&good, true},
		"nobody":     {m(func(x *config.Managed) { x.By.ZH = "" }), false},
		"no path":    {m(func(x *config.Managed) { x.Paths = nil }), false},
		"no pointer": {m(func(x *config.Managed) { x.Paths = []string{"plan"} }), false},
		"itself":     {m(func(x *config.Managed) { x.Paths = []string{"/managed/paths"} }), false},
		"everything": {m(func(x *config.Managed) { x.Paths = []string{"/"} }), false},
		"too long": {m(func(x *config.Managed) {
			x.Overrides = []config.Override{{Path: "/plan", Who: "a", Why: "b", From: from, Until: config.Moment{Time: at.Add(73 * time.Hour)}}}
		}), false},
		"no reason": {m(func(x *config.Managed) {
			x.Overrides = []config.Override{{Path: "/plan", Who: "a", From: from, Until: config.Moment{Time: at.Add(time.Hour)}}}
		}), false},
		"of its own": {m(func(x *config.Managed) {
			x.Overrides = []config.Override{{Path: "/site", Who: "a", Why: "b", From: from, Until: config.Moment{Time: at.Add(time.Hour)}}}
		}), false},
		"an override": {m(func(x *config.Managed) {
			x.Overrides = []config.Override{{Path: "/plan", Who: "a", Why: "b", From: from, Until: config.Moment{Time: at.Add(time.Hour)}}}
		}), true},
	} {
		if err := managed.Good(c.m, rules); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func codeOf(err error) string { return phrase.Of(err).Code }
