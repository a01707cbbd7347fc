package trust

import (
	"regexp"
	"slices"
	"strings"

	"tocsin/firmware/phrase"
)

var region = regexp.MustCompile(`^[1-9][0-9]([0-9]{2}){0,2}$`)

// compact proves an issuer's part in compact warnings. What is faulty is left out: then it signs none.
func (l *loader) compact(i *Issuer, d *CompactDocument, at func(...any) []any) {
	if d == nil {
		return
	}
	c := &Compact{Number: uint8(d.Number), Region: d.Region, Sender: d.Sender}
	if c.Sender == "" && len(i.Senders) > 0 && !strings.ContainsAny(i.Senders[0], `*?[\`) {
		c.Sender = i.Senders[0]
	}
	other := slices.IndexFunc(l.store.issuers, func(o *Issuer) bool { return o.Compact != nil && int(o.Compact.Number) == d.Number })
	switch {
	case d.Number < 1 || d.Number > 255:
		l.fault(phrase.M("trust.compact_number", "issuer", i.ID, "number", d.Number), at("compact", "number")...)
	case other >= 0:
		l.fault(phrase.M("trust.compact_twice", "issuer", i.ID, "number", d.Number, "other", l.store.issuers[other].ID), at("compact", "number")...)
	case !region.MatchString(d.Region):
		l.fault(phrase.M("trust.compact_region", "issuer", i.ID, "region", d.Region), at("compact", "region")...)
	case !i.SpeaksAs(c.Sender):
		l.fault(phrase.M("trust.compact_sender", "issuer", i.ID, "sender", c.Sender), at("compact")...)
	case !slices.ContainsFunc(i.Keys, func(k Key) bool { return KindOf(k.Public) == Ed25519 }):
		l.fault(phrase.M("trust.compact_key", "issuer", i.ID), at("compact")...)
	default:
		i.Compact = c
	}
}
