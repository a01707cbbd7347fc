package station

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/firmware/keep/journal"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/serve/api"
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
	w.write("links.yaml", shipped(t, "links.yaml", `(?s)probe: \{every: 5s, within: 3s, misses: 3, good: 2\}(.*?)every: 60s\n(.*?)ack: 50s`, "probe: {every: 2s, within: 2s, misses: 3, good: 1}${1}every: 1s\n${2}ack: 2s"))
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

// reserved waits until names are of the outbox that outlives the run; before, a disk
// that is slow lends none.
func (w *linkedTown) reserved() {
	w.t.Helper()
	w.until("names are reserved", func() bool {
		n := w.house.Load().post.names
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.next > 0
	})
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
	w.reserved()
	third := w.tell(courier.Alarm)
	w.halt()
	w.start()
	w.until("the third waits", func() bool { return w.house.Load().post.as() != nil && w.waits() == 1 })
	w.reserved()
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

func TestALinkThatTakesEverythingAndCarriesNothingHoldsNothingUp(t *testing.T) {
	t.Parallel()
	w := newLinkedTown(t)
	w.hub.cable.set(false, true) // from the start: it is never opened
	w.start()
	w.up("beidou")
	w.v.Gas.Set(gasEvacuate) // a red of the box's own
	w.until("the red by BeiDou", func() bool {
		_, there := w.sky.find(func(a wire.AlarmItem) bool {
			return a.Hazard == "gas" && a.Event == wire.AlarmRaised && strings.Contains(a.Text, "40")
		})
		return there
	})
	w.until("called", func() bool { _, there := w.fault("link fibre"); return there })
	w.hub.cable.set(true, false)
	w.up("fibre")
	w.hub.cable.set(true, true) // while it is open
	second := w.tell(courier.Alarm)
	w.until("by BeiDou, too", func() bool { return w.sky.alarm(second) > 0 })
	w.until("all there", func() bool { return w.waits() == 0 })
}

// loseDisk puts a file into the place of the data folder in one step, so that the house, which looks after its files
// meanwhile, finds either the folder or a place where none can be made.
func (w *linkedTown) loseDisk() {
	w.t.Helper()
	gone := w.data + ".gone"
	if err := os.WriteFile(gone, nil, 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := unix.Renameat2(unix.AT_FDCWD, gone, unix.AT_FDCWD, w.data, unix.RENAME_EXCHANGE); err != nil {
		w.t.Fatal(err)
	}
	if err := os.RemoveAll(gone); err != nil {
		w.t.Fatal(err)
	}
}

// The newest red goes out over an outbox that is full and a disk that is dead; what was
// refused is called and its record kept.
func TestAFullOutboxOnADeadDiskSendsTheNewestWarning(t *testing.T) {
	t.Parallel()
	w := newLinkedTown(t)
	w.hub.cable.set(false, false)
	w.sky.setDeaf(true)
	text, err := os.ReadFile(filepath.Join(w.dir, "links.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	w.write("links.yaml", strings.Replace(string(text), "rows: 20000", "rows: 100", 1))
	w.start()
	w.until("the courier", func() bool { _, ok := w.house.Load().courierStatus(); return ok && w.house.Load().post.as() != nil })
	for range 100 {
		w.tell(courier.Alarm)
	}
	refused := w.tell(courier.Alarm)
	w.until("called", func() bool { _, there := w.fault("outbox"); return there })
	w.until("its record kept", func() bool {
		return slices.ContainsFunc(w.house.Load().journal.Recent(500), func(r journal.Record) bool { return r.Cause == refused.String() })
	})
	w.loseDisk()
	red := w.tell(courier.Warning)
	w.until("the disk called", func() bool { _, there := w.fault("journal"); return there })
	if st, _ := w.house.Load().courierStatus(); st.Rows != 101 || st.Kept {
		t.Errorf("%d rows, kept %v", st.Rows, st.Kept)
	}
	w.hub.cable.set(true, false)
	w.until("the red at the hub", func() bool { return len(w.hub.got(red.String())) > 0 })
	w.until("and all else", func() bool { return w.waits() == 0 })
	if len(w.hub.got(refused.String())) > 0 {
		t.Error("what was refused went out")
	}
	if err := os.Remove(w.data); err != nil {
		t.Fatal(err)
	}
}

func TestLinksAreExchangedBesideASoundingSirenAndLoseNothing(t *testing.T) {
	t.Parallel()
	w := newLinkedTown(t)
	w.hub.cable.set(false, false)
	w.sky.setDeaf(true)
	w.start()
	w.until("the courier", func() bool { return w.house.Load().post.as() != nil })
	first := w.tell(courier.Alarm)
	began := time.Now()
	w.v.Gas.Set(gasEvacuate)
	a := w.raised("gas", "evacuate")
	w.sounds(began)
	// The hub at its own place, and a terminal whose approval was taken back.
	w.editBy("王", w.hub.cable.l.Addr().String(), w.hub.server.Addr().String(), fmt.Sprintf(`, transmit: {card: "%d", approval: bench}`, townCard), "")
	w.until("the first at the hub", func() bool { return len(w.hub.got(first.String())) > 0 })
	w.until("all receipts", func() bool { return w.waits() == 0 })
	if b := w.raised("gas", "evacuate"); b.ID != a.ID {
		t.Errorf("%+v", b)
	}
	w.until("beidou only listens", func() bool {
		l := w.link("beidou")
		return l.State == courier.Off && l.Why.Code == "narrow.bar_receive_only"
	})
	// A terminal that only listens is a note: what was called while it was opened is called no more.
	w.until("no fault of the terminal", func() bool { _, there := w.fault("link beidou"); return !there })
	// What the county seals is heard all the same.
	w.sky.tell(wire.Receipt, wire.Item{Type: wire.ItemText, Bytes: []byte("好")})
	w.until("the county's words", func() bool {
		return slices.ContainsFunc(w.house.Load().journal.Recent(1000), func(r journal.Record) bool { return r.Kind == "link.text" })
	})
	// So is its time, as one source among others.
	w.sky.tell(wire.Telemetry, wire.Item{Type: wire.ItemTime, Bytes: wire.Clock{UnixMilli: time.Now().UnixMilli(), Within: 9}.Bytes()})
	w.until("the county's time", func() bool {
		return slices.ContainsFunc(w.house.Load().Times().Sources, func(s api.TimeSource) bool {
			return s.Name == "county beidou" && s.Kind == "downlink" && s.Live && s.Ahead.Abs() < time.Minute
		})
	})
}

func TestAHubThatNobodyVouchesForGetsNothing(t *testing.T) {
	t.Parallel()
	w := newLinkedTown(t)
	secure := newHubTLS(t)
	w.write("ca.pem", strangersCA(t))
	w.secret("seed", secure.seed)
	w.text = strings.Replace(w.text, w.hub.cable.l.Addr().String()+`"], seed`, secure.cable.l.Addr().String()+`"], ca: ca.pem, seed`, 1)
	w.write("site.yaml", w.text)
	w.start()
	w.up("beidou")
	n := w.tell(courier.Alarm)
	w.until("by BeiDou", func() bool { return w.sky.alarm(n) > 0 })
	w.until("called", func() bool { _, there := w.fault("link fibre"); return there })
	if len(secure.got(n.String())) > 0 {
		t.Error("a stranger's hub got it")
	}
	// With the right one it is believed at once.
	w.write("ca.pem", secure.ca)
	w.reload <- nil
	w.up("fibre")
	m := w.tell(courier.Alarm)
	w.until("at the hub", func() bool { return len(secure.got(m.String())) > 0 })
}
