package xmldsig

import (
	"crypto"
	"crypto/x509"

	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

// Limits bound a document. Any text within DefaultLimits is parsed and verified
// within 32 MiB of heap.
type Limits struct {
	Bytes          int // of the text
	Depth          int // of elements, the root being 1
	Elements       int
	Nodes          int // elements, texts, comments and instructions together
	Weight         int // nodes along the heaviest way down, each with all below it: what canonicalising copies
	Attributes     int // of the whole document
	AttributeBytes int // of one value
	NameBytes      int // of one name
	Namespaces     int // in scope at once
	Signatures     int
}

// DefaultLimits suit an alert of 1 MiB.
var DefaultLimits = Limits{
	Bytes: 1 << 20, Depth: 16, Elements: 20000, Nodes: 50000, Weight: 120000, Attributes: 10000, AttributeBytes: 4096,
	NameBytes: 128, Namespaces: 16, Signatures: 6,
}

// Document is a parsed text.
type Document struct{}

// Options say what a Verify may take.
type Options struct {
	// Lenient allows the declared second attempt.
	Lenient bool
	// SHA1 allows rsa-sha1 and SHA-1 digests.
	SHA1 bool
	// SM2UserID is the signer's SM2 identity; "" is the default one.
	SM2UserID string
	// SM2 names SM2 in XML; the zero value is the default.
	SM2 trust.SM2Scheme
}

// Signature is one signature of a document and what became of it.
type Signature struct {
	// Path is its place: /alert/Signature[2].
	Path      string
	Algorithm trust.Algorithm
	// C14N is the URI of the canonicalisation of the signed document.
	C14N string
	// KeyID and Public name the key that verified; "" and nil if none did.
	KeyID  trust.KeyID
	Public crypto.PublicKey
	// Certificates came along; Certificates[0] is the one of the key where one is.
	Certificates []*x509.Certificate
	KeyName      string
	// Signed are the canonical bytes that the digest covers: what is parsed
	// afterwards. nil unless Err is nil.
	Signed []byte
	// Err says why it does not verify, as a *phrase.Error; nil is genuine.
	Err error
	// Lenient tells that only the declared second attempt verified.
	Lenient bool
}

// Parse reads a text within limits; the error is a *phrase.Error with the line.
func Parse(b []byte, l Limits) (*Document, error) {
	return nil, phrase.E("trust.xml_syntax", "line", 1, "detail", "")
}

// Canonical gives the whole document as it would be parsed had it no signature
// to hold it: Canonical XML 1.0 without comments, signatures included. It is
// for showing what nobody vouches for.
func (d *Document) Canonical() ([]byte, error) { return nil, nil }

// Verify checks every Signature that is a child of the root. candidates are pinned keys, tried
// where the signature names or brings none of its own. An empty answer means that the
// document has no signature.
func (d *Document) Verify(candidates []trust.Key, o Options) []Signature { return nil }

// SignOptions choose how Sign writes.
type SignOptions struct {
	// C14N is the canonicalisation of document and SignedInfo; "" is ExclusiveC14N.
	C14N string
	SM2  trust.SM2Scheme
	// KeyName is written into KeyInfo; "" writes the key's id.
	KeyName string
}

// The canonicalisations that are taken, all without comments.
const (
	C14N10        = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
	C14N11        = "http://www.w3.org/2006/12/xml-c14n11"
	ExclusiveC14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
)

// Sign appends an enveloped signature as the last child of the root and gives the
// signed text. cert, where not nil, is sent along.
func Sign(b []byte, s trust.Signer, cert *x509.Certificate, o SignOptions) ([]byte, error) {
	return nil, phrase.E("trust.xml_syntax", "line", 1, "detail", "")
}
