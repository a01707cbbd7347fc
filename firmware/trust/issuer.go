package trust

import (
	"crypto"
	"crypto/x509"
	"path"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/phrase"
)

// Issuer is one body whose words this box may believe: a county's emergency
// office, a weather service, a national platform. Nothing of it is changed
// after New.
type Issuer struct {
	// ID is its name in the site's document.
	ID   string
	Name phrase.Text
	// Senders are the values of CAP's sender element under which it speaks, exact or as
	// patterns of path.Match.
	Senders []string
	// Keys are its pinned keys. Their times may overlap: that is a roll-over.
	Keys []Key
	// Authorities are pinned: a certificate below one of them is the issuer's
	// where its subject matches Subjects.
	Authorities []*x509.Certificate
	// Subjects are common names or whole distinguished names (RFC 2253 form), exact or as
	// patterns of path.Match.
	Subjects []string
	// Lenient allows the declared second attempt: processing instructions and
	// blank text taken out before the digest is compared.
	Lenient bool
	// SHA1 allows rsa-sha1: a legacy profile, by name.
	SHA1 bool
	// SM2UserID is the identity that it signs under with SM2; "" is the default one.
	SM2UserID string
	// Grant is what it may say.
	Grant Grant
	// Compact is what it is in compact warnings; nil where it signs none.
	Compact *Compact
}

// Compact is an issuer's number and region in compact warnings, and the sender that they stand under.
type Compact struct {
	Number uint8
	Region string
	Sender string
}

// Key is one pinned public key.
type Key struct {
	ID     KeyID
	Public crypto.PublicKey
	// Certificate is set where the pin is an end-entity certificate: its times and
	// its key usage then hold too.
	Certificate *x509.Certificate
	// From and Until bound when the key may have signed; zero is no bound.
	// Until is exclusive.
	From, Until time.Time
	// Person is whose key it is. During a roll-over a person has two keys and is
	// still one person.
	Person string
}

// Grant is what an issuer may say. The zero Grant allows nothing.
type Grant struct {
	// Kinds are the kinds of alert: real, drill, test.
	Kinds []string
	// MostLevel is the highest level of configs/levels.yaml that it may
	// raise; "" is none. Who compares knows the order of levels.
	MostLevel string
	// Colours are the colours of warnings that it may give; empty is all.
	Colours []string
	// Areas are division codes (GB/T 2260) by their beginning, "4418" being a
	// whole city; empty is everywhere.
	Areas []string
	// Scopes are the commands that it may give: sound, stop, drill, volume, configuration, talk, software.
	Scopes []string
	// Persons says for a scope how many distinct persons must have signed; a
	// scope that is not here needs one.
	Persons map[string]int
	// Amends are other issuers whose alerts it may update and cancel.
	Amends []string
}

// HasKind tells whether alerts of a kind are granted.
func (g Grant) HasKind(kind string) bool { return slices.Contains(g.Kinds, kind) }

// HasColour tells whether warnings of a colour are granted.
func (g Grant) HasColour(colour string) bool {
	return len(g.Colours) == 0 || slices.Contains(g.Colours, colour)
}

// HasArea tells whether a division is granted.
func (g Grant) HasArea(code string) bool {
	return len(g.Areas) == 0 || slices.ContainsFunc(g.Areas, func(a string) bool { return strings.HasPrefix(code, a) })
}

// HasScope tells whether commands of a scope are granted.
func (g Grant) HasScope(scope string) bool { return slices.Contains(g.Scopes, scope) }

// PersonsFor gives how many distinct persons a command of a scope needs, at least one.
func (g Grant) PersonsFor(scope string) int { return max(1, g.Persons[scope]) }

// MayAmend tells whether alerts of another issuer may be updated or cancelled.
func (g Grant) MayAmend(issuer string) bool { return slices.Contains(g.Amends, issuer) }

// PersonsOf counts whose keys these are. A key that no person is named for is one
// person's.
func (i *Issuer) PersonsOf(keys []KeyID) int {
	seen := map[string]bool{}
	for n := range i.Keys {
		k := &i.Keys[n]
		switch {
		case !slices.Contains(keys, k.ID):
		case k.Person != "":
			seen["person "+k.Person] = true
		default:
			seen["key "+string(k.ID)] = true
		}
	}
	return len(seen)
}

// SpeaksAs tells whether the issuer speaks under a value of CAP's sender element.
func (i *Issuer) SpeaksAs(sender string) bool { return matches(i.Senders, sender) }

// matches compares exactly or by path.Match; patterns were proved by New.
func matches(patterns []string, s string) bool {
	return s != "" && slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, s)
		return p == s || ok && err == nil
	})
}
