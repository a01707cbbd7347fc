package narrow

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/reach/wire"
)

// FuzzHear brings an end what is on the air as it is, and as the content of messages that its peer sealed.
func FuzzHear(f *testing.F) {
	k := keys(f, 1, 2, 1)
	n := uint64(0)
	f.Add([]byte{0x8C, 0, 1}, byte(3), byte(0), wire.AppendItem(nil, wire.Item{Type: wire.ItemMore, Bytes: wire.MoreRequest{Class: 3, Group: 1, Count: 3}.Bytes()}, true))
	f.Add([]byte{}, byte(2), byte(2), wire.Ack{Base: 1, More: 7}.Append(nil))
	f.Add([]byte{0x80}, byte(0), byte(1), []byte{0, 0x81, 1, 2, 3})
	f.Add([]byte{0x90}, byte(1), byte(0), wire.AppendItem(nil, wire.Item{Type: wire.ItemEpoch, Bytes: []byte{0, 0, 0, 2}}, true))
	f.Fuzz(func(t *testing.T, raw []byte, class, kind byte, content []byte) {
		hub := end(t, wire.Down, k, newDisk())
		if _, err := hub.Pack(t.Context(), 40, []Part{long("x", wire.Alarm, 100, 1), part("y", wire.Command, wire.ItemCommand, 9)}); err != nil {
			t.Fatal(err)
		}
		if r, err := hub.Hear(t.Context(), raw, stationCard, 0); err == nil || len(r.Heard)+len(r.Acked)+len(r.Send) > 0 {
			t.Fatalf("%x was taken", raw)
		}
		n++
		s := wire.Sender{Keys: k[n%2], Direction: wire.Up, Hidden: wire.HideCommands}
		for i := range uint64(3) {
			b, err := s.SealAs(n*4+i, wire.Message{Class: wire.Class(class % 6), Kind: wire.Kind(kind % 4), Content: content[min(int(i), len(content)):]}, stationCard)
			if err != nil {
				return
			}
			r, _ := hub.Hear(t.Context(), b, stationCard, time.Duration(i)*time.Hour)
			if again, err := hub.Hear(t.Context(), b, stationCard, 0); !wire.Replayed(err) || len(again.Heard)+len(again.Send) > 0 {
				t.Fatalf("%x was taken twice", b)
			}
			if len(r.Heard) > 1 || len(r.Acked) > 2 || len(r.Send) > 2*wire.ShardsMost*wire.ItemsMost {
				t.Fatalf("one message gives %+v", r)
			}
			for _, h := range r.Heard {
				hub.Kept(h.Counter)
			}
		}
		hub.Ask(t.Context(), 78, 24*time.Hour)
		hub.Acks(t.Context(), 78)
	})
}

// FuzzRestore reads what a disk gives back: an end that is made of it never takes what came before.
func FuzzRestore(f *testing.F) {
	k := keys(f, 1, 1)
	base := "narrow/" + k[0].Pair
	var w wire.Window
	for _, c := range []uint64{1, 3, 300} {
		w.Take(c)
	}
	b, err := json.Marshal(w.Snapshot())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, []byte("3000"), stationCard)
	f.Add([]byte("{}"), []byte("281474976710655"), "!A1B2")
	f.Add([]byte(`{"version":1,"highest":281474976710655,"seen":[1]}`), []byte("0"), "00")
	f.Fuzz(func(t *testing.T, window, counter []byte, name string) {
		if OnLink(OnLink(name)) != OnLink(name) {
			t.Fatalf("%q is written in two ways", name)
		}
		d := newDisk()
		d.kept[base+"/up/heard/"+stationCard], d.kept[base+"/down/sent"] = window, counter
		hub, err := New(Opts{Link: "x", Direction: wire.Down, Keys: k, Self: hubCard, Peer: stationCard, Keep: d})
		if err != nil {
			return
		}
		was := hub.rx.Window.Snapshot()
		frames, err := hub.Pack(t.Context(), 78, []Part{part("a", wire.Alarm, wire.ItemAlarm, 9)})
		if err == nil {
			open := wire.Receiver{Keys: k, Direction: wire.Down, Window: &wire.Window{}}
			reserved := hub.o.Counters.upTo[base+"/down/sent"]
			if open.Window.Take(max(1, reserved-wire.CounterBlock)); reserved > 0 {
				if m, err := open.Open(frames[0].Bytes, hubCard); err == nil && m.Counter > reserved {
					t.Fatalf("the counter %d where %d are reserved", m.Counter, reserved)
				}
			}
		}
		if got := hub.rx.Window.Snapshot(); got != was {
			t.Fatal("sending changed what was heard")
		}
	})
}

// FuzzMerge joins what was kept in two places: no number goes back, and nothing that either has heard is new.
func FuzzMerge(f *testing.F) {
	f.Add("p/up/sent", []byte("5000"), []byte("6000"))
	f.Add("p/up/sent", []byte(""), []byte("281474976710655"))
	f.Add("p/up/sent", []byte("-1"), []byte("18446744073709551615"))
	f.Add("p/down/heard/x", []byte(`{"version":1,"highest":7,"seen":[5,0,0,0]}`), []byte(`{"version":1,"highest":300,"seen":[1,0,0,8]}`))
	f.Add("p/down/heard/x", []byte(nil), []byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, key string, own, other []byte) {
		window := func(b []byte) (w wire.Window, ok bool) {
			var s wire.WindowState
			return w, json.Unmarshal(b, &s) == nil && w.Restore(s) == nil
		}
		got := Merge(key, own, other)
		if got == nil {
			return
		}
		if strings.HasSuffix(key, "/sent") {
			n, err := strconv.ParseUint(string(got), 10, 48)
			if m, e := strconv.ParseUint(string(own), 10, 48); err != nil || e == nil && m >= n || e != nil && len(own) > 0 {
				t.Fatalf("%q and %q are %q", own, other, got)
			}
			return
		}
		joined, ok := window(got)
		if !ok {
			t.Fatalf("%q and %q are %q", own, other, got)
		}
		for _, b := range [][]byte{own, other} {
			w, ok := window(b)
			if !ok {
				continue
			}
			high := w.Snapshot().Highest
			for d := range uint64(wire.WindowSize + 3) {
				if n := high - d; n <= high && w.Has(n) && !joined.Has(n) {
					t.Fatalf("%d is new to %s, and not to %s", n, got, b)
				}
			}
		}
	})
}
