package courier

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestASlotTakesTheHeadAndFillsItsRestBest(t *testing.T) {
	w := bench(t, shipped(t), 1, "beidou")
	w.open("beidou")
	// 78 bytes less 11 of header: 67. The head takes 20+2, 45 are left: 30+2 and 11+2 fill
	// them whole, where the largest that fits (40+2) leaves 3.
	w.post(Warning, "red", 20)
	w.post(Telemetry, "forty", 200, short(40, "a"))
	w.post(Telemetry, "thirty", 200, short(30, "b"))
	w.post(Telemetry, "eleven", 200, short(11, "c"))
	p := w.turn()
	if len(p) != 1 || p[0].Parts[0].ID != "red" || len(p[0].Parts) != 3 || w.links("forty") != "" {
		t.Fatalf("%+v", p)
	}
	if p := w.turn(); len(p) != 0 {
		t.Errorf("a second message in the slot: %s", ids(p[0]))
	}
	w.now += 59 * time.Second
	if p := w.turn(); len(p) != 0 {
		t.Errorf("a message %v early", time.Second)
	}
	w.now += time.Second
	if p := w.turn(); len(p) != 1 {
		t.Error("the next slot is empty")
	}
}

func TestASlotOfTelemetryAloneWaitsUntilItIsWorthIt(t *testing.T) {
	w := bench(t, shipped(t), 1, "beidou")
	w.open("beidou")
	w.post(Telemetry, "a", 200, short(30, "a"))
	w.run(10*time.Minute, all)
	w.want("a", "")
	w.post(Telemetry, "b", 200, short(24, "b")) // 30+2+24+2 and 11 around them = 69 < fill of 70
	w.run(19*time.Minute, all)
	w.want("a", "")
	w.run(2*time.Minute, all) // half an hour: half of its deadline
	w.want("a", "beidou ")
	w.want("b", "beidou ")
}

func TestASlotOfTelemetryAloneThatIsFullGoesAtOnce(t *testing.T) {
	w := bench(t, shipped(t), 1, "beidou")
	w.open("beidou")
	w.post(Telemetry, "a", 200, short(57, "a")) // 57+2 and 11 around it
	w.run(time.Minute, all)
	w.want("a", "beidou ")
}

func TestTelemetryOfAnotherWeekIsNotSaidByTheMinuteOfTheWeek(t *testing.T) {
	w := bench(t, shipped(t), 1, "beidou")
	for _, c := range []struct {
		id    string
		age   time.Duration
		dated bool
	}{{"old", summaryFor + time.Minute, true}, {"undated", time.Hour, false}, {"young", summaryFor - time.Hour, true}} {
		m := w.message(Telemetry, c.id, 200)
		m.Short, m.Key = make([]byte, 57), c.id
		if err := w.m.Post(w.now, m, c.age, c.dated); err != nil {
			t.Fatal(err)
		}
	}
	w.open("beidou")
	w.run(30*time.Minute, all)
	w.want("young", "beidou ")
	w.want("old", "")
	w.want("undated", "")
}

func TestTheReceiptOfAShortFormIsToldOnceAndTheWholeWaitsOn(t *testing.T) {
	w := bench(t, shipped(t), 1, "beidou", "fibre")
	w.open("beidou")
	w.post(Telemetry, "a", 200, short(57, "a"))
	w.turn()
	for range 2 {
		w.m.Ack(w.now+time.Second, "beidou", []Ack{{ID: "a", Short: true}})
	}
	if _, done := w.m.News(); len(done) != 1 || !done[0].Short || done[0].Link != "beidou" || len(w.m.rows) != 1 {
		t.Errorf("%+v, %d rows", done, len(w.m.rows))
	}
	w.m.Ack(w.now+time.Minute, "fibre", []Ack{{ID: "a"}})
	if _, done := w.m.News(); len(done) != 1 || done[0].Short || len(w.m.rows) != 0 {
		t.Errorf("%+v, %d rows", done, len(w.m.rows))
	}
}

func TestALongMessageTakesSeveralSlotsAndMoreThanItsBoundIsNotSent(t *testing.T) {
	w := bench(t, shipped(t), 1, "beidou")
	w.open("beidou")
	w.post(Command, "long", 150) // 65 a message
	w.post(Command, "huge", 65*8+1)
	p := w.turn()
	if len(p) != 1 || p[0].Messages != 3 || len(p[0].Parts) != 1 {
		t.Fatalf("%+v", p)
	}
	w.m.Ack(w.now, "beidou", []Ack{{ID: "long"}})
	w.now += 179 * time.Second
	w.post(Alarm, "next", 10)
	if p := w.turn(); len(p) != 0 {
		t.Error("the slots of a long message are not its own")
	}
	w.now += time.Second
	if p := w.turn(); len(p) != 1 || ids(p[0]) != "next " {
		t.Errorf("%+v", p)
	}
	w.want("huge", "")
}

func TestACardOfALowerLevelTakesWhatFitsIt(t *testing.T) {
	w := bench(t, shipped(t), 1, "beidou")
	w.m.SetLimits(w.now, "beidou", Limits{May: true, Bytes: 51, Every: 30 * time.Second})
	for i := range 4 {
		w.post(Command, number("x", i), 16)
	}
	p := w.turn()
	if len(p) != 1 || len(p[0].Parts) != 2 {
		t.Fatalf("%+v", p)
	}
	w.now += 30 * time.Second
	if p := w.turn(); len(p) != 1 {
		t.Error("the terminal's own interval does not count")
	}
}

func TestATelemetryFillerNeverCostsExtra(t *testing.T) {
	w := bench(t, shipped(t), 1)
	w.open("sbd", "sms")
	w.post(Telemetry, "t", 300, short(30, "k"))
	w.post(Warning, "red", 30)
	w.turn()
	w.want("t", "sms ") // a text message is paid whole; sbd by the byte
}

// TestKnapsackIsTheBest compares with all subsets.
func TestKnapsackIsTheBest(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 40), 0, 10).Draw(rt, "sizes")
		room := rapid.IntRange(0, 120).Draw(rt, "room")
		best := 0
		for set := range 1 << len(sizes) {
			sum := 0
			for i, s := range sizes {
				if set>>i&1 == 1 {
					sum += s
				}
			}
			if sum <= room {
				best = max(best, sum)
			}
		}
		picked, used := knapsack(sizes, room)
		sum := 0
		for _, i := range picked {
			sum += sizes[i]
		}
		sorted := slices.Compact(slices.Clone(picked))
		if used != best || sum != used || len(sorted) != len(picked) || !slices.IsSorted(picked) {
			rt.Errorf("%v of %v in %d: %d, best %d", picked, sizes, room, used, best)
		}
	})
}

func BenchmarkSlot(b *testing.B) {
	sizes := make([]int, fillersMost)
	for i := range sizes {
		sizes[i] = 7 + i*13%50
	}
	for b.Loop() {
		knapsack(sizes, 1700)
	}
}

// A full outbox of alarms on all links: what a Post may have to wait for.
func BenchmarkTurnOfAFullOutbox(b *testing.B) {
	w := bench(b, shipped(b), 1)
	for i := range w.m.rules.Outbox.Rows {
		w.post(Alarm, number("a", i), 60)
	}
	for name := range w.m.ways {
		w.open(name)
	}
	w.hold = true
	for b.Loop() {
		for _, p := range w.turn() {
			w.m.Sent(w.now, p.Link, p.Ticket, nil)
			w.m.Ack(w.now, p.Link, acksOf(p))
			for _, part := range p.Parts {
				w.post(Alarm, part.ID+"x", 60)
			}
		}
		w.now += 100 * time.Millisecond
	}
}

// Each byte of a satellite is paid for: it is asked rarely while it is quiet and answers, at
// once and soon again after a miss, and not at all while receipts come.
func TestALinkThatIsPaidByTheByteIsProbedRarelyUntilOneIsMissed(t *testing.T) {
	w := bench(t, shipped(t), 1)
	w.open("satellite")
	rule := w.m.ways["satellite"].rule.Probe
	w.run(time.Minute, all)
	before := w.m.ways["satellite"].count.Probes
	w.run(100*rule.Every, all)
	if n := w.m.ways["satellite"].count.Probes - before; n > 101 {
		t.Errorf("%d probes in 100 periods", n)
	}
	from := w.now
	for w.state("satellite") != Down {
		w.run(time.Second, none)
		if w.now-from > rule.Every+3*rule.Again {
			t.Fatalf("not dead after %v", w.now-from)
		}
	}
	w.run(2*rule.Every, all)
	if w.state("satellite") != Up {
		t.Fatal(w.state("satellite"))
	}
	before = w.m.ways["satellite"].count.Probes
	for i := range 20 {
		w.post(Alarm, number("a", i), 40)
		w.turn()
		w.m.Ack(w.now, "satellite", []Ack{{ID: number("a", i)}})
		w.run(rule.Every/2, all)
	}
	if n := w.m.ways["satellite"].count.Probes - before; n > 1 {
		t.Errorf("%d probes while receipts came", n)
	}
}
