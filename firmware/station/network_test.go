package station

import (
	"fmt"
	"testing"
	"time"

	"tocsin/firmware/serve/api"
)

func TestAChangeOfTheNetworkIsConfirmedOnlyOnceTheBoardHasIt(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.bench = t.TempDir()
	w.start()
	w.until("the revisions", func() bool { var r api.RevisionText; return w.get("/config/revisions/0", &r) == nil })
	ask := map[string]any{"base": w.base().Number, "interface": "eth0", "address": "192.168.8.20/24", "why": "x", "session": "12345678", "within_ns": time.Minute, "who": "王工"}
	held := func() bool {
		n, err := w.house.Load().Network()
		if err != nil {
			t.Fatal(err)
		}
		return n.Interfaces[0].Addresses[0] == "192.168.8.20/24"
	}
	// The change waits until it was answered: whoever confirms in that time is still at the old address.
	var r api.Revision
	if code := w.asks("/network", ask, &r); code != "" || r.Trial == nil {
		t.Fatalf("%s %+v", code, r)
	}
	yes := func() (code string, after bool) {
		code = w.asks(fmt.Sprintf("/config/revisions/%d/confirm", r.Number), map[string]string{"who": "王工", "session": "12345678"}, nil)
		return code, held()
	}
	if code, after := yes(); code != "revision.early" || after {
		t.Fatalf("confirmed before the board had it: %q, it has it: %v", code, after)
	}
	w.until("it is confirmed", func() bool {
		code, after := yes()
		if code == "" && !after || code != "" && code != "revision.early" {
			t.Fatalf("%q, the board has it: %v", code, after)
		}
		return code == ""
	})
	if r := w.base(); r.Trial != nil {
		t.Errorf("%+v", r)
	}
}
