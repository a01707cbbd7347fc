package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"tocsin/cmd/hubd/gateway"
	"tocsin/cmd/hubd/hubfile"
	"tocsin/cmd/hubd/post"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/uplink"
	"tocsin/firmware/trust"
	"tocsin/firmware/trust/xmldsig"
	"tocsin/hwtest/capgen"
)

// The bench's stations: two villages of one town, one of another county.
const (
	upper = letter.Station("330483105203")
	lower = letter.Station("330483105204")
	other = letter.Station("330402001001")
)

var all = []letter.Station{upper, lower, other}

// world is a county's files: who has which key.
type world struct {
	t    testing.TB
	dir  string
	ca   authority
	seed map[letter.Station][]byte
	root map[letter.Station][]byte
	file string
	// owner is the session of the console's first account.
	owner string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	cookies.Do(func() { http.DefaultClient.Transport = cookied{http.DefaultTransport} })
	w := &world{t: t, dir: t.TempDir(), seed: map[letter.Station][]byte{}, root: map[letter.Station][]byte{}}
	w.ca = newAuthority(t, "county")
	cert, key := w.ca.issue(t, "hub", net.ParseIP("127.0.0.1"))
	w.write("hub.pem", cert)
	w.write("hub.key", key)
	w.write("ca.pem", w.ca.pem)
	var stations strings.Builder
	for _, s := range all {
		k, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		public, _ := k.PublicKey()
		w.seed[s], _ = k.Seed()
		w.root[s] = make([]byte, letter.KeySize)
		rand.Read(w.root[s])
		w.write(string(s)+".psk", []byte(hex.EncodeToString(w.root[s])+"\n"))
		fmt.Fprintf(&stations, "  %s: {name: {zh: 站%s, en: Station %s}, nkey: %s, psk: %s.psk}\n", s, s[6:], s[6:], public, s)
	}
	w.file = w.write("hub.yaml", []byte(`version: 1
name: {zh: 桐乡市, en: Tongxiang}
data: data
nats: {listen: "127.0.0.1:0", tls: {certificate: hub.pem, key: hub.key, clients: ca.pem}}
keep: {most: 64 MiB}
datagrams: [{name: tiantong, listen: "127.0.0.1:0"}]
page: {listen: "127.0.0.1:0"}
stations:
`+stations.String()))
	return w
}

func (w *world) write(name string, b []byte) string {
	w.t.Helper()
	name = filepath.Join(w.dir, name)
	if err := os.WriteFile(name, b, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return name
}

// hub starts one in this process; end ends it.
func (w *world) hub() (h *hub, end func()) {
	w.t.Helper()
	f, ps := hubfile.Load(w.file)
	if f == nil {
		w.t.Fatal(ps)
	}
	h, err := open(context.Background(), f, time.UTC, quiet())
	if err != nil {
		w.t.Fatal(err)
	}
	var once sync.Once
	end = func() { once.Do(h.close) }
	w.t.Cleanup(end)
	return h, end
}

func quiet() *slog.Logger {
	if testing.Verbose() {
		return slog.Default()
	}
	return slog.New(slog.DiscardHandler)
}

// benchPassword is everybody's.
const benchPassword = "river-stone-lamp-42"

// signedIn is the page's address for somebody with a role and duties, in whose name http asks: see cookied. The first
// account is made by the set-up secret, the others by its owner, as people do it.
func (w *world) signedIn(h *hub, id, role string, duties ...string) string {
	w.t.Helper()
	at := "http://" + h.console.PageAddr().String()
	post := func(session, path string, v any) (*http.Response, string) {
		b, err := json.Marshal(v)
		if err != nil {
			w.t.Fatal(err)
		}
		r, err := http.NewRequest("POST", at+"/api/v1"+path, bytes.NewReader(b))
		if err != nil {
			w.t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if session != "" {
			r.SetBasicAuth("session", session)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			w.t.Fatal(err)
		}
		defer a.Body.Close()
		said, _ := io.ReadAll(a.Body)
		return a, string(said)
	}
	token := func(a *http.Response, said string) string {
		for _, k := range a.Cookies() {
			if k.Name == "county" {
				return k.Value
			}
		}
		w.t.Fatal("nobody gets in: ", a.Status, said)
		return ""
	}
	type m = map[string]any
	if secret, err := os.ReadFile(filepath.Join(w.dir, "data", "setup-secret")); err == nil {
		w.owner = token(post("", "/set-up", m{"secret": strings.TrimSpace(string(secret)), "account": "owner", "name": "Owner", "password": benchPassword}))
	}
	if id != "owner" {
		if a, said := post(w.owner, "/accounts", m{"account": id, "name": id, "role": role, "duties": append([]string{}, duties...), "password": benchPassword}); a.StatusCode != http.StatusOK && !strings.Contains(said, "access.account_taken") {
			w.t.Fatal(a.Status, said)
		}
	}
	session := token(post("", "/sign-in", m{"account": id, "password": benchPassword}))
	return "http://" + url.UserPassword("session", session).String() + "@" + h.console.PageAddr().String()
}

// cookied turns a URL's session:TOKEN@ into the cookie that a browser would bring.
type cookied struct{ next http.RoundTripper }

func (c cookied) RoundTrip(r *http.Request) (*http.Response, error) {
	if who, token, ok := r.BasicAuth(); ok && who == "session" {
		r = r.Clone(r.Context())
		r.Header.Del("Authorization")
		r.AddCookie(&http.Cookie{Name: "county", Value: token})
	}
	return c.next.RoundTrip(r)
}

var cookies sync.Once

func (h *hub) datagramsAt() string { return h.gateways[0].(*gateway.Datagrams).Addr().String() }

// natsOpts are a station's as the county set it up.
func (w *world) natsOpts(s letter.Station, at string) uplink.NATSOpts {
	cert, key := w.ca.issue(w.t, string(s), nil)
	return uplink.NATSOpts{Name: "fibre", Station: s, Servers: []string{at}, CA: w.ca.pem, Certificate: cert, Key: key, Seed: w.seed[s], Log: quiet()}
}

// run starts something that runs until the test's end.
func run(t testing.TB, f func(context.Context) error) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = f(ctx) }()
	end = func() { cancel(); <-done }
	t.Cleanup(end)
	return end
}

// link runs a station's NATS link and waits until it is up.
func (w *world) link(o uplink.NATSOpts) *uplink.NATS {
	w.t.Helper()
	n, err := uplink.NewNATS(o)
	if err != nil {
		w.t.Fatal(err)
	}
	run(w.t, n.Run)
	until(w.t, "the link is up", n.Up)
	return n
}

// datagrams runs a station's datagram link. Its counters come from one place, as
// the journal's do.
func (w *world) datagrams(s letter.Station, at string, c *atomic.Uint64, change func(*uplink.DatagramOpts)) *uplink.Datagrams {
	w.t.Helper()
	o := uplink.DatagramOpts{Name: "sat", Station: s, Server: at, Root: w.root[s], Log: quiet(),
		Counter: func() (uint64, error) { return c.Add(1), nil },
		Start:   func(_ string, f func()) { go f() },
		// Time runs forty times as fast for what waits.
		After: func(d time.Duration) <-chan time.Time { return time.After(d / 40) },
	}
	if change != nil {
		change(&o)
	}
	d, err := uplink.NewDatagrams(o)
	if err != nil {
		w.t.Fatal(err)
	}
	run(w.t, d.Run)
	until(w.t, "the hub answers a probe", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		_, err := d.Probe(ctx)
		return err == nil
	})
	return d
}

// until waits for what another goroutine brings about.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 60 s: %s", what)
		}
	}
}

func within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	time.AfterFunc(d+time.Second, cancel)
	return ctx
}

// stationOf finds one in what the page shows.
func stationOf(p *post.Post, s letter.Station) post.Station {
	for _, st := range p.State().Stations {
		if st.ID == s {
			return st
		}
	}
	return post.Station{}
}

// signed is a genuine alert by a key that nobody needs to trust here.
func signed(t testing.TB, seed uint64) []byte {
	t.Helper()
	k, err := trust.NewSigner(trust.P256)
	if err != nil {
		t.Fatal(err)
	}
	a := capgen.New(seed).Next(capgen.Options{})
	b, err := xmldsig.Sign(a.Text, k, nil, xmldsig.SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t testing.TB, name string) authority {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return authority{c, k, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (a authority) issue(t testing.TB, name string, ip net.IP) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if ip != nil {
		c.IPAddresses = []net.IP{ip}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, k.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: b})
}
