package courier

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
)

// Keeper is the part of the journal that the courier needs. None of its methods waits
// for the disk.
type Keeper interface {
	Commit(journal.Batch)
	Letters() []journal.Letter
	Get(key string) ([]byte, bool)
	State() (ok bool, why phrase.Message)
	Loaded() <-chan struct{}
}

// Opts says how a Courier works. Guard, Clock, Keep, Rules must be set.
type Opts struct {
	Guard *guard.Guard
	Clock clock.Clock
	Keep  Keeper
	Rules *Rules
	Links []Link
	// Rand spreads what many boxes would do at once; nil takes a random seed.
	Rand *rand.Rand
	Log  *slog.Logger
	// Arrived is told each message whose receipt came, and of telemetry also that of its short form. It must not block and may be nil.
	Arrived func(Delivered)
}

// Courier keeps and sends messages. Use Open. Its methods are safe from any goroutine
// and never wait for a link or the disk.
type Courier struct {
	o     Opts
	links map[string]Link
	wake  chan struct{}

	mu       sync.Mutex
	m        *Machine
	restored bool
	unread   int64 // letters whose tries could not be read
}

// Open starts a courier over links, each with its row in the rules. It takes up what the
// journal kept as soon as that is loaded.
func Open(o Opts) (*Courier, error) {
	if o.Guard == nil || o.Clock == nil || o.Keep == nil || o.Rules == nil {
		return nil, errors.New("courier: Guard, Clock, Keep and Rules must be set")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.Rand == nil {
		o.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if o.Arrived == nil {
		o.Arrived = func(Delivered) {}
	}
	c := &Courier{o: o, links: map[string]Link{}, wake: make(chan struct{}, 1)}
	var names []string
	for _, l := range o.Links {
		names = append(names, l.Name())
		c.links[l.Name()] = l
	}
	m, err := NewMachine(o.Rules, names, o.Rand)
	if err != nil {
		return nil, err
	}
	c.m = m
	c.mu.Lock()
	c.restore()
	c.mu.Unlock()
	o.Guard.Go("courier", "scheduler", guard.Restart, c.run)
	for _, l := range o.Links {
		o.Guard.Go("courier", "receipts "+l.Name(), guard.Restart, func(ctx context.Context) error { return c.receive(ctx, l) })
	}
	return c, nil
}

// Post takes a message and keeps it with what caused it, in one transaction. An error
// says why it was not taken; nothing of with is kept then. It does not wait until
// it is durable: who must know asks the journal (Sync).
func (c *Courier) Post(msg Message, with journal.Batch) error {
	now := c.o.Clock.Now()
	if msg.Made.IsZero() {
		msg.Made = now
	}
	age, dated := now.Since(msg.Made)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.m.Post(now.Mono, msg, age, dated); err != nil {
		return err
	}
	c.keep(now, with)
	c.stir()
	return nil
}

// Taken tells receipts that came by some other way than a link's Acks.
func (c *Courier) Taken(link string, acks []Ack) {
	now := c.o.Clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.m.Ack(now.Mono, link, acks)
	c.keep(now, journal.Batch{})
	c.stir()
}

// Spare takes over what is done without to save power.
func (c *Courier) Spare(s Spare) {
	c.mu.Lock()
	c.m.Spare(s)
	c.mu.Unlock()
	c.stir()
}

func (c *Courier) stir() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// moneyKey is the journal's name of a link's bucket.
func moneyKey(link string) string { return "courier.money/" + link }

// money is what is kept of a bucket.
type money struct {
	Balance float64     `json:"balance"`
	At      clock.Stamp `json:"at"`
}

// parseMoney reads a bucket; false where it cannot be read.
func parseMoney(b []byte) (money, bool) {
	var v money
	if len(b) > 1024 || json.Unmarshal(b, &v) != nil || v.Balance != v.Balance {
		return money{}, false
	}
	return v, true
}

// restore takes up what the journal kept. The lock is held.
func (c *Courier) restore() {
	if c.restored {
		return
	}
	select {
	case <-c.o.Keep.Loaded():
	default:
		return
	}
	c.restored = true
	now := c.o.Clock.Now()
	unread := c.m.Restore(now.Mono, c.o.Keep.Letters(), func(l *journal.Letter) (time.Duration, bool) { return now.Since(l.Made) })
	c.unread += int64(len(unread))
	for _, id := range unread {
		c.o.Log.Warn("letter", "why", phrase.M("courier.tries", "id", id).In(phrase.EN))
	}
	for name := range c.links {
		b, ok := c.o.Keep.Get(moneyKey(name))
		if !ok {
			continue
		}
		if v, ok := parseMoney(b); ok {
			age, sure := now.Since(v.At)
			if !sure {
				age = 0 // a clock that nobody trusts earns no money
			}
			c.m.SetBalance(now.Mono, name, v.Balance, age)
		}
	}
	c.keep(now, journal.Batch{})
}

// keep commits what changed, and tells what happened. The lock is held.
func (c *Courier) keep(now clock.Stamp, b journal.Batch) {
	ch := c.m.Changes()
	if len(ch.Letters) > 0 && b.Outbox == nil {
		b.Outbox = map[string]*journal.Letter{}
	}
	for id, l := range ch.Letters {
		b.Outbox[id] = l
	}
	if len(ch.Links) > 0 && b.State == nil {
		b.State = map[string][]byte{}
	}
	for _, name := range ch.Links {
		v, _ := c.m.Balance(now.Mono, name)
		if v == v {
			b.State[moneyKey(name)], _ = json.Marshal(money{v, now})
		}
	}
	turned, done := c.m.News()
	for _, t := range turned {
		c.o.Log.Info("link", "link", t.Link, "from", t.From, "to", t.To, "why", t.Why.In(phrase.EN))
		b.Records = append(b.Records, journal.Record{Kind: "link.state", At: now,
			Message: phrase.M("courier.link_state", "link", t.Link, "state", t.To.Say(t.Why))})
	}
	for _, d := range done {
		if d.Class < Telemetry {
			body, _ := json.Marshal(map[string]any{"class": d.Class.String(), "link": d.Link, "seconds": d.After.Seconds(), "late": d.Late}) // strings and a number
			b.Records = append(b.Records, journal.Record{Kind: "receipt.county", Cause: d.ID, At: now, Body: body,
				Message: phrase.M("courier.delivered", "id", d.ID, "class", d.Class.Message(), "link", d.Link, "seconds", math.Round(d.After.Seconds()*1000)/1000)})
		}
		c.o.Arrived(d)
	}
	if len(b.Records)+len(b.State)+len(b.Outbox) > 0 {
		c.o.Keep.Commit(b)
	}
}
