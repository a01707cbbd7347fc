package beidou

import (
	"context"
	"fmt"
	"time"

	"tocsin/drivers"
)

// Send is drivers.Terminal. A message for people (Text) cannot be sent: Chinese
// text goes in a code of its own, for which the box has no table.
func (d *Device) Send(ctx context.Context, m drivers.Outgoing) (drivers.Sent, error) {
	return d.jobs.Give(ctx, func(r drivers.Reply[drivers.Sent]) (*job, error) {
		j, err := d.prepare(m, r)
		if err != nil {
			d.refused()
		}
		return j, err
	})
}

func (d *Device) refused() {
	d.mu.Lock()
	d.st.Refused++
	d.mu.Unlock()
}

func (d *Device) prepare(m drivers.Outgoing, r drivers.Reply[drivers.Sent]) (*job, error) {
	if len(m.Bytes) == 0 || m.Text != "" {
		return nil, &drivers.Fault{Kind: drivers.FaultRefused, Detail: "only bytes can be sent, and not none"}
	}
	if err := d.may(len(m.Bytes), d.o.Now()); err != nil {
		return nil, err
	}
	to := m.To
	if m.Broadcast && to == "" {
		d.mu.Lock()
		to = d.card.broadcast
		d.mu.Unlock()
		if to == "" {
			return nil, &drivers.Fault{Kind: drivers.FaultRefused, Detail: "the card has no broadcast number"}
		}
	}
	to, err := number(to)
	if err != nil || to == "0" {
		return nil, &drivers.Fault{Kind: drivers.FaultRefused, Detail: fmt.Sprintf("addressee %.20q", m.To), Err: err}
	}
	return &job{Reply: r, body: d.o.Profile.compose(d.o.Variant, to, d.o.Coding, m.Bytes), n: len(m.Bytes)}, nil
}

// may tells why n bytes cannot be sent now.
func (d *Device) may(n int, now time.Time) error {
	l := d.Limits()
	switch {
	case l.Bar == drivers.BarStarting && !d.State().Up:
		return &drivers.Fault{Kind: drivers.FaultGone, Detail: "the terminal is not open or says nothing"}
	case !l.Transmit:
		return &drivers.Fault{Kind: drivers.FaultBarred, Detail: string(l.Bar)}
	case n > l.Bytes:
		return &drivers.Fault{Kind: drivers.FaultTooLong, Detail: fmt.Sprintf("%d bytes, and the card's level allows %d", n, l.Bytes)}
	case now.Before(l.Next):
		return &drivers.Fault{Kind: drivers.FaultEarly, Until: l.Next, Detail: "the card's frequency"}
	}
	return nil
}

// Limits is drivers.Terminal.
func (d *Device) Limits() drivers.TerminalLimits {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := drivers.TerminalLimits{Every: d.card.frequency, Next: d.next, Bytes: d.o.Profile.room(d.card.bits, d.o.Coding)}
	switch {
	case !d.o.Transmit:
		l.Bar = drivers.BarReceiveOnly
	case !d.known:
		l.Bar = drivers.BarStarting
	case !d.present:
		l.Bar = drivers.BarNoCard
	case d.card.number != d.own:
		l.Bar = drivers.BarOtherCard
	case l.Bytes == 0:
		l.Bar = drivers.BarLevel
	case d.silenced && d.o.Now().Before(d.next):
		l.Bar = drivers.BarSilenced
	case d.st.Bars == 0:
		l.Bar = drivers.BarNoSignal
	default:
		l.Transmit = true
	}
	return l
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
func (d *Device) String() string { return d.held.Name("beidou") }
