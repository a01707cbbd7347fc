package config

import (
	"strings"
	"testing"

	"tocsin/firmware/phrase"
)

func TestProblemsNameTheirPlace(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"unknown key":       {"version: 1\nlines:\n  west: {port: /dev/x, bauds: 9600}\n", "s.yaml:3:24: 不认识的项 “bauds”"},
		"unknown top key":   {"version: 1\nlinse: {}\n", "s.yaml:2:1: 不认识的项 “linse”"},
		"wrong type":        {"version: 1\nlines:\n  west: {baud: fast}\n", "s.yaml:3:16: “fast”"},
		"no unit":           {"version: 1\ndevices:\n  river: {zero: 96.2}\n", "s.yaml:3:17"},
		"unknown unit":      {"version: 1\ndevices:\n  river: {zero: 96.2 ft}\n", "s.yaml:3:17"},
		"half a line":       {"version: 1\nlines: {west: {\n", "s.yaml:2:"},
		"version":           {"version: 7\n", "s.yaml:1:10: 版本 7"},
		"no version":        {"site: {}\n", "版本 0"},
		"empty":             {"", "文件是空的"},
		"alias":             {"version: 1\nlines: &a {}\ndevices: *a\n", "s.yaml:2:8: 站点配置不使用锚点"},
		"tag":               {"version: 1\nlines: !x\n  a: b\n", "s.yaml:2:8: 不支持 YAML 标签"},
		"a tag of nothing":  {"alerts:\n  trust:\n    issuers:\n      a:\n        grant:\n          areas: !0\n", "s.yaml:6:18: 不支持 YAML 标签"},
		"several documents": {"version: 1\n---\nversion: 1\n", "一个文件"},
	} {
		_, ps := Parse("s.yaml", []byte(c.in))
		if len(ps) != 1 {
			t.Errorf("%s: %d problems", name, len(ps))
			continue
		}
		if got := ps[0].In(phrase.ZH); !strings.HasPrefix(got, c.want) && !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestAtFindsKeysValuesAndListItems(t *testing.T) {
	d, ps := Parse("s.yaml", []byte("version: 1\nrules:\n  flood:\n    any_of:\n      - {point: rain.total, over: 1h}\n      - {point: river.lvl}\n"))
	if ps != nil {
		t.Fatal(ps)
	}
	m := phrase.M("config.empty")
	for _, c := range []struct {
		path      []any
		line, col int
	}{
		{[]any{"rules", "flood", "any_of", 1, "point"}, 6, 17},
		{[]any{"rules", "flood", "any_of"}, 4, 5},
		{[]any{"rules", "flood", "plan"}, 3, 3},
		{[]any{"nothing"}, 1, 1},
	} {
		if p := d.At(m, c.path...); p.Line != c.line || p.Col != c.col {
			t.Errorf("%v: %d:%d, want %d:%d", c.path, p.Line, p.Col, c.line, c.col)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("version: 1\nsite: {id: \"1\"}\nlines: {a: {port: /dev/x}}\n"))
	f.Add([]byte("version: 1\nrules: {x: {any_of: [{point: a.b, over: 1h, prepare: 1 mm}]}}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, ps := Parse("f", b)
		if d == nil && len(ps) == 0 {
			t.Error("neither a document nor a problem")
		}
		for _, p := range ps {
			p.In(phrase.EN)
		}
	})
}
