package modbus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	goburrow "github.com/goburrow/modbus"

	"tocsin/drivers"
)

// DefaultTimeout is how long a unit may take until its answer begins.
const DefaultTimeout = 500 * time.Millisecond

// exchange is one request and what it took.
type exchange struct {
	ctx context.Context
	// Filled by the transport where the answer is good.
	at    time.Time
	doubt bool
}

// transport moves one frame at a time and is told the request's context by the
// exchange.
type transport interface {
	send(x *exchange, adu []byte) ([]byte, error)
	cost(request, answer int) time.Duration
	owed(unit uint8) (time.Time, bool)
	listen(ctx context.Context, until time.Time) error
	packager(unit uint8) goburrow.Packager
	close() error
	String() string
}

// Line is a Modbus line: a drivers.Registers. Use NewRTU or NewTCP. One
// goroutine at a time asks; Close may be called from any.
type Line struct {
	t     transport
	units map[uint8]goburrow.Client
	packs map[uint8]goburrow.Packager

	seen *watch
	turn chan struct{} // holds a token while somebody asks
	x    *exchange     // of whoever has the turn
	done chan struct{}
	once sync.Once
}

func newLine(t transport, seen *watch, done chan struct{}) *Line {
	return &Line{t: t, seen: seen, units: map[uint8]goburrow.Client{}, packs: map[uint8]goburrow.Packager{}, turn: make(chan struct{}, 1), done: done}
}

// Send lets goburrow's Client use the line; it is called by it alone.
func (l *Line) Send(adu []byte) ([]byte, error) { return l.t.send(l.x, adu) }

// begin takes the turn.
func (l *Line) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return &drivers.Fault{Kind: drivers.FaultCancelled, Detail: "before asking", Err: err}
	}
	select {
	case <-l.done:
		return closed(l.t.String())
	default:
	}
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &drivers.Fault{Kind: drivers.FaultCancelled, Detail: "before asking", Err: ctx.Err()}
	case <-l.done:
		return closed(l.t.String())
	}
}

func closed(what string) error {
	return &drivers.Fault{Kind: drivers.FaultGone, Detail: what, Err: os.ErrClosed}
}

// client gives the unit's client: one packager a unit, one transport a line.
func (l *Line) client(unit uint8) (goburrow.Client, goburrow.Packager) {
	c, ok := l.units[unit]
	if !ok {
		p := l.t.packager(unit)
		c = goburrow.NewClient2(p, l)
		l.units[unit], l.packs[unit] = c, p
	}
	return c, l.packs[unit]
}

// Read is drivers.Registers.
func (l *Line) Read(ctx context.Context, unit uint8, t drivers.Table, addr, count uint16) (drivers.Answer, error) {
	limit := uint16(125)
	if t.Bits() {
		limit = 2000
	}
	switch {
	case t < drivers.Coil || t > drivers.Input:
		return drivers.Answer{}, misused("no such table: %d", t)
	case count < 1 || count > limit:
		return drivers.Answer{}, misused("a read of %d from a %s table: 1 to %d are possible", count, t, limit)
	case int(addr)+int(count) > 1<<16:
		return drivers.Answer{}, misused("a read of %d from %d ends beyond 65535", count, addr)
	}
	var a drivers.Answer
	err := l.ask(ctx, unit, func(c goburrow.Client, _ goburrow.Packager) (err error) {
		switch t {
		case drivers.Coil:
			a.Data, err = c.ReadCoils(addr, count)
		case drivers.Discrete:
			a.Data, err = c.ReadDiscreteInputs(addr, count)
		case drivers.Holding:
			a.Data, err = c.ReadHoldingRegisters(addr, count)
		default:
			a.Data, err = c.ReadInputRegisters(addr, count)
		}
		a.At, a.Doubt = l.x.at, l.x.doubt
		return err
	})
	if err != nil {
		return drivers.Answer{}, err
	}
	return a, nil
}

// WriteCoil is drivers.Registers.
func (l *Line) WriteCoil(ctx context.Context, unit uint8, addr uint16, on bool) error {
	v := uint16(0)
	if on {
		v = 0xff00
	}
	return l.WriteSingle(ctx, unit, drivers.Coil, addr, v)
}

// WriteSingle is drivers.Registers.
func (l *Line) WriteSingle(ctx context.Context, unit uint8, t drivers.Table, addr, value uint16) error {
	fn := byte(writeCoil)
	switch t {
	case drivers.Coil:
	case drivers.Holding:
		fn = writeRegister
	default:
		return misused("a %s table cannot be written", t)
	}
	return l.ask(ctx, unit, func(c goburrow.Client, p goburrow.Packager) error {
		if fn == writeRegister {
			_, err := c.WriteSingleRegister(addr, value)
			return err
		}
		// goburrow's WriteSingleCoil takes 0x0000 and 0xFF00 only; relay
		// boards read a time from the value.
		data := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, addr), value)
		_, err := l.raw(p, fn, data)
		return err
	})
}

// WriteRegisters is drivers.Registers.
func (l *Line) WriteRegisters(ctx context.Context, unit uint8, addr uint16, values []uint16) error {
	if n := len(values); n < 1 || n > 123 || int(addr)+n > 1<<16 {
		return misused("a write of %d registers from %d: 1 to 123, ending at 65535 at most, are possible", n, addr)
	}
	b := make([]byte, 0, 2*len(values))
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return l.ask(ctx, unit, func(c goburrow.Client, _ goburrow.Packager) error {
		_, err := c.WriteMultipleRegisters(addr, uint16(len(values)), b)
		return err
	})
}

// raw sends a request that goburrow's Client would not make. The transport has
// compared the answer with the request already.
func (l *Line) raw(p goburrow.Packager, fn byte, data []byte) ([]byte, error) {
	adu, err := p.Encode(&goburrow.ProtocolDataUnit{FunctionCode: fn, Data: data})
	if err != nil {
		return nil, err
	}
	res, err := l.Send(adu)
	if err != nil {
		return nil, err
	}
	if err := p.Verify(adu, res); err != nil {
		return nil, err
	}
	pdu, err := p.Decode(res)
	if err != nil {
		return nil, err
	}
	if pdu.FunctionCode != fn {
		e := &goburrow.ModbusError{FunctionCode: pdu.FunctionCode}
		if len(pdu.Data) > 0 {
			e.ExceptionCode = pdu.Data[0]
		}
		return nil, e
	}
	return pdu.Data, nil
}

// ask takes the turn, runs one request and gives its error as a *drivers.Fault.
func (l *Line) ask(ctx context.Context, unit uint8, do func(goburrow.Client, goburrow.Packager) error) error {
	if err := l.begin(ctx); err != nil {
		return err
	}
	defer func() { <-l.turn }()
	l.x = &exchange{ctx: ctx}
	c, p := l.client(unit)
	err := do(c, p)
	if err == nil {
		return nil
	}
	var f *drivers.Fault
	if errors.As(err, &f) {
		return f
	}
	var e *goburrow.ModbusError
	if errors.As(err, &e) {
		return &drivers.Fault{Kind: drivers.FaultRefused, Code: int(e.ExceptionCode), Detail: fmt.Sprintf("unit %d, function %d", unit, e.FunctionCode&^exceptionBit), Err: e}
	}
	return &drivers.Fault{Kind: drivers.FaultGarbled, Detail: fmt.Sprintf("unit %d", unit), Err: err}
}

func misused(format string, args ...any) error {
	return &drivers.Fault{Kind: drivers.FaultOther, Err: fmt.Errorf(format, args...)}
}

// Owed tells until when a unit owes an answer that holds some of its reads
// back. Always false on TCP, whose answers name their request.
func (l *Line) Owed(unit uint8) (until time.Time, ok bool) {
	if l.begin(context.Background()) != nil {
		return time.Time{}, false
	}
	defer func() { <-l.turn }()
	return l.t.owed(unit)
}

// Listen lets the line idle until then, hearing late answers. It returns early,
// with nil, as soon as one paid its debt or nothing is owed any more.
func (l *Line) Listen(ctx context.Context, until time.Time) error {
	if err := l.begin(ctx); err != nil {
		return err
	}
	defer func() { <-l.turn }()
	return l.t.listen(ctx, until)
}

// Cost is drivers.Registers.
func (l *Line) Cost(t drivers.Table, count uint16) time.Duration {
	n := 2 * int(count)
	if t.Bits() {
		n = (int(count) + 7) / 8
	}
	return l.t.cost(8, 5+n)
}

// Close ends the line; a call that waits returns with FaultGone.
func (l *Line) Close() error {
	var err error
	l.once.Do(func() {
		close(l.done)
		err = l.t.close()
	})
	return err
}

// String names the line.
func (l *Line) String() string { return l.t.String() }

var (
	_ drivers.Registers    = (*Line)(nil)
	_ drivers.Watched      = (*Line)(nil)
	_ goburrow.Transporter = (*Line)(nil)
)
