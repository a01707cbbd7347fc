package trust

import (
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

// Envelope is an opened DSSE envelope. Nothing in it is verified.
type Envelope struct {
	PayloadType string
	Payload     []byte
	Signatures  []EnvelopeSignature
}

// EnvelopeSignature is one signature, and the key that it claims.
type EnvelopeSignature struct {
	KeyID KeyID
	Sig   []byte
}

// Verdict is what one signature of an envelope is worth.
type Verdict struct {
	KeyID     KeyID
	Issuer    *Issuer // nil where the key is not pinned
	Key       *Key
	Algorithm Algorithm
	Err       error // nil: genuine, and the key may speak for the issuer
}

// OpenDSSE reads an envelope (DSSE 1.0.2, envelope.md) and holds it to a payload type.
func OpenDSSE(b []byte, payloadType string, l EnvelopeLimits) (*Envelope, error) {
	return nil, phrase.E("trust.dsse_form", "detail", "")
}

// VerifyDSSE judges every signature of an envelope at the time when its payload
// says that it was made.
func (s *Store) VerifyDSSE(e *Envelope, sent time.Time) []Verdict { return nil }

// Signers gives the distinct keys of one issuer whose signatures hold.
func Signers(vs []Verdict, issuer string) []KeyID { return nil }

// SealDSSE makes an envelope.
func SealDSSE(payloadType string, payload []byte, signers ...Signer) ([]byte, error) {
	return nil, phrase.E("trust.dsse_form", "detail", "")
}
