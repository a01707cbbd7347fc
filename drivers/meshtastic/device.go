package meshtastic

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
	"unicode/utf8"

	"tocsin/drivers"
)

// Opts says whose node it is and what it may do.
type Opts struct {
	// Transmit lets it send. Then Licence (what the radio authority gave, as it is
	// written there), Region (the band by its code, such as CN) and Power (the most
	// that was licensed, dBm) are required. A node that is set otherwise sends
	// nothing.
	Transmit bool
	Licence  string
	Region   string
	Power    int
	// Airtime is the most that one transmission may take; 0: no bound. For what is
	// tolerated in 470–510 MHz it is 1 s.
	Airtime time.Duration
	// Channel is the node's channel, 0 to 7; Hops how often a message is repeated at
	// most, 1 to 7, 0 for what the node is set to.
	Channel, Hops int
	// NoAck sends without asking for the mesh's acknowledgement; AckWait is how long
	// it is waited for, default 20 s.
	NoAck   bool
	AckWait time.Duration
	// Heartbeat keeps the node's serial side awake. Default 60 s.
	Heartbeat time.Duration
	// Now is the clock and Random numbers packets. Defaults: time.Now, math/rand.
	Now    func() time.Time
	Random func() uint32
	// Buffer is how many received messages wait. Default 64.
	Buffer int
}

const (
	retry    = 5 * time.Second
	configIn = 10 * time.Second // the whole of the node's settings
	wakeWait = 100 * time.Millisecond
	tickEach = 250 * time.Millisecond
	fullFor  = 2 * time.Second  // a full queue is believed
	dutyFor  = 60 * time.Second // a duty cycle that is used up
	mostOpen = 32               // messages of which nothing final is known
)

// wake is what the node's serial side is woken with.
var wake = func() []byte {
	b := make([]byte, 32)
	for i := range b {
		b[i] = start2
	}
	return b
}()

// Device is a node: a drivers.Terminal. Use New.
type Device struct {
	held drivers.Reopener
	o    Opts
	in   chan drivers.Incoming
	jobs *drivers.Handover[*job, drivers.Sent]

	// Run's own.
	read   reader
	nonce  uint32
	asked  time.Time // the settings
	beat   time.Time
	heard  time.Time
	open   map[uint32]*job
	wanted uint32 // the nonce whose completion is awaited; 0: complete

	mu       sync.Mutex
	st       drivers.TerminalState
	me       uint32
	lora     *lora
	firmware string
	ready    bool
	fullAt   time.Time
	next     time.Time
}

type job struct {
	drivers.Reply[drivers.Sent]
	p      outgoing
	text   bool
	at     time.Time
	queued bool
}

// New makes one over a port that open gives.
func New(open func() (drivers.Port, error), o Opts) (*Device, error) {
	if _, ok := regions[o.Region]; o.Transmit && (o.Licence == "" || !ok || o.Power <= 0) {
		return nil, errors.New("meshtastic: to transmit, the licence, the region's code and the power in dBm must be entered")
	}
	if o.Channel < 0 || o.Channel > 7 || o.Hops < 0 || o.Hops > 7 {
		return nil, fmt.Errorf("meshtastic: channel %d, hops %d: both are at most 7", o.Channel, o.Hops)
	}
	if o.AckWait <= 0 {
		o.AckWait = 20 * time.Second
	}
	if o.Heartbeat <= 0 {
		o.Heartbeat = 60 * time.Second
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
	d := &Device{held: drivers.Reopener{Open: open}, o: o, in: make(chan drivers.Incoming, o.Buffer), jobs: drivers.NewHandover[*job, drivers.Sent]("other messages are with the node", "the node has it: it may have gone out"), open: map[uint32]*job{}}
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
		if !pause(ctx, retry) {
			return ctx.Err()
		}
	}
}

func pause(ctx context.Context, for_ time.Duration) bool {
	t := time.NewTimer(for_)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// down forgets what was known of a node that is gone.
func (d *Device) down(err error) {
	d.forget("the port went", err)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ready, d.lora, d.st.Up, d.st.Bars, d.st.Free = false, nil, false, -1, -1
	if err != nil {
		d.st.Last = err.Error()
	}
}

// forget answers all that waits: the node's queue is lost.
func (d *Device) forget(why string, err error) {
	for id, j := range d.open {
		d.count(func(s *drivers.TerminalState) { s.Unknown++ })
		j.Fail(&drivers.Fault{Kind: drivers.FaultTimeout, Detail: why + " before anything was said of it: it may have gone out", Err: err})
		delete(d.open, id)
	}
}

func (d *Device) count(f func(*drivers.TerminalState)) { d.mu.Lock(); f(&d.st); d.mu.Unlock() }

func (d *Device) session(ctx context.Context) error {
	p, _, err := d.held.Ready()
	if err != nil {
		return err
	}
	d.read = reader{}
	tick := time.NewTicker(tickEach)
	defer tick.Stop()
	if err := d.begin(ctx, p); err != nil {
		return d.held.Gone(err)
	}
	for {
		jobs := d.jobs.Jobs()
		if len(d.open) >= mostOpen {
			jobs = nil
		}
		select {
		case c, ok := <-p.Received():
			if !ok {
				return d.held.Gone(p.Err())
			}
			if d.hear(c) {
				err = d.begin(ctx, p)
			}
		case j := <-jobs:
			err = d.send(p, j)
		case <-tick.C:
			err = d.keep(ctx, p)
		case <-ctx.Done():
			return ctx.Err()
		}
		if err != nil {
			return d.held.Gone(err)
		}
	}
}

// begin wakes the node and asks for its settings, which opens the exchange: before
// them the node gives no packets.
func (d *Device) begin(ctx context.Context, p drivers.Port) error {
	d.mu.Lock()
	d.ready = false
	d.mu.Unlock()
	if _, err := p.Write(wake); err != nil {
		return err
	}
	if !pause(ctx, wakeWait) {
		return nil
	}
	d.nonce++
	// Never 0, never the last one's, and below the firmware's special ones (69420 and
	// 69421, which ask for a part).
	d.wanted = d.nonce&0x7F<<8 | 1 + d.o.Random()&0x7F
	d.asked, d.beat, d.heard = d.o.Now(), d.o.Now(), d.o.Now()
	_, err := p.Write(frame(wantConfig(d.wanted)))
	return err
}

// keep asks again, keeps awake and gives up.
func (d *Device) keep(ctx context.Context, p drivers.Port) error {
	now := d.o.Now()
	if d.read.stale(now) {
		d.frames(now)
	}
	for id, j := range d.open {
		if now.Sub(j.at) < d.o.AckWait {
			continue
		}
		delete(d.open, id)
		if j.queued {
			d.count(func(s *drivers.TerminalState) { s.Aired++ })
			j.Answer(drivers.Sent{At: j.at, Stage: drivers.StageQueued, Ref: name(id)}, nil)
			continue
		}
		d.count(func(s *drivers.TerminalState) { s.Unknown++ })
		j.Fail(&drivers.Fault{Kind: drivers.FaultTimeout, Detail: "the node said nothing of it"})
	}
	switch {
	case d.wanted != 0 && now.Sub(d.asked) >= configIn, now.Sub(d.heard) >= 3*d.o.Heartbeat:
		return d.begin(ctx, p)
	case d.wanted == 0 && now.Sub(d.beat) >= d.o.Heartbeat:
		d.beat = now
		d.nonce++ // the node drops a write that is the same as the last
		_, err := p.Write(frame(heartbeat(d.nonce)))
		return err
	}
	return nil
}

// hear takes what came; again tells that the node began anew.
func (d *Device) hear(c drivers.Chunk) (again bool) {
	for b := c.B; len(b) > 0; {
		n := min(len(b), longestFrame)
		d.read.add(b[:n], c.At)
		b = b[n:]
		again = d.frames(c.At) || again
	}
	return again
}

func (d *Device) frames(at time.Time) (again bool) {
	for {
		f := d.read.next()
		if f == nil {
			return again
		}
		m, known, err := readFromRadio(f)
		if err != nil {
			d.count(func(s *drivers.TerminalState) { s.Garbled++; s.Last = "a frame that is none: " + err.Error() })
			d.read.skip()
			continue
		}
		d.read.keep(len(f))
		d.heard = at
		if known {
			again = d.said(&m, at) || again
		}
	}
}

// said takes one FromRadio.
func (d *Device) said(m *fromRadio, at time.Time) (again bool) {
	d.mu.Lock()
	d.st.Heard = at
	if m.me != 0 {
		d.me, d.st.ID = m.me, name(m.me)
	}
	if m.lora != nil {
		d.lora = m.lora
	}
	if m.firmware != "" {
		d.firmware = m.firmware
	}
	if m.complete != 0 && m.complete == d.wanted {
		d.wanted, d.ready, d.st.Up = 0, true, true
	}
	if q := m.queue; q != nil {
		d.st.Free = int(min(q.free, 1<<16))
		d.fullAt = at
	}
	d.mu.Unlock()
	if m.queue != nil && m.queue.id != 0 {
		d.queued(m.queue, at)
	}
	if m.packet != nil {
		d.came(m.packet, at)
	}
	if m.rebooted {
		d.forget("the node restarted", nil)
		return true
	}
	return false
}

// queued says what became of a packet at the node's own queue.
func (d *Device) queued(q *queueStatus, at time.Time) {
	j := d.open[q.id]
	if j == nil {
		return
	}
	if q.res != 0 {
		delete(d.open, q.id)
		d.fail(j, q.res, at, true)
		return
	}
	j.queued = true
	if d.o.NoAck {
		delete(d.open, q.id)
		d.count(func(s *drivers.TerminalState) { s.Aired++ })
		j.Answer(drivers.Sent{At: at, Stage: drivers.StageQueued, Ref: name(q.id)}, nil)
	}
}

// Reasons of mesh.proto (Routing.Error) that mean something here.
const (
	reasonTooLarge  = 7
	reasonDutyCycle = 9
	reasonRateLimit = 38
)

// local are the reasons by which the node itself says that it sent nothing:
// NO_INTERFACE, NO_CHANNEL, BAD_REQUEST, NOT_AUTHORIZED, PKI_FAILED,
// PKI_UNKNOWN_PUBKEY, and the key that is missing for sending.
var local = map[uint64]bool{4: true, 6: true, 32: true, 33: true, 34: true, 35: true, 39: true}

func (d *Device) fail(j *job, reason uint64, at time.Time, unsent bool) {
	f := &drivers.Fault{Kind: drivers.FaultTimeout, Code: int(min(reason, 1<<16)), Detail: fmt.Sprintf("the mesh says %d of it: it may have been heard", reason)}
	switch {
	case reason == reasonTooLarge:
		f.Kind, f.Detail = drivers.FaultTooLong, "the node says that it is too large"
	case reason == reasonDutyCycle, reason == reasonRateLimit:
		f.Kind, f.Until, f.Detail = drivers.FaultEarly, at.Add(dutyFor), "the duty cycle of the band is used up"
	case local[reason] || unsent:
		f.Kind, f.Detail = drivers.FaultRefused, fmt.Sprintf("the node refuses it with %d", reason)
	}
	d.mu.Lock()
	if f.Kind == drivers.FaultTimeout {
		d.st.Unknown++
	} else {
		d.st.Refused++
	}
	if f.Kind == drivers.FaultEarly {
		d.next = f.Until
	}
	d.st.Last = f.Error()
	d.mu.Unlock()
	j.Fail(f)
}

// came takes a packet of the mesh.
func (d *Device) came(p *packet, at time.Time) {
	if p.data == nil {
		d.count(func(s *drivers.TerminalState) { s.Strange++ })
		return
	}
	if p.data.port == portRouting {
		if j := d.open[p.data.request]; j != nil && p.data.routing {
			delete(d.open, p.data.request)
			if p.data.reason != 0 {
				d.fail(j, p.data.reason, at, false)
				return
			}
			d.count(func(s *drivers.TerminalState) { s.Aired++ })
			j.Answer(drivers.Sent{At: at, Stage: drivers.StageTaken, Ref: name(p.data.request)}, nil)
		}
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	m := drivers.Incoming{From: name(p.from), To: name(p.to), Broadcast: p.to == everybody, At: at, Bars: bars(p)}
	switch {
	case p.from == 0 || p.from == d.me || len(p.data.payload) == 0:
		d.st.Strange++
		return
	case p.data.port == portPrivate:
		m.Bytes = p.data.payload
	case (p.data.port == portText || p.data.port == portAlert) && utf8.Valid(p.data.payload):
		m.Text = string(p.data.payload)
	default:
		d.st.Strange++
		return
	}
	d.st.Received++
	d.st.Bars = m.Bars
	select {
	case d.in <- m:
	default:
		d.st.Dropped++
	}
}

// name writes a node's or packet's number as people see it.
func name(n uint32) string {
	if n == everybody {
		return "^all"
	}
	return fmt.Sprintf("!%08x", n)
}

// bars goes by the ratio of signal to noise, of which LoRa needs -7 dB (SF7) to -20
// (SF12).
func bars(p *packet) int {
	switch {
	case p.snr == 0 && p.rssi == 0:
		return -1
	case p.snr >= 5:
		return 4
	case p.snr >= 0:
		return 3
	case p.snr >= -7:
		return 2
	}
	return 1
}

var _ drivers.Terminal = (*Device)(nil)
