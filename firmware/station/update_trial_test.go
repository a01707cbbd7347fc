package station

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/point"
)

func TestATrialIsConfirmedOnlyWhenWhatAnsweredAnswersForAWhile(t *testing.T) {
	now := time.Unix(1e9, 0)
	at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	var p probation
	steps := []struct {
		at      int
		ready   bool
		missing []string
		left    time.Duration
		confirm bool
		why     string
	}{
		{0, false, nil, time.Minute, false, ""},
		{1, true, []string{"river.level"}, time.Minute, false, ""},
		{2, true, nil, time.Minute, false, ""},
		{12, true, []string{"river.level"}, time.Minute, false, ""}, // it begins anew
		{13, true, nil, time.Minute, false, ""},
		{32, true, nil, time.Minute, false, ""},
		{33, true, nil, time.Minute, true, ""},
	}
	for _, s := range steps {
		confirm, why := p.verdict(s.ready, s.missing, s.left, at(s.at))
		if confirm != s.confirm || why.Code != s.why {
			t.Fatalf("at %d s: %v %v", s.at, confirm, why)
		}
	}
}

func TestATrialThatMissesSomethingGoesBackAndSaysWhat(t *testing.T) {
	var p probation
	var many []string
	for n := range 9 {
		many = append(many, fmt.Sprint("gauge", n))
	}
	if _, why := p.verdict(true, many, trialVerdict+1, time.Unix(1, 0)); !why.IsZero() {
		t.Fatal("its time is not over:", why)
	}
	confirm, why := p.verdict(true, many, trialVerdict, time.Unix(2, 0))
	if what := fmt.Sprint(why.Params["what"]); confirm || why.Code != "update.unhealthy" || strings.Count(what, "gauge") != trialNames {
		t.Fatal(confirm, why)
	}
	if confirm, why := p.verdict(false, nil, 0, time.Unix(3, 0)); confirm || !why.IsZero() {
		t.Fatal("who does not stand watch is the installer's matter:", confirm, why)
	}
}

func TestAFootingThatIsKeptReadsAsItWas(t *testing.T) {
	h := &House{o: Opts{Data: t.TempDir()}}
	if f, err := h.footing(); err != nil || len(f.Points) != 0 {
		t.Fatal(f, err)
	}
	want := footing{Points: []point.ID{"rain.total", "river.level"}, Links: []string{"fibre"}}
	if err := h.keepFooting(want); err != nil {
		t.Fatal(err)
	}
	if got, err := h.footing(); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatal(got, err)
	}
}

func TestATrialMissesWhatTheSiteLost(t *testing.T) {
	before := footing{Points: []point.ID{"rain.total", "river.level"}, Links: []string{"fibre", "radio"}}
	if got := before.without(footing{Points: []point.ID{"new.gauge", "rain.total", "river.level"}, Links: []string{"fibre", "radio"}}); got != nil {
		t.Error("missed, though all is there:", got)
	}
	if got := fmt.Sprint(before.without(footing{Points: []point.ID{"river.level"}, Links: []string{"radio"}})); got != "[rain.total fibre]" {
		t.Error(got)
	}
	if got := before.without(footing{}); len(got) != 4 {
		t.Error("a blank site misses nothing:", got)
	}
}
