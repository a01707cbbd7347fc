package station

import (
	"strings"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/update"
	"tocsin/firmware/update/slots"
)

func TestWhatWentBackIsNamedWithItsVersionItsTimeAndItsReason(t *testing.T) {
	h := &House{}
	at := time.Date(2026, 7, 1, 8, 0, 0, 0, time.UTC)
	unhealthy := phrase.M("update.unhealthy", "n", 1, "what", phrase.Text{ZH: "河道水位", EN: "river level"})
	told := func(number uint64, trust clock.Trust) {
		h.updates.told.Store(&updateTold{Outcome: wire.UpdateBack.String(), Version: "1.3", Number: number, Why: phrase.M("update.told_back", "why", unhealthy), At: clock.Stamp{Wall: at, Trust: trust}})
	}
	view := func(s update.State) (out api.Update) { h.viewTrial(&out, s); return }
	if u := view(update.State{}); u.Reason != nil || u.ReasonKind != "" || u.Failed != nil || u.SelfJudged {
		t.Errorf("nothing happened: %+v", u)
	}
	told(13, clock.Set)
	failed := &update.Release{Version: "1.3", Number: 13}
	u := view(update.State{Reason: phrase.M("update.tries", "tries", 3), Failed: failed})
	if u.ReasonKind != "back" || u.Failed == nil || u.Failed.Version != "1.3" || u.FailedAt == nil || !u.FailedAt.Equal(at) || u.Reason.Code != "update.tries" {
		t.Errorf("%+v", u)
	}
	// The boot loader's environment had no room for the reason; the journal kept it.
	if u := view(update.State{Reason: phrase.M("update.why_long")}); u.Failed == nil || u.Failed.Version != "1.3" || !strings.Contains(u.Reason.ZH, "河道水位") {
		t.Errorf("%+v", u)
	}
	// What was told of is another one.
	told(12, clock.Set)
	if u := view(update.State{Reason: phrase.M("update.why_long"), Failed: failed}); u.FailedAt != nil || u.Reason.Code != "update.why_long" || u.Failed.Number != 13 {
		t.Errorf("%+v", u)
	}
	// A clock that nobody has set tells no time.
	told(13, clock.Free)
	if u := view(update.State{Reason: unhealthy, Failed: failed}); u.FailedAt != nil || u.Failed == nil {
		t.Errorf("%+v", u)
	}
	// Spare software that does not start is no roll-back.
	if u := view(update.State{Reason: phrase.M("update.good_lost", "slot", "A")}); u.ReasonKind != "spare" || u.Failed != nil || u.FailedAt != nil {
		t.Errorf("%+v", u)
	}
}

func TestTheReasonOfATrialFitsTheBootLoader(t *testing.T) {
	var names []phrase.Text
	for range 9 {
		names = append(names, phrase.Text{ZH: strings.Repeat("上游雷达水位计·水位", 2), EN: "upstream radar gauge of the old dam, level"})
	}
	_, why := (&probation{}).verdict(true, names, 0, time.Minute, time.Unix(1, 0))
	b, err := slots.Choice{Good: "A", Floor: 1<<63 - 1, Bad: 1<<63 - 1, Within: time.Hour, Why: why}.Environment()
	if err != nil {
		t.Fatal(err)
	}
	got, err := slots.ParseEnvironment(b)
	if said := got.Why.In(phrase.ZH); err != nil || got.Why.Code != "update.unhealthy" || !strings.Contains(said, "9 项没有恢复：上游雷达水位计") || !strings.Contains(said, "……") {
		t.Fatalf("%v %s", err, said)
	}
}

func TestWhatIsMissingHasPeoplesNames(t *testing.T) {
	h := modelHouse(t, t.TempDir())
	h.build()
	<-h.journal.Loaded()
	h.show()
	s := h.seen()
	p := s.bp.Points[0]
	got := s.called([]string{string(p.ID), "gone.point"})
	if want := named(p.Name, string(p.ID)); got[0] != want || want.ZH == string(p.ID) || got[1].ZH != "gone.point" {
		t.Errorf("%+v", got)
	}
}
