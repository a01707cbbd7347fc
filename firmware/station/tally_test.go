package station

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/reach/account"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/sense/profile"
)

// reads puts a reading where the page and the tally find it.
func (b *deskBench) reads(id point.ID, v float64, q point.Quality, at clock.Stamp) {
	unit := point.Unit("")
	for _, p := range b.bp.Points {
		if p.ID == id {
			unit = p.Unit
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.latest[id] == nil {
		b.latest[id] = &spot{id: id}
	}
	b.latest[id].last = point.Reading{Point: id, Value: v, Unit: unit, Quality: q, At: at}
}

// county is what came of types, newest last, opened.
func (b *deskBench) came(l *ether, kind uint8) (all []wire.Opened) {
	b.t.Helper()
	for _, p := range l.all() {
		if !p.Short {
			if o := b.opened(p); o.Type == kind {
				all = append(all, o)
			}
		}
	}
	return all
}

func TestReadingsAreToldWithWhatTheyMeanAndWhatIsBadIsMissing(t *testing.T) {
	t.Parallel()
	fibre := newEther("fibre")
	b := openDesk(t, t.TempDir(), fibre)
	x := b.tally
	now := b.clock.Now()
	b.reads("gas.ch4", 1.6, point.Good, now)
	x.look(now)
	b.until("the dictionary and the state", func() bool {
		return len(b.came(fibre, wire.TypeDictionary)) > 0 && len(b.came(fibre, wire.TypeState)) > 0
	})
	d, err := account.ReadDictionary(b.came(fibre, wire.TypeDictionary)[0].Content)
	i := slices.IndexFunc(d.Channels, func(c account.Channel) bool { return c.Point == "gas.ch4" })
	if err != nil || i != 0 || d.Step != 5 || d.Channels[i].Unit != "%LEL" || d.Channels[i].Resolution < 0.01 || d.Channels[i].ZH == "" {
		t.Fatalf("%+v %v", d, err) // what rules judge by comes first
	}
	dec, _ := wire.NewDecoder(d.Wire())
	step := int64(5)
	minute := now.Wall.Unix() / 60 / step * step
	rows := []struct {
		v    float64
		q    point.Quality
		age  time.Duration
		want wire.Value
	}{
		{1.6, point.Good, 0, d.Channels[i].Value(1.6)},
		{1.6, point.SensorFault, 0, wire.Value{}},
		{1.6, point.Suspect, 0, wire.Value{}},
		{math.NaN(), point.Good, 0, wire.Value{}},
		{2.4, point.Good, time.Hour, wire.Value{}}, // of long ago
		{0, point.Good, 0, d.Channels[i].Value(0)},
	}
	for n, r := range rows {
		b.reads("gas.ch4", r.v, r.q, b.clock.Now().Add(-r.age))
		x.row(minute+step*int64(n+1), b.clock.Now())
		b.until("a block", func() bool { return len(b.came(fibre, wire.TypeTelemetry)) > n })
		o := b.came(fibre, wire.TypeTelemetry)[n]
		_, s, err := dec.Decode(o.Content, minute)
		last := s.Rows[len(s.Rows)-1]
		if err != nil || last[i] != r.want || s.Minute+int64(len(s.Rows)-1)*step != minute+step*int64(n+1) {
			t.Errorf("row %d: %+v %v", n, s, err)
		}
		if o.Trust != 2 || o.Slot == "" {
			t.Errorf("%+v", o.Envelope)
		}
		// The courier told that it arrived.
		b.until("its receipt", func() bool { return len(x.came) > 0 })
		for len(x.came) > 0 {
			x.delivered(<-x.came)
		}
	}
	if len(x.sent) > 3 {
		t.Errorf("%d are remembered as under way", len(x.sent))
	}
}

func TestADictionaryKeepsItsNumberOverARestartAndIsNotToldAgain(t *testing.T) {
	t.Parallel()
	dir, fibre := t.TempDir(), newEther("fibre")
	b := openDesk(t, dir, fibre)
	b.tally.look(b.clock.Now())
	b.until("it is told", func() bool { return len(b.came(fibre, wire.TypeDictionary)) == 1 && len(b.journal.Letters()) == 0 })
	number := b.tally.dicts.Wide.Number
	if err := b.journal.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.end()
	fibre = newEther("fibre")
	b = openDesk(t, dir, fibre)
	b.tally.look(b.clock.Now())
	b.until("the state", func() bool { return len(b.came(fibre, wire.TypeState)) > 0 })
	if n := len(b.came(fibre, wire.TypeDictionary)); n != 0 || b.tally.dicts.Wide.Number != number {
		t.Errorf("told %d times, number %d, was %d", n, b.tally.dicts.Wide.Number, number)
	}
	later := b.clock.Now().Add(25 * time.Hour)
	b.tally.look(later)
	b.until("a day later it is told once more", func() bool { return len(b.came(fibre, wire.TypeDictionary)) == 1 })
}

func TestTheStateIsToldAtAChangeAndEachHour(t *testing.T) {
	t.Parallel()
	fibre := newEther("fibre")
	b := openDesk(t, t.TempDir(), fibre)
	now := b.clock.Now()
	states := func() (all []account.State) {
		for _, o := range b.came(fibre, wire.TypeState) {
			s, err := account.ReadState(o.Content)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		return all
	}
	told := func(what string, n int) {
		t.Helper()
		b.until(what, func() bool { return len(states()) == n })
	}
	b.tally.look(now)
	told("at the start", 1)
	b.setFault("hazard gas", phrase.M("station.blind", "hazard", "gas"))
	b.tally.look(now.Add(6 * time.Second))
	b.tally.look(now.Add(20 * time.Second)) // too soon
	b.tally.look(now.Add(40 * time.Second))
	told("a hazard went blind", 2)
	if s := states()[1]; !slices.Equal(s.Blind, []string{"gas"}) || len(s.Faults) != 1 || s.Faults[0].EN == "" || s.Ready || s.Trust != "set" || !s.Journal || len(s.Links) != 1 || s.Points == 0 || s.Told == 0 {
		t.Errorf("%+v", s)
	}
	for i := range 50 {
		b.tally.look(now.Add(time.Minute + time.Duration(i)*time.Minute))
	}
	told("nothing changed for an hour", 2)
	b.tally.look(now.Add(101 * time.Minute))
	told("an hour is over", 3)
}

func TestNoReadingsAreToldWhereNobodyHears(t *testing.T) {
	t.Parallel()
	fibre := newEther("fibre")
	b := openDesk(t, t.TempDir(), fibre)
	who := b.post.as()
	b.post.known(nil)
	b.tally.look(b.clock.Now())
	if b.tally.dicts != nil || len(b.journal.Letters()) > 0 {
		t.Error("readings for nobody")
	}
	b.post.known(who)
	b.tally.look(b.clock.Now())
	b.until("the county is there", func() bool { return len(b.came(fibre, wire.TypeDictionary)) > 0 })
}

func TestAnOutageOfADayIsAFewMessagesAndAllOfItComesWhenTheLinkIsBack(t *testing.T) {
	t.Parallel()
	beidou := newEther("beidou") // no wide link at all
	b := openDesk(t, t.TempDir(), beidou)
	x := b.tally
	x.look(b.clock.Now())
	minute := b.clock.Now().Wall.Unix() / 300 * 5
	for i := range int64(288) {
		at := b.clock.Now()
		b.reads("gas.ch4", float64(i%7)*0.1, point.Good, at)
		x.row(minute+5*i, at)
	}
	rows := map[int64]bool{}
	letters := b.journal.Letters()
	for _, l := range letters {
		o, err := wire.OpenEnvelope(l.Payload, wire.ContentMost, []*wire.Keys{b.keys}, wire.Up)
		if err != nil {
			t.Fatal(err)
		}
		if o.Type != wire.TypeTelemetry {
			continue
		}
		dec, _ := wire.NewDecoder(x.dicts.Wide.Wire())
		_, s, err := dec.Decode(o.Content, minute)
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.Rows {
			rows[s.Minute+int64(i*s.Step)] = true
		}
	}
	if len(rows) != 288 || len(letters) > 8 {
		t.Errorf("%d rows in %d letters", len(rows), len(letters))
	}
	if len(x.sent) > sentMost || len(x.first) > firstMost {
		t.Errorf("%d and %d are remembered", len(x.sent), len(x.first))
	}
}

func TestEveryShippedProfilesNumbersHaveAStep(t *testing.T) {
	b := openDesk(t, t.TempDir())
	for _, name := range profile.Names(b.bp.FS) {
		p, ps := profile.Load(b.bp.FS, name)
		if len(ps) > 0 {
			t.Fatal(name, ps)
		}
		for i := range p.Points {
			if u := p.Points[i].Unit; p.Points[i].Type != profile.String && b.bp.Tally.Resolution[string(u)] == 0 {
				t.Errorf("%s.%s is in %q, which %s does not have", name, p.Points[i].ID, u, account.RulesName)
			}
		}
	}
}

func TestAnAlarmSaysByWhichLinkTheCountyHeardOfItAlsoAfterARestart(t *testing.T) {
	t.Parallel()
	dir, fibre := t.TempDir(), newEther("fibre")
	b := openDesk(t, dir, fibre)
	b.speaks()
	b.herald.alarmed(b.alarm(alarm.EventRaised, "evacuate"))
	heard := func(b *deskBench) (by []string) {
		for _, d := range b.deliveries.list("a-1") {
			by = append(by, d.Link+" "+d.what.Code)
		}
		return by
	}
	b.until("the county has it", func() bool { return slices.Equal(heard(b), []string{"fibre station.own_sent"}) })
	x := b.Links()
	if !x.County || len(x.Links) != 1 || x.Links[0].NameText.ZH != "光纤" || x.Links[0].State == "" || len(x.Classes) != 6 || len(x.Receipts) != 1 || x.Receipts[0].Cause != "a-1" || x.Receipts[0].Class != "warning" {
		raw, _ := json.Marshal(x)
		t.Errorf("%s", raw)
	}
	if err := b.journal.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.end()
	b = openDesk(t, dir)
	b.deliveries.recall(b.journal.Recent(recalled))
	if got := heard(b); !slices.Equal(got, []string{"fibre station.own_sent"}) {
		t.Errorf("after a restart: %v", got)
	}
	for range 3 * deliveriesMost {
		b.deliveries.told(strings.Repeat("x", len(b.deliveries.names)), "c", phrase.Message{})
		b.deliveries.took(courier.Delivered{ID: "x"}, time.Now())
	}
	if len(b.deliveries.all) > deliveriesMost || len(b.deliveries.about) > aboutMost {
		t.Errorf("%d and %d", len(b.deliveries.all), len(b.deliveries.about))
	}
}
