package station

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/book"
	"tocsin/firmware/decide/command"
	"tocsin/firmware/guard"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/trust"
)

// A box that ran from memory for a while obeys nothing again when its disk is back.
func TestWhatWasObeyedInMemoryIsNotObeyedAgainFromTheDisk(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	first, second := newOffice(t, w)
	county := &desk{w: w, keys: []trust.Signer{first.key, second.key}}
	disk, memory := w.data, filepath.Join(w.dir, "in-memory")

	w.start()
	before := county.sign(command.Payload{Scope: command.Volume, Volume: 50})
	wantedVerdict{accepted: true}.check(t, "of before", w.ordered(before))
	w.halt()

	w.data = memory // its partition breaks, and it starts from nothing
	w.start()
	volume := county.sign(command.Payload{Scope: command.Volume, Volume: 80})
	sound := county.sign(command.Payload{Scope: command.Sound, Level: "evacuate", Outputs: []string{"siren"}, Seconds: 600})
	wantedVerdict{accepted: true}.check(t, "the volume", w.ordered(volume))
	wantedVerdict{accepted: true}.check(t, "the sounding", w.ordered(sound))
	stop := county.sign(command.Payload{Scope: command.Stop, Cause: w.warning("evacuate", "raised").ID})
	wantedVerdict{accepted: true}.check(t, "the stop", w.ordered(stop))
	w.warning("", "released")
	red := first.says(warning{})
	w.warnedBy(red)
	w.warning("evacuate", "raised")
	w.warnedBy(first.says(warning{msgType: "Cancel", refers: []string{red.ref}}))
	w.until("both are lifted", func() bool {
		all := w.warnings()
		return len(all) == 2 && all[0].State == "released" && all[1].State == "released"
	})
	w.halt()

	w.data = filepath.Join(w.dir, "in-memory-2") // it breaks again before it was used
	w.start()
	later := county.sign(command.Payload{Scope: command.Volume, Volume: 60})
	wantedVerdict{accepted: true}.check(t, "the second time in memory", w.ordered(later))
	w.halt()

	// Once with what was kept in memory beside the disk, then without.
	both := memory + string(filepath.ListSeparator) + w.data
	w.data = disk
	for _, w.memory = range []string{both, ""} {
		w.start()
		for what, b := range map[string][]byte{"of before": before, "the volume": volume, "the sounding": sound, "the stop": stop, "the second time in memory": later} {
			wantedVerdict{says: "cannot be used again"}.check(t, what, w.ordered(b))
		}
		w.warnedBy(red)
		time.Sleep(time.Second)
		if all := w.warnings(); len(all) != 0 {
			t.Errorf("what was lifted in memory stands again: %+v", all)
		}
		if v := w.house.Load().volume.Load(); v != 60 {
			t.Errorf("the volume is %d", v)
		}
		wantedVerdict{accepted: true}.check(t, "a new one", county.orders(command.Payload{Scope: command.Stop}))
		w.halt()
	}
}

func jsonOf(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOfWhatWasKeptInMemoryNothingGoesBackAndNothingElseIsTaken(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second)
	key := func(group string) trust.CounterKey { return trust.CounterKey{Issuer: "county", Key: "k", Group: group} }
	orders := func(volume int, floor time.Time, counts ...trust.CounterCount) []byte {
		return jsonOf(t, ordersKept{Version: 1, Volume: volume, Counters: trust.CounterState{Version: 1, Counts: counts, Floors: []trust.IssuerFloor{{Issuer: "county", At: floor}}}})
	}
	entry := func(id string, s book.State) []byte {
		return jsonOf(t, book.Entry{ID: id, Ref: alert.Ref{Identifier: id}, State: s})
	}
	window := func(taken ...uint64) []byte {
		var x wire.Window
		for _, n := range taken {
			if err := x.Take(n); err != nil {
				t.Fatal(err)
			}
		}
		return jsonOf(t, x.Snapshot())
	}
	heard := func(taken ...uint64) []byte {
		var x letter.Window
		for _, n := range taken {
			x.Accept(n)
		}
		return x.Bytes()
	}
	release := func(number uint64, issued time.Time) []byte {
		return jsonOf(t, updateOrder{Number: number, Issued: issued, State: orderWaits})
	}
	own := map[string][]byte{
		keyOrders:              orders(50, now, trust.CounterCount{CounterKey: key("a"), Highest: 9, Seen: 1}, trust.CounterCount{CounterKey: key("b"), Highest: 100, Seen: 1}),
		keyAlert + "stands":    entry("stands", book.InForce),
		keyAlert + "ended":     entry("ended", book.Cancelled),
		keyAlert + "same":      entry("same", book.InForce),
		keyAlert + "held":      entry("held", book.Unverified),
		keyUpdateOrder:         release(14, now),
		"narrow/p/up/sent":     []byte("5000"),
		"narrow/q/up/sent":     []byte("9000"),
		"narrow/p/down/heard/": window(3),
		"datagrams/s/sent":     []byte("70"),
		"datagrams/s/heard/x":  heard(5),
		keyAlarms:              []byte("disk"),
	}
	other := map[string][]byte{
		keyOrders:              orders(80, now.Add(time.Hour), trust.CounterCount{CounterKey: key("a"), Highest: 12, Seen: 1}, trust.CounterCount{CounterKey: key("b"), Highest: 99, Seen: 1}, trust.CounterCount{CounterKey: key("c"), Highest: 1, Seen: 1}),
		keyAlert + "stands":    entry("stands", book.Cancelled),
		keyAlert + "ended":     entry("ended", book.InForce),
		keyAlert + "same":      entry("same", book.InForce),
		keyAlert + "held":      entry("held", book.InForce),
		keyAlert + "new":       entry("new", book.Expired),
		keyAlert + "false":     entry("another", book.InForce),
		keyUpdateOrder:         release(0, now.Add(time.Minute)),
		"narrow/p/up/sent":     []byte("6000"),
		"narrow/q/up/sent":     []byte("8000"),
		"narrow/p/down/heard/": window(7),
		"narrow/r/down/heard/": []byte("{"),
		"narrow/r/up/sent":     []byte("281474976710656"),
		"datagrams/s/sent":     []byte("71"),
		"datagrams/s/heard/x":  heard(9),
		"datagrams/s/heard/y":  []byte("x"),
		keyAlarms:              []byte("memory"),
		keyHalted:              []byte("memory"),
		"setpoints":            []byte("memory"),
	}
	got := carried(own, other, true)
	var names []string
	for k := range got {
		names = append(names, k)
	}
	for _, k := range []string{keyOrders, keyAlert + "stands", keyAlert + "held", keyAlert + "new", keyUpdateOrder, "narrow/p/up/sent", "narrow/p/down/heard/", "datagrams/s/sent", "datagrams/s/heard/x"} {
		if got[k] == nil {
			t.Errorf("%s is not carried over", k)
		}
	}
	if len(names) != 9 {
		t.Errorf("carried over: %q", names)
	}
	k, err := readOrders(got[keyOrders])
	c := newCounters()
	if err == nil {
		err = c.Restore(k.Counters)
	}
	if err != nil || k.Volume != 80 || !c.Floor("county").Equal(now.Add(time.Hour)) {
		t.Errorf("%s: %v", got[keyOrders], err)
	}
	for _, x := range []struct {
		group string
		n     uint64
		free  bool
	}{{"a", 9, false}, {"a", 10, true}, {"a", 12, false}, {"b", 99, false}, {"b", 100, false}, {"c", 1, false}, {"c", 2, true}} {
		if _, err := c.Reserve(key(x.group), x.n); (err == nil) != x.free {
			t.Errorf("number %d of group %s: %v", x.n, x.group, err)
		}
	}
	if s := string(got["narrow/p/up/sent"]) + " " + string(got["datagrams/s/sent"]); s != "6000 71" {
		t.Error(s)
	}
	var s wire.WindowState
	var narrow wire.Window
	if err := json.Unmarshal(got["narrow/p/down/heard/"], &s); err != nil || narrow.Restore(s) != nil || !narrow.Has(3) || !narrow.Has(7) || narrow.Has(5) {
		t.Errorf("%s", got["narrow/p/down/heard/"])
	}
	if wide, ok := letter.ReadWindow(got["datagrams/s/heard/x"]); !ok || wide.Newest() != 9 || wide.Accept(5) || wide.Accept(9) || !wide.Accept(7) {
		t.Error("what was heard over datagrams")
	}
	// Taken once more it changes nothing, and the other way round neither.
	after := map[string][]byte{}
	for _, m := range []map[string][]byte{own, got} {
		for k, v := range m {
			after[k] = v
		}
	}
	for what, again := range map[string]map[string][]byte{"again": carried(after, other, true), "the disk's of before": carried(after, own, false)} {
		for k, v := range again {
			if string(v) != string(after[k]) {
				t.Errorf("%s changes %s from %s to %s", what, k, after[k], v)
			}
		}
	}
}

func TestTheClocksFloorIsTheLaterOfTheDisksAndThatInMemory(t *testing.T) {
	early := time.Now().UTC().Add(-48 * time.Hour).Truncate(time.Second)
	late := early.Add(24 * time.Hour)
	for what, c := range map[string]struct{ disk, memory, want time.Time }{
		"in memory": {early, late, late}, "the disk's": {late, early, late}, "damaged": {early, time.Time{}, early},
	} {
		h := &House{log: slog.New(slog.DiscardHandler), o: Opts{Data: t.TempDir(), Memory: t.TempDir()}}
		h.guard = guard.New(t.Context(), h.log, nil)
		for dir, at := range map[string]time.Time{h.o.Data: c.disk, h.o.Memory: c.memory} {
			if at.IsZero() {
				continue
			}
			if err := clock.SaveFloor(dir, at); err != nil {
				t.Fatal(err)
			}
		}
		if c.memory.IsZero() {
			if err := os.WriteFile(filepath.Join(h.o.Memory, "clock.floor"), []byte("2099"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		h.o.Memory = t.TempDir() + string(filepath.ListSeparator) + h.o.Memory // one without, before it
		if h.startClock(); !h.clock.Floor().Equal(c.want) && BuildTime().Before(c.want) {
			t.Errorf("%s: the floor is %s, not %s", what, h.clock.Floor(), c.want)
		}
	}
}

// However much there is, no more is carried over than a book keeps, and nothing foreign.
func TestWhatIsCarriedOverIsBounded(t *testing.T) {
	other := map[string][]byte{keyOrders: []byte(`{"version":2}`), keyBeacons: []byte(strings.Repeat("x", 2<<20)), keyUpdateOrder: []byte(`{}`)}
	for n := range carriedAlerts + 500 {
		id := fmt.Sprint(n)
		other[keyAlert+id] = jsonOf(t, book.Entry{ID: id, State: book.InForce})
	}
	got := carried(map[string][]byte{keyBeacons: []byte(`{"version":1}`)}, other, true)
	// What cannot be joined is named, and has no value.
	for _, k := range []string{keyOrders, keyBeacons} {
		if b, ok := got[k]; !ok || b != nil {
			t.Errorf("%s: %q, %v", k, b, ok)
		}
		delete(got, k)
	}
	if len(got) != carriedAlerts {
		t.Errorf("%d values", len(got))
	}
}

func FuzzCarried(f *testing.F) {
	f.Add(keyOrders, []byte(`{"version":1,"counters":{"version":1,"counts":[{"issuer":"a","key":"b","group":"c","highest":3,"seen":1}],"floors":[]}}`), []byte(`{"version":1,"counters":{"version":1}}`))
	f.Add(keyAlert+"x", []byte(`{"id":"x","state":"in_force"}`), []byte(`{"id":"x","state":"cancelled"}`))
	f.Add(keyBeacons, []byte(`{"version":1,"stations":{"12":{"newest":"2026-06-07T22:40:00Z","digests":["AAAA"]},"13":null}}`), []byte(`{"version":1,"stands":[{"number":12}]}`))
	f.Add(keyUpdateOrder, []byte(`{"issued":"2026-06-07T22:40:00Z"}`), []byte(`{}`))
	f.Add(keyOrders, []byte("{"), []byte(`{"version":1,"counters":{"version":1}}`))
	f.Add("narrow/p/up/sent", []byte("5000"), []byte("1000"))
	f.Add("narrow/p/down/heard/x", []byte(`{"version":1,"highest":7,"seen":[1,0,0,0]}`), []byte(`{"version":1,"highest":9,"seen":[1,0,0,0]}`))
	var w letter.Window
	w.Accept(7)
	f.Add("datagrams/s/heard/x", w.Bytes(), []byte(nil))
	f.Fuzz(func(t *testing.T, key string, own, other []byte) {
		first := carried(map[string][]byte{key: own}, map[string][]byte{key: other}, true)
		b, ok := first[key]
		if !ok {
			return
		}
		if again, ok := carried(map[string][]byte{key: b}, map[string][]byte{key: other}, true)[key]; ok && string(again) != string(b) {
			t.Fatalf("%s: taken once more %q becomes %q", key, b, again)
		}
	})
}
