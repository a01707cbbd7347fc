package compact

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/firmware/decide/alert"
	"tocsin/firmware/phrase"
	"tocsin/hwtest/capgen"
)

// TestWhatWasExpandedCondensesToTheSame takes warnings whose numbers the table knows.
func TestWhatWasExpandedCondensesToTheSame(t *testing.T) {
	r := newReader(t, nil)
	rapid.Check(t, func(t *rapid.T) {
		w := some(t)
		w.Issuer, w.Template = 7, 0
		if !w.Type.about() {
			w.Chain.DayBits = uint8(DayOf(now) & 7)
		}
		if !w.Type.cancels() {
			w.Event = uint8(rapid.IntRange(1, 20).Draw(t, "known event"))
		}
		if w.Area.Mode == Listed {
			w.Area.Row = 1
		}
		if w.Area.Mode == Region {
			w.Area = Area{} // the same area in another form
		}
		a, found := r.Tables.expand(w, DayOf(now), "441882", "county@example.cn", phrase.Text{ZH: "县", EN: "county"}, time.UTC)
		if len(found) > 0 {
			t.Fatal(codes(found))
		}
		i := Issue{Issuer: 7, Region: "441882", At: DayOf(now).At(w.Start), Serial: w.Chain.Serial, Chain: w.Chain, Sequence: w.Sequence, P: w.P, Q: w.Q}
		got, told, err := r.Tables.Condense(a, i)
		if err != nil {
			t.Fatal(err)
		}
		if w.Area.Mode == Circle { // the cell's own half is added to the radius, so the next row is taken
			w.Area.Radius, got.Area.Radius = 0, 0
			if w.Area.North != got.Area.North || w.Area.East != got.Area.East {
				if got.Area.Mode != Region {
					t.Fatalf("%+v, %+v", w.Area, got.Area)
				}
				w.Area, got.Area = Area{}, Area{}
			}
			told = nil
		}
		if w != got || len(told) > 0 {
			t.Fatalf("%+v\n%+v\n%v", w, got, told)
		}
	})
}

// TestTheShortFormNeverSaysLessThanTheFullOne condenses alerts as senders write them: whoever the full one concerns the
// short one does too, and it lasts at least as long.
func TestTheShortFormNeverSaysLessThanTheFullOne(t *testing.T) {
	r := newReader(t, nil)
	g := capgen.New(11)
	done, refused := 0, map[string]int{}
	for n := range 400 {
		at := now.Add(time.Duration(n) * time.Minute)
		w := g.Next(capgen.Options{Profile: "cn", Sent: at})
		a, _ := alert.Parse(w.Text, r.Alerts.Tables)
		c, _, err := r.Tables.Condense(a, Issue{Issuer: 7, Region: "441882", At: at, Serial: uint8(n)})
		if err != nil {
			refused[phrase.Of(err).Code]++
			continue
		}
		o := r.Open(signed(t, c, 1, at), when(at))
		if !o.Trusted {
			t.Fatal(codes(o.Findings))
		}
		concerns, _ := a.Concerns(r.Alerts.Here, r.Alerts.Tables)
		full, short := a.Info("zh-CN"), o.Alert.Info("zh-CN")
		if concerns && !o.Concerns || short.Expires.Before(full.Expires) || r.Tables.Events[int(c.Event)].Coloured && short.Colour != full.Colour || r.Alerts.Tables.SeverityOf(short) != r.Alerts.Tables.SeverityOf(full) || r.Alerts.Tables.HazardOf(short) != r.Alerts.Tables.HazardOf(full) {
			t.Fatalf("%v %v\n%+v\n%+v", concerns, o.Concerns, full, short)
		}
		done++
	}
	t.Logf("%d condensed, refused %v", done, refused)
	if done < 100 {
		t.Errorf("only %d could be said: %v", done, refused)
	}
}

func TestWhatTheFormCannotSayIsRefusedAndSaysWhy(t *testing.T) {
	r := newReader(t, nil)
	base := func() *alert.Alert {
		a, _ := r.Tables.expand(red(), DayOf(now), "441882", "county@example.cn", phrase.Text{ZH: "县", EN: "county"}, time.UTC)
		return a
	}
	for _, c := range []struct {
		want   string
		change func(a *alert.Alert)
	}{
		{"", func(a *alert.Alert) {}},
		{"compact.cannot_status", func(a *alert.Alert) { a.Status = "Draft" }},
		{"compact.cannot_type", func(a *alert.Alert) { a.MsgType = "Ack" }},
		{"compact.cannot_type", func(a *alert.Alert) { a.MsgType, a.Status = "Update", "Exercise" }},
		{"compact.cannot_empty", func(a *alert.Alert) { a.Infos = nil }},
		{"compact.cannot_event", func(a *alert.Alert) { a.Infos[0].Event, a.Infos[0].EventCodes = "蝗灾", nil }},
		{"compact.cannot_colour", func(a *alert.Alert) { a.Infos[0].Colour = "" }},
		{"compact.cannot_level", func(a *alert.Alert) { a.Infos[0].Colour = "white" }},
		{"compact.cannot_start", func(a *alert.Alert) { a.Infos[0].Onset = now.AddDate(0, 0, 1) }},
		{"compact.cannot_endless", func(a *alert.Alert) { a.Infos[0].Expires = time.Time{} }},
		{"compact.cannot_long", func(a *alert.Alert) { a.Infos[0].Expires = now.AddDate(0, 0, 9) }},
		{"", func(a *alert.Alert) { a.Infos[0].Areas[0].Geocodes[0].Value = "441800" }},
		{"compact.cannot_area", func(a *alert.Alert) { a.Infos[0].Areas[0].Geocodes[0].Value = "441881000000" }},
		{"compact.cannot_area", func(a *alert.Alert) { a.Infos[0].Areas[0].Geocodes[0].Value = "440106000000" }},
	} {
		a := base()
		c.change(a)
		if _, _, err := r.Tables.Condense(a, Issue{Issuer: 7, Region: "441882", At: now}); phrase.Of(err).Code != c.want {
			t.Errorf("%s: %v", c.want, err)
		}
	}
	a := base()
	a.Infos[0].Expires = now.Add(3*time.Hour + 7*time.Minute)
	a.Infos[0].Urgency = "Unknown"
	a.Infos[0].Areas = append(a.Infos[0].Areas, alert.Area{Desc: "x", Geocodes: []alert.Named{{Name: "areaCode", Value: "441882104"}}})
	w, told, err := r.Tables.Condense(a, Issue{Issuer: 7, Region: "441882", At: now})
	if err != nil || w.Area != (Area{}) || len(told) != 3 {
		t.Error(fmt.Sprint(told), w.Area, err)
	}
}
