//go:build peers

package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"tocsin/cmd/hubd/logbook"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/trust"
	"tocsin/firmware/trust/xmldsig"
	"tocsin/hwtest/beidou"
)

// TestARealBoxAndItsHub runs edged beside the hub: over NATS, and over BeiDou alone when the fibre is gone.
func TestARealBoxAndItsHub(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	edged := filepath.Join(w.dir, "edged")
	if out, err := exec.Command("go", "build", "-o", edged, "../edged").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sky := beidou.NewSky(5)
	sky.Set(beidou.Weather{Least: 10 * time.Millisecond, Most: 50 * time.Millisecond})
	hubPort := plug(t, sky.Terminal(beidou.BDS3, beidou.Card{Number: 247718, Frequency: 1, Level: 3}).Serve)
	boxPort := plug(t, sky.Terminal(beidou.BDS3, beidou.Card{Number: 123456, Frequency: 1, Level: 3}).Serve)
	issuer := w.narrow(fmt.Sprintf(`  - {name: bd, kind: beidou, port: %s, own: "0247718", transmit: {card: "247718", approval: X}}
`, hubPort), map[letter.Station]string{upper: `number: 17, addresses: {bd: "0123456"}`})
	h, _ := w.hub()
	fibre := newCable(t, h.engine.Addr().String())

	// The office signs in full with a key of its own kind, and short with the issuer's.
	full, err := trust.NewSigner(trust.P256)
	if err != nil {
		t.Fatal(err)
	}
	public, _ := trust.PublicPEM(full.Public())
	w.write("full.pub", public)
	site, err := os.ReadFile("../../configs/sites/huangdu.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cert, key := w.ca.issue(t, string(upper), nil)
	w.write("box.pem", cert)
	w.write("box.key", key)
	k, err := nkeys.FromSeed(w.seed[upper])
	if err != nil {
		t.Fatal(err)
	}
	seed, _ := k.Seed()
	w.write("box.seed", seed)
	w.write("county.root", []byte(hex.EncodeToString(w.root[upper])))
	text := strings.Replace(string(site), `"441882103201"`, `"330483105203"`, 1)
	text = strings.Replace(text, `page: {listen: ":8080"}`, `page: {listen: "127.0.0.1:0"}`, 1)
	text += fmt.Sprintf(`
county: {number: 17, root: county.root}
links:
  fibre: {kind: nats, servers: ["%s"], ca: ca.pem, certificate: box.pem, certificate_key: box.key, seed: box.seed}
  beidou: {kind: beidou, port: %s, to: "247718", self: "123456", transmit: {card: "123456", approval: X}}
alerts:
  trust:
    issuers:
      office: {name: {zh: 桐乡市应急局, en: Tongxiang office}, senders: [office@county.example], keys: [{file: issuer.pub}, {file: full.pub}], grant: {kinds: [real], most_level: evacuate}, compact: {number: 9, region: "330483"}}
`, fibre.l.Addr().String(), boxPort)
	file := w.write("site.yaml", []byte(text))
	if out, err := exec.Command(edged, "check", file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c := exec.Command(edged, "run", "-c", file, "--data", filepath.Join(w.dir, "box"), "--socket", filepath.Join(w.dir, "edged.sock"))
	var log bytes.Buffer
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		if t.Failed() {
			t.Logf("edged: %s", regexp.MustCompile(`(?s)^.*(.{3000})$`).ReplaceAllString(log.String(), "$1"))
		}
	})
	until(t, "the box says how it does, its faults with it", func() bool {
		s := h.book.State().Stations[upper]
		return !s.StateAt.IsZero() && len(s.Faults) > 0 && s.Strange == 0
	})
	until(t, "both terminals may send", func() bool { return h.gate(t, "bd").Limits.Transmit })

	send := func() []wire.About {
		t.Helper()
		raw, err := xmldsig.Sign(paper(), full, nil, xmldsig.SignOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		s := AlertSendCmd{File: w.write("red.xml", raw), To: string(upper[:6]), Config: w.file, Key: issuer}
		if err := s.Run(&Globals{Lang: "zh", Out: &out}); err != nil {
			t.Fatal(err, out.String())
		}
		t.Log(out.String())
		id := regexp.MustCompile(`（(a-[0-9a-f]+)）`).FindStringSubmatch(out.String())[1]
		var about []wire.About
		until(t, "both forms are shown", func() bool {
			n := 0
			for _, s := range h.post.State().Sent {
				if s.ID == id || s.With == id {
					n++
					about = append(about, logbook.ReadNames(s.Names)...)
				}
			}
			return n == 2
		})
		return about
	}
	about := send()
	until(t, "the box tells how far it got", func() bool {
		r := h.book.Reached(about)[upper]
		return r.Stage >= wire.Verified && !r.At.IsZero()
	})
	r := h.book.Reached(about)[upper]
	t.Logf("with fibre: %+v", r)
	until(t, "it went out by BeiDou too, and is not repeated", func() bool { g := h.gate(t, "bd"); return g.Waiting == 0 && g.Counts.Sent > 0 })
	t.Logf("bd: %+v", h.gate(t, "bd"))

	fibre.set(true, true)
	start := time.Now()
	until(t, "it is another second, and so another identifier", func() bool { return time.Since(start) > time.Second })
	about = send()
	until(t, "without fibre, its receipt comes by BeiDou", func() bool {
		r := h.book.Reached(about)[upper]
		return r.By["bd"].Stage >= wire.Verified && !r.By["bd"].At.IsZero()
	})
	t.Logf("by BeiDou alone after %v: %+v; %+v", time.Since(start), h.book.Reached(about)[upper], h.gate(t, "bd"))
	if s := h.book.State().Stations[upper]; s.Strange > 0 {
		t.Errorf("strange: %+v", s.Last)
	}
}
