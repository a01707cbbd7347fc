//go:build peers

package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/cmd/hubd/logbook"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
	"tocsin/hwtest/beidou"
	"tocsin/hwtest/built"
	"tocsin/hwtest/storm"
)

// boxSite is a village's: its gas rule, its siren, and three ways to the county.
const boxSite = `version: 1
site: {id: "330483105203", name: {zh: 环渡村, en: Huandu}, datum: 1985, languages: [cmn]}
lines:
  field: {port: FIELD, baud: 9600}
  out:   {port: OUT, baud: 9600}
devices:
  river: {profile: generic-radar-level-rs485, line: field, unit: 3, every: 500ms, zero: 96.20 m}
  gas:   {profile: generic-ch4-rs485, line: field, unit: 4, every: 300ms}
  relay: {profile: generic-relay-8in-8out, line: out, unit: 11, every: 250ms}
outputs:
  siren: {kind: electronic, relay: relay.1, sensed_by: relay.in5, sense: current, cut_by: relay.8, fail_safe: 30s}
rules:
  gas:
    name: {zh: 甲烷, en: methane}
    set_by: {name: 台架, date: 2026-05-12}
    any_of: [{point: gas.ch4, prepare: 20 %LEL, evacuate: 40 %LEL, clear_below: 10 %LEL, for: 0s}]
plan: flash-flood-village
page: {listen: "off"}
county: {number: 17, root: box.root}
links:
  fibre: {kind: nats, servers: ["NATS"], ca: ca.pem, certificate: box.pem, certificate_key: box.key, seed: box.seed}
  satellite: {kind: datagrams, servers: ["DATAGRAMS"], psk: box.root}
  beidou: {kind: beidou, port: SKY, to: "0247718", transmit: {card: "0123456", approval: X}}
alerts:
  trust:
`

// TestARealBoxAndARealHub has the daemons speak to each other as they are built, over fibre,
// satellite and BeiDou: a red of the box's own by all three, then, with the fibre cut, one of the county's.
func TestARealBoxAndARealHub(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	edged := filepath.Join(w.dir, "edged")
	built.Into(t, w.dir, "edged", "edged-desk")
	short, err := os.MkdirTemp("", "box") // a test's own name would be too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	v, err := storm.Build(storm.Config{Dir: filepath.Join(short, "dev"), River: 3, Upstream: 3, Gas: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	sky := beidou.NewSky(9)
	sky.Set(beidou.Weather{Least: 10 * time.Millisecond})
	ports := map[uint64]string{}
	for _, card := range []uint64{247718, 123456} {
		ports[card] = plug(t, sky.Terminal(beidou.BDS3, beidou.Card{Number: card, Frequency: 1, Level: 3}).Serve)
	}
	key := w.narrow(fmt.Sprintf("  - {name: bd, kind: beidou, port: %s, own: \"0247718\", transmit: {card: \"247718\", approval: X}}\n", ports[247718]),
		map[letter.Station]string{upper: `number: 17, addresses: {bd: "0123456"}`})
	h, _ := w.hub()

	o := w.natsOpts(upper, h.engine.Addr().String())
	fibre := newCable(t, h.engine.Addr().String())
	for name, b := range map[string][]byte{"box.root": []byte(hex.EncodeToString(w.root[upper])), "box.pem": o.Certificate, "box.key": o.Key, "box.seed": o.Seed} {
		w.write(name, b)
	}
	trusted, err := os.ReadFile(filepath.Join(w.dir, "trust.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	site := strings.NewReplacer("FIELD", v.Port(storm.FieldPort), "OUT", v.Port(storm.OutPort), "SKY", ports[123456], "NATS", fibre.l.Addr().String(), "DATAGRAMS", h.datagramsAt()).Replace(boxSite)
	site += "    " + strings.ReplaceAll(strings.TrimSpace(string(trusted)), "\n", "\n    ") + "\n"
	log, err := os.Create(filepath.Join(w.dir, "edged.log"))
	if err != nil {
		t.Fatal(err)
	}
	box := exec.Command(edged, "run", "-c", w.write("site.yaml", []byte(site)), "--data", filepath.Join(short, "data"), "--socket", filepath.Join(short, "s"))
	box.Stdout, box.Stderr = log, log
	if err := box.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = box.Process.Signal(syscall.SIGTERM)
		_ = box.Wait()
		if b, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("the box:\n%s", b)
		}
	})
	until(t, "the box reports by all links", func() bool {
		s := h.book.State().Stations[upper]
		return s.Ready && h.gate(t, "bd").Limits.Transmit
	})

	v.Gas.Set(60)
	var a logbook.Alarm
	until(t, "its red came whole and short, by three links", func() bool {
		for _, a = range h.book.State().Alarms {
			var by []string
			for _, way := range a.Messages[len(a.Messages)-1].Ways {
				by = append(by, fmt.Sprint(way.Link, " ", way.Short))
			}
			slices.Sort(by)
			if slices.Equal(by, []string{"bd true", "fibre false", "tiantong true"}) {
				return true
			}
		}
		return false
	})
	if !strings.Contains(a.Title.ZH, "环渡村") || a.Over {
		t.Errorf("%+v", a)
	}
	if s := h.book.State().Stations[upper]; s.Strange > 0 {
		t.Errorf("the hub could not read %d letters: %+v", s.Strange, s.Last)
	}
	v.Gas.Set(2)

	fibre.set(true, true)
	var out bytes.Buffer
	send := AlertSendCmd{File: w.write("red.xml", document(t)), To: "330483105", Config: w.file, Key: key}
	if err := send.Run(&Globals{Lang: "zh", Out: &out}); err != nil {
		t.Fatal(err, out.String())
	}
	until(t, "the box was heard warning, by what links there still are", func() bool {
		for _, s := range h.post.State().Sent {
			for _, n := range logbook.ReadNames(s.Names) {
				if h.book.Reached([]wire.About{n})[upper].Stage == wire.Heard {
					return true
				}
			}
		}
		return false
	})
}
