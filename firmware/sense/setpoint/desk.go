package setpoint

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"sync"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// Spec is one thing that can be set, as its profile and the site have it.
type Spec struct {
	// ID is "<device>.<write>".
	ID   string
	Name phrase.Text
	Unit point.Unit
	// Min, Max and Step bound what may be asked; Step is 0 where any value
	// between them will do.
	Min, Max, Step float64
	// Takes says why a value may not be asked for.
	Takes func(float64) error
	// FailSafe is restored After the last asking; 0 is never.
	FailSafe float64
	After    time.Duration
	// Refused says why nobody may set it here; the zero Message is none.
	Refused phrase.Message
}

// Who asks.
type Who struct {
	Name string `json:"name"`
	Via  string `json:"via"`
}

// Change is what came of one asking.
type Change struct {
	ID  string
	Who Who
	// Old is what stood there; NaN where it is not known.
	Old, New float64
	Unit     point.Unit
	// Restored: the desk itself put the fail-safe value back.
	Restored bool
	// Err says why it did not take; nil where the device holds New.
	Err error
	At  clock.Stamp
}

// State is one thing with what was last asked of it.
type State struct {
	Spec
	Held *Held
	// Failing says why the last asking did not take; the zero Message is none.
	Failing phrase.Message
}

// Held is the last value that a person asked for and that was not replaced by
// the fail-safe one.
type Held struct {
	Value float64     `json:"value"`
	Who   Who         `json:"who"`
	At    clock.Stamp `json:"at"`
}

// Opts is what the desk needs from the house.
type Opts struct {
	Clock clock.Clock
	// Write sets and reads back, before anything else on the line.
	Write func(ctx context.Context, id string, v float64) (old float64, err error)
	// Keep puts away what is held, for Recall in a later run.
	Keep func(state []byte)
	// Changed is told of every asking that reached a device, for the journal,
	// with the state to keep; nil where it is not known yet what was held.
	Changed func(c Change, state []byte)
	// Fault and Cleared call what did not take.
	Fault   func(thing string, m phrase.Message)
	Cleared func(thing string)
}

// Timing of the desk.
const (
	// writeLimit bounds one asking, its wait for the line included.
	writeLimit = 8 * time.Second
	// again is the pause between attempts to restore a fail-safe value.
	again = 10 * time.Second
	// tick is how often the desk looks what is due.
	tick = time.Second
)

// Desk is safe for use from any goroutine. Use New.
type Desk struct {
	o Opts

	mu       sync.Mutex
	items    map[string]*item
	order    []string
	recalled bool // what an earlier run held is known; before, nothing replaces it
}

type item struct {
	spec    Spec
	turn    chan struct{} // holds one while nobody writes
	held    *Held
	failing phrase.Message
	retryAt clock.Stamp
}

// New makes a desk with nothing to set; see Plan.
func New(o Opts) *Desk { return &Desk{o: o, items: map[string]*item{}} }

// Plan says what can be set from now on. What was asked of a thing that stays is
// remembered.
func (d *Desk) Plan(specs []Spec) {
	d.mu.Lock()
	old := d.items
	d.items, d.order = map[string]*item{}, nil
	for _, s := range specs {
		it := old[s.ID]
		if it == nil {
			it = &item{turn: make(chan struct{}, 1)}
			it.turn <- struct{}{}
		}
		it.spec = s
		d.items[s.ID] = it
		d.order = append(d.order, s.ID)
	}
	var gone []string
	for id, it := range old {
		if d.items[id] == nil && !it.failing.IsZero() {
			gone = append(gone, id)
		}
	}
	d.mu.Unlock()
	for _, id := range gone {
		d.o.Cleared(thing(id))
	}
}

func thing(id string) string { return "setpoint " + id }

// All gives everything that can be set, in the site's order.
func (d *Desk) All() []State {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]State, 0, len(d.order))
	for _, id := range d.order {
		it := d.items[id]
		s := State{Spec: it.spec, Failing: it.failing}
		if it.held != nil {
			h := *it.held
			s.Held = &h
		}
		out = append(out, s)
	}
	return out
}

// ErrUnknown is wrapped by the error about a thing that is not there to be set.
var ErrUnknown = errors.New("nothing of this name can be set")

// Set asks for a value in a named person's name. The change is given also where
// it did not take; an error without a change was refused before anything was
// sent.
func (d *Desk) Set(ctx context.Context, id string, v float64, who Who) (Change, error) {
	d.mu.Lock()
	it, ok := d.items[id]
	var spec Spec
	if ok {
		spec = it.spec
	}
	known := strings.Join(d.order, "、")
	d.mu.Unlock()
	switch {
	case !ok && known == "":
		return Change{}, &phrase.Error{Message: phrase.M("setpoint.none", "id", id), Err: ErrUnknown}
	case !ok:
		return Change{}, &phrase.Error{Message: phrase.M("setpoint.unknown", "id", id, "known", known), Err: ErrUnknown}
	case !spec.Refused.IsZero():
		return Change{}, &phrase.Error{Message: spec.Refused}
	case strings.TrimSpace(who.Name) == "":
		return Change{}, phrase.E("setpoint.needs_name")
	}
	if err := spec.Takes(v); err != nil {
		return Change{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	select {
	case <-it.turn:
	case <-ctx.Done():
		return Change{}, phrase.E("setpoint.busy", "id", id)
	}
	defer func() { it.turn <- struct{}{} }()
	if end, _ := ctx.Deadline(); !time.Now().Before(end) {
		// The turn came with the end of the wait: no time is left to write and read
		// back, and a half-done asking would look like a device that does not take.
		return Change{}, phrase.E("setpoint.busy", "id", id)
	}
	// Before it is written: should the power go meanwhile, it is held all the
	// same.
	d.mu.Lock()
	it.held = &Held{Value: v, Who: who, At: d.o.Clock.Now()}
	state := d.state()
	d.mu.Unlock()
	if spec.After > 0 && state != nil {
		d.o.Keep(state)
	}
	return d.write(ctx, it, id, v, who, false), nil
}

// write asks the device; the caller has the item's turn.
func (d *Desk) write(ctx context.Context, it *item, id string, v float64, who Who, restored bool) Change {
	c := Change{ID: id, Who: who, New: v, Old: math.NaN(), Restored: restored}
	c.Old, c.Err = d.o.Write(ctx, id, v)
	c.At = d.o.Clock.Now()
	d.mu.Lock()
	c.Unit = it.spec.Unit
	was := it.failing
	if it.failing = (phrase.Message{}); c.Err != nil {
		it.failing = reason(c.Err)
	}
	now := it.failing
	if restored && c.Err == nil {
		it.held = nil
	}
	state := d.state()
	d.mu.Unlock()
	switch {
	case c.Err != nil && restored:
		d.o.Fault(thing(id), phrase.M("setpoint.not_restored", "value", v, "unit", string(c.Unit), "why", now))
	case c.Err != nil:
		d.o.Fault(thing(id), phrase.M("setpoint.not_taken", "value", v, "unit", string(c.Unit), "who", who.Name, "why", now))
	case !was.IsZero():
		d.o.Cleared(thing(id))
	}
	// An attempt to restore that fails as the one before is no news.
	if c.Err == nil || !restored || was.Code != now.Code {
		d.o.Changed(c, state)
	}
	return c
}

func reason(err error) phrase.Message {
	var said *phrase.Error
	if errors.As(err, &said) {
		return said.Message
	}
	return phrase.M("error.plain", "text", err.Error())
}

// Run restores fail-safe values until ctx ends.
func (d *Desk) Run(ctx context.Context) error {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		d.Restore(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

// Restore puts back every fail-safe value that is due now. One device that does
// not answer holds up the others for writeLimit at the most.
func (d *Desk) Restore(ctx context.Context) {
	for _, s := range d.All() {
		if ctx.Err() != nil {
			return
		}
		d.mu.Lock()
		it := d.items[s.ID]
		d.mu.Unlock()
		if it == nil || !d.due(it) {
			continue
		}
		select {
		case <-it.turn:
		default:
			continue // somebody sets it just now
		}
		if d.due(it) {
			d.restore(ctx, it, s.ID)
		}
		it.turn <- struct{}{}
	}
}

// due tells whether an item's fail-safe value is to be restored now. Where no
// clock can tell how long ago it was asked for, it is due: power that comes and
// goes must not keep a value for ever.
func (d *Desk) due(it *item) bool {
	now := d.o.Clock.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if it.held == nil || it.spec.After <= 0 || !it.spec.Refused.IsZero() {
		return false
	}
	age, known := now.Since(it.held.At)
	if known && age < it.spec.After {
		return false
	}
	pause, known := now.Since(it.retryAt)
	return it.retryAt.IsZero() || !known || pause >= again
}

func (d *Desk) restore(ctx context.Context, it *item, id string) {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	d.mu.Lock()
	v := it.spec.FailSafe
	d.mu.Unlock()
	c := d.write(ctx, it, id, v, Who{Name: "fail-safe", Via: "fail-safe"}, true)
	d.mu.Lock()
	defer d.mu.Unlock()
	if it.retryAt = (clock.Stamp{}); c.Err != nil {
		it.retryAt = c.At
	}
}

// state is what is held, for a later run; d.mu is held.
func (d *Desk) state() []byte {
	if !d.recalled {
		return nil
	}
	held := map[string]*Held{}
	for id, it := range d.items {
		if it.held != nil && it.spec.After > 0 {
			held[id] = it.held
		}
	}
	b, _ := json.Marshal(held) // plain fields always marshal
	return b
}

// Recall takes back what an earlier run held; nothing at all where it held
// nothing. What was asked for since stays.
func (d *Desk) Recall(b []byte) error {
	held := map[string]*Held{}
	var err error
	if len(b) > 0 {
		err = json.Unmarshal(b, &held)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.recalled = true
	if err != nil {
		return err
	}
	for id, h := range held {
		if it := d.items[id]; it != nil && it.held == nil && h != nil {
			it.held = h
		}
	}
	return nil
}
