package station

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

func TestATrialIsConfirmedOnlyWhenWhatAnsweredAnswersForAWhile(t *testing.T) {
	now := time.Unix(1e9, 0)
	at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	var p probation
	river := []phrase.Text{{ZH: "河道水位", EN: "river level"}}
	steps := []struct {
		at      int
		ready   bool
		missing []phrase.Text
		left    time.Duration
		confirm bool
		why     string
	}{
		{0, false, nil, time.Minute, false, ""},
		{1, true, river, time.Minute, false, ""},
		{2, true, nil, time.Minute, false, ""},
		{12, true, river, time.Minute, false, ""}, // it begins anew
		{13, true, nil, time.Minute, false, ""},
		{32, true, nil, time.Minute, false, ""},
		{33, true, nil, time.Minute, true, ""},
	}
	for _, s := range steps {
		confirm, why := p.verdict(s.ready, s.missing, s.left, time.Minute, at(s.at))
		if confirm != s.confirm || why.Code != s.why {
			t.Fatalf("at %d s: %v %v", s.at, confirm, why)
		}
	}
}

func TestALongTrialIsWatchedForLonger(t *testing.T) {
	for within, want := range map[time.Duration]time.Duration{time.Minute: 20 * time.Second, 5 * time.Minute: time.Minute, 10 * time.Minute: 2 * time.Minute, time.Hour: 2 * time.Minute} {
		var p probation
		begun := time.Unix(1, 0)
		p.verdict(true, nil, within, within, begun)
		if early, _ := p.verdict(true, nil, within, within, begun.Add(want-time.Second)); early {
			t.Errorf("%s: confirmed within %s", within, want)
		}
		if confirm, _ := p.verdict(true, nil, within, within, begun.Add(want)); !confirm {
			t.Errorf("%s: not confirmed after %s", within, want)
		}
	}
}

func TestWhatAnsweredAnHourAgoIsMissedAndWhatDidLastWeekIsNot(t *testing.T) {
	all := map[point.ID]*spot{
		"now":      {last: point.Reading{Quality: point.Good}, good: true, goodAt: 100 * time.Hour},
		"off":      {last: point.Reading{Quality: point.CommFault}, good: true, goodAt: 99 * time.Hour},
		"long off": {last: point.Reading{Quality: point.CommFault}, good: true, goodAt: 10 * time.Hour},
		"never":    {last: point.Reading{Quality: point.CommFault}},
	}
	if got := answered(all, 100*time.Hour, answeredLately); fmt.Sprint(got) != "[now off]" {
		t.Errorf("asked of a trial: %v", got)
	}
	if got := answered(all, 100*time.Hour, 0); fmt.Sprint(got) != "[now]" {
		t.Errorf("there now: %v", got)
	}
}

func TestATrialThatMissesSomethingGoesBackAndSaysWhat(t *testing.T) {
	var p probation
	var many []phrase.Text
	for n := range 9 {
		many = append(many, phrase.Text{ZH: fmt.Sprint("上游水尺", n), EN: fmt.Sprint("gauge", n)})
	}
	if _, why := p.verdict(true, many, trialVerdict+1, time.Minute, time.Unix(1, 0)); !why.IsZero() {
		t.Fatal("its time is not over:", why)
	}
	confirm, why := p.verdict(true, many, trialVerdict, time.Minute, time.Unix(2, 0))
	if said := why.In(phrase.ZH); confirm || why.Code != "update.unhealthy" || strings.Count(said, "上游水尺") != trialNames || !strings.Contains(said, "9 项") {
		t.Fatal(confirm, why)
	}
	if confirm, why := p.verdict(false, nil, trialVerdict, 10*time.Minute, time.Unix(3, 0)); confirm || why.In(phrase.ZH) != "新软件试运行了 10 分钟，一直没有进入值守，已自动退回" {
		t.Fatal("it never stood watch:", confirm, why)
	}
	if confirm, why := p.verdict(true, nil, trialVerdict, time.Minute, time.Unix(4, 0)); confirm || why.Code != "update.late" {
		t.Fatal("it was well only at the end:", confirm, why)
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
