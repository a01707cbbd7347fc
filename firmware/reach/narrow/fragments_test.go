package narrow

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"tocsin/firmware/reach/wire"
)

func noise(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 3))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func long(id string, c wire.Class, n int, seed uint64) Part {
	return Part{ID: id, Class: c, Item: wire.Item{Type: wire.ItemText, Bytes: noise(n, seed)}}
}

func TestParityIsAsManyAsTheLossAsksFor(t *testing.T) {
	// The domain note's table: at 5 % loss 4 need 3, 8 need 4, 16 need 5; at 20 % 16 need 13.
	for _, c := range []struct {
		k    int
		loss float64
		want int
	}{{4, 0.05, 3}, {8, 0.05, 4}, {16, 0.05, 5}, {16, 0.2, 13}, {4, 0, 0}, {4, -1, 0}, {4, 1, 16}, {1, 0.001, 0}} {
		if got := Parity(c.k, c.loss, 0.999); got != c.want {
			t.Errorf("%d at %v need %d, not %d", c.k, c.loss, got, c.want)
		}
	}
}

func TestALongContentComesFromAnyOfItsFragmentsOnceAndAnyOfThemIsAcknowledged(t *testing.T) {
	for drop := range 4 {
		station, hub := pair(t)
		p := long("long", wire.Alarm, 200, 1)
		frames := pack(t, station, 78, p)
		if len(frames) != 4+3 {
			t.Fatalf("%d fragments", len(frames))
		}
		frames = append(frames[:drop:drop], frames[drop+1:]...)
		given := 0
		for i, f := range frames {
			r := hear(t, hub, stationCard, f)
			for _, h := range r.Heard {
				given++
				if i != 3 || len(h.Items) != 1 || !bytes.Equal(h.Items[0].Bytes, p.Item.Bytes) || h.Class != wire.Alarm {
					t.Fatalf("after %d: %+v", i, h)
				}
				hub.Kept(h.Counter)
			}
		}
		if given != 1 || hub.AckDue() != 3 {
			t.Fatalf("given %d times, %d acknowledgements due: the two that came late, and the one that made it whole", given, hub.AckDue())
		}
		ack, ok, err := hub.Acks(t.Context(), 78)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		if r := hear(t, station, hubCard, ack); fmt.Sprint(r.Acked) != "[long]" || len(r.Heard) != 0 {
			t.Errorf("%+v", r)
		}
	}
}

func TestALateFragmentOfWhatWasNotKeptIsNotAcknowledged(t *testing.T) {
	station, hub := pair(t)
	frames := pack(t, station, 78, long("long", wire.Alarm, 200, 1))
	for _, f := range frames {
		hear(t, hub, stationCard, f) // and the caller's disk is dead
	}
	if _, err := hub.Hear(t.Context(), frames[3].Bytes, stationCard, 0); !wire.Replayed(err) {
		t.Fatal(err)
	}
	if hub.AckDue() != 0 {
		t.Error("what nobody kept is acknowledged")
	}
}

func TestALongContentThatWasNotKeptIsGivenWhenItComesAgain(t *testing.T) {
	station, hub := pair(t)
	p := long("long", wire.Alarm, 200, 1)
	for _, f := range pack(t, station, 78, p)[:4] {
		hear(t, hub, stationCard, f) // and the caller is busy
	}
	given := 0
	for _, f := range pack(t, station, 78, p) { // the sender's patience is over
		for _, h := range hear(t, hub, stationCard, f).Heard {
			given++
			if len(h.Items) != 1 || !bytes.Equal(h.Items[0].Bytes, p.Item.Bytes) {
				t.Fatalf("%+v", h)
			}
			hub.Kept(h.Counter)
		}
	}
	if given != 1 {
		t.Errorf("given %d times", given)
	}
	ack, ok, err := hub.Acks(t.Context(), 78)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if r := hear(t, station, hubCard, ack); fmt.Sprint(r.Acked) != "[long]" {
		t.Errorf("%+v", r)
	}
}

func TestWhatIsLackingIsAskedForAndAnsweredByOtherFragments(t *testing.T) {
	station, hub := pair(t)
	p := long("long", wire.Telemetry, 300, 1) // 5 data and some parity
	frames := pack(t, station, 78, p)
	for _, f := range frames[:3] {
		hear(t, hub, stationCard, f)
	}
	if f, ok, _ := hub.Ask(t.Context(), 78, 59*time.Second); ok {
		t.Fatalf("asked too early: %v", f)
	}
	ask, ok, err := hub.Ask(t.Context(), 78, time.Minute)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, ok, _ := hub.Ask(t.Context(), 78, 90*time.Second); ok {
		t.Error("asked twice in a minute")
	}
	r := hear(t, station, hubCard, ask)
	if len(r.Send) < 2 || len(r.Heard) != 0 || station.AckDue() != 0 {
		t.Fatalf("%+v", r)
	}
	for i, f := range r.Send[:2] {
		if got := hear(t, hub, stationCard, f); (len(got.Heard) == 1) != (i == 1) {
			t.Errorf("%d: %+v", i, got)
		}
	}
	if _, ok, _ := hub.Ask(t.Context(), 78, time.Hour); ok {
		t.Error("asked for what is there")
	}
}

func TestNobodyAsksForEver(t *testing.T) {
	station, hub := pair(t)
	hear(t, hub, stationCard, pack(t, station, 78, long("long", wire.Alarm, 200, 1))[0])
	asks := 0
	for at := time.Duration(0); at < 5*time.Hour; at += time.Minute {
		if _, ok, _ := hub.Ask(t.Context(), 78, at); ok {
			asks++
		}
	}
	if asks != asksMost {
		t.Errorf("asked %d times", asks)
	}
}

// A part that is packed again goes on with shards that did not go out, and takes a new group when all did.
func TestAPartThatIsPackedAgainGoesOnWithOtherShards(t *testing.T) {
	station, hub := pair(t)
	p := long("long", wire.Alarm, 200, 1)
	seen := map[uint16]int{}
	open := wire.Receiver{Keys: keys(t, 1, 1), Direction: wire.Up, Window: &wire.Window{}}
	for range 6 {
		for _, f := range pack(t, station, 78, p) {
			m, err := open.Open(f.Bytes, stationCard)
			if err != nil {
				t.Fatal(err)
			}
			seen[uint16(m.Content[0])<<8|uint16(m.Content[1])]++
		}
	}
	groups := map[uint16]bool{}
	for head, n := range seen {
		groups[head&127] = true
		if n > 1 && head>>11 > 3 {
			t.Errorf("shard %d came %d times", head>>11, n)
		}
	}
	if len(groups) != 2 {
		t.Errorf("%d groups", len(groups))
	}
	// Two of each packing give it back.
	other := long("other", wire.Alarm, 200, 2)
	given := 0
	for range 2 {
		for _, f := range pack(t, station, 78, other)[:2] {
			given += len(hear(t, hub, stationCard, f).Heard)
		}
	}
	if given != 1 {
		t.Error("two of two packings did not give it back")
	}
}

// Numbers of groups go round at 128. What is new is not taken for what was kept, and not mixed with it.
func TestAContentWhoseNumberCameBeforeIsNotTakenForTheOldOne(t *testing.T) {
	k, disk := keys(t, 1, 1), newDisk()
	hub := end(t, wire.Down, k, newDisk())
	station := end(t, wire.Up, k, disk)
	first := pack(t, station, 78, long("a", wire.Alarm, 200, 1))
	number := station.next - 1
	for _, f := range first {
		for _, h := range hear(t, hub, stationCard, f).Heard {
			hub.Kept(h.Counter)
		}
	}
	if _, ok, _ := hub.Acks(t.Context(), 78); !ok {
		t.Fatal("no acknowledgement")
	}
	station.next = number
	b := long("b", wire.Alarm, 200, 2)
	var got []byte
	for _, f := range pack(t, station, 78, b) {
		for _, h := range hear(t, hub, stationCard, f).Heard {
			got = h.Items[0].Bytes
		}
	}
	if !bytes.Equal(got, b.Item.Bytes) {
		t.Error("the second content did not come")
	}
	if hub.AckDue() != 0 {
		t.Error("it was acknowledged for the first one")
	}
}

// Two that met in one group while neither was whole are found out by the checksum, and come when they are sent again.
func TestShardsOfTwoContentsNeverMakeOne(t *testing.T) {
	station, hub := pair(t)
	a, b := long("a", wire.Alarm, 200, 1), long("b", wire.Alarm, 200, 2)
	frames := pack(t, station, 78, a)
	hear(t, hub, stationCard, frames[0])
	hear(t, hub, stationCard, frames[1])
	station.next--
	var got [][]byte
	bad := 0
	take := func(f Frame) {
		r, err := hub.Hear(t.Context(), f.Bytes, stationCard, 0)
		if err != nil {
			bad++
		}
		for _, h := range r.Heard {
			got = append(got, h.Items[0].Bytes)
			hub.Kept(h.Counter)
		}
	}
	second := pack(t, station, 78, b)
	take(second[2])
	take(second[3])
	if bad != 1 || len(got) != 0 {
		t.Fatalf("%d refused, %d given", bad, len(got))
	}
	for range 2 {
		for _, f := range pack(t, station, 78, b) {
			take(f)
		}
	}
	if len(got) != 1 || !bytes.Equal(got[0], b.Item.Bytes) {
		t.Errorf("%d given", len(got))
	}
}

func TestWhatIsTooLongIsSaidAndDoesNotHoldUpTheRest(t *testing.T) {
	station, _ := pair(t)
	frames, err := station.Pack(t.Context(), 78, []Part{long("huge", wire.Alarm, 1100, 1), part("b", wire.Alarm, wire.ItemAlarm, 20), {ID: "none", Class: wire.Alarm}})
	if err == nil || len(frames) != 1 || frames[0].IDs[0] != "b" {
		t.Errorf("%d messages, %v", len(frames), err)
	}
	if frames, err := station.Pack(t.Context(), 20, []Part{part("b", wire.Alarm, wire.ItemAlarm, 20)}); err != nil || len(frames) < 4 {
		t.Errorf("20 bytes a message: %d, %v", len(frames), err)
	}
	for _, most := range []int{0, 11, 12, 13, -5} {
		if frames, err := station.Pack(t.Context(), most, []Part{part("b", wire.Alarm, wire.ItemAlarm, 20)}); err == nil {
			t.Errorf("%d messages of at most %d bytes", len(frames), most)
		}
		if _, ok, _ := station.Acks(t.Context(), most); ok {
			t.Error("an acknowledgement in no bytes")
		}
	}
}

// Nothing that a peer sends makes an end hold more and more.
func TestMemoryIsBounded(t *testing.T) {
	station, hub := pair(t)
	for i := range 3000 {
		for j, f := range pack(t, station, 78, long(fmt.Sprint(i), wire.Class(i%6), 70+i%100, uint64(i))) {
			if j == 0 {
				hear(t, hub, stationCard, f)
			}
		}
		f := pack(t, station, 78, part("x", wire.Alarm, wire.ItemAlarm, 20))[0]
		hub.Kept(hear(t, hub, stationCard, f).Heard[0].Counter)
	}
	if len(hub.told) > comingMost || len(hub.ledger.kept) > keptMost || len(hub.ledger.due) > keptMost || len(station.out) > outMost || len(station.order) > outMost || len(station.splits) > splitsMost {
		t.Errorf("%d contents, %d kept, %d due; %d out, %d splits", len(hub.told), len(hub.ledger.kept), len(hub.ledger.due), len(station.out), len(station.splits))
	}
}
