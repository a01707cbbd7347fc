package meshtastic

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/drivertest"
	sim "tocsin/hwtest/mesh"
)

const (
	ownNode = 0xA1B2C3D4
	hubNode = 0x00000017
	hubName = "!00000017"
)

type bench struct {
	*Device
	mesh     *sim.Mesh
	own, hub *sim.Node
	port     *atomic.Pointer[drivertest.Duplex]
}

func at(t *testing.T, n *sim.Node, o Opts) (*Device, *atomic.Pointer[drivertest.Duplex]) {
	t.Helper()
	port := &atomic.Pointer[drivertest.Duplex]{}
	d, err := New(func() (drivers.Port, error) {
		p := drivertest.NewDuplex()
		port.Store(p)
		go n.Serve(p.Far())
		return p, nil
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	return d, port
}

func licensed() Opts {
	return Opts{Transmit: true, Licence: "粤无线电 2026-0001", Region: "CN", Power: 17}
}

// open makes two nodes that hear each other.
func open(t *testing.T, o Opts) *bench {
	t.Helper()
	b := &bench{mesh: sim.NewMesh(1, time.Second)}
	b.own, b.hub = b.mesh.Node(ownNode), b.mesh.Node(hubNode)
	b.mesh.Join(b.own, b.hub, 0)
	b.Device, b.port = at(t, b.own, o)
	return b
}

func run(t *testing.T, d *Device) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { d.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	time.Sleep(2 * time.Second)
}

func take(d *Device) *drivers.Incoming {
	select {
	case m := <-d.Received():
		return &m
	default:
		return nil
	}
}

func TestItDoesWhatATerminalPromises(t *testing.T) {
	drivertest.Terminal(t, func(t *testing.T, transmit bool) *drivertest.TerminalBench {
		o := Opts{}
		if transmit {
			o = licensed()
		}
		o.Buffer = 4
		b := open(t, o)
		id := uint32(100)
		return &drivertest.TerminalBench{
			Terminal: b.Device, To: hubName, Buffer: 4, Settle: 12 * time.Second, Pull: func() { b.port.Load().Pull() },
			Say: func(p []byte) { id++; b.hub.Say(sim.Packet{To: ownNode, ID: id, Port: portPrivate, Payload: p}) },
			Aired: func() (out [][]byte) {
				for _, p := range b.mesh.Aired() {
					if p.From == ownNode {
						out = append(out, p.Payload)
					}
				}
				return out
			},
		}
	})
}

func TestItTransmitsOnlyAsLicensed(t *testing.T) {
	for _, o := range []Opts{{Transmit: true}, {Transmit: true, Licence: "x", Region: "CN"}, {Transmit: true, Licence: "x", Power: 17}, {Transmit: true, Region: "CN", Power: 17},
		{Transmit: true, Licence: "x", Region: "Atlantis", Power: 17}, {Channel: 8}, {Hops: 8}} {
		if _, err := New(nil, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	for _, c := range []struct {
		name string
		set  func(*sim.Ways)
		bar  drivers.Bar
	}{
		{"as licensed", func(*sim.Ways) {}, drivers.BarNone},
		{"more power", func(w *sim.Ways) { w.Power = 18 }, drivers.BarSettings},
		{"the firmware's own maximum", func(w *sim.Ways) { w.Power = 0 }, drivers.BarSettings},
		{"another band", func(w *sim.Ways) { w.Region = 3 }, drivers.BarSettings},
		{"no band", func(w *sim.Ways) { w.Region = 0 }, drivers.BarSettings},
		{"a frequency of its own", func(w *sim.Ways) { w.Frequency = 433.5 }, drivers.BarSettings},
		{"its duty cycle is overridden", func(w *sim.Ways) { w.OverrideDuty = true }, drivers.BarSettings},
		{"it may not send", func(w *sim.Ways) { w.TxOff = true }, drivers.BarSettings},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := open(t, licensed())
			b.own.Set(c.set)
			run(t, b.Device)
			_, err := b.Send(t.Context(), drivers.Outgoing{To: hubName, Bytes: []byte{1}})
			if l := b.Limits(); l.Bar != c.bar || (err == nil) != (c.bar == drivers.BarNone) || (len(b.mesh.Aired()) > 0) != (c.bar == drivers.BarNone) {
				t.Errorf("%s: %+v, %v, %d aired", c.name, l, err, len(b.mesh.Aired()))
			}
		})
	}
}

// The times are those of Semtech's formula with 16 symbols of preamble.
func TestTimeOnAir(t *testing.T) {
	for _, c := range []struct {
		preset uint64
		ms     [4]int // for 36, 91, 166 and 255 bytes
	}{{0, [4]int{518, 928, 1501, 2157}}, {4, [4]int{150, 273, 447, 642}}, {6, [4]int{43, 84, 137, 204}}, {1, [4]int{3023, 5906, 9839, 14295}}} {
		for i, n := range []int{36, 91, 166, 255} {
			if got := presets[c.preset].airtime(n); got.Round(time.Millisecond) < time.Duration(c.ms[i]-1)*time.Millisecond || got > time.Duration(c.ms[i]+1)*time.Millisecond {
				t.Errorf("preset %d, %d bytes: %v, not %d ms", c.preset, n, got, c.ms[i])
			}
		}
	}
	if a, b := presets[0].airtime(99), presets[0].airtime(100); a > 970*time.Millisecond || b < 1008*time.Millisecond {
		t.Errorf("99 bytes %v, 100 bytes %v", a, b)
	}
}

func TestNothingIsLongerOnTheAirThanAllowed(t *testing.T) {
	for _, c := range []struct {
		firmware string
		preset   uint64
		airtime  time.Duration
		bytes    int
	}{
		{"2.4.3.efc27f2", 0, time.Second, 78}, // 16 + 5 + 78 = 99 on the air
		{"2.6.4.b89355f", 0, time.Second, 76}, // and the bitfield
		{"", 0, time.Second, 76},
		{"2.6.4.b89355f", 4, time.Second, mostBytes},
		{"2.6.4.b89355f", 1, time.Second, 0},
		{"2.6.4.b89355f", 1, 0, mostBytes},
		{"2.6.4.b89355f", 2, time.Second, 0}, // a preset of which nothing is known
	} {
		synctest.Test(t, func(t *testing.T) {
			o := licensed()
			o.Airtime = c.airtime
			b := open(t, o)
			b.own.Set(func(w *sim.Ways) { w.Firmware, w.Preset = c.firmware, c.preset })
			run(t, b.Device)
			if l := b.Limits(); l.Bytes != c.bytes || l.Transmit != (c.bytes > 0) {
				t.Errorf("%+v: %+v", c, l)
			}
		})
	}
}

func TestAcknowledgementsAreToldForWhatTheyAre(t *testing.T) {
	for _, c := range []struct {
		name  string
		o     func(*Opts)
		set   func(b *bench)
		m     drivers.Outgoing
		kind  drivers.FaultKind
		stage drivers.Stage
	}{
		{"the addressee has it", nil, nil, drivers.Outgoing{To: hubName, Bytes: []byte{1}}, 0, drivers.StageTaken},
		{"somebody repeated it", nil, nil, drivers.Outgoing{Broadcast: true, Bytes: []byte{1}}, 0, drivers.StageTaken},
		{"not asked for", func(o *Opts) { o.NoAck = true }, nil, drivers.Outgoing{To: hubName, Bytes: []byte{1}}, 0, drivers.StageQueued},
		{"lost on its way", nil, func(b *bench) { b.own.Set(func(w *sim.Ways) { w.NoAcks = true }) }, drivers.Outgoing{To: hubName, Bytes: []byte{1}}, 0, drivers.StageQueued},
		{"nobody is there", nil, func(b *bench) { b.mesh.Join(b.own, b.hub, 1) }, drivers.Outgoing{To: hubName, Bytes: []byte{1}}, drivers.FaultTimeout, 0},
		{"text for handsets", nil, nil, drivers.Outgoing{Broadcast: true, Text: "山洪来了，快往高处走"}, 0, drivers.StageTaken},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := licensed()
				o.AckWait = time.Minute
				if c.o != nil {
					c.o(&o)
				}
				b := open(t, o)
				if c.set != nil {
					c.set(b)
				}
				run(t, b.Device)
				hub, _ := at(t, b.hub, Opts{})
				run(t, hub)
				s, err := b.Send(t.Context(), c.m)
				if (err != nil || c.kind != 0) && drivers.KindOf(err) != c.kind || s.Stage != c.stage || err == nil && s.Ref == "" {
					t.Fatalf("%+v, %v", s, err)
				}
				time.Sleep(5 * time.Second)
				got := take(hub)
				if (got != nil) != (err == nil) {
					t.Fatalf("the other heard %+v", got)
				}
				if got != nil && (got.Text != c.m.Text || string(got.Bytes) != string(c.m.Bytes) || got.From != "!a1b2c3d4" || got.Broadcast != c.m.Broadcast || got.Bars != 4) {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

func TestAFullQueueStopsSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := licensed()
		o.NoAck = true
		b := open(t, o)
		b.own.Set(func(w *sim.Ways) { w.SilentQueue = true })
		run(t, b.Device)
		sent, early := 0, 0
		for i := range 60 {
			_, err := b.Send(t.Context(), drivers.Outgoing{To: hubName, Bytes: []byte{byte(i)}})
			var f *drivers.Fault
			switch {
			case err == nil:
				sent++
			case errors.As(err, &f) && f.Kind == drivers.FaultEarly:
				early++
				time.Sleep(time.Until(f.Until))
			default:
				t.Fatal(i, err)
			}
		}
		time.Sleep(time.Minute)
		if n := len(b.mesh.Aired()); n != sent || early == 0 || b.State().Free < 1 {
			t.Errorf("%d sent, %d aired, %d told to wait, %+v", sent, n, early, b.State())
		}
	})
}

func TestADutyCycleThatIsUsedUpIsTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, licensed())
		b.own.Set(func(w *sim.Ways) { w.Duty = 0.1 })
		run(t, b.Device)
		var err error
		n := 0
		for ; err == nil && n < 20; n++ {
			_, err = b.Send(t.Context(), drivers.Outgoing{To: hubName, Bytes: []byte{byte(n)}})
		}
		var f *drivers.Fault
		if !errors.As(err, &f) || f.Kind != drivers.FaultEarly || !f.Until.After(time.Now()) || n < 4 {
			t.Fatalf("%d: %v", n, err)
		}
		time.Sleep(time.Until(f.Until))
		if _, err = b.Send(t.Context(), drivers.Outgoing{To: hubName, Bytes: []byte{9}}); err != nil {
			t.Error(err)
		}
	})
}

func TestANodeThatRestartsIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, licensed())
		b.mesh.Join(b.own, b.hub, 1)
		run(t, b.Device)
		failed := make(chan error, 1)
		go func() {
			_, err := b.Send(t.Context(), drivers.Outgoing{To: hubName, Bytes: []byte{1}})
			failed <- err
		}()
		time.Sleep(time.Second / 2)
		b.own.Restart()
		if err := <-failed; drivers.KindOf(err) != drivers.FaultTimeout {
			t.Error(err)
		}
		b.mesh.Join(b.own, b.hub, 0)
		time.Sleep(2 * time.Second)
		if _, err := b.Send(t.Context(), drivers.Outgoing{To: hubName, Bytes: []byte{2}}); err != nil || b.own.Configs() != 2 {
			t.Errorf("%v, asked %d times", err, b.own.Configs())
		}
	})
}

func TestHeartbeatsKeepItUpAndSilenceIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, licensed())
		run(t, b.Device)
		time.Sleep(30 * time.Minute)
		if b.own.Configs() != 1 || time.Since(b.State().Heard) > 61*time.Second {
			t.Errorf("asked %d times, last heard %v", b.own.Configs(), time.Since(b.State().Heard))
		}
	})
	synctest.Test(t, func(t *testing.T) { // a port behind which nobody is
		opened := 0
		d, err := New(func() (drivers.Port, error) { opened++; return drivertest.NewDuplex(), nil }, licensed())
		if err != nil {
			t.Fatal(err)
		}
		run(t, d)
		time.Sleep(time.Minute)
		if s := d.State(); s.Up || d.Limits().Bar != drivers.BarStarting || opened != 1 {
			t.Errorf("%+v, %+v, opened %d times", s, d.Limits(), opened)
		}
	})
}

func TestANodeThatFallsSilentIsWokenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, licensed())
		b.own.Set(func(w *sim.Ways) { w.Deaf = true })
		run(t, b.Device) // it starts up slowly
		time.Sleep(25 * time.Second)
		b.own.Set(func(w *sim.Ways) { w.Deaf = false })
		time.Sleep(configIn + time.Second)
		if l := b.Limits(); !l.Transmit {
			t.Fatalf("%+v", l)
		}
		b.own.Set(func(w *sim.Ways) { w.Deaf = true })
		time.Sleep(4 * time.Minute)
		if l := b.Limits(); l.Bar != drivers.BarStarting {
			t.Errorf("%+v", l)
		}
		b.own.Set(func(w *sim.Ways) { w.Deaf = false })
		time.Sleep(configIn + time.Second)
		if _, err := b.Send(t.Context(), drivers.Outgoing{To: hubName, Bytes: []byte{1}}); err != nil {
			t.Error(err)
		}
	})
}

func TestWhatIsSentCountsAtOnceAgainstTheQueue(t *testing.T) {
	p := drivertest.NewDuplex()
	d, err := New(nil, licensed())
	if err != nil {
		t.Fatal(err)
	}
	d.ready, d.st.Up, d.st.Free, d.lora = true, true, 1, &lora{usePreset: true, enabled: true, region: 4, power: 10}
	for i, want := range []drivers.FaultKind{drivers.FaultOther, drivers.FaultEarly} {
		j := &job{p: outgoing{to: hubNode, port: portPrivate, payload: []byte{1}}, Reply: make(drivers.Reply[drivers.Sent], 1)}
		if err := d.send(p, j); err != nil {
			t.Fatal(err)
		}
		select {
		case r := <-j.Reply:
			if drivers.KindOf(r.Err) != want || i == 0 {
				t.Errorf("%d: %v", i, r.Err)
			}
		default:
			if i > 0 {
				t.Error("the second one was sent into a full queue")
			}
		}
	}
}

func TestItsOwnPacketsAreNoNews(t *testing.T) {
	d, err := New(nil, Opts{})
	if err != nil {
		t.Fatal(err)
	}
	d.me = ownNode
	for _, from := range []uint32{ownNode, 0, hubNode} {
		d.came(&packet{from: from, to: everybody, data: &data{port: portPrivate, payload: []byte{1}}}, time.Now())
	}
	if m := take(d); m == nil || m.From != hubName || take(d) != nil {
		t.Errorf("%+v", m)
	}
}

// A device, in place of the reader alone, finds what is within and behind noise.
func TestADeviceFindsFramesWithinNoise(t *testing.T) {
	complete := frame([]byte{0x38, 5})
	for name, noise := range map[string]string{
		"none": "", "a mark that swallows the next": "\x94\xC3\x00\x05", "a mark whose rest never comes": "\x94\xC3\x00\x94", "half a frame": "\x94\xC3\x00\x08\x38",
	} {
		d, err := New(nil, Opts{})
		if err != nil {
			t.Fatal(err)
		}
		at := time.Unix(1700000000, 0)
		d.o.Now = func() time.Time { return at }
		d.wanted, d.asked, d.heard, d.beat = 5, at, at, at
		d.hear(drivers.Chunk{At: at, B: append([]byte(noise), complete...)})
		at = at.Add(frameIn)
		for range 4 {
			if err := d.keep(t.Context(), drivertest.NewDuplex()); err != nil {
				t.Fatal(err)
			}
		}
		if !d.ready {
			t.Errorf("%s: the frame was not found", name)
		}
	}
}

// A chain of four nodes of which each hop loses 30 %: with the mesh's own repeats
// most comes through, and what is acknowledged did.
func TestOverHopsThatLose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := sim.NewMesh(5, 200*time.Millisecond)
		var nodes []*sim.Node
		for i := range 4 {
			nodes = append(nodes, m.Node(uint32(0x10+i)))
			nodes[i].Set(func(w *sim.Ways) { w.Debug, w.Split = 0.5, 5 })
			if i > 0 {
				m.Join(nodes[i-1], nodes[i], 0.3)
			}
		}
		o := licensed()
		o.Hops, o.AckWait = 7, time.Minute
		a, _ := at(t, nodes[0], o)
		run(t, a)
		z, _ := at(t, nodes[3], Opts{Buffer: 512})
		run(t, z)
		const n = 100
		taken := map[byte]bool{}
		for i := range byte(n) {
			s, err := a.Send(t.Context(), drivers.Outgoing{To: "!00000013", Bytes: []byte{i}})
			if err == nil && s.Stage == drivers.StageTaken {
				taken[i] = true
			}
			time.Sleep(5 * time.Second)
		}
		got := map[byte]int{}
		for m := take(z); m != nil; m = take(z) {
			got[m.Bytes[0]]++
		}
		for i := range taken {
			if got[i] == 0 {
				t.Errorf("%d was acknowledged and did not come", i)
			}
		}
		if len(got) < n/3 || len(got) == n || len(taken) == 0 {
			t.Errorf("%d came, %d acknowledged", len(got), len(taken))
		}
	})
}

func TestFramesAreFoundWithinNoise(t *testing.T) {
	good := frame(wantConfig(5))
	for _, c := range []struct {
		name string
		in   string
		want int
		wait bool // the last one only after a pause
	}{
		{"one", string(good), 1, false},
		{"two", string(good) + string(good), 2, false},
		{"debug text", "INFO | tx\r\n" + string(good) + "DEBUG\r\n" + string(good), 2, false},
		{"a mark alone", "\x94" + string(good), 1, false},
		{"too long", "\x94\xC3\xFF\xFF" + string(good), 1, false},
		{"a mark that swallows the next", "\x94\xC3\x00\x05" + string(good), 1, false},
		{"a mark whose rest never comes", "\x94\xC3\x00\x94" + string(good), 1, true},
		{"empty", "\x94\xC3\x00\x00" + string(good), 2, false},
	} {
		for _, step := range []int{1, 2, len(c.in)} {
			var r reader
			got, now := 0, time.Unix(1, 0)
			count := func() {
				for f := r.next(); f != nil; f = r.next() {
					if _, _, err := readFromRadio(f); err != nil {
						r.skip()
						continue
					}
					r.keep(len(f))
					got++
				}
			}
			for in := c.in; in != ""; {
				n := min(step, len(in))
				r.add([]byte(in[:n]), now)
				in = in[n:]
				count()
			}
			if c.wait && got != 0 {
				t.Errorf("%s by %d: %d before the pause", c.name, step, got)
			}
			for r.stale(now.Add(frameIn)) {
				count()
			}
			if got != c.want {
				t.Errorf("%s by %d: %d frames", c.name, step, got)
			}
		}
	}
}

func TestNodesAreWrittenAsPeopleSeeThem(t *testing.T) {
	for s, want := range map[string]uint32{"!a1b2c3d4": ownNode, "!00000017": 0x17, "": 0, "a1b2c3d4": 0, "!00000000": 0, "!ffffffff": 0, "!xyz": 0, "^all": 0} {
		if got, err := node(s, false); got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %x, %v", s, got, err)
		}
	}
	if n, err := node("", true); n != everybody || err != nil {
		t.Error(n, err)
	}
	if name(ownNode) != "!a1b2c3d4" || name(everybody) != "^all" {
		t.Error(name(ownNode), name(everybody))
	}
}
