package compact

import (
	"crypto/sha256"
	"time"

	"tocsin/firmware/decide/alert"
	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

// Reader opens compact warnings. It holds nothing that changes.
type Reader struct {
	Alerts *alert.Reader
	Tables *Tables
	// Zone is that of the times which are spoken; nil is UTC.
	Zone *time.Location
	// Search is how many days from the floor on are tried where the clock is not trusted; 0 is 400.
	Search int
}

// When is what the box knows of the day. The 14 bytes do not say it: it is found by which day's signature holds.
type When struct {
	// Now is the clock's time.
	Now time.Time
	// Trusted clocks are off by less than a day.
	Trusted bool
	// Floor is a time that is certainly past.
	Floor time.Time
}

const (
	daysBack   = 8 // a warning lasts seven days at most; relays may bring it late
	searchDays = 400
)

// days lists the days that the message may be of, the likeliest first.
func (r *Reader) days(w Warning, when When) []Day {
	today := DayOf(when.Now)
	var all []Day
	seen := map[Day]bool{}
	add := func(d Day) {
		// What begins a chain is of the day that its three bits say: that spares seven signatures of eight.
		if d >= 0 && !seen[d] && (w.Type.about() || d&7 == Day(w.Chain.DayBits)) {
			seen[d] = true
			all = append(all, d)
		}
	}
	add(today)
	add(today + 1)
	for d := Day(1); d <= daysBack; d++ {
		add(today - d)
	}
	if when.Trusted {
		return all
	}
	search := r.Search
	if search <= 0 {
		search = searchDays
	}
	floor := DayOf(when.Floor)
	for d := -Day(daysBack); d < Day(search); d++ {
		add(floor + d)
	}
	return all
}

// Open reads, verifies and judges 78 bytes. As alert.Reader.Open it always answers, and what it answers goes into the same book.
func (r *Reader) Open(b []byte, when When) *alert.Opened {
	o := &alert.Opened{Raw: len(b), Digest: sha256.Sum256(b), Action: alert.Action{Info: -1}}
	fail := func(path string, part alert.Part, what phrase.Message) *alert.Opened {
		o.Findings = append(o.Findings, alert.Finding{Path: path, What: what, Part: part, Fatal: true})
		r.Alerts.Settle(o)
		return o
	}
	if len(b) != Size {
		return fail("/", alert.Form, phrase.M("compact.length", "bytes", len(b), "want", Size))
	}
	w, err := Unpack(b[:BodySize])
	if err != nil {
		return fail("/", alert.Form, phrase.Of(err))
	}
	zone := r.Zone
	if zone == nil {
		zone = time.UTC
	}
	issuer, ok := r.Alerts.Trust.ByCompact(w.Issuer)
	days := r.days(w, when)
	likely := DayOf(when.Now)
	if len(days) > 0 {
		likely = days[0]
	}
	if !ok {
		// For showing only: nobody here knows whose words these would be.
		nobody := phrase.M("compact.some_issuer", "number", int(w.Issuer))
		o.Alert, o.Findings = r.Tables.expand(w, likely, "00", "compact", phrase.Text{ZH: nobody.In(phrase.ZH), EN: nobody.In(phrase.EN)}, zone)
		o.Findings = append(o.Findings, alert.Finding{Path: "/alert/sender", What: phrase.M("compact.unknown_issuer", "number", int(w.Issuer)), Part: alert.Trusted, Fatal: true})
		return fail("/alert", alert.Genuine, phrase.M("compact.unverified"))
	}
	day, key := r.verify(b, issuer, days)
	if key == nil {
		o.Alert, o.Findings = r.Tables.expand(w, likely, issuer.Compact.Region, issuer.Compact.Sender, issuer.Name, zone)
		return fail("/alert", alert.Genuine, phrase.M("compact.signature", "issuer", issuer.Name))
	}
	o.Alert, o.Findings = r.Tables.expand(w, day, issuer.Compact.Region, issuer.Compact.Sender, issuer.Name, zone)
	o.Genuine, o.Key, o.Algorithm = true, key.ID, trust.EdDSA
	if m, err := context(b[:BodySize], key.ID, day, issuer.Compact.Region); err == nil {
		o.Digest = sha256.Sum256(m)
	}
	// The key is judged at the minute that the message gives: its sent is nominal.
	if err := r.Alerts.Trust.Vouch(issuer, key.Public, nil, day.At(w.Start)); err != nil {
		return fail("/alert", alert.Trusted, phrase.M("compact.key_refused", "issuer", issuer.Name, "why", phrase.Of(err)))
	}
	if why := r.Alerts.Permit(issuer, o.Alert); why != nil {
		o.Findings = append(o.Findings, *why)
		r.Alerts.Settle(o)
		return o
	}
	o.Issuer, o.Trusted = issuer, true
	r.Alerts.Settle(o)
	if o.Action.Sound {
		o.Action.Speech = r.Tables.Speech(w, day, issuer.Compact.Region, zone)
	}
	return o
}

// verify looks for the day and the pinned key whose signature holds.
func (r *Reader) verify(b []byte, issuer *trust.Issuer, days []Day) (Day, *trust.Key) {
	for _, day := range days {
		for i := range issuer.Keys {
			k := &issuer.Keys[i]
			if trust.KindOf(k.Public) != trust.Ed25519 {
				continue
			}
			m, err := context(b[:BodySize], k.ID, day, issuer.Compact.Region)
			if err == nil && trust.Verify(k.Public, trust.EdDSA, m, b[BodySize:]) == nil {
				return day, k
			}
		}
	}
	return 0, nil
}
