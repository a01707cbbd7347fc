package intake

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/firmware/clock"
)

type hand struct{ mono time.Duration }

func (h *hand) Now() clock.Stamp { return clock.Stamp{Mono: h.mono, Boot: "a"} }

func small() Opts {
	o := DefaultOpts(Way{"api", 1, 4, 400}, Way{"feed", 2, 4, 400}, Way{"radio", 3, 4, 400})
	o.Entries, o.Bytes, o.One = 12, 1200, 100
	return o
}

func TestTheHighestClaimGoesFirstThenTheWaysRankThenAge(t *testing.T) {
	q := New(small(), &hand{})
	for _, x := range []struct {
		way   string
		level int
		text  string
	}{{"api", 1, "a1"}, {"feed", 4, "f4"}, {"api", 4, "a4"}, {"radio", 1, "r1"}, {"feed", 4, "g4"}, {"radio", 4, "r4"}, {"api", 9, "b9"}} {
		if _, err := q.Offer([]byte(x.text), x.way, x.level); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for it := q.TryNext(); it != nil; it = q.TryNext() {
		got = append(got, string(it.Bytes))
	}
	if want := []string{"r4", "f4", "g4", "a4", "b9", "r1", "a1"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAFullWayTellsItsCallersAndTakesNothingFromTheOthers(t *testing.T) {
	q := New(small(), &hand{})
	var first *Item
	for i := range 4 {
		it, err := q.Offer([]byte("x"), "api", i%2)
		if err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			first = it
		}
	}
	if _, err := q.Offer([]byte("y"), "api", 0); !busy(err) {
		t.Errorf("a full way took the lowest: %v", err)
	}
	if _, err := q.Offer([]byte("y"), "api", 4); err != nil {
		t.Errorf("a red did not find room: %v", err)
	}
	select {
	case err := <-first.answer:
		if !busy(err) {
			t.Errorf("the displaced caller was told %v", err)
		}
	default:
		t.Error("the displaced caller was not told")
	}
	if _, err := q.Offer([]byte("y"), "feed", 0); err != nil {
		t.Errorf("another way found no room: %v", err)
	}
	for range 3 {
		q.Offer([]byte("z"), "api", 4)
	}
	if _, err := q.Offer([]byte("z"), "api", 4); !busy(err) {
		t.Errorf("a red displaced a red: %v", err)
	}
}

func busy(err error) bool { d, ok := RetryAfter(err); return ok && d > 0 }

func TestFalseClaimsOfRedDoNotKeepATrueOneWaiting(t *testing.T) {
	h := &hand{}
	q := New(small(), h)
	lies := 0
	// An attacker claims red a hundred times a second; a true yellow and a true red
	// come after five seconds.
	for range 500 {
		h.mono += 10 * time.Millisecond
		if _, err := q.Offer([]byte("forged"), "radio", 4); err == nil {
			lies++
		}
		for it := q.TryNext(); it != nil; it = q.TryNext() {
			it.Done(errors.New("does not verify"), false)
		}
	}
	if lies > 3+2+2*5+1 {
		t.Errorf("%d forged claims were verified in 5 s", lies)
	}
	h.mono += time.Second
	if _, err := q.Offer([]byte("forged"), "radio", 4); err != nil {
		t.Fatalf("a doubtful way is closed: %v", err)
	}
	q.Offer([]byte("true"), "feed", 4)
	it := q.TryNext()
	if string(it.Bytes) != "true" {
		t.Errorf("%s went first", it.Bytes)
	}
	it.Done(nil, true)
	// One true message restores the way.
	q.TryNext().Done(nil, true)
	for range 4 {
		if _, err := q.Offer([]byte("x"), "radio", 1); err != nil {
			t.Errorf("still held to the rate: %v", err)
		}
	}
}

func TestACallerThatGivesUpWithdraws(t *testing.T) {
	q := New(small(), &hand{})
	ctx, cancel := context.WithCancelCause(context.Background())
	gone := errors.New("the line fell")
	cancel(gone)
	if err := q.Take(ctx, []byte("x"), "api", 4); !errors.Is(err, gone) {
		t.Fatal(err)
	}
	if n, b := q.Len(); n != 0 || b != 0 || q.TryNext() != nil {
		t.Errorf("%d left", n)
	}
}

func TestACallerGetsTheVerifiersAnswer(t *testing.T) {
	q := New(small(), &hand{})
	why := errors.New("no")
	answer := make(chan error)
	go func() { answer <- q.Take(context.Background(), []byte("x"), "api", 4) }()
	it, err := q.Next(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	it.Done(why, false)
	if err := <-answer; !errors.Is(err, why) {
		t.Error(err)
	}
	if err := q.Take(context.Background(), []byte("x"), "nowhere", 4); err == nil || busy(err) {
		t.Error(err)
	}
	if err := q.Take(context.Background(), make([]byte, 101), "api", 4); err == nil || busy(err) {
		t.Error(err)
	}
}

// TestNothingIsLostOrOvertaken draws offers, withdrawals and turns: each message has
// exactly one end, a red that is in comes out, and what comes out is of the highest
// level that waits.
func TestNothingIsLostOrOvertaken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &hand{}
		q := New(small(), h)
		in := map[*Item]bool{}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			h.mono += time.Duration(rapid.IntRange(0, 400).Draw(t, "ms")) * time.Millisecond
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				it, err := q.Offer(make([]byte, rapid.IntRange(1, 100).Draw(t, "size")), rapid.SampledFrom([]string{"api", "feed", "radio"}).Draw(t, "way"),
					rapid.IntRange(0, 4).Draw(t, "level"))
				if err == nil {
					in[it] = true
				} else if !busy(err) {
					t.Fatal(err)
				}
			case 2:
				highest := -1
				for it := range in {
					highest = max(highest, it.Level)
				}
				it := q.TryNext()
				if it == nil {
					if highest >= 0 {
						t.Fatalf("level %d waits and nothing came", highest)
					}
					continue
				}
				if it.Level != highest || !in[it] {
					t.Fatalf("level %d came while %d waits", it.Level, highest)
				}
				delete(in, it)
				it.Done(nil, rapid.Bool().Draw(t, "true"))
				<-it.answer
			case 3:
				for it := range in {
					q.withdraw(it)
					delete(in, it)
					break
				}
			}
			for it := range in {
				select {
				case err := <-it.answer:
					if !busy(err) || it.Level == q.o.Top {
						t.Fatalf("level %d was sent away: %v", it.Level, err)
					}
					delete(in, it)
				default:
				}
			}
			bytes := 0
			for it := range in {
				bytes += len(it.Bytes)
			}
			if n, b := q.Len(); n != len(in) || b != bytes || n > q.o.Entries || b > q.o.Bytes {
				t.Fatalf("%d messages, %d bytes; should be %d, %d", n, b, len(in), bytes)
			}
		}
	})
}

func TestAClaimIsReadCheaplyAndDoubtIsTheHighest(t *testing.T) {
	for text, want := range map[string]int{
		"<alert><msgType>Alert</msgType><info><severity>Minor</severity></info></alert>": 1,
		"<a:alert><a:info><a:severity> Severe </a:severity></a:info></a:alert>":          3,
		"<alert><severity>Minor</severity><severity>Extreme</severity></alert>":          4,
		"<alert><msgType>Cancel</msgType><severity>Minor</severity></alert>":             4,
		"<alert><severity>Unknown</severity></alert>":                                    4,
		"<alert></alert>":    4,
		`{"payload":"e30="}`: 4,
		"":                   4,
	} {
		if got := Claim([]byte(text)); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}

func FuzzClaim(f *testing.F) {
	f.Add([]byte("<cap:alert><cap:severity>Severe</cap:severity>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l := Claim(b); l < 1 || l > 4 {
			t.Error(l)
		}
	})
}

func TestSharesMustFitTheWhole(t *testing.T) {
	if err := small().Validate(); err != nil {
		t.Fatal(err)
	}
	for _, spoil := range []func(*Opts){func(o *Opts) { o.Ways = nil }, func(o *Opts) { o.Ways[0].Entries = 5 }, func(o *Opts) { o.Ways[1].Name = "api" },
		func(o *Opts) { o.Ways[0].Bytes = 99 }, func(o *Opts) { o.Rate = 0 }, func(o *Opts) { o.One = 0 },
		func(o *Opts) { o.Retry = 0 }} {
		o := small()
		spoil(&o)
		if o.Validate() == nil {
			t.Errorf("%+v passed", o)
		}
	}
}
