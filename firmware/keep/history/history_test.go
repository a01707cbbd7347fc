package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// hand is a clock that a test moves.
type hand struct {
	mu sync.Mutex
	at clock.Stamp
}

var t0 = time.Date(2026, 6, 14, 8, 0, 0, 0, time.UTC)

func newHand() *hand {
	return &hand{at: clock.Stamp{Mono: time.Hour, Wall: t0, Boot: "boot-1", Trust: clock.Set}}
}

func (c *hand) Now() clock.Stamp { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *hand) add(d time.Duration) clock.Stamp {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	return c.at
}

// step sets the wall clock without any time going by.
func (c *hand) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at.Wall = c.at.Wall.Add(d)
}

// reboot begins a new boot after a time without power.
func (c *hand) reboot(id string, dark time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = clock.Stamp{Mono: time.Second, Wall: c.at.Wall.Add(dark), Boot: id, Trust: clock.Set}
}

type box struct {
	*History
	t     testing.TB
	c     *hand
	end   func()
	mu    sync.Mutex
	said  []phrase.Message
	given int64
}

func openBox(t testing.TB, dir string, c *hand, edit func(*Opts)) *box {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b := &box{t: t, c: c}
	log := slog.New(slog.DiscardHandler)
	g := guard.New(ctx, log, func(e guard.Event) { t.Errorf("%s/%s died: %v\n%s", e.Owner, e.Name, e.Err, e.Stack) })
	o := Opts{Guard: g, Clock: c, Log: log, Retry: 5 * time.Millisecond, RetryMax: 20 * time.Millisecond,
		Describe: func(point.ID) Point {
			return Point{Period: time.Second, Limit: 5 * time.Second, Resolution: 0.01}
		},
		Report: func(ok bool, why phrase.Message) {
			b.mu.Lock()
			b.said = append(b.said, why)
			b.mu.Unlock()
		}}
	if edit != nil {
		edit(&o)
	}
	var err error
	if b.History, err = Open(dir, o); err != nil {
		t.Fatal(err)
	}
	b.end = sync.OnceFunc(func() {
		b.Close()
		cancel()
		if left := g.Wait(10 * time.Second); left != nil {
			t.Errorf("still running: %v", left)
		}
	})
	t.Cleanup(b.end)
	return b
}

// give offers a reading and waits for room, so that a test is faster than time
// and loses nothing.
func (b *box) give(r point.Reading) {
	for len(b.in) > cap(b.in)/2 {
		runtime.Gosched()
	}
	if !b.Offer(r) {
		b.t.Fatal("a reading was lost")
	}
	b.given++
}

func (b *box) good(id point.ID, v float64) {
	b.give(point.Reading{Point: id, Value: v, Unit: "m", Quality: point.Good, At: b.c.Now()})
}

func (b *box) bad(id point.ID, q point.Quality, code string) {
	b.give(point.Reading{Point: id, Value: math.NaN(), Unit: "m", Quality: q, Why: phrase.Message{Code: code}, At: b.c.Now()})
}

func (b *box) written() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := b.Flush(ctx); err != nil {
		_, why := b.State()
		b.t.Fatalf("not written: %v (%s)", err, why.In(phrase.EN))
	}
}

func (b *box) rows(id point.ID, from, to time.Time, raw bool, most int) Answer {
	b.t.Helper()
	until(b.t, "all is taken", func() bool { return b.Stats().Taken == b.given })
	a, err := b.Query(context.Background(), Query{Point: id, From: from, To: to, Raw: raw, Most: most})
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: ", what)
		}
	}
}

// at gives the row that covers an instant.
func (a Answer) at(t time.Time) (Row, bool) {
	for _, r := range a.Rows {
		if !t.Before(r.At) && t.Before(r.Until) {
			return r, true
		}
	}
	return Row{}, false
}

func (a Answer) whole(t testing.TB, from, to time.Time) {
	t.Helper()
	at := from
	for i, r := range a.Rows {
		if !r.At.Equal(at) {
			t.Fatalf("row %d begins at %v, not at %v", i, r.At, at)
		}
		if r.Until.Before(r.At) {
			t.Fatalf("row %d ends before it begins", i)
		}
		at = r.Until
	}
	if a.Next.IsZero() && !at.Equal(to) {
		t.Fatalf("the rows end at %v, not at %v", at, to)
	}
}

func TestWhatIsAskedIsWhatWasMeasured(t *testing.T) {
	c := newHand()
	b := openBox(t, t.TempDir(), c, nil)
	for i := range 100 {
		b.good("river.level", 98+float64(i/10)*0.01)
		c.add(time.Second)
	}
	check := func() {
		t.Helper()
		a := b.rows("river.level", t0, t0.Add(100*time.Second), true, 1000)
		a.whole(t, t0, t0.Add(100*time.Second))
		if a.Unit != "m" || a.Period != time.Second || a.Source != Raw {
			t.Errorf("%v %v %v", a.Unit, a.Period, a.Source)
		}
		for i := range 100 {
			r, ok := a.at(t0.Add(time.Duration(i) * time.Second))
			if want := 98 + float64(i/10)*0.01; !ok || math.Abs(r.Value-want) > 1e-9 || r.Quality != point.Good {
				t.Fatalf("second %d: %+v, want %v", i, r, want)
			}
		}
		if len(a.Rows) > 20 {
			t.Errorf("%d rows of 10 values", len(a.Rows))
		}
	}
	check() // from RAM
	b.written()
	check() // from the file
	if _, err := b.Query(context.Background(), Query{Point: "no.such", From: t0, To: t0.Add(time.Hour), Most: 10}); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

// truth is what the test gave.
type truth struct {
	at clock.Stamp
	r  point.Reading
}

// TestAQueryEqualsASimpleModel gives random readings, some bad, with silences,
// restarts and points of any resolution, and holds every answer against a list.
func TestAQueryEqualsASimpleModel(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			c := newHand()
			dir := t.TempDir()
			resolution := []float64{0, 0.01, 0.5, 0.0003}[seed%4]
			edit := func(o *Opts) {
				o.Describe = func(point.ID) Point {
					return Point{Period: time.Second, Limit: 5 * time.Second, Resolution: resolution}
				}
			}
			b := openBox(t, dir, c, edit)
			var model []truth
			v := 10.0
			boots := 1
			for range 3000 {
				r := point.Reading{Point: "a.b", Unit: "m", Quality: point.Good, At: c.Now()}
				if rng.IntN(3) == 0 {
					v += rng.NormFloat64()
				}
				r.Value = v
				switch rng.IntN(40) {
				case 0:
					r.Quality, r.Value, r.Why = point.CommFault, math.NaN(), phrase.Message{Code: "line.timeout"}
				case 1:
					r.Quality, r.Why = point.Suspect, phrase.Message{Code: "line.jump"}
				case 2:
					r.Value = 1e300
				}
				b.give(r)
				model = append(model, truth{r.At, r})
				switch rng.IntN(600) {
				case 0:
					c.add(time.Duration(rng.IntN(3600)) * time.Second)
				case 1:
					b.end()
					boots++
					c.reboot(fmt.Sprint("boot-", boots), time.Duration(10+rng.IntN(5000))*time.Second)
					b = openBox(t, dir, c, edit)
				default:
					c.add(time.Duration(800+rng.IntN(400)) * time.Millisecond)
				}
			}
			now := c.Now().Wall
			var all []Row
			for from := t0; ; {
				a := b.rows("a.b", from, now, true, 333)
				a.whole(t, from, now)
				all = append(all, a.Rows...)
				if a.Next.IsZero() {
					break
				}
				if from = a.Next; len(all) > 5000 {
					t.Fatal("the pages do not end")
				}
			}
			whole := Answer{Rows: all}
			for i, m := range model {
				at := m.at.Wall.Truncate(time.Millisecond)
				r, ok := whole.at(at)
				if !ok {
					t.Fatalf("nothing covers reading %d at %v", i, at)
				}
				same := r.Quality == m.r.Quality && (math.IsNaN(m.r.Value) && math.IsNaN(r.Value) ||
					math.Abs(r.Value-m.r.Value) <= resolution/2+math.Abs(m.r.Value)*1e-12)
				if !same {
					t.Fatalf("reading %d at %v is %v %v, kept as %v %v", i, at, m.r.Value, m.r.Quality, r.Value, r.Quality)
				}
				if i+1 == len(model) {
					break
				}
				// Halfway through a silence nothing is known.
				dark := model[i+1].at.Wall.Sub(m.at.Wall)
				if m.r.Quality == point.Good && dark > 6*time.Second {
					mid, _ := whole.at(at.Add(dark / 2))
					want := "history.silent"
					if model[i+1].at.Boot != m.at.Boot {
						want = "history.off_then"
					}
					if mid.Quality == point.Good || mid.Why.Code != want {
						t.Fatalf("in a silence of %v the row is %+v, want %s", dark, mid, want)
					}
				}
			}
			if lost := b.Stats().Lost; lost != 0 {
				t.Errorf("lost %d", lost)
			}
		})
	}
}
