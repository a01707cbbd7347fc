package profile

import (
	"strings"
	"testing"

	"tocsin/firmware/phrase"
)

func printed(print string) string {
	return strings.Replace(skeleton, "points:", "fingerprint: "+print+"\npoints:", 1)
}

func TestAFingerprintIsProvedByARecording(t *testing.T) {
	for name, c := range map[string]struct{ print, want string }{
		"the value":           {"{read: holding 0, is: 7}", ""},
		"a range":             {"{read: holding 0, is: [1, 9]}", ""},
		"several":             {"[{read: holding 0, is: 7}, {read: holding 0, is: [7, 8]}]", ""},
		"another value":       {"{read: holding 0, is: 8}", "holding 0x0000 = 0x0008, the recording 0x0007"},
		"beyond a range":      {"{read: holding 0, is: [8, 9]}", "0x0008…0x0009"},
		"not recorded":        {"{read: holding 1, is: 7}", "fingerprint (holding 0x0001"},
		"in another table":    {"{read: input 0, is: 7}", "fingerprint (input 0x0000"},
		"one of two unproved": {"[{read: holding 0, is: 7}, {read: holding 9, is: 1}]", "holding 0x0009"},
		"a coil":              {"{read: coil 0, is: 1}", "a holding or input register"},
		"anything":            {"{read: holding 0, is: [0, 65535]}", "[least, most]"},
		"falling":             {"{read: holding 0, is: [9, 1]}", "[least, most]"},
		"three":               {"{read: holding 0, is: [1, 2, 3]}", "[least, most]"},
		"none":                {"[]", "fingerprint"},
		"no is":               {"{read: holding 0}", "lacks is"},
	} {
		t.Run(name, func(t *testing.T) {
			p, problems := Parse("x.yaml", []byte(printed(c.print)))
			if p != nil {
				problems = p.Prove()
			}
			var all []string
			for _, pr := range problems {
				all = append(all, pr.In(phrase.EN))
			}
			if got := strings.Join(all, "\n"); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
