package pulse

import (
	"context"
	"fmt"
	"maps"
	"os"
	"sync"
	"time"

	"tocsin/drivers"
)

// State is what is kept of a contact.
type State struct {
	Count  uint64 `json:"count"`
	Closed bool   `json:"closed"`
}

// Keep keeps the counts.
type Keep interface {
	Load() (map[string]State, error)
	Save(map[string]State) error
}

// Opts says how a board counts.
type Opts struct {
	// Start starts the goroutine that waits for each contact. Required.
	Start drivers.Starter
	// Keep keeps the counts; nil counts in memory only.
	Keep Keep
	// Failed is told once that keeping failed, and with nil that it works again.
	// May be nil; it must not wait.
	Failed func(error)
}

// Board counts the contacts of a board. Contacts are added before they are
// measured; Close ends all.
type Board struct {
	o      Opts
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	t      tally
	kept   map[string]State
	state  map[string]bool  // closed
	faults map[string]error // of the pins
	failed bool
}

// New begins with what was kept. A file that is damaged is an error beside a board
// that counts from zero.
func New(o Opts) (*Board, error) {
	b := &Board{o: o, t: tally{map[string]*tallied{}}, kept: map[string]State{}, state: map[string]bool{}, faults: map[string]error{}}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	if o.Keep == nil {
		return b, nil
	}
	kept, err := o.Keep.Load()
	if err != nil {
		return b, fmt.Errorf("kept counts: %w", err)
	}
	maps.Copy(b.kept, kept)
	return b, nil
}

// Contact adds a contact by its name, under which its count is kept. open opens its
// pin, at once and again after a fault; closest is the shortest time between two
// closings that can be real, 0 for any.
func (b *Board) Contact(name string, closest time.Duration, open func() (drivers.Edges, error)) *Contact {
	b.mu.Lock()
	b.t.contacts[name] = &tallied{count: b.kept[name].Count, closest: closest}
	b.faults[name] = &drivers.Fault{Kind: drivers.FaultTimeout, Detail: name + " was not read yet"}
	b.mu.Unlock()
	b.wg.Add(1)
	b.o.Start("pulse "+name, func() {
		defer b.wg.Done()
		b.watch(name, open)
	})
	return &Contact{b, name}
}

// reopen is the pause before a pin is opened again.
const reopen = time.Second

func (b *Board) watch(name string, open func() (drivers.Edges, error)) {
	first := true
	for b.ctx.Err() == nil {
		in, err := open()
		if err == nil {
			err = b.count(name, in, first)
			if c, ok := in.(interface{ Close() error }); ok {
				c.Close()
			}
			first = false
		}
		if b.ctx.Err() != nil {
			return
		}
		b.mu.Lock()
		b.faults[name] = err
		b.mu.Unlock()
		t := time.NewTimer(reopen)
		select {
		case <-t.C:
		case <-b.ctx.Done():
			t.Stop()
		}
	}
}

// count waits for closings until the pin fails.
func (b *Board) count(name string, in drivers.Edges, first bool) error {
	was, err := in.Read(b.ctx)
	if err != nil {
		return err
	}
	b.mu.Lock()
	k, known := b.kept[name]
	before := b.state[name]
	if first {
		before = k.Closed
	}
	b.faults[name], b.state[name] = nil, was
	if was && !before && (known || !first) {
		b.t.closes(name, time.Now()) // it closed while nobody looked
	}
	b.mu.Unlock()
	for {
		if err := in.WaitEdge(b.ctx, time.Second); err != nil {
			return err
		}
		now, err := in.Read(b.ctx)
		if drivers.KindOf(err) == drivers.FaultGarbled {
			continue // it bounces without end; the next still level counts
		}
		if err != nil {
			return err
		}
		if now == was {
			continue
		}
		was = now
		b.mu.Lock()
		b.state[name] = now
		if now {
			b.t.closes(name, time.Now())
		}
		b.mu.Unlock()
	}
}

// Contact is one counted contact: a drivers.Values.
type Contact struct {
	b    *Board
	name string
}

// Measure is drivers.Values: the count, kept before it is given.
func (c *Contact) Measure(ctx context.Context) ([]drivers.Sample, error) {
	b := c.b
	if b.ctx.Err() != nil {
		return nil, &drivers.Fault{Kind: drivers.FaultGone, Detail: c.name, Err: os.ErrClosed}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.faults[c.name]; err != nil {
		return nil, err
	}
	now := time.Now()
	b.t.settle(now)
	b.keep()
	x := b.t.contacts[c.name]
	return []drivers.Sample{{Channel: "count", Value: float64(x.count), At: now, Doubt: x.doubt(now)}}, nil
}

// keep saves what changed; the lock is held.
func (b *Board) keep() {
	now := map[string]State{}
	maps.Copy(now, b.kept) // contacts that are not in use keep their counts
	for n, x := range b.t.contacts {
		closed := b.state[n]
		if !x.pending.IsZero() {
			closed = false // not counted yet: after a restart it must be
		}
		now[n] = State{x.count, closed}
	}
	if maps.Equal(now, b.kept) && !b.failed {
		return
	}
	var err error
	if b.o.Keep != nil {
		err = b.o.Keep.Save(now)
	}
	if b.o.Failed != nil && (err != nil) != b.failed {
		b.o.Failed(err)
	}
	if b.failed = err != nil; !b.failed {
		b.kept = now
	}
}

// Close ends counting and keeps the counts.
func (b *Board) Close() error {
	b.cancel()
	b.wg.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	// A closing that is still waiting for its instant is one: nothing follows it.
	b.t.settle(time.Now().Add(settle))
	b.keep()
	return nil
}

// Close is drivers.Values; the board goes on.
func (c *Contact) Close() error { return nil }

// String names it.
func (c *Contact) String() string { return "pulse " + c.name }

var _ drivers.Values = (*Contact)(nil)
