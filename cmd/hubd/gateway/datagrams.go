package gateway

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/cmd/hubd/logbook"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
)

const (
	// liveFor is how long a station that was heard is sent to: three of its
	// probes.
	liveFor = 6 * time.Minute
	// keepIn bounds the wait for the post.
	keepIn = 10 * time.Second
	// inFlight bounds the letters that are kept at once, and atOnce those of one
	// station, either way.
	inFlight = 64
	atOnce   = 8
	// Each datagram that is believed is written to the disk while all others wait. A station may have
	// burst of them at once, and then one in each refill; what is beyond, it sends again.
	burst  = 64
	refill = time.Second / 8

	firstPause = 2 * time.Second
	lastPause  = 30 * time.Second
)

// Datagrams is the gateway for sealed datagrams. Use NewDatagrams, then Run.
type Datagrams struct {
	o        Opts
	dir      string
	counters *counters
	left     []LeftOut
	slots    chan struct{}

	mu       sync.Mutex
	conn     net.PacketConn
	sessions map[letter.KeyID]*session
	unknown  uint64
	replayed uint64
}

// Opts are the gateway's.
type Opts struct {
	File  *hubfile.File
	Link  hubfile.Datagrams
	Post  Post
	Guard *guard.Guard
	Log   *slog.Logger
	Now   func() time.Time
	After func(time.Duration) <-chan time.Time
}

// session is what is known of one station; the gateway's lock guards it.
type session struct {
	station letter.Station
	key     *letter.Key
	window  letter.Window
	second  bool // which place of its file is written next
	addr    net.Addr
	heard   time.Time
	running bool
	waiting map[uint64]chan letter.Word
	keeping int       // letters of it that are being kept
	spent   time.Time // when its allowance is whole again
	called  time.Time // when it was said last that it sends too much
}

// allowed takes one from the allowance.
func (s *session) allowed(now time.Time) bool {
	if s.spent.Before(now) || s.spent.Sub(now) > burst*refill { // or the hub's clock was put back
		s.spent = now
	}
	if s.spent.Add(refill).Sub(now) > burst*refill {
		return false
	}
	s.spent = s.spent.Add(refill)
	return true
}

// NewDatagrams reads the windows and opens the socket.
func NewDatagrams(o Opts) (*Datagrams, error) {
	d := &Datagrams{o: o, dir: filepath.Join(o.File.Data, "datagrams"), sessions: map[letter.KeyID]*session{}, slots: make(chan struct{}, inFlight)}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, phrase.Wrap(err, "hubd.data_dir", "dir", d.dir)
	}
	var err error
	if d.counters, err = openCounters(d.dir, o.Now()); err != nil {
		return nil, err
	}
	for _, id := range o.File.Order() {
		s := o.File.Stations[id]
		if s.Key == nil {
			continue
		}
		n := &session{station: letter.Station(id), key: s.Key, waiting: map[uint64]chan letter.Word{}}
		if n.window, err = readWindow(d.dir, n.station); err != nil {
			o.Log.Error("a station is left out of a gateway", "link", o.Link.Name, "station", n.station, "err", err)
			d.left = append(d.left, LeftOut{n.station, err})
			continue
		}
		d.sessions[s.Key.ID] = n
	}
	if d.conn, err = net.ListenPacket("udp", o.Link.Listen); err != nil {
		return nil, phrase.Wrap(err, "hubd.engine_listen", "listen", o.Link.Listen)
	}
	return d, nil
}

// Name is the link's.
func (d *Datagrams) Name() string { return d.o.Link.Name }

// Left are the stations whose window cannot be read.
func (d *Datagrams) Left() []LeftOut { return d.left }

// Addr is where it listens.
func (d *Datagrams) Addr() net.Addr { return d.conn.LocalAddr() }

// Strangers counts datagrams that no key opened, and those that came again.
func (d *Datagrams) Strangers() (unknown, replayed uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.unknown, d.replayed
}

// Run reads datagrams until ctx ends.
func (d *Datagrams) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { d.conn.Close() })
	defer stop()
	b := make([]byte, letter.DatagramMost+1)
	for {
		n, from, err := d.conn.ReadFrom(b)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return phrase.Wrap(err, "hubd.engine_listen", "listen", d.o.Link.Listen)
		}
		d.got(ctx, b[:n], from)
	}
}

// got opens one datagram, puts its counter on the disk and acts on it.
func (d *Datagrams) got(ctx context.Context, b []byte, from net.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, ok := letter.KeyOf(b)
	s := d.sessions[id]
	if !ok || s == nil {
		d.unknown++
		return
	}
	g, err := s.key.Open(letter.FromStation, b)
	if err != nil {
		d.unknown++
		return
	}
	was := s.window
	if !s.window.Accept(g.Counter) {
		d.replayed++
		return
	}
	if now := d.o.Now(); !s.allowed(now) { // after the seal and the window: nobody else can spend it
		s.window = was
		if now.Sub(s.called).Abs() >= time.Minute {
			s.called = now
			d.o.Log.Warn("a station sends more datagrams than are kept for one: the rest is dropped and comes again", "station", s.station)
		}
		return
	}
	if err := writeWindow(d.dir, s.station, &s.window, s.second); err != nil {
		s.window = was
		d.o.Log.Error("a datagram's counter could not be kept: it is not acted on", "station", s.station, "err", err)
		return
	}
	s.second = !s.second
	s.addr, s.heard = from, d.o.Now()
	d.o.Post.Heard(s.station, d.Name(), s.heard)
	if !s.running {
		s.running = true
		d.o.Guard.Go("gateway "+d.Name(), string(s.station), guard.Once, func(ctx context.Context) error { return d.serve(ctx, s) })
	}
	switch g.Kind {
	case letter.KindProbe:
		d.put(s, letter.Datagram{Kind: letter.KindEcho, Of: g.Counter})
	case letter.KindAnswer:
		if c := s.waiting[g.Of]; c != nil {
			select {
			case c <- g.Word:
			default:
			}
		}
	case letter.KindLetter:
		if s.keeping < atOnce {
			select {
			case d.slots <- struct{}{}:
				s.keeping++
				d.o.Guard.Go("gateway "+d.Name(), "keep", guard.Once, func(ctx context.Context) error {
					defer d.kept(s)
					d.keep(ctx, s, g)
					return nil
				})
				return
			default:
			}
		}
		d.put(s, letter.Datagram{Kind: letter.KindAnswer, Of: g.Counter, Word: letter.Later})
	}
}

// kept gives a letter's place back.
func (d *Datagrams) kept(s *session) {
	d.mu.Lock()
	s.keeping--
	d.mu.Unlock()
	<-d.slots
}

// keep has a letter kept, and answers.
func (d *Datagrams) keep(ctx context.Context, s *session, g *letter.Datagram) {
	in, cancel := context.WithTimeout(ctx, keepIn)
	defer cancel()
	g.Letter.Link = d.Name()
	word := letter.Kept
	if err := d.up(in, s.station, &g.Letter); err != nil {
		d.o.Log.Warn("a letter is not kept; its station sends it again", "station", s.station, "err", err)
		word = letter.Later
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.put(s, letter.Datagram{Kind: letter.KindAnswer, Of: g.Counter, Word: word})
}

// up has a letter kept. A short form is bare in a datagram, whose seal is its own: it is put into its envelope here.
func (d *Datagrams) up(ctx context.Context, s letter.Station, l *letter.Letter) error {
	_, bare := logbook.Short(l.ID)
	if !bare || wire.FormOf(l.Body) == wire.EnvelopeForm || len(d.o.File.Stations[string(s)].Keys) == 0 {
		return d.o.Post.Up(ctx, s, l)
	}
	item := &wire.Item{Type: wire.ItemAlarm, Bytes: l.Body}
	switch l.Class {
	case letter.Receipt:
		item.Type = wire.ItemReceipts
	case letter.Telemetry:
		item.Type = wire.ItemTelemetry
	}
	x, err := short(d.o.File, s, l.Link, l.ID, 0, wire.Class(l.Class), item)
	if err != nil {
		return err
	}
	if x.ID != l.ID { // it names another message inside: kept as it is, and called
		return d.o.Post.Up(ctx, s, l)
	}
	return d.o.Post.Short(ctx, s, x)
}

// put seals and sends one datagram to where the station was heard last. The lock
// is held.
func (d *Datagrams) put(s *session, g letter.Datagram) (uint64, error) {
	var err error
	if g.Counter, err = d.counters.take(); err == nil {
		var b []byte
		if b, err = s.key.Seal(letter.FromHub, &g); err == nil {
			_, err = d.conn.WriteTo(b, s.addr)
		}
	}
	if err != nil {
		d.o.Log.Warn("datagram not sent", "station", s.station, "err", err)
	}
	return g.Counter, err
}

// serve sends a station what waits for it, while it is live.
func (d *Datagrams) serve(ctx context.Context, s *session) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	d.o.Guard.GoIn(ctx, "gateway "+d.Name(), string(s.station)+" live", guard.Once, func(ctx context.Context) error {
		defer close(done)
		defer cancel()
		for {
			d.mu.Lock()
			left := liveFor - d.o.Now().Sub(s.heard)
			if left <= 0 {
				s.running = false
				d.mu.Unlock()
				return nil
			}
			d.mu.Unlock()
			select {
			case <-ctx.Done():
				return nil
			case <-d.o.After(left):
			}
		}
	})
	flight := make(chan struct{}, atOnce)
	for ctx.Err() == nil {
		err := d.o.Post.Down(ctx, s.station, func(l letter.Letter) {
			if l.Class > letter.Receipt {
				return
			}
			select {
			case flight <- struct{}{}:
			case <-ctx.Done():
				return
			}
			d.o.Guard.GoIn(ctx, "gateway "+d.Name(), string(s.station)+" send", guard.Once, func(ctx context.Context) error {
				defer func() { <-flight }()
				d.send(ctx, s, l)
				return nil
			})
		})
		if ctx.Err() == nil {
			d.o.Log.Warn("nothing goes down by datagrams just now", "station", s.station, "err", err)
			select {
			case <-ctx.Done():
			case <-d.o.After(firstPause):
			}
		}
	}
	<-done
	return nil
}

// send sends one letter until the station has taken it, by whatever link, or is no
// longer live.
func (d *Datagrams) send(ctx context.Context, s *session, l letter.Letter) {
	if n := len(l.Body) + len(l.ID) + 2 + letter.Overhead; n > letter.DatagramMost {
		d.o.Log.Warn("a letter does not fit in a datagram: it waits for NATS", "station", s.station, "id", l.ID, "bytes", n)
		return
	}
	word := make(chan letter.Word, 1)
	var sent []uint64
	defer func() {
		d.mu.Lock()
		for _, c := range sent {
			delete(s.waiting, c)
		}
		d.mu.Unlock()
	}()
	for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, lastPause) {
		if d.o.Post.HasTaken(ctx, s.station, l.ID) {
			return
		}
		d.mu.Lock()
		c, err := d.put(s, letter.Datagram{Kind: letter.KindLetter, Letter: l})
		if err == nil {
			sent = append(sent, c)
			s.waiting[c] = word
		}
		d.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-d.o.After(pause):
		case w := <-word:
			if w == letter.Kept {
				if err := d.o.Post.Taken(ctx, s.station, l.ID, d.Name()); err == nil {
					return
				}
			}
			select {
			case <-ctx.Done():
			case <-d.o.After(pause):
			}
		}
	}
}
