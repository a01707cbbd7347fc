package issue

import (
	"strings"
	"time"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/decide/command"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/trust"
)

// OrderMost is how long an order to activate a release may wait at a station: no station takes a longer one.
const OrderMost = 7 * 24 * time.Hour

// ReleaseOrder is an officer's order to stations to activate a release.
type ReleaseOrder struct {
	// ID names it, the same at all stations.
	ID string
	// Number is the release's; 0 withdraws what was ordered before.
	Number uint64
	Person string
	// Issued is also what it is counted by: of two orders to a station the later one counts.
	Issued, NotBefore, Until time.Time
	// Station is whose it is, by its code, where it was read.
	Station string
}

// Sign makes the order for one station, by one key for each person who releases it.
func (o ReleaseOrder) Sign(s letter.Station, keys ...trust.Signer) ([]byte, error) {
	return command.Sign(command.Payload{
		ID: o.ID, Group: s.Code(), Counter: uint64(max(1, o.Issued.Unix())), Issued: o.Issued, Expires: o.Until, Scope: command.Software, Person: o.Person,
		Release: o.Number, NotBefore: o.NotBefore,
	}, keys...)
}

// ReadReleaseOrder reads a signed one. It vouches for nothing: stations do.
func ReadReleaseOrder(raw []byte) (ReleaseOrder, error) {
	p, err := command.Show(raw)
	if err != nil {
		return ReleaseOrder{}, err
	}
	if p.Scope != command.Software || !letter.IsID(orderPrefix+p.ID) {
		return ReleaseOrder{}, phrase.E("hubd.order_form")
	}
	return ReleaseOrder{ID: p.ID, Number: p.Release, Person: p.Person, Issued: p.Issued, NotBefore: p.NotBefore, Until: p.Expires, Station: p.Group}, nil
}

const orderPrefix = "o-"

// Letter is the id of the letter that carries it.
func (o ReleaseOrder) Letter() string { return orderPrefix + o.ID }

// IsOrder tells whether a letter's id is that of an order.
func IsOrder(id string) bool { return strings.HasPrefix(id, orderPrefix) }

// About names it for people.
func (o ReleaseOrder) About() phrase.Message {
	if o.Number == 0 {
		return phrase.M("hubd.order_withdraws")
	}
	return phrase.M("hubd.order_about", "number", o.Number)
}

// MayOrder tells why stations would not believe an order for software by these keys, as far as the hub's file knows
// whom they trust.
func MayOrder(f *hubfile.File, keys []trust.Signer) error {
	if f.Warnings.Store == nil {
		return nil
	}
	var by *trust.Issuer
	var ids []trust.KeyID
	for _, k := range keys {
		id, err := trust.IDOf(k.Public())
		if err != nil {
			return err
		}
		issuer, _, ok := f.Warnings.Store.Key(id)
		if !ok {
			return phrase.E("hubd.issuer_stranger", "key", string(id), "file", f.Warnings.Trust)
		}
		if by == nil {
			by = issuer
		}
		if issuer == by {
			ids = append(ids, id)
		}
	}
	scope := string(command.Software)
	if by == nil || !by.Grant.HasScope(scope) {
		return phrase.E("hubd.order_grant", "file", f.Warnings.Trust)
	}
	if need, have := by.Grant.PersonsFor(scope), by.PersonsOf(ids); have < need {
		return phrase.E("hubd.order_persons", "need", need, "have", have)
	}
	return nil
}
