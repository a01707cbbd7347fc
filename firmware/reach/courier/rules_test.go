package courier

import (
	"errors"
	"os"
	"strings"
	"testing"

	"tocsin/configs"
	"tocsin/firmware/phrase"
)

func shippedText(t testing.TB) string {
	t.Helper()
	b, err := configs.FS.ReadFile(RulesName)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func shipped(t testing.TB) *Rules {
	t.Helper()
	r, err := LoadRules(configs.FS)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWrongRulesAreRefusedByPlaceInBothLanguages(t *testing.T) {
	good := shippedText(t)
	for _, c := range []struct{ name, old, new, place string }{
		{"a reserve of everything", "reserve: 0.3", "reserve: 1", "reserve"},
		{"a warning that expires", "warning: {deadline: 30m}", "warning: {deadline: 30m, expires: true}", "classes.warning.expires"},
		{"no deadline", "command: {deadline: 5m}", "command: {deadline: 0s}", "classes.command.deadline"},
		{"a class that is none", "  bulk: {deadline: 24h, expires: true}", "  bulk: {deadline: 24h, expires: true}\n  gossip: {deadline: 1h}", "classes"},
		{"a link that costs without a budget", "budget: 20\n", "budget: 0\n", "links.cellular.budget"},
		{"a free link that costs", "    free: true\n", "    free: true\n    cost: {kib: 1}\n    budget: 5\n", "links.fibre.free"},
		{"a metered link without a cost", "    cost: {message: 0.1}\n", "", "links.sms.cost"},
		{"a narrow link for bulk", "    bytes: 78\n", "    bytes: 78\n    free: true\n", "links.beidou.free"},
		{"a fill that no message holds", "fill: 70", "fill: 79", "links.beidou.fill"},
		{"a message with no room", "bytes: 78\n    overhead: 11", "bytes: 78\n    overhead: 71", "links.beidou.overhead"},
		{"no delivery", "delivery: 0.99", "delivery: 0", "links.fibre.delivery"},
		{"a probe longer than its interval", "within: 3s", "within: 6s", "links.fibre.probe.within"},
		{"another version", "version: 1", "version: 2", "2"},
		{"a word nobody knows", "spread: 3s", "spraed: 3s", "spraed"},
		{"no room for warnings", "warnings: 0.25", "warnings: 0", "outbox.warnings"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := strings.Replace(good, c.old, c.new, 1)
			if bad == good {
				t.Fatal("the shipped file lacks what this changes")
			}
			_, err := ParseRules([]byte(bad))
			if err == nil {
				t.Fatal("taken")
			}
			for _, l := range phrase.Languages {
				if s := everyFault(err, l); !strings.Contains(s, c.place) || strings.Contains(s, "{") && !strings.Contains(s, "{dead") {
					t.Errorf("%s: %s", l, s)
				}
			}
		})
	}
}

// everyFault renders each of joined errors.
func everyFault(err error, l phrase.Lang) string {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		var s []string
		for _, e := range j.Unwrap() {
			s = append(s, phrase.In(e, l))
		}
		return strings.Join(s, "\n")
	}
	return phrase.In(err, l)
}

func TestAMissingFileIsNamed(t *testing.T) {
	_, err := LoadRules(os.DirFS(t.TempDir()))
	if err == nil || !strings.Contains(phrase.In(err, phrase.ZH), RulesName) || !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// FuzzRules: whatever the file says, it is refused or makes a machine that turns.
func FuzzRules(f *testing.F) {
	f.Add(shippedText(f))
	f.Add("version: 1\nlinks: {a: {wide: true}}")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRules([]byte(s))
		if err != nil {
			return
		}
		w := bench(t, r, 1)
		for name := range r.Links {
			w.open(name)
		}
		for c := range Class(classes) {
			w.post(c, c.String(), 10)
		}
		for range 50 {
			w.step()
		}
	})
}

func FuzzTries(f *testing.F) {
	f.Add([]byte(`{"beidou":3}`))
	f.Add([]byte(`{"beidou":-1}`))
	f.Add([]byte(`[1]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, ok := parseTries(b)
		if !ok && n != nil {
			t.Error("refused and given")
		}
		for name, k := range n {
			if k < 0 {
				t.Errorf("%s: %d", name, k)
			}
		}
	})
}

func FuzzMoney(f *testing.F) {
	f.Add([]byte(`{"balance":1.5,"at":{"mono":1,"wall":"2026-01-01T00:00:00Z","boot":"b","trust":"set"}}`))
	f.Add([]byte(`{"balance":1e999}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, ok := parseMoney(b)
		if !ok {
			return
		}
		m, err := NewMachine(shipped(t), []string{"sms"}, newRand(1))
		if err != nil {
			t.Fatal(err)
		}
		m.SetBalance(0, "sms", v.Balance, 0)
		if got, full := m.Balance(0, "sms"); !(got <= full && got >= -full*m.rules.Overdraft) {
			t.Errorf("balance %v of %v", got, full)
		}
	})
}
