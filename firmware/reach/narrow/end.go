package narrow

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/wire"
)

// Keep is where an end keeps what must outlive a power cut.
type Keep interface {
	// Get gives what was put, also what is not durable yet. What a former life kept must be there before New is called.
	Get(key string) ([]byte, bool)
	// Put keeps a value. nil: it is durable. It never waits longer than ctx; one that was given up may
	// still take effect, but never after a later one of its key.
	Put(ctx context.Context, key string, value []byte) error
}

// Opts says whose end it is. Link, Keys, Self, Peer and Keep must be set.
type Opts struct {
	// Link names the link, for errors.
	Link string
	// Direction is of what this end sends: Up or Down.
	Direction wire.Direction
	// Keys are those of the epochs that may be in use, newest first, at most three.
	Keys []*wire.Keys
	// Self and Peer are the names of both on the link: card, node, number, as drivers.Incoming.From
	// has them. Leading zeros of numbers and capitals do not matter.
	Self, Peer string
	Keep       Keep
	// Counters give the numbers. All ends of one pair and direction must share one, over all links, and a hub may
	// share one among all its pairs; nil makes one for this end alone.
	Counters *Counters
	// Now is a clock by which a peer is looked for that lost what it kept, and began its counters by a clock; nil: none.
	Now func() time.Time
	// Hidden are the classes that are enciphered; 0: commands. Both ends must say the same.
	Hidden wire.Hidden
	// Loss is the share of messages that the link is believed to lose, asked for each content that is
	// split; nil: 0.05.
	Loss func() float64
	// AskAfter is how long nothing came of a content before more is asked for: longer than the time between two messages of
	// the link. Default 3 min. Lasts is how long a content may take; default six hours.
	AskAfter, Lasts time.Duration
	// Patience is how long a warning of class 0 waits for its window to be kept; default 500 ms. Others wait four times that.
	Patience time.Duration
}

// Part is something to send. ID is the caller's name of it: Result.Acked gives it back.
type Part struct {
	ID    string
	Class wire.Class
	Item  wire.Item
}

// Frame is one message for the air, and the parts that are in it.
type Frame struct {
	Bytes []byte
	IDs   []string
	Class wire.Class
}

// Heard is a content that came: items of one message, or what fragments gave. What ends understand
// between themselves (acknowledgements, requests, epochs) is not in it.
type Heard struct {
	Class   wire.Class
	Items   []wire.Item
	Counter uint64
	// Unkept: the window is not on the disk. Only what carries its own signature is in it, and after
	// a power cut it may come again.
	Unkept bool
}

// Result is what came of a message.
type Result struct {
	Heard []Heard
	// Acked are the ids of parts that the peer has kept.
	Acked []string
	// Send are fragments that the peer asked for: they are to go out.
	Send []Frame
}

// End is one end. Its methods are safe from any goroutine. Use New.
type End struct {
	o          Opts
	self, peer string
	windowKey  string
	sentKey    string

	hear sync.Mutex // what comes: receiver, assembler; held while the window is kept
	rx   wire.Receiver
	asm  wire.Assembler
	told map[group]*coming

	send sync.Mutex // what goes: held while counters are reserved
	tx   wire.Sender
	ctx  context.Context // of the call that has the lock
	free bool            // its counters are of a clock that nobody set
	// next is the next group of fragments, once begun.
	next  uint8
	begun bool

	mu     sync.Mutex // quick things
	out    map[uint64]sent
	order  []uint64
	splits []*splitting
	ledger ledger
	proven int // index of the newest key that the peer is known to have, len(Keys) where none is known yet
	silent int // messages since the peer was heard
}

// How much is remembered.
const (
	outMost     = 1024
	splitsMost  = 8
	keysMost    = 3
	silentMost  = 8 // messages without a word before other keys are tried
	defaultLoss = 0.05
	windowMost  = 4096 // bytes of a window as it is kept
)

// New makes an end and takes up what Keep has.
func New(o Opts) (*End, error) {
	switch {
	case o.Keep == nil || o.Link == "" || o.Self == "" || o.Peer == "":
		return nil, errors.New("narrow: Link, Self, Peer and Keep must be set")
	case len(o.Keys) == 0 || len(o.Keys) > keysMost:
		return nil, errors.New("narrow: one to three keys, newest first")
	case o.Direction != wire.Up && o.Direction != wire.Down:
		return nil, errors.New("narrow: an end sends up or down")
	}
	for _, k := range o.Keys {
		if k.Pair != o.Keys[0].Pair {
			return nil, errors.New("narrow: the keys are of different pairs")
		}
	}
	if o.Hidden == 0 {
		o.Hidden = wire.HideCommands
	}
	if o.AskAfter <= 0 {
		o.AskAfter = 3 * time.Minute
	}
	if o.Patience <= 0 {
		o.Patience = 500 * time.Millisecond
	}
	if o.Counters == nil {
		o.Counters = NewCounters(o.Keep)
	}
	e := &End{o: o, self: OnLink(o.Self), peer: OnLink(o.Peer), told: map[group]*coming{}, out: map[uint64]sent{}, proven: len(o.Keys) - 1}
	other := wire.Up
	if o.Direction == wire.Up {
		other = wire.Down
	}
	base := "narrow/" + o.Keys[0].Pair + "/"
	e.windowKey = base + ways[other] + "/heard/" + e.peer
	e.rx = wire.Receiver{Keys: o.Keys, Direction: other, Window: &wire.Window{}, Hidden: o.Hidden}
	e.asm.Lasts = o.Lasts
	if b, ok := o.Keep.Get(e.windowKey); ok {
		var s wire.WindowState
		if len(b) > windowMost || json.Unmarshal(b, &s) != nil {
			return nil, phrase.E("narrow.unread", "link", o.Link, "key", e.windowKey)
		}
		if err := e.rx.Window.Restore(s); err != nil {
			return nil, phrase.Wrap(err, "narrow.unread", "link", o.Link, "key", e.windowKey)
		}
	}
	key := base + ways[o.Direction] + "/sent"
	if err := o.Counters.load(key); err != nil {
		return nil, phrase.Wrap(err, "narrow.unread", "link", o.Link, "key", key)
	}
	e.tx = wire.Sender{Keys: o.Keys[e.proven], Direction: o.Direction, Hidden: o.Hidden, Counter: e.counter(key)}
	e.sentKey = key
	return e, nil
}

// counter takes its blocks of what is shared. send is held when they are taken.
func (e *End) counter(key string) *wire.Counter {
	return wire.NewCounterOf(func() (uint64, error) {
		ctx, cancel := context.WithTimeout(e.ctx, 4*e.o.Patience)
		defer cancel()
		n, err := e.o.Counters.take(ctx, key)
		if err == nil {
			e.free = e.o.Counters.isFree(key)
		}
		return n, err
	})
}

// number gives the next counter. send is held, and ctx is set.
func (e *End) number() (uint64, error) {
	if e.free && e.o.Counters.right() {
		right := e.counter(e.sentKey)
		if n, err := right.Next(); err == nil {
			e.tx.Counter = right
			return n, nil
		} // what is reserved of the old ones still goes out
	}
	return e.tx.Counter.Next()
}

var ways = map[wire.Direction]string{wire.Up: "up", wire.Down: "down"}

// OnLink gives a name on a link as both ends write it: numbers without leading zeros, letters small.
func OnLink(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if name != "" && strings.Trim(name, "0123456789") == "" {
		if name = strings.TrimLeft(name, "0"); name == "" {
			name = "0"
		}
	}
	return name
}
