package courier

import (
	"strings"
	"testing"
	"time"
)

const everyLink = "beidou cellular fibre mesh satellite sbd sms "

func TestAWarningGoesOnAllLinksAtOnceWhateverTheirState(t *testing.T) {
	for _, c := range []struct {
		name  string
		state func(*rig)
	}{
		{"all up", func(w *rig) {}},
		{"the fibre missed three probes", func(w *rig) {
			for range 3 {
				w.m.Probed(w.now, "fibre", false)
			}
			if w.state("fibre") != Down {
				t.Error(w.state("fibre"))
			}
		}},
		{"every bucket is empty", func(w *rig) {
			for name := range w.m.ways {
				w.m.SetBalance(w.now, name, 0, 0)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := bench(t, shipped(t), 1)
			w.open("beidou", "cellular", "fibre", "mesh", "satellite", "sbd", "sms")
			c.state(w)
			w.post(Warning, "red", 40)
			w.post(Receipt, "heard", 20, func(m *Message) { m.Urgent = true })
			w.turn()
			w.want("red", everyLink)
			w.want("heard", everyLink)
		})
	}
}

func TestAReceiptEndsAMessageOnEveryLink(t *testing.T) {
	w := bench(t, shipped(t), 1)
	w.open("beidou", "fibre", "sms")
	w.post(Warning, "red", 40)
	w.turn()
	w.m.Ack(w.now+time.Second, "sms", []Ack{{ID: "red", Via: "beidou"}})
	n := len(w.sent)
	w.now += time.Second
	w.run(2*time.Hour, all)
	if len(w.sent) != n || len(w.m.rows) != 0 {
		t.Errorf("%d parcels after the receipt, %d rows", len(w.sent)-n, len(w.m.rows))
	}
	_, done := w.m.News()
	if len(done) != 1 || done[0].Link != "beidou" || done[0].After != time.Second || done[0].Late {
		t.Errorf("%+v", done)
	}
	for name, way := range w.m.ways {
		if len(way.out) != 0 {
			t.Errorf("%s still waits for %d parcels", name, len(way.out))
		}
	}
}

func TestClassesOneToThreeTakeTheCheapestLinkThatMeetsTheDeadline(t *testing.T) {
	for _, c := range []struct {
		name     string
		class    Class
		deadline time.Duration
		open     []string
		want     string
	}{
		{"fibre is free and fast", Alarm, 5 * time.Minute, []string{"fibre", "cellular", "beidou"}, "fibre "},
		{"of free ones the faster", Command, 5 * time.Minute, []string{"beidou", "mesh"}, "beidou "},
		{"the free one is too slow", Alarm, 8 * time.Second, []string{"mesh", "satellite", "sms"}, "satellite "},
		{"none meets it: the fastest", Alarm, time.Second, []string{"mesh", "sbd"}, "sbd "},
		{"a receipt of no warning", Receipt, 10 * time.Minute, []string{"cellular", "sbd"}, "cellular "},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := bench(t, shipped(t), 1)
			w.open(c.open...)
			w.post(c.class, "x", 40, func(m *Message) { m.Deadline = c.deadline })
			w.turn()
			w.want("x", c.want)
		})
	}
}

func TestWithNoReceiptAtHalfTheDeadlineTheNextLinkIsAdded(t *testing.T) {
	w := bench(t, shipped(t), 1)
	w.open("beidou", "sms", "sbd") // none is probed: none is ever held for dead
	began := w.now
	w.post(Command, "x", 40, func(m *Message) { m.Deadline = 10 * time.Minute })
	w.run(12*time.Minute, all)
	first := map[string]time.Duration{}
	for i, p := range w.sent {
		if _, ok := first[p.Link]; !ok {
			first[p.Link] = w.at[i] - began
		}
	}
	for link, want := range map[string]time.Duration{"beidou": 0, "sms": 5 * time.Minute, "sbd": 450 * time.Second} {
		if got, ok := first[link]; !ok || got != want {
			t.Errorf("%s after %v, not %v", link, got, want)
		}
	}
}

func TestALinkThatAcceptsAndDropsEverythingLosesItsPlace(t *testing.T) {
	w := bench(t, shipped(t), 1)
	w.open("beidou", "mesh")
	for i := range 40 { // beidou swallows, mesh answers
		id := number("x", i)
		w.post(Command, id, 40)
		for range 12 {
			w.turn()
			for _, p := range w.sent[max(0, len(w.sent)-2):] {
				if p.Link == "mesh" && w.m.byID[id] != nil {
					w.m.Ack(w.now, "mesh", []Ack{{ID: id}})
				}
			}
			w.now += time.Minute
		}
	}
	w.sent = nil
	w.now += time.Hour
	w.post(Command, "last", 40)
	w.turn()
	w.want("last", "mesh ")
}

func TestOfABacklogOfAlarmsTheNewestGoesFirst(t *testing.T) {
	w := bench(t, shipped(t), 1)
	for i := range 5 {
		w.post(Alarm, number("a", i), 50)
		w.now += time.Minute
	}
	w.open("fibre")
	w.turn()
	if got := ids(w.sent[0]); got != "a004 a003 a002 a001 a000 " {
		t.Error(got)
	}
}

func TestALateBacklogDoesNotStormEveryLinkThatCosts(t *testing.T) {
	w := bench(t, shipped(t), 1)
	for i := range 20 {
		w.post(Alarm, number("a", i), 50)
	}
	w.now += 24 * time.Hour
	w.open("fibre", "sbd", "sms")
	w.turn()
	for _, p := range w.sent {
		if p.Link != "fibre" {
			t.Errorf("%s carries %s", p.Link, ids(p))
		}
	}
}

func TestTelemetryTakesTheCheapestUnmeteredLink(t *testing.T) {
	for _, c := range []struct {
		name string
		open []string
		want string
	}{
		{"fibre before the data plan", []string{"cellular", "fibre", "beidou", "sms"}, "fibre "},
		{"the data plan before the satellite", []string{"satellite", "cellular"}, "cellular "},
		{"never a link that costs by the message", []string{"sms", "sbd"}, ""},
		{"a wide link before a narrow one", []string{"beidou", "satellite"}, "satellite "},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := bench(t, shipped(t), 1)
			w.open(c.open...)
			w.post(Telemetry, "t", 300, short(60, "k"))
			w.run(20*time.Second, all)
			got := w.links("t")
			if c.want == "" && got != "" || c.want != "" && (len(got) < len(c.want) || got[:len(c.want)] != c.want) {
				t.Errorf("%q, not %q", got, c.want)
			}
		})
	}
}

func TestANarrowLinkCarriesOnlyTheNewestSummaryAndTheWholeFollowsLater(t *testing.T) {
	w := bench(t, shipped(t), 1)
	w.open("beidou")
	w.post(Telemetry, "old", 300, short(60, "k"))
	w.now += time.Minute
	w.post(Telemetry, "new", 300, short(60, "k"))
	w.post(Telemetry, "whole", 300) // no short form
	w.run(31*time.Minute, all)
	w.want("old", "")
	w.want("whole", "")
	if !w.sent[0].Parts[0].Short || ids(w.sent[0]) != "new " {
		t.Errorf("%+v", w.sent[0])
	}
	w.m.Ack(w.now, "beidou", []Ack{{ID: "new", Short: true}})
	n := len(w.sent)
	w.run(3*time.Hour, all)
	if len(w.sent) != n {
		t.Errorf("a summary that is there was sent again: %s", ids(w.sent[n]))
	}
	w.sent = nil
	w.open("fibre")
	w.run(4*time.Second, all)
	if got := ids(w.sent[0]); got != "new whole old " && got != "whole new old " {
		t.Errorf("by fibre: %s", got)
	}
}

func TestBulkGoesOnlyOnFreeLinksAndAfterEverythingElse(t *testing.T) {
	w := bench(t, shipped(t), 1)
	w.open("cellular", "satellite", "beidou", "sms", "sbd")
	w.post(Bulk, "picture", 200_000)
	w.run(time.Hour, all)
	w.want("picture", "")
	w.open("fibre")
	w.post(Telemetry, "t", 100)
	w.post(Alarm, "a", 100)
	w.now += time.Minute
	w.turn()
	if len(w.sent) == 0 || ids(w.sent[0]) != "a t " {
		t.Fatalf("%+v", w.sent)
	}
	w.want("picture", "fibre ")
}

func TestANewerMessageTakesTheOldOnesPlace(t *testing.T) {
	w := bench(t, shipped(t), 1)
	newest := func(m *Message) { m.Kind, m.Key = NewestWins, "k" }
	w.post(Telemetry, "1", 50, newest)
	w.now += time.Second
	w.post(Telemetry, "2", 50, newest)
	w.post(Bulk, "3", 50, newest) // another class is another slot
	if w.m.byID["1"] != nil || w.m.byID["2"] == nil || w.m.byID["3"] == nil {
		t.Error("rows:", len(w.m.rows))
	}
	ch := w.m.Changes()
	if l, ok := ch.Letters["1"]; !ok || l != nil || ch.Letters["2"] == nil {
		t.Errorf("%+v", ch.Letters)
	}
	// Its receipt, when it comes late, ends nothing.
	w.m.Ack(w.now, "fibre", []Ack{{ID: "1"}})
	if w.m.byID["2"] == nil || w.m.count.Stray != 1 {
		t.Error("the receipt of the old one ended the new one")
	}
}

func TestWhatIsNoMessageIsRefused(t *testing.T) {
	w := bench(t, shipped(t), 1)
	w.post(Alarm, "known", 10)
	for name, m := range map[string]Message{
		"no id":                {Payload: []byte("x")},
		"no payload":           {ID: "x"},
		"a class of its own":   {ID: "x", Class: 6, Payload: []byte("x")},
		"a newest-wins alarm":  {ID: "x", Class: Alarm, Kind: NewestWins, Key: "k", Payload: []byte("x")},
		"newest-wins, no key":  {ID: "x", Class: Telemetry, Kind: NewestWins, Payload: []byte("x")},
		"an urgent picture":    {ID: "x", Class: Bulk, Urgent: true, Payload: []byte("x")},
		"a book":               {ID: "x", Class: Bulk, Payload: make([]byte, PayloadMost+1)},
		"a long short form":    {ID: "x", Class: Telemetry, Payload: []byte("x"), Short: make([]byte, ShortMost+1)},
		"the id of another":    {ID: "known", Class: Alarm, Payload: []byte("other")},
		"a negative deadline":  {ID: "x", Class: Alarm, Deadline: -1, Payload: []byte("x")},
		"an id that never end": {ID: string(make([]byte, IDMost+1)), Payload: []byte("x")},
	} {
		if err := w.m.Post(w.now, m, 0, true); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if err := w.m.Post(w.now, w.message(Alarm, "known", 10), 0, true); err != nil || len(w.m.rows) != 1 {
		t.Errorf("said twice: %v, %d rows", err, len(w.m.rows))
	}
}

// A datagram holds some 1,150 bytes, and a signed document three times that.
func TestWhatAWideLinkCannotHoldGoesShortOrWaits(t *testing.T) {
	w := bench(t, shipped(t), 1)
	w.open("satellite")
	w.post(Alarm, "document", 3000, func(m *Message) { m.Short = make([]byte, 60) })
	w.post(Alarm, "no-short", 3000)
	w.post(Telemetry, "block", 3000)
	w.post(Telemetry, "row", 100)
	w.run(8*time.Second, all)
	for _, p := range w.sent {
		for _, x := range p.Parts {
			if x.Short != (x.ID == "document") || len(x.Bytes) > 1150 {
				t.Errorf("%s went with %d bytes, short %v", x.ID, len(x.Bytes), x.Short)
			}
		}
	}
	w.want("document", "satellite ")
	w.want("row", "satellite ")
	w.want("no-short", "")
	w.want("block", "")
	w.m.Ack(w.now, "satellite", []Ack{{ID: "document", Short: true}, {ID: "row"}})
	w.open("fibre")
	w.run(10*time.Second, all)
	w.want("document", "satellite ") // the county has what it says
	for _, id := range []string{"no-short", "block"} {
		if !strings.HasPrefix(w.links(id), "fibre ") {
			t.Errorf("%s went by %q", id, w.links(id))
		}
	}
}
