package modbus

import (
	"context"

	goburrow "github.com/goburrow/modbus"

	"tocsin/drivers"
)

// ServerID is drivers.Identified: function 17.
func (l *Line) ServerID(ctx context.Context, unit uint8) (drivers.Answer, error) {
	a, err := l.who(ctx, unit, reportServer, nil)
	if err == nil {
		a.Data = a.Data[1:] // its byte count, which the frame's length was held against
	}
	return a, err
}

// Identification is drivers.Identified: function 43 with MEI type 14.
func (l *Line) Identification(ctx context.Context, unit uint8, code, object byte) (drivers.Answer, error) {
	a, err := l.who(ctx, unit, encapsulated, []byte{meiDevice, code, object})
	if err == nil {
		a.Data = a.Data[2:] // MEI type and code, which the shape compares
	}
	return a, err
}

func (l *Line) who(ctx context.Context, unit uint8, fn byte, data []byte) (drivers.Answer, error) {
	var a drivers.Answer
	err := l.ask(ctx, unit, func(_ goburrow.Client, p goburrow.Packager) (err error) {
		a.Data, err = l.raw(p, fn, data)
		a.At, a.Doubt = l.x.at, l.x.doubt
		return err
	})
	if err != nil {
		return drivers.Answer{}, err
	}
	return a, nil
}

var _ drivers.Identified = (*Line)(nil)
