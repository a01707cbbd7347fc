package beidou

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"tocsin/configs"
)

// Every published sentence is in a proof: part; reading a profile holds it to them.
func TestEveryTerminalProvesItself(t *testing.T) {
	names, err := fs.Glob(configs.FS, "terminals/beidou-*.yaml")
	if err != nil || len(names) < 2 {
		t.Fatal(names, err)
	}
	proofs := 0
	for _, n := range names {
		proofs += len(profile(t, strings.TrimSuffix(strings.TrimPrefix(n, "terminals/"), ".yaml")).Proof)
	}
	if proofs < 17 {
		t.Errorf("only %d proofs", proofs)
	}
}

func TestAProfileThatDoesNotProveItselfIsRefused(t *testing.T) {
	good, err := configs.FS.ReadFile("terminals/beidou-bds2.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"fields in another order":     {"frequency, level, encryption", "level, frequency, encryption"},
		"another table":               {"plain: [110, 408, 628, 848]", "plain: [110, 400, 628, 848]"},
		"another coding":              {`codings: {hanzi: "0", code: "1", mixed: "2"}` + "\n  lead", `codings: {hanzi: "0", code: "2", mixed: "1"}` + "\n  lead"},
		"too few digits":              {"digits: 7", "digits: 6"},
		"an unknown key":              {"digits: 7", "digits: 7\n  colour: red"},
		"a reason that means nothing": {`"4": power`, `"4": bananas`},
		"another outcome":             {`"4": power`, `"4": early`},
		"no proof":                    {"proof:", "proof: []\nproofs:"},
		"a line break in a sentence":  {`"1", coding, content]`, `"1\r\n$CC", coding, content]`},
		"a newer version":             {"version: 1", "version: 2"},
	} {
		s := strings.Replace(string(good), change[0], change[1], 1)
		if s == string(good) {
			t.Errorf("%s: the change changes nothing", name)
		} else if _, err := ParseProfile([]byte(s)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestPublishedSentencesThatNoProfileNeedsAreReadToo(t *testing.T) {
	for _, s := range []string{
		"$CCRMO,BSI,2,0*26", "$CCDWA,0000000,V,1,L,,0,,,0*65", "$GNZDA,070728.00,07,03,2024,00,00*72",
		"$GNRMC,070723.00,A,2309.30979,N,11330.00659,E,0.08,,070324,,,A,V*29",
	} {
		if _, _, err := cut(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestWaits(t *testing.T) {
	for _, c := range []struct {
		as, s string
		want  time.Duration
	}{
		{"hhss", "0059", 59 * time.Second}, {"hhss", "0100", time.Hour}, {"mmss", "0100", time.Minute}, {"seconds", "41", 41 * time.Second},
		{"seconds", "", 0}, {"seconds", "-4", 0}, {"hhss", "x", 0}, {"seconds", "99999999999", 0},
	} {
		p := Profile{}
		p.Outcome.Wait = c.as
		if got := p.wait(c.s); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestSentencesAreCutOutOfNoise(t *testing.T) {
	long := "$" + strings.Repeat("A", longestSentence+10)
	for _, c := range []struct {
		name, in string
		want     int
		lost     int
	}{
		{"one", "$CCICA,0,00*7B\r\n", 1, 0},
		{"without its end", "$CCICA,0,00*7B$CCICR,0,00*68", 2, 0},
		{"noise around", "\x00\xffabc$CCICA,0,00*7B\r\nxyz\r\n", 1, 0},
		{"cut short by the next", "$CCICA,0,$CCICA,0,00*7B\r\n", 1, 1},
		{"without end, then good", long + "\r\n$CCICA,0,00*7B\r\n", 1, 1},
		{"a star in the text", frame("BDTXR,1,1,0,,3*45 m"), 1, 0},
		{"text as it stands", frame("BDTXR,1,1,0,,\xBE\xAF\xB1\xA8"), 1, 0},
	} {
		for _, step := range []int{1, 3, len(c.in)} {
			var r reader
			got, lost := 0, 0
			for in := []byte(c.in); len(in) > 0; {
				n := min(step, len(in))
				for b := in[:n]; len(b) > 0; {
					var s string
					var l bool
					if s, b, l = r.next(b); l {
						lost++
					}
					if _, _, err := cut(s); s != "" && err == nil {
						got++
					}
				}
				in = in[n:]
			}
			if got != c.want || lost != c.lost {
				t.Errorf("%s by %d: %d sentences, %d lost", c.name, step, got, lost)
			}
		}
	}
}
