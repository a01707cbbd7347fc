package uplink

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// DatagramOpts are one datagram link's.
type DatagramOpts struct {
	Name    string
	Station letter.Station
	// Server is the hub's gateway, host:port.
	Server string
	// Root is the key that the hub has for this station, letter.KeySize bytes.
	Root []byte
	// Counter gives the next counter. One that was given is never given again,
	// also not after a power cut: the journal reserves them in blocks.
	Counter func() (uint64, error)
	// Window is what Keep kept of the hub's counters; nil at the first start.
	// Keep, where set, is given it after each datagram that was believed.
	Window []byte
	Keep   func([]byte)
	// Dial opens the socket; nil for the system's dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Take judges what the hub sends; where it is nil, letters come by Received.
	Take func(context.Context, letter.Letter) error
	// Start starts a goroutine under the caller's guard.
	Start func(name string, run func())
	// After is time.After, or a test's.
	After func(time.Duration) <-chan time.Time
	Log   *slog.Logger
}

// The pauses between two sendings of a letter: a satellite's round trip is some
// 1.2 s.
const (
	firstPause = 2 * time.Second
	lastPause  = 30 * time.Second
)

// takenMost is how many ids of the hub's letters are remembered, so that one whose
// answer was lost is not judged twice.
const takenMost = 64

// Datagrams is a link to the hub by sealed datagrams. Use NewDatagrams, then Run.
type Datagrams struct {
	o      DatagramOpts
	key    *letter.Key
	hander hander
	work   chan letter.Datagram
	open   atomic.Bool
	said   said

	mu      sync.Mutex
	conn    net.Conn
	window  letter.Window
	waiting map[uint64]chan letter.Word // by the counter of what was sent
	echoes  map[uint16]chan struct{}
	heard   time.Time
	taken   []string
	judging map[string]bool
}

// NewDatagrams proves the options. It opens nothing.
func NewDatagrams(o DatagramOpts) (*Datagrams, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.After == nil {
		o.After = time.After
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: dialIn}).DialContext
	}
	_, _, err := net.SplitHostPort(o.Server)
	if err != nil || !o.Station.Valid() || !letter.IsLink(o.Name) || o.Counter == nil || o.Start == nil {
		return nil, phrase.E("uplink.opts", "name", o.Name)
	}
	k, err := letter.NewKey(o.Root)
	if err != nil {
		return nil, err
	}
	d := &Datagrams{o: o, key: k, hander: newHander(o.Take), work: make(chan letter.Datagram, incomingMost),
		waiting: map[uint64]chan letter.Word{}, echoes: map[uint16]chan struct{}{}, judging: map[string]bool{}}
	if w, ok := letter.ReadWindow(o.Window); ok {
		d.window = w
	}
	return d, nil
}

// Run holds the socket and brings what the hub sends, until ctx ends.
func (d *Datagrams) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	judged := make(chan struct{})
	d.o.Start("uplink "+d.o.Name+" judge", func() {
		defer close(judged)
		d.judge(ctx)
	})
	defer func() { cancel(); <-judged }()
	for ctx.Err() == nil {
		c, err := d.o.Dial(ctx, "udp", d.o.Server)
		if err == nil {
			err = d.read(ctx, c)
		}
		if ctx.Err() == nil {
			d.said.warn(d.o.Log, d.o.Name, err)
		}
		select {
		case <-ctx.Done():
		case <-d.o.After(againAfter):
		}
	}
	return ctx.Err()
}

func (d *Datagrams) read(ctx context.Context, c net.Conn) error {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	d.mu.Lock()
	d.conn = c
	d.mu.Unlock()
	d.open.Store(true)
	defer func() { d.open.Store(false); d.mu.Lock(); d.conn = nil; d.mu.Unlock() }()
	b := make([]byte, letter.DatagramMost+1)
	for {
		n, err := c.Read(b)
		if err != nil {
			// Nobody at the other end's port just now: it may come back, and the
			// socket is still good.
			if errors.Is(err, unix.ECONNREFUSED) {
				continue
			}
			return err
		}
		if g, err := d.key.Open(letter.FromHub, b[:n]); err == nil {
			d.got(g)
		}
	}
}

// got acts on an opened datagram, once.
func (d *Datagrams) got(g *letter.Datagram) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.window.Accept(g.Counter) {
		return
	}
	if d.o.Keep != nil {
		d.o.Keep(d.window.Bytes())
	}
	d.heard = time.Now()
	switch g.Kind {
	case letter.KindAnswer:
		if c := d.waiting[g.Of]; c != nil {
			// A word that was not read yet gives way: a “later” must not shut out the “kept”
			// behind it. Whoever writes holds the lock, so that there is room now.
			select {
			case <-c:
			default:
			}
			c <- g.Word
		}
	case letter.KindEcho:
		if c := d.echoes[uint16(g.Of)]; c != nil {
			close(c)
			delete(d.echoes, uint16(g.Of))
		}
	case letter.KindLetter:
		switch {
		case slices.Contains(d.taken, g.Letter.ID):
			d.answer(g.Counter, letter.Kept)
		case d.judging[g.Letter.ID]:
		default:
			select {
			case d.work <- *g:
				d.judging[g.Letter.ID] = true
			default:
				d.answer(g.Counter, letter.Later)
			}
		}
	}
}

// judge has the hub's letters judged, one after the other.
func (d *Datagrams) judge(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case g := <-d.work:
			l := g.Letter
			l.Link = d.o.Name
			in, cancel := context.WithTimeout(ctx, judgeIn)
			err := d.hander.hand(in, l)
			cancel()
			d.mu.Lock()
			delete(d.judging, l.ID)
			word := letter.Later
			if !errors.Is(err, ErrLater) {
				word = letter.Kept
				if d.taken = append(d.taken, l.ID); len(d.taken) > takenMost {
					d.taken = d.taken[1:]
				}
			}
			d.answer(g.Counter, word)
			d.mu.Unlock()
		}
	}
}

// answer answers a letter of the hub. The lock is held.
func (d *Datagrams) answer(of uint64, w letter.Word) {
	if _, err := d.put(letter.Datagram{Kind: letter.KindAnswer, Of: of, Word: w}); err != nil {
		d.o.Log.Warn("uplink: no answer", "link", d.o.Name, "err", err)
	}
}

// put seals and writes one datagram, and gives its counter. The lock is held.
func (d *Datagrams) put(g letter.Datagram) (uint64, error) {
	if d.conn == nil {
		return 0, down(nil)
	}
	var err error
	if g.Counter, err = d.o.Counter(); err != nil {
		return 0, phrase.Wrap(err, "letter.counter")
	}
	b, err := d.key.Seal(letter.FromStation, &g)
	if err != nil {
		return 0, err
	}
	if _, err := d.conn.Write(b); err != nil && !errors.Is(err, unix.ECONNREFUSED) {
		return 0, down(err)
	}
	return g.Counter, nil
}

// Send brings a letter to the hub, again and again until it answers or ctx ends;
// nil says that the hub has it on its disk.
func (d *Datagrams) Send(ctx context.Context, id string, class letter.Class, body []byte) error {
	g := letter.Datagram{Kind: letter.KindLetter, Letter: letter.Letter{ID: id, Class: class, Body: body}}
	word := make(chan letter.Word, 1)
	var sent []uint64
	defer func() {
		d.mu.Lock()
		for _, c := range sent {
			delete(d.waiting, c)
		}
		d.mu.Unlock()
	}()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		d.mu.Lock()
		c, err := d.put(g)
		if err == nil {
			sent = append(sent, c)
			d.waiting[c] = word
		}
		d.mu.Unlock()
		if err != nil {
			return err
		}
		for after, waits := d.o.After(pause), true; waits; {
			select {
			case w := <-word:
				switch w {
				case letter.Kept:
					return nil
				case letter.Refused:
					return phrase.Wrap(ErrRefused, "uplink.refused")
				} // later: the pause all the same
			case <-after:
				waits = false
			case <-ctx.Done():
				waits = false
			}
		}
		if ctx.Err() != nil {
			return phrase.Wrap(ctx.Err(), "uplink.not_kept")
		}
	}
}

// Probe asks the hub for an echo, once, and gives the time that it took. It also
// tells the hub where this station is to be reached.
func (d *Datagrams) Probe(ctx context.Context) (time.Duration, error) {
	echo, began := make(chan struct{}), time.Now()
	d.mu.Lock()
	c, err := d.put(letter.Datagram{Kind: letter.KindProbe})
	if err == nil {
		d.echoes[uint16(c)] = echo
	}
	d.mu.Unlock()
	if err != nil {
		return 0, err
	}
	select {
	case <-echo:
		return time.Since(began), nil
	case <-ctx.Done():
		d.mu.Lock()
		delete(d.echoes, uint16(c))
		d.mu.Unlock()
		return 0, phrase.Wrap(ctx.Err(), "uplink.silent")
	}
}

// Open tells whether the socket is there: what is sent leaves this box. Whether the hub
// hears it is for Probe to say. It never waits.
func (d *Datagrams) Open() bool { return d.open.Load() }

// Heard is when the hub was last heard; zero: never.
func (d *Datagrams) Heard() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.heard
}

// Received are the letters of the hub, where there is no Take.
func (d *Datagrams) Received() <-chan Incoming { return d.hander.in }
