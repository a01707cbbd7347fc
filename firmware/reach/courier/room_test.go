package courier

import (
	"errors"
	"testing"
	"time"

	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
)

// small makes an outbox of a hundred rows.
func small(t testing.TB) *Rules {
	r := *shipped(t)
	r.Outbox = Caps{Rows: 100, Bytes: 1 << 20, Warnings: 0.1}
	return &r
}

func TestAFullOutboxDropsBulkThenTheOldestTelemetry(t *testing.T) {
	w := bench(t, small(t), 1, "fibre")
	for i := range 50 {
		w.post(Telemetry, number("t", i), 50)
		w.post(Bulk, number("b", i), 50)
		w.now += time.Second
	}
	for i := range 60 {
		w.post(Alarm, number("a", i), 50)
	}
	if n := w.m.count.Dropped; n[Bulk] != 50 || n[Telemetry] != 10 || len(w.m.rows) != 100 {
		t.Errorf("dropped %v, %d rows", n, len(w.m.rows))
	}
	for i, kept := range map[int]bool{0: false, 9: false, 10: true, 49: true} {
		if (w.m.byID[number("t", i)] != nil) != kept {
			t.Errorf("t%03d: kept is not %v", i, kept)
		}
	}
	for id, l := range w.m.Changes().Letters {
		if (l == nil) != (w.m.byID[id] == nil) {
			t.Errorf("%s in the file is not what is in RAM", id)
		}
	}
}

func TestAnUndeliveredMessageOfClassesZeroToThreeIsNeverDropped(t *testing.T) {
	w := bench(t, small(t), 1, "fibre")
	for i := range 100 {
		w.post(Class(1+i%3), number("x", i), 50)
	}
	full := func(c Class, id string) bool {
		err := w.m.Post(w.now, w.message(c, id, 50), 0, true)
		var e *phrase.Error
		return errors.As(err, &e) && e.Code == "courier.full"
	}
	for _, c := range []Class{Command, Receipt, Alarm, Telemetry, Bulk} {
		if !full(c, "late") {
			t.Errorf("%v was taken", c)
		}
	}
	if len(w.m.rows) != 100 {
		t.Errorf("%d rows", len(w.m.rows))
	}
	for i := range 10 { // the room that is kept for warnings
		w.post(Warning, number("red", i), 50)
	}
	if !full(Warning, "one more") {
		t.Error("the outbox has no bound")
	}
	w.open("fibre")
	w.turn()
	if len(w.sent) == 0 || w.sent[0].Parts[0].ID != "red009" && w.sent[0].Parts[0].Class != Warning {
		t.Error("the newest warning does not go first")
	}
}

func TestOnlyBulkExpires(t *testing.T) {
	w := bench(t, shipped(t), 1, "beidou")
	for c := range Class(classes) {
		w.post(c, c.String(), 50)
	}
	if err := w.m.Post(w.now, w.message(Bulk, "undated", 50), 0, false); err != nil {
		t.Fatal(err)
	}
	w.now += 10 * 365 * 24 * time.Hour
	w.turn()
	if len(w.m.rows) != classes || w.m.byID["bulk"] != nil || w.m.byID["undated"] == nil {
		t.Errorf("%d rows", len(w.m.rows))
	}
}

func TestAMessageOfAnEarlierBootGoesOnWhereItWas(t *testing.T) {
	w := bench(t, shipped(t), 1)
	w.open("beidou", "fibre", "sms")
	w.post(Warning, "red", 40)
	w.post(Receipt, "heard", 40, func(m *Message) { m.Urgent = true })
	w.post(Telemetry, "t", 200, short(30, "k"))
	w.post(Bulk, "b", 50, func(m *Message) { m.Kind, m.Key = NewestWins, "picture" })
	w.turn()
	ch := w.m.Changes()
	v := bench(t, shipped(t), 2)
	v.now = time.Second // a new boot
	var ls []journal.Letter
	for _, l := range ch.Letters {
		ls = append(ls, *l)
	}
	if unread := v.m.Restore(v.now, ls, func(*journal.Letter) (time.Duration, bool) { return time.Minute, true }); unread != nil {
		t.Errorf("unread: %v", unread)
	}
	for id, r := range v.m.byID {
		was := w.m.byID[id]
		if r.Class != was.Class || r.Kind != was.Kind || r.Key != was.Key || r.Urgent != was.Urgent || r.Deadline != was.Deadline ||
			string(r.Payload) != string(was.Payload) || string(r.Short) != string(was.Short) || r.born != v.now-time.Minute {
			t.Errorf("%+v came back as %+v", was, r)
		}
	}
	if len(v.m.rows) != 4 {
		t.Errorf("%d rows", len(v.m.rows))
	}
	if n := v.m.byID["red"].try("sms").n; n != 1 {
		t.Errorf("the paid try is forgotten: %d", n)
	}
}

func TestALetterThatMakesNoSenseIsToldAndDoesNotStopTheOthers(t *testing.T) {
	w := bench(t, shipped(t), 1)
	unread := w.m.Restore(w.now, []journal.Letter{
		{ID: "strange", Class: 9, Payload: []byte("x")},
		{ID: "tries", Class: 0, Payload: []byte("x"), Tries: []byte("?")},
		{ID: "good", Class: 3, Payload: []byte("x")},
	}, func(*journal.Letter) (time.Duration, bool) { return 0, false })
	if len(unread) != 2 || len(w.m.rows) != 2 {
		t.Errorf("unread %v, %d rows", unread, len(w.m.rows))
	}
	w.open("fibre")
	w.turn()
	w.want("tries", "fibre ")
}
