package logbook

import (
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/wire"
)

func TestTheLatestOutcomeOfAnUpdateIsShownWhicheverLinkBroughtIt(t *testing.T) {
	st := &station{}
	at := time.Unix(1_790_000_000, 0).UTC()
	short := Outcome{Code: wire.UpdateBack, Version: "1.3", Number: 13, Text: phrase.Text{ZH: "没有恢复原有的功"}, At: at, Short: true}
	long := short
	long.Text, long.Short = phrase.Text{ZH: "没有恢复原有的功能：river.level"}, false
	for _, o := range []Outcome{short, long, short} {
		st.ended(o)
	}
	if st.outcome != long {
		t.Fatalf("%+v", st.outcome)
	}
	older := long
	older.Code, older.At = wire.UpdateTrial, at.Add(-time.Minute)
	if st.ended(older); st.outcome != long {
		t.Fatal("an older outcome that came later is shown")
	}
	next := short
	next.Code, next.Number, next.At = wire.UpdateStaged, 14, at.Add(time.Hour)
	if st.ended(next); st.outcome != next {
		t.Fatal("a later outcome in short form is not shown")
	}
	if st.ended(Outcome{At: at.Add(2 * time.Hour)}); st.outcome != next {
		t.Fatal("nothing is taken for an outcome")
	}
}

func TestTheLatestWordOnAnOrderIsShownAndItsTrialEndsIt(t *testing.T) {
	st := &station{}
	at := time.Unix(1_790_000_000, 0).UTC()
	short := Order{State: OrderWaits, Number: 13, Text: phrase.Text{ZH: "序号 13 的升"}, At: at, Short: true}
	long := short
	long.By, long.Code, long.Text, long.Short = "县局 李", "update.order_not_here", phrase.Text{ZH: "序号 13 的升级包还没有传到"}, false
	for _, o := range []Order{short, long, short} {
		st.ordered(o)
	}
	if st.order != long {
		t.Fatalf("%+v", st.order)
	}
	calm := long // since it came it waits for something else
	calm.Code, calm.Text = "update.level", phrase.Text{ZH: "有警报级别时不升级"}
	if st.ordered(calm); st.order != calm {
		t.Fatalf("%+v", st.order)
	}
	older := Order{State: OrderDeclined, Number: 12, At: at.Add(-time.Minute)}
	if st.ordered(older); st.order != calm {
		t.Fatal("an older word that came later is shown")
	}
	st.ended(Outcome{Code: wire.UpdateTrial, Number: 12, At: at.Add(time.Minute)})
	if st.order.State != OrderWaits {
		t.Fatal("another release's trial ended it")
	}
	st.ended(Outcome{Code: wire.UpdateTrial, Number: 13, At: at.Add(2 * time.Minute), Short: true})
	if st.order.State != OrderDone {
		t.Fatal("its trial did not end it, where only short forms come")
	}
	declined := Order{State: OrderDeclined, Number: 14, At: at.Add(time.Hour), Short: true}
	if st.ordered(declined); st.order != declined {
		t.Fatal("a later order in short form is not shown")
	}
	clockless := Order{State: OrderWaits, Number: 15}
	if st.ordered(clockless); st.order != clockless {
		t.Fatal("a station without a clock is not believed")
	}
}
