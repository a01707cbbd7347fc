package command

import (
	"encoding/json"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

// Sign makes a signed command. The first signer's key is the one that it is counted
// under; Version and Key are filled in. It refuses what Open would refuse by its
// form.
func Sign(p Payload, signers ...trust.Signer) ([]byte, error) {
	if len(signers) == 0 {
		return nil, phrase.E("command.no_signer")
	}
	var err error
	if p.Key, err = trust.IDOf(signers[0].Public()); err != nil {
		return nil, err
	}
	p.Version = Version
	p.Issued, p.Expires, p.NotBefore = p.Issued.Truncate(time.Second), p.Expires.Truncate(time.Second), p.NotBefore.Truncate(time.Second)
	b, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	if _, r := read(b); r != nil {
		return nil, r
	}
	return trust.SealDSSE(PayloadType, b, signers...)
}

// Cosign adds a second person's release to a signed command.
func Cosign(b []byte, s trust.Signer) ([]byte, error) {
	e, err := trust.OpenDSSE(b, PayloadType, trust.DefaultEnvelopeLimits)
	if err != nil {
		return nil, err
	}
	// Whoever signs must be able to read what is signed.
	if _, r := read(e.Payload); r != nil {
		return nil, r
	}
	if err := e.Add(s); err != nil {
		return nil, err
	}
	return e.JSON()
}

// Show reads a command without believing it: for showing, before a second person
// signs, and in what was refused.
func Show(b []byte) (*Payload, error) {
	e, err := trust.OpenDSSE(b, PayloadType, trust.DefaultEnvelopeLimits)
	if err != nil {
		return nil, err
	}
	p, r := read(e.Payload)
	if r != nil {
		return nil, r
	}
	return p, nil
}
