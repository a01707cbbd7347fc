package guard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/firmware/phrase"
)

func shipped(t testing.TB) Restarts {
	t.Helper()
	r, err := LoadRules(os.DirFS("../../configs"))
	if err != nil {
		t.Fatal(err)
	}
	return r.Restarts
}

// dying runs a part that dies at once each time, for a time, and gives what was told.
func dying(t *testing.T, r Restarts, owner, name string, run, per time.Duration) (events []Event, log string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var out bytes.Buffer
		var mu sync.Mutex
		g := New(ctx, slog.New(slog.NewTextHandler(&out, nil)), func(e Event) { mu.Lock(); events = append(events, e); mu.Unlock() })
		g.Govern(r)
		g.Go(owner, name, Restart, func(context.Context) error { time.Sleep(run); panic("boom") })
		time.Sleep(per)
		cancel()
		if left := g.Wait(time.Minute); left != nil {
			t.Errorf("left: %v", left)
		}
		log = out.String()
	})
	return events, log
}

func TestAPartThatDiesAgainAndAgainSpendsItsBudget(t *testing.T) {
	r := shipped(t)
	for name, c := range map[string]struct {
		owner, name string
		then        Then
		most, least int // deaths in an hour
	}{
		"the rules go on at two seconds, for ever": {"decide", "rules", Reset, 1900, 1700},
		"an output as well":                        {"output", "siren relay", Reset, 1900, 1700},
		"a line as well":                           {"sense", "line west", Slow, 1900, 1700},
		"what is kept, at ten seconds":             {"journal", "writer", Slow, 380, 340},
		"a link rests":                             {"reach", "link wan", Rest, 250, 150},
		"what nobody names rests":                  {"update", "installer", Rest, 45, 30},
	} {
		t.Run(name, func(t *testing.T) {
			events, log := dying(t, r, c.owner, c.name, 0, time.Hour)
			if n := len(events); n < c.least || n > c.most {
				t.Errorf("it died %d times in an hour, not %d to %d", n, c.least, c.most)
			}
			b := r.Of(c.owner, c.name)
			for i, e := range events[:b.Restarts+1] {
				if e.Spent != (i == b.Restarts) {
					t.Errorf("death %d: spent %v", i+1, e.Spent)
				}
			}
			if last := events[len(events)-1]; last.Budget.Then != c.then || c.then != Rest && !last.Spent {
				t.Errorf("at the end: %+v", last)
			}
			// Ten minutes give five lines, and each rest one; a stack comes once in that time.
			if n := strings.Count(log, "\n"); n > 70 {
				t.Errorf("%d lines of log in an hour", n)
			}
			if n := strings.Count(log, "stack="); n > 7 || n == 0 {
				t.Errorf("%d stacks", n)
			}
			if n := strings.Count(log, "not_logged="); c.then != Rest && n < 4 {
				t.Errorf("nobody says how many lines were held back: %d times", n)
			}
		})
	}
}

func TestAPartThatRunsWellHasItsBudgetBackAndSaysSo(t *testing.T) {
	r := shipped(t)
	// Dying every two minutes is no budget's matter, and never called well before its minute.
	events, _ := dying(t, r, "decide", "rules", 2*time.Minute, time.Hour)
	well := 0
	for _, e := range events {
		if e.Well {
			well++
		} else if e.Spent {
			t.Fatalf("spent: %+v", e)
		}
	}
	if well < 25 {
		t.Errorf("said well %d times", well)
	}
	for _, e := range first(dying(t, r, "decide", "rules", 30*time.Second, time.Hour)) {
		if e.Well {
			t.Fatalf("called well after half a minute: %+v", e)
		}
	}
}

func first(e []Event, _ string) []Event { return e }

func TestWithoutRulesNothingIsGivenUp(t *testing.T) {
	events, _ := dying(t, nil, "gateway", "udp", 0, time.Hour)
	if n := len(events); n < 340 {
		t.Errorf("%d restarts", n)
	}
	for _, e := range events {
		if e.Spent {
			t.Fatal("spent")
		}
	}
}

func TestChildrenHaveABudgetToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(t.Context(), quiet(), nil)
		g.Govern(shipped(t))
		tries := g.Tries("video", "relay")
		rests := 0
		for end := time.Now().Add(time.Hour); time.Now().Before(end); {
			tries.Began()
			time.Sleep(time.Second)
			pause, spent := tries.Died()
			if spent {
				rests++
				if pause < 5*time.Minute {
					t.Errorf("spent, and again after %v", pause)
				}
			}
			time.Sleep(pause)
		}
		if rests < 8 || rests > 12 {
			t.Errorf("%d rests in an hour", rests)
		}
	})
}

func TestTheNearestNameCounts(t *testing.T) {
	r := Restarts{"*": {Restarts: 1}, "sense": {Restarts: 2}, "sense/line west": {Restarts: 3}}
	for in, want := range map[[2]string]int{{"sense", "line west"}: 3, {"sense", "line east"}: 2, {"video", "x"}: 1} {
		if got := r.Of(in[0], in[1]).Restarts; got != want {
			t.Errorf("%v: %d", in, got)
		}
	}
}

func TestWrongRulesAreNamed(t *testing.T) {
	good, err := os.ReadFile("../../configs/guard.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][3]string{
		"another version":          {"version: 1", "version: 2", "guard.version"},
		"an unknown key":           {"version: 1", "version: 1\nrestart: {}", "guard.rules"},
		"no restarts":              {"restarts: 10, per: 5m, slowest", "restarts: 0, per: 5m, slowest", "guard.value"},
		"won back by its pace":     {"per: 5m, slowest: 2s, then: slow", "per: 10s, slowest: 2s, then: slow", "guard.value"},
		"what warns must not rest": {"slowest: 2s, then: slow}", "slowest: 2s, then: rest, for: 1m}", "guard.no_rest"},
		"not by its own name":      {"  sense: {", "  sensing: {", "guard.no_rest"},
		"an unknown end":           {"then: reset", "then: panic", "guard.then"},
		"no row for the others":    {`"*":`, "others:", "guard.no_default"},
	} {
		text := strings.Replace(string(good), c[0], c[1], 1)
		if text == string(good) {
			t.Fatalf("%s: nothing replaced", name)
		}
		_, err := ParseRules([]byte(text))
		if err == nil || !codes(err)[c[2]] {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// codes gives those of all errors that are joined in one.
func codes(err error) map[string]bool {
	out := map[string]bool{}
	var e *phrase.Error
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, x := range joined.Unwrap() {
			for c := range codes(x) {
				out[c] = true
			}
		}
	} else if errors.As(err, &e) {
		out[e.Code] = true
	}
	return out
}

func FuzzRules(f *testing.F) {
	good, _ := os.ReadFile("../../configs/guard.yaml")
	f.Add(good)
	f.Add([]byte("version: 1\nrestarts: {}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRules(b)
		if err != nil || r == nil {
			return
		}
		for _, owner := range never {
			if r.Restarts.Of(owner, "x").Then == Rest {
				t.Errorf("%s may rest", owner)
			}
		}
		_ = fmt.Sprint(r)
	})
}
