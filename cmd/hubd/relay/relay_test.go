package relay

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/turn/v5"

	"tocsin/firmware/phrase"
)

// clock is a wall clock that a test turns.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time       { return time.Unix(0, c.at.Load()) }
func (c *clock) pass(d time.Duration) { c.at.Add(int64(d)) }
func clockAt(t time.Time) (c *clock)  { c = &clock{}; c.at.Store(t.UnixNano()); return c }
func within(d time.Duration) (c context.Context) {
	c, cancel := context.WithTimeout(context.Background(), d)
	_ = context.AfterFunc(c, cancel)
	return c
}

// certificate is one that nobody vouches for.
func certificate(t *testing.T) *tls.Config {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: k}}}
}

// peer is a socket that gives back what it gets.
func peer(t *testing.T) netip.AddrPort {
	t.Helper()
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 2048)
		for {
			n, from, err := p.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = p.WriteTo(b[:n], from)
		}
	}()
	t.Cleanup(func() { p.Close(); <-done })
	return p.LocalAddr().(*net.UDPAddr).AddrPort()
}

func open(t *testing.T, change func(*Opts)) (*Relay, *clock) {
	t.Helper()
	c := clockAt(time.Now())
	o := Opts{Listen: "127.0.0.1:0", TLS: "127.0.0.1:0", Certificate: certificate(t), Address: netip.MustParseAddr("127.0.0.1"), From: 50000, To: 59999, Now: c.now}
	if change != nil {
		change(&o)
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return r, c
}

// begin asks for a relaying by a leg.
func begin(t *testing.T, r *Relay, leg string, c Credential) (net.PacketConn, *turn.Client, error) {
	t.Helper()
	conn, err := r.dial(within(10*time.Second), leg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	at := r.udp.LocalAddr().String()
	client, err := turn.NewClient(&turn.ClientConfig{STUNServerAddr: at, TURNServerAddr: at, Conn: conn, Username: c.User, Password: c.Password, Realm: realm, LoggerFactory: quiet{r.o.Log}})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	p, err := client.AllocateWithContext(within(10 * time.Second))
	return p, client, err
}

func TestEachLegRelaysToTheHubsMediaAndBack(t *testing.T) {
	media := peer(t)
	r, _ := open(t, func(o *Opts) { o.Media = []netip.AddrPort{media} })
	if len(r.URLs()) != 3 {
		t.Fatal(r.URLs())
	}
	for _, leg := range []string{LegUDP, LegTCP, LegTLS} {
		p, _, err := begin(t, r, leg, r.For("330483105203"))
		if err != nil {
			t.Errorf("%s: %v", leg, err)
			continue
		}
		if _, err := p.WriteTo([]byte("picture"), net.UDPAddrFromAddrPort(media)); err != nil {
			t.Errorf("%s: %v", leg, err)
		}
		_ = p.SetReadDeadline(time.Now().Add(10 * time.Second))
		b := make([]byte, 64)
		if n, from, err := p.ReadFrom(b); err != nil || !bytes.Equal(b[:n], []byte("picture")) || from.String() != media.String() {
			t.Errorf("%s: %q of %v, %v", leg, b[:n], from, err)
		}
	}
}

func TestNothingElseIsReachedThroughTheRelay(t *testing.T) {
	media := peer(t)
	r, _ := open(t, func(o *Opts) {
		o.Media = []netip.AddrPort{media}
		o.Allow = []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("fe80::/10")}
	})
	for a, want := range map[string]bool{
		media.String(): true, "[::ffff:127.0.0.1]:" + strconv.Itoa(int(media.Port())): true,
		"10.20.3.4:9": true, "10.21.0.1:9": false, "192.168.1.1:53": false, "8.8.8.8:53": false, "100.64.0.1:1": false,
		"127.0.0.1:22": false, "[::1]:22": false, "169.254.169.254:80": false, "[fe80::1]:1": false, "224.0.0.1:1": false, "0.0.0.0:80": false,
		"[::ffff:169.254.169.254]:80": false, "[64:ff9b::7f00:1]:22": false, "[fd00::1]:1": false,
	} {
		if got := r.reaches(netip.MustParseAddrPort(a)); got != want {
			t.Errorf("%s: %v", a, got)
		}
	}
	p, client, err := begin(t, r, LegUDP, r.For("a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := client.CreatePermission(&net.UDPAddr{IP: net.IPv4(192, 168, 1, 1), Port: 53}); err == nil {
		t.Error("a permission for a private address was given")
	}
	// Beside the media, on the same address: what is sent there does not come, and what was sent
	// to the media after it does.
	other := peer(t)
	for _, to := range []netip.AddrPort{other, media} {
		if _, err := p.WriteTo([]byte(to.String()), net.UDPAddrFromAddrPort(to)); err != nil {
			t.Fatal(err)
		}
	}
	_ = p.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 64)
	if n, _, err := p.ReadFrom(b); err != nil || string(b[:n]) != media.String() {
		t.Errorf("came %q, %v", b[:n], err)
	}
	// Whoever sends to the relayed address unasked is not heard either.
	s, err := net.Dial("udp", p.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, _ = s.Write([]byte("x"))
	_, _ = p.WriteTo([]byte("again"), net.UDPAddrFromAddrPort(media))
	if n, _, err := p.ReadFrom(b); err != nil || string(b[:n]) != "again" {
		t.Errorf("came %q, %v", b[:n], err)
	}
}

func TestACredentialBeginsForTenMinutesAndIsItsOwn(t *testing.T) {
	media := peer(t)
	r, c := open(t, func(o *Opts) { o.Media = []netip.AddrPort{media} })
	good := r.For("officer")
	held, _, err := begin(t, r, LegTCP, good)
	if err != nil {
		t.Fatal(err)
	}
	later := strconv.FormatInt(c.now().Add(time.Hour).Unix(), 10) + ":officer"
	for name, bad := range map[string]Credential{
		"a wrong password":            {User: good.User, Password: "x"},
		"no time":                     {User: "officer", Password: r.password("officer")},
		"another's password":          {User: good.User + "x", Password: good.Password},
		"a time that was never given": {User: later, Password: r.password(later)},
	} {
		if _, _, err := begin(t, r, LegTCP, bad); err == nil {
			t.Errorf("%s: let in", name)
		}
	}
	c.pass(beginFor + time.Second)
	if _, _, err := begin(t, r, LegTCP, good); err == nil {
		t.Error("let in after its time")
	}
	// What was begun goes on: a permission is asked for with the same name.
	if _, err := held.WriteTo([]byte("still"), net.UDPAddrFromAddrPort(media)); err != nil {
		t.Error(err)
	}
	_ = held.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 64)
	if n, _, err := held.ReadFrom(b); err != nil || string(b[:n]) != "still" {
		t.Errorf("%q, %v", b[:n], err)
	}
	if strings.Contains(good.User, good.Password) || !strings.HasSuffix(r.For("a:b\n").User, ":a_b_") {
		t.Error("a user name that is none")
	}
}

func TestAUserHasBounds(t *testing.T) {
	media := peer(t)
	r, c := open(t, func(o *Opts) { o.Media, o.Each, o.Rate = []netip.AddrPort{media}, 2, 1000 })
	for i := range 3 {
		if _, _, err := begin(t, r, LegUDP, r.For("greedy")); (err == nil) != (i < 2) {
			t.Errorf("relaying %d: %v", i, err)
		}
	}
	p, _, err := begin(t, r, LegUDP, r.For("another"))
	if err != nil {
		t.Error("another user:", err)
	}
	if r.pays("nobody", 1) {
		t.Error("somebody who began nothing sends")
	}
	if !r.pays("another", 900) || r.pays("another", 200) {
		t.Error("more than the bound in a second")
	}
	c.pass(time.Second)
	if !r.pays("another", 900) {
		t.Error("nothing in the next second")
	}
	p.Close()
}

func TestACheckNamesTheLegThatFails(t *testing.T) {
	r, _ := open(t, nil)
	for _, l := range r.Check(within(30 * time.Second)) {
		if !l.Err.IsZero() {
			t.Errorf("%s: %s", l.Name, l.Err.In(phrase.EN))
		}
	}
	r.tcp.Close()
	for _, l := range r.Check(within(30 * time.Second)) {
		if (l.Name == LegTCP) == l.Err.IsZero() {
			t.Errorf("%s: %s", l.Name, l.Err.In(phrase.EN))
		}
		if l.Name == LegTCP && (l.Err.Code != "relay.leg_connect" || !strings.Contains(l.Err.In(phrase.ZH), "TCP")) {
			t.Errorf("%+v", l.Err)
		}
	}
	if _, err := New(Opts{Listen: r.udp.LocalAddr().String(), Address: r.o.Address}); phrase.Of(err).Code != "relay.listen" {
		t.Errorf("a port that is in use: %v", err)
	}
}
