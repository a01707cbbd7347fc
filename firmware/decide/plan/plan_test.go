package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"tocsin/firmware/point"
)

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
		if p.Plan != "county-warning" && strings.Contains(strings.Join(p.Clips(), " "), "county-") {
			t.Errorf("%s speaks of a warning that nobody gave", f)
		}
		for _, code := range levels.Codes() {
			l, _ := levels.Level(code)
			if s := p.At(l, levels); len(s.Clips) == 0 {
				t.Errorf("%s: %s says no words", p.Plan, code)
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
