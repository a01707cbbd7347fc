package certificate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/secret"
)

const (
	caFile   = "tls-ca.pem"
	leafFile = "tls-leaf.pem"
	mostFile = 64 << 10

	leafDays  = 820
	renewDays = 60
	backDays  = 30 // a clock that ran on by itself may be ahead
	mostAddrs = 32
)

// caEnds is the last moment that every reader of certificates understands (RFC 5280,
// 4.1.2.5: UTCTime ends in 2049).
var caEnds = time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC)

// certain is a time that has passed, where nobody knows when the program was built.
var certain = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// localNames are those that no public authority signs for (RFC 6762, RFC 8375, ICANN's
// reservation of .internal), and ".lan" as home routers use it.
var localNames = []string{"localhost", "local", "lan", "home.arpa", "internal"}

// localNets are private, link-local, shared and loopback addresses.
var localNets = []string{
	"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "127.0.0.0/8",
	"fc00::/7", "fe80::/10", "::1/128",
}

// Opts configure an Authority.
type Opts struct {
	// Dir is the data directory.
	Dir string
	// Station is written into the names, so that people tell boxes apart.
	Station string
	// Hosts are the names, Addrs the addresses by which the box is called now.
	Hosts func() []string
	Addrs func() []netip.Addr
	// Now and Floor are the box's clock; Built is when this program was.
	Now   func() clock.Stamp
	Floor func() time.Time
	Built time.Time
	Log   *slog.Logger
}

// Authority signs the box's certificate. Use Open.
type Authority struct {
	o    Opts
	key  *ecdsa.PrivateKey
	cert *x509.Certificate

	mu   sync.Mutex
	leaf *leaf
}

type leaf struct {
	cert tls.Certificate
	x    *x509.Certificate
	free bool // dated while the clock was not trusted
}

// Open reads the authority, or makes one at the first start. It gives one that works
// also with an error, which is a *phrase.Error that says that it will not last; it is nil
// only where no key can be made at all.
func Open(o Opts) (*Authority, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	file := filepath.Join(o.Dir, caFile)
	b, err := secret.Read(file, mostFile)
	a := &Authority{o: o}
	if err == nil {
		if a.key, a.cert, err = parsePair(b); err == nil && !a.cert.IsCA {
			err = errors.New("not an authority's certificate")
		}
		if err == nil {
			a.recall()
			return a, nil
		}
		o.Log.Error("the page's authority is damaged; a new one replaces it, and phones must install it again", "err", err)
		_ = os.Rename(file, file+".damaged")
	} else if !errors.Is(err, fs.ErrNotExist) {
		o.Log.Error("the page's authority cannot be read", "err", err)
		made, bad := a.make()
		if bad != nil {
			return nil, bad
		}
		return made, phrase.Wrap(err, "certificate.in_ram")
	}
	if _, err := a.make(); err != nil {
		return nil, err
	}
	pair, err := writePair(a.key, a.cert)
	if err != nil {
		return nil, err
	}
	if err := renameio.WriteFile(file, pair, 0o600); err != nil {
		return a, phrase.Wrap(err, "certificate.in_ram")
	}
	o.Log.Info("the page's own authority is made", "sha256", a.Fingerprint())
	return a, nil
}

func (a *Authority) since() time.Time {
	t := a.o.Floor()
	if t.Before(a.o.Built) {
		t = a.o.Built
	}
	if t.Before(certain) {
		t = certain
	}
	return t.AddDate(0, 0, -backDays).UTC().Truncate(time.Second)
}

func (a *Authority) make() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Tocsin " + a.o.Station + " CA", Organization: []string{"Tocsin"}},
		NotBefore: a.since(), NotAfter: caEnds, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: slices.Clone(localNames),
	}
	for _, h := range a.o.Hosts() {
		if !permittedName(h, localNames) {
			t.PermittedDNSDomains = append(t.PermittedDNSDomains, h)
		}
	}
	for _, n := range localNets {
		_, ipn, err := net.ParseCIDR(n)
		if err != nil {
			return nil, err
		}
		t.PermittedIPRanges = append(t.PermittedIPRanges, ipn)
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	a.key = key
	a.cert, err = x509.ParseCertificate(der)
	return a, err
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return big.NewInt(time.Now().UnixNano())
	}
	return n.Add(n, big.NewInt(1))
}

// DER is the authority's certificate, for phones to install.
func (a *Authority) DER() []byte { return a.cert.Raw }

// Fingerprint is its SHA-256 as people compare it.
func (a *Authority) Fingerprint() string {
	sum := sha256.Sum256(a.cert.Raw)
	h := strings.ToUpper(hex.EncodeToString(sum[:]))
	var b strings.Builder
	for i := 0; i < len(h); i += 4 {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(h[i : i+4])
	}
	return b.String()
}

// Config is for the page's listener: TLS 1.2 at least.
func (a *Authority) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		var at netip.Addr
		if h.Conn != nil {
			if t, ok := h.Conn.LocalAddr().(*net.TCPAddr); ok {
				at = t.AddrPort().Addr().Unmap().WithZone("")
			}
		}
		l, err := a.now(at)
		if err != nil {
			return nil, err
		}
		return &l.cert, nil
	}}
}

// now gives the certificate that fits now, for whoever came to an address of ours.
func (a *Authority) now(at netip.Addr) (*leaf, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.leaf != nil && a.fits(a.leaf, at) {
		return a.leaf, nil
	}
	l, err := a.sign(at)
	if err != nil {
		if a.leaf != nil {
			a.o.Log.Error("the page's certificate is not renewed", "err", err)
			return a.leaf, nil // an old one is better than none
		}
		return nil, err
	}
	a.leaf = l
	a.keep(l)
	return l, nil
}

// fits tells whether a certificate still says what it should. Addresses that are gone
// cost nothing and stay in it.
func (a *Authority) fits(l *leaf, at netip.Addr) bool {
	if at.IsValid() && a.permittedAddr(at) && !slices.ContainsFunc(l.x.IPAddresses, func(ip net.IP) bool { return ip.Equal(at.AsSlice()) }) {
		return false
	}
	for _, h := range a.hosts() {
		if !slices.Contains(l.x.DNSNames, h) {
			return false
		}
	}
	now := a.o.Now()
	if now.Trust == clock.Free {
		return true
	}
	return !l.free && now.Wall.After(l.x.NotBefore) && now.Wall.Before(l.x.NotAfter.AddDate(0, 0, -renewDays))
}

// hosts are the names that the authority may sign for.
func (a *Authority) hosts() []string {
	out := []string{"localhost"}
	for _, h := range a.o.Hosts() {
		if h = strings.ToLower(strings.TrimSuffix(h, ".")); permittedName(h, a.cert.PermittedDNSDomains) && !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}

func permittedName(h string, permitted []string) bool {
	return slices.ContainsFunc(permitted, func(d string) bool { return h == d || strings.HasSuffix(h, "."+d) })
}

func (a *Authority) permittedAddr(ip netip.Addr) bool {
	return slices.ContainsFunc(a.cert.PermittedIPRanges, func(n *net.IPNet) bool { return n.Contains(ip.AsSlice()) })
}

func (a *Authority) sign(at netip.Addr) (*leaf, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := a.o.Now()
	free := now.Trust == clock.Free
	from := now.Wall.AddDate(0, 0, -backDays).UTC().Truncate(time.Second)
	if free {
		from = a.since()
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Tocsin " + a.o.Station},
		NotBefore: from, NotAfter: from.AddDate(0, 0, leafDays), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, DNSNames: a.hosts(),
	}
	if t.NotAfter.After(caEnds) {
		t.NotAfter = caEnds
	}
	addrs := append([]netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback(), at}, a.o.Addrs()...)
	if a.leaf != nil {
		// Those that somebody came to stay in it: a box with two addresses that nobody lists
		// would else make a key, and write it, for each who comes to the other one.
		for _, ip := range a.leaf.x.IPAddresses {
			if was, ok := netip.AddrFromSlice(ip); ok {
				addrs = append(addrs, was)
			}
		}
	}
	for _, ip := range addrs {
		if ip = ip.Unmap().WithZone(""); ip.IsValid() && a.permittedAddr(ip) && len(t.IPAddresses) < mostAddrs &&
			!slices.ContainsFunc(t.IPAddresses, func(x net.IP) bool { return x.Equal(ip.AsSlice()) }) {
			t.IPAddresses = append(t.IPAddresses, ip.AsSlice())
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	return a.pack(key, der, free)
}

// pack makes a leaf of its parts, the authority's certificate with it.
func (a *Authority) pack(key *ecdsa.PrivateKey, der []byte, free bool) (*leaf, error) {
	x, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &leaf{cert: tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key, Leaf: x}, x: x, free: free}, nil
}

// keep writes the leaf, so that a browser whose person accepted it by hand knows it again.
func (a *Authority) keep(l *leaf) {
	b, err := writePair(l.cert.PrivateKey.(*ecdsa.PrivateKey), l.x)
	if err == nil {
		if l.free {
			b = append([]byte(freeMark), b...)
		}
		err = renameio.WriteFile(filepath.Join(a.o.Dir, leafFile), b, 0o600)
	}
	if err != nil {
		a.o.Log.Warn("the page's certificate is not kept: it is another after a start", "err", err)
	}
}

// freeMark stands before a leaf that was dated by no trusted clock.
const freeMark = "# dated without a trusted clock\n"

func (a *Authority) recall() {
	b, err := secret.Read(filepath.Join(a.o.Dir, leafFile), mostFile)
	if err != nil {
		return
	}
	key, x, err := parsePair(b)
	if err != nil || x.CheckSignatureFrom(a.cert) != nil {
		return // another is made
	}
	if l, err := a.pack(key, x.Raw, bytes.HasPrefix(b, []byte(freeMark))); err == nil {
		a.leaf = l
	}
}

func writePair(key *ecdsa.PrivateKey, x *x509.Certificate) ([]byte, error) {
	k, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: x.Raw})...), nil
}

// parsePair reads a key and its certificate, which must belong together.
func parsePair(b []byte) (*ecdsa.PrivateKey, *x509.Certificate, error) {
	var key *ecdsa.PrivateKey
	var cert *x509.Certificate
	for {
		var p *pem.Block
		if p, b = pem.Decode(b); p == nil {
			break
		}
		switch p.Type {
		case "PRIVATE KEY":
			k, err := x509.ParsePKCS8PrivateKey(p.Bytes)
			if err != nil {
				return nil, nil, err
			}
			key, _ = k.(*ecdsa.PrivateKey)
		case "CERTIFICATE":
			x, err := x509.ParseCertificate(p.Bytes)
			if err != nil {
				return nil, nil, err
			}
			cert = x
		}
	}
	if key == nil || cert == nil {
		return nil, nil, errors.New("a key or a certificate is missing")
	}
	if pub, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || !pub.Equal(key.Public()) {
		return nil, nil, errors.New("the certificate is of another key")
	}
	return key, cert, nil
}
