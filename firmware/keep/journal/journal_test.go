package journal

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
)

// bench gives a guard whose failures fail the test, and options over it.
func bench(t testing.TB) (Opts, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	g := guard.New(ctx, slog.New(slog.NewTextHandler(io.Discard, nil)), func(e guard.Event) {
		mu.Lock()
		defer mu.Unlock()
		t.Errorf("goroutine %s/%s died: %v\n%s", e.Owner, e.Name, e.Err, e.Stack)
	})
	end := func() {
		cancel()
		if left := g.Wait(10 * time.Second); left != nil {
			t.Errorf("goroutines left: %v", left)
		}
	}
	return Opts{
		Guard: g, Clock: clock.NewSystem(time.Time{}, clock.Set),
		Retry: 10 * time.Millisecond, RetryMax: 50 * time.Millisecond,
	}, end
}

// opened opens a journal that is closed with the test.
func opened(t testing.TB, dir string, change ...func(*Opts)) *Journal {
	t.Helper()
	o, end := bench(t)
	for _, c := range change {
		c(&o)
	}
	j, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close(); end() })
	return j
}

func synced(t testing.TB, j *Journal) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := j.Sync(ctx); err != nil {
		t.Fatalf("sync: %v", err)
	}
}

func all(t testing.TB, j *Journal) []Record {
	t.Helper()
	var out []Record
	after := int64(0)
	for {
		recs, err := j.Read(context.Background(), after, MaxRead)
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		if len(recs) == 0 {
			return out
		}
		for _, r := range recs {
			if r.Seq <= after {
				t.Fatalf("number %d after %d", r.Seq, after)
			}
			after = r.Seq
		}
		out = append(out, recs...)
	}
}

func TestWhatIsAppendedIsReadBackWhole(t *testing.T) {
	dir := t.TempDir()
	j := opened(t, dir)
	r := Record{
		Kind: "alarm.raised", Cause: "c1", Who: "李四", Via: "page",
		Message: phrase.M("journal.replaced", "file", "x", "n", 12.5,
			"inner", phrase.M("journal.damaged", "seq", 3), "err", fmt.Errorf("bad"), "text", phrase.Text{ZH: "甲", EN: "a"}),
		Body: []byte(`{"level":"red"}`),
	}
	j.Commit(Batch{Records: []Record{r, {Kind: "sounding.started"}}, State: map[string][]byte{"alarm/1": []byte("red"), "empty": {}}})
	synced(t, j)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = opened(t, dir)
	if v, ok := j.Get("alarm/1"); !ok || string(v) != "red" {
		t.Errorf("state: %q %v", v, ok)
	}
	if v, ok := j.Get("empty"); !ok || len(v) != 0 {
		t.Errorf("empty value: %q %v", v, ok)
	}
	got := all(t, j)
	if len(got) != 2 || got[0].Seq != 1 || got[1].Seq != 2 {
		t.Fatalf("records: %+v", got)
	}
	g := got[0]
	if g.Kind != r.Kind || g.Cause != r.Cause || g.Who != r.Who || g.Via != r.Via || string(g.Body) != string(r.Body) {
		t.Errorf("record: %+v", g)
	}
	if g.At.Boot == "" || g.At.Mono == 0 || g.At.Trust != clock.Set || time.Since(g.At.Wall) > time.Hour {
		t.Errorf("stamp: %+v", g.At)
	}
	for name, want := range r.Message.Params {
		for _, l := range phrase.Languages {
			m := func(v any) string {
				return phrase.Message{Code: "error.plain", Params: map[string]any{"text": v}}.In(l)
			}
			if m(g.Message.Params[name]) != m(want) {
				t.Errorf("%s renders %q, was %q", name, m(g.Message.Params[name]), m(want))
			}
		}
	}
}
