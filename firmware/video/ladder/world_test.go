package ladder

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"
)

func shipped(t testing.TB) *Rules {
	t.Helper()
	b, err := os.ReadFile("../../../configs/" + RulesName)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRules(b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const tick = 10 * time.Millisecond

// A world is a camera, a ladder with its gate, a pacer, a link that drops what would wait too
// long, a viewer and the estimate of congestion control, in virtual time.
type world struct {
	t      testing.TB
	rules  *Rules
	ladder *Ladder
	gate   Gate
	rnd    *rand.Rand

	rate   func(now time.Duration) int // of the link, bit/s
	budget func(now time.Duration) int // what the courier says
	up     func(now time.Duration) bool
	rtt    time.Duration
	camera camera

	now    time.Duration
	d      Decision
	queue  []parcel // in the sender
	credit float64
	wire   []parcel // in the link
	space  float64
	sent   window
	acked  window
	lost   window
	flight []ack
	way    time.Duration // of the newest packet that the viewer told of
	heard  time.Duration // when
	gcc    estimator

	broken  bool          // the viewer misses a reference
	shown   time.Duration // when the newest picture that was seen was taken
	fresh   time.Duration
	worst   time.Duration // longest wait for a picture while the link bore 64 kbit/s
	worstAt time.Duration
	since64 time.Duration
	train   uint64        // the last that left
	sentAt  time.Duration // when
	firstAt time.Duration // when its first packet arrived
	away    int           // packets of it under way
	trained int           // bits that arrived after the first
	verdict [2]int        // of the last train that is told of
	depth   time.Duration // how long the link holds what waits; 0: 300 ms, and the oldest goes first
	bursts  bool          // a link that was idle lets 1200 bytes through at once
	steps   []step
	over    time.Duration // how long more than the link bears was sent, now
	overMax time.Duration
	frames  int
	stills  int
	missing map[time.Duration]int // bits of stills that have not arrived
	again   []parcel              // of stills, lost
	still   parcel
	stillAt time.Duration
	lastJPG time.Duration
	log     bool
}

type step struct {
	at       time.Duration
	from, to Rung
	why      string
}

type ack struct {
	at   time.Duration
	bits int
	way  time.Duration // that a packet took; 0 of a still's, which tell nothing of it
}

type parcel struct {
	bits           int
	last           bool // of its picture
	key, droppable bool
	jpeg, padding  bool
	train          uint64
	taken          time.Duration // when the picture was
	spoilt         bool
	put            time.Duration
}

type camera struct {
	rate, lower    int // bit/s
	group          time.Duration
	keyShare       float64
	droppable      bool
	live           bool
	jpeg, thumb    int
	hasLower, cans bool
	fps            int
}

func drone() camera {
	return camera{rate: 2_036_000, lower: 600_000, group: 2 * time.Second, keyShare: 0.135, cans: true, jpeg: 10900, thumb: 3400, fps: 25}
}

// window is a sum over the last second.
type window struct {
	at [int(time.Second / tick)]int
	i  int
	s  int
}

func (w *window) turn() {
	w.i = (w.i + 1) % len(w.at)
	w.s -= w.at[w.i]
	w.at[w.i] = 0
}
func (w *window) add(v int) { w.at[w.i] += v; w.s += v }

// estimator grows and sinks as pion's delay-based controller does, which does nothing while
// nothing is told, and grows without bound while little is sent.
type estimator struct {
	target   float64
	received window
	fed      bool
	over     time.Duration
}

func (e *estimator) turn(wait time.Duration) {
	e.received.turn()
	if !e.fed {
		return
	}
	e.fed = false
	rate := float64(e.received.s)
	if wait > 60*time.Millisecond {
		if e.over += tick; e.over >= 50*time.Millisecond {
			e.target = min(e.target, max(0.85*rate, 10_000))
		}
		return
	}
	e.over = 0
	grown := e.target * (1 + 0.08*tick.Seconds()*4)
	if most := 1.5 * rate; grown > most && most > e.target {
		grown = most
	}
	e.target = min(max(e.target, grown), 100e6)
}

func newWorld(t testing.TB, seed uint64, rate func(time.Duration) int) *world {
	r := shipped(t)
	return &world{
		t: t, rules: r, ladder: New(Opts{Rules: r}), rnd: rand.New(rand.NewPCG(seed, 1)), rate: rate, rtt: 60 * time.Millisecond,
		budget: func(time.Duration) int { return 0 }, up: func(time.Duration) bool { return true }, camera: drone(),
		gcc: estimator{target: 10e6}, broken: true, missing: map[time.Duration]int{},
	}
}

func (w *world) lowered() bool { return w.camera.hasLower && w.d.Rung >= Lower }

func (w *world) supply() Supply {
	c := &w.camera
	rate := c.rate
	if w.lowered() {
		rate = c.lower
	}
	s := Supply{Main: c.rate, Lower: c.lower, HasLower: c.hasLower, HasDroppable: c.droppable, CanStill: c.cans, LiveStill: c.live,
		KeyEvery: c.group, KeyBytes: int(float64(rate) * c.group.Seconds() * c.keyShare / 8), StillBytes: c.jpeg, ThumbBytes: c.thumb, SmallBytes: c.thumb / 4}
	if c.droppable {
		s.Thinned = rate * 6 / 10
	}
	return s
}

// send queues a picture in pieces of 1200 bytes.
func (w *world) send(bits int, p parcel) {
	if p.jpeg {
		w.missing[p.taken] = bits
	}
	for bits > 0 {
		q := p
		q.bits = min(bits, 9600)
		bits -= q.bits
		q.last = bits <= 0
		w.queue = append(w.queue, q)
	}
}

func (w *world) film() {
	c := &w.camera
	frame := time.Second / time.Duration(c.fps)
	if w.now%frame != 0 {
		return
	}
	rate := c.rate
	if w.lowered() {
		rate = c.lower
	}
	n := int(c.group / frame)
	i := int(w.now/frame) % n
	group := float64(rate) * c.group.Seconds()
	key, droppable := i == 0, c.droppable && i%2 == 1
	bits := int(group * (1 - c.keyShare) / float64(n-1) * (0.7 + 0.6*w.rnd.Float64()))
	if key {
		bits = int(group * c.keyShare)
	}
	if key && c.cans && !c.live {
		w.still, w.stillAt = parcel{jpeg: true, taken: w.now}, w.now+300*time.Millisecond
	}
	if w.gate.Pass(key, droppable, false) {
		// What waits too long in the sender is left out, whole.
		if waits := w.waiting(); float64(waits) > float64(max(w.d.Rate, 1))*w.rules.Pace.Wait.D().Seconds() && !key {
			w.gate.Drop(key, droppable)
			return
		}
		w.send(bits, parcel{key: key, droppable: droppable, taken: w.now})
	}
}

func (w *world) waiting() (bits int) {
	for _, p := range w.queue {
		bits += p.bits
	}
	return bits
}

func (w *world) jpeg() {
	if w.d.StillEvery == 0 {
		return
	}
	size := w.camera.jpeg
	switch w.d.Width {
	case w.rules.Stills.Thumb.Width:
		size = w.camera.thumb
	case w.rules.Stills.Small.Width:
		size = w.camera.thumb / 4
	}
	now, slack := w.now, w.d.StillEvery
	if !w.camera.live { // of key pictures so far apart
		now, slack = w.still.taken, slack-w.camera.group/4
	}
	if len(w.queue)+len(w.again) > 0 || w.lastJPG > 0 && now-w.lastJPG < slack {
		return
	}
	switch {
	case w.camera.live:
		w.send(size*8, parcel{jpeg: true, taken: w.now})
		w.lastJPG = w.now
	case w.stillAt > 0 && w.now >= w.stillAt:
		w.send(size*8, w.still)
		w.stillAt, w.lastJPG = 0, w.still.taken
	}
}

// held is what waits in the link, in bits.
func (w *world) held() (bits int) {
	for _, p := range w.wire {
		bits += p.bits
	}
	return bits
}

// turn is 10 ms.
func (w *world) turn() {
	w.now += tick
	for _, x := range []*window{&w.sent, &w.acked, &w.lost} {
		x.turn()
	}
	capacity := w.rate(w.now)
	for len(w.flight) > 0 && w.flight[0].at <= w.now {
		w.acked.add(w.flight[0].bits)
		if w.flight[0].way > 0 {
			w.way, w.heard = w.flight[0].way, w.now
		}
		w.gcc.received.add(w.flight[0].bits)
		w.gcc.fed = true
		w.flight = w.flight[1:]
	}
	held := w.held()
	wait := time.Duration(0)
	if capacity > 0 {
		wait = time.Duration(float64(held) / float64(capacity) * float64(time.Second))
	}
	w.gcc.turn(wait)
	if w.now%(100*time.Millisecond) == 0 {
		w.decide(wait)
	}
	w.film()
	w.jpeg()
	for len(w.again) > 0 && w.again[0].put <= w.now {
		w.queue, w.again = append(w.queue, w.again[0]), w.again[1:]
	}
	w.ask()
	// The pacer.
	w.credit = min(w.credit+float64(w.d.Rate)*tick.Seconds(), float64(w.d.Rate)*tick.Seconds()+9600)
	offered := 0
	for w.credit >= 0 {
		var p parcel
		if len(w.queue) > 0 {
			p, w.queue = w.queue[0], w.queue[1:]
		} else if w.d.Probe > 0 {
			p = parcel{bits: min(9600, max(800, w.d.Probe/100)), padding: true}
			if w.credit < float64(p.bits) {
				break
			}
		} else {
			break
		}
		w.credit -= float64(p.bits)
		offered += p.bits
		p.put = w.now
		held += w.enter(p, held, capacity)
	}
	w.sent.add(offered)
	// The link: what would wait for more than 300 ms at its present rate is dropped, oldest first,
	// as queues with a time limit do.
	w.space += float64(capacity) * tick.Seconds()
	w.space = min(w.space, max(float64(capacity)*tick.Seconds(), 9600))
	if len(w.wire) == 0 && !w.bursts { // an idle wire saves nothing up
		w.space = 0
	}
	for len(w.wire) > 0 {
		p := w.wire[0]
		if w.depth == 0 && float64(held) > float64(capacity)*0.3+2*9600 {
			w.wire, held = w.wire[1:], held-p.bits
			w.lost.add(p.bits)
			w.lose(p)
			continue
		}
		if w.space < float64(p.bits) {
			break
		}
		w.space -= float64(p.bits)
		w.wire, held = w.wire[1:], held-p.bits
		a := ack{at: w.now + w.rtt, bits: p.bits}
		if !p.jpeg {
			a.way = w.now + w.rtt - p.put
		}
		w.flight = append(w.flight, a)
		w.see(p)
	}
	w.judge(capacity)
}

// enter puts a packet into the link's queue, where it has room.
func (w *world) enter(p parcel, held, capacity int) int {
	room := float64(capacity)*0.3 + 9600
	if w.depth > 0 {
		room = float64(capacity) * w.depth.Seconds()
	}
	if float64(held) > room {
		w.lost.add(p.bits)
		w.lose(p)
		return 0
	}
	w.wire = append(w.wire, p)
	return p.bits
}

// ask has a train leave where the ladder wants one, between two stills.
func (w *world) ask() {
	if w.d.Train == w.train || len(w.queue)+len(w.again) > 0 && w.now-w.sentAt < 10*time.Second {
		return
	}
	w.train, w.sentAt, w.firstAt, w.trained = w.d.Train, w.now, 0, 0
	w.away = (w.d.TrainBytes*8 + 1799) / 1800
	capacity, held := w.rate(w.now), w.held()
	for bits := w.d.TrainBytes * 8; bits > 0; bits -= 1800 {
		n := w.enter(parcel{bits: 1800, padding: true, train: w.train, put: w.now}, held, capacity)
		held += n
		w.sent.add(1800)
	}
}

// arrives counts a packet of a train that came out of the link, or did not.
func (w *world) arrives(p parcel, lost bool) {
	switch {
	case p.train == 0 || p.train != w.train:
		return
	case lost:
	case w.firstAt == 0:
		w.firstAt = w.now
	default:
		w.trained += p.bits
	}
	if w.away--; w.away == 0 {
		w.verdict = [2]int{int(p.train), int(float64(w.trained) / max(w.now-w.firstAt, time.Millisecond).Seconds())}
	}
}

func (w *world) lose(p parcel) {
	if p.jpeg { // a data channel sends again what was lost, when nothing was heard of it for a second
		w.again = append(w.again, parcel{bits: p.bits, jpeg: true, taken: p.taken, put: w.now + time.Second})
	}
	if p.padding || p.jpeg {
		w.arrives(p, true)
		return
	}
	w.broken = w.broken || p.key || !p.droppable
	for i := range w.queue {
		if w.queue[i].taken == p.taken {
			w.queue[i].spoilt = true
		}
	}
	for i := range w.wire {
		if w.wire[i].taken == p.taken {
			w.wire[i].spoilt = true
		}
	}
}

func (w *world) see(p parcel) {
	switch {
	case p.padding || p.spoilt:
		w.arrives(p, false)
		return
	case p.jpeg:
		if w.missing[p.taken] -= p.bits; w.missing[p.taken] > 0 {
			return
		}
		w.stills++
	case !p.last:
		return
	case p.key:
		w.broken = false
		w.frames++
	case w.broken:
		return
	default:
		w.frames++
	}
	if p.taken <= w.shown { // a still of what was seen already is nothing new
		return
	}
	w.shown, w.fresh = p.taken, w.now
}

func (w *world) decide(wait time.Duration) {
	loss := 0.0
	if all := w.lost.s + w.acked.s; all > 0 {
		loss = float64(w.lost.s) / float64(all)
	}
	if w.now-w.heard > 2*time.Second {
		w.way = 0 // an older word is none
	}
	was := w.d.Rung
	w.d = w.ladder.Step(w.now, Link{Budget: w.budget(w.now), Estimate: int(w.gcc.target), Sent: w.sent.s, Acked: w.acked.s, Loss: loss, RTT: w.way, Up: w.up(w.now), Train: uint64(w.verdict[0]), Told: w.verdict[1]}, w.supply())
	if w.d.Rung > was {
		w.queue = slices.DeleteFunc(w.queue, func(p parcel) bool { return !p.jpeg }) // what waits in the sender is of another rung
		w.broken = true
		w.gate.Drop(false, false)
		if w.d.StillEvery > 0 && w.still.taken > 0 { // one of the new size, at once
			w.lastJPG, w.stillAt = 0, max(w.now, w.still.taken)+300*time.Millisecond
		}
	}
	w.gate.Set(w.d)
	if was != w.d.Rung {
		w.steps = append(w.steps, step{w.now, was, w.d.Rung, w.d.Reason.In("en")})
	}
	if w.log && w.now%(200*time.Millisecond) == 0 {
		w.t.Logf("%6.1f link %8d rung %d size %d every %v rate %8d budget %8d probe %8d est %8.0f sent %8d acked %8d loss %.2f wait %v fresh %v train %d told %v | %s", w.now.Seconds(), w.rate(w.now), w.d.Rung, w.d.Width, w.d.StillEvery, w.d.Rate, w.d.Budget, w.d.Probe, w.gcc.target, w.sent.s, w.acked.s, loss, wait, w.now-w.fresh, w.d.Train, w.verdict, w.d.Reason.In("en"))
	}
}

// judge holds what is promised against what is there.
func (w *world) judge(capacity int) {
	if capacity < 64_000 {
		w.since64 = w.now
	}
	if gap := w.now - max(w.fresh, w.since64); gap > w.worst {
		w.worst, w.worstAt = gap, w.now
	}
	if w.sent.s > w.d.Budget*11/10+2*9600 && w.d.Probe == 0 && w.sent.s > capacity {
		w.over += tick
	} else {
		w.over = 0
	}
	w.overMax = max(w.overMax, w.over)
}

func (w *world) run(until time.Duration) {
	for w.now < until {
		w.turn()
	}
}
