package station

import (
	"strings"
	"testing"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/update"
)

func TestARollBackIsToldOnceAndKeptOverAStart(t *testing.T) {
	dir := t.TempDir()
	h := modelHouse(t, dir)
	h.build()
	<-h.journal.Loaded()
	h.show()
	failed := &update.Release{Version: "1.3", Number: 13}
	h.outcome(wire.UpdateTrial, failed, phrase.M("update.told_trial", "version", "1.3", "who", "王工", "within", 0))
	// The boot loader took it back: only the selector knows.
	s := update.State{Reason: phrase.M("update.tries", "tries", 3), Failed: failed}
	told := func() *updateTold { return h.updates.told.Load() }
	h.recallOutcome(s)
	first := told()
	if first.Outcome != "back" || first.Number != 13 || !strings.Contains(first.Why.In(phrase.EN), "never stood watch") {
		t.Fatalf("%+v", first)
	}
	if h.recallOutcome(s); told() != first {
		t.Fatal("told at every start")
	}
	// Another one that fails is told again.
	if h.recallOutcome(update.State{Reason: s.Reason, Failed: &update.Release{Version: "1.4", Number: 14}}); told().Number != 14 {
		t.Fatal("a second failure is not told")
	}
	name := wire.Name{Outbox: 1, Seq: 2}
	b := first.short(wire.UpdateBack)(name)
	if len(b) == 0 || len(b) > alarmBytes {
		t.Fatalf("%d bytes for a narrow link", len(b))
	}
	i, ok := shortItem(courier.Part{ID: name.String(), Class: courier.Receipt, Short: true, Bytes: b})
	if u, err := wire.ReadUpdate(i.Bytes); !ok || i.Type != wire.ItemUpdate || err != nil || u.Version != "1.3" || u.Text == "" {
		t.Fatalf("%+v %+v %v", i, u, err)
	}
	receipt, err := wire.AppendReceipts(nil, wire.About{Digest: 5}, []wire.ReceiptOf{{Station: 7, Progress: wire.Progress{Stage: wire.Heard}}})
	if err != nil {
		t.Fatal(err)
	}
	if i, ok := shortItem(courier.Part{ID: name.String(), Class: courier.Receipt, Short: true, Bytes: receipt}); !ok || i.Type != wire.ItemReceipts {
		t.Fatalf("a receipt became %v", i.Type)
	}
}
