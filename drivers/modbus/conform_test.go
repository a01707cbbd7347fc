package modbus_test

import (
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/drivertest"
	"tocsin/drivers/modbus"
)

const (
	// patience is how long an answer over a network may take where the time is virtual.
	patience = 400 * time.Millisecond
	// ample is that where it is real: no machine stalls for so long.
	ample = 10 * time.Second
)

// In memory, in virtual time, with each way that bytes may arrive.
func TestRTUConforms(t *testing.T) { serialConforms(t, modbus.NewRTU, false) }

func TestASCIIConforms(t *testing.T) { serialConforms(t, modbus.NewASCII, true) }

func serialConforms(t *testing.T, made func(func() (drivers.Port, error), modbus.RTUOpts) *modbus.Line, ascii bool) {
	for _, c := range []struct {
		name    string
		chop    int
		echo    bool
		latency time.Duration
	}{
		{"in one piece", 0, false, 0},
		{"byte by byte", 1, false, 0},
		{"with echo", 0, true, 0},
		{"byte by byte with echo", 1, true, 0},
		{"with an echo that trickles late", 3, true, 16 * time.Millisecond},
		{"with a slow adapter", 0, false, 16 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			var w *drivertest.Wire
			drivertest.Registers(t, drivertest.Rig{
				RTU: true, Timeout: timeout,
				Open: func(t *testing.T, s *drivertest.Slave) drivers.Registers {
					return made(func() (drivers.Port, error) {
						w = drivertest.NewWire(s, char)
						w.Chop, w.Echo, w.Latency, w.ASCII = c.chop, c.echo, c.latency, ascii
						return w, nil
					}, modbus.RTUOpts{Baud: 9600, Timeout: timeout})
				},
				Pull: func() { w.Pull() },
				Run: func(t *testing.T, f func(*testing.T)) {
					synctest.Test(t, f)
				},
			})
		})
	}
}

// Over a connection in memory, in virtual time; and over the kernel's own, where the time is real, what does not
// hang on how long an answer takes.
func TestTCPConforms(t *testing.T) {
	t.Run("in virtual time", func(t *testing.T) {
		drivertest.Registers(t, drivertest.Rig{
			Timeout: patience,
			Open: func(t *testing.T, s *drivertest.Slave) drivers.Registers {
				p := drivertest.CableTCP(t, s)
				return modbus.NewTCP(p.Addr, modbus.TCPOpts{Timeout: patience, Dial: p.Dial})
			},
			Run: func(t *testing.T, f func(*testing.T)) { synctest.Test(t, f) },
		})
	})
	t.Run("over the kernel", func(t *testing.T) {
		t.Parallel()
		var p *drivertest.TCP
		drivertest.Registers(t, drivertest.Rig{
			Timeout: ample, Busy: true,
			Open: func(t *testing.T, s *drivertest.Slave) drivers.Registers {
				p = drivertest.ServeTCP(t, s)
				return modbus.NewTCP(p.Addr, modbus.TCPOpts{Timeout: ample})
			},
			Pull: func() { p.Kick() },
		})
	})
}
