package ntp

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/hwtest/timeserver"
)

// bench has servers on loopback and a client whose monotonic clock has nothing to do with the wall.
type bench struct {
	t       *testing.T
	servers []*timeserver.Server
	began   time.Time
	got     []Answer
	faults  map[string]phrase.Message
	pauses  []time.Duration
	c       *Client
}

var errOver = errors.New("the test is over")

func newBench(t *testing.T, rounds int, ms ...timeserver.Manner) *bench {
	t.Helper()
	b := &bench{t: t, began: time.Now(), faults: map[string]phrase.Message{}}
	var names []string
	for _, m := range ms {
		s, err := timeserver.Start(b.truth, m)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		b.servers = append(b.servers, s)
		names = append(names, s.Addr)
	}
	b.c = New(Opts{
		Servers: names, First: 16 * time.Second, Every: 30 * time.Minute, Within: 2 * time.Second,
		Mono: b.mono, Tell: func(a Answer) { b.got = append(b.got, a) },
		Fault: func(s string, why phrase.Message) {
			if why.IsZero() {
				delete(b.faults, s)
			} else {
				b.faults[s] = why
			}
		},
		Pause: func(_ context.Context, d time.Duration) error {
			b.pauses = append(b.pauses, d)
			if rounds--; rounds == 0 {
				return errOver
			}
			return nil
		},
	})
	return b
}

func (b *bench) mono() time.Duration { return 40*time.Hour + time.Since(b.began) }

// truth is the bench's own UTC, years from the machine's.
func (b *bench) truth() time.Time {
	return time.Date(2029, 7, 1, 0, 0, 0, 0, time.UTC).Add(time.Since(b.began))
}

func (b *bench) run() {
	b.t.Helper()
	if err := b.c.Run(context.Background()); !errors.Is(err, errOver) {
		b.t.Fatal(err)
	}
}

func (b *bench) fault(i int, code string) {
	b.t.Helper()
	if got := b.faults[b.servers[i].Addr]; got.Code != code {
		b.t.Errorf("server %d: fault %q, want %q", i, got.Code, code)
	}
}

func TestWhatAMajoritySaysIsToldWithItsBound(t *testing.T) {
	for _, c := range []struct {
		name  string
		m     []timeserver.Manner
		told  bool
		n     int
		codes []string
	}{
		{"one", []timeserver.Manner{{}}, true, 1, []string{""}},
		{"three that agree", []timeserver.Manner{{}, {Ahead: time.Millisecond}, {Ahead: -time.Millisecond}}, true, 3, []string{"", "", ""}},
		{"a liar among three", []timeserver.Manner{{Ahead: 10 * 365 * 24 * time.Hour}, {}, {}}, true, 2, []string{"ntp.false", "", ""}},
		{"two that disagree", []timeserver.Manner{{Ahead: time.Hour}, {}}, false, 0, []string{"ntp.split", "ntp.split"}},
		{"one is silent", []timeserver.Manner{{Silent: true}, {}}, true, 1, []string{"ntp.no_answer", ""}},
		{"one answers what was not asked", []timeserver.Manner{{Foreign: true}, {}}, true, 1, []string{"ntp.no_answer", ""}},
		{"one is cut short", []timeserver.Manner{{Cut: 47}, {}}, true, 1, []string{"ntp.no_answer", ""}},
		{"one is not synchronised", []timeserver.Manner{{Unsynchronised: true}, {}}, true, 1, []string{"ntp.no_answer", ""}},
		{"one knows it only to ten seconds", []timeserver.Manner{{Dispersion: 10 * time.Second}, {}}, true, 1, []string{"ntp.no_answer", ""}},
		{"one denies", []timeserver.Manner{{Kiss: "DENY"}, {}}, true, 1, []string{"ntp.denied", ""}},
		{"one finds it too often", []timeserver.Manner{{Kiss: "RATE"}, {}}, true, 1, []string{"ntp.slower", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 1, c.m...)
			b.run()
			if c.told != (len(b.got) == 1) {
				t.Fatalf("told %+v", b.got)
			}
			for i, code := range c.codes {
				b.fault(i, code)
			}
			if !c.told {
				return
			}
			a := b.got[0]
			off := a.UTC.Sub(time.Date(2029, 7, 1, 0, 0, 0, 0, time.UTC).Add(a.At - 40*time.Hour)).Abs()
			if off > a.Bound || a.Bound > 2*time.Second || a.Agreed != c.n {
				t.Errorf("off by %v, %+v", off, a)
			}
		})
	}
}

func TestAKissIsObeyedAndAskingSlowsDown(t *testing.T) {
	b := newBench(t, 32, timeserver.Manner{Kiss: "DENY"}, timeserver.Manner{Kiss: "RATE"}, timeserver.Manner{})
	b.run()
	if n := b.servers[0].Asked(); n != 1 {
		t.Errorf("a server that denies was asked %d times", n)
	}
	if n := b.servers[1].Asked(); n > 7 {
		t.Errorf("a server that finds it too often was asked %d times in 32 rounds", n)
	}
	if n := b.servers[2].Asked(); n != 32 {
		t.Errorf("a good one was asked %d times", n)
	}
	for i, p := range b.pauses {
		if i > 0 && p < b.pauses[i-1] || p > 30*time.Minute {
			t.Fatalf("pauses %v", b.pauses)
		}
	}
	if last := b.pauses[len(b.pauses)-1]; last != 30*time.Minute {
		t.Errorf("the last pause is %v", last)
	}
}

func TestANetworkThatComesBackClearsTheFault(t *testing.T) {
	b := newBench(t, 2, timeserver.Manner{Silent: true})
	pause := b.c.o.Pause
	b.c.o.Pause = func(ctx context.Context, d time.Duration) error {
		b.fault(0, map[bool]string{true: "ntp.no_answer", false: ""}[len(b.pauses) == 0])
		b.servers[0].Behave(timeserver.Manner{})
		return pause(ctx, d)
	}
	b.run()
	if len(b.got) != 1 {
		t.Errorf("%+v", b.got)
	}
}

func TestANameThatIsNoneIsAFaultAndNoEnd(t *testing.T) {
	b := newBench(t, 1)
	b.c.servers = append(b.c.servers, &server{name: "127.0.0.1:99999", slower: 1})
	b.run()
	if why := b.faults["127.0.0.1:99999"]; why.Code != "ntp.no_answer" || strings.Contains(why.In(phrase.ZH), "{") {
		t.Errorf("%+v", why)
	}
}

// However servers lie, more than half honest ones give a time within their bound of the truth.
func TestOverlapWithstandsAMinorityOfLiars(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		n := 1 + rnd.IntN(8)
		liars := rnd.IntN((n + 1) / 2)
		var all []interval
		most := time.Duration(0)
		for i := range n {
			b := time.Duration(1 + rnd.IntN(1e8))
			if i < liars {
				all = append(all, interval{zero: time.Duration(rnd.NormFloat64() * 1e9), bound: b})
				continue
			}
			most = max(most, b)
			all = append(all, interval{zero: time.Duration((rnd.Float64()*2 - 1) * float64(b)), bound: b})
		}
		zero, _, got := overlap(all)
		if got < n-liars || zero.Abs() > 2*most {
			t.Fatalf("%d of %d lie: %v (%d), honest within %v", liars, n, zero, got, most)
		}
	}
}
