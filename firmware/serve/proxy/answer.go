package proxy

import (
	"context"
	"encoding/binary"
	"errors"

	"tocsin/drivers"
)

// answer gives the PDU that answers a request.
func (p *Proxy) answer(ctx context.Context, q request) []byte {
	fn := q.pdu[0]
	if q.unit < 1 || q.unit > 247 { // a broadcast would be confirmed by nobody
		return exception(fn, noPath)
	}
	switch fn {
	case 1, 2, 3, 4:
		return p.read(ctx, q)
	case 5, 6, 16:
		return p.write(ctx, q)
	}
	return exception(fn, illegalFunction)
}

var tables = [...]drivers.Table{0, drivers.Coil, drivers.Discrete, drivers.Holding, drivers.Input}

func (p *Proxy) read(ctx context.Context, q request) []byte {
	fn := q.pdu[0]
	if len(q.pdu) != 5 {
		return exception(fn, illegalValue)
	}
	k := key{q.unit, tables[fn], binary.BigEndian.Uint16(q.pdu[1:]), binary.BigEndian.Uint16(q.pdu[3:])}
	most := uint16(125)
	if k.table.Bits() {
		most = 2000
	}
	switch {
	case k.count < 1 || k.count > most:
		return exception(fn, illegalValue)
	case int(k.addr)+int(k.count) > 1<<16:
		return exception(fn, illegalAddress)
	}
	data, err := p.know.get(ctx, k, func(ctx context.Context) ([]byte, error) {
		// By a channel: the bus may still be at it when whoever waits has gone.
		heard := make(chan []byte, 1)
		err := p.ask(ctx, q.unit, func(ctx context.Context, bus drivers.Registers) error {
			a, err := bus.Read(ctx, k.unit, k.table, k.addr, k.count)
			if err == nil && a.Doubt {
				// It may answer another question: nobody gets it.
				return &drivers.Fault{Kind: drivers.FaultOwed}
			}
			if err == nil {
				heard <- a.Data
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		return <-heard, nil
	})
	if err != nil {
		return exception(fn, codeOf(err))
	}
	return append([]byte{fn, byte(len(data))}, data...)
}

func (p *Proxy) write(ctx context.Context, q request) []byte {
	fn := q.pdu[0]
	if !p.c.Write || p.c.Owned != nil && p.c.Owned(q.unit) {
		p.o.Log.Warn("proxy refused a write", "proxy", p.c.Name, "unit", q.unit, "function", fn)
		return exception(fn, illegalFunction)
	}
	if len(q.pdu) < 5 {
		return exception(fn, illegalValue)
	}
	addr, value := binary.BigEndian.Uint16(q.pdu[1:]), binary.BigEndian.Uint16(q.pdu[3:])
	var do func(context.Context, drivers.Registers) error
	switch {
	case fn == 16:
		n := int(value)
		if n < 1 || n > 123 || len(q.pdu) != 6+2*n || int(q.pdu[5]) != 2*n {
			return exception(fn, illegalValue)
		}
		if int(addr)+n > 1<<16 {
			return exception(fn, illegalAddress)
		}
		var vs []uint16
		for i := range n {
			vs = append(vs, binary.BigEndian.Uint16(q.pdu[6+2*i:]))
		}
		do = func(ctx context.Context, bus drivers.Registers) error {
			return bus.WriteRegisters(ctx, q.unit, addr, vs)
		}
	case len(q.pdu) != 5 || fn == 5 && value != 0 && value != 0xFF00:
		return exception(fn, illegalValue)
	default:
		t := drivers.Coil
		if fn == 6 {
			t = drivers.Holding
		}
		do = func(ctx context.Context, bus drivers.Registers) error {
			return bus.WriteSingle(ctx, q.unit, t, addr, value)
		}
	}
	err := p.know.turn(ctx)
	if err == nil {
		err = p.ask(ctx, q.unit, do)
	}
	p.know.forget(q.unit)
	if err != nil {
		return exception(fn, codeOf(err))
	}
	return q.pdu[:5:5]
}

// ask hands one request to the line's owner.
func (p *Proxy) ask(ctx context.Context, unit uint8, do func(context.Context, drivers.Registers) error) error {
	l := p.o.Line()
	if l == nil {
		return &drivers.Fault{Kind: drivers.FaultGone}
	}
	ctx, cancel := context.WithTimeout(ctx, askMost)
	defer cancel()
	return l.Guest(ctx, unit, do)
}

// codeOf gives the exception that stands for an error: the unit's own; no path
// where the line is gone or lent; busy where no turn came; else no answer.
func codeOf(err error) byte {
	var f *drivers.Fault
	switch {
	case errors.Is(err, errBusy), errors.Is(err, context.DeadlineExceeded):
		return busy
	case !errors.As(err, &f):
		return noAnswer
	case f.Kind == drivers.FaultRefused && f.Code > 0 && f.Code < 256:
		return byte(f.Code)
	case f.Kind == drivers.FaultGone:
		return noPath
	case f.Kind == drivers.FaultCancelled, f.Kind == drivers.FaultOwed:
		return busy
	}
	return noAnswer
}
