package station

import (
	"strings"
	"testing"
	"time"

	"tocsin/firmware/decide/beacon"
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
	w.edit("number: 12", "number: 14")
	w.hangUp()
	w.within(20*time.Second, "the level ended", func() bool {
		for _, x := range w.warnings() {
			if x.ID == a.ID && x.State == "raised" {
				return false
			}
		}
		return true
	})
}
