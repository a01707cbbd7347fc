package config

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestWhatNestsWithoutEndIsRefusedAtOnce(t *testing.T) {
	for name, doc := range map[string]string{
		"brackets": "a: 1\nb: " + strings.Repeat("[", 100000), "closed brackets": "\nb: " + strings.Repeat("[", 20000) + strings.Repeat("]", 20000),
		"mappings": "\n" + strings.Repeat("{a: ", 20000), "dashes": "\n" + strings.Repeat("- ", 20000) + "a", "keys": "\n" + strings.Repeat("? ", 20000),
		"steps": "a:\n" + strings.Repeat(" ", 300) + "b: 1",
	} {
		began := time.Now()
		d, ps := Parse("x.yaml", []byte(doc))
		if d != nil || len(ps) != 1 || ps[0].Message.Code != "config.too_deep" || ps[0].Line != 2 {
			t.Errorf("%s: %v", name, ps)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s: %v", name, took)
		}
	}
}

func TestNoSiteIsTooDeep(t *testing.T) {
	for _, s := range []string{"huangdu", "tailings"} {
		b, err := os.ReadFile("../../../configs/sites/" + s + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if l := TooDeep(b); l != 0 {
			t.Errorf("%s: line %d", s, l)
		}
	}
	for _, s := range []string{"# " + strings.Repeat("[", 100), `a: "` + strings.Repeat("{", 100) + `"`, strings.Repeat("a: [b]\n", 1000), "it's: [\n"} {
		if l := TooDeep([]byte(s)); l != 0 {
			t.Errorf("%.40s: line %d", s, l)
		}
	}
}
