package main

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/trust"
	"tocsin/hwtest/beidou"
	"tocsin/hwtest/port"
)

// The card of the bench's terminal and the centre that sends to it.
const (
	benchCard   = 4207733
	benchCentre = 179773
)

// redsByBeidou measures from the sentence that leaves the simulated terminal for its
// serial port to current in the siren: one message of 78 bytes, the authority's
// signature verified in the box, no other link.
func redsByBeidou(b *bench) error {
	d, err := newDesk(b.seed)
	if err != nil {
		return err
	}
	v, err := b.warnedVillage(d, wired{siren: true})
	if err != nil {
		return err
	}
	defer v.Close()
	key, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		return err
	}
	pub, err := trust.PublicPEM(key.Public())
	if err != nil {
		return err
	}
	p, err := port.Open()
	if err != nil {
		return err
	}
	defer p.Close()
	v.more = strings.Replace(v.more, "    issuers:\n", fmt.Sprintf("    issuers:\n      narrow: {name: {zh: 窄带, en: Narrow}, senders: [narrow@example], keys: [{pem: %q}], "+
		"grant: {kinds: [real], most_level: evacuate, areas: [\"4418\"]}, compact: {number: 7, region: \"441882\", sender: narrow@example}}\n", pub), 1) +
		"\nlinks: {sky: {kind: beidou, port: " + p.Path + "}}\n"
	sky := beidou.NewSky(uint64(b.seed))
	sky.Set(beidou.Weather{Least: time.Millisecond, Most: time.Millisecond})
	terminal := sky.Terminal(beidou.BDS3, beidou.Card{Number: benchCard, Frequency: 60, Level: 3})
	go terminal.Serve(p)
	x, err := v.beginWarned("data")
	if err != nil {
		return err
	}
	defer x.end()
	if err := b.until("the terminal asked", 10*time.Second, func() bool { return len(terminal.Heard()) > 0 }); err != nil {
		return err
	}
	send := func(w compact.Warning, at time.Time) error {
		m, err := compact.Sign(w, key, compact.DayOf(at), "441882")
		if err == nil {
			sky.Radiate(beidou.Message{From: benchCentre, To: benchCard, Coding: beidou.Code, Content: strings.ToUpper(hex.EncodeToString(m))})
		}
		return err
	}
	var all []float64
	for i := range b.n(20, 200) {
		now := time.Now().UTC()
		minute := uint16(now.Hour()*60 + now.Minute())
		w := compact.Warning{Type: compact.Alert, Issuer: 7, Chain: compact.Chain{DayBits: uint8(compact.DayOf(now) & 7), Serial: uint8(i)}, Event: 3, Severity: 3, Certainty: 1,
			Start: minute, Duration: 11, Area: compact.Area{Mode: compact.Division, Digits: 103201}, Template: 2, P: 68, Q: 1}
		at := time.Now()
		if err := send(w, now); err != nil {
			return err
		}
		var on time.Time
		err := b.until(fmt.Sprintf("the siren, by message %d", i), mostWait, func() (sounds bool) {
			on, sounds = v.Horn.Current().FirstOn(at)
			return sounds
		})
		if err != nil {
			return fmt.Errorf("%w; the box: %s", err, x.tail(4))
		}
		all = append(all, ms(on.Sub(at)))
		if err := send(compact.Warning{Type: compact.Cancel, Issuer: 7, Chain: w.Chain, Start: min(minute+1, 24*60-1), Template: 2}, now); err != nil {
			return err
		}
		if err := b.until("the cancel taken", 10*time.Second, func() bool {
			open, err := x.open()
			return err == nil && len(open) == 0
		}); err != nil {
			return err
		}
		if err := b.until("silent", 10*time.Second, func() bool {
			var s soundings
			return x.get("/soundings", &s) == nil && len(s.Now) == 0 && !v.Horn.Current().On()
		}); err != nil {
			return err
		}
	}
	b.tell("links.red_over_beidou_ms", rank(all, 1), len(all))
	return nil
}
