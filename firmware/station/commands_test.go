package station

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/command"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/trust"
)

// desk is a person who signs commands.
type desk struct {
	w    *town
	keys []trust.Signer
	n    uint64
}

func (d *desk) sign(p command.Payload) []byte {
	d.w.t.Helper()
	d.n++
	p.Group, p.Person = "valley", "李"
	if p.Counter = d.n; p.ID == "" {
		p.ID = fmt.Sprintf("c%d", d.n)
	}
	if p.Issued.IsZero() {
		p.Issued, p.Expires = time.Now(), time.Now().Add(5*time.Minute)
	}
	b, err := command.Sign(p, d.keys...)
	if err != nil {
		d.w.t.Fatal(err)
	}
	return b
}

func (d *desk) orders(p command.Payload) api.CommandVerdict {
	d.w.t.Helper()
	return d.w.ordered(d.sign(p))
}

func (w *town) ordered(b []byte) (v api.CommandVerdict) {
	w.t.Helper()
	w.hand("/commands", "application/vnd.dsse.envelope.v1+json", b, &v)
	return v
}

func (v wantedVerdict) check(t *testing.T, what string, got api.CommandVerdict) {
	t.Helper()
	if got.Accepted != v.accepted || !strings.Contains(got.Outcome.EN, v.says) {
		t.Errorf("%s: %+v", what, got)
	}
}

type wantedVerdict struct {
	accepted bool
	says     string
}

const cityIssuer = `      city:
        senders: [city@example]
        keys: [{file: city.pub}]
        grant: {kinds: [real], most_level: prepare, areas: ["4418"], scopes: [sound, stop, volume]}
  groups:`

// newDesks are the county, two persons of it, and a city that may raise no more than
// prepare, in a town with a second siren.
func newDesks(t *testing.T) (w *town, county, city *desk) {
	w = newTown(t)
	w.text = strings.Replace(w.text, "inputs:", "  lamp: {kind: electronic, relay: relay.4, fail_safe: 30s}\ninputs:", 1)
	first, second := newOffice(t, w)
	k, err := trust.NewSigner(trust.P256)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := trust.PublicPEM(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	w.write("city.pub", string(pub))
	w.text = strings.Replace(w.text, "  groups:", cityIssuer, 1)
	w.write("site.yaml", w.text)
	return w, &desk{w: w, keys: []trust.Signer{first.key, second.key}}, &desk{w: w, keys: []trust.Signer{k}}
}

func TestACommandReachesNoFurtherThanItsIssuer(t *testing.T) {
	t.Parallel()
	w, county, city := newDesks(t)
	w.start()
	red := command.Payload{Scope: command.Sound, ID: "one", Level: "evacuate", Outputs: []string{"siren"}, Seconds: 600}
	wantedVerdict{accepted: true}.check(t, "the county's", county.orders(red))
	a := w.warning("evacuate", "raised")
	for what, c := range map[string]struct {
		p    command.Payload
		says string
	}{
		"a level above its grant":      {command.Payload{Scope: command.Sound, Level: "evacuate", Outputs: []string{"siren"}, Seconds: 60}, "may not raise"},
		"lifting what another ordered": {command.Payload{Scope: command.Stop, Cause: a.ID}, "not this issuer's"},
		"a stop of one output":         {command.Payload{Scope: command.Stop, Outputs: []string{"lamp"}}, "or none"},
		"a volume of one output":       {command.Payload{Scope: command.Volume, Volume: 1, Outputs: []string{"lamp"}}, "or none"},
	} {
		wantedVerdict{says: c.says}.check(t, what, city.orders(c.p))
	}
	// Another issuer's command of the same name is another command.
	low := red
	low.Level, low.Outputs = "prepare", []string{"lamp"}
	wantedVerdict{accepted: true}.check(t, "the city's", city.orders(low))
	w.warning("prepare", "raised")
	if got := w.warning("evacuate", "raised"); got.ID != a.ID {
		t.Errorf("%+v", got)
	}
	// Its own is replaced, and stays one alarm.
	red.Level = "prepare"
	wantedVerdict{accepted: true}.check(t, "the county's second", county.orders(red))
	w.until("two at prepare", func() bool {
		all := w.warnings()
		return len(all) == 2 && all[0].Level == "prepare" && all[1].Level == "prepare"
	})
	wantedVerdict{accepted: true}.check(t, "the county's stop", county.orders(command.Payload{Scope: command.Stop, Cause: a.ID}))
	w.until("the county's is lifted", func() bool {
		for _, x := range w.warnings() {
			if x.ID == a.ID {
				return x.State == "released" && x.By != nil && strings.Contains(x.By.Name, "县局")
			}
		}
		return false
	})
}

func TestACommandSoundsAfterACutWhereItWasOrderedAndNoLonger(t *testing.T) {
	t.Parallel()
	w, county, _ := newDesks(t)
	w.start()
	wantedVerdict{accepted: true}.check(t, "sound", county.orders(command.Payload{Scope: command.Sound, Level: "evacuate", Outputs: []string{"lamp"}, Seconds: 600}))
	a := w.warning("evacuate", "raised")
	w.halt()
	// Nobody can tell how long ago it began: another boot of a board without a clock.
	w.remember(keyOrders, func(b []byte) []byte {
		var k ordersKept
		if err := json.Unmarshal(b, &k); err != nil || len(k.Stand) != 1 {
			t.Fatalf("%s: %v", b, err)
		}
		k.Stand[0].Begun, k.Stand[0].For = clock.Stamp{Boot: "another", Mono: time.Hour}, 6*time.Second
		b, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
	began := time.Now()
	w.start()
	if got := w.warning("", "subsided"); got.ID != a.ID {
		t.Errorf("%+v", got)
	}
	if w.v.Horn.Current().OnBetween(began, time.Now()) > 0 {
		t.Error("the siren sounded, which nobody ordered")
	}
}

func TestAnOldOrderForAFileIsNotCarriedOut(t *testing.T) {
	t.Parallel()
	w, county, _ := newDesks(t)
	w.start()
	file := func(limit string) string {
		return strings.Replace(w.text, "gas.ch4, prepare: 20", "gas.ch4, prepare: "+limit, 1)
	}
	offer := func(text string) (said api.Text) {
		t.Helper()
		w.hand("/documents", "application/yaml", []byte(text), &said)
		return said
	}
	order := func(text string, issued time.Time, life time.Duration) []byte {
		return county.sign(command.Payload{Scope: command.Configuration, Content: contentOf(text), Issued: issued, Expires: issued.Add(life)})
	}
	now := time.Now().Truncate(time.Second)
	first, late := order(file("21"), now.Add(-2*time.Minute), 10*time.Minute), order(file("23"), now.Add(-time.Minute), 10*time.Minute)
	wantedVerdict{accepted: true}.check(t, "the first", w.ordered(first))
	wantedVerdict{accepted: true}.check(t, "the second", w.ordered(order(file("22"), now, 2*time.Second)))
	wantedVerdict{says: "newer"}.check(t, "one that was held up", w.ordered(late))
	if said := offer(file("21")); !strings.Contains(said.EN, "kept until") {
		t.Errorf("%+v", said)
	}
	w.until("the second is no longer good", func() bool { return time.Now().After(now.Add(4 * time.Second)) })
	if said := offer(file("22")); !strings.Contains(said.EN, "kept until") {
		t.Errorf("%+v", said)
	}
	if b, err := os.ReadFile(filepath.Join(w.dir, "site.yaml")); err != nil || string(b) != w.text {
		t.Errorf("the site's file changed: %v", err)
	}
}

func TestACommandThatTheBoundsForbidIsRefusedAndNotTakenInSilence(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	first, second := newOffice(t, w)
	w.start()
	n := uint64(time.Now().Unix())
	send := func(p command.Payload) (v api.CommandVerdict) {
		t.Helper()
		n++
		p.ID, p.Counter, p.Group, p.Person, p.Issued, p.Expires = fmt.Sprintf("c%d", n), n, "valley", "李", time.Now(), time.Now().Add(5*time.Minute)
		b, err := command.Sign(p, first.key, second.key)
		if err != nil {
			t.Fatal(err)
		}
		w.hand("/commands", "application/vnd.dsse.envelope.v1+json", b, &v)
		return v
	}
	for what, p := range map[string]command.Payload{
		"a drill with the real thing's clip": {Scope: command.Drill, Outputs: []string{"siren"}, Seconds: 5, Clips: []string{"county-evacuate"}},
		"a tone of the civil defence":        {Scope: command.Sound, Level: "prepare", Outputs: []string{"siren"}, Seconds: 5, Tone: "civil-air-raid"},
	} {
		if v := send(p); v.Accepted || v.Outcome.ZH == "" {
			t.Errorf("%s: %+v", what, v)
		}
	}
	if got := w.warnings(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestWhatWasToldAsBusyIsNotDoneLater(t *testing.T) {
	t.Parallel()
	h := modelHouse(t, t.TempDir())
	if err := h.build(); err != nil {
		t.Fatal(err)
	}
	did := false
	if err := h.do(func() { did = true }); err == nil {
		t.Fatal("nobody decides, and it was done")
	}
	(<-h.acts)()
	if did {
		t.Error("what was refused as busy was done all the same")
	}
}
