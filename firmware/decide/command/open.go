package command

import (
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

// Verifier opens commands for one box. One goroutine uses it, the one that owns
// the counters.
type Verifier struct {
	Trust    *trust.Store
	Counters *trust.Counters
	// Box is this box's own name, Groups are those that it belongs to.
	Box    string
	Groups []string
	// Longest is the longest that a command may live, from issued to expires.
	Longest time.Duration
	// Longer are scopes with another bound in its place.
	Longer map[Scope]time.Duration
	// Tolerance is how far ahead of a trusted clock issued may lie.
	Tolerance time.Duration
	// Limits bound the envelope; the zero value takes trust's own.
	Limits trust.EnvelopeLimits
}

// Open checks a signed command. floor is the box's own: the latest time that it
// knows to be past. The error is a *Refusal. A command that passes has its counter
// taken: keep Counters.Snapshot before it acts.
func (v *Verifier) Open(b []byte, now clock.Stamp, floor time.Time) (*Command, error) {
	limits := v.Limits
	if limits == (trust.EnvelopeLimits{}) {
		limits = trust.DefaultEnvelopeLimits
	}
	if len(b) > limits.Bytes {
		return nil, &Refusal{Stage: Bounds, Path: "/", Err: phrase.E("command.size", "bytes", len(b), "most", limits.Bytes)}
	}
	e, err := trust.OpenDSSE(b, PayloadType, limits)
	if err != nil {
		return nil, &Refusal{Stage: Form, Path: "/", Err: phrase.Wrap(err, "command.envelope")}
	}
	p, r := read(e.Payload)
	if r != nil {
		return nil, r
	}
	refuse := func(s Stage, name string, err *phrase.Error) (*Command, error) {
		return nil, &Refusal{Stage: s, Path: "/payload/" + name, Err: err, ID: p.ID}
	}
	most := v.Longest
	if m, ok := v.Longer[p.Scope]; ok {
		most = m
	}
	if life := p.Expires.Sub(p.Issued); life > most {
		return refuse(Form, "expires", phrase.E("command.life", "path", "/payload/expires", "life", life.String(), "most", most.String()))
	}

	verdicts := v.Trust.VerifyDSSE(e, p.Issued)
	lead := slices.IndexFunc(verdicts, func(x trust.Verdict) bool { return x.KeyID == p.Key && x.Err == nil })
	if lead < 0 {
		lead = slices.IndexFunc(verdicts, func(x trust.Verdict) bool { return x.KeyID == p.Key })
	}
	switch {
	case lead < 0:
		return refuse(Genuine, "key", phrase.E("command.not_signed", "path", "/payload/key", "key", string(p.Key)))
	case verdicts[lead].Issuer == nil:
		return refuse(Trust, "key", phrase.E("command.not_pinned", "path", "/payload/key", "key", string(p.Key)))
	case verdicts[lead].Err != nil:
		return refuse(doubt(verdicts[lead].Err), "key", phrase.Wrap(verdicts[lead].Err, "command.signature", "path", "/payload/key", "key", string(p.Key)))
	}
	issuer := verdicts[lead].Issuer

	if p.Group != v.Box && !slices.Contains(v.Groups, p.Group) {
		return refuse(Address, "group", phrase.E("command.other_group", "path", "/payload/group", "group", p.Group))
	}
	if len(p.Boxes) > 0 && !slices.Contains(p.Boxes, v.Box) {
		return refuse(Address, "boxes", phrase.E("command.other_box", "path", "/payload/boxes", "box", v.Box))
	}

	if !issuer.Grant.HasScope(string(p.Scope)) {
		return refuse(Granted, "scope", phrase.E("command.no_grant", "path", "/payload/scope", "issuer", issuer.ID, "scope", string(p.Scope)))
	}
	signers := trust.Signers(verdicts, issuer.ID)
	if have, need := issuer.PersonsOf(signers), issuer.Grant.PersonsFor(string(p.Scope)); have < need {
		return refuse(Granted, "scope", phrase.E("command.persons", "path", "/payload/scope", "scope", string(p.Scope), "need", need, "have", have))
	}

	if now.Trust > clock.Free {
		v.Counters.Correct(issuer.ID, now.Wall, v.longest()+v.Tolerance)
	}
	if f := v.Counters.Floor(issuer.ID); f.After(floor) {
		floor = f
	}
	if clock.Expired(p.Expires, now, floor) {
		known := floor
		if now.Trust > clock.Free && now.Wall.After(known) {
			known = now.Wall
		}
		return refuse(Expiry, "expires", phrase.E("command.expired", "path", "/payload/expires", "expires", p.Expires.Format(time.RFC3339), "now", known.Format(time.RFC3339)))
	}
	if now.Trust > clock.Free && p.Issued.After(now.Wall.Add(v.Tolerance)) {
		return refuse(Expiry, "issued", phrase.E("command.ahead", "path", "/payload/issued", "issued", p.Issued.Format(time.RFC3339), "now", now.Wall.Format(time.RFC3339)))
	}

	if _, err := v.Counters.Reserve(trust.CounterKey{Issuer: issuer.ID, Key: p.Key, Group: p.Group}, p.Counter); err != nil {
		return refuse(Counter, "counter", phrase.Wrap(err, "command.replay", "path", "/payload/counter", "counter", p.Counter))
	}
	v.lift(issuer.ID, p.Issued, now)
	c := &Command{Payload: *p, Digest: sha256.Sum256(e.Payload), Issuer: issuer, Signers: []trust.KeyID{p.Key}, Marked: now.Trust == clock.Free}
	for _, k := range signers {
		if k != p.Key {
			c.Signers = append(c.Signers, k)
		}
	}
	return c, nil
}

// longest is the longest that any command may live.
func (v *Verifier) longest() time.Duration {
	most := v.Longest
	for _, d := range v.Longer {
		most = max(most, d)
	}
	return most
}

// lift raises the issuer's floor to what it signed. A time that is refused as too
// far ahead leaves the floor where it is, which only makes it less strict.
func (v *Verifier) lift(issuer string, issued time.Time, now clock.Stamp) {
	if now.Trust > clock.Free && issued.After(now.Wall) {
		issued = now.Wall
	}
	_ = v.Counters.Lift(issuer, issued)
}

// doubt tells a signature that does not fit from a key that is not believed.
func doubt(err error) Stage {
	var e *phrase.Error
	if errors.As(err, &e) && e.Code == "trust.signature" {
		return Genuine
	}
	return Trust
}
