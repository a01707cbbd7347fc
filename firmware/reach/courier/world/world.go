package world

import (
	"bytes"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/reach/courier"
)

// Path is how one link behaves. It may be changed while the world runs.
type Path struct {
	Name string
	// Loss is the share of messages that get lost, each way; Cut loses all and says nothing.
	Loss float64
	Cut  bool
	// Gone makes Send fail at once; Off says so before.
	Gone, Off bool
	Delay     time.Duration
	// Rate is bytes a second, 0 without limit; Frame what each parcel costs beside its bytes.
	Rate, Frame int
	Limits      courier.Limits

	busy     time.Duration // when its pipe is free
	last     time.Duration // when its last message went out
	sent     bool
	lastBoot int
}

// Arrival is a message as the county has it.
type Arrival struct {
	At    time.Duration
	Via   string
	Bytes []byte
}

type event struct {
	at   time.Duration
	n    uint64
	boot int // 0: whatever the box does
	do   func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].n < e[j].n
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

// World is one box, its links and its county. Use New.
type World struct {
	Now   time.Duration
	Paths map[string]*Path
	// Arrived is what the county has, by ID; Shorts of which it has the short form.
	Arrived map[string]Arrival
	Shorts  map[string]Arrival
	// Twice counts copies that the county knew by their ID; Twisted those of the same ID and
	// other content, of which it would have acted on both.
	Twice, Twisted int
	// Posted is all that was posted, and when; Kept what was durable, so that its maker was told.
	Posted map[string]Post
	Kept   map[string]bool
	// FirstByte is when a message first left on each link.
	FirstByte map[string]map[string]time.Duration
	// Faults are rules that did not hold.
	Faults []string
	Cuts   int
	Parcel func(courier.Parcel) // told of each, may be nil

	rules   *courier.Rules
	names   []string
	rand    *rand.Rand
	m       *courier.Machine
	boot    int // counts power cuts
	on      bool
	began   time.Duration // of this boot
	queue   events
	n       uint64
	next    time.Duration
	disk    disk
	SyncMax time.Duration // how long a commit takes to be durable, at most
}

// Post is a message and when it was posted.
type Post struct {
	courier.Message
	At time.Duration
}

// disk holds commits in order; those from flushed on are lost in a cut.
type disk struct {
	letters map[string]*journal.Letter
	money   map[string]balance
	pending []commit
}

type balance struct {
	value float64
	at    time.Duration
}

type commit struct {
	letters map[string]*journal.Letter
	money   map[string]balance
	at      time.Duration // when it is durable
}

// New makes a world of a box that is on.
func New(rules *courier.Rules, seed uint64, paths ...*Path) (*World, error) {
	w := &World{
		Paths: map[string]*Path{}, Arrived: map[string]Arrival{}, Shorts: map[string]Arrival{}, Posted: map[string]Post{},
		Kept: map[string]bool{}, FirstByte: map[string]map[string]time.Duration{}, rules: rules, SyncMax: 50 * time.Millisecond,
		rand: rand.New(rand.NewPCG(seed, 7)), Now: time.Hour, // the county's time; a box's begins with its boot
		disk: disk{letters: map[string]*journal.Letter{}, money: map[string]balance{}},
	}
	for _, p := range paths {
		w.Paths[p.Name] = p
		w.names = append(w.names, p.Name)
	}
	return w, w.start()
}

// mono is the box's own time.
func (w *World) mono() time.Duration { return w.Now - w.began }

func (w *World) start() error {
	w.boot++
	w.on, w.began = true, w.Now
	m, err := courier.NewMachine(w.rules, w.names, w.rand)
	if err != nil {
		return err
	}
	w.m = m
	var ls []journal.Letter
	for _, l := range w.disk.letters {
		ls = append(ls, *l)
	}
	slices.SortFunc(ls, func(a, b journal.Letter) int { return bytes.Compare([]byte(a.ID), []byte(b.ID)) })
	m.Restore(w.mono(), ls, func(l *journal.Letter) (time.Duration, bool) { return w.Now - l.Made.Mono, true })
	for name, b := range w.disk.money {
		m.SetBalance(w.mono(), name, b.value, w.Now-b.at)
	}
	w.tell()
	w.turn()
	return nil
}

// tell hands the machine what the links say of themselves.
func (w *World) tell() {
	for _, name := range w.names {
		l := w.Paths[name].Limits
		l.May = !w.Paths[name].Off
		w.m.SetLimits(w.mono(), name, l)
	}
}

func (w *World) at(d time.Duration, boot int, do func()) {
	w.n++
	heap.Push(&w.queue, event{at: w.Now + d, n: w.n, boot: boot, do: do})
}

// Post has the box take a message.
func (w *World) Post(m courier.Message) error {
	if !w.on {
		return fmt.Errorf("the box is off")
	}
	m.Made = clock.Stamp{Mono: w.Now, Boot: "world"}
	if err := w.m.Post(w.mono(), m, 0, true); err != nil {
		return err
	}
	w.Posted[m.ID] = Post{m, w.Now}
	w.save()
	w.turn()
	return nil
}

// save commits what changed; it is durable a moment later, in order.
func (w *World) save() {
	ch := w.m.Changes()
	w.m.News()
	if len(ch.Letters)+len(ch.Links) == 0 {
		return
	}
	c := commit{letters: ch.Letters, money: map[string]balance{}, at: w.Now + time.Duration(w.rand.Int64N(int64(w.SyncMax)+1))}
	for _, name := range ch.Links {
		v, full := w.m.Balance(w.mono(), name)
		c.money[name] = balance{v, w.Now}
		if v < -w.rules.Overdraft*full-1e-9 {
			w.fault("link %s overdrew to %.4f of %.4f", name, v, full)
		}
	}
	if n := len(w.disk.pending); n > 0 {
		c.at = max(c.at, w.disk.pending[n-1].at)
	}
	w.disk.pending = append(w.disk.pending, c)
	w.at(c.at-w.Now, w.boot, w.flush)
}

// flush makes durable what is due.
func (w *World) flush() {
	for len(w.disk.pending) > 0 && w.disk.pending[0].at <= w.Now {
		c := w.disk.pending[0]
		w.disk.pending = w.disk.pending[1:]
		for id, l := range c.letters {
			if l == nil {
				delete(w.disk.letters, id)
				continue
			}
			l.Made = clock.Stamp{Mono: w.Posted[id].At, Boot: "world"}
			w.disk.letters[id] = l
			w.Kept[id] = true
		}
		for name, b := range c.money {
			w.disk.money[name] = b
		}
	}
}

// Cut takes the power away: what was not durable is lost, and so is everything that the box
// had in hand. Power brings it back.
func (w *World) Cut() {
	if !w.on {
		return
	}
	w.flush()
	w.disk.pending = nil
	w.on = false
	w.Cuts++
}

// Power gives the power back.
func (w *World) Power() error {
	if w.on {
		return nil
	}
	return w.start()
}

// On tells whether the box has power.
func (w *World) On() bool { return w.on }

// Status is the machine's.
func (w *World) Status() courier.Status { return w.m.Status(w.mono()) }

// Run lets the world go on for d.
func (w *World) Run(d time.Duration) { w.until(w.Now+d, func() bool { return false }) }

// Until lets the world go on until something holds, at most d, and tells whether it did.
func (w *World) Until(d time.Duration, holds func() bool) bool { return w.until(w.Now+d, holds) }

func (w *World) until(end time.Duration, holds func() bool) bool {
	if w.on {
		w.tell()
		w.turn()
	}
	for !holds() {
		at := end
		if len(w.queue) > 0 {
			at = min(at, w.queue[0].at)
		}
		turn := w.on && w.next < at
		if turn {
			at = w.next
		}
		w.Now = max(w.Now, at)
		if !turn && (len(w.queue) == 0 || w.queue[0].at > end) {
			return holds()
		}
		switch {
		case turn:
			w.turn()
		default:
			e := heap.Pop(&w.queue).(event)
			if e.boot == 0 || w.on && e.boot == w.boot {
				e.do()
			}
		}
	}
	return true
}

func (w *World) fault(format string, a ...any) {
	if len(w.Faults) < 20 {
		w.Faults = append(w.Faults, fmt.Sprintf("%v: ", w.Now)+fmt.Sprintf(format, a...))
	}
}

// turn has the machine's orders carried out.
func (w *World) turn() {
	o := w.m.Turn(w.mono())
	w.save()
	w.next = 1<<62 - 1
	if o.Next < w.next-w.began {
		if w.next = w.began + o.Next; w.next <= w.Now {
			w.fault("asks to be asked again at once")
			w.next = w.Now + time.Millisecond
		}
	}
	for _, p := range o.Sends {
		w.send(p)
	}
	for _, name := range o.Probes {
		w.probe(w.Paths[name])
	}
}
