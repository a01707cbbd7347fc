package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/cmd/hubd/logbook"
	"tocsin/drivers"
	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/narrow"
	"tocsin/firmware/reach/wire"
)

// NarrowPost is what a gateway for short messages asks of the post office.
type NarrowPost interface {
	// Short keeps what came by a narrow link; nil when it is on the disk.
	Short(ctx context.Context, s letter.Station, l *letter.Letter) error
	// Sends gives what of a class the desk sent since a time, and what comes, until ctx ends.
	Sends(ctx context.Context, since time.Time, class letter.Class, give func(s letter.Station, l letter.Letter, names string, at time.Time)) error
	Taken(ctx context.Context, s letter.Station, id, link string) error
	HasTaken(ctx context.Context, s letter.Station, id string) bool
	Heard(s letter.Station, link string, at time.Time)
}

// NarrowOpts are a Narrow's.
type NarrowOpts struct {
	File     *hubfile.File
	Terminal hubfile.Terminal
	Device   drivers.Terminal
	Post     NarrowPost
	Keep     narrow.Keep
	// Counters are shared by all gateways: a pair has one counter, over all its links.
	Counters *narrow.Counters
	// Warning reads 78 bytes: when they are over; false where no issuer of the file signed them.
	Warning func(b []byte, at time.Time) (until time.Time, ok bool)
	// Reached tells which stations gave a receipt for a warning of these names.
	Reached func(names string) map[letter.Station]bool
	Guard   *guard.Guard
	Log     *slog.Logger
	Now     func() time.Time
	Mono    func() time.Duration
	// Clock is the hub's time and how far it may be off; false where nobody keeps it right. nil: stations are not told.
	Clock func() (t time.Time, within time.Duration, ok bool)
}

// Narrow is the gateway of one terminal. Use NewNarrow, then Run.
type Narrow struct {
	o    NarrowOpts
	name string
	left []LeftOut
	far  map[letter.Station]*far
	by   map[string]*far // by address, as drivers write it
	stir chan struct{}

	mu       sync.Mutex
	calls    map[string]*call
	orders   map[orderKey]*order
	next     time.Time // for the next message, where the terminal says none
	noGroup  bool      // the card has no broadcast
	news     bool      // a receipt came since the warnings were looked at
	count    Counts
	lastFrom string
}

// far is a station on this link. The gateway's lock guards what is not the End's.
type far struct {
	station letter.Station
	to      string
	end     *narrow.End
	queue   []narrow.Frame // what it asked for, and the rest of what was split
	due     time.Duration  // since when an acknowledgement waits; -1: none
	urgent  bool           // of classes 0 to 3
	alone   time.Duration  // when the last message of acknowledgements alone went out; -1: never
	sent    time.Duration  // when anything went out last
	hour    time.Duration  // when it was told the time last; -1: never
}

// Counts count messages since the start.
type Counts struct {
	// Taken were genuine and new, Again came once more, Refused were not the station's or were changed, Strangers
	// came from nobody in the file, Foreign are none of ours, Unkept could not be kept.
	Taken, Again, Refused, Strangers, Foreign, Unkept int
	// Sent went out, of which Alone carried acknowledgements only; Failed the terminal did not take.
	Sent, Alone, Failed int
}

// NarrowState is how a gateway does.
type NarrowState struct {
	Name, Kind string
	Terminal   drivers.TerminalState
	Limits     drivers.TerminalLimits
	Counts     Counts
	Stations   int
	// Waiting are warnings that are still repeated, Orders what waits for its acknowledgement.
	Waiting, Orders int
	// LastFrom is who sent the last message that was refused or came from a stranger.
	LastFrom string
}

// NewNarrow makes the ends of all stations that have an address on the terminal.
func NewNarrow(o NarrowOpts) *Narrow {
	n := &Narrow{o: o, name: o.Terminal.Name, far: map[letter.Station]*far{}, by: map[string]*far{}, stir: make(chan struct{}, 1), calls: map[string]*call{}, orders: map[orderKey]*order{}}
	for _, id := range o.File.Order() {
		s := o.File.Stations[id]
		a := s.Addresses[n.name]
		if a == "" || len(s.Keys) == 0 {
			continue
		}
		self := o.Terminal.Own
		if o.Terminal.Kind == hubfile.KindSBD {
			self = gatewayAddress // that is whom a station hears there
		}
		e, err := narrow.New(narrow.Opts{Link: n.name, Direction: wire.Down, Keys: s.Keys, Self: self, Peer: a, Keep: o.Keep, Counters: o.Counters, Now: o.Now})
		if err != nil {
			err = phrase.Wrap(err, "hubd.narrow_end", "link", n.name, "station", id)
			o.Log.Error("a station is left out of a gateway", "link", n.name, "station", id, "err", err)
			n.left = append(n.left, LeftOut{letter.Station(id), err})
			continue
		}
		f := &far{station: letter.Station(id), to: hubfile.Address(o.Terminal.Kind, a), end: e, due: -1, alone: -1, sent: -1, hour: -1}
		if o.Terminal.Kind == hubfile.KindSBD {
			f.to = gatewayAddress
		}
		n.far[f.station], n.by[narrow.OnLink(a)] = f, f
	}
	return n
}

// Left are the stations whose window cannot be read.
func (n *Narrow) Left() []LeftOut { return n.left }

// gatewayAddress is whom an Iridium modem speaks with: the network's gateway, which does not say for whom it speaks.
const gatewayAddress = "gateway"

// Name is the link's.
func (n *Narrow) Name() string { return n.name }

// State gives a copy of how it does.
func (n *Narrow) State() NarrowState {
	s := NarrowState{Name: n.name, Kind: n.o.Terminal.Kind, Terminal: n.o.Device.State(), Limits: n.o.Device.Limits(), Stations: len(n.far)}
	n.mu.Lock()
	defer n.mu.Unlock()
	s.Counts, s.Waiting, s.Orders, s.LastFrom = n.count, len(n.calls), len(n.orders), n.lastFrom
	return s
}

// Run serves the terminal until ctx ends.
func (n *Narrow) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	owner := "gateway " + n.name
	sends := func(c letter.Class) func(context.Context) error {
		return func(ctx context.Context) error { return n.o.Post.Sends(ctx, n.o.Now().Add(-sendsFor), c, n.give) }
	}
	for name, f := range map[string]func(context.Context) error{
		"terminal": n.o.Device.Run, "send": n.pump, "warnings": sends(letter.Warning), "commands": sends(letter.Command),
	} {
		n.o.Guard.GoIn(ctx, owner, name, guard.Restart, f)
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-n.o.Device.Received():
			n.take(ctx, m)
		}
	}
}

// take takes one message of the terminal. Who sent it proves nothing; the seal does.
func (n *Narrow) take(ctx context.Context, m drivers.Incoming) {
	if m.GB2312 || wire.FormOf(m.Bytes) != wire.Narrow {
		n.counted(func(c *Counts) { c.Foreign++ })
		return
	}
	if f := n.by[narrow.OnLink(m.From)]; f != nil {
		n.hear(ctx, f, m, m.From, true)
		return
	}
	if m.From == gatewayAddress || m.From == "" { // the network does not say who sent it: the seal does
		for _, id := range slices.Sorted(maps.Keys(n.far)) {
			if n.hear(ctx, n.far[id], m, "", false) {
				return
			}
		}
		n.refused(m.From, func(c *Counts) { c.Refused++ })
		return
	}
	n.refused(m.From, func(c *Counts) { c.Strangers++ })
}

func (n *Narrow) counted(f func(*Counts)) { n.mu.Lock(); defer n.mu.Unlock(); f(&n.count) }

func (n *Narrow) refused(from string, f func(*Counts)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(&n.count)
	n.lastFrom = from[:min(len(from), 32)]
}

// hear opens a message with a station's end, has what is in it kept and only then says so. It tells
// whether the message was that station's; only is false where others may be asked.
func (n *Narrow) hear(ctx context.Context, f *far, m drivers.Incoming, from string, only bool) bool {
	r, err := f.end.Hear(ctx, m.Bytes, from, n.o.Mono())
	var x *phrase.Error
	switch {
	case err == nil:
		n.counted(func(c *Counts) { c.Taken++ })
	case wire.Replayed(err):
		n.counted(func(c *Counts) { c.Again++ })
		n.mark(f, wire.Alarm) // it is told again that it was kept, where it was
		return true
	case errors.As(err, &x) && x.Code == "narrow.window_unkept":
		n.counted(func(c *Counts) { c.Unkept++ })
		n.o.Log.Error("a message's counter could not be kept: it is not acted on", "link", n.name, "station", f.station, "err", err)
		return true
	default:
		if len(r.Heard) == 0 && len(r.Acked) == 0 {
			if only {
				n.refused(m.From, func(c *Counts) { c.Refused++ })
			}
			return false
		}
	}
	n.o.Post.Heard(f.station, n.name, n.o.Now())
	for _, h := range r.Heard {
		if err := n.keep(ctx, f, h); err != nil {
			n.o.Log.Warn("a message is not kept and not acknowledged; its station sends it again", "link", n.name, "station", f.station, "err", err)
			n.counted(func(c *Counts) { c.Unkept++ })
			continue
		}
		if !h.Unkept {
			f.end.Kept(h.Counter)
			n.mark(f, classOf(h))
		}
	}
	for _, id := range r.Acked {
		n.acked(ctx, f, id)
	}
	if len(r.Send) > 0 {
		n.later(f, r.Send)
	}
	return true
}

// classOf is the most urgent of a content.
func classOf(h narrow.Heard) wire.Class {
	c := h.Class
	for i := range h.Items {
		c = min(c, itemClass(&h.Items[i], h.Class))
	}
	return c
}

func itemClass(i *wire.Item, or wire.Class) wire.Class {
	switch i.Type {
	case wire.ItemAlarm:
		return wire.Alarm
	case wire.ItemReceipts, wire.ItemUpdate:
		return wire.Receipt
	case wire.ItemTelemetry:
		return wire.Telemetry
	}
	return max(or, wire.Alarm)
}

// keep has all items of a content on the disk as letters.
func (n *Narrow) keep(ctx context.Context, f *far, h narrow.Heard) error {
	in, cancel := context.WithTimeout(ctx, keepIn)
	defer cancel()
	for i := range h.Items {
		l, err := n.letter(f, h, i)
		if err == nil {
			err = n.o.Post.Short(in, f.station, l)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// letter puts an item into an envelope of its station, as if it had come over IP. Its bytes follow from the item alone, so
// that a copy is known.
func (n *Narrow) letter(f *far, h narrow.Heard, i int) (*letter.Letter, error) {
	item := &h.Items[i]
	id := fmt.Sprintf("n%s-%d", n.name, h.Counter)
	if i > 0 {
		id += fmt.Sprintf("-%d", i)
	}
	return short(n.o.File, f.station, n.name, id, h.Counter, itemClass(item, h.Class), item)
}

// short puts an item into a letter: a sealed envelope of its station. An alarm has its own name; what has none is named
// by where it came.
func short(f *hubfile.File, s letter.Station, link, id string, counter uint64, c wire.Class, item *wire.Item) (*letter.Letter, error) {
	e := wire.Envelope{ID: wire.ID{Station: string(s), Sequence: counter}, Class: c, Type: uint8(item.Type), Content: item.Bytes}
	if item.Type == wire.ItemAlarm {
		if a, err := wire.ReadAlarm(item.Bytes); err == nil {
			id, e.ID.Boot, e.ID.Sequence = logbook.ShortID(a.Name), uint64(a.Name.Outbox), uint64(a.Name.Seq)
		}
	}
	if item.Type == wire.ItemUpdate {
		if u, err := wire.ReadUpdate(item.Bytes); err == nil {
			id, e.ID.Boot, e.ID.Sequence = logbook.ShortID(u.Name), uint64(u.Name.Outbox), uint64(u.Name.Seq)
		}
	}
	if name, ok := logbook.Short(id); ok {
		if n, ok := wire.ParseName(name); ok {
			e.ID.Boot, e.ID.Sequence = uint64(n.Outbox), uint64(n.Seq)
		}
	}
	keys := f.Stations[string(s)].Keys
	b, err := e.Append(nil, keys[len(keys)-1], wire.Up)
	if err != nil {
		return nil, err
	}
	return &letter.Letter{ID: id, Class: letter.Class(e.Class), Link: link, Body: b}, nil
}

// Receipt tells that a station's receipt came: what it ends is repeated no more.
func (n *Narrow) Receipt() {
	n.mu.Lock()
	n.news = true
	n.mu.Unlock()
	n.wake()
}

// mark notes that an acknowledgement is due.
func (n *Narrow) mark(f *far, c wire.Class) {
	if f.end.AckDue() == 0 {
		return
	}
	n.mu.Lock()
	if f.due < 0 {
		f.due = n.o.Mono()
	}
	f.urgent = f.urgent || c <= wire.Alarm
	n.mu.Unlock()
	n.wake()
}

func (n *Narrow) later(f *far, frames []narrow.Frame) {
	n.mu.Lock()
	f.queue = append(f.queue, frames...)
	if over := len(f.queue) - queueMost; over > 0 {
		f.queue = f.queue[over:]
	}
	n.mu.Unlock()
	n.wake()
}

func (n *Narrow) wake() {
	select {
	case n.stir <- struct{}{}:
	default:
	}
}

// isWarning tells whether a letter is one of 78 bytes.
func isWarning(l *letter.Letter) bool { return l.Class == letter.Warning && compact.Is(l.Body) }
