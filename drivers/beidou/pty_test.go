package beidou

import (
	"context"
	"testing"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/serial"
	sim "tocsin/hwtest/beidou"
	"tocsin/hwtest/port"
)

// Over a real port of the kernel, through the serial driver, in real time.
func TestOverASerialPort(t *testing.T) {
	sky := sim.NewSky(3)
	sky.Set(sim.Weather{Least: 10 * time.Millisecond})
	own, hub := sky.Terminal(sim.BDS3, sim.Card{Number: ownNumber, Frequency: 1, Level: 5}), sky.Terminal(sim.BDS3, sim.Card{Number: hubNumber, Frequency: 1, Level: 5})
	own.Set(func(_ *sim.Card, w *sim.Ways) { w.Split = 11 })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	device := func(s *sim.Terminal, card string) *Device {
		p, err := port.Open()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		go s.Serve(p)
		pr := profile(t, "beidou-bds3")
		d, err := New(func() (drivers.Port, error) {
			return serial.Open(p.Path, serial.Opts{Baud: pr.Line.Baud, Format: pr.Line.Format, Start: func(_ string, f func()) { go f() }})
		}, Opts{Profile: pr, Transmit: true, Card: card, Approval: "x"})
		if err != nil {
			t.Fatal(err)
		}
		go d.Run(ctx)
		return d
	}
	a, b := device(own, "4207733"), device(hub, "179773")
	until := time.Now().Add(10 * time.Second)
	for !a.Limits().Transmit || !b.Limits().Transmit {
		if time.Now().After(until) {
			t.Fatalf("%+v %+v", a.State(), b.State())
		}
		time.Sleep(5 * time.Millisecond)
	}
	want := make([]byte, 1750)
	for i := range want {
		want[i] = byte(i)
	}
	if _, err := a.Send(ctx, drivers.Outgoing{To: "179773", Bytes: want}); err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-b.Received():
		if string(m.Bytes) != string(want) || m.From != "4207733" {
			t.Errorf("%d bytes from %s", len(m.Bytes), m.From)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("%+v %+v", a.State(), b.State())
	}
}
