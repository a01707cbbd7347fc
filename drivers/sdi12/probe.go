package sdi12

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tocsin/drivers"
)

// Probe is one probe of a bus: a drivers.Values whose channels are
// "<command>.<place>", the place counted from 1: "M.1", "MC1.2", "R0.1".
type Probe struct {
	bus      *Bus
	address  byte
	commands []command
}

// Probe gives a probe by its address and the commands that measure what is wanted
// of it, in order.
func (b *Bus) Probe(address byte, commands ...string) (*Probe, error) {
	if !Address(address) {
		return nil, fmt.Errorf("%q is no SDI-12 address: 0 to 9, a to z, A to Z", address)
	}
	p := &Probe{bus: b, address: address}
	for _, s := range commands {
		c, err := parseCommand(s)
		if err != nil {
			return nil, err
		}
		p.commands = append(p.commands, c)
	}
	if len(p.commands) == 0 {
		return nil, errors.New("no command")
	}
	return p, nil
}

// Measure is drivers.Values. Where some commands fail it gives the samples of the
// others with the first error.
func (p *Probe) Measure(ctx context.Context) ([]drivers.Sample, error) {
	var out []drivers.Sample
	var first error
	for i, c := range p.commands {
		s, err := p.measure(ctx, c)
		out = append(out, s...)
		if err == nil {
			continue
		}
		if first == nil {
			first = err
		}
		k := drivers.KindOf(err)
		if k == drivers.FaultGone || k == drivers.FaultCancelled {
			return nil, err
		}
		if k == drivers.FaultTimeout && i == 0 {
			return nil, err // nobody there: not to be asked for the rest
		}
	}
	return out, first
}

func (p *Probe) measure(ctx context.Context, c command) ([]drivers.Sample, error) {
	if c.letter == 'R' {
		vs, err := p.values(ctx, c.word, c.crc, false)
		if err == nil && len(vs) == 0 {
			err = &drivers.Fault{Kind: drivers.FaultGarbled, Detail: c.word + " gave no value"}
		}
		return samples(c, vs), err
	}
	var a announced
	_, err := p.bus.ask(ctx, p.address, c.word, func(line string) (err error) {
		a, err = parseStart(line, c.concurrent)
		return err
	})
	if err != nil {
		return nil, err
	}
	if a.values == 0 {
		return nil, &drivers.Fault{Kind: drivers.FaultOther, Detail: fmt.Sprintf("%c%s announced no value", p.address, c.word)}
	}
	if end, ok := ctx.Deadline(); ok && time.Until(end) < a.ready {
		return nil, &drivers.Fault{Kind: drivers.FaultOther, Detail: fmt.Sprintf("%c%s takes up to %v, which the line's timeout does not allow", p.address, c.word, a.ready)}
	}
	if err := p.wait(ctx, c, a.ready); err != nil {
		return nil, err
	}
	var vs []float64
	for d := 0; d <= 9 && len(vs) < a.values; d++ {
		more, err := p.values(ctx, fmt.Sprintf("D%d", d), c.crc, d == 0)
		if err != nil {
			return nil, err
		}
		if len(more) == 0 {
			// Section 4.4.8: the measurement was aborted, or is not ready.
			return nil, &drivers.Fault{Kind: drivers.FaultGarbled, Detail: fmt.Sprintf("%c%s announced %d values, %d came", p.address, c.word, a.values, len(vs))}
		}
		vs = append(vs, more...)
	}
	if len(vs) != a.values {
		return nil, &drivers.Fault{Kind: drivers.FaultGarbled, Detail: fmt.Sprintf("%c%s announced %d values, %d came", p.address, c.word, a.values, len(vs))}
	}
	return samples(c, vs), nil
}

// wait lets a measurement finish: after M until the service request, or the time
// that was named; after C that time.
func (p *Probe) wait(ctx context.Context, c command, ready time.Duration) error {
	if ready == 0 {
		return nil
	}
	if c.concurrent {
		return p.bus.pause(ctx, ready)
	}
	line, err := p.bus.line(ctx, ready+p.bus.o.Answer)
	switch k := drivers.KindOf(err); {
	case err == nil && line == string(p.address), k == drivers.FaultTimeout && err != nil:
		// A probe whose request was lost has its values all the same.
		return nil
	case err == nil:
		return &drivers.Fault{Kind: drivers.FaultForeign, Detail: fmt.Sprintf("waiting for %c, heard %.40q", p.address, line)}
	case k == drivers.FaultGarbled:
		// Noise while it measures: the rest of the time is waited out.
		return p.bus.pause(ctx, ready)
	}
	return err
}

// values asks for data and cuts it. early: a service request may still come first.
func (p *Probe) values(ctx context.Context, word string, crc, early bool) (vs []float64, err error) {
	served := false
	_, err = p.bus.ask(ctx, p.address, word, func(line string) error {
		if early && !served && line == string(p.address) {
			served = true
			return errService
		}
		if crc {
			body, err := checked(line)
			if err != nil {
				return err
			}
			line = body
		}
		var err error
		vs, err = Values(line[1:])
		return err
	})
	return vs, err
}

func samples(c command, vs []float64) []drivers.Sample {
	out := make([]drivers.Sample, len(vs))
	now := time.Now()
	for i, v := range vs {
		out[i] = drivers.Sample{Channel: fmt.Sprintf("%s.%d", c.word, i+1), Value: v, At: now}
	}
	return out
}

// Close is drivers.Values; the bus stays.
func (p *Probe) Close() error { return nil }

// String names it.
func (p *Probe) String() string { return fmt.Sprintf("probe %c of %s", p.address, p.bus) }

var _ drivers.Values = (*Probe)(nil)
