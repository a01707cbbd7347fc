package alert

import (
	"crypto/sha256"

	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
	"tocsin/firmware/trust/xmldsig"
)

// Reader opens what comes in by any way. It holds nothing that changes.
type Reader struct {
	Trust  *trust.Store
	Tables *Tables
	Here   Place
	// Limits bound the text before anything is made of it; the zero value takes
	// the defaults.
	Limits xmldsig.Limits
}

// Opened is an alert with all that can be said of it without a clock and without
// its history. Only an alert that is WellFormed, Genuine and Trusted may go on to be in force.
type Opened struct {
	// Alert is nil where the text is no alert at all. Where Trusted is false it
	// is for showing only.
	Alert *Alert `json:"alert"`
	// WellFormed: no finding of the form is fatal.
	WellFormed bool `json:"well_formed"`
	// Genuine: a signature holds over the bytes that Alert was read from.
	Genuine bool `json:"genuine"`
	// Trusted: that signature's key is pinned for this sender, was valid at Sent,
	// and the issuer may say this.
	Trusted  bool      `json:"trusted"`
	Findings []Finding `json:"findings,omitempty"`

	Issuer    *trust.Issuer   `json:"-"`
	Key       trust.KeyID     `json:"key,omitempty"`
	Algorithm trust.Algorithm `json:"algorithm,omitempty"`
	// Lenient: only the declared second attempt verified.
	Lenient bool `json:"lenient,omitempty"`

	Concerns    bool           `json:"concerns"`
	ConcernsWhy phrase.Message `json:"concerns_why"`
	Action      Action         `json:"action"`

	// Digest is SHA-256 of the bytes that Alert was read from: signed ones where
	// Genuine.
	Digest [32]byte `json:"-"`
	// Twin is what its other form would say alike; see Tables.Likeness of compact. Set by who
	// reads both.
	Twin string `json:"-"`
	// Raw is how many bytes came in.
	Raw int `json:"raw"`
}

// Open reads, verifies and judges one text. It always answers; why something is
// not so is among the findings.
func (r *Reader) Open(b []byte) *Opened {
	o := &Opened{Raw: len(b), Action: Action{Info: -1}}
	limits := r.Limits
	if limits == (xmldsig.Limits{}) {
		limits = xmldsig.DefaultLimits
	}
	doc, err := xmldsig.Parse(b, limits)
	if err != nil {
		o.Findings = []Finding{{"/", phrase.Of(err), Form, true}}
		o.Digest = sha256.Sum256(b)
		return o
	}
	shown, err := doc.Canonical()
	if err != nil {
		o.Findings = []Finding{{"/", phrase.Of(err), Form, true}}
		o.Digest = sha256.Sum256(b)
		return o
	}
	r.read(o, shown)
	if o.Alert == nil {
		return o
	}
	r.verify(o, doc)
	r.Settle(o)
	return o
}

// Settle finishes an Opened whose Alert, Findings, Genuine, Trusted and Issuer are set: is
// it well-formed, is it for this place, what would be done. Readers of other formats end here.
func (r *Reader) Settle(o *Opened) {
	o.WellFormed = o.Alert != nil && !anyFatal(o.Findings, Form)
	o.Trusted = o.Trusted && o.Genuine && o.Issuer != nil
	if o.Alert != nil {
		r.judge(o)
	}
}

// Permit says why an issuer may not say what an alert says; nil: it may. The key
// is Store.Vouch's matter.
func (r *Reader) Permit(i *trust.Issuer, a *Alert) *Finding {
	no := func(path string, what phrase.Message) *Finding { return &Finding{path, what, Trusted, true} }
	if !i.SpeaksAs(a.Sender) {
		return no("/alert/sender", phrase.M("alert.trust.sender", "sender", clip(a.Sender), "issuer", i.Name))
	}
	if kind := r.Tables.actions.Statuses[a.Status]; kind != "" && !i.Grant.HasKind(kind) {
		return no("/alert/status", phrase.M("alert.trust.kind", "issuer", i.Name, "kind", phrase.Message{Code: "alert.kind." + kind}))
	}
	for j := range a.Infos {
		if c := a.Infos[j].Colour; c != "" && !i.Grant.HasColour(c) {
			return no(infoPath(j), phrase.M("alert.trust.colour", "issuer", i.Name, "colour", phrase.Message{Code: "alert.colour." + c}))
		}
	}
	if r.Here.Code != "" && !i.Grant.HasArea(r.Here.Code) {
		return no("/alert", phrase.M("alert.trust.area", "issuer", i.Name, "code", r.Here.Code))
	}
	return nil
}

// read makes o's alert and form findings from bytes.
func (r *Reader) read(o *Opened, b []byte) {
	a, found := Parse(b, r.Tables)
	o.Alert, o.Findings, o.Digest = a, found, sha256.Sum256(b)
	o.WellFormed = a != nil && !anyFatal(found, Form)
}

// verify looks for a signature of an issuer that is pinned for the sender. The
// sender that the raw text names only says whose keys to try: what then counts is the
// sender in the signed bytes.
func (r *Reader) verify(o *Opened, doc *xmldsig.Document) {
	issuers := r.Trust.BySender(o.Alert.Sender)
	if len(issuers) == 0 {
		r.stranger(o, doc)
		return
	}
	var refused []Finding
	var best *Opened
	for _, i := range issuers {
		for _, s := range doc.Verify(i.Keys, xmldsig.Options{Lenient: i.Lenient, SHA1: i.SHA1, SM2UserID: i.SM2UserID, SM2: r.Trust.SM2()}) {
			if s.Err != nil {
				refused = append(refused, Finding{s.Path, phrase.M("alert.trust.signature", "issuer", i.Name, "why", phrase.Of(s.Err)), Genuine, false})
				continue
			}
			n := &Opened{Raw: o.Raw, Genuine: true, Key: s.KeyID, Algorithm: s.Algorithm, Lenient: s.Lenient, Action: Action{Info: -1}}
			r.read(n, s.Signed)
			if n.Alert == nil {
				continue
			}
			if why := r.refuse(n, i, s); why != nil {
				n.Findings = append(n.Findings, *why)
				if best == nil {
					best = n
				}
				continue
			}
			n.Issuer, n.Trusted = i, true
			if s.Lenient {
				n.Findings = append(n.Findings, Finding{s.Path, phrase.M("alert.trust.lenient", "issuer", i.Name), Genuine, false})
			}
			*o = *n
			return
		}
	}
	switch {
	case best != nil: // genuine, by somebody who may not say this
		*o = *best
	case len(refused) == 0:
		o.Findings = append(o.Findings, Finding{"/alert", phrase.M("alert.trust.unsigned"), Genuine, true})
		return
	default:
		for i := range refused {
			refused[i].Fatal = true
		}
	}
	o.Findings = append(o.Findings, dedupe(refused)...)
}

// refuse says why a key that verified does not make the alert trusted; nil: it does.
func (r *Reader) refuse(n *Opened, i *trust.Issuer, s xmldsig.Signature) *Finding {
	if n.Alert.Sent.IsZero() {
		return &Finding{"/alert/sent", phrase.M("alert.trust.no_sent"), Trusted, true}
	}
	if err := r.Trust.Vouch(i, s.Public, s.Certificates, n.Alert.Sent); err != nil {
		return &Finding{s.Path, phrase.M("alert.trust.key", "issuer", i.Name, "why", phrase.Of(err)), Trusted, true}
	}
	return r.Permit(i, n.Alert)
}

// stranger says of a sender whom nobody pinned whether the mathematics holds.
func (r *Reader) stranger(o *Opened, doc *xmldsig.Document) {
	o.Findings = append(o.Findings, Finding{"/alert/sender", phrase.M("alert.trust.stranger", "sender", clip(o.Alert.Sender)), Trusted, true})
	sigs := doc.Verify(nil, xmldsig.Options{SM2: r.Trust.SM2()})
	for _, s := range sigs {
		if s.Err != nil {
			continue
		}
		n := &Opened{Raw: o.Raw, Genuine: true, Key: s.KeyID, Algorithm: s.Algorithm, Action: Action{Info: -1}}
		r.read(n, s.Signed)
		if n.Alert == nil || n.Alert.Sender != o.Alert.Sender {
			continue
		}
		n.Findings = append(n.Findings, o.Findings[len(o.Findings)-1])
		*o = *n
		return
	}
	if len(sigs) == 0 {
		o.Findings = append(o.Findings, Finding{"/alert", phrase.M("alert.trust.unsigned"), Genuine, true})
		return
	}
	for _, s := range sigs {
		o.Findings = append(o.Findings, Finding{s.Path, phrase.M("alert.trust.no_key", "why", phrase.Of(s.Err)), Genuine, true})
	}
}

// judge asks whether the alert is for this place and what would be done.
func (r *Reader) judge(o *Opened) {
	yes, why, blocks := o.Alert.concerns(r.Here, r.Tables)
	o.Concerns, o.ConcernsWhy = yes, why
	if !yes {
		blocks = nil
	}
	o.Action = r.Tables.ActionFor(o.Alert, blocks)
	if o.Issuer == nil || o.Action.Level == "" {
		return
	}
	if most := r.Tables.capLevel(o.Action.Level, o.Issuer.Grant.MostLevel); most != o.Action.Level {
		o.Findings = append(o.Findings, Finding{"/alert", phrase.M("alert.trust.level", "issuer", o.Issuer.Name, "level", o.Action.Level, "most", most), Trusted, false})
		o.Action.Level = most // its words are still spoken
	}
}

func dedupe(list []Finding) []Finding {
	var out []Finding
	for _, f := range list {
		same := false
		for _, o := range out {
			same = same || o.Path == f.Path && o.What.Code == f.What.Code
		}
		if !same {
			out = append(out, f)
		}
	}
	return out
}
