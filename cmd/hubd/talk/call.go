package talk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"tocsin/firmware/decide/command"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/talk"
	"tocsin/firmware/trust"
)

// Ask is who wants to speak where.
type Ask struct {
	Station letter.Station
	// Box is the key by which the county knows the box.
	Box trust.KeyID
	// Person speaks, About is what it is about, shown at the box.
	Person string
	About  phrase.Text
	// Kind: real (""), drill or test. Level is a code of the stations' levels; "" is a notice.
	Kind, Level    string
	Outputs, Zones []string
	Longest        time.Duration
	// Signers are one key for each person who releases it.
	Signers []trust.Signer
	Counter uint64
}

// Opts are what a call needs. Go starts a goroutine that ends soon after ctx.
type Opts struct {
	Now func() time.Time
	Go  func(name string, run func(ctx context.Context) error)
}

// The pace of a call.
const (
	frameMS   = 20
	frameLong = frameMS * 8
	frameEach = frameMS * time.Millisecond
	// queueMost bounds what was said and not sent: what is older nobody waits for.
	queueMost = 8000
	// askAgain is how often an order is sent again until it is answered, askFor how long.
	askAgain = 2 * time.Second
	askFor   = 12 * time.Second
	// leaveIn is how long an end is waited for.
	leaveIn = 5 * time.Second
	// lives is how long an order may be carried out beyond its longest time.
	lives = 30 * time.Second
)

// Call is a talk with one box: A-law, 8 kHz.
type Call struct {
	line Line
	// Says is what the box answered.
	Says phrase.Text

	mu     sync.Mutex
	mouth  *talk.Mouth
	queue  []byte
	from   time.Time // since when there is a frame in it, or what begins one
	last   talk.Report
	letGo  bool
	broken error
	news   chan struct{} // closed and made anew with each report
	over   chan struct{}
	once   sync.Once
}

// Open sends the order and waits until the box has answered. The error is the box's own reason where
// it refused.
func Open(ctx context.Context, line Line, a Ask, o Opts) (*Call, error) {
	own, err := talk.NewTalker()
	if err != nil {
		return nil, err
	}
	now := o.Now()
	p := command.Payload{
		ID: "t" + hex.EncodeToString(own.PublicKey().Bytes()[:8]), Group: a.Station.Code(), Counter: a.Counter, Issued: now, Expires: now.Add(a.Longest + lives), Scope: command.Talk,
		Person: a.Person, Kind: a.Kind, Level: a.Level, Outputs: a.Outputs, Zones: a.Zones, Seconds: int(a.Longest / time.Second), Text: a.About,
		Talk: &command.TalkWith{Key: hex.EncodeToString(own.PublicKey().Bytes()), Codec: "pcma", FrameMS: frameMS},
	}
	raw, err := command.Sign(p, a.Signers...)
	if err != nil {
		return nil, err
	}
	e, err := trust.OpenDSSE(raw, command.PayloadType, trust.DefaultEnvelopeLimits)
	if err != nil {
		return nil, err
	}
	order := talk.Order{Digest: sha256.Sum256(e.Payload), Box: string(a.Station), Talker: own.PublicKey().Bytes()}
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	again := time.NewTicker(askAgain)
	defer again.Stop()
	for {
		if err := line.Send(raw); err != nil {
			return nil, phrase.Wrap(err, "hubd.talk_line")
		}
		answer, err := answered(ctx, line, again.C, hex.EncodeToString(order.Digest[:]))
		if err != nil {
			return nil, phrase.E("hubd.talk_silent", "station", string(a.Station))
		}
		if answer == nil {
			continue
		}
		said, mouth, err := talk.Join(answer, order, own, a.Box)
		switch {
		case err != nil:
			return nil, err
		case mouth == nil:
			return nil, phrase.E("hubd.talk_refused", "why", said.Outcome)
		}
		c := &Call{line: line, Says: said.Outcome, mouth: mouth, news: make(chan struct{}), over: make(chan struct{})}
		o.Go("talk hears", c.hear)
		o.Go("talk speaks", c.speak)
		return c, nil
	}
}

// answered waits for the answer to an order; nil where it is time to ask again.
func answered(ctx context.Context, line Line, again <-chan time.Time, digest string) ([]byte, error) {
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-again:
			return nil, nil
		case b, ok := <-line.Receive():
			if !ok {
				return nil, context.Canceled
			}
			if of, is := talk.OrderOf(b); is && of == digest {
				return b, nil
			}
		}
	}
}

// hear takes the box's reports.
func (c *Call) hear(ctx context.Context) error {
	defer c.end(phrase.E("hubd.talk_line"))
	return copyTo(ctx, c.line, func(b []byte) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		r, err := c.mouth.Report(b)
		if err != nil {
			return nil // another's, or a copy
		}
		c.last = r
		close(c.news)
		c.news = make(chan struct{})
		if r.State == talk.Ended {
			c.once.Do(func() { close(c.over) })
		}
		return nil
	})
}

func (c *Call) end(why error) {
	c.mu.Lock()
	if c.broken == nil && c.last.State != talk.Ended {
		c.broken = why
	}
	c.mu.Unlock()
	c.once.Do(func() { close(c.over) })
}

// speak sends a frame each 20 ms, as long as there is one: whoever gives more at once is spread,
// and a machine that was busy makes up for it.
func (c *Call) speak(ctx context.Context) error {
	tick := time.NewTicker(frameEach / 2)
	defer tick.Stop()
	ends := 0
	for due := time.Now(); ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.over:
			return nil
		case <-tick.C:
		}
		if from := c.since(); from.After(due) {
			due = from // nothing was said before: there is nothing to make up for
		}
		for now := time.Now(); !now.Before(due); due = due.Add(frameEach) {
			b, last := c.next()
			if b == nil {
				due = now // it goes out as soon as it is said
				break
			}
			if err := c.line.Send(b); err != nil {
				c.end(phrase.Wrap(err, "hubd.talk_line"))
				return nil
			}
			if last {
				if ends++; ends == 3 { // one may be lost
					return nil
				}
			}
		}
	}
}

// since is when what waits began to wait.
func (c *Call) since() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.from
}

// next seals what is to be sent now; nil: nothing. What is left of less than a frame when the talker
// has let go is filled up with silence.
func (c *Call) next() (b []byte, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.letGo && len(c.queue) > 0 && len(c.queue) < frameLong {
		for len(c.queue) < frameLong {
			c.queue = append(c.queue, 0xD5)
		}
	}
	if len(c.queue) >= frameLong {
		b, err := c.mouth.Voice(c.queue[:frameLong])
		c.queue = append(c.queue[:0], c.queue[frameLong:]...)
		if err != nil {
			return nil, false
		}
		return b, false
	}
	if c.letGo {
		return c.mouth.End(), true
	}
	return nil, false
}

// Write gives what is said now, A-law. It never waits; it errs when the box has ended the talk.
func (c *Call) Write(alaw []byte) (int, error) {
	select {
	case <-c.over:
		return 0, c.Err()
	default:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) < frameLong {
		c.from = time.Now()
	}
	c.queue = append(c.queue, alaw...)
	if n := len(c.queue) - queueMost; n > 0 {
		c.queue = append(c.queue[:0], c.queue[n:]...)
	}
	return len(alaw), nil
}

// Err says by what a talk ended otherwise than by its talker; nil while it goes on.
func (c *Call) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.broken != nil:
		return c.broken
	case c.last.State == talk.Ended && !c.letGo:
		return phrase.E("hubd.talk_ended", "why", c.last.Why)
	}
	return nil
}

// Report is the box's last word.
func (c *Call) Report() talk.Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// Ready waits until the box says that it can be spoken to: before a drill it says that it is one.
func (c *Call) Ready(ctx context.Context) error {
	for {
		c.mu.Lock()
		s, news := c.last.State, c.news
		c.mu.Unlock()
		switch s {
		case talk.Ready, talk.Speaking:
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.over:
			if err := c.Err(); err != nil {
				return err
			}
			return phrase.E("hubd.talk_line")
		case <-news:
		}
	}
}

// Over is closed when the talk has ended.
func (c *Call) Over() <-chan struct{} { return c.over }

// LetGo says that all was said: it is heard out.
func (c *Call) LetGo() {
	c.mu.Lock()
	c.letGo = true
	c.mu.Unlock()
}

// Close lets go, waits for the box's last word, and closes the line. Its error says by what a talk
// ended that was not heard out.
func (c *Call) Close() error {
	early := c.Err()
	c.LetGo()
	t := time.NewTimer(leaveIn)
	defer t.Stop()
	defer c.line.Close()
	select {
	case <-c.over:
	case <-t.C:
		c.end(phrase.E("hubd.talk_unheard"))
	}
	if early != nil {
		return early
	}
	return c.Err()
}
