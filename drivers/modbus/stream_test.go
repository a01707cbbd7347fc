package modbus_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/drivertest"
	"tocsin/drivers/modbus"
)

// start is the drivers.Starter of these tests.
func start(_ string, run func()) { go run() }

func onStream(addr string, o modbus.RTUOpts) *modbus.Line {
	return modbus.NewRTU(func() (drivers.Port, error) {
		return modbus.DialStream(context.Background(), addr, modbus.StreamOpts{Start: start})
	}, o)
}

func TestRTUOverTCPConforms(t *testing.T) {
	const patience = 400 * time.Millisecond
	var p *drivertest.TCP
	drivertest.Registers(t, drivertest.Rig{
		RTU: true, Timeout: patience,
		Open: func(t *testing.T, s *drivertest.Slave) drivers.Registers {
			p = drivertest.ServeStream(t, s)
			return onStream(p.Addr, modbus.RTUOpts{Baud: 9600, Timeout: patience})
		},
		Pull: func() { p.Kick() },
	})
}

// A serial server that was asked in Modbus TCP is named with its mend, whether
// it says nothing, closes, or answers in RTU; a Modbus TCP server that merely
// does not answer is not taken for one.
func TestASerialServerBehindAModbusTCPLineIsNamed(t *testing.T) {
	const patience = 100 * time.Millisecond
	framing := func(err error) string {
		var f interface{ Framing() string }
		if errors.As(err, &f) {
			return f.Framing()
		}
		return ""
	}
	for _, c := range []struct {
		name string
		addr func(t *testing.T) string
		want string
	}{
		{"it hears noise", func(t *testing.T) string {
			return drivertest.ServeStream(t, &drivertest.Slave{}).Addr
		}, "rtu"},
		{"it closes on what it does not know", func(t *testing.T) string {
			return answering(t, func(c net.Conn, b []byte) {
				if b[0] != 1 {
					c.Close()
					return
				}
				c.Write(drivertest.Frame(1, []byte{3, 4, 0, 1, 0, 2}))
			})
		}, "rtu"},
		{"it answers in RTU", func(t *testing.T) string {
			return answering(t, func(c net.Conn, b []byte) {
				c.Write(drivertest.Frame(1, []byte{3, 4, 0, 1, 0, 2}))
			})
		}, "rtu"},
		{"a Modbus TCP server whose unit is dead", func(t *testing.T) string {
			return drivertest.ServeTCP(t, &drivertest.Slave{Script: func(drivertest.Request, drivertest.Reply) []drivertest.Reply { return nil }}).Addr
		}, ""},
		{"somebody else", func(t *testing.T) string {
			return answering(t, func(c net.Conn, b []byte) { c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) })
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := modbus.NewTCP(c.addr(t), modbus.TCPOpts{Timeout: patience, Connect: 5 * time.Second})
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
	}
}

func TestAModbusTCPServerIsNeverTriedInRTU(t *testing.T) {
	s := &drivertest.Slave{}
	l := modbus.NewTCP(drivertest.ServeTCP(t, s).Addr, modbus.TCPOpts{Timeout: 50 * time.Millisecond, Connect: 5 * time.Second})
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
}

// answering runs a server that does something with whatever it hears.
func answering(t *testing.T, do func(net.Conn, []byte)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
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
		}
	}()
	return ln.Addr().String()
}
