package narrow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tocsin/firmware/reach/wire"
)

// air is what a hostile link does to messages.
type air struct {
	lose, double, cut, flip, foreign, replay float64
	most                                     time.Duration // how long one takes
}

// flying is a message on the air.
type flying struct {
	at   time.Duration
	to   *side
	b    []byte
	true bool // as it was sent
}

// side is one end over its lives, with what its caller keeps for good.
type side struct {
	name, card string
	way        wire.Direction
	disk       *cutting
	e          *End
	peer       *side

	posted map[string][]byte // id to bytes
	wait   []Part            // not acknowledged yet
	tried  map[string]time.Duration
	acked  map[string]bool
	kept   map[string]int // bytes to how often they came
	acted  map[uint64]int // counter to how often it was acted upon
	used   wire.Window    // of what it sent
	lives  int
}

// cutting is a disk whose power goes at a Put: before or after it took effect.
type cutting struct {
	*disk
	at    int // the Put at which it goes, 0: never
	after bool
	n     int
	off   bool
}

var errCut = errors.New("the power is gone")

func (c *cutting) Put(ctx context.Context, key string, value []byte) error {
	c.n++
	if c.off {
		return errCut
	}
	if c.n == c.at {
		c.off = true
		if c.after {
			c.disk.Put(ctx, key, value)
		}
		return errCut
	}
	return c.disk.Put(ctx, key, value)
}

type world struct {
	t            *testing.T
	r            *rand.Rand
	air          air
	now          time.Duration
	flying       []flying
	station, hub *side
	keys         []*wire.Keys
	strangers    []*End
	past         []flying // what was sent, for replays
	every        time.Duration
	// restart is the chance that an end starts anew at any event.
	restart float64
	count   struct{ sent, refused, forged, came int }
}

func newWorld(t *testing.T, seed uint64, a air) *world {
	w := &world{t: t, r: rand.New(rand.NewPCG(seed, 1)), air: a, keys: keys(t, 1, 1), every: time.Minute}
	side1 := func(name string, way wire.Direction, card string) *side {
		return &side{name: name, way: way, card: card, disk: &cutting{disk: newDisk()}, posted: map[string][]byte{}, tried: map[string]time.Duration{}, acked: map[string]bool{},
			kept: map[string]int{}, acted: map[uint64]int{}}
	}
	w.station, w.hub = side1("station", wire.Up, stationCard), side1("hub", wire.Down, hubCard)
	w.station.peer, w.hub.peer = w.hub, w.station
	for _, s := range []*side{w.station, w.hub} {
		w.begin(s)
		w.strangers = append(w.strangers, end(t, s.way, keys(t, 2, 1), newDisk()))
	}
	return w
}

// begin starts an end anew from what its disk has.
func (w *world) begin(s *side) {
	s.disk.off = false
	s.lives++
	s.e = end(w.t, s.way, w.keys, s.disk, func(o *Opts) { o.Loss = func() float64 { return w.air.lose } })
}

// post gives a side a part to bring over.
func (w *world) post(s *side, c wire.Class, typ wire.ItemType, n int) {
	id := fmt.Sprintf("%s-%d", s.name, len(s.posted))
	b := append([]byte(id+"|"), make([]byte, n)...)
	for i := len(id) + 1; i < len(b); i++ {
		b[i] = byte(w.r.Uint32())
	}
	s.posted[id] = b
	s.wait = append(s.wait, Part{ID: id, Class: c, Item: wire.Item{Type: typ, Bytes: b}})
}

// died starts a side anew where its power went in the middle of a call, whose results are lost with it.
func (w *world) died(s *side) bool {
	if !s.disk.off {
		return false
	}
	w.begin(s)
	return true
}

// turn lets a side send what waits.
func (w *world) turn(s *side) {
	var parts []Part
	for _, p := range s.wait {
		if at, tried := s.tried[p.ID]; !tried || w.now-at > 20*w.every {
			parts = append(parts, p)
			if s.tried[p.ID] = w.now; len(parts) == 4 {
				break
			}
		}
	}
	frames, err := s.e.Pack(w.t.Context(), 78, parts)
	if w.died(s) {
		return
	}
	if err != nil {
		w.t.Fatal(err)
	}
	if f, ok, err := s.e.Ask(w.t.Context(), 78, w.now); ok && err == nil {
		frames = append(frames, f)
	}
	if s.e.AckDue() >= 10 || len(frames) == 0 {
		if f, ok, err := s.e.Acks(w.t.Context(), 78); ok && err == nil {
			frames = append(frames, f)
		}
	}
	if w.died(s) {
		return
	}
	w.radiate(s, frames)
}

func (w *world) radiate(s *side, frames []Frame) {
	for _, f := range frames {
		w.count.sent++
		// Each counter goes out once, over all lives.
		open := wire.Receiver{Keys: w.keys, Direction: s.way, Window: &s.used, Hidden: wire.HideCommands}
		if m, err := open.Open(f.Bytes, s.card); err != nil {
			w.t.Fatalf("%s: the counter %d was used before: %v", s.name, m.Counter, err)
		}
		w.send(flying{to: s.peer, b: f.Bytes, true: true})
	}
}

// send brings a message into the air, which does what it does.
func (w *world) send(f flying) {
	if f.true {
		w.past = append(w.past, f)
	}
	copies := 1
	if w.r.Float64() < w.air.lose {
		copies = 0
	}
	if w.r.Float64() < w.air.double {
		copies++
	}
	for range copies {
		f.at = w.now + time.Duration(w.r.Int64N(int64(w.air.most)+1))
		w.flying = append(w.flying, f)
	}
	hurt := f
	hurt.b, hurt.true = bytes.Clone(f.b), false
	if w.r.Float64() < w.air.cut {
		hurt.b = hurt.b[:w.r.IntN(len(hurt.b))]
		w.flying = append(w.flying, hurt)
	}
	if w.r.Float64() < w.air.flip {
		hurt.b = bytes.Clone(f.b)
		for range 1 + w.r.IntN(3) {
			hurt.b[w.r.IntN(len(hurt.b))] ^= 1 << w.r.IntN(8)
		}
		if !bytes.Equal(hurt.b, f.b) {
			w.flying = append(w.flying, hurt)
		}
	}
	if w.r.Float64() < w.air.foreign {
		for _, s := range w.strangers {
			x, err := s.Pack(w.t.Context(), 78, []Part{{ID: "x", Class: wire.Command, Item: wire.Item{Type: wire.ItemCommand, Bytes: []byte("open the gate")}}})
			if err != nil {
				w.t.Fatal(err)
			}
			w.flying = append(w.flying, flying{to: f.to, b: x[0].Bytes})
		}
	}
	if len(w.past) > 0 && w.r.Float64() < w.air.replay {
		old := w.past[w.r.IntN(len(w.past))]
		old.at = w.now
		w.flying = append(w.flying, old)
	}
}

// arrive brings what is due to its side.
func (w *world) arrive() {
	slices.SortStableFunc(w.flying, func(a, b flying) int { return int(a.at - b.at) })
	for len(w.flying) > 0 && w.flying[0].at <= w.now {
		f := w.flying[0]
		w.flying = w.flying[1:]
		s := f.to
		r, err := s.e.Hear(w.t.Context(), f.b, s.peer.card, w.now)
		if w.died(s) {
			continue
		}
		if !f.true {
			w.count.forged++
			if err == nil || len(r.Heard)+len(r.Acked)+len(r.Send) > 0 {
				w.t.Fatalf("%s took %x, which its peer never sent: %+v", s.name, f.b, r)
			}
			continue
		}
		if err != nil {
			w.count.refused++
		}
		for _, h := range r.Heard {
			if s.acted[h.Counter]++; s.acted[h.Counter] > 1 {
				w.t.Fatalf("%s acted twice upon the message %d", s.name, h.Counter)
			}
			for _, i := range h.Items {
				id, _, _ := bytes.Cut(i.Bytes, []byte("|"))
				if !bytes.Equal(s.peer.posted[string(id)], i.Bytes) {
					w.t.Fatalf("%s was given what nobody posted: %q", s.name, i.Bytes)
				}
				w.count.came++
				s.kept[string(id)]++
			}
			if w.r.Float64() < w.restart { // the power goes after it was kept
				w.begin(s)
				continue
			}
			s.e.Kept(h.Counter)
		}
		for _, id := range r.Acked {
			if s.peer.kept[id] == 0 {
				w.t.Fatalf("%s is told that %s is kept, which never came", s.name, id)
			}
			s.acked[id] = true
			s.wait = slices.DeleteFunc(s.wait, func(p Part) bool { return p.ID == id })
		}
		w.radiate(s, r.Send)
		if w.r.Float64() < w.restart {
			w.begin(s)
		}
	}
}

// run lets time pass until all is acknowledged.
func (w *world) run(limit time.Duration) {
	for w.now < limit && len(w.station.wait)+len(w.hub.wait) > 0 {
		for _, s := range []*side{w.station, w.hub} {
			w.turn(s)
			if w.r.Float64() < w.restart {
				w.begin(s)
			}
		}
		for range 4 {
			w.now += w.every / 4
			w.arrive()
		}
	}
	if n := len(w.station.wait) + len(w.hub.wait); n > 0 {
		w.t.Fatalf("%d parts were not acknowledged within %v: %v", n, limit, w.count)
	}
}

// load posts what a day has: everything of each size, both ways.
func (w *world) load(n int) {
	for i := range n {
		w.post(w.station, wire.Class(i%6), []wire.ItemType{wire.ItemTelemetry, wire.ItemReceipts, wire.ItemAlarm, wire.ItemText}[i%4], []int{5, 20, 50, 130, 600}[i%5])
		w.post(w.hub, wire.Class(i%3), []wire.ItemType{wire.ItemCommand, wire.ItemWarning, wire.ItemTime}[i%3], []int{8, 70, 300}[i%3])
	}
}

var hostile = air{lose: 0.2, double: 0.2, cut: 0.1, flip: 0.2, foreign: 0.1, replay: 0.3, most: 5 * time.Minute}

func TestWhateverTheAirDoesEachPartArrivesAndNothingElse(t *testing.T) {
	for seed := range uint64(6) {
		w := newWorld(t, seed, hostile)
		w.load(40)
		w.run(60 * time.Hour)
		if w.count.forged < 50 || w.count.refused < 50 {
			t.Errorf("the air was not hostile: %+v", w.count)
		}
	}
}

func TestNothingIsLostDoubledOrInventedWhereEndsRestartAtAnyMoment(t *testing.T) {
	for seed := range uint64(4) {
		w := newWorld(t, seed, hostile)
		w.restart = 0.015
		w.load(30)
		w.run(200 * time.Hour)
		t.Logf("%v, lives %d and %d, %+v", w.now, w.station.lives, w.hub.lives, w.count)
		if w.station.lives+w.hub.lives < 12 {
			t.Errorf("lives: %d, %d", w.station.lives, w.hub.lives)
		}
	}
}

// The power goes at each of the writes in turn, before and after it took effect, on either side.
func TestThePowerMayGoAtEachWrite(t *testing.T) {
	calm := air{lose: 0.1, double: 0.1, most: time.Minute}
	for _, at := range []string{"station", "hub"} {
		for _, after := range []bool{false, true} {
			for n := 1; n < 1000; n++ {
				w := newWorld(t, 7, calm)
				s := map[string]*side{"station": w.station, "hub": w.hub}[at]
				s.disk.at, s.disk.after = n, after
				w.load(6)
				w.run(40 * time.Hour)
				if s.disk.n < n {
					if n < 20 {
						t.Fatalf("only %d writes", n)
					}
					break
				}
			}
		}
	}
}
