package modem

import (
	"context"
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
	// Transmit lets it send.
	Transmit bool
	// Satellite says that it is a satellite telephone. Then, to transmit, Card, the
	// registered card's IMSI, and Approval, the terminal's, are required. A Card that
	// is entered is held against the one in it in any case.
	Satellite bool
	Card      string
	Approval  string
	// Profile says how it makes calls; nil: it makes none. One of a satellite telephone
	// sets Satellite.
	Profile *Profile
	// Audio opens the modem's second port, over which the sound of calls runs: signed
	// 16-bit little-endian samples, 8000 a second. nil: no calls.
	Audio func() (drivers.Port, error)
	// Start starts the goroutine that plays. Needed with Audio.
	Start drivers.Starter
	// Data sends bytes as 8-bit data instead of base64.
	Data bool
	// Parts is the most parts of a text. Default 4, which is 268 Chinese characters.
	Parts int
	// Poll is how often the card is looked at for messages of which no news came, and
	// the network. Default 30 s; without card or network it is every 5 s at least.
	Poll time.Duration
	// Now is the clock; Random numbers messages of several parts.
	Now    func() time.Time
	Random func() uint32
	// Buffer is how many received messages wait. Default 64.
	Buffer int
}

const (
	retry    = 5 * time.Second
	askWait  = 5 * time.Second
	listWait = 20 * time.Second
	sendWait = 60 * time.Second
	escape   = 0x1b
	// escapeWait lets the modem say what it has to say of it.
	escapeWait = 200 * time.Millisecond
	// mostParts bounds Opts.Parts.
	mostParts = 8
	// perPart is how many Chinese characters a part of several holds, alone one alone.
	perPart, alone = 67, 70
)

// Device is a modem: a drivers.Terminal. Use New.
type Device struct {
	held  drivers.Reopener
	o     Opts
	in    chan drivers.Incoming
	jobs  *drivers.Handover[*job, drivers.Sent]
	calls *drivers.Handover[*callJob, drivers.Called]

	// Run's own.
	at      *drivers.Attention
	news    bool
	rung    bool  // somebody calls
	talk    *talk // the call that is on
	looked  time.Time
	pending pending

	mu      sync.Mutex
	st      drivers.TerminalState
	ready   bool
	present bool
	called  drivers.CallState
}

type job struct {
	drivers.Reply[drivers.Sent]
	to   string
	b    []byte
	data bool
}

// counter numbers messages of several parts. It begins anywhere, so that the parts
// of before and after a restart are not put together.
type counter uint8

// Count is tpdu.Counter.
func (c *counter) Count() int { *c++; return int(*c) }

// New makes one over a port that open gives.
func New(open func() (drivers.Port, error), o Opts) (*Device, error) {
	o.Satellite = o.Satellite || o.Profile != nil && o.Profile.Satellite
	if o.Audio != nil && o.Start == nil {
		return nil, errors.New("modem: Opts.Start is missing: calls need it")
	}
	if o.Transmit && o.Satellite && (o.Card == "" || o.Approval == "") {
		return nil, errors.New("modem: for a satellite telephone to transmit, the registered card and the terminal's approval must be entered")
	}
	if o.Parts == 0 {
		o.Parts = 4
	}
	if o.Parts < 1 || o.Parts > mostParts {
		return nil, fmt.Errorf("modem: %d parts are not 1 to %d", o.Parts, mostParts)
	}
	if o.Poll <= 0 {
		o.Poll = 30 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Uint32
	}
	if o.Buffer <= 0 {
		o.Buffer = 64
	}
	d := &Device{held: drivers.Reopener{Open: open}, o: o, in: make(chan drivers.Incoming, o.Buffer), jobs: drivers.NewHandover[*job, drivers.Sent]("the modem is busy", "the modem has it: it may have gone out"), pending: pending{}}
	d.calls = drivers.NewHandover[*callJob, drivers.Called]("the modem is busy", "the modem says nothing of the call")
	d.calls.Grace = 4 * hangWait
	d.st.Bars, d.st.Free = -1, -1
	return d, nil
}

// Run is drivers.Terminal.
func (d *Device) Run(ctx context.Context) error {
	defer d.held.Close()
	ref := counter(d.o.Random())
	for {
		err := d.session(ctx, &ref)
		d.mu.Lock()
		d.ready, d.present, d.st.Up, d.st.Bars = false, false, false, -1
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

func (d *Device) count(f func(*drivers.TerminalState)) { d.mu.Lock(); f(&d.st); d.mu.Unlock() }

func (d *Device) session(ctx context.Context, ref *counter) error {
	p, _, err := d.held.Ready()
	if err != nil {
		return err
	}
	d.rung, d.talk = false, nil
	own := []string{"+CMTI:", "RING", "+CRING:", "+CLIP:", "+CDSI:", "MISSED_CALL:", "^", "*"}
	if c := d.plan(); c != nil {
		own = append(own, c.unsolicited()...)
	}
	d.at = &drivers.Attention{Port: p, Unsolicited: own, Heard: func(line string, at time.Time) {
		d.news = d.news || strings.HasPrefix(line, "+CMTI:")
		d.rung = d.rung || line == "RING" || strings.HasPrefix(line, "+CRING:")
		if d.talk != nil {
			d.talk.line(line, at)
		}
		d.count(func(s *drivers.TerminalState) { s.Heard = at })
	}}
	// Out of a message that was being given when the port went.
	if _, err := p.Write([]byte{escape}); err != nil {
		return d.gone(err)
	}
	if !pause(ctx, escapeWait) {
		return ctx.Err()
	}
	for _, c := range []string{"ATE0", "AT+CMEE=1"} {
		if _, err := d.at.Ask(ctx, c, askWait); err != nil {
			return d.gone(err)
		}
	}
	if d.plan() != nil && d.o.Transmit {
		// Out of a call that was on when the box or the port went.
		if err := d.hangUp(ctx); err != nil {
			return d.gone(err)
		}
	}
	if d.o.Profile != nil {
		for _, c := range d.o.Profile.Setup {
			if _, err := d.at.Ask(ctx, c, askWait); lost(err) {
				return d.gone(err)
			}
		}
	}
	d.looked = time.Time{}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if err := d.keep(ctx); err != nil && ctx.Err() == nil {
			return d.gone(err)
		}
		select {
		case j := <-d.jobs.Jobs(): // messages before calls, which take long
			if err := d.send(ctx, j, ref); err != nil {
				return d.gone(err)
			}
			continue
		default:
		}
		select {
		case c, ok := <-p.Received():
			if !ok {
				return d.held.Gone(p.Err())
			}
			d.at.Listen(c)
		case j := <-d.jobs.Jobs():
			err = d.send(ctx, j, ref)
		case j := <-d.calls.Jobs():
			err = d.makeCall(ctx, j)
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err != nil {
			return d.gone(err)
		}
	}
}

// gone closes the port after what cannot be mended otherwise.
func (d *Device) gone(err error) error { d.held.Gone(err); return err }

// lost tells whether an error ends the dialogue: a refusal is an answer.
func lost(err error) bool { return err != nil && drivers.KindOf(err) != drivers.FaultRefused }

// keep looks at card, network and messages when it is time, or news came.
func (d *Device) keep(ctx context.Context) error {
	now := d.o.Now()
	if d.rung {
		if err := d.refuse(ctx); err != nil {
			return err
		}
	}
	every := d.o.Poll
	if l := d.Limits(); l.Bar == drivers.BarNoCard || l.Bar == drivers.BarNoSignal {
		every = min(every, retry)
	}
	if !d.news && now.Sub(d.looked) < every {
		return nil
	}
	d.looked = now
	if dropped := d.pending.expire(now); dropped > 0 {
		d.count(func(s *drivers.TerminalState) { s.Dropped += int64(dropped) })
	}
	d.mu.Lock()
	present := d.present
	d.mu.Unlock()
	lines, err := d.at.Ask(ctx, "AT+CPIN?", askWait)
	switch {
	case lost(err):
		return err
	case err != nil || !contains(lines, "+CPIN: READY"):
		d.mu.Lock()
		d.ready, d.present, d.st.Up, d.st.ID, d.st.Heard = true, false, true, "", now
		d.st.Last = fmt.Sprintf("the card is not ready: %.60q %v", lines, err)
		d.mu.Unlock()
		return nil
	}
	if !present {
		if err := d.card(ctx); err != nil {
			return err
		}
	}
	if err := d.network(ctx); err != nil {
		return err
	}
	return d.fetch(ctx)
}

func contains(lines []string, s string) bool {
	for _, l := range lines {
		if l == s {
			return true
		}
	}
	return false
}

// card reads whose card it is and lets the modem keep messages on it.
func (d *Device) card(ctx context.Context) error {
	lines, err := d.at.Ask(ctx, "AT+CIMI", askWait)
	if err != nil {
		return err
	}
	id := ""
	for _, l := range lines {
		if len(l) >= 6 && len(l) <= 15 && strings.Trim(l, "0123456789") == "" {
			id = l
		}
	}
	if id == "" {
		return &drivers.Fault{Kind: drivers.FaultForeign, Detail: fmt.Sprintf("no subscriber in %.40q", lines)}
	}
	for _, c := range []string{"AT+CMGF=0", "AT+CNMI=2,1,0,0,0"} {
		if _, err := d.at.Ask(ctx, c, askWait); err != nil {
			return err
		}
	}
	d.mu.Lock()
	d.ready, d.present, d.st.Up, d.st.ID, d.st.Heard = true, true, true, id, d.o.Now()
	d.mu.Unlock()
	return nil
}

// network reads signal and registration: without the latter there is no signal.
func (d *Device) network(ctx context.Context) error {
	bars, registered := -1, false
	lines, err := d.at.Ask(ctx, "AT+CSQ", askWait)
	if lost(err) {
		return err
	}
	bars = signal(lines)
	for _, c := range []string{"AT+CREG?", "AT+CEREG?"} {
		lines, err := d.at.Ask(ctx, c, askWait)
		if lost(err) {
			return err
		}
		registered = registered || isRegistered(lines)
	}
	if !registered {
		bars = 0
	}
	d.count(func(s *drivers.TerminalState) { s.Bars, s.Heard = bars, d.o.Now() })
	return nil
}

// signal reads +CSQ: 0 is -113 dBm, 31 is -51 dBm or more, 99 not known. 1 is the
// least: registration says whether there is a network at all.
func signal(lines []string) int {
	for _, l := range lines {
		if rest, ok := strings.CutPrefix(l, "+CSQ:"); ok {
			f, _, _ := strings.Cut(rest, ",")
			n, err := strconv.Atoi(strings.TrimSpace(f))
			if err != nil || n < 0 || n > 31 {
				return -1
			}
			return min(1+n/6, 4)
		}
	}
	return -1
}

// isRegistered reads +CREG or +CEREG: home, roaming, or for short messages only.
func isRegistered(lines []string) bool {
	for _, l := range lines {
		if !strings.HasPrefix(l, "+CREG:") && !strings.HasPrefix(l, "+CEREG:") {
			continue
		}
		f := strings.Split(l[strings.IndexByte(l, ':')+1:], ",")
		if len(f) >= 2 {
			switch strings.TrimSpace(f[1]) {
			case "1", "5", "6", "7":
				return true
			}
		}
	}
	return false
}

// fetch takes all messages from the card and deletes them there: a card that is
// full takes no more.
func (d *Device) fetch(ctx context.Context) error {
	d.news = false
	lines, err := d.at.Ask(ctx, "AT+CMGL=4", listWait)
	if lost(err) {
		return err
	}
	for _, e := range entries(lines) {
		d.take(e.pdu)
		if _, err := d.at.Ask(ctx, "AT+CMGD="+strconv.Itoa(e.index), askWait); lost(err) {
			return err
		}
	}
	return nil
}

// entry is one message of +CMGL.
type entry struct {
	index int
	pdu   string
}

func entries(lines []string) (out []entry) {
	for i := 0; i+1 < len(lines); i++ {
		rest, ok := strings.CutPrefix(lines[i], "+CMGL:")
		if !ok {
			continue
		}
		f, _, _ := strings.Cut(rest, ",")
		n, err := strconv.Atoi(strings.TrimSpace(f))
		if err != nil || n < 0 || n > 9999 || strings.HasPrefix(lines[i+1], "+CMGL:") {
			continue
		}
		out = append(out, entry{n, lines[i+1]})
		i++
	}
	return out
}

// take reads one part, and delivers what is whole by it.
func (d *Device) take(pdu string) {
	now := d.o.Now()
	t, err := read(pdu)
	if err != nil {
		d.count(func(s *drivers.TerminalState) { s.Garbled++; s.Last = err.Error() })
		return
	}
	whole, dropped := d.pending.add(t, now)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.st.Dropped += int64(dropped)
	if whole == nil {
		return
	}
	c, err := join(whole)
	if err != nil {
		d.st.Strange++
		d.st.Last = err.Error()
		return
	}
	d.st.Received++
	select {
	case d.in <- drivers.Incoming{From: c.from, To: d.st.ID, Bytes: c.bytes, Text: c.text, At: now, Sent: c.sent, Bars: d.st.Bars}:
	default:
		d.st.Dropped++
	}
}

var _ drivers.Terminal = (*Device)(nil)
