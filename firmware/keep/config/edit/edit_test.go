package edit

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"tocsin/firmware/phrase"
)

const village = `# a village
version: 1
lines:
  west:  {port: /dev/ttyUSB0, baud: 9600}   # under the roof

devices:
  # the gauge of 2021
  rain:  {name: {zh: 雨量计, en: "rain, gauge"}, profile: generic-rain-rs485, line: west, unit: 1}
  river: {profile: radar, line: west, unit: 2, zero: 96.20 m}  # levelled in May

outputs:
  siren:
    kind: electronic
    relay: relay.1                    # the left one
    zones: [upper, lower]
    # the end of the siren
rules:
  flash-flood:
    set_by: {name: 县水利局, date: 2026-05-12}   # who
    any_of:
      - {point: rain.total, over: 1h, prepare: 45 mm}
      - point: river.level
        prepare: 101.20 m
plan: village
# the end
`

func TestAnEditChangesItsPlaceAndNothingElse(t *testing.T) {
	for _, c := range []struct {
		name, op, path, value, gone, come string
	}{
		{"a value in brackets", Set, "/devices/rain/unit", `7`, "line: west, unit: 1}", "line: west, unit: 7}"},
		{"a text of several words", Set, "/devices/river/zero", `"97.00 m"`, "96.20 m}", "97.00 m}"},
		{"a value on its line keeps the comment", Set, "/outputs/siren/relay", `"relay.3"`, "relay: relay.1 ", "relay: relay.3 "},
		{"a number that is a text is quoted", Set, "/plan", `"441882103201"`, "plan: village", `plan: "441882103201"`},
		{"a new key in brackets", Set, "/devices/river/datum", `"1985"`, "zero: 96.20 m}", `zero: 96.20 m, datum: "1985"}`},
		{"a new key on a line", Set, "/outputs/siren/next", `"horn"`, "", "    next: horn\n"},
		{"a new device stands after the last", Set, "/devices/gas", `{"name":{"zh":"瓦斯","en":"gas"},"profile":"g","line":"west","unit":3}`, "", "  gas: {name: {zh: 瓦斯, en: gas}, profile: g, line: west, unit: 3}\n"},
		{"a new section at the end", Set, "/page/listen", `":8080"`, "", "\npage: {listen: \":8080\"}\n"},
		{"a new condition", Set, "/rules/flash-flood/any_of/-", `{"point":"river.level","rises":"0.80 m","over":"30m","prepare":true}`, "", "      - {point: river.level, rises: 0.80 m, over: 30m, prepare: true}\n"},
		{"an item of a list", Set, "/outputs/siren/zones/1", `"all"`, "[upper, lower]", "[upper, all]"},
		{"one more item", Set, "/outputs/siren/zones/-", `"hill"`, "[upper, lower]", "[upper, lower, hill]"},
		{"a value below a dash", Set, "/rules/flash-flood/any_of/1/prepare", `"101.50 m"`, "101.20 m", "101.50 m"},
		{"a key more below a dash", Set, "/rules/flash-flood/any_of/1/for", `"10m"`, "", "        for: 10m\n"},
		{"a whole block", Set, "/outputs/siren", `{"kind":"motor"}`, "", "siren: {kind: motor}"},
		{"a key goes", Remove, "/devices/rain/name", "", `{name: {zh: 雨量计, en: "rain, gauge"}, profile`, "{profile"},
		{"the last key in brackets goes", Remove, "/devices/river/zero", "", ", zero: 96.20 m}", "}"},
		{"a device goes, and its own comment on the line", Remove, "/devices/river", "", "  river: {profile: radar, line: west, unit: 2, zero: 96.20 m}  # levelled in May\n", ""},
		{"the last device of one goes", Remove, "/lines/west", "", "", "lines: {}"},
		{"the first key below a dash", Remove, "/rules/flash-flood/any_of/1/point", "", "- point: river.level\n        prepare", "- prepare"},
		{"a condition goes", Remove, "/rules/flash-flood/any_of/0", "", "      - {point: rain.total, over: 1h, prepare: 45 mm}\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Apply([]byte(village), []Edit{{c.op, c.path, json.RawMessage(c.value)}})
			if err != nil {
				t.Fatal(err)
			}
			if c.come != "" && !strings.Contains(string(got), c.come) || c.gone != "" && strings.Contains(string(got), c.gone) {
				t.Errorf("it became\n%s", got)
			}
			if c.gone != "" && c.come != "" {
				if want := strings.Replace(village, c.gone, c.come, 1); string(got) != want {
					t.Errorf("it became\n%s", got)
				}
			}
			if !strings.Contains(string(got), "# a village") || !strings.Contains(string(got), "# the end\n") {
				t.Error("a comment went")
			}
			touched(t, []byte(village), got, 8)
		})
	}
}

// touched holds that lines beside one stretch are the same, byte for byte.
func touched(t *testing.T, a, b []byte, most int) {
	t.Helper()
	x, y := bytes.SplitAfter(a, []byte("\n")), bytes.SplitAfter(b, []byte("\n"))
	head, tail := 0, 0
	for head < min(len(x), len(y)) && bytes.Equal(x[head], y[head]) {
		head++
	}
	for tail < min(len(x), len(y))-head && bytes.Equal(x[len(x)-1-tail], y[len(y)-1-tail]) {
		tail++
	}
	if n := len(x) - head - tail; n > most {
		t.Errorf("%d lines were touched", n)
	}
}

func TestWhatCannotBeCutIsRefusedWithItsLineAndNeverSpoilt(t *testing.T) {
	for _, c := range []struct{ name, doc, op, path, value, code string }{
		{"no such place", village, Remove, "/devices/gas", "", "edit.no_place"},
		{"below a text", village, Set, "/plan/x", "1", "edit.no_place"},
		{"behind the end", village, Set, "/rules/flash-flood/any_of/7", "1", "edit.no_place"},
		{"no value", village, Set, "/plan", "{", "edit.value"},
		{"two values", village, Set, "/plan", "1 2", "edit.value"},
		{"a key twice", village, Set, "/plan", `{"a":1,"a":2}`, "edit.value"},
		{"no pointer", village, Set, "plan", "1", "edit.path"},
		{"another edit", village, "move", "/plan", "1", "edit.op"},
		{"an anchor", "a: &x 1\nb: *x\n", Set, "/a", "2", "edit.by_hand"},
		{"no YAML", "a: [1\n", Set, "/a", "2", "edit.unreadable"},
		{"everything", "a: 1\n", Remove, "/a", "", "edit.all"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Apply([]byte(c.doc), []Edit{{c.op, c.path, json.RawMessage(c.value)}})
			var said *phrase.Error
			if !errors.As(err, &said) || said.Code != c.code {
				t.Errorf("%v\n%s", err, got)
			}
		})
	}
}

func TestAnEmptyDocumentBegins(t *testing.T) {
	for _, doc := range []string{"", "# only words", "# only words\n"} {
		got, err := Apply([]byte(doc), []Edit{{Set, "/devices/rain/unit", json.RawMessage("1")}, {Set, "/devices/rain/line", json.RawMessage(`"west"`)}})
		if err != nil || !strings.HasSuffix(string(got), "devices: {rain: {unit: 1, line: west}}\n") || !strings.HasPrefix(string(got), strings.TrimSuffix(doc, "\n")) {
			t.Errorf("%q became %q: %v", doc, got, err)
		}
	}
}

func TestLinesKeepTheirWindowsEnds(t *testing.T) {
	doc := strings.ReplaceAll(village, "\n", "\r\n")
	got, err := Apply([]byte(doc), []Edit{{Set, "/devices/gas", json.RawMessage(`{"unit":3}`)}, {Set, "/plan", json.RawMessage(`"x"`)}})
	if err != nil || strings.Count(string(got), "\n") != strings.Count(string(got), "\r\n") {
		t.Errorf("%v\n%q", err, got)
	}
}

func TestWhatTheShippedSitesSayIsEditedInPlace(t *testing.T) {
	for _, file := range []string{"huangdu", "tailings"} {
		b, err := os.ReadFile("../../../../configs/sites/" + file + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		m, err := mean(b)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.keys) == 0 {
			t.Errorf("%s says nothing", file)
		}
		for _, k := range m.keys {
			holds(t, b, Remove, "/"+k, nil)
			holds(t, b, Set, "/"+k, []byte(`{"x": [1, "a: #b"]}`))
			for _, l := range m.of[k].keys {
				holds(t, b, Remove, "/"+k+"/"+l, nil)
				holds(t, b, Set, "/"+k+"/"+l, []byte("9"))
			}
		}
	}
}

// FuzzEdit: whatever document and edit, either it is refused, or the new text means what
// the old one meant with the edit made. Its seeds are short, since the time that is spent on
// making a finding shorter grows with the square of its length: from a whole site's file it
// was all the time there is.
func FuzzEdit(f *testing.F) {
	f.Add([]byte("site: {id: a1, name: {zh: 黄}}\ndevices:\n  rain:\n    unit: 3 # west\n"), Set, "/devices/rain/unit", []byte("9"))
	f.Add([]byte("rules:\n  flood:\n    any_of:\n      - {above: 10mm, for: 1h}\n      - above: 2m\n"), Remove, "/rules/flood/any_of/0", []byte(""))
	f.Add([]byte("outputs:\n  siren: {kind: relay, next: x} # y\n"), Set, "/outputs/siren/next", []byte(`"a: #b"`))
	f.Add([]byte("a:\n- b\n- c: |\n    x\n   # y\nd: 'it''s'\n"), Set, "/a/1/c", []byte(`"z"`))
	f.Add([]byte("a: {b: [1, \"x,]\", {c: d}], # e\n  f: 'g' }\n"), Remove, "/a/b/1", []byte(""))
	f.Add([]byte("a: b\n  c\nd: >-\n  x\n\n  y\n"), Set, "/a", []byte(`{"x":[1,2]}`))
	f.Fuzz(func(t *testing.T, doc []byte, op, path string, v []byte) {
		if len(doc) <= 512 && len(path) <= 64 && len(v) <= 64 {
			holds(t, doc, op, path, v)
		}
	})
}

// holds makes one edit and holds it to what it means.
func holds(t *testing.T, doc []byte, op, path string, v []byte) {
	t.Helper()
	got, err := Apply(doc, []Edit{{op, path, v}})
	if err != nil {
		var said *phrase.Error
		if !errors.As(err, &said) {
			t.Fatalf("refused without words: %v", err)
		}
		return
	}
	p, err := parts(path)
	if err != nil {
		t.Fatal(err)
	}
	was, _ := mean(doc)
	is, err := mean(got)
	if err != nil {
		t.Fatalf("it cannot be read any more: %v", err)
	}
	var want *value
	if op == Set {
		x, err := fromJSON(v)
		if err != nil {
			t.Fatal(err)
		}
		want, err = was.with(p, x)
		if err != nil {
			t.Fatal(err)
		}
	} else if want, err = was.without(p); err != nil {
		t.Fatal(err)
	}
	if !is.same(want) {
		t.Fatalf("%q became %q", doc, got)
	}
}
