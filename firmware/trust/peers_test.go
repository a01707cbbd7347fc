//go:build peers

package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func openssl(t *testing.T, dir string, args ...string) ([]byte, error) {
	t.Helper()
	c := exec.Command("openssl", args...)
	c.Dir = dir
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("openssl %s: %w\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.Bytes(), nil
}

func must(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	b, err := openssl(t, dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

type pair struct{ R, S *big.Int }

func toDER(t *testing.T, sig []byte) []byte {
	t.Helper()
	n := len(sig) / 2
	der, err := asn1.Marshal(pair{new(big.Int).SetBytes(sig[:n]), new(big.Int).SetBytes(sig[n:])})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func fromDER(t *testing.T, der []byte, width int) []byte {
	t.Helper()
	var p pair
	if rest, err := asn1.Unmarshal(der, &p); err != nil || len(rest) > 0 {
		t.Fatal(err)
	}
	b := make([]byte, 2*width)
	p.R.FillBytes(b[:width])
	p.S.FillBytes(b[width:])
	return b
}

type opensslKind struct {
	kind  Kind
	make  []string
	opts  []string // of pkeyutl
	width int      // of r and s, 0 for signatures that are not a pair
}

var opensslKinds = []opensslKind{
	{RSA, []string{"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"}, []string{"-digest", "sha256"}, 0},
	{P256, []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}, []string{"-digest", "sha256"}, 32},
	{P384, []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"}, []string{"-digest", "sha384"}, 48},
	{SM2, []string{"-algorithm", "SM2"}, []string{"-digest", "sm3", "-pkeyopt", "distid:" + SM2UserID}, 32},
	{Ed25519, []string{"-algorithm", "ED25519"}, nil, 0},
}

// openssl signs certificates under an empty SM2 identity unless it is told the
// one of GM/T 0009, which the field and we use.
func (k opensslKind) sign() []string {
	if k.kind == SM2 {
		return []string{"-sigopt", "distid:" + SM2UserID}
	}
	return nil
}

func (k opensslKind) verify() []string {
	if k.kind == SM2 {
		return []string{"-vfyopt", "distid:" + SM2UserID}
	}
	return nil
}

// checks has openssl check what a certificate's key signed. Its own verify takes
// the SM2 identity for the last certificate of a chain only.
func (k opensslKind) checks(t *testing.T, dir, cert string, message, sig []byte) {
	t.Helper()
	write(t, dir, "tbs", message)
	write(t, dir, "tbs.sig", sig)
	must(t, dir, append([]string{"pkeyutl", "-verify", "-rawin", "-certin", "-inkey", cert, "-in", "tbs", "-sigfile", "tbs.sig"}, k.opts...)...)
	message[0] ^= 1
	write(t, dir, "tbs", message)
	message[0] ^= 1
	if _, err := openssl(t, dir, append([]string{"pkeyutl", "-verify", "-rawin", "-certin", "-inkey", cert, "-in", "tbs", "-sigfile", "tbs.sig"}, k.opts...)...); err == nil {
		t.Error("openssl took another text: it proves nothing")
	}
}

func TestOpensslAndWeReadEachOthersKeysAndSignatures(t *testing.T) {
	message := []byte("立即转移 at 22:40")
	for _, k := range opensslKinds {
		t.Run(string(k.kind), func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "message", message)
			ours, err := newKey(t, k.kind).PEM()
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, "ours.pem", ours)
			must(t, dir, append([]string{"genpkey", "-out", "theirs.pem"}, k.make...)...)
			for _, name := range []string{"ours.pem", "theirs.pem"} {
				s, err := LoadSigner(read(t, dir, name))
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				pub := must(t, dir, "pkey", "-in", name, "-pubout")
				if mine, err := PublicPEM(s.Public()); err != nil || !bytes.Equal(bytes.TrimSpace(mine), bytes.TrimSpace(pub)) {
					t.Errorf("%s: %v\n%s\n%s", name, err, mine, pub)
				}
				write(t, dir, "pub.pem", pub)
				sig, err := s.Sign(message)
				if err != nil {
					t.Fatal(err)
				}
				der := sig
				if k.width > 0 {
					der = toDER(t, sig)
				}
				write(t, dir, "sig", der)
				verify := append([]string{"pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "pub.pem", "-in", "message", "-sigfile", "sig"}, k.opts...)
				must(t, dir, verify...)
				der[len(der)-1] ^= 1
				write(t, dir, "sig", der)
				if _, err := openssl(t, dir, verify...); err == nil {
					t.Error("openssl took a spoilt signature: it proves nothing")
				}
				must(t, dir, append([]string{"pkeyutl", "-sign", "-rawin", "-inkey", name, "-in", "message", "-out", "theirs"}, k.opts...)...)
				their := read(t, dir, "theirs")
				if k.width > 0 {
					their = fromDER(t, their, k.width)
				}
				if err := Verify(s.Public(), s.Algorithm(), message, their); err != nil {
					t.Errorf("%s, signed by openssl: %v", name, err)
				}
			}
		})
	}
}

func TestOpensslReadsOurSelfSignedCertificate(t *testing.T) {
	for _, k := range opensslKinds {
		dir := t.TempDir()
		c, err := newKey(t, k.kind).SelfSigned("box 7", time.Now().Add(-time.Minute), time.Now().AddDate(10, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, "c.pem", CertificatePEM(c))
		text := string(must(t, dir, "x509", "-in", "c.pem", "-noout", "-text"))
		if !strings.Contains(text, "CN = box 7") || !strings.Contains(text, "Digital Signature") {
			t.Error(text)
		}
		k.checks(t, dir, "c.pem", c.RawTBSCertificate, c.Signature)
	}
}

// TestVouchAgreesWithOpensslOnChainsAndLists makes a root, an authority between and a
// county's certificate with openssl, revokes the last, and asks both.
func TestVouchAgreesWithOpensslOnChainsAndLists(t *testing.T) {
	for _, k := range opensslKinds[:4] {
		t.Run(string(k.kind), func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "ca.cnf", []byte(`[ca]
default_ca = d
[d]
database = index
serial = serial
crlnumber = crlnumber
new_certs_dir = .
default_md = default
default_days = 30
default_crl_days = 7
policy = p
unique_subject = no
[p]
commonName = supplied
[mid]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[leaf]
keyUsage = critical,digitalSignature
[cipher]
keyUsage = critical,keyEncipherment
[req]
distinguished_name = dn
[dn]
`))
			write(t, dir, "index", nil)
			write(t, dir, "serial", []byte("1000\n"))
			write(t, dir, "crlnumber", []byte("01\n"))
			for _, name := range []string{"root", "mid", "leaf", "cipher"} {
				must(t, dir, append([]string{"genpkey", "-out", name + ".key"}, k.make...)...)
			}
			must(t, dir, append([]string{"req", "-config", "ca.cnf", "-x509", "-new", "-key", "root.key", "-subj", "/CN=root", "-days", "30", "-out", "root.pem",
				"-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"}, k.sign()...)...)
			issue := func(name, by string) {
				must(t, dir, append([]string{"req", "-config", "ca.cnf", "-new", "-key", name + ".key", "-subj", "/CN=" + name, "-out", name + ".csr"}, k.sign()...)...)
				args := []string{"ca", "-config", "ca.cnf", "-batch", "-notext", "-cert", by + ".pem", "-keyfile", by + ".key", "-in", name + ".csr", "-extensions", name, "-out", name + ".pem"}
				must(t, dir, append(append(args, k.verify()...), k.sign()...)...)
			}
			issue("mid", "root")
			issue("leaf", "mid")
			issue("cipher", "mid")
			list := func() []byte {
				must(t, dir, append([]string{"ca", "-config", "ca.cnf", "-gencrl", "-cert", "mid.pem", "-keyfile", "mid.key", "-out", "mid.crl"}, k.sign()...)...)
				return read(t, dir, "mid.crl")
			}
			cert := func(name string) *x509.Certificate {
				b, _ := pem.Decode(read(t, dir, name+".pem"))
				c, err := parseCertificate(b.Bytes)
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			ask := func(name string, crl []byte, at time.Time) (ours error, theirs error) {
				d := one(IssuerDocument{Authorities: []PEMDocument{{File: "root.pem"}}, Subjects: []string{"leaf", "cipher"}})
				files := fstest.MapFS{"root.pem": {Data: read(t, dir, "root.pem")}}
				args := append(append([]string{"verify"}, k.verify()...), "-attime", fmt.Sprint(at.Unix()), "-CAfile", "root.pem", "-untrusted", "mid.pem")
				if crl != nil {
					d.Lists = []PEMDocument{{File: "mid.crl"}}
					files["mid.crl"] = &fstest.MapFile{Data: crl}
					args = append(args, "-crl_check", "-CRLfile", "mid.crl")
				}
				s, faults := New(d, files)
				for _, f := range faults {
					if !f.Warning {
						t.Fatalf("%+v", f)
					}
				}
				i, _ := s.Issuer("county")
				c := cert(name)
				if k.kind == SM2 { // see checks: openssl makes chain and list, and checks them one by one
					args = append(append([]string{"verify"}, k.verify()...), "-attime", fmt.Sprint(at.Unix()), "-partial_chain", "-trusted", "mid.pem")
				}
				_, theirs = openssl(t, dir, append(args, name+".pem")...)
				return s.Vouch(i, c.PublicKey, []*x509.Certificate{c, cert("mid")}, at), theirs
			}
			now := time.Now().Add(time.Minute)
			empty := list()
			for _, c := range []struct {
				name string
				crl  []byte
				at   time.Time
				good bool
			}{
				{"no list", nil, now, true},
				{"an empty list", empty, now, true},
				{"too early", nil, now.AddDate(0, 0, -2), false},
				{"too late", nil, now.AddDate(0, 0, 40), false},
			} {
				ours, theirs := ask("leaf", c.crl, c.at)
				if (ours == nil) != c.good || (theirs == nil) != c.good {
					t.Errorf("%s: we %v, openssl %v", c.name, ours, theirs)
				}
			}
			if ours, _ := ask("cipher", nil, now); code(ours) != "trust.cert_usage" {
				t.Errorf("a certificate for encipherment: %v", ours)
			}
			must(t, dir, "ca", "-config", "ca.cnf", "-cert", "mid.pem", "-keyfile", "mid.key", "-revoke", "leaf.pem", "-crl_reason", "keyCompromise")
			ours, theirs := ask("leaf", list(), now)
			if code(ours) != "trust.revoked_compromised" || theirs == nil && k.kind != SM2 {
				t.Errorf("revoked: we %v, openssl %v", ours, theirs)
			}
			if k.kind == SM2 {
				k.checks(t, dir, "root.pem", cert("mid").RawTBSCertificate, cert("mid").Signature)
				k.checks(t, dir, "mid.pem", cert("leaf").RawTBSCertificate, cert("leaf").Signature)
				b, _ := pem.Decode(read(t, dir, "mid.crl"))
				l, err := newList(b.Bytes)
				if err != nil {
					t.Fatal(err)
				}
				k.checks(t, dir, "mid.pem", l.crl.RawTBSRevocationList, l.crl.Signature)
			}
			if ours, theirs := ask("cipher", read(t, dir, "mid.crl"), now); code(ours) != "trust.cert_usage" || theirs != nil {
				t.Errorf("its neighbour: we %v, openssl %v", ours, theirs)
			}
		})
	}
}
