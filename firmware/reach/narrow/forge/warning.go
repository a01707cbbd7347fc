package forge

import (
	"fmt"
	"math/rand/v2"
	"time"

	"tocsin/configs"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

const (
	issuer     = 7
	region     = "441882"
	serials    = 200 // of a day: the ninth bit has no room
	otherPlace = "441881"
)

// warnings are compact ones, whose authority signed them.
func warnings(r *rand.Rand) (*receiver, error) {
	key, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		return nil, err
	}
	foreign, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		return nil, err
	}
	pem, err := trust.PublicPEM(key.Public())
	if err != nil {
		return nil, err
	}
	store, faults := trust.New(trust.Document{Issuers: map[string]trust.IssuerDocument{"county": {Name: phrase.Text{ZH: "县应急管理局", EN: "County"}, Senders: []string{"county@example"},
		Keys: []trust.PEMDocument{{PEM: string(pem)}}, Grant: trust.GrantDocument{Kinds: []string{"real"}, MostLevel: "evacuate", Areas: []string{"4418"}},
		Compact: &trust.CompactDocument{Number: issuer, Region: region}}}}, nil)
	for _, f := range faults {
		if !f.Warning {
			return nil, fmt.Errorf("%s", f.Message.In(phrase.EN))
		}
	}
	at, err := alert.LoadTables(configs.FS)
	if err != nil {
		return nil, err
	}
	ct, err := compact.LoadTables(configs.FS)
	if err != nil {
		return nil, err
	}
	reader := &compact.Reader{Alerts: &alert.Reader{Trust: store, Tables: at, Here: alert.Place{Code: region + "103201", Lat: 24.7812, Lon: 112.379}}, Tables: ct}
	now := time.Date(2026, 7, 29, 14, 5, 0, 0, time.UTC)
	n := 0
	warning := func(serial int) compact.Warning {
		return compact.Warning{Type: compact.Alert, Issuer: issuer, Chain: compact.Chain{DayBits: uint8(compact.DayOf(now) & 7), Serial: uint8(serial)}, Event: 3, Severity: 3, Certainty: 1,
			Start: uint16(now.Hour()*60 + now.Minute()), Duration: 11, Area: compact.Area{Mode: compact.Division, Digits: 103201}, Template: 2, P: uint8(r.IntN(200)), Q: 1}
	}
	seen := map[string]bool{}
	return &receiver{name: "compact", noise: []byte{0x10, issuer},
		genuine: func() ([]byte, error) {
			// Genuine ones are made one ahead: the day turns only when the last of it was brought.
			if n++; n%serials == 0 {
				now = now.Add(24 * time.Hour)
			}
			return compact.Sign(warning(n%serials), key, compact.DayOf(now), region)
		},
		others: map[string]func() ([]byte, error){
			"other root":  func() ([]byte, error) { return compact.Sign(warning(r.IntN(256)), foreign, compact.DayOf(now), region) },
			"other place": func() ([]byte, error) { return compact.Sign(warning(r.IntN(256)), key, compact.DayOf(now), otherPlace) },
			"long ago": func() ([]byte, error) {
				return compact.Sign(warning(r.IntN(256)), key, compact.DayOf(now)-16, region)
			},
		},
		take: func(b []byte) bool {
			o := reader.Open(b, compact.When{Now: now, Trusted: true, Floor: now.Add(-time.Hour)})
			if !o.Trusted || seen[o.Alert.Ref().Key()] {
				return false
			}
			seen[o.Alert.Ref().Key()] = true
			return true
		}}, nil
}
