package station

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/keep/journal"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
	sim "tocsin/hwtest/beidou"
	"tocsin/hwtest/port"
)

// linkedTown is a town with a county that hears from it by fibre and by BeiDou.
type linkedTown struct {
	*town
	hub *hubEnd
	sky *skyHub
}

func newLinkedTown(t *testing.T) *linkedTown {
	t.Helper()
	w := &linkedTown{town: newTown(t), hub: newHub(t)}
	p, err := port.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	sky := sim.NewSky(3)
	sky.Set(sim.Weather{Least: 10 * time.Millisecond})
	terminal := sky.Terminal(sim.BDS3, sim.Card{Number: townCard, Frequency: 1, Level: 3})
	go terminal.Serve(p)
	w.sky = newSkyHub(t, sky)
	w.secret("county.key", townRoot)
	w.secret("seed", w.hub.seed)
	w.write("links.yaml", shipped(t, "links.yaml", `(?s)probe: \{every: 5s, within: 3s, misses: 3, good: 2\}(.*?)every: 60s\n(.*?)ack: 50s`, "probe: {every: 1s, within: 500ms, misses: 2, good: 1}${1}every: 1s\n${2}ack: 2s"))
	w.text = strings.Replace(w.text, "page:", fmt.Sprintf(`county: {number: 17, root: secrets/county.key}
links:
  fibre: {kind: nats, servers: ["%s"], seed: secrets/seed}
  beidou: {kind: beidou, port: %s, to: "%d", transmit: {card: "%d", approval: bench}}
page:`, w.hub.cable.l.Addr(), p.Path, countyCard, townCard), 1)
	w.write("site.yaml", w.text)
	return w
}

func (w *linkedTown) secret(name, text string) {
	w.t.Helper()
	f := filepath.Join(w.dir, "secrets", name)
	if err := os.MkdirAll(filepath.Dir(f), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// tell posts a message as the herald does, and gives its name.
func (w *linkedTown) tell(class courier.Class) wire.Name {
	w.t.Helper()
	p := w.house.Load().post
	n, ok := p.name()
	if !ok {
		w.t.Fatal("no name")
	}
	short, err := wire.AlarmItem{Name: n, At: uint32(time.Now().Unix()), Rank: 2, Hazard: "flood", Text: "水位 103.2 m"}.Append(nil, 60)
	if err != nil {
		w.t.Fatal(err)
	}
	long, ok := p.envelope(n, wire.Envelope{Class: wire.Class(class), Type: 16, Content: []byte("<alert/>")})
	if !ok {
		w.t.Fatal("not sealed")
	}
	p.send(courier.Message{ID: n.String(), Class: class, Payload: long, Short: short},
		journal.Batch{Records: []journal.Record{{Kind: "alert.sent", Cause: n.String()}}})
	return n
}

func (w *linkedTown) link(name string) courier.LinkStatus {
	st, ok := w.house.Load().courierStatus()
	if i := slices.IndexFunc(st.Links, func(l courier.LinkStatus) bool { return l.Link == name }); ok && i >= 0 {
		return st.Links[i]
	}
	return courier.LinkStatus{}
}

func (w *linkedTown) up(name string) {
	w.t.Helper()
	w.until(name+" up", func() bool { s := w.link(name).State; return s == courier.Up || s == courier.Returning })
}

func (w *linkedTown) waits() int {
	st, _ := w.house.Load().courierStatus()
	n := 0
	for _, c := range st.Classes {
		if c.Class == "alarm" || c.Class == "warning" {
			n += c.Waiting
		}
	}
	return n
}

func TestWhenTheFibreGoesAMessageGoesOutByBeiDouAndNoneIsLostByARestart(t *testing.T) {
	t.Parallel()
	w := newLinkedTown(t)
	w.start()
	w.up("fibre")
	w.up("beidou")
	first := w.tell(courier.Alarm)
	w.until("the first at the hub", func() bool { return len(w.hub.got(first.String())) == 1 })
	w.until("its receipt", func() bool { return w.waits() == 0 })
	l := w.hub.got(first.String())[0]
	if e, err := wire.OpenEnvelope(l.Body, 1<<20, townKeys(t), wire.Up); err != nil || !e.Sealed || e.ID.Station != string(townStation) || l.Link != "fibre" || l.Class != letter.Alarm {
		t.Errorf("%+v by %q: %v", e, l.Link, err)
	}
	if n := w.sky.alarm(first); n != 0 {
		t.Errorf("what the fibre delivered went out %d times by BeiDou, which costs", n)
	}

	w.hub.cable.set(false, false)
	w.until("the fibre is called", func() bool { _, there := w.fault("link fibre"); return there })
	second := w.tell(courier.Alarm)
	w.until("the second by BeiDou", func() bool { return w.sky.alarm(second) == 1 })
	w.until("its acknowledgement", func() bool { return w.waits() == 0 })

	w.sky.setDeaf(true)
	third := w.tell(courier.Alarm)
	w.halt()
	w.start()
	if w.waits() != 1 {
		t.Fatalf("%d messages wait after a restart, want the third", w.waits())
	}
	fourth := w.tell(courier.Alarm)
	if fourth.Outbox != third.Outbox || fourth.Seq <= third.Seq {
		t.Errorf("%v was named after %v", fourth, third)
	}
	w.hub.cable.set(true, false)
	w.until("both at the hub", func() bool { return len(w.hub.got(third.String())) > 0 && len(w.hub.got(fourth.String())) > 0 })
	w.until("all receipts", func() bool { return w.waits() == 0 })
	w.until("the fibre is well", func() bool { _, there := w.fault("link fibre"); return !there })
	if f, there := w.fault("outbox"); there {
		t.Errorf("called: %s", f.Why.EN)
	}
}
