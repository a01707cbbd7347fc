package station

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/trust"
	"tocsin/firmware/trust/xmldsig"
	sim "tocsin/hwtest/beidou"
	"tocsin/hwtest/port"
)

// twinSender is the office's code in the national system, in which alone a colour is read: 6 digits of GB/T 2260, 3 of
// GB/T 4657, 3 of the unit, 2 of extension.
const twinSender = "44188241600000"

var beijing = time.FixedZone("CST", 8*3600)

// coloured is a county's red flash flood warning in the national form, or what ends it, and the
// reference by which others name it.
func coloured(t *testing.T, key trust.Signer, msgType string, n int, refers string, at time.Time) (text []byte, ref string) {
	t.Helper()
	stamp := func(d time.Duration) string {
		return at.Add(d).In(beijing).Format("2006-01-02 15:04:05") + "+08:00"
	}
	id := fmt.Sprintf("%s_%s_%d", twinSender, at.In(beijing).Format("20060102150405"), n)
	if refers != "" {
		refers = "<references>" + refers + "</references>"
	}
	plain := fmt.Sprintf(`<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>%s</identifier><sender>%s</sender><sent>%s</sent>`+
		`<status>Actual</status><msgType>%s</msgType><scope>Public</scope>%s<info><language>zh-CN</language><category>Geo</category><event>山洪灾害</event>`+
		`<urgency>Immediate</urgency><severity>Extreme</severity><certainty>Likely</certainty>`+
		`<eventCode><valueName>eventType</valueName><value>11A51</value></eventCode><expires>%s</expires><senderName>县局</senderName>`+
		`<headline>山洪灾害红色预警</headline><description>请转移。</description><parameter><valueName>colour</valueName><value>红色</value></parameter>`+
		`<area><areaDesc>黄渡村</areaDesc><geocode><valueName>areaCode</valueName><value>441882103201</value></geocode></area></info></alert>`,
		id, twinSender, stamp(0), msgType, refers, stamp(time.Hour))
	signed, err := xmldsig.Sign([]byte(plain), key, nil, xmldsig.SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return signed, twinSender + "," + id + "," + at.In(beijing).Format("2006-01-02T15:04:05") + "+08:00"
}

// A warning that came in full and in its short form is one alarm, whichever came first, and
// stands until both are lifted.
func TestAWarningInBothItsFormsIsOneAlarm(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	o, _ := newOffice(t, w)
	key, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := trust.PublicPEM(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	w.write("short.pub", string(pub))
	p, err := port.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	const card, centre = 4207733, 179773
	sky := sim.NewSky(7)
	sky.Set(sim.Weather{Least: 10 * time.Millisecond})
	terminal := sky.Terminal(sim.BDS3, sim.Card{Number: card, Frequency: 60, Level: 3})
	go terminal.Serve(p)
	w.text = strings.NewReplacer("{file: second.pub, person: 李}]", `{file: second.pub, person: 李}, {file: short.pub}]
        compact: {number: 7, region: "441882", sender: county@example}`, "senders: [county@example]", `senders: [county@example, "`+twinSender+`"]`, "page:", "links: {sky: {kind: beidou, port: "+p.Path+"}}\npage:").Replace(w.text)
	w.write("site.yaml", w.text)
	w.start()
	w.until("the terminal up", func() bool { return len(terminal.Heard()) > 0 })

	tables, err := compact.LoadTables(os.DirFS("../../configs"))
	if err != nil {
		t.Fatal(err)
	}
	cap12, err := alert.LoadTables(os.DirFS("../../configs"))
	if err != nil {
		t.Fatal(err)
	}
	serial := uint8(0)
	// condensed is what the county's hub makes of a document at an instant.
	condensed := func(full []byte, now time.Time, chain compact.Chain) ([]byte, compact.Warning) {
		t.Helper()
		a, found := alert.Parse(full, cap12)
		if a == nil {
			t.Fatal(found)
		}
		serial++
		x, _, err := tables.Condense(a, compact.Issue{Issuer: 7, Region: "441882", At: now, Serial: serial, Chain: chain, Template: 2, P: 68, Q: 1})
		if err != nil {
			t.Fatal(err)
		}
		b, err := compact.Sign(x, key, compact.DayOf(now), "441882")
		if err != nil {
			t.Fatal(err)
		}
		return b, x
	}
	air := func(b []byte) {
		sky.Radiate(sim.Message{From: centre, To: card, Coding: sim.Code, Content: strings.ToUpper(hex.EncodeToString(b))})
	}
	one := func(what, state string) (id string) {
		t.Helper()
		w.until(what, func() bool {
			all, open := w.warnings(), 0
			for _, a := range all {
				if a.State != "released" {
					open++
				}
				if a.State == state {
					id = a.ID
				}
			}
			return id != "" && open <= 1 && (state == "released") == (open == 0)
		})
		return id
	}
	known := func(n int) {
		t.Helper()
		w.until(fmt.Sprintf("%d forms known", n), func() bool {
			var all []struct {
				State string `json:"state"`
			}
			if w.get("/alerts", &all) != nil {
				return false
			}
			in := 0
			for _, a := range all {
				if a.State == "in_force" {
					in++
				}
			}
			return in == n
		})
	}
	seen := map[string]bool{}
	for round, shortFirst := range []bool{true, false} {
		at := time.Now().Truncate(time.Second)
		full, ref := coloured(t, o.key, "Alert", 2*round, "", at)
		brief, x := condensed(full, at.UTC(), compact.Chain{})
		give := []func(){func() { air(brief) }, func() { w.warnedBy(warning{text: full}) }}
		if !shortFirst {
			give[0], give[1] = give[1], give[0]
		}
		give[0]()
		a := w.warning("evacuate", "raised").ID
		if seen[a] {
			t.Fatalf("%s was another warning's", a)
		}
		seen[a] = true
		give[1]()
		known(2)
		if got := one("one alarm", "raised"); got != a {
			t.Errorf("the second form took the alarm from %s to %s", a, got)
		}
		// Lifted in one form, it stands by the other.
		lift, _ := coloured(t, o.key, "Cancel", 2*round+1, ref, at.Add(time.Second))
		w.warnedBy(warning{text: lift})
		known(1)
		if got := one("still one alarm", "raised"); got != a {
			t.Errorf("lifted by half, %s stands and not %s", got, a)
		}
		// The day is the chain's, whether or not it is over by now.
		cancel, err := compact.Sign(compact.Warning{Type: compact.Cancel, Issuer: 7, Chain: x.Chain, Start: x.Start, Template: 2}, key, compact.DayOf(at), "441882")
		if err != nil {
			t.Fatal(err)
		}
		air(cancel)
		w.until("lifted by both", func() bool {
			for _, x := range w.warnings() {
				if x.ID == a {
					return x.State == "released" && x.By != nil && x.By.Via == "alert"
				}
			}
			return false
		})
		known(0)
	}
}
