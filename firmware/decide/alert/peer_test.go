//go:build peers

package alert

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tocsin/hwtest/capgen"
)

// xmllint says of each file whether the schema takes it.
func xmllint(t *testing.T, texts [][]byte) []bool {
	t.Helper()
	dir := t.TempDir()
	args := []string{"--noout", "--nonet", "--huge", "--schema", "testdata/cap12.xsd"}
	for i, b := range texts {
		name := filepath.Join(dir, fmt.Sprintf("%05d.xml", i))
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	out, err := exec.Command("xmllint", args...).CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatalf("xmllint: %v (the package libxml2-utils has it)", err)
	}
	valid := make([]bool, len(texts))
	n := 0
	for _, m := range regexp.MustCompile(`(\d{5})\.xml validates`).FindAllSubmatch(out, -1) {
		var i int
		fmt.Sscanf(string(m[1]), "%d", &i)
		valid[i] = true
		n++
	}
	if n == 0 {
		t.Fatalf("xmllint took nothing:\n%.2000s", out)
	}
	return valid
}

// lenient are the findings where we take, by one safe reading, what the schema refuses.
var lenient = []string{"alert.form.empty", "alert.form.empty_unknown", "alert.form.very_likely", "alert.form.time_z", "alert.form.blanks", "alert.form.attribute",
	"alert.form.language", "alert.form.time", "alert.rule.size", "alert.rule.height", "alert.rule.web", "alert.rule.relative_uri"}

// stricter are the findings by which we refuse what the schema takes.
var stricter = []string{"alert.rule.", "alert.profile.", "alert.form.long", "alert.form.time"}

func TestXmllintAgreesOnGenuineAlertsAndOnOurOwn(t *testing.T) {
	tt := tables(t)
	g := capgen.New(11)
	var texts [][]byte
	for len(texts) < 400 {
		// The blank and the missing offset of the national form are not the schema's.
		w := g.Next(capgen.Options{})
		if w.Profile != "cn" {
			texts = append(texts, w.Text)
		}
		a, _ := Parse(w.Text, tt)
		own, err := Write(a, WriteOptions{Tables: tt})
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, own)
	}
	texts = append(texts, g.Large(capgen.Options{}, 881_000).Text)
	for i, ok := range xmllint(t, texts) {
		if !ok {
			t.Errorf("xmllint refuses\n%.3000s", texts[i])
		}
	}
}

// TestXmllintAgreesOnBrokenAlerts breaks good ones at random, by element and by value, and
// compares verdicts. Where they differ, a named finding must say why.
func TestXmllintAgreesOnBrokenAlerts(t *testing.T) {
	tt := tables(t)
	r := rand.New(rand.NewPCG(12, 13))
	leaf := regexp.MustCompile(`<([A-Za-z]+)>([^<]*)</[A-Za-z]+>`)
	values := []string{"", "x", " Actual ", "Very Likely", "2026-05-12T14:40:00Z", "2026-05-12T14:40:00+08:00", "2026-05-12T14:40:00.5+08:00", "2026-05-12T24:40:00+08:00", "Public", "Unknown", "a b", "a,b", "-1", "1e3", "5", "a&amp;b", "zh_CN"}
	var texts [][]byte
	for len(texts) < 3000 {
		text := good
		for range 1 + r.IntN(2) {
			all := leaf.FindAllStringSubmatchIndex(text, -1)
			m := all[r.IntN(len(all))]
			el := text[m[0]:m[1]]
			switch r.IntN(5) {
			case 0: // taken out
				text = text[:m[0]] + text[m[1]:]
			case 1: // twice
				text = text[:m[1]] + el + text[m[1]:]
			case 2: // elsewhere
				o := all[r.IntN(len(all))]
				if o[0] < m[0] {
					text = text[:o[0]] + el + text[o[0]:m[0]] + text[m[1]:]
				} else {
					text = text[:m[0]] + text[m[1]:o[1]] + el + text[o[1]:]
				}
			case 3: // another value
				text = text[:m[4]] + values[r.IntN(len(values))] + text[m[5]:]
			case 4: // another name
				name := text[m[2]:m[3]] + "s"
				text = text[:m[0]] + "<" + name + ">" + text[m[4]:m[5]] + "</" + name + ">" + text[m[1]:]
			}
		}
		texts = append(texts, []byte(text))
	}
	counts := map[string]int{}
	for i, theirs := range xmllint(t, texts) {
		_, found := Parse(texts[i], tt)
		ours := !anyFatal(found, Form)
		counts[fmt.Sprintf("ours %v, xmllint %v", ours, theirs)]++
		if ours == theirs {
			continue
		}
		why := slices.ContainsFunc(found, func(f Finding) bool {
			if theirs {
				return f.Fatal && slices.ContainsFunc(stricter, func(s string) bool { return strings.HasPrefix(f.What.Code, s) })
			}
			return !f.Fatal && slices.Contains(lenient, f.What.Code)
		})
		if !why {
			t.Errorf("ours %v, xmllint %v: %s\n%s", ours, theirs, codes(found), texts[i])
		}
	}
	t.Log(counts)
	if counts["ours true, xmllint true"] < 100 || counts["ours false, xmllint false"] < 1000 {
		t.Errorf("one-sided: %v", counts)
	}
}
