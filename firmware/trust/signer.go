package trust

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"tocsin/firmware/phrase"
)

// Signer signs messages with one private key.
type Signer interface {
	Public() crypto.PublicKey
	Algorithm() Algorithm
	// Sign gives a signature as Verify takes it.
	Sign(message []byte) ([]byte, error)
}

// PrivateKey is a Signer that can be kept. Its String and JSON never show the key.
type PrivateKey struct {
	key    crypto.Signer
	alg    Algorithm
	uid    string
	steady bool
}

// String names the key without showing it.
func (p *PrivateKey) String() string {
	id, _ := IDOf(p.Public())
	return string(p.alg) + " " + string(id)
}

// GoString is String: a key is never printed.
func (p *PrivateKey) GoString() string { return p.String() }

// MarshalJSON refuses: a private key goes out only by PEM.
func (p *PrivateKey) MarshalJSON() ([]byte, error) { return nil, phrase.E("trust.key_secret") }

// NewSigner makes a key of a kind. An RSA key has 3072 bits.
func NewSigner(kind Kind) (*PrivateKey, error) {
	var k crypto.Signer
	var err error
	switch kind {
	case RSA:
		k, err = rsa.GenerateKey(rand.Reader, 3072)
	case P256:
		k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		k, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case SM2:
		k, err = sm2.GenerateKey(rand.Reader)
	case Ed25519:
		_, k, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, phrase.E("trust.key_kind")
	}
	if err != nil {
		return nil, err
	}
	return newPrivate(k)
}

// LoadSigner reads a private key from PEM: PKCS #8 (RFC 5958) of any kind that
// this package uses, or the older SEC 1 and PKCS #1 forms. Encrypted keys are
// refused with the command that decrypts them.
func LoadSigner(b []byte) (*PrivateKey, error) {
	for {
		var p *pem.Block
		p, b = pem.Decode(b)
		if p == nil {
			return nil, phrase.E("trust.key_none")
		}
		var k any
		var err error
		switch p.Type {
		case "PRIVATE KEY":
			k, err = smx509.ParsePKCS8PrivateKey(p.Bytes)
		case "EC PRIVATE KEY":
			k, err = smx509.ParseTypedECPrivateKey(p.Bytes)
		case "RSA PRIVATE KEY":
			k, err = smx509.ParsePKCS1PrivateKey(p.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, phrase.E("trust.key_encrypted")
		default: // parameters and certificates may stand before it
			continue
		}
		if err != nil {
			return nil, phrase.Wrap(err, "trust.key_unreadable")
		}
		s, ok := k.(crypto.Signer)
		if !ok {
			return nil, phrase.E("trust.key_kind")
		}
		return newPrivate(s)
	}
}

func newPrivate(k crypto.Signer) (*PrivateKey, error) {
	p := &PrivateKey{key: k}
	switch KindOf(k.Public()) {
	case RSA:
		p.alg = RSASHA256
	case P256:
		p.alg = ECDSASHA256
	case P384:
		p.alg = ECDSASHA384
	case SM2:
		p.alg = SM2SM3
	case Ed25519:
		p.alg = EdDSA
	default:
		return nil, phrase.E("trust.key_kind")
	}
	return p, strong(k.Public(), rsaModest)
}

// As gives the same key signing under an SM2 identity; other kinds have none.
func (p *PrivateKey) As(sm2UserID string) *PrivateKey {
	q := *p
	q.uid = sm2UserID
	return &q
}

// Public gives the key that verifies.
func (p *PrivateKey) Public() crypto.PublicKey { return p.key.Public() }

// Algorithm gives the algorithm that Sign uses.
func (p *PrivateKey) Algorithm() Algorithm { return p.alg }

// Sign signs a message.
func (p *PrivateKey) Sign(message []byte) ([]byte, error) {
	switch k := p.key.(type) {
	case *rsa.PrivateKey:
		return rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, hash(p.alg, message))
	case ed25519.PrivateKey:
		return ed25519.Sign(k, message), nil
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, k, hash(p.alg, message))
		if err != nil {
			return nil, err
		}
		return join(r, s, &k.PublicKey), nil
	case *sm2.PrivateKey:
		uid := p.uid
		if uid == "" {
			uid = SM2UserID
		}
		numbers := rand.Reader
		if p.steady {
			numbers = newSteadyNumbers(k, []byte(uid), message)
		}
		r, s, err := sm2.SignWithSM2(numbers, &k.PrivateKey, []byte(uid), message)
		if err != nil {
			return nil, err
		}
		return join(r, s, &k.PublicKey), nil
	}
	return nil, phrase.E("trust.key_kind")
}

func join(r, s *big.Int, k *ecdsa.PublicKey) []byte {
	w := width(k)
	b := make([]byte, 2*w)
	r.FillBytes(b[:w])
	s.FillBytes(b[w:])
	return b
}

// PEM writes the private key as unencrypted PKCS #8. Keep it in a file that only
// the owner reads.
func (p *PrivateKey) PEM() ([]byte, error) {
	der, err := smx509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// PublicPEM writes a public key as a site's document takes it.
func PublicPEM(pub crypto.PublicKey) ([]byte, error) {
	der, err := smx509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// CertificatePEM writes a certificate as a site's document takes it.
func CertificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// SelfSigned makes an end-entity certificate of the key for itself, for
// digitalSignature only: how a box shows its own key.
func (p *PrivateKey) SelfSigned(name string, from, until time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber:          serial.Add(serial, big.NewInt(1)),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             from.UTC(),
		NotAfter:              until.UTC(),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
	}
	der, err := smx509.CreateCertificate(rand.Reader, t, t, p.Public(), p.key)
	if err != nil {
		return nil, err
	}
	return parseCertificate(der)
}

func parseCertificate(der []byte) (*x509.Certificate, error) {
	c, err := smx509.ParseCertificate(der)
	return (*x509.Certificate)(c), err
}

// LoadCertificate reads the first certificate of a PEM text.
func LoadCertificate(b []byte) (*x509.Certificate, error) {
	for {
		var p *pem.Block
		if p, b = pem.Decode(b); p == nil {
			return nil, phrase.E("trust.key_none")
		}
		if p.Type == "CERTIFICATE" {
			return parseCertificate(p.Bytes)
		}
	}
}
