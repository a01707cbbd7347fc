package speech

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"tocsin/drivers"
)

func TestACallSaysTheWordsWithoutTheTone(t *testing.T) {
	fsys := fstest.MapFS{}
	for _, id := range []string{"evacuate", "move-now", "generic", "drill", "confirm"} {
		for _, l := range []string{"cmn", "yue"} {
			fsys["c/"+id+"."+l+".wav"] = wavOf(t, hum(16000, time.Second, -16))
		}
	}
	bank, errs := LoadBank(fsys, "c", BankOpts{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	c := Composer{Bank: bank, Tones: shipped(t, false)}
	for _, x := range []struct {
		name string
		k    Content
		want string
		bad  bool
	}{
		{"in the person's language", Content{Tone: "evacuate", Clips: []string{"evacuate"}, Langs: []Lang{Cantonese}, Repeat: 2}, "evacuate.yue confirm.yue", false},
		{"a clip that is missing", Content{Tone: "evacuate", Clips: []string{"gone"}, Langs: []Lang{Mandarin}, Repeat: 1}, "move-now.cmn confirm.cmn", false},
		{"no clips at all", Content{Tone: "evacuate", Langs: []Lang{Mandarin}, Repeat: 1}, "move-now.cmn confirm.cmn", false},
		{"a drill", Content{Kind: Drill, Clips: []string{"evacuate"}, Langs: []Lang{Mandarin}, Repeat: 1}, "drill.cmn evacuate.cmn drill.cmn confirm.cmn", false},
		{"a drill of no words", Content{Kind: Drill, Langs: []Lang{Mandarin}, Repeat: 1}, "drill.cmn confirm.cmn", false},
		{"a test without its words", Content{Kind: Test, Clips: []string{"evacuate"}}, "", true},
		{"nothing to say", Content{Tone: "chime", Clips: []string{"gone"}}, "", true},
	} {
		p, err := c.Spoken(x.k, ConfirmWords)
		if x.bad {
			if err == nil {
				t.Errorf("%s: %v", x.name, p.Said())
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", x.name, err)
			continue
		}
		if got := strings.Join(p.Said(), " "); got != x.want {
			t.Errorf("%s: %s", x.name, got)
		}
		// It ends by itself, and nothing of it is a tone.
		r, n := p.Samples(drivers.Format{Rate: drivers.CallRate, Channels: 1}), 0
		buf := make([]int16, 4000)
		for done := false; !done; {
			var k int
			k, done = r.Read(buf)
			n += k
		}
		if got := time.Duration(n) * time.Second / drivers.CallRate; got != p.Total() || got > time.Minute {
			t.Errorf("%s: %v of %v", x.name, got, p.Total())
		}
	}
}
