package main

import (
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"tocsin/firmware/trust"
	"tocsin/firmware/trust/xmldsig"
	"tocsin/hwtest/capgen"
)

// desk is who signs on the bench: a county's office with a key of every kind, keys
// of it that may sign no more or not yet, another office of the same site, and a
// stranger. They sign as the firmware's own tool does; xmlsec1 stands beside it where
// genuine alerts are judged.
type desk struct {
	keys map[string]*trust.PrivateKey // by name
	cert map[string]*x509.Certificate
	g    *capgen.Generator
}

// countyKinds are the keys that the county signs with, by name.
var countyKinds = []string{"rsa", "p-256", "p-384", "sm2", "ed25519"}

// Keys that must not do, and whose they are.
const (
	keyRevoked  = "revoked"  // the county's, in foreign hands
	keyEnded    = "ended"    // the county's, until a year ago
	keyEarly    = "early"    // the county's, from next year on
	keyCity     = "city"     // another issuer's of this site
	keyStranger = "stranger" // nobody's
)

// citySender is under which the other issuer speaks.
const citySender = "city@met.example"

func newDesk(seed int64) (*desk, error) {
	d := &desk{keys: map[string]*trust.PrivateKey{}, cert: map[string]*x509.Certificate{}, g: capgen.New(uint64(seed))}
	for _, name := range append([]string{keyRevoked, keyEnded, keyEarly, keyCity, keyStranger}, countyKinds...) {
		kind := trust.P256
		for _, k := range countyKinds {
			if k == name {
				kind = trust.Kind(k)
			}
		}
		key, err := trust.NewSigner(kind)
		if err != nil {
			return nil, err
		}
		if d.cert[name], err = key.SelfSigned("county", time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0)); err != nil {
			return nil, err
		}
		d.keys[name] = key
	}
	return d, nil
}

// trusted is the section of a site's file that pins all but the stranger.
func (d *desk) trusted() (string, error) {
	var s strings.Builder
	p := func(format string, a ...any) { fmt.Fprintf(&s, format+"\n", a...) }
	pin := func(name, more string) error {
		b, err := trust.PublicPEM(d.keys[name].Public())
		p("          - {pem: %q%s}", b, more)
		return err
	}
	p("alerts:\n  plan: bench\n  trust:\n    issuers:")
	p("      county:\n        name: {zh: 县应急局, en: county}\n        senders: [%s]", quoted(capgen.Senders))
	p("        grant: {kinds: [real, drill], most_level: evacuate, scopes: [sound, stop]}\n        keys:")
	for _, k := range append([]string{keyRevoked}, countyKinds...) {
		if err := pin(k, ""); err != nil {
			return "", err
		}
	}
	if err := pin(keyEnded, fmt.Sprintf(", until: %q", time.Now().AddDate(-1, 0, 0).Format(time.RFC3339))); err != nil {
		return "", err
	}
	if err := pin(keyEarly, fmt.Sprintf(", from: %q", time.Now().AddDate(1, 0, 0).Format(time.RFC3339))); err != nil {
		return "", err
	}
	p("      city:\n        name: {zh: 市气象台, en: city}\n        senders: [%q]\n        grant: {kinds: [real], most_level: evacuate}\n        keys:", citySender)
	if err := pin(keyCity, ""); err != nil {
		return "", err
	}
	id, err := trust.IDOf(d.keys[keyRevoked].Public())
	p("    revoked:\n      - {key: %q, since: %q, compromised: true}", id, time.Now().AddDate(0, -1, 0).Format(time.RFC3339))
	return s.String(), err
}

func quoted(all []string) string {
	var q []string
	for _, s := range all {
		q = append(q, fmt.Sprintf("%q", s))
	}
	return strings.Join(q, ", ")
}

// c14nForms are the canonical forms that an issuer may sign in.
var c14nForms = []string{xmldsig.ExclusiveC14N, xmldsig.C14N10, xmldsig.C14N11}

// sign signs with a key, in one of the three canonical forms by turns.
func (d *desk) sign(text []byte, key string, n int) ([]byte, error) {
	o := xmldsig.SignOptions{C14N: c14nForms[n%len(c14nForms)]}
	var cert *x509.Certificate
	if n%2 == 1 {
		cert = d.cert[key]
	}
	return xmldsig.Sign(text, d.keys[key], cert, o)
}

// message is one signed text and what stands in it.
type message struct {
	capgen.Alert
	Signed []byte
	Key    string
}

// make writes and signs one alert; bytes, where given, is its size.
func (d *desk) make(o capgen.Options, bytes int, key string, n int) (message, error) {
	m := message{Key: key}
	if bytes > 0 {
		m.Alert = d.g.Large(o, bytes)
	} else {
		m.Alert = d.g.Next(o)
	}
	var err error
	m.Signed, err = d.sign(m.Text, key, n)
	return m, err
}

// loud writes an alert that raises a level here: of the hazards that the plan moves
// people for, at the highest severity.
func (d *desk) loud(o capgen.Options, bytes int, key string, n int) (message, error) {
	o.Severity = "Extreme"
	for {
		m, err := d.make(o, bytes, key, n)
		if err != nil || m.Hazard != "thunderstorm" {
			return m, err
		}
	}
}
