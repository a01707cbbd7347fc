package station

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/beacon"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/trust"
	sim "tocsin/hwtest/mesh"
	"tocsin/hwtest/port"
)

// A level measured upstream must be answered downstream with the county gone, only when the
// station that the site names signed it, and end by itself; nobody's beacon ends anything.
func TestABeaconFromUpstreamSoundsAndRunsOut(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	key, err := trust.NewSigner(trust.P256)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := trust.NewSigner(trust.P256)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := trust.PublicPEM(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	w.write("up.pub", string(pub))
	p, err := port.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	air := sim.NewMesh(7, time.Millisecond)
	mine, theirs := air.Node(0xA1), air.Node(0xB2)
	air.Join(mine, theirs, 0)
	go mine.Serve(p)
	w.text = strings.Replace(w.text, "page:", `links: {mesh: {kind: meshtastic, port: `+p.Path+`}}
beacons:
  number: 17
  from:
    huangdong:
      name: {zh: 黄洞, en: Huangdong}
      number: 12
      key: {file: up.pub}
      hazards: {flash-flood: {hazard: gas, travel: 40m, lasts: 1h}}
page:`, 1)
	w.write("site.yaml", w.text)
	w.start()
	w.until("the node asked for its settings", func() bool { return mine.Configs() > 0 })

	id := uint32(0)
	say := func(m beacon.Message, by *trust.PrivateKey, at time.Time) {
		t.Helper()
		b, err := beacon.Sign(m, by, at)
		if err != nil {
			t.Fatal(err)
		}
		id++
		theirs.Say(sim.Packet{From: 0xB2, ID: id, To: sim.Everybody, Port: 256, Payload: b})
	}
	m := beacon.Message{Station: 12, Serial: 1, Hazard: 1, Rank: 2, Lasts: 6}
	say(m, stranger, time.Now())
	w.recorded("beacon.unsigned", "")
	other := m
	other.Station = 13
	say(other, key, time.Now())
	w.recorded("beacon.unknown", "")
	if len(w.warnings()) != 0 {
		t.Fatalf("what nobody signed raised %+v", w.warnings())
	}
	began := time.Now()
	say(m, key, time.Now())
	a := w.warning("evacuate", "raised")
	w.sounds(began)
	if !strings.Contains(a.Hazard, "beacon-gas") {
		t.Errorf("raised %+v", a)
	}
	say(m, key, time.Now().Add(-4*time.Hour)) // this box's clock is not trusted: older than what it has heard since
	w.recorded("beacon.old", "")
	// A lower one of the same station, and a restart, take nothing down.
	lower := m
	lower.Serial, lower.Rank = 2, 1
	say(lower, key, time.Now())
	w.halt()
	w.start()
	if again := w.warning("evacuate", "raised"); again.ID != a.ID {
		t.Errorf("after a restart %+v stands, not %s", again, a.ID)
	}
	// The site that no longer names the station ends what it said: by a person's hand, as all does.
	w.editBy("王", "number: 12", "number: 14")
	w.within(20*time.Second, "the level ended", func() bool {
		for _, x := range w.warnings() {
			if x.ID == a.ID && x.State == "raised" {
				return false
			}
		}
		return true
	})
}

// A station that measures must tell those around it by its own signature, again while it
// stands; what others said it passes on as it is, and never as its own.
func TestAStationTellsWhatItMeasuresAndPassesOnWhatItHears(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	key, err := trust.NewSigner(trust.P256)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := trust.PublicPEM(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	w.write("up.pub", string(pub))
	p, err := port.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	air := sim.NewMesh(7, time.Millisecond)
	mine, theirs := air.Node(0xA1), air.Node(0xB2)
	air.Join(mine, theirs, 0)
	mine.Set(func(x *sim.Ways) { x.Preset = 4 }) // MEDIUM_FAST: 78 bytes of ours, and what newer firmware adds, in a second
	go mine.Serve(p)
	w.text = strings.Replace(w.text, "page:", `links: {mesh: {kind: meshtastic, port: `+p.Path+`, transmit: {licence: 粤频2026-1, band: CN, power: 14}}}
beacons:
  number: 17
  relay: true
  send: {gas: {as: gas}}
  from:
    huangdong:
      name: {zh: 黄洞, en: Huangdong}
      number: 12
      key: {file: up.pub}
      hazards: {gas: {hazard: gas, levels: {prepare: prepare, evacuate: prepare}}}
page:`, 1)
	w.write("site.yaml", w.text)
	w.start()
	w.until("the node asked for its settings", func() bool { return mine.Configs() > 0 })
	sent := func(station uint16) (b []byte, n int) {
		for _, x := range air.Aired() {
			if x.From == 0xA1 && beacon.Is(x.Payload) {
				if m, err := beacon.Unpack(x.Payload[:beacon.BodySize]); err == nil && m.Station == station {
					b, n = x.Payload, n+1
				}
			}
		}
		return b, n
	}

	theirBytes, err := beacon.Sign(beacon.Message{Station: 12, Serial: 1, Hazard: 10, Rank: 2, Lasts: 6}, key, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	theirs.Say(sim.Packet{From: 0xB2, ID: 1, To: sim.Everybody, Port: 256, Payload: theirBytes})
	w.warning("prepare", "raised")
	w.until("it was passed on", func() bool { b, _ := sent(12); return string(b) == string(theirBytes) })
	if _, n := sent(17); n != 0 {
		t.Fatal("a level that another station raised was told as this one's own")
	}

	w.v.Gas.Set(gasEvacuate)
	w.raised("gas", "evacuate")
	var b []byte
	w.until("others were told", func() bool { b, _ = sent(17); return b != nil })
	var id api.Identity
	if err := w.get("/identity", &id); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(id.PEM))
	if block == nil {
		t.Fatalf("%+v", id)
	}
	own, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	k := beacon.New(beacon.Opts{Upstream: []beacon.Upstream{{Number: 17, Key: own, Effects: map[uint8]beacon.Effect{10: {Hazard: "x", Levels: []beacon.Step{{Rank: 1, Level: 1}, {Rank: 2, Level: 2}}}}}}})
	now := clock.NewSystem(time.Time{}, clock.Set).Now()
	if r := k.Take(b, now, time.Time{}); r.Outcome != beacon.Raised || r.Message.Rank != 2 || r.Message.Lasts != 6 {
		t.Errorf("what went out is %v: %+v", r.Outcome, r)
	}
	if _, n := sent(12); n != 1 {
		t.Errorf("another station's was passed on %d times", n)
	}
}
