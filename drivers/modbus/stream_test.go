package modbus_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"testing/synctest"

	"tocsin/drivers"
	"tocsin/drivers/drivertest"
	"tocsin/drivers/modbus"
)

// start is the drivers.Starter of these tests.
func start(_ string, run func()) { go run() }

func onStream(p *drivertest.TCP, o modbus.RTUOpts) *modbus.Line {
	so := modbus.StreamOpts{Start: start}
	if p.Addr == "cable" {
		so.Dial = p.Dial
	}
	return modbus.NewRTU(func() (drivers.Port, error) { return modbus.DialStream(context.Background(), p.Addr, so) }, o)
}

func TestRTUOverTCPConforms(t *testing.T) {
	t.Run("in virtual time", func(t *testing.T) {
		var p *drivertest.TCP
		drivertest.Registers(t, drivertest.Rig{
			RTU: true, Timeout: patience,
			Open: func(t *testing.T, s *drivertest.Slave) drivers.Registers {
				p = drivertest.CableStream(t, s)
				return onStream(p, modbus.RTUOpts{Baud: 9600, Timeout: patience})
			},
			Pull: func() { p.Kick() },
			Run:  func(t *testing.T, f func(*testing.T)) { synctest.Test(t, f) },
		})
	})
	t.Run("over the kernel", func(t *testing.T) {
		t.Parallel()
		var p *drivertest.TCP
		drivertest.Registers(t, drivertest.Rig{
			RTU: true, Timeout: ample, Busy: true,
			Open: func(t *testing.T, s *drivertest.Slave) drivers.Registers {
				p = drivertest.ServeStream(t, s)
				return onStream(p, modbus.RTUOpts{Baud: 9600, Timeout: ample})
			},
			Pull: func() { p.Kick() },
		})
	})
}

// dialer reaches a server.
type dialer = func(context.Context, string) (net.Conn, error)

// A serial server that was asked in Modbus TCP is named with its mend, whether
// it says nothing, closes, or answers in RTU; a Modbus TCP server that merely
// does not answer is not taken for one.
func TestASerialServerBehindAModbusTCPLineIsNamed(t *testing.T) {
	framing := func(err error) string {
		var f interface{ Framing() string }
		if errors.As(err, &f) {
			return f.Framing()
		}
		return ""
	}
	for _, c := range []struct {
		name string
		dial func(t *testing.T) dialer
		want string
	}{
		{"it hears noise", func(t *testing.T) dialer {
			return drivertest.CableStream(t, &drivertest.Slave{}).Dial
		}, "rtu"},
		{"it closes on what it does not know", func(t *testing.T) dialer {
			return answering(func(c net.Conn, b []byte) {
				if b[0] != 1 {
					c.Close()
					return
				}
				c.Write(drivertest.Frame(1, []byte{3, 4, 0, 1, 0, 2}))
			})
		}, "rtu"},
		{"it answers in RTU", func(t *testing.T) dialer {
			return answering(func(c net.Conn, b []byte) {
				c.Write(drivertest.Frame(1, []byte{3, 4, 0, 1, 0, 2}))
			})
		}, "rtu"},
		{"a Modbus TCP server whose unit is dead", func(t *testing.T) dialer {
			return drivertest.CableTCP(t, &drivertest.Slave{Script: func(drivertest.Request, drivertest.Reply) []drivertest.Reply { return nil }}).Dial
		}, ""},
		{"somebody else", func(t *testing.T) dialer {
			return answering(func(c net.Conn, b []byte) { c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) })
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := modbus.NewTCP("cable", modbus.TCPOpts{Timeout: patience, Dial: c.dial(t)})
				defer l.Close()
				found := ""
				for range 6 {
					_, err := l.Read(context.Background(), 1, drivers.Holding, 0, 2)
					if err == nil {
						t.Fatal("a value was given")
					}
					if f := framing(err); f != "" {
						found = f
					}
				}
				if found != c.want {
					t.Errorf("framing %q, want %q", found, c.want)
				}
			})
		})
	}
}

func TestAModbusTCPServerIsNeverTriedInRTU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &drivertest.Slave{}
		l := modbus.NewTCP("cable", modbus.TCPOpts{Timeout: patience, Dial: drivertest.CableTCP(t, s).Dial})
		defer l.Close()
		var asked [][]byte
		l.Watch(func(f drivers.Frame) {
			if f.Kind == drivers.FrameAsked {
				asked = append(asked, append([]byte(nil), f.Wire...))
			}
		})
		for i := range 14 {
			if i == 1 {
				s.Set(func(drivertest.Request, drivertest.Reply) []drivertest.Reply { return nil })
			}
			l.Read(context.Background(), 1, drivers.Holding, 0, 2)
		}
		for _, b := range asked {
			if len(b) != 12 || binary.BigEndian.Uint16(b[4:]) != 6 {
				t.Errorf("sent % x", b)
			}
		}
		if len(asked) != 14 {
			t.Errorf("%d requests", len(asked))
		}
	})
}

// answering reaches a server that does something with whatever it hears.
func answering(do func(net.Conn, []byte)) dialer {
	return func(context.Context, string) (net.Conn, error) {
		near, c := drivertest.Cable()
		go func() {
			defer c.Close()
			b := make([]byte, 512)
			for {
				n, err := c.Read(b)
				if err != nil {
					return
				}
				do(c, b[:n])
			}
		}()
		return near, nil
	}
}
