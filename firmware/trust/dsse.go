package trust

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/phrase"
)

// EnvelopeLimits bound what OpenDSSE takes.
type EnvelopeLimits struct {
	Bytes      int // of the envelope
	Signatures int
}

// DefaultEnvelopeLimits suit commands and receipts.
var DefaultEnvelopeLimits = EnvelopeLimits{Bytes: 64 << 10, Signatures: 8}

// signatureMost bounds one signature: RSA of 8192 bits has 1 KiB.
const signatureMost = 1 << 10

// Envelope is an opened DSSE envelope. Nothing in it is verified.
type Envelope struct {
	PayloadType string
	Payload     []byte
	Signatures  []EnvelopeSignature
}

// EnvelopeSignature is one signature, and the key that it claims.
type EnvelopeSignature struct {
	KeyID KeyID // "" where it claims none
	Sig   []byte
}

// Verdict is what one signature of an envelope is worth.
type Verdict struct {
	KeyID     KeyID   // of the key that verified; else the one claimed
	Issuer    *Issuer // nil where the key is not pinned
	Key       *Key
	Algorithm Algorithm
	Err       error // nil: genuine, and the key may speak for the issuer
}

// encode is PAE of DSSE 1.0.2 (protocol.md): what is signed.
func encode(payloadType string, payload []byte) []byte {
	b := make([]byte, 0, len(payload)+len(payloadType)+40)
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(payload)), 10)
	b = append(b, ' ')
	return append(b, payload...)
}

// OpenDSSE reads an envelope (DSSE 1.0.2, envelope.md) and holds it to a payload type. Fields
// that it does not know are passed over, as that asks; a known one that is given
// twice, or in other letters, is refused, since parsers differ on it.
func OpenDSSE(b []byte, payloadType string, l EnvelopeLimits) (*Envelope, error) {
	if l.Bytes <= 0 {
		l.Bytes = DefaultEnvelopeLimits.Bytes
	}
	if l.Signatures <= 0 {
		l.Signatures = DefaultEnvelopeLimits.Signatures
	}
	if len(b) > l.Bytes {
		return nil, phrase.E("trust.dsse_size", "bytes", len(b), "most", l.Bytes)
	}
	top, err := object(b, "payload", "payloadType", "signatures")
	if err != nil {
		return nil, phrase.Wrap(err, "trust.dsse_form")
	}
	e := &Envelope{}
	var list []json.RawMessage
	for _, f := range []struct {
		name string
		into any
	}{{"payloadType", &e.PayloadType}, {"signatures", &list}} {
		if err := value(top[f.name], f.into); err != nil {
			return nil, phrase.E("trust.dsse_field", "field", f.name)
		}
	}
	if e.PayloadType != payloadType {
		return nil, phrase.E("trust.dsse_type", "type", e.PayloadType, "want", payloadType)
	}
	if e.Payload, err = binary(top["payload"]); err != nil {
		return nil, phrase.E("trust.dsse_field", "field", "payload")
	}
	if len(list) == 0 || len(list) > l.Signatures {
		return nil, phrase.E("trust.dsse_count", "count", len(list), "most", l.Signatures)
	}
	for _, raw := range list {
		o, err := object(raw, "keyid", "sig")
		if err != nil {
			return nil, phrase.Wrap(err, "trust.dsse_form")
		}
		var s EnvelopeSignature
		if o["keyid"] != nil {
			if err := value(o["keyid"], &s.KeyID); err != nil || len(s.KeyID) > 64 {
				return nil, phrase.E("trust.dsse_field", "field", "keyid")
			}
		}
		if s.Sig, err = binary(o["sig"]); err != nil || len(s.Sig) == 0 || len(s.Sig) > signatureMost {
			return nil, phrase.E("trust.dsse_field", "field", "sig")
		}
		e.Signatures = append(e.Signatures, s)
	}
	return e, nil
}

// object reads one JSON object. encoding/json takes names in any letters, and the
// last of several: so names are read one by one.
func object(b []byte, names ...string) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("no object")
	}
	out := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name := t.(string)
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, err
		}
		for _, n := range names {
			if !strings.EqualFold(n, name) {
				continue
			}
			if n != name || out[n] != nil {
				return nil, errors.New(strconv.Quote(n) + " twice")
			}
			out[n] = raw
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more after the end")
	}
	return out, nil
}

// value reads a field that must be there.
func value(raw json.RawMessage, into any) error {
	if raw == nil || string(raw) == "null" {
		return errors.New("missing")
	}
	return json.Unmarshal(raw, into)
}

// binary reads strict base64, of either alphabet as DSSE asks, with its padding.
func binary(raw json.RawMessage) ([]byte, error) {
	var s string
	if err := value(raw, &s); err != nil {
		return nil, err
	}
	if strings.ContainsAny(s, "\r\n") { // encoding/base64 passes over them
		return nil, errors.New("line ends")
	}
	if strings.ContainsAny(s, "-_") {
		return base64.URLEncoding.Strict().DecodeString(s)
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}

// VerifyDSSE judges every signature of an envelope at the time when its payload
// says that it was made. Only pinned keys count: an envelope brings no certificates.
func (s *Store) VerifyDSSE(e *Envelope, sent time.Time) []Verdict {
	message := encode(e.PayloadType, e.Payload)
	var out []Verdict
	for _, sig := range e.Signatures {
		v := Verdict{KeyID: sig.KeyID, Err: phrase.E("trust.dsse_key", "key", string(sig.KeyID))}
		for _, i := range s.issuers {
			for n := range i.Keys {
				k := &i.Keys[n]
				if sig.KeyID != "" && sig.KeyID != k.ID {
					continue
				}
				alg := algorithmOf(k.Public)
				err := VerifyAs(k.Public, alg, message, sig.Sig, i.SM2UserID)
				if err != nil && sig.KeyID == "" {
					continue // some other may fit
				}
				if err == nil {
					err = s.Vouch(i, k.Public, nil, sent)
				}
				v = Verdict{KeyID: k.ID, Issuer: i, Key: k, Algorithm: alg, Err: err}
			}
		}
		out = append(out, v)
	}
	return out
}

// Signers gives the distinct keys of one issuer whose signatures hold, sorted.
// However many signatures a key made, it is one; Issuer.PersonsOf says whose.
func Signers(vs []Verdict, issuer string) []KeyID {
	var out []KeyID
	for _, v := range vs {
		if v.Err == nil && v.Issuer != nil && v.Issuer.ID == issuer && !slices.Contains(out, v.KeyID) {
			out = append(out, v.KeyID)
		}
	}
	slices.Sort(out)
	return out
}

// SealDSSE makes an envelope.
func SealDSSE(payloadType string, payload []byte, signers ...Signer) ([]byte, error) {
	e := &Envelope{PayloadType: payloadType, Payload: payload}
	for _, s := range signers {
		if err := e.Add(s); err != nil {
			return nil, err
		}
	}
	return e.JSON()
}

// VerifyBy holds the signatures of an envelope to one key that the caller believes: nil
// where one of them is that key's.
func (e *Envelope) VerifyBy(pub crypto.PublicKey) error {
	message := encode(e.PayloadType, e.Payload)
	err := error(phrase.E("trust.signature"))
	for _, s := range e.Signatures {
		if err = Verify(pub, algorithmOf(pub), message, s.Sig); err == nil {
			return nil
		}
	}
	return err
}

// Add signs an envelope also with s: how a second person releases an order.
func (e *Envelope) Add(s Signer) error {
	id, err := IDOf(s.Public())
	if err != nil {
		return err
	}
	sig, err := s.Sign(encode(e.PayloadType, e.Payload))
	if err != nil {
		return err
	}
	e.Signatures = append(e.Signatures, EnvelopeSignature{id, sig})
	return nil
}

// JSON writes the envelope.
func (e *Envelope) JSON() ([]byte, error) {
	type sig struct {
		KeyID KeyID  `json:"keyid,omitempty"`
		Sig   []byte `json:"sig"`
	}
	w := struct {
		Payload     []byte `json:"payload"`
		PayloadType string `json:"payloadType"`
		Signatures  []sig  `json:"signatures"`
	}{Payload: e.Payload, PayloadType: e.PayloadType, Signatures: []sig{}}
	if w.Payload == nil {
		w.Payload = []byte{}
	}
	for _, s := range e.Signatures {
		w.Signatures = append(w.Signatures, sig(s))
	}
	return json.Marshal(w)
}

// algorithmOf gives the algorithm that keys of a kind sign envelopes with.
func algorithmOf(pub crypto.PublicKey) Algorithm {
	switch KindOf(pub) {
	case RSA:
		return RSASHA256
	case P256:
		return ECDSASHA256
	case P384:
		return ECDSASHA384
	case SM2:
		return SM2SM3
	case Ed25519:
		return EdDSA
	}
	return ""
}
