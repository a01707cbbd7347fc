package rtsp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/stream"
)

// PullOpts are what a Puller needs.
type PullOpts struct {
	// Name is the camera's, as people know it.
	Name string
	// URLs are of the main stream and, where there is one, of a lower one; user and
	// password are in them.
	URLs []string
	// UDP asks for UDP first and falls back to TCP by itself.
	UDP bool
	// Open makes the Puller the writer of the camera's stream.
	Open func(from string) (*stream.Writer, error)
	// AskKey asks the camera for a key picture, by ONVIF; nil where it cannot be asked.
	AskKey func(context.Context) error
	// Timeout is for an answer (10 s); Silence for a picture (15 s).
	Timeout, Silence time.Duration
	// First and Last are the pauses between tries: the first, and the longest (1 s, 1 min).
	// A camera that refuses the password is left alone for five times Last: many lock
	// whoever tries again.
	First, Last time.Duration
	// Dial connects; nil takes net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Rand gives a number in [0, 1); After a channel that fires once d has passed.
	Rand  func() float64
	After func(d time.Duration) <-chan time.Time
	Now   func() time.Duration
	// Changed is told each change of State; it must not block.
	Changed func()
	Log     *slog.Logger
	Go      func(name string, run func(context.Context) error)
}

// PullState is a Puller as it is now.
type PullState struct {
	Name     string
	Playing  bool
	Rung     int           // which of its URLs plays
	Since    time.Duration // when that began, or when it was last lost
	Why      phrase.Message
	Tries    int // in a row without a picture
	Lost     uint64
	Switched int // how often it changed from one rung to another without a gap
}

// A Puller asks one camera for its pictures, for ever.
type Puller struct {
	o    PullOpts
	wake chan struct{} // try at once
	turn chan struct{} // another rung is wanted
	took chan struct{} // the candidate's key picture went in

	mu      sync.Mutex // held while a picture is written: the order of feeds is the stream's
	w       *stream.Writer
	feeding *connection
	next    *connection   // may take over with its next key picture
	last    time.Duration // when the last picture went in
	count   uint64        // pictures of feeding until then

	state sync.Mutex
	st    PullState
	want  int
}

// NewPuller proves the options; nothing is asked before Run.
func NewPuller(o PullOpts) (*Puller, error) {
	if o.Open == nil || o.Now == nil || o.Go == nil {
		return nil, errors.New("rtsp: Open, Now and Go are needed")
	}
	if len(o.URLs) < 1 || len(o.URLs) > 2 {
		return nil, phrase.E("video-rtsp.urls", "camera", o.Name)
	}
	for _, u := range o.URLs {
		if _, err := parse(o.Name, u); err != nil {
			return nil, err
		}
	}
	def := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	def(&o.Timeout, 10*time.Second)
	def(&o.Silence, 15*time.Second)
	def(&o.First, time.Second)
	def(&o.Last, time.Minute)
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.After == nil {
		o.After = time.After
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	p := &Puller{o: o, wake: make(chan struct{}, 1), turn: make(chan struct{}, 1), took: make(chan struct{}, 1)}
	p.st.Name = o.Name
	return p, nil
}

// Wake tries at once where it waits for its next try: the network is back.
func (p *Puller) Wake() { ring(p.wake) }

// Rung asks for the main stream (0) or the lower one (1); false where it has none.
func (p *Puller) Rung(rung int) bool {
	if rung < 0 || rung >= len(p.o.URLs) {
		return false
	}
	p.state.Lock()
	p.want = rung
	p.state.Unlock()
	ring(p.turn)
	return true
}

func ring(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// State is the Puller as it is now.
func (p *Puller) State() PullState {
	p.state.Lock()
	defer p.state.Unlock()
	return p.st
}

func (p *Puller) wanted() int {
	p.state.Lock()
	defer p.state.Unlock()
	return p.want
}

func (p *Puller) change(f func(*PullState)) {
	p.state.Lock()
	f(&p.st)
	p.state.Unlock()
	p.o.Changed()
}

// Run asks until ctx ends.
func (p *Puller) Run(ctx context.Context) error {
	rung := 0
	for tries := 1; ; tries++ {
		played, err := p.session(ctx, rung)
		if ctx.Err() != nil {
			return nil
		}
		if played {
			tries = 1
		}
		p.o.Log.Warn("RTSP: a camera is not had", "camera", p.o.Name, "rung", rung, "tries", tries, "err", err)
		p.change(func(s *PullState) {
			s.Playing, s.Since, s.Tries, s.Why = false, p.o.Now(), tries, phrase.Of(err)
		})
		// The rung that is wanted first, then the other: some picture is better than none.
		if n := len(p.o.URLs); !played && n > 1 {
			rung = (rung + 1) % n
		} else {
			rung = p.wanted()
		}
		select {
		case <-p.o.After(p.pause(tries, err)):
		case <-p.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// pause is the time before the next try: it doubles, and is spread over its upper
// half so that the cameras of a switch that lost power do not come at once.
func (p *Puller) pause(tries int, err error) time.Duration {
	d := p.o.Last
	if shift := tries - 1; shift < 16 {
		d = min(d, p.o.First<<shift)
	}
	if errors.Is(err, errPassword) {
		d = 5 * p.o.Last
	}
	return d/2 + time.Duration(p.o.Rand()*float64(d/2))
}

// session plays until the connection ends; played says that a picture came.
func (p *Puller) session(ctx context.Context, rung int) (played bool, err error) {
	var w *stream.Writer
	defer func() {
		if w != nil {
			p.mu.Lock()
			p.w, p.feeding, p.next = nil, nil, nil
			p.mu.Unlock()
			w.Close(err)
		}
	}()
	// The writer is there before the camera plays: what it sends first is a key picture.
	c, err := p.connect(ctx, rung, func(c *connection) error {
		o, err := p.o.Open(fmt.Sprintf("rtsp %s", c.shown))
		if err != nil {
			return phrase.Wrap(err, "video-rtsp.taken", "camera", p.o.Name)
		}
		w = o
		p.equip(w)
		c.tell(w)
		p.mu.Lock()
		p.w, p.feeding, p.next, p.last, p.count = w, c, nil, p.o.Now(), 0
		p.mu.Unlock()
		p.change(func(s *PullState) { s.Rung = rung })
		return nil
	})
	if err != nil {
		return false, err
	}
	defer func() { c.close() }()
	return p.play(ctx, &c)
}

// equip gives the writer the ways to ask the camera.
func (p *Puller) equip(w *stream.Writer) {
	if len(p.o.URLs) > 1 {
		w.OnRung(p.Rung)
		if rung := p.wanted(); rung != 0 {
			w.Stream().AskRung(rung) // a new writer's stream believes in 0
		}
	}
	if p.o.AskKey != nil {
		w.OnKey(func() {
			p.o.Go("rtsp key picture", func(ctx context.Context) error {
				ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
				defer cancel()
				return p.o.AskKey(ctx)
			})
		})
	}
}

// attempt is what became of the try to reach another rung.
type attempt struct {
	c   *connection
	err error
}

// play watches over what plays, and changes to the rung that is wanted.
func (p *Puller) play(ctx context.Context, now **connection) (played bool, err error) {
	var next *connection
	tried := make(chan attempt, 1)
	trying, tries := false, 0
	var since time.Duration // next is had
	again := make(<-chan time.Time)
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		if trying {
			next = (<-tried).c
		}
		if next != nil {
			next.close()
		}
	}()
	failed := func(err error) {
		tries++
		p.o.Log.Warn("RTSP: the other stream of a camera is not had", "camera", p.o.Name, "err", err)
		p.change(func(s *PullState) { s.Why = phrase.Of(err) })
		again = p.o.After(p.pause(tries, err))
	}
	try := func() {
		if want := p.wanted(); want != (*now).rung && !trying && next == nil {
			trying, again = true, nil
			p.o.Go("rtsp "+p.o.Name+" other stream", func(context.Context) error {
				c, err := p.connect(ctx, want, func(c *connection) error {
					p.mu.Lock()
					defer p.mu.Unlock()
					p.next = c
					return nil
				})
				tried <- attempt{c, err}
				return nil
			})
		}
	}
	take := func(c *connection) {
		old := *now
		*now, tries = c, 0
		old.close()
		p.mu.Lock()
		w := p.w
		p.mu.Unlock()
		c.tell(w)
		p.change(func(s *PullState) {
			s.Rung, s.Switched, s.Since, s.Why = c.rung, s.Switched+1, p.o.Now(), phrase.Message{}
			s.Lost += old.feed.lost.Load()
		})
	}
	for {
		var ended <-chan error
		if next != nil {
			ended = next.ended
		} else if tries == 0 {
			try()
		}
		// What was last is told anew here, so that State never lags what plays.
		p.mu.Lock()
		silent := p.o.Now() - p.last
		p.mu.Unlock()
		if n := (*now).feed.pictured.Load(); n > 0 && !played {
			played = true
			p.change(func(s *PullState) {
				s.Playing, s.Since, s.Tries, s.Why = true, p.o.Now(), 0, phrase.Message{}
			})
		}
		if silent > p.o.Silence {
			return played, phrase.E("video-rtsp.silent", "camera", p.o.Name, "url", (*now).shown, "seconds", int(silent/time.Second))
		}
		if next != nil && p.o.Now()-since > 2*p.o.Silence {
			p.mu.Lock()
			took := p.feeding == next
			if !took {
				p.next = nil
			}
			p.mu.Unlock()
			if !took {
				next.close()
				failed(phrase.E("video-rtsp.no_key", "camera", p.o.Name, "url", next.shown))
				next = nil
				continue
			}
		}
		select {
		case err := <-(*now).ended:
			return played, p.told((*now).shown, err)
		case err := <-ended:
			p.mu.Lock()
			took := p.feeding == next
			p.next = nil
			p.mu.Unlock()
			if took { // and ended at once
				return played, p.told(next.shown, err)
			}
			failed(p.told(next.shown, err))
			next = nil
		case a := <-tried:
			trying = false
			p.mu.Lock()
			took := a.err == nil && p.feeding == a.c
			unwanted := !took && (a.err != nil || a.c.rung != p.wanted())
			if unwanted {
				p.next, p.feeding = nil, *now
			}
			p.mu.Unlock()
			switch {
			case a.err != nil:
				failed(a.err)
			case unwanted:
				a.c.close()
				tries = 0
			case took:
				take(a.c)
				next = nil
			default:
				next, since = a.c, p.o.Now()
				if p.o.AskKey != nil {
					p.stream().AskKey()
				}
			}
		case <-p.took:
			p.mu.Lock()
			took := next != nil && p.feeding == next
			p.mu.Unlock()
			if took { // else it is of a candidate that is not told yet, or ended
				take(next)
				next = nil
			}
		case <-p.turn:
			tries = 0
			if next != nil && next.rung != p.wanted() {
				p.mu.Lock()
				if p.feeding == next { // it took over this very moment
					p.mu.Unlock()
					continue
				}
				p.next = nil
				p.mu.Unlock()
				next.close()
				next = nil
			}
		case <-again:
			again = nil
			try()
		case <-p.o.After(p.o.Silence / 4):
		case <-(*now).first:
			(*now).first = nil
		case <-ctx.Done():
			return played, ctx.Err()
		}
	}
}

func (p *Puller) stream() *stream.Stream {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.w.Stream()
}

// write is how a connection's feed writes: the one that feeds, or the next one from
// its key picture on.
func (p *Puller) write(c *connection, key bool, do func(*stream.Writer)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.w == nil {
		return
	}
	if c == p.next && key {
		p.feeding, p.next, p.count = c, nil, 0
		ring(p.took)
	}
	if c == p.feeding {
		// Sound alone is no picture: a camera that sends but that is silent to us.
		if n := c.feed.pictured.Load(); n != p.count {
			p.count, p.last = n, p.o.Now()
		}
		do(p.w)
	}
}
