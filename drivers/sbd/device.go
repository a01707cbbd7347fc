package sbd

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"tocsin/drivers"
)

// Opts says whose modem it is and what it may do.
type Opts struct {
	// Transmit lets it begin sessions. Then Licence and IMEI, the number of the
	// modem that is registered, are required; another modem begins none.
	Transmit bool
	Licence  string
	IMEI     string
	// Every is how often a session looks for messages that no ring announced.
	// Default 6 h; below 0: never.
	Every time.Duration
	// Now is the clock; Random gives 0 to 1 for the pauses between tries.
	Now    func() time.Time
	Random func() float64
	// Buffer is how many received messages wait. Default 16.
	Buffer int
}

const (
	mostOut = 340
	mostIn  = 270

	retry     = 5 * time.Second
	askWait   = 5 * time.Second
	signalFor = 30 * time.Second
	// sessionWait is a session at its slowest.
	sessionWait = 90 * time.Second
	// registered is how long result 36 asks to wait.
	registered = 3 * time.Minute
	// enoughBars is the signal below which a session mostly fails.
	enoughBars = 2
)

// Device is a modem: a drivers.Terminal. Use New.
type Device struct {
	held drivers.Reopener
	o    Opts
	in   chan drivers.Incoming
	jobs *drivers.Handover[*job, drivers.Sent]

	// Run's own.
	at     *drivers.Attention
	rung   bool // the gateway has something
	looked time.Time
	signal time.Time

	mu    sync.Mutex
	st    drivers.TerminalState
	ready bool
	stop  drivers.Bar // why the gateway wants no session
	next  time.Time
}

type job struct {
	drivers.Reply[drivers.Sent]
	ctx context.Context
	b   []byte
}

// New makes one over a port that open gives.
func New(open func() (drivers.Port, error), o Opts) (*Device, error) {
	if o.Transmit && (o.Licence == "" || o.IMEI == "") {
		return nil, errors.New("sbd: to transmit, the licence and the modem's number (IMEI) must be entered")
	}
	if o.Every == 0 {
		o.Every = 6 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.Buffer <= 0 {
		o.Buffer = 16
	}
	d := &Device{held: drivers.Reopener{Open: open}, o: o, in: make(chan drivers.Incoming, o.Buffer), jobs: drivers.NewHandover[*job, drivers.Sent]("the modem is in a session", "the modem has it: it may have gone out")}
	d.st.Bars, d.st.Free = -1, -1
	return d, nil
}

// Run is drivers.Terminal.
func (d *Device) Run(ctx context.Context) error {
	defer d.held.Close()
	for {
		err := d.session(ctx)
		d.mu.Lock()
		d.ready, d.st.Up, d.st.Bars = false, false, -1
		if err != nil {
			d.st.Last = err.Error()
		}
		d.mu.Unlock()
		if !pause(ctx, retry) {
			return ctx.Err()
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (d *Device) session(ctx context.Context) error {
	p, _, err := d.held.Ready()
	if err != nil {
		return err
	}
	d.at = &drivers.Attention{Port: p, Unsolicited: []string{"SBDRING", "+CIEV", "+AREG"}, Heard: func(line string, at time.Time) {
		d.rung = d.rung || line == "SBDRING"
		d.mu.Lock()
		d.st.Heard = at
		d.mu.Unlock()
	}}
	if err := d.begin(ctx); err != nil {
		return d.gone(err)
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case c, ok := <-p.Received():
			if !ok {
				return d.held.Gone(p.Err())
			}
			d.at.Listen(c)
		case j := <-d.jobs.Jobs():
			err = d.send(ctx, j)
		case <-tick.C:
			err = d.keep(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return d.gone(err)
		}
	}
}

// gone closes the port after what cannot be mended otherwise.
func (d *Device) gone(err error) error { d.held.Gone(err); return err }

func (d *Device) begin(ctx context.Context) error {
	for _, c := range []string{"AT", "ATE0", "AT&K0", "AT+SBDMTA=1"} {
		if _, err := d.at.Ask(ctx, c, askWait); err != nil {
			return err
		}
	}
	lines, err := d.at.Ask(ctx, "AT+CGSN", askWait)
	if err != nil {
		return err
	}
	id := ""
	for _, l := range lines {
		if len(l) >= 14 && len(l) <= 17 && strings.Trim(l, "0123456789") == "" {
			id = l
		}
	}
	d.mu.Lock()
	d.st.Up, d.st.ID, d.st.Heard, d.ready = id != "", id, d.o.Now(), id != ""
	d.mu.Unlock()
	if id == "" {
		return &drivers.Fault{Kind: drivers.FaultForeign, Detail: fmt.Sprintf("no number in %.40q", lines)}
	}
	d.looked, d.signal = d.o.Now(), time.Time{}
	return d.bars(ctx)
}

func (d *Device) bars(ctx context.Context) error {
	d.signal = d.o.Now()
	lines, err := d.at.Ask(ctx, "AT+CSQF", askWait)
	if err != nil {
		return err
	}
	for _, l := range lines {
		if s, ok := strings.CutPrefix(l, "+CSQF:"); ok {
			l = "+CSQ:" + s
		}
		if s, ok := strings.CutPrefix(l, "+CSQ:"); ok {
			if n, err := strconv.Atoi(strings.TrimSpace(s)); err == nil && n >= 0 && n <= 5 {
				d.mu.Lock()
				d.st.Bars, d.st.Heard = min(n, 4), d.o.Now()
				d.mu.Unlock()
			}
		}
	}
	return nil
}

// keep looks at the signal, and for messages.
func (d *Device) keep(ctx context.Context) error {
	now := d.o.Now()
	if now.Sub(d.signal) >= signalFor {
		if err := d.bars(ctx); err != nil {
			return err
		}
	}
	if d.rung || d.o.Every > 0 && now.Sub(d.looked) >= d.o.Every {
		l := d.Limits()
		if !l.Transmit || now.Before(l.Next) || d.State().Bars < enoughBars {
			return nil
		}
		if _, err := d.at.Ask(ctx, "AT+SBDD0", askWait); err != nil { // nothing of ours goes with it
			return err
		}
		_, err := d.exchange(ctx)
		return err
	}
	return nil
}

// send brings a message to the gateway, with as many sessions as the caller's
// context allows.
func (d *Device) send(ctx context.Context, j *job) error {
	var fail error
	for try := 0; ; try++ {
		if err := d.may(len(j.b), d.o.Now()); err != nil {
			j.Fail(err)
			return nil
		}
		code, err := d.try(ctx, j.b)
		switch {
		case err != nil:
			d.count(func(s *drivers.TerminalState) { s.Unknown++ })
			j.Fail(&drivers.Fault{Kind: drivers.FaultTimeout, Detail: "the modem said nothing of it: it may have gone out", Err: err})
			return err
		case code >= 0 && code <= 4:
			d.count(func(s *drivers.TerminalState) { s.Aired++ })
			j.Answer(drivers.Sent{At: d.o.Now(), Stage: drivers.StageTaken}, nil)
			return nil
		}
		fail = d.failed(code)
		if drivers.KindOf(fail) != drivers.FaultRefused || j.ctx.Err() != nil || !d.wait(ctx, j.ctx, d.backoff(try)) {
			d.count(func(s *drivers.TerminalState) { s.Refused++; s.Last = fail.Error() })
			j.Fail(fail)
			return nil
		}
	}
}

func (d *Device) count(f func(*drivers.TerminalState)) { d.mu.Lock(); f(&d.st); d.mu.Unlock() }

// backoff is the pause before the next try: 0 to 5 s twice, 0 to 30 s twice, then
// five minutes.
func (d *Device) backoff(try int) time.Duration {
	switch {
	case try < 2:
		return time.Duration(d.o.Random() * float64(5*time.Second))
	case try < 4:
		return time.Duration(d.o.Random() * float64(30*time.Second))
	}
	return 5 * time.Minute
}

// wait waits for the next try. Where the caller's time ends before it, it says so at
// once: the caller hears the modem's own reason and may try another link.
func (d *Device) wait(ctx, of context.Context, pauseFor time.Duration) bool {
	if end, ok := of.Deadline(); ok && time.Until(end) <= pauseFor {
		return false
	}
	t := time.NewTimer(pauseFor)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-of.Done():
	}
	return false
}

// try gives a message to the modem and begins a session; code is the gateway's
// result for it, or -1 where the modem did not take the message.
func (d *Device) try(ctx context.Context, b []byte) (code int, err error) {
	if err := d.at.Prompt(ctx, "AT+SBDWB="+strconv.Itoa(len(b)), "READY", askWait); err != nil {
		return 0, err
	}
	lines, err := d.at.Tell(ctx, binary.BigEndian.AppendUint16(append([]byte(nil), b...), sum(b)), sessionWait)
	if err != nil {
		return 0, err
	}
	if len(lines) != 1 || lines[0] != "0" {
		return -1, nil
	}
	if code, err = d.exchange(ctx); err != nil {
		return code, err
	}
	_, err = d.at.Ask(ctx, "AT+SBDD0", askWait)
	return code, err
}

// failed says what a result code means for the message, and keeps for how long no
// session makes sense.
func (d *Device) failed(code int) error {
	now := d.o.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	f := &drivers.Fault{Kind: drivers.FaultRefused, Code: code, Detail: fmt.Sprintf("the session ended with %d", code)}
	switch code {
	case 36, 38: // three minutes since the registration; traffic management
		d.next = now.Add(registered)
		f.Kind, f.Until = drivers.FaultEarly, d.next
	case 15, 16: // denied, locked: somebody must ask the provider
		d.stop = drivers.BarSilenced
		f.Kind = drivers.FaultBarred
	}
	return f
}

// exchange is one session. What it brings is delivered whatever became of what it
// took.
func (d *Device) exchange(ctx context.Context) (code int, err error) {
	command := "AT+SBDIX"
	if d.rung {
		command = "AT+SBDIXA"
	}
	lines, err := d.at.Ask(ctx, command, sessionWait)
	if err != nil {
		return 0, err
	}
	s, ok := outcomeOf(lines)
	if !ok {
		return 0, &drivers.Fault{Kind: drivers.FaultGarbled, Detail: fmt.Sprintf("no outcome in %.80q", lines)}
	}
	d.looked = d.o.Now()
	if s.mo <= 4 {
		d.rung = s.queued > 0
	}
	if s.mt == 1 {
		if err := d.fetch(ctx); err != nil {
			return s.mo, err
		}
	}
	return s.mo, nil
}

// outcome is what +SBDIX says.
type outcome struct{ mo, momsn, mt, mtmsn, length, queued int }

func outcomeOf(lines []string) (s outcome, ok bool) {
	for _, l := range lines {
		rest, is := strings.CutPrefix(l, "+SBDIX:")
		f := strings.Split(rest, ",")
		if !is || len(f) != 6 {
			continue
		}
		to := []*int{&s.mo, &s.momsn, &s.mt, &s.mtmsn, &s.length, &s.queued}
		ok = true
		for i := range f {
			n, err := strconv.Atoi(strings.TrimSpace(f[i]))
			if err != nil || n < 0 || n > 1<<20 {
				ok = false
			}
			*to[i] = n
		}
		if ok {
			return s, true
		}
	}
	return outcome{}, false
}

// fetch reads the message that a session brought; twice where it was hurt on the
// line.
func (d *Device) fetch(ctx context.Context) error {
	for try := 0; ; try++ {
		b, err := d.at.Raw(ctx, "AT+SBDRB", func(b []byte) (int, bool) {
			if len(b) < 2 {
				return 0, false
			}
			return int(binary.BigEndian.Uint16(b)) + 4, true
		}, askWait)
		if err != nil {
			return err
		}
		m, err := message(b)
		if err == nil {
			d.deliver(m)
			return nil
		}
		d.count(func(s *drivers.TerminalState) { s.Garbled++; s.Last = err.Error() })
		if try == 2 {
			return nil
		}
	}
}

// message takes the length and checksum off.
func message(b []byte) ([]byte, error) {
	if len(b) < 4 || int(binary.BigEndian.Uint16(b)) != len(b)-4 || len(b)-4 > mostIn {
		return nil, fmt.Errorf("a message of %d bytes with a wrong length", len(b))
	}
	m := b[2 : len(b)-2]
	if got, want := sum(m), binary.BigEndian.Uint16(b[len(b)-2:]); got != want {
		return nil, fmt.Errorf("the message's checksum is %04X, reckoned %04X", want, got)
	}
	return m, nil
}

func (d *Device) deliver(b []byte) {
	if len(b) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.st.Received++
	select {
	case d.in <- drivers.Incoming{From: "gateway", To: d.st.ID, Bytes: b, At: d.o.Now(), Bars: d.st.Bars}:
	default:
		d.st.Dropped++
	}
}

// sum is the modem's checksum: the low 16 bits of the bytes' sum.
func sum(b []byte) (n uint16) {
	for _, x := range b {
		n += uint16(x)
	}
	return n
}

var _ drivers.Terminal = (*Device)(nil)
