package trust

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"tocsin/firmware/phrase"
)

var (
	may   = time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)
	kinds = []Kind{RSA, P256, P384, SM2, Ed25519}
)

// authority is a certificate authority for tests.
type authority struct {
	t    testing.TB
	key  *PrivateKey
	cert *x509.Certificate
	next int64
}

func newKey(t testing.TB, k Kind) *PrivateKey {
	t.Helper()
	s, err := NewSigner(k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newAuthority(t testing.TB, k Kind, name string) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t, k), next: 2}
	a.cert = a.make(1, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, nil, a.key)
	return a
}

func (a *authority) make(serial int64, c *x509.Certificate, parent *x509.Certificate, of *PrivateKey) *x509.Certificate {
	a.t.Helper()
	c.SerialNumber = big.NewInt(serial)
	if c.NotBefore.IsZero() {
		c.NotBefore, c.NotAfter = may.AddDate(0, -1, 0), may.AddDate(0, 1, 0)
	}
	if parent == nil {
		parent = c
	}
	der, err := smx509.CreateCertificate(rand.Reader, c, parent, of.Public(), a.key.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := parseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// leaf certifies a key; change may alter the certificate.
func (a *authority) leaf(of *PrivateKey, name string, change func(*x509.Certificate)) *x509.Certificate {
	c := &x509.Certificate{Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true}
	if change != nil {
		change(c)
	}
	a.next++
	return a.make(a.next, c, a.cert, of)
}

// sub makes an authority below a.
func (a *authority) sub(k Kind, name string) *authority {
	b := &authority{t: a.t, key: newKey(a.t, k), next: 100}
	b.cert = a.leaf(b.key, name, func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	})
	return b
}

func (a *authority) list(number int64, entries []x509.RevocationListEntry, more ...pkix.Extension) []byte {
	a.t.Helper()
	der, err := smx509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(number), ThisUpdate: may.Add(time.Duration(number) * time.Hour), NextUpdate: may.AddDate(0, 0, 7),
		RevokedCertificateEntries: entries, ExtraExtensions: more,
	}, (*smx509.Certificate)(a.cert), a.key.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

func pemOf(c *x509.Certificate) PEMDocument { return PEMDocument{PEM: string(CertificatePEM(c))} }

func pemKey(t testing.TB, s Signer) PEMDocument {
	t.Helper()
	b, err := PublicPEM(s.Public())
	if err != nil {
		t.Fatal(err)
	}
	return PEMDocument{PEM: string(b)}
}

func pemList(der []byte) PEMDocument {
	return PEMDocument{PEM: string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))}
}

func one(d IssuerDocument) Document {
	if d.Senders == nil {
		d.Senders = []string{"county@example.cn"}
	}
	return Document{Issuers: map[string]IssuerDocument{"county": d}}
}

// store makes a Store of a document without faults.
func store(t testing.TB, d Document) (*Store, *Issuer) {
	t.Helper()
	s, faults := New(d, nil)
	for _, f := range faults {
		if !f.Warning {
			t.Fatalf("%v: %s", f.Path, f.Message.In(phrase.EN))
		}
	}
	i, _ := s.Issuer("county")
	return s, i
}

// code is the code of an error, "" for none.
func code(err error) string {
	if err == nil {
		return ""
	}
	return phrase.Of(err).Code
}

func idOf(t testing.TB, s Signer) KeyID {
	t.Helper()
	id, err := IDOf(s.Public())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAChainIsHeldToEveryRule(t *testing.T) {
	for _, k := range []Kind{RSA, P256, SM2} {
		t.Run(string(k), func(t *testing.T) {
			root, other := newAuthority(t, k, "national root"), newAuthority(t, k, "another root")
			mid := root.sub(k, "province")
			key := newKey(t, k)
			base := IssuerDocument{Authorities: []PEMDocument{pemOf(root.cert)}, Subjects: []string{"county *"}}
			good := mid.leaf(key, "county office", nil)
			direct := root.leaf(key, "county office", nil)
			for _, c := range []struct {
				name string
				doc  func(*Document)
				cert *x509.Certificate
				with []*x509.Certificate
				at   time.Time
				want string
			}{
				{name: "below the authority itself", cert: direct},
				{name: "below one between that came along", cert: good, with: []*x509.Certificate{mid.cert}},
				{name: "the one between is missing", cert: good, want: "trust.chain"},
				{name: "another root came along", cert: other.leaf(key, "county office", nil), with: []*x509.Certificate{other.cert}, want: "trust.chain"},
				{name: "another subject", cert: root.leaf(key, "neighbour", nil), want: "trust.subject"},
				{name: "the usage is encipherment only", cert: root.leaf(key, "county office", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), want: "trust.cert_usage"},
				{name: "nonRepudiation alone signs", cert: root.leaf(key, "county office", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageContentCommitment })},
				{name: "an authority signs no alerts", cert: root.leaf(key, "county office", func(c *x509.Certificate) {
					c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
				}), want: "trust.cert_authority"},
				{name: "sent before it began", cert: direct, at: may.AddDate(0, -2, 0), want: "trust.key_early"},
				{name: "sent after it ended", cert: direct, at: may.AddDate(0, 2, 0), want: "trust.key_ended"},
				{name: "an unknown critical extension", cert: root.leaf(key, "county office", func(c *x509.Certificate) {
					c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
				}), want: "trust.chain"},
				{name: "no time", cert: direct, at: time.Time{}, want: "trust.no_time"},
				{name: "the county's key is revoked by its id", cert: direct, doc: func(d *Document) {
					d.Revoked = []RevokedDocument{{Key: string(idOf(t, key)), Since: may.Format(time.RFC3339)}}
				}, want: "trust.revoked"},
				{name: "the key between is revoked by its id", cert: good, with: []*x509.Certificate{mid.cert}, doc: func(d *Document) {
					d.Revoked = []RevokedDocument{{Key: string(idOf(t, mid.key)), Compromised: true}}
				}, want: "trust.revoked_compromised"},
				{name: "listed by the root", cert: direct, doc: func(d *Document) {
					d.Lists = []PEMDocument{pemList(root.list(1, []x509.RevocationListEntry{{SerialNumber: direct.SerialNumber, RevocationTime: may}}))}
				}, want: "trust.revoked"},
				{name: "listed, but signed before", cert: direct, at: may.Add(-time.Second), doc: func(d *Document) {
					d.Lists = []PEMDocument{pemList(root.list(1, []x509.RevocationListEntry{{SerialNumber: direct.SerialNumber, RevocationTime: may}}))}
				}},
				{name: "listed as compromised, signed before", cert: direct, at: may.Add(-time.Second), doc: func(d *Document) {
					d.Lists = []PEMDocument{pemList(root.list(1, []x509.RevocationListEntry{{SerialNumber: direct.SerialNumber, RevocationTime: may, ReasonCode: keyCompromise}}))}
				}, want: "trust.revoked_compromised"},
				{name: "listed by the one between", cert: good, with: []*x509.Certificate{mid.cert}, doc: func(d *Document) {
					d.Lists = []PEMDocument{pemList(mid.list(1, []x509.RevocationListEntry{{SerialNumber: good.SerialNumber, RevocationTime: may}}))}
				}, want: "trust.revoked"},
				{name: "the one between is listed", cert: good, with: []*x509.Certificate{mid.cert}, doc: func(d *Document) {
					d.Lists = []PEMDocument{pemList(root.list(1, []x509.RevocationListEntry{{SerialNumber: mid.cert.SerialNumber, RevocationTime: may}}))}
				}, want: "trust.revoked"},
				{name: "the same serial of another authority is not meant", cert: direct, doc: func(d *Document) {
					d.Lists = []PEMDocument{pemList(other.list(1, []x509.RevocationListEntry{{SerialNumber: direct.SerialNumber, RevocationTime: may}}))}
				}},
				{name: "a list under the root's name that the root did not sign", cert: direct, doc: func(d *Document) {
					d.Lists = []PEMDocument{pemList(newAuthority(t, k, "national root").list(1, []x509.RevocationListEntry{{SerialNumber: direct.SerialNumber, RevocationTime: may}}))}
				}},
				{name: "the newest list counts", cert: direct, doc: func(d *Document) {
					d.Lists = []PEMDocument{pemList(root.list(2, nil)), pemList(root.list(1, []x509.RevocationListEntry{{SerialNumber: direct.SerialNumber, RevocationTime: may}}))}
				}},
			} {
				d := one(base)
				if c.doc != nil {
					c.doc(&d)
				}
				s, i := store(t, d)
				at := c.at
				if at.IsZero() && c.want != "trust.no_time" {
					at = may
				}
				err := s.Vouch(i, key.Public(), append([]*x509.Certificate{c.cert}, c.with...), at)
				if got := code(err); got != c.want {
					t.Errorf("%s: %v, want %q", c.name, err, c.want)
				}
			}
			s, i := store(t, one(base))
			if got := code(s.Vouch(i, key.Public(), nil, may)); got != "trust.key_unknown" {
				t.Errorf("no certificate came along: %s", got)
			}
			if got := code(s.Vouch(i, newKey(t, k).Public(), []*x509.Certificate{direct}, may)); got != "trust.key_unknown" {
				t.Errorf("a foreign certificate came along: %s", got)
			}
		})
	}
}

func TestListsThatAreNotWholeOrNotSoundAreRefused(t *testing.T) {
	root := newAuthority(t, P256, "root")
	base := IssuerDocument{Authorities: []PEMDocument{pemOf(root.cert)}, Subjects: []string{"county"}}
	part := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 0}}
	for _, c := range []struct{ name, pem, want string }{
		{"a part", pemList(root.list(1, nil, part)).PEM, "trust.list_partial"},
		{"a certificate", string(CertificatePEM(root.cert)), "trust.pem_type"},
		{"no PEM", "hello", "trust.list_unreadable"},
		{"nothing", "", "trust.pem_or_file"},
	} {
		d := one(base)
		d.Lists = []PEMDocument{{PEM: c.pem}}
		_, faults := New(d, nil)
		if len(faults) != 1 || !strings.Contains(codes(faults[0].Message), c.want) {
			t.Errorf("%s: %+v", c.name, faults)
		}
	}
}

// codes gives a message's code with those inside it.
func codes(m phrase.Message) string {
	s := m.Code
	for _, v := range m.Params {
		if in, ok := v.(phrase.Message); ok {
			s += " " + codes(in)
		}
	}
	return s
}

func TestAListMayBeAFileInDER(t *testing.T) {
	root, key := newAuthority(t, P256, "root"), newKey(t, P256)
	leaf := root.leaf(key, "county", nil)
	d := one(IssuerDocument{Authorities: []PEMDocument{pemOf(root.cert)}, Subjects: []string{"county"}})
	d.Lists = []PEMDocument{{File: "root.crl"}}
	s, faults := New(d, fstest.MapFS{"root.crl": {Data: root.list(1, []x509.RevocationListEntry{{SerialNumber: leaf.SerialNumber, RevocationTime: may}})}})
	if len(faults) > 0 {
		t.Fatalf("%+v", faults)
	}
	i, _ := s.Issuer("county")
	if got := code(s.Vouch(i, key.Public(), []*x509.Certificate{leaf}, may)); got != "trust.revoked" {
		t.Error(got)
	}
}

func TestAWeakKeyIsNeverVouchedFor(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	root := newAuthority(t, RSA, "root")
	cert := root.make(9, &x509.Certificate{Subject: pkix.Name{CommonName: "county"}, KeyUsage: x509.KeyUsageDigitalSignature}, root.cert, &PrivateKey{key: weak})
	s, i := store(t, one(IssuerDocument{Authorities: []PEMDocument{pemOf(root.cert)}, Subjects: []string{"county"}}))
	if got := code(s.Vouch(i, &weak.PublicKey, []*x509.Certificate{cert}, may)); got != "trust.key_weak" {
		t.Error(got)
	}
	d := one(IssuerDocument{Keys: []PEMDocument{pemKey(t, newKey(t, RSA))}})
	d.RSABits = 4096
	if _, faults := New(d, nil); len(faults) != 1 || !strings.Contains(codes(faults[0].Message), "trust.key_weak") {
		t.Errorf("a site that asks for more: %+v", faults)
	}
	small := &rsa.PublicKey{N: newKey(t, RSA).Public().(*rsa.PublicKey).N, E: 3}
	if got := code(strong(small, rsaModest)); got != "trust.key_exponent" {
		t.Error(got)
	}
}
