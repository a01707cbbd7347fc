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
