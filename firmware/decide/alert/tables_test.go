package alert

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/goccy/go-yaml"

	"tocsin/configs"
)

func tables(t testing.TB) *Tables {
	t.Helper()
	tt, err := LoadTables(configs.FS)
	if err != nil {
		t.Fatal(err)
	}
	return tt
}

func TestTheShippedTablesLoad(t *testing.T) {
	tt := tables(t)
	if len(tt.Profiles) < 5 || len(tt.actions.Rules) < 10 || len(tt.Levels()) != 2 {
		t.Errorf("%d profiles, %d rules, levels %v", len(tt.Profiles), len(tt.actions.Rules), tt.Levels())
	}
}

func TestABrokenTableIsRefusedWithItsFileAndRow(t *testing.T) {
	for name, c := range map[string]struct{ file, old, new, want string }{
		"unknown key":              {"profiles", "    recalled: true", "    recaled: true", "recaled"},
		"a version of the future":  {"events", "version: 1", "version: 9", "version 9"},
		"an unknown check":         {"profiles", "must: [info, area]", "must: [info, aera]", `"aera"`},
		"a level that is not":      {"actions", "then: {level: evacuate, sound: true, rank: 900}", "then: {level: run, sound: true, rank: 900}", "leave-now"},
		"a level that is silent":   {"actions", "then: {level: evacuate, sound: true, rank: 900}", "then: {level: evacuate, sound: false, rank: 900}", "leave-now"},
		"a drill made real":        {"actions", "Exercise: drill", "Exercise: real", "cannot be real"},
		"an unknown hazard":        {"actions", "hazard: [rainstorm, typhoon]", "hazard: [rain, typhoon]", `"rain"`},
		"no row for the rest":      {"actions", "when: {}", "when: {urgency: [Past]}", "last rule"},
		"a code without hazard":    {"events", "11B03: rainstorm", "11B03: rainfall", "11B03"},
		"a word of two colours":    {"events", `"2"]`, `"1"]`, "is both"},
		"an unknown policy":        {"areas", "without_area: publisher", "without_area: maybe", "maybe"},
		"a schema fault let pass":  {"profiles", "should: [area, expires, sender_name, one_event, references]", "warn: [alert.form.banned]", "cannot be made a warning"},
		"a Cancel that sounds":     {"actions", "types: [Alert, Update]", "types: [Alert, Cancel]", "Cancel"},
		"an expression that fails": {"profiles", `'^[A-Z]{3}$'`, `'^[A-Z{3}($'`, "ipaws"},
	} {
		t.Run(name, func(t *testing.T) {
			m := fstest.MapFS{}
			for _, f := range []string{"profiles", "events", "actions", "areas"} {
				b, err := fs.ReadFile(configs.FS, "alerts/"+f+".yaml")
				if err != nil {
					t.Fatal(err)
				}
				if f == c.file {
					if !strings.Contains(string(b), c.old) {
						t.Fatalf("the shipped file has no %q", c.old)
					}
					b = []byte(strings.Replace(string(b), c.old, c.new, 1))
				}
				m["alerts/"+f+".yaml"] = &fstest.MapFile{Data: b}
			}
			_, err := LoadTables(m)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.file) {
				t.Errorf("got %v; want a word of %s and %q", err, c.file, c.want)
			}
		})
	}
}

func TestLevelsOfActionsAreTheBoxesOwnInTheirOrder(t *testing.T) {
	b, err := fs.ReadFile(configs.FS, "levels.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Levels []struct{ Code string }
	}
	if err := yaml.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, l := range f.Levels {
		want = append(want, l.Code)
	}
	if got := tables(t).Levels(); !slices.Equal(got, want) {
		t.Errorf("actions.yaml has %v, levels.yaml %v", got, want)
	}
}
