package commission

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestSourcesAreReadInOneLanguageOrBoth(t *testing.T) {
	const head = "version: 1\nphotos: {each: 1, mib: 1, megapixels: 1, quota_mib: 1}\nsteps:\n  - id: a\n    name: {zh: 甲, en: A}\n    why: {zh: 甲, en: A}\n    do: [{zh: 甲, en: A}]\n    ask: [{id: x, kind: tick, name: {zh: 甲, en: A}}]\n"
	for text, want := range map[string]string{
		"    source: {text: SL 61}\n":                        "SL 61|SL 61",
		"    source: {text: {zh: 规范, en: code}}\n":           "规范|code",
		"    source: {text: {zh: 规范}}\n":                     "!zh and en",
		"    source: {text: {zh: 规范, en: code, fr: code}}\n": "!fr",
		"    source: {text: [a]}\n":                          "!",
		"    maintenance: 30m\n":                             "|",
		"    maintenance: 1s\n":                              "!maintenance",
		"    maintenance: 30h\n":                             "!maintenance",
	} {
		tab, err := Parse([]byte(head + text))
		if bad, is := strings.CutPrefix(want, "!"); is {
			if err == nil || !strings.Contains(err.Error(), bad) {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := tab.Steps[0].Source.Text; got.ZH+"|"+got.EN != want {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestTheShippedTableOffersMaintenanceWhereAGaugeIsTried(t *testing.T) {
	tab, err := Load(os.DirFS("../../../configs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range tab.Steps {
		tried := s.Measure == Rain || s.Measure == Moved || s.Measure == Gas
		if (s.Maintenance.Duration() >= 20*time.Minute) != tried {
			t.Errorf("%s: maintenance for %s", s.ID, s.Maintenance)
		}
		if x := s.Source.Text; x.ZH != "" && (x.ZH == x.EN) {
			t.Errorf("%s: its source is in one language", s.ID)
		}
	}
}
