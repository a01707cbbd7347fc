package meshtastic

import (
	"context"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"tocsin/drivers"
)

// Send is drivers.Terminal. It waits for the mesh's acknowledgement as long as
// Opts.AckWait and ctx allow; a message that the node took and nobody acknowledged
// is StageQueued.
func (d *Device) Send(ctx context.Context, m drivers.Outgoing) (drivers.Sent, error) {
	return d.jobs.Give(ctx, func(r drivers.Reply[drivers.Sent]) (*job, error) {
		j, err := d.prepare(m, r)
		if err != nil {
			d.count(func(s *drivers.TerminalState) { s.Refused++ })
		}
		return j, err
	})
}

func (d *Device) prepare(m drivers.Outgoing, r drivers.Reply[drivers.Sent]) (*job, error) {
	j := &job{Reply: r, text: m.Text != "", p: outgoing{channel: uint32(d.o.Channel), hops: uint32(d.o.Hops), ack: !d.o.NoAck, port: portPrivate, payload: m.Bytes}}
	if j.text {
		j.p.port, j.p.payload = portAlert, []byte(m.Text)
	}
	if len(j.p.payload) == 0 || j.text && (len(m.Bytes) > 0 || !utf8.ValidString(m.Text)) {
		return nil, &drivers.Fault{Kind: drivers.FaultRefused, Detail: "a message is bytes or text, and not none"}
	}
	if err := d.may(len(j.p.payload), d.o.Now()); err != nil {
		return nil, err
	}
	var err error
	if j.p.to, err = node(m.To, m.Broadcast); err != nil {
		return nil, &drivers.Fault{Kind: drivers.FaultRefused, Detail: "addressee", Err: err}
	}
	return j, nil
}

// node reads !a1b2c3d4; nobody and broadcast is everybody.
func node(s string, broadcast bool) (uint32, error) {
	if broadcast && (s == "" || s == "^all") {
		return everybody, nil
	}
	if len(s) != 9 || s[0] != '!' {
		return 0, fmt.Errorf("%.20q is no node such as !a1b2c3d4", s)
	}
	n, err := strconv.ParseUint(s[1:], 16, 32)
	if err != nil || n == 0 || n == everybody {
		return 0, fmt.Errorf("%.20q is no node such as !a1b2c3d4", s)
	}
	return uint32(n), nil
}

// may tells why n bytes cannot be sent now.
func (d *Device) may(n int, now time.Time) error {
	l, s := d.Limits(), d.State()
	switch {
	case l.Bar == drivers.BarStarting && !s.Up:
		return &drivers.Fault{Kind: drivers.FaultGone, Detail: "the node is not open or says nothing"}
	case !l.Transmit:
		return &drivers.Fault{Kind: drivers.FaultBarred, Detail: string(l.Bar)}
	case n > l.Bytes:
		return &drivers.Fault{Kind: drivers.FaultTooLong, Detail: fmt.Sprintf("%d bytes, and %d are allowed", n, l.Bytes)}
	case now.Before(l.Next):
		return &drivers.Fault{Kind: drivers.FaultEarly, Until: l.Next, Detail: "the node's queue is full, or its duty cycle used up"}
	}
	return nil
}

// send writes a packet.
func (d *Device) send(p drivers.Port, j *job) error {
	now := d.o.Now()
	if err := d.may(len(j.p.payload), now); err != nil { // others went before it
		d.count(func(s *drivers.TerminalState) { s.Refused++ })
		j.Fail(err)
		return nil
	}
	for j.p.id == 0 || d.open[j.p.id] != nil {
		j.p.id = d.o.Random()
	}
	j.at = now
	d.open[j.p.id] = j
	d.mu.Lock()
	if d.st.Free > 0 {
		d.st.Free--
		d.fullAt = now
	}
	d.mu.Unlock()
	_, err := p.Write(frame(j.p.toRadio()))
	return err
}

// Limits is drivers.Terminal.
func (d *Device) Limits() drivers.TerminalLimits {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := drivers.TerminalLimits{Next: d.next}
	known := false
	if d.lora != nil {
		var m modem
		if m, known = d.lora.modem(); known || d.o.Airtime == 0 {
			l.Bytes = room(m, d.firmware, d.o.Airtime)
			l.Text = l.Bytes / 3
		}
	}
	// The node dropped silently what was on top of its queue before it said how
	// full it is. After a while it is asked by trying.
	if full := d.fullAt.Add(fullFor); d.st.Free == 0 && full.After(l.Next) {
		l.Next = full
	}
	switch {
	case !d.o.Transmit:
		l.Bar = drivers.BarReceiveOnly
	case !d.ready || d.lora == nil:
		l.Bar = drivers.BarStarting
	case !d.licensed() || l.Bytes == 0:
		l.Bar = drivers.BarSettings
	default:
		l.Transmit = true
	}
	return l
}

// licensed tells whether the node is set to what was licensed. A power of 0 is the
// firmware's own maximum, which nobody licensed; a frequency of its own leaves the
// band.
func (d *Device) licensed() bool {
	l := d.lora
	return l.enabled && l.region == regions[d.o.Region] && l.power > 0 && l.power <= int64(d.o.Power) && l.frequency == 0 && !l.overrideDuty
}

// Received is drivers.Terminal.
func (d *Device) Received() <-chan drivers.Incoming { return d.in }

// State is drivers.Terminal.
func (d *Device) State() drivers.TerminalState {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.st
}

// String names it.
func (d *Device) String() string { return d.held.Name("meshtastic") }
