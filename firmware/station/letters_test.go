package station

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/decide/command"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/narrow"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/trust"
	sim "tocsin/hwtest/beidou"
	"tocsin/hwtest/cell"
	"tocsin/hwtest/port"
)

// newCondenser lets an issuer warn the town in 78 bytes.
func newCondenser(t *testing.T, w *town) func(serial uint8, cancel bool) []byte {
	t.Helper()
	key, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := trust.PublicPEM(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	w.write("narrow.pub", string(pub))
	w.text = strings.Replace(w.text, "    issuers:\n", `    issuers:
      narrow:
        name: {zh: 窄带, en: Narrow}
        senders: [narrow@example]
        keys: [{file: narrow.pub}]
        grant: {kinds: [real], most_level: evacuate, areas: ["4418"]}
        compact: {number: 7, region: "441882", sender: narrow@example}
`, 1)
	w.write("site.yaml", w.text)
	now := time.Now().UTC()
	minute := uint16(now.Hour()*60 + now.Minute())
	return func(serial uint8, cancel bool) []byte {
		t.Helper()
		x := compact.Warning{Type: compact.Alert, Issuer: 7, Chain: compact.Chain{DayBits: uint8(compact.DayOf(now) & 7), Serial: serial}, Event: 3, Severity: 3, Certainty: 1,
			Start: minute, Duration: 11, Area: compact.Area{Mode: compact.Division, Digits: 103201}, Template: 2, P: 68, Q: 1}
		if cancel {
			x = compact.Warning{Type: compact.Cancel, Issuer: 7, Chain: x.Chain, Start: min(minute+1, 24*60-1), Template: 2}
		}
		b, err := compact.Sign(x, key, compact.DayOf(now), "441882")
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// What comes down by any link ends in the one verifier, and is told to the hub as taken
// once it was judged.
func TestWhatTheCountySendsDownIsJudgedByItsOwnSignature(t *testing.T) {
	t.Parallel()
	w := newLinkedTown(t)
	county, second := newOffice(t, w.town)
	condensed := newCondenser(t, w.town)
	w.start()
	w.up("fibre")

	w.hub.give("nonsense", letter.Command, []byte("scope: sound"))
	w.hub.give("forged", letter.Warning, []byte(strings.Replace(string(county.says(warning{}).text), "山洪", "大水", 1)))
	w.until("both judged", func() bool { return w.hub.taken("nonsense") && w.hub.taken("forged") })
	if n := len(w.warnings()); n != 0 {
		t.Fatalf("%d warnings by forgeries", n)
	}
	began := time.Now()
	red := county.says(warning{})
	w.hub.give("red", letter.Warning, red.text)
	a := w.warning("evacuate", "raised")
	w.sounds(began)
	w.until("taken", func() bool { return w.hub.taken("red") })
	w.hub.give("lift", letter.Warning, county.says(warning{msgType: "Cancel", refers: []string{red.ref}}).text)
	if got := w.warning("", "released"); got.ID != a.ID {
		t.Errorf("%+v", got)
	}

	// 78 bytes as they come over the air, and in the county's seal.
	w.up("beidou")
	w.sky.radiate(condensed(12, false))
	if b := w.warning("evacuate", "raised"); b.ID == a.ID {
		t.Errorf("%+v", b)
	}
	w.sky.tell(wire.Warning, wire.Item{Type: wire.ItemWarning, Bytes: condensed(12, true)})
	w.until("lifted", func() bool { return len(open(w.warnings())) == 0 })

	// A command is longer than a message: its fragments are put together.
	n := uint64(time.Now().Unix())
	b, err := command.Sign(command.Payload{Scope: command.Volume, Volume: 40, ID: "v", Counter: n, Group: "valley", Person: "李", Issued: time.Now(), Expires: time.Now().Add(5 * time.Minute)}, second.key)
	if err != nil {
		t.Fatal(err)
	}
	w.sky.tell(wire.Command, wire.Item{Type: wire.ItemCommand, Bytes: b})
	w.until("the command obeyed", func() bool { return w.house.Load().volume.Load() == 40 })
	w.sky.sky.Radiate(sim.Message{From: countyCard + 1, To: townCard, Coding: sim.Code, Content: strings.ToUpper(hex.EncodeToString(b[:70]))})
	w.silent()
}

func open(all []api.Alarm) (some []api.Alarm) {
	for _, a := range all {
		if a.State != "released" {
			some = append(some, a)
		}
	}
	return some
}

// By SMS only what proves itself counts: a stranger's text is counted and left.
func TestASignedSMSSoundsWhateverItsNumberAndAStrangersTextDoesNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	newOffice(t, w)
	condensed := newCondenser(t, w)
	p, err := port.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	m := cell.New()
	go m.Serve(p)
	w.text = strings.Replace(w.text, "page:", fmt.Sprintf("links: {texts: {kind: modem, port: %s}}\npage:", p.Path), 1)
	w.write("site.yaml", w.text)
	w.start()
	red := condensed(3, false)
	for range 3 {
		m.Say(cell.SMS{Number: "+8613800000000", Text: "立即转移！ evacuate now"})
	}
	m.Say(cell.SMS{Number: "+8613800000000", Text: compact.Text(append([]byte{red[0], red[1] ^ 1}, red[2:]...))})
	w.until("read", func() bool { held, _ := m.Stored(); return held == 0 })
	w.until("told once", func() bool {
		n := 0
		for _, r := range w.house.Load().journal.Recent(500) {
			if r.Kind == "link.unread" {
				n++
			}
		}
		return n == 1
	})
	if n := len(w.warnings()); n != 0 {
		t.Fatalf("a stranger raised %d warnings", n)
	}
	began := time.Now()
	m.Say(cell.SMS{Number: "+8610086", Text: compact.Text(red)})
	w.warning("evacuate", "raised")
	w.sounds(began)
	m.Say(cell.SMS{Number: "+8612345", Text: compact.Text(condensed(3, true))})
	w.warning("", "released")
}

// A text message carries what is sealed as base64, both ways, and is paid for only where it
// must be.
func TestSealedMessagesGoBySMS(t *testing.T) {
	t.Parallel()
	w := &linkedTown{town: newTown(t)}
	p, err := port.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	m := cell.New()
	go m.Serve(p)
	w.secret("county.key", townRoot)
	const county, own = "+8613800138000", "+8613900139000"
	w.text = strings.Replace(w.text, "page:", fmt.Sprintf("county: {number: 17, root: secrets/county.key}\nlinks: {sms: {kind: modem, port: %s, to: %q, self: %q, transmit: {}}}\npage:", p.Path, county, own), 1)
	w.write("site.yaml", w.text)
	end, err := narrow.New(narrow.Opts{Link: "sms", Direction: wire.Down, Keys: townKeys(t), Self: county, Peer: own, Keep: &ram{}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	w.start()
	w.up("sms")
	n, heard := w.tell(courier.Alarm), 0
	w.until("the alarm by SMS", func() bool {
		for _, s := range m.Sent()[heard:] {
			heard++
			b, err := base64.StdEncoding.DecodeString(s.Text)
			if err != nil || s.Number != county {
				t.Fatalf("%q went to %s", s.Text, s.Number)
			}
			r, err := end.Hear(t.Context(), b, own, clock.Mono())
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range r.Heard {
				if a, err := wire.ReadAlarm(x.Items[0].Bytes); err == nil && a.Name == n {
					end.Kept(x.Counter)
					return true
				}
			}
		}
		return false
	})
	f, ok, err := end.Acks(t.Context(), 100)
	if err != nil || !ok {
		t.Fatal(err)
	}
	m.Say(cell.SMS{Number: county, Text: base64.StdEncoding.EncodeToString(f.Bytes)})
	w.until("its receipt", func() bool { return w.waits() == 0 })
	if l := w.link("sms"); l.Spent <= 0 || l.Balance >= l.Full {
		t.Errorf("spent %v of %v", l.Spent, l.Full)
	}
}
