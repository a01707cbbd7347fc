package ladder

import (
	"strings"
	"testing"
)

func TestNothingGoesOutAfterAMissingReferenceUntilTheNextKeyPicture(t *testing.T) {
	// K key, P needed by others, B droppable, ! a gap before a P.
	for name, c := range map[string]struct {
		d        Decision
		in, want string
	}{
		"main":                        {Decision{Rung: Main}, "KPBPBKPB", "KPBPBKPB"},
		"begins at a key picture":     {Decision{Rung: Main}, "PBKPB", "--KPB"},
		"thinned":                     {Decision{Rung: Thinned}, "KPBPBKPB", "KP-P-KP-"},
		"key pictures":                {Decision{Rung: Keys, KeyEveryNth: 1}, "KPBKPBK", "K--K--K"},
		"every second key picture":    {Decision{Rung: Keys, KeyEveryNth: 2}, "KPKPKPKP", "K---K---"},
		"a gap":                       {Decision{Rung: Main}, "KP!BPKP", "KP---KP"},
		"stills are no units":         {Decision{Rung: Stills}, "KPBKPB", "------"},
		"droppable ones after a gap":  {Decision{Rung: Main}, "K!BBK", "K---K"},
		"words are no units":          {Decision{Rung: Text}, "KP", "--"},
		"thinned keeps all it begins": {Decision{Rung: Thinned}, "KPPP", "KPPP"},
	} {
		var g Gate
		g.Set(c.d)
		var out strings.Builder
		for _, p := range c.in {
			if g.Pass(p == 'K', p == 'B', p == '!') {
				out.WriteRune(p)
			} else {
				out.WriteByte('-')
			}
		}
		if out.String() != c.want {
			t.Errorf("%s: %s became %s, not %s", name, c.in, out.String(), c.want)
		}
	}
}

func TestAStepUpWaitsForAKeyPicture(t *testing.T) {
	var g Gate
	g.Set(Decision{Rung: Keys})
	g.Pass(true, false, false)
	g.Pass(false, false, false)
	g.Set(Decision{Rung: Main})
	if g.Pass(false, false, false) || !g.Pass(true, false, false) || !g.Pass(false, false, false) {
		t.Error("a picture went out whose reference did not")
	}
	g.Drop(false, false)
	if g.Pass(false, false, false) {
		t.Error("a picture went out after one that was not sent")
	}
}
