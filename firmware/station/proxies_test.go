package station

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/modbus"
	"tocsin/firmware/point"
)

// freePort gives an address that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (w *town) proxied(line, more string) string {
	w.t.Helper()
	addr := freePort(w.t)
	w.edit("page: ", fmt.Sprintf("proxies:\n  - {listen: %q, line: %s, allow: [127.0.0.1]%s}\npage: ", addr, line, more))
	w.start()
	w.until("the proxy listens", func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return addr
}

func TestOthersReadALineThroughTheProxyAndSwitchNoSiren(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	addr := w.proxied("out", ", write: true")
	c := modbus.NewTCP(addr, modbus.TCPOpts{Timeout: 5 * time.Second})
	defer c.Close()
	ctx := t.Context()
	w.until("the coils are read", func() bool { // a busy machine may make the board late
		a, err := c.Read(ctx, 11, drivers.Coil, 0, 8)
		return err == nil && len(a.Data) == 1 && a.Data[0] == 0
	})
	began := time.Now()
	if err := c.WriteCoil(ctx, 11, 0, true); drivers.KindOf(err) != drivers.FaultRefused {
		t.Errorf("a stranger switched the siren: %v", err)
	}
	if err := c.WriteSingle(ctx, 11, drivers.Holding, 0x0200, 100); drivers.KindOf(err) != drivers.FaultRefused {
		t.Errorf("a stranger timed the siren: %v", err)
	}
	if d := w.v.Horn.Current().OnBetween(began, time.Now()); d > 0 {
		t.Errorf("it sounded for %v", d)
	}
	if _, err := c.Read(ctx, 77, drivers.Holding, 0, 1); drivers.KindOf(err) != drivers.FaultRefused {
		t.Errorf("a unit that is not there: %v", err)
	}
}

// TestAProxyUnderLoadDelaysNoAlarm floods the gauge's line while its alarm point is
// read every 300 ms. That a guest costs an alarm read one request at most is
// measured in virtual time beside the line's owner; here the whole way must hold.
func TestAProxyUnderLoadDelaysNoAlarm(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	addr := w.proxied("field", ", rate: 100, fresh: 1ms")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answered := make(chan int, 4)
	for i := range 4 {
		go func() {
			c := modbus.NewTCP(addr, modbus.TCPOpts{Timeout: 5 * time.Second})
			defer c.Close()
			n := 0
			for k := 0; ctx.Err() == nil; k++ {
				if _, err := c.Read(ctx, uint8(1+(i+k)%3), drivers.Holding, 0, 1); err == nil {
					n++
				}
			}
			answered <- n
		}()
	}
	worst, last := time.Duration(0), time.Duration(0)
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		r := w.reading("gas.ch4")
		if r.Quality == point.Good && last != 0 && r.Mono != last {
			worst = max(worst, r.Mono-last)
		}
		last = r.Mono
	}
	if worst > 5*time.Second { // as long as the machine was busy, never as long as guests ask
		t.Errorf("the alarm point was not read for %v", worst)
	}
	began := time.Now()
	w.v.Gas.Set(gasPrepare)
	w.raised("gas", "prepare")
	w.sounds(began)
	cancel()
	total := 0
	for range 4 {
		total += <-answered
	}
	if total < 20 {
		t.Errorf("guests were answered %d times in 8 s", total)
	}
	t.Logf("guests answered %d times, worst pause of the alarm point %v", total, worst)
}
