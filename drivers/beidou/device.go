package beidou

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tocsin/drivers"
)

// Opts says whose terminal it is and what it may do.
type Opts struct {
	// Profile is how the terminal speaks. Required.
	Profile *Profile
	// Variant is a name of the profile's send.variants; empty: its first order.
	Variant string
	// Coding is "code" (default) or "mixed", for networks that want the mark in
	// front; mixed holds one byte less.
	Coding string
	// Transmit lets it send. Then Card, the registered card's number, and Approval,
	// the terminal's type approval as its plate has it, are required: whoever sets
	// a terminal up must have both in hand. Another card in it sends nothing.
	Transmit bool
	Card     string
	Approval string
	// Tell is given the time that the sentences say, as far as they agree with each
	// other: see Told. It is called from Run and must not wait.
	Tell func(Told)
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Buffer is how many received messages wait. Default 64.
	Buffer int
}

const (
	retry      = 5 * time.Second  // before the port is opened again, and the card asked again
	cardEvery  = 10 * time.Minute // the card is read again: it may have been changed
	staleAfter = 30 * time.Second // a signal is believed
	answerIn   = 15 * time.Second // the terminal says what became of a sentence
)

// Device is a terminal: a drivers.Terminal. Use New.
type Device struct {
	held drivers.Reopener
	o    Opts
	own  string // the registered card, without leading zeros
	in   chan drivers.Incoming
	jobs *drivers.Handover[*job, drivers.Sent]

	// Run's own.
	read    reader
	pending *job
	asked   time.Time // the card
	begged  time.Time // the signal
	clock   clock

	mu       sync.Mutex
	st       drivers.TerminalState
	card     card
	known    bool // a card's sentence came since the port was opened
	present  bool
	signalAt time.Time
	next     time.Time
	silenced bool
}

type job struct {
	drivers.Reply[drivers.Sent]
	body string
	n    int
	at   time.Time
}

// New makes one over a port that open gives.
func New(open func() (drivers.Port, error), o Opts) (*Device, error) {
	if o.Profile == nil {
		return nil, errors.New("beidou: Opts.Profile is missing")
	}
	if _, ok := o.Profile.orders()[o.Variant]; !ok {
		return nil, fmt.Errorf("beidou: the profile has no variant %q", o.Variant)
	}
	if o.Coding == "" {
		o.Coding = codeCoding
	}
	if o.Coding == hanziCoding || o.Profile.Send.Codings[o.Coding] == "" {
		return nil, fmt.Errorf("beidou: the profile has no coding %q for bytes", o.Coding)
	}
	d := &Device{held: drivers.Reopener{Open: open}, o: o, jobs: drivers.NewHandover[*job, drivers.Sent]("another message is with the terminal", "the terminal has it: it may have gone out")}
	if o.Card != "" {
		n, err := number(o.Card)
		if err != nil || n == "0" {
			return nil, fmt.Errorf("beidou: %q is no card's number", o.Card)
		}
		d.own = n
	}
	if o.Transmit && (d.own == "" || o.Approval == "") {
		return nil, errors.New("beidou: to transmit, the registered card and the terminal's approval must be entered")
	}
	if d.o.Now == nil {
		d.o.Now = time.Now
	}
	if d.o.Buffer <= 0 {
		d.o.Buffer = 64
	}
	d.in = make(chan drivers.Incoming, d.o.Buffer)
	d.st.Bars, d.st.Free = -1, -1
	return d, nil
}

// Run is drivers.Terminal.
func (d *Device) Run(ctx context.Context) error {
	defer d.held.Close()
	for {
		err := d.session(ctx)
		d.down(err)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		t := time.NewTimer(retry)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}

// down forgets what was known of a terminal that is gone.
func (d *Device) down(err error) {
	if d.pending != nil {
		d.fail(&drivers.Fault{Kind: drivers.FaultTimeout, Detail: "the port went before the terminal answered: it may have gone out", Err: err})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known, d.present, d.silenced, d.signalAt = false, false, false, time.Time{}
	d.st.Up, d.st.Bars = false, -1
	if err != nil {
		d.st.Last = err.Error()
	}
}

func (d *Device) session(ctx context.Context) error {
	p, _, err := d.held.Ready()
	if err != nil {
		return err
	}
	d.read, d.asked, d.begged, d.clock = reader{}, time.Time{}, time.Time{}, clock{}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	if err := d.keep(p); err != nil {
		return d.held.Gone(err)
	}
	for {
		jobs := d.jobs.Jobs()
		if d.pending != nil {
			jobs = nil // one at a time: the answer does not say whose it is
		}
		select {
		case c, ok := <-p.Received():
			if !ok {
				return d.held.Gone(p.Err())
			}
			d.hear(c)
		case j := <-jobs:
			if err := d.begin(p, j); err != nil {
				return d.held.Gone(err)
			}
		case <-tick.C:
			if err := d.keep(p); err != nil {
				return d.held.Gone(err)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// keep asks what must be asked again, and gives up what was not answered.
func (d *Device) keep(p drivers.Port) error {
	now := d.o.Now()
	if j := d.pending; j != nil && now.Sub(j.at) >= answerIn {
		d.mu.Lock()
		d.st.Unknown++
		// It may have radiated, so that its frequency runs from then on.
		d.next = later(d.next, j.at.Add(d.card.frequency))
		d.mu.Unlock()
		d.fail(&drivers.Fault{Kind: drivers.FaultTimeout, Detail: fmt.Sprintf("the terminal said nothing of it for %v", answerIn)})
	}
	d.mu.Lock()
	every := cardEvery
	if !d.present {
		every = retry
	}
	stale := d.signalAt.IsZero() || now.Sub(d.signalAt) > staleAfter
	if stale {
		d.st.Bars = -1
	}
	d.mu.Unlock()
	if now.Sub(d.asked) >= every {
		d.asked = now
		if _, err := p.Write([]byte(frame(d.o.Profile.Card.Ask))); err != nil {
			return err
		}
	}
	if stale && now.Sub(d.begged) >= retry {
		d.begged = now
		if _, err := p.Write([]byte(frame(d.o.Profile.Signal.Ask))); err != nil {
			return err
		}
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// begin writes a sentence that is to send.
func (d *Device) begin(p drivers.Port, j *job) error {
	j.at = d.o.Now()
	if err := d.may(j.n, j.at); err != nil { // another one went before it
		d.refused()
		j.Fail(err)
		return nil
	}
	d.pending = j
	_, err := p.Write([]byte(frame(j.body)))
	return err
}

func (d *Device) fail(err error) { d.pending.Fail(err); d.pending = nil }

// hear takes what came.
func (d *Device) hear(c drivers.Chunk) {
	for b := c.B; len(b) > 0; {
		var s string
		var lost bool
		if s, b, lost = d.read.next(b); lost {
			d.garbled("a sentence without its end")
		}
		if s != "" {
			d.sentence(s, c.At)
		}
	}
}

func (d *Device) garbled(why string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.st.Garbled++
	d.st.Last = why
}

func (d *Device) sentence(s string, at time.Time) {
	address, v, err := cut(s)
	if err != nil {
		d.garbled(fmt.Sprintf("sentence %.40q: %v", s, err))
		return
	}
	p := d.o.Profile
	switch {
	case len(address) != 5:
		d.strange("address " + address)
	case address[2:] == "ZDA" || address[2:] == "RMC":
		d.told(d.clock.navigation(address[2:], v, at))
	case address[:2] != p.Talker:
		d.strange("talker of " + address)
	case address[2:] == p.Card.Sentence:
		d.setCard(v, at)
	case address[2:] == p.Signal.Sentence:
		d.setSignal(v, at)
	case address[2:] == p.Outcome.Sentence:
		d.setOutcome(v, at)
	default:
		for i := range p.Receive {
			if p.Receive[i].Sentence == address[2:] {
				d.message(&p.Receive[i], v, at)
				return
			}
		}
		d.strange("sentence " + address)
	}
}

func (d *Device) strange(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.st.Strange++
	d.st.Last = "of no use: " + what
}

func (d *Device) setCard(v []string, at time.Time) {
	c, present, err := d.o.Profile.cardOf(v)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.st.Strange++
		d.st.Last = err.Error()
		return // what was read before stands
	}
	d.known, d.present, d.card = true, present, c
	d.st.Up, d.st.ID, d.st.Heard = true, c.number, at
}

func (d *Device) setSignal(v []string, at time.Time) {
	bars, err := d.o.Profile.barsOf(v)
	if err != nil {
		d.strange("signal: " + err.Error())
		return
	}
	d.mu.Lock()
	d.st.Up, d.st.Bars, d.st.Heard, d.signalAt = true, bars, at, at
	d.mu.Unlock()
	if t := field(d.o.Profile.Signal.Fields, v, "time"); t != "" && bars > 0 {
		d.told(d.clock.terminal(ofDay(t, "hhmmss"), at))
	}
}

func (d *Device) told(t Told, ok bool) {
	if ok && d.o.Tell != nil {
		d.o.Tell(t)
	}
}

// setOutcome takes what the terminal says of the sentence that waits.
func (d *Device) setOutcome(v []string, at time.Time) {
	s := d.o.Profile.outcomeOf(v)
	if s.of != d.o.Profile.Outcome.Of || d.pending == nil {
		d.strange("an outcome that nobody waits for")
		return
	}
	j := d.pending
	d.mu.Lock()
	d.st.Up, d.st.Heard = true, at
	r := drivers.Outcome[drivers.Sent]{}
	switch s.word {
	case "done":
		d.st.Aired++
		d.silenced = false
		d.next = at.Add(d.card.frequency)
		r.Result = drivers.Sent{At: at, Stage: drivers.StageAired}
	case "early":
		// The card's frequency is the most that can be left; at least a second, so
		// that nobody asks in a circle.
		w := max(min(s.wait, d.card.frequency), time.Second)
		d.next = later(d.next, at.Add(w))
		r.Err = &drivers.Fault{Kind: drivers.FaultEarly, Code: s.code, Until: d.next, Detail: "the card's frequency"}
	case "silenced":
		d.silenced = true
		d.next = later(d.next, at.Add(retry))
		r.Err = &drivers.Fault{Kind: drivers.FaultBarred, Code: s.code, Detail: "the terminal or the system orders silence"}
	case "no-card":
		d.present = false
		r.Err = &drivers.Fault{Kind: drivers.FaultBarred, Code: s.code, Detail: "no card in the terminal"}
	default:
		d.next = later(d.next, at.Add(retry))
		r.Err = &drivers.Fault{Kind: drivers.FaultRefused, Code: s.code, Detail: s.word}
	}
	if r.Err != nil {
		d.st.Refused++
		d.st.Last = r.Err.Error()
	}
	d.mu.Unlock()
	if s.word == "no-card" {
		d.asked = time.Time{} // ask again at once
	}
	j.Answer(r.Result, r.Err)
	d.pending = nil
}

func (d *Device) message(r *ReceivePlan, v []string, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, err := d.o.Profile.messageOf(r, v, d.card.broadcast, at)
	if err != nil {
		d.st.Strange++
		d.st.Last = "message: " + err.Error()
		return
	}
	m.Bars = d.st.Bars
	d.st.Received++
	d.st.Heard = at
	select {
	case d.in <- m:
	default:
		d.st.Dropped++
	}
}

var _ drivers.Terminal = (*Device)(nil)
