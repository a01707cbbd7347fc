package station

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/wire"
)

// keyNames is where the journal keeps which names were given.
const keyNames = "courier.names"

const (
	// nameBlock is how many names are reserved at once, on the disk before the first of
	// them is given.
	nameBlock = 1000
	nameMost  = 1<<24 - 1
	// namesKept is how long a reservation may take before names go on without the disk.
	namesKept  = 5 * time.Second
	namesAgain = 10 * time.Second
	// heldMost bounds what is kept for a courier that is to come.
	heldMost = 2000
)

// names gives each message to the county a name that no other of this box ever has. One
// goroutine reserves them ahead, so that nobody waits for the disk; where the disk does
// not keep a reservation, names come from an outbox drawn for this run alone.
type names struct {
	mu    sync.Mutex
	kept  namesKeep
	next  uint32 // the next of kept; 0: none was reserved yet
	spare wire.Name
	stir  chan struct{}
}

// namesKeep is what the journal keeps: names up to UpTo may have been given.
type namesKeep struct {
	Outbox uint32 `json:"outbox"`
	UpTo   uint32 `json:"up_to"`
}

func drawOutbox() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // it never fails: crypto/rand
	return binary.BigEndian.Uint32(b[:]) & nameMost
}

func newNames() *names {
	return &names{spare: wire.Name{Outbox: drawOutbox(), Seq: 1}, stir: make(chan struct{}, 1)}
}

// give gives the next name.
func (n *names) give() (wire.Name, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next == 0 || n.next+nameBlock/2 > n.kept.UpTo {
		select {
		case n.stir <- struct{}{}:
		default:
		}
	}
	if n.next > 0 && n.next <= n.kept.UpTo {
		n.next++
		return wire.Name{Outbox: n.kept.Outbox, Seq: n.next - 1}, true
	}
	if !n.spare.Valid() {
		n.spare = wire.Name{Outbox: drawOutbox(), Seq: 1}
	}
	x := n.spare
	n.spare.Seq++
	return x, true
}

// reserver is what names need of the journal.
type reserver interface {
	Get(key string) ([]byte, bool)
	Put(key string, value []byte)
	Sync(ctx context.Context) error
	Loaded() <-chan struct{}
}

// run reserves names until ctx ends.
func (n *names) run(ctx context.Context, j reserver) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-j.Loaded():
	}
	n.mu.Lock()
	first := n.next == 0
	n.mu.Unlock()
	if b, ok := j.Get(keyNames); first && ok {
		var k namesKeep
		if json.Unmarshal(b, &k) == nil && (wire.Name{Outbox: k.Outbox, Seq: max(k.UpTo, 1)}).Valid() {
			n.mu.Lock()
			n.kept = k
			n.mu.Unlock()
		}
	}
	for {
		pause := time.Hour
		if !n.reserve(ctx, j) {
			pause = namesAgain
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-n.stir:
			if pause == namesAgain { // the disk gets its pause
				select {
				case <-ctx.Done():
				case <-t.C:
				}
			}
		case <-t.C:
		}
		t.Stop()
	}
}

// reserve makes sure that there are names for a while; false where the disk did not keep it.
func (n *names) reserve(ctx context.Context, j reserver) bool {
	n.mu.Lock()
	k, next := n.kept, n.next
	n.mu.Unlock()
	if next > 0 && next+nameBlock/2 <= k.UpTo {
		return true
	}
	if next == 0 { // the first of this run: what the one before had reserved is gone
		next = k.UpTo + 1
	}
	if k.UpTo == 0 || k.UpTo+nameBlock > nameMost {
		k, next = namesKeep{Outbox: drawOutbox()}, 1
	}
	k.UpTo += nameBlock
	b, _ := json.Marshal(k) // two numbers
	j.Put(keyNames, b)
	in, cancel := context.WithTimeout(ctx, namesKept)
	defer cancel()
	if j.Sync(in) != nil {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next == 0 || n.kept.Outbox != k.Outbox {
		n.next = next
	}
	n.kept = k
	return true
}

// post gives the courier what this box has to tell its county.
type post struct {
	h     *House
	names *names

	mu      sync.Mutex
	courier *courier.Courier
	rules   *courier.Rules // of a county that has no courier just now, while links change
	held    int            // of it, since
	refused bool
	reports *reports
	spares  courier.Spare

	delivered atomic.Pointer[func(courier.Delivered)]
}

func newPost(h *House) *post { return &post{h: h, names: newNames()} }

// name gives a message a name for ever. It never waits; false: there is none to be had.
func (p *post) name() (wire.Name, bool) {
	if p == nil {
		return wire.Name{}, false
	}
	return p.names.give()
}

// send keeps a message in the outbox until the county has it, in one with what caused it;
// b is kept in any case. Where no link leads to the county it only keeps b. It never waits.
func (p *post) send(m courier.Message, b journal.Batch) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.courier != nil {
		err := p.courier.Post(m, b)
		if err == nil {
			if p.refused {
				p.refused = false
				p.h.noteSoon(func() { p.h.clearFault("outbox") })
			}
			return
		}
		p.refused = true
		p.h.noteSoon(func() {
			p.h.log.Error("a message to the county was not taken", "id", m.ID, "class", m.Class, "err", err)
			p.h.setFault("outbox", phrase.M("station.outbox_refused", "why", phrase.Of(err)))
		})
	} else if p.rules != nil && m.Class < courier.Telemetry && p.held < heldMost {
		p.held++
		if m.Made.IsZero() {
			m.Made = p.h.clock.Now()
		}
		if l, err := p.rules.Letter(m); err == nil {
			if b.Outbox == nil {
				b.Outbox = map[string]*journal.Letter{}
			}
			b.Outbox[m.ID] = l
		}
	}
	if len(b.Records)+len(b.State)+len(b.Outbox) > 0 {
		p.h.journal.Commit(b)
	}
}

// open begins a courier. Whatever was posted before waits in the journal for it.
func (p *post) open(o courier.Opts) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, err := courier.Open(o)
	if err == nil {
		c.Spare(p.spares)
		p.courier, p.rules, p.held = c, nil, 0
	}
	return err
}

// spare has pictures and logs wait and the keep-alives of wide links be rarer, to save power.
func (p *post) spare(bulk bool, probes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := courier.Spare{Bulk: bulk, Probes: probes}
	if s == p.spares {
		return
	}
	p.spares = s
	if p.courier != nil {
		p.courier.Spare(s)
	}
}

// close forgets the courier. With rules, another is about to come.
func (p *post) close(rules *courier.Rules) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.courier, p.rules, p.reports = nil, rules, nil
}

// known tells who this box is to its county.
func (p *post) known(r *reports) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reports = r
}

// as gives who this box is to its county; nil where none hears from it, or its secret
// cannot be read.
func (p *post) as() *reports {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reports
}

// envelope seals what goes up under a name; false where no county hears from this box.
func (p *post) envelope(n wire.Name, e wire.Envelope) ([]byte, bool) {
	r := p.as()
	if r == nil {
		return nil, false
	}
	e.ID = wire.ID{Station: string(r.Station), Boot: uint64(n.Outbox), Sequence: uint64(n.Seq)}
	b, err := e.Append(nil, r.Keys, wire.Up)
	if err != nil {
		p.h.log.Error("a message to the county was not sealed", "id", n.String(), "err", err)
		return nil, false
	}
	return b, true
}

// status tells how the courier stands; false where there is none.
func (p *post) status() (courier.Status, bool) {
	if p == nil {
		return courier.Status{}, false
	}
	p.mu.Lock()
	c := p.courier
	p.mu.Unlock()
	if c == nil {
		return courier.Status{}, false
	}
	return c.Status(), true
}

// onDelivered has f told each message whose receipt came. f must neither block nor post.
func (p *post) onDelivered(f func(courier.Delivered)) { p.delivered.Store(&f) }

func (p *post) arrive(d courier.Delivered) {
	if f := p.delivered.Load(); f != nil {
		(*f)(d)
	}
}

// courierStatus tells how the links to the county and the outbox stand; false where no
// county hears from this box.
func (h *House) courierStatus() (courier.Status, bool) { return h.post.status() }
