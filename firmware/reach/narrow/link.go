package narrow

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/wire"
)

// LinkOpts says what a Link joins. Name, Terminal, End, To, Item, Heard and Start must be set.
type LinkOpts struct {
	// Name is the link's row in links.yaml.
	Name     string
	Terminal drivers.Terminal
	End      *End
	// To is the county on the link, as the terminal writes it.
	To string
	// Item gives a part's form for the air; false where it has none.
	Item func(courier.Part) (wire.Item, bool)
	// Heard is given each content once. nil says that it is kept for good, and it is acknowledged then.
	Heard func(context.Context, Heard) error
	// Compact is given what is no narrow message: compact warnings, by their first bits, and what is not ours.
	// nil drops it.
	Compact func(context.Context, drivers.Incoming)
	// Start starts the goroutine that sends what Send left over; Run waits for its end.
	Start func(name string, run func())
	// Every is the least time between two messages where the terminal says none.
	Every time.Duration
	// AckAfter is how long acknowledgements wait for a message that they ride along with, before they go as one of
	// their own; 0: for ever. AckMost is how many may wait; 0: any number.
	AckAfter time.Duration
	AckMost  int
	// Mono is the monotonic clock; default clock.Mono.
	Mono func() time.Duration
}

// Link is a courier.Link over a terminal. Use NewLink, and Run beside the terminal's own Run.
type Link struct {
	o    LinkOpts
	acks chan []courier.Ack
	air  chan struct{} // who has it sends
	stir chan struct{}

	mu     sync.Mutex
	queue  []Frame // by class
	next   time.Time
	claim  time.Time     // until then a slot is left to what is more urgent than the queue and came too early for the last
	due    time.Duration // since when an acknowledgement waits; -1: none does
	behind []courier.Ack // what nobody took yet
	count  Counts
}

// Counts count messages since the start.
type Counts struct {
	// Sent went out, of which Alone carried acknowledgements or requests only; Dropped did not, since too many waited.
	Sent, Alone, Dropped int64
	// Taken were genuine and new, Again came once more, Refused were not the peer's, Unkept were genuine and could not be
	// kept, Foreign were no narrow messages.
	Taken, Again, Refused, Unkept, Foreign int64
	// Last is why the last one was refused.
	Last error
}

const (
	queueMost  = 64
	behindMost = 4096
	pumpEach   = time.Second
	pumpLeast  = 20 * time.Millisecond
	pumpSend   = 30 * time.Second
	claimed    = 3 * time.Second // the courier looks each second
)

// NewLink makes one.
func NewLink(o LinkOpts) *Link {
	if o.Mono == nil {
		o.Mono = clock.Mono
	}
	if o.Compact == nil {
		o.Compact = func(context.Context, drivers.Incoming) {}
	}
	return &Link{o: o, acks: make(chan []courier.Ack, 16), air: make(chan struct{}, 1), stir: make(chan struct{}, 1), due: -1}
}

// Name is courier.Link.
func (l *Link) Name() string { return l.o.Name }

// Acks is courier.Link.
func (l *Link) Acks() <-chan []courier.Ack { return l.acks }

// Counts gives the counters.
func (l *Link) Counts() Counts { l.mu.Lock(); defer l.mu.Unlock(); return l.count }

// Limits is courier.Link.
func (l *Link) Limits() courier.Limits {
	t := l.o.Terminal.Limits()
	x := courier.Limits{May: t.Transmit && t.Bytes > wire.Overhead, Bytes: min(t.Bytes, wire.NarrowMost), Every: t.Every}
	if !x.May {
		x.Why = Why(t.Bar)
	}
	return x
}

// Why says why a terminal sends nothing.
func Why(b drivers.Bar) phrase.Message {
	switch b {
	case drivers.BarStarting, drivers.BarNone:
		return phrase.M("narrow.bar_starting")
	case drivers.BarReceiveOnly:
		return phrase.M("narrow.bar_receive_only")
	case drivers.BarNoCard:
		return phrase.M("narrow.bar_no_card")
	case drivers.BarOtherCard:
		return phrase.M("narrow.bar_other_card")
	case drivers.BarLevel:
		return phrase.M("narrow.bar_level")
	case drivers.BarSettings:
		return phrase.M("narrow.bar_settings")
	case drivers.BarNoSignal:
		return phrase.M("narrow.bar_no_signal")
	case drivers.BarSilenced:
		return phrase.M("narrow.bar_silenced")
	}
	return phrase.M("narrow.bar_other", "bar", string(b))
}

// FaultOf gives a terminal's fault as the courier's.
func FaultOf(err error) error {
	if err == nil {
		return nil
	}
	f := &courier.Fault{Kind: courier.FaultUnsure, Err: err}
	var d *drivers.Fault
	if errors.As(err, &d) {
		switch d.Kind {
		case drivers.FaultEarly:
			f.Kind, f.Wait = courier.FaultEarly, max(0, time.Until(d.Until))
		case drivers.FaultTooLong:
			f.Kind = courier.FaultTooLong
		case drivers.FaultBarred, drivers.FaultRefused, drivers.FaultCancelled:
			f.Kind = courier.FaultRefused
		case drivers.FaultGone:
			f.Kind = courier.FaultGone
		}
	}
	return f
}

// Send is courier.Link. The first message goes out before it returns; fragments that follow go out by and by.
func (l *Link) Send(ctx context.Context, p courier.Parcel) error {
	class := wire.Bulk
	var parts []Part
	for _, x := range p.Parts {
		item, ok := l.o.Item(x)
		if !ok {
			continue
		}
		parts = append(parts, Part{ID: formOf(x), Class: wire.Class(x.Class), Item: item})
		class = min(class, wire.Class(x.Class))
	}
	if len(parts) == 0 {
		return &courier.Fault{Kind: courier.FaultTooLong, Err: phrase.E("narrow.item", "id", p.Parts[0].ID)}
	}
	select {
	case l.air <- struct{}{}:
		defer func() { <-l.air }()
	case <-ctx.Done():
		return &courier.Fault{Kind: courier.FaultRefused, Err: ctx.Err()}
	}
	if wait := l.wait(class); wait > 0 {
		return &courier.Fault{Kind: courier.FaultEarly, Wait: wait}
	}
	t := l.o.Terminal.Limits()
	if !t.Transmit {
		return &courier.Fault{Kind: courier.FaultRefused, Err: phrase.E("narrow.bar_other", "bar", string(t.Bar))}
	}
	frames, err := l.o.End.Pack(ctx, t.Bytes, parts)
	if len(frames) == 0 {
		var x *phrase.Error
		kind := courier.FaultRefused
		if errors.As(err, &x) && (x.Code == "narrow.too_long" || x.Code == "narrow.item") {
			kind = courier.FaultTooLong
		}
		return &courier.Fault{Kind: kind, Err: err}
	}
	if err := l.radiate(ctx, frames[0]); err != nil {
		return err
	}
	l.later(frames[1:])
	return nil
}

// wait tells how long until a message of a class may go: the terminal's own time, and after what waits and is as urgent.
func (l *Link) wait(class wire.Class) time.Duration {
	t := l.o.Terminal.Limits()
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.next
	if t.Next.After(at) {
		at = t.Next
	}
	wait := time.Until(at)
	if wait <= 0 {
		l.claim = time.Time{}
	}
	every := l.every(t)
	before := 0
	for _, f := range l.queue {
		if f.Class <= class {
			before++
		}
	}
	if before > 0 {
		return max(wait, 0) + time.Duration(before)*max(every, pumpEach)
	}
	if wait > 0 && len(l.queue) > 0 {
		l.claim = at.Add(claimed)
	}
	return wait
}

func (l *Link) every(t drivers.TerminalLimits) time.Duration {
	if t.Every > 0 {
		return t.Every
	}
	return l.o.Every
}

// radiate hands one message to the terminal. The air is the caller's.
func (l *Link) radiate(ctx context.Context, f Frame) error {
	_, err := l.o.Terminal.Send(ctx, drivers.Outgoing{To: l.o.To, Bytes: f.Bytes})
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		return FaultOf(err)
	}
	l.count.Sent++
	l.next = time.Now().Add(l.every(l.o.Terminal.Limits()))
	if l.o.End.AckDue() == 0 {
		l.due = -1
	}
	return nil
}

// later queues messages, the urgent ones first.
func (l *Link) later(frames []Frame) {
	if len(frames) == 0 {
		return
	}
	l.mu.Lock()
	l.queue = append(l.queue, frames...)
	slices.SortStableFunc(l.queue, func(a, b Frame) int { return int(a.Class) - int(b.Class) })
	if n := len(l.queue) - queueMost; n > 0 {
		l.count.Dropped += int64(n)
		l.queue = l.queue[:queueMost]
	}
	l.mu.Unlock()
	l.wake()
}

func (l *Link) wake() {
	select {
	case l.stir <- struct{}{}:
	default:
	}
}

// Run takes what comes, until ctx ends.
func (l *Link) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan struct{})
	l.o.Start("narrow "+l.o.Name, func() { defer close(ended); l.pump(ctx) })
	defer func() { cancel(); <-ended }()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-l.o.Terminal.Received():
			l.take(ctx, m)
		}
	}
}

// take takes one message.
func (l *Link) take(ctx context.Context, m drivers.Incoming) {
	if m.GB2312 || wire.FormOf(m.Bytes) != wire.Narrow {
		l.counted(func(c *Counts) { c.Foreign++ })
		l.o.Compact(ctx, m)
		return
	}
	r, err := l.o.End.Hear(ctx, m.Bytes, m.From, l.o.Mono())
	l.counted(func(c *Counts) {
		var x *phrase.Error
		switch {
		case err == nil:
			c.Taken++
		case wire.Replayed(err):
			c.Again++
		case errors.As(err, &x) && x.Code == "narrow.window_unkept":
			c.Unkept++
		default:
			c.Refused++
		}
		if err != nil {
			c.Last = err
		}
	})
	for _, h := range r.Heard {
		if l.o.Heard(ctx, h) == nil && !h.Unkept {
			l.o.End.Kept(h.Counter)
		}
	}
	l.mu.Lock()
	if l.due < 0 && l.o.End.AckDue() > 0 {
		l.due = l.o.Mono()
	}
	for _, id := range r.Acked {
		if len(l.behind) < behindMost { // what is on top of it the courier sends again
			l.behind = append(l.behind, ackOf(id))
		}
	}
	l.mu.Unlock()
	l.tell()
	l.later(r.Send)
}

func (l *Link) counted(f func(*Counts)) { l.mu.Lock(); defer l.mu.Unlock(); f(&l.count) }

// formOf names a part and which form of its message it is; ackOf reads that again.
func formOf(p courier.Part) string {
	if p.Short {
		return "s" + p.ID
	}
	return "l" + p.ID
}

func ackOf(id string) courier.Ack { return courier.Ack{ID: id[1:], Short: id[0] == 's'} }

// tell hands acknowledgements to the courier, never waiting.
func (l *Link) tell() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.behind) == 0 {
		return
	}
	select {
	case l.acks <- l.behind:
		l.behind = nil
	default:
	}
}

// pump sends what waits, until ctx ends.
func (l *Link) pump(ctx context.Context) {
	t := time.NewTimer(pumpEach)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-l.stir:
		}
		l.tell()
		for l.one(ctx) {
		}
		t.Reset(l.nextLook())
	}
}

// nextLook is when the pump looks again: at the next slot where something waits for it.
func (l *Link) nextLook() time.Duration {
	t := l.o.Terminal.Limits()
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.next
	for _, x := range []time.Time{t.Next, l.claim} {
		if x.After(at) {
			at = x
		}
	}
	if len(l.queue) == 0 {
		return pumpEach
	}
	return min(pumpEach, max(time.Until(at), pumpLeast))
}

// one sends one message if the terminal takes one now; true where more may go.
func (l *Link) one(ctx context.Context) bool {
	select {
	case l.air <- struct{}{}:
		defer func() { <-l.air }()
	default:
		return false // Send has it
	}
	t := l.o.Terminal.Limits()
	l.mu.Lock()
	early := time.Now().Before(l.next) || time.Now().Before(t.Next) || time.Now().Before(l.claim)
	l.mu.Unlock()
	if !t.Transmit || early {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, pumpSend)
	defer cancel()
	f, alone, ok := l.pick(ctx, t.Bytes)
	if !ok {
		return false
	}
	err := l.radiate(ctx, f)
	var x *courier.Fault
	switch {
	case err == nil && alone:
		l.counted(func(c *Counts) { c.Alone++ })
	case errors.As(err, &x) && (x.Kind == courier.FaultEarly || x.Kind == courier.FaultGone || x.Kind == courier.FaultRefused) && !alone:
		l.mu.Lock() // it did not go out
		l.queue = slices.Insert(l.queue, 0, f)
		if x.Wait > 0 {
			l.next = time.Now().Add(x.Wait)
		}
		l.mu.Unlock()
	}
	return err == nil
}

// pick gives what is to go out beside what the courier sends: what was left over, requests, acknowledgements that waited long enough.
func (l *Link) pick(ctx context.Context, most int) (f Frame, alone, ok bool) {
	l.mu.Lock()
	if len(l.queue) > 0 {
		f, l.queue = l.queue[0], l.queue[1:]
		l.mu.Unlock()
		if len(f.Bytes) <= most {
			return f, false, true
		}
		return l.pick(ctx, most) // the card was changed for a lesser one
	}
	due := l.due
	l.mu.Unlock()
	now := l.o.Mono()
	if f, ok, err := l.o.End.Ask(ctx, most, now); ok && err == nil {
		return f, true, true
	}
	n := l.o.End.AckDue()
	if n == 0 || !(l.o.AckAfter > 0 && due >= 0 && now-due >= l.o.AckAfter || l.o.AckMost > 0 && n >= l.o.AckMost) {
		return Frame{}, false, false
	}
	f, ok, err := l.o.End.Acks(ctx, most)
	return f, true, ok && err == nil
}

var _ courier.Link = (*Link)(nil)
