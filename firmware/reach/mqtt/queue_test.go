package mqtt

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func msg(topic, payload string, urgent bool) Message {
	return Message{Topic: topic, Payload: []byte(payload), Urgent: urgent}
}

func drain(q *queue) string {
	var all []string
	for {
		m, ok := q.take()
		if !ok {
			return strings.Join(all, " ")
		}
		all = append(all, m.Topic+"="+string(m.Payload))
		q.done(m, true)
	}
}

func TestTheNewestOfATopicKeepsItsPlaceAndUrgentOnesGoFirst(t *testing.T) {
	q := newQueue(10, 1000)
	q.put(msg("a", "1", false))
	q.put(msg("b", "1", false))
	q.put(msg("x", "1", true))
	q.put(msg("a", "2", false))
	q.put(msg("y", "1", true))
	q.put(msg("b", "2", true)) // it has become urgent
	if got := drain(q); got != "x=1 y=1 b=2 a=2" {
		t.Error(got)
	}
	if q.size != 0 {
		t.Errorf("%d bytes are left", q.size)
	}
}

func TestWhatIsFullDropsTheOldestThatIsNotUrgent(t *testing.T) {
	q := newQueue(3, 1000)
	for i, u := range []bool{true, false, false, true, true, true} {
		q.put(msg(fmt.Sprint("t", i), "1", u))
	}
	if got := drain(q); got != "t3=1 t4=1 t5=1" || q.dropped != 3 {
		t.Errorf("%s, %d dropped", got, q.dropped)
	}
	q = newQueue(100, 50)
	q.put(msg("a", strings.Repeat("x", 30), false))
	q.put(msg("b", strings.Repeat("x", 30), true))
	q.put(msg("c", strings.Repeat("x", 60), true)) // never fits
	if n, dropped := q.count(); n != 1 || dropped != 2 || q.size != 31 {
		t.Errorf("%d wait, %d dropped, %d bytes", n, dropped, q.size)
	}
}

func TestOneUnderWayKeepsItsTopicToItselfAndComesBackUnlessANewerOneWaits(t *testing.T) {
	q := newQueue(10, 1000)
	q.put(msg("a", "1", true))
	m, _ := q.take()
	q.put(msg("a", "2", true))
	if _, ok := q.take(); ok {
		t.Error("two of one topic are under way")
	}
	q.done(m, false)
	if got := drain(q); got != "a=2" {
		t.Error(got)
	}
	q.put(msg("b", "1", false))
	q.put(msg("c", "1", false))
	m, _ = q.take()
	q.done(m, false)
	if got := drain(q); got != "b=1 c=1" {
		t.Error(got)
	}
}

// Whatever happens: never more than the bounds, the size is what is in it, and the last word of each topic is sent
// or counted.
func TestTheQueueHoldsItsBoundsWhateverHappens(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		q := newQueue(1+rnd.IntN(6), 20+rnd.IntN(60))
		var flying []Message
		for range 200 {
			switch rnd.IntN(4) {
			case 0, 1:
				q.put(msg(fmt.Sprint("t", rnd.IntN(8)), strings.Repeat("x", rnd.IntN(30)), rnd.IntN(3) == 0))
			case 2:
				if m, ok := q.take(); ok {
					flying = append(flying, m)
				}
			case 3:
				if len(flying) > 0 {
					q.done(flying[0], rnd.IntN(2) == 0)
					flying = flying[1:]
				}
			}
			size, n := 0, len(q.urgent)+len(q.plain)
			for _, l := range [][]*Message{q.urgent, q.plain} {
				for _, m := range l {
					size += cost(m)
					if q.at[m.Topic] != m {
						t.Fatal("two of one topic wait")
					}
				}
			}
			if size != q.size || size > q.bytes || n > q.most || n != len(q.at) {
				t.Fatalf("%d messages of %d, %d bytes of %d, counted %d", n, q.most, size, q.bytes, q.size)
			}
		}
	}
}

func TestAPacketThatIsTooLongIsKnownByItsLength(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
		ok   bool
	}{
		{"CONNACK and PINGRESP", []byte{0x20, 3, 0, 0, 0, 0xD0, 0}, true},
		{"16 KiB", append([]byte{0x30, 0x80, 0x80, 0x01}, make([]byte, 16<<10)...), true},
		{"a byte more", []byte{0x30, 0x81, 0x80, 0x01}, false},
		{"256 MiB", []byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F}, false},
		{"a length of five groups", []byte{0x30, 0x80, 0x80, 0x80, 0x80}, false},
	} {
		for step := 1; step <= len(c.b); step += max(1, len(c.b)/7) {
			f, ok := framing{}, true
			for i := 0; i < len(c.b) && ok; i += step {
				ok = f.take(c.b[i:min(len(c.b), i+step)])
			}
			if ok != c.ok {
				t.Errorf("%s in steps of %d: %v", c.name, step, ok)
			}
		}
	}
}

// However a stream is cut, the same is said of it, and no content is longer than allowed.
func FuzzFraming(f *testing.F) {
	f.Add([]byte{0x20, 3, 0, 0, 0, 0xD0, 0}, 3)
	f.Add([]byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F}, 1)
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		if step < 1 || step > 64 {
			return
		}
		var whole, cut framing
		a, c := whole.take(b), true
		for i := 0; i < len(b) && c; i += step {
			c = cut.take(b[i:min(len(b), i+step)])
		}
		if a != c || a && whole != cut || whole.state == 2 && whole.length > packetMost {
			t.Errorf("whole %v %+v, cut %v %+v", a, whole, c, cut)
		}
	})
}
