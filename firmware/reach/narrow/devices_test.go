package narrow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/beidou"
	"tocsin/drivers/meshtastic"
	"tocsin/drivers/serial"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/wire"
	sky "tocsin/hwtest/beidou"
	"tocsin/hwtest/mesh"
	"tocsin/hwtest/port"
)

// Real drivers on ports of the kernel, with simulators at their far ends: what one end packs
// the other hears, both ways, whatever the link loses and doubles.

// plugged runs a driver over a port whose far end serve answers.
func plugged(t *testing.T, baud int, serve func(io.ReadWriter) error, open func(func() (drivers.Port, error)) (drivers.Terminal, error)) drivers.Terminal {
	t.Helper()
	p, err := port.Open()
	if err != nil {
		t.Fatal(err)
	}
	go serve(p)
	d, err := open(func() (drivers.Port, error) {
		return serial.Open(p.Path, serial.Opts{Baud: baud, Format: "8N1", Start: func(_ string, f func()) { go f() }})
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; p.Close() })
	return d
}

// twoWays lets a courier's Link on one terminal and a hub's end on the other bring each other what they have.
func twoWays(t *testing.T, a, b drivers.Terminal, cardA, cardB string, again time.Duration) {
	t.Helper()
	await(t, "the terminals", func() bool { return a.Limits().Transmit && b.Limits().Transmit })
	k := keys(t, 1, 1)
	station := end(t, wire.Up, k, newDisk(), func(o *Opts) { o.Self, o.Peer, o.Loss = cardA, cardB, func() float64 { return 0 } })
	hub := end(t, wire.Down, k, newDisk(), func(o *Opts) { o.Self, o.Peer = cardB, cardA })
	var mu sync.Mutex
	came := map[string]int{} // at the station
	l := NewLink(LinkOpts{Name: "x", Terminal: a, End: station, To: cardB, AckAfter: 100 * time.Millisecond, Start: func(_ string, f func()) { go f() },
		Item: func(p courier.Part) (wire.Item, bool) { return wire.Item{Type: wire.ItemText, Bytes: p.Bytes}, true },
		Heard: func(_ context.Context, h Heard) error {
			mu.Lock()
			defer mu.Unlock()
			for _, i := range h.Items {
				came[string(i.Bytes)]++
			}
			return nil
		}})
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	defer func() { cancel(); work.Wait() }()
	work.Add(2)
	go func() { defer work.Done(); l.Run(ctx) }()

	// The hub's gateway: it sends what waits until it is acknowledged, and acknowledges at once.
	up := map[string]int{} // at the hub
	down := []Part{part("c", wire.Command, wire.ItemCommand, 30), part("w", wire.Warning, wire.ItemWarning, 60)}
	go func() {
		defer work.Done()
		tick := time.NewTicker(again)
		defer tick.Stop()
		for turn := 0; ; {
			select {
			case <-ctx.Done():
				return
			case m := <-b.Received():
				r, err := hub.Hear(ctx, m.Bytes, m.From, time.Duration(0))
				if err != nil && !wire.Replayed(err) {
					t.Errorf("from %s: %v", m.From, err)
				}
				mu.Lock()
				for _, h := range r.Heard {
					for _, i := range h.Items {
						up[string(i.Bytes)]++
					}
					hub.Kept(h.Counter)
				}
				down = slices.DeleteFunc(down, func(p Part) bool { return slices.Contains(r.Acked, p.ID) })
				mu.Unlock()
				continue
			case <-tick.C:
			}
			if time.Now().Before(b.Limits().Next) {
				continue
			}
			mu.Lock()
			parts := slices.Clone(down)
			mu.Unlock()
			if turn++; len(parts) > 0 {
				parts = parts[turn%len(parts):][:1]
			}
			frames, err := hub.Pack(ctx, b.Limits().Bytes, parts)
			if f, ok, _ := hub.Acks(ctx, b.Limits().Bytes); ok && err == nil {
				frames = append(frames, f)
			}
			for _, f := range frames {
				b.Send(ctx, drivers.Outgoing{To: cardA, Bytes: f.Bytes}) // what is refused goes again at the next tick
			}
		}
	}()

	up0 := []courier.Part{{ID: "1", Class: courier.Receipt, Bytes: noise(12, 1)}, {ID: "2", Class: courier.Alarm, Bytes: noise(40, 2)}, {ID: "3", Class: courier.Telemetry, Short: true, Bytes: noise(100, 3)}}
	wait := slices.Clone(up0)
	tried := map[string]time.Time{}
	await(t, "all is acknowledged both ways", func() bool {
		select {
		case acks := <-l.Acks():
			for _, x := range acks {
				wait = slices.DeleteFunc(wait, func(p courier.Part) bool { return p.ID == x.ID && p.Short == x.Short })
			}
		default:
		}
		var parts []courier.Part // the short ones together
		for _, p := range wait {
			if time.Since(tried[p.ID]) >= 8*again && (len(parts) == 0 || len(p.Bytes) < 60) {
				parts = append(parts, p)
			}
		}
		if len(parts) > 0 {
			var f *courier.Fault
			switch err := l.Send(ctx, courier.Parcel{Parts: parts}); {
			case err == nil || errors.As(err, &f) && f.Kind == courier.FaultUnsure:
				for _, p := range parts {
					tried[p.ID] = time.Now()
				}
			case f == nil || f.Kind != courier.FaultEarly && f.Kind != courier.FaultRefused:
				t.Error(err)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		return len(wait) == 0 && len(down) == 0
	})
	mu.Lock()
	defer mu.Unlock()
	for _, p := range up0 {
		if up[string(p.Bytes)] == 0 {
			t.Errorf("%s is acknowledged and not at the hub", p.ID)
		}
	}
	for _, id := range []string{"c", "w"} {
		if n := map[string]int{"c": 30, "w": 60}[id]; came[string(bytes.Repeat([]byte(id), n))] == 0 {
			t.Errorf("%s is acknowledged and not at the station", id)
		}
	}
	if len(up) != len(up0) || len(came) != 2 {
		t.Errorf("%d contents at the hub, %d at the station", len(up), len(came))
	}
}

func TestOverBeiDouTerminals(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("../../../configs/terminals/beidou-bds3.yaml")
	if err != nil {
		t.Fatal(err)
	}
	profile, err := beidou.ParseProfile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := sky.NewSky(5)
	s.Set(sky.Weather{Double: 0.3, Least: 5 * time.Millisecond, Most: 50 * time.Millisecond})
	terminal := func(card uint64) drivers.Terminal {
		sim := s.Terminal(sky.BDS3, sky.Card{Number: card, Frequency: 1, Level: 3})
		sim.Set(func(_ *sky.Card, w *sky.Ways) { w.Split, w.Garbage = 17, 0.1 })
		return plugged(t, profile.Line.Baud, sim.Serve, func(open func() (drivers.Port, error)) (drivers.Terminal, error) {
			return beidou.New(open, beidou.Opts{Profile: profile, Transmit: true, Card: fmt.Sprint(card), Approval: "x"})
		})
	}
	twoWays(t, terminal(4207733), terminal(179773), "04207733", "0179773", 200*time.Millisecond)
}

func TestOverAMesh(t *testing.T) {
	t.Parallel()
	m := mesh.NewMesh(2, 5*time.Millisecond)
	own, between, hub := m.Node(0xA1B2C3D4), m.Node(0x0BADCAFE), m.Node(0xB0B0B0B0)
	m.Join(own, between, 0.2)
	m.Join(between, hub, 0.2)
	node := func(n *mesh.Node) drivers.Terminal {
		n.Set(func(w *mesh.Ways) { w.Split = 9 })
		return plugged(t, 115200, n.Serve, func(open func() (drivers.Port, error)) (drivers.Terminal, error) {
			return meshtastic.New(open, meshtastic.Opts{Transmit: true, Licence: "x", Region: "CN", Power: 19, AckWait: 200 * time.Millisecond, Hops: 3, Airtime: 2 * time.Second})
		})
	}
	twoWays(t, node(own), node(hub), "!A1B2C3D4", "!b0b0b0b0", 200*time.Millisecond)
}
