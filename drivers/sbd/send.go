package sbd

import (
	"context"
	"fmt"
	"time"

	"tocsin/drivers"
)

// Send is drivers.Terminal. All messages go to the gateway, which knows where they
// are sent on to: To is "gateway".
func (d *Device) Send(ctx context.Context, m drivers.Outgoing) (drivers.Sent, error) {
	return d.jobs.Give(ctx, func(r drivers.Reply[drivers.Sent]) (*job, error) {
		err := d.may(len(m.Bytes), d.o.Now())
		if len(m.Bytes) == 0 || m.Text != "" || m.To != "gateway" || m.Broadcast {
			err = &drivers.Fault{Kind: drivers.FaultRefused, Detail: "only bytes can be sent, and only to the gateway"}
		}
		if err != nil {
			d.count(func(s *drivers.TerminalState) { s.Refused++ })
		}
		return &job{Reply: r, ctx: ctx, b: m.Bytes}, err
	})
}

func (d *Device) may(n int, now time.Time) error {
	l, s := d.Limits(), d.State()
	switch {
	case l.Bar == drivers.BarStarting && !s.Up:
		return &drivers.Fault{Kind: drivers.FaultGone, Detail: "the modem is not open or says nothing"}
	case !l.Transmit:
		return &drivers.Fault{Kind: drivers.FaultBarred, Detail: string(l.Bar)}
	case n > l.Bytes:
		return &drivers.Fault{Kind: drivers.FaultTooLong, Detail: fmt.Sprintf("%d bytes, and %d are allowed", n, l.Bytes)}
	case now.Before(l.Next):
		return &drivers.Fault{Kind: drivers.FaultEarly, Until: l.Next, Detail: "the network asked to wait"}
	}
	return nil
}

// Limits is drivers.Terminal.
func (d *Device) Limits() drivers.TerminalLimits {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := drivers.TerminalLimits{Bytes: mostOut, Next: d.next}
	switch {
	case !d.o.Transmit:
		l.Bar = drivers.BarReceiveOnly
	case !d.ready:
		l.Bar = drivers.BarStarting
	case d.st.ID != d.o.IMEI:
		l.Bar = drivers.BarOtherCard
	case d.stop != drivers.BarNone:
		l.Bar = d.stop
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
func (d *Device) String() string { return d.held.Name("sbd") }
