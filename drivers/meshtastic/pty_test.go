package meshtastic

import (
	"context"
	"testing"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/serial"
	sim "tocsin/hwtest/mesh"
	"tocsin/hwtest/port"
)

// Over a real port of the kernel, through the serial driver, in real time.
func TestOverASerialPort(t *testing.T) {
	m := sim.NewMesh(2, 10*time.Millisecond)
	own, hub := m.Node(ownNode), m.Node(hubNode)
	m.Join(own, hub, 0)
	own.Set(func(w *sim.Ways) { w.Split = 9 })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	device := func(n *sim.Node) *Device {
		p, err := port.Open()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		go n.Serve(p)
		d, err := New(func() (drivers.Port, error) {
			return serial.Open(p.Path, serial.Opts{Baud: 115200, Start: func(_ string, f func()) { go f() }})
		}, licensed())
		if err != nil {
			t.Fatal(err)
		}
		go d.Run(ctx)
		return d
	}
	a, b := device(own), device(hub)
	until := time.Now().Add(10 * time.Second)
	for !a.Limits().Transmit || !b.Limits().Transmit {
		if time.Now().After(until) {
			t.Fatalf("%+v %+v", a.State(), b.State())
		}
		time.Sleep(5 * time.Millisecond)
	}
	want := string(make([]byte, a.Limits().Bytes))
	if s, err := a.Send(ctx, drivers.Outgoing{To: hubName, Bytes: []byte(want)}); err != nil || s.Stage != drivers.StageTaken {
		t.Fatal(s, err)
	}
	select {
	case m := <-b.Received():
		if string(m.Bytes) != want || m.From != "!a1b2c3d4" {
			t.Errorf("%d bytes from %s", len(m.Bytes), m.From)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("%+v %+v", a.State(), b.State())
	}
}
