package plan

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"tocsin/firmware/point"
)

// measured are the shipped clips that speak of what was measured, or of a warning that was issued.
var measured = map[string]bool{"prepare": true, "evacuate": true, "gas-evacuate": true, "county-prepare": true, "county-evacuate": true, "county-notice": true}

func TestTheShippedPlansAreWhole(t *testing.T) {
	fsys := os.DirFS("../../../configs")
	levels, err := LoadLevels(fsys, "levels.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob("../../../configs/plans/*.yaml")
	if len(files) == 0 {
		t.Fatal("no plans")
	}
	for _, f := range files {
		p, err := Load(fsys, "plans/"+filepath.Base(f), levels)
		if err != nil {
			t.Error(err)
			continue
		}
		if p.Plan+".yaml" != filepath.Base(f) {
			t.Errorf("%s calls itself %s", f, p.Plan)
		}
		for _, code := range levels.Codes() {
			l, _ := levels.Level(code)
			s := p.At(l, levels)
			if len(s.Clips) == 0 {
				t.Errorf("%s: %s says no words", p.Plan, code)
			}
			for by, says := range map[string][]string{"measurement": s.Clips, "person": s.ClipsBy[Hand], "station": s.ClipsBy[Beacon]} {
				if (p.Plan != "county-warning" || by != "measurement") && strings.Contains(strings.Join(says, " "), "county-") {
					t.Errorf("%s: %s raised by a %s speaks of a warning that nobody gave", f, code, by)
				}
			}
			// Nothing was measured where a person or an officer raises the level.
			for _, by := range []By{Hand, Command} {
				if says := s.Says(by).Clips; len(s.ClipsBy[by]) == 0 || slices.ContainsFunc(says, func(c string) bool { return measured[c] }) {
					t.Errorf("%s: %s raised by %s says %v", p.Plan, code, by, says)
				}
			}
		}
	}
}

func TestAPlanThatWouldBeSilentIsRefused(t *testing.T) {
	levels, err := LoadLevels(fstest.MapFS{"l": {Data: []byte("version: 1\nlevels:\n  - {code: a, name: {zh: 甲, en: A}}\n")}}, "l")
	if err != nil {
		t.Fatal(err)
	}
	const head = "version: 1\nplan: p\nname: {zh: 案, en: P}\nall_clear: {tone: chime, for: 1m}\n"
	for name, c := range map[string]struct{ body, want string }{
		"good":             {"levels: {a: {tone: t, duty: {on: 1m, off: 1m}, resound: 5m}}\n", ""},
		"no step":          {"levels: {}\n", "missing"},
		"silent step":      {"levels: {a: {duty: {on: 1m, off: 1m}, resound: 5m}}\n", "says nothing"},
		"resound too late": {"levels: {a: {tone: t, duty: {on: 1m, off: 1m}, resound: 11m}}\n", "resound"},
		"unknown level":    {"levels: {b: {tone: t, duty: {on: 1m, off: 1m}, resound: 5m}}\n", "no level"},
		"endless notice":   {"levels: {a: {tone: t, duty: {on: 1m, off: 1m}, resound: 5m}}\nnotice: {tone: t}\n", "notice"},
		"nobody's words":   {"levels: {a: {tone: t, clips_by: {wind: [x]}, duty: {on: 1m, off: 1m}, resound: 5m}}\n", "clips_by"},
		"unknown key":      {"levels: {a: {tone: t, dutty: 1}}\n", "dutty"},
	} {
		_, err := Load(fstest.MapFS{"p": {Data: []byte(head + c.body)}}, "p", levels)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if l := levels.Rank(point.Level(9)); l.Code != "" {
		t.Errorf("a level that is not there has the row %+v", l)
	}
}
