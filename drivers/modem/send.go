package modem

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"tocsin/drivers"
)

// Send is drivers.Terminal. To is a telephone number, with + before a country's
// code. StageTaken means that the network's message centre has all of it.
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
	if (len(m.Bytes) == 0) == (m.Text == "") || !utf8.ValidString(m.Text) || m.Broadcast || !phone.MatchString(m.To) {
		return nil, &drivers.Fault{Kind: drivers.FaultRefused, Detail: fmt.Sprintf("a message is bytes or text, to a telephone number and not %.24q", m.To)}
	}
	if err := d.may(); err != nil {
		return nil, err
	}
	j := &job{Reply: r, to: m.To, b: []byte(m.Text)}
	l := d.Limits()
	switch {
	case len(m.Bytes) > l.Bytes:
		return nil, &drivers.Fault{Kind: drivers.FaultTooLong, Detail: fmt.Sprintf("%d bytes, and %d are allowed", len(m.Bytes), l.Bytes)}
	case len(m.Bytes) > 0 && d.o.Data:
		j.b, j.data = m.Bytes, true
	case len(m.Bytes) > 0:
		j.b = []byte(base64.StdEncoding.EncodeToString(m.Bytes))
	default:
		if ps, _, err := parts(m.To, j.b, false, new(counter)); err != nil || len(ps) > d.o.Parts {
			return nil, &drivers.Fault{Kind: drivers.FaultTooLong, Detail: fmt.Sprintf("%d characters are more than %d parts", utf8.RuneCountInString(m.Text), d.o.Parts), Err: err}
		}
	}
	return j, nil
}

// may tells why nothing can be sent now.
func (d *Device) may() error {
	l, s := d.Limits(), d.State()
	switch {
	case l.Bar == drivers.BarStarting && !s.Up:
		return &drivers.Fault{Kind: drivers.FaultGone, Detail: "the modem is not open or says nothing"}
	case !l.Transmit:
		return &drivers.Fault{Kind: drivers.FaultBarred, Detail: string(l.Bar)}
	}
	return nil
}

// send gives the parts of a message to the modem, one after the other.
func (d *Device) send(ctx context.Context, j *job, ref *counter) error {
	ps, lengths, err := parts(j.to, j.b, j.data, ref)
	if err == nil {
		err = d.may() // others went before it
	}
	if err != nil {
		d.count(func(s *drivers.TerminalState) { s.Refused++ })
		j.Fail(err)
		return nil
	}
	number := ""
	for i := range ps {
		number, err = d.part(ctx, ps[i], lengths[i])
		if err == nil {
			continue
		}
		fault := &drivers.Fault{Kind: drivers.KindOf(err), Detail: fmt.Sprintf("part %d of %d", i+1, len(ps)), Err: err}
		if f, ok := err.(*drivers.Fault); ok {
			fault.Code = f.Code
		}
		if fault.Kind != drivers.FaultRefused || i > 0 {
			fault.Kind = drivers.FaultTimeout
			fault.Detail += ": it may have gone out, or in part"
			d.count(func(s *drivers.TerminalState) { s.Unknown++; s.Last = fault.Error() })
		} else {
			d.count(func(s *drivers.TerminalState) { s.Refused++; s.Last = fault.Error() })
		}
		j.Fail(fault)
		if lost(err) {
			return err
		}
		return nil
	}
	d.count(func(s *drivers.TerminalState) { s.Aired++ })
	j.Answer(drivers.Sent{At: d.o.Now(), Stage: drivers.StageTaken, Ref: number}, nil)
	return nil
}

// part sends one, and gives the network's number of it.
func (d *Device) part(ctx context.Context, pdu string, length int) (string, error) {
	if err := d.at.Prompt(ctx, fmt.Sprintf("AT+CMGS=%d", length), "> ", askWait); err != nil {
		return "", err
	}
	lines, err := d.at.Tell(ctx, []byte(pdu+"\x1a"), sendWait)
	if err != nil {
		return "", err
	}
	for _, l := range lines {
		if s, ok := strings.CutPrefix(l, "+CMGS:"); ok {
			return strings.TrimSpace(s), nil
		}
	}
	return "", &drivers.Fault{Kind: drivers.FaultGarbled, Detail: fmt.Sprintf("no number in %.40q", lines)}
}

// Limits is drivers.Terminal.
func (d *Device) Limits() drivers.TerminalLimits {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := drivers.TerminalLimits{Bytes: mostBase64, Text: alone}
	if d.o.Data {
		l.Bytes = mostData
	}
	if d.o.Parts > 1 {
		l.Text = d.o.Parts * perPart
	}
	switch {
	case !d.o.Transmit:
		l.Bar = drivers.BarReceiveOnly
	case !d.ready:
		l.Bar = drivers.BarStarting
	case !d.present:
		l.Bar = drivers.BarNoCard
	case d.o.Card != "" && d.st.ID != d.o.Card:
		l.Bar = drivers.BarOtherCard
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
func (d *Device) String() string { return d.held.Name("modem") }
