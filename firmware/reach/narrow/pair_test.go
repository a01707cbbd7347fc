package narrow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/reach/wire"
)

// disk keeps what was put, for several ends and over their lives. bad makes it refuse.
type disk struct {
	mu   sync.Mutex
	kept map[string][]byte
	bad  bool
	puts int
}

func newDisk() *disk { return &disk{kept: map[string][]byte{}} }

func (d *disk) Get(key string) ([]byte, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, ok := d.kept[key]
	return bytes.Clone(b), ok
}

func (d *disk) Put(ctx context.Context, key string, value []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bad {
		return errors.New("the disk is dead")
	}
	d.puts++
	d.kept[key] = bytes.Clone(value)
	return nil
}

// copy is what a disk has now.
func (d *disk) copy() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &disk{kept: maps.Clone(d.kept)}
}

const (
	stationCard = "4207733"
	hubCard     = "179773"
)

func keys(t testing.TB, seed byte, epochs ...uint32) (all []*wire.Keys) {
	t.Helper()
	for _, e := range epochs {
		k, err := wire.NewKeys(bytes.Repeat([]byte{seed}, wire.RootSize), "441881102", e)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, k)
	}
	return all
}

func end(t testing.TB, d wire.Direction, k []*wire.Keys, keep Keep, change ...func(*Opts)) *End {
	t.Helper()
	o := Opts{Link: "beidou", Direction: d, Keys: k, Self: "0" + stationCard, Peer: "0" + hubCard, Keep: keep, AskAfter: time.Minute}
	if d == wire.Down {
		o.Self, o.Peer = hubCard, stationCard
	}
	for _, f := range change {
		f(&o)
	}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func pair(t testing.TB) (station, hub *End) {
	k := keys(t, 1, 1)
	return end(t, wire.Up, k, newDisk()), end(t, wire.Down, k, newDisk())
}

func part(id string, c wire.Class, typ wire.ItemType, n int) Part {
	return Part{ID: id, Class: c, Item: wire.Item{Type: typ, Bytes: bytes.Repeat([]byte(id[:1]), n)}}
}

func pack(t testing.TB, e *End, most int, parts ...Part) []Frame {
	t.Helper()
	frames, err := e.Pack(t.Context(), most, parts)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if len(f.Bytes) > most {
			t.Fatalf("a message of %d bytes where %d fit", len(f.Bytes), most)
		}
	}
	return frames
}

func hear(t testing.TB, e *End, from string, f Frame) Result {
	t.Helper()
	r, err := e.Hear(t.Context(), f.Bytes, from, 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPartsGoTogetherArriveOnceAndAreAcknowledgedWhenKept(t *testing.T) {
	station, hub := pair(t)
	parts := []Part{part("a", wire.Receipt, wire.ItemReceipts, 10), part("b", wire.Alarm, wire.ItemAlarm, 30), part("c", wire.Telemetry, wire.ItemTelemetry, 19), part("d", wire.Telemetry, wire.ItemTelemetry, 19)}
	frames := pack(t, station, 78, parts...)
	if len(frames) != 2 || fmt.Sprint(frames[0].IDs, frames[1].IDs) != "[a b c] [d]" || frames[0].Class != wire.Receipt || len(frames[0].Bytes) != 11+3*2-1+59 {
		t.Fatalf("%d messages: %v", len(frames), frames)
	}
	var items []wire.Item
	for i, f := range frames {
		r := hear(t, hub, "004207733", f)
		items = append(items, r.Heard[0].Items...)
		if hub.AckDue() != i {
			t.Error("acknowledged before it was kept")
		}
		if again, err := hub.Hear(t.Context(), f.Bytes, stationCard, 0); !wire.Replayed(err) || len(again.Heard) != 0 {
			t.Errorf("taken twice: %v %v", again, err)
		}
		hub.Kept(r.Heard[0].Counter)
	}
	for i, x := range items {
		if x.Type != parts[i].Item.Type || !bytes.Equal(x.Bytes, parts[i].Item.Bytes) {
			t.Errorf("%v came as %v", parts[i], x)
		}
	}
	// They ride along with what goes down.
	down := pack(t, hub, 78, part("cmd", wire.Command, wire.ItemCommand, 20))
	if r := hear(t, station, hubCard, down[0]); fmt.Sprint(r.Acked) != "[a b c d]" || len(r.Heard) != 1 || hub.AckDue() != 0 {
		t.Errorf("%+v", r)
	}
}
