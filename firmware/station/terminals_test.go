package station

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/speech"
	"tocsin/firmware/trust"
	sim "tocsin/hwtest/beidou"
	"tocsin/hwtest/port"
)

// With no other link a warning of one message must reach the siren, and a forged one
// must not.
func TestAWarningOfOneBeiDouMessageSounds(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	newOffice(t, w)
	key, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := trust.PublicPEM(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	w.write("narrow.pub", string(pub))
	p, err := port.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	const card, centre = 4207733, 179773
	sky := sim.NewSky(7)
	sky.Set(sim.Weather{Least: 10 * time.Millisecond, Double: 0.5})
	terminal := sky.Terminal(sim.BDS3, sim.Card{Number: card, Frequency: 60, Level: 3})
	terminal.Set(func(_ *sim.Card, ways *sim.Ways) { ways.Split, ways.Garbage = 11, 0.2 })
	go terminal.Serve(p)
	w.text = strings.Replace(w.text, "    issuers:\n", `    issuers:
      narrow:
        name: {zh: 窄带, en: Narrow}
        senders: [narrow@example]
        keys: [{file: narrow.pub}]
        grant: {kinds: [real], most_level: evacuate, areas: ["4418"]}
        compact: {number: 7, region: "441882", sender: narrow@example}
`, 1)
	w.text = strings.Replace(w.text, "page:", "links: {sky: {kind: beidou, port: "+p.Path+"}}\npage:", 1)
	w.write("site.yaml", w.text)
	w.start()

	now := time.Now().UTC()
	warn := compact.Warning{Type: compact.Alert, Issuer: 7, Chain: compact.Chain{DayBits: uint8(compact.DayOf(now) & 7), Serial: 12}, Event: 3, Severity: 3, Certainty: 1,
		Start: uint16(now.Hour()*60 + now.Minute()), Duration: 11, Area: compact.Area{Mode: compact.Division, Digits: 103201}, Template: 2, P: 68, Q: 1}
	send := func(x compact.Warning, by trust.Signer) {
		t.Helper()
		b, err := compact.Sign(x, by, compact.DayOf(now), "441882")
		if err != nil {
			t.Fatal(err)
		}
		sky.Radiate(sim.Message{From: centre, To: card, Coding: sim.Code, Content: strings.ToUpper(hex.EncodeToString(b))})
	}
	w.until("the terminal up", func() bool { return len(terminal.Heard()) > 0 })
	send(warn, stranger)
	w.until("the forged one held", func() bool {
		var all []api.Alert
		if w.get("/alerts", &all) != nil {
			return false
		}
		for _, a := range all {
			if a.State == "held" && len(a.Ways) == 1 && a.Ways[0] == "link sky" {
				return true
			}
		}
		return false
	})
	if len(w.warnings()) != 0 {
		t.Fatalf("a forged message raised %+v", w.warnings())
	}
	began := time.Now()
	send(warn, key)
	a := w.warning("evacuate", "raised")
	w.sounds(began)
	// What is heard of it is its own sentence, sample by sample from the clips.
	var wav bytes.Buffer
	if ok, err := w.house.Load().LastSound(&wav); !ok || err != nil {
		t.Fatal(ok, err)
	}
	heard, err := speech.ReadWAV(&wav)
	if err != nil {
		t.Fatal(err)
	}
	follow(t, heard.Samples, 0, strings.Fields("say-attention.cmn say-issued.cmn say-flash-flood.cmn say-red.cmn say-warning.cmn say-huangdu.cmn say-one-hour.cmn say-has-rained.cmn say-6.cmn say-10.cmn say-8.cmn say-mm.cmn say-flood-now.cmn say-danger-zone.cmn say-go-to.cmn say-village-school.cmn say-no-return.cmn"))
	send(warn, key) // a relay's copy
	cancel := compact.Warning{Type: compact.Cancel, Issuer: 7, Chain: warn.Chain, Start: warn.Start, Template: warn.Template}
	if cancel.Start++; cancel.Start >= 24*60 {
		cancel.Start = 24*60 - 1
	}
	send(cancel, key)
	if got := w.warning("", "released"); got.ID != a.ID || got.By == nil || got.By.Via != "alert" {
		t.Errorf("%+v", got)
	}
	w.silent()
}
