//go:build peers

package mqtt

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/hwtest/impair"
)

// mosquitto is the real broker, with TLS, a password and no persistence.
type mosquitto struct {
	t    *testing.T
	dir  string
	addr string
	cmd  *exec.Cmd
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// issue writes a certificate of an authority of its own, and gives the authority's PEM.
func issue(t *testing.T, dir, name string, ip net.IP) []byte {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	write := func(file, kind string, b []byte) []byte {
		p := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b})
		if err := os.WriteFile(filepath.Join(dir, file), p, 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	caKey, leafKey := key(), key()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name + " authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, IPAddresses: []net.IP{ip}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &leafKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	k, _ := x509.MarshalPKCS8PrivateKey(leafKey)
	write(name+".pem", "CERTIFICATE", der)
	write(name+".key", "PRIVATE KEY", k)
	return write(name+"-ca.pem", "CERTIFICATE", caDER)
}

func newMosquitto(t *testing.T) (*mosquitto, []byte) {
	t.Helper()
	m := &mosquitto{t: t, dir: t.TempDir()}
	ca := issue(t, m.dir, "broker", net.IPv4(127, 0, 0, 1))
	if out, err := exec.Command("mosquitto_passwd", "-b", "-c", m.path("passwd"), "box", "secret").CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_passwd: %v %s", err, out)
	}
	os.Chmod(m.path("passwd"), 0o644)
	port := freePort(t)
	m.addr = "127.0.0.1:" + port
	conf := fmt.Sprintf("listener %s 127.0.0.1\ncafile %s\ncertfile %s\nkeyfile %s\nallow_anonymous false\nuser root\npassword_file %s\npersistence false\n",
		port, m.path("broker-ca.pem"), m.path("broker.pem"), m.path("broker.key"), m.path("passwd"))
	if err := os.WriteFile(m.path("conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	m.start()
	t.Cleanup(m.kill)
	return m, ca
}

func (m *mosquitto) path(name string) string { return filepath.Join(m.dir, name) }

func (m *mosquitto) start() {
	m.t.Helper()
	m.cmd = exec.Command("mosquitto", "-c", m.path("conf"))
	var log bytes.Buffer
	m.cmd.Stdout, m.cmd.Stderr = &log, &log
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", m.addr); err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			m.t.Fatalf("mosquitto does not listen: %s", log.String())
		}
	}
}

func (m *mosquitto) kill() {
	if m.cmd != nil {
		m.cmd.Process.Kill()
		m.cmd.Wait()
		m.cmd = nil
	}
}

// ask gives what the real client is told on a topic.
func (m *mosquitto) ask(topic string, n int) string {
	out, _ := exec.Command("mosquitto_sub", "-V", "5", "-h", "127.0.0.1", "-p", m.addr[len("127.0.0.1:"):], "--cafile", m.path("broker-ca.pem"),
		"-u", "box", "-P", "secret", "-t", topic, "-v", "-C", fmt.Sprint(n), "-W", "5").Output()
	return string(out)
}

func (m *mosquitto) opts(ca []byte) func(*Opts) {
	return func(o *Opts) {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(ca)
		o.TLS = &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
		o.User, o.Password = "box", []byte("secret")
	}
}

func TestMosquittoKeepsWhatItIsToldAndIsToldAgainAfterItDied(t *testing.T) {
	m, ca := newMosquitto(t)
	r := tell(t, m.addr, m.opts(ca))
	r.Offer(msg("points/river/level", `{"value":1.2}`, false))
	until(t, "all told", func() bool { return r.State().Told >= 3 && r.State().Waiting == 0 })
	if got := m.ask("tocsin/#", 2); !strings.Contains(got, `tocsin/441882103201/points/river/level {"value":1.2}`) || !strings.Contains(got, "tocsin/441882103201/status online") {
		t.Errorf("mosquitto_sub was told:\n%s", got)
	}
	m.kill()
	until(t, "down", func() bool { return !r.State().Up })
	for i := range 500 {
		r.Offer(msg("points/river/level", fmt.Sprintf(`{"value":%d}`, i), false))
	}
	r.Offer(msg("alarms/flash-flood", `{"level":"evacuate"}`, true))
	m.start()
	until(t, "up again", func() bool { return r.State().Up })
	until(t, "all told again", func() bool { return r.State().Waiting == 0 })
	got := m.ask("tocsin/#", 3)
	for _, want := range []string{`points/river/level {"value":499}`, `alarms/flash-flood {"level":"evacuate"}`, "status online"} {
		if !strings.Contains(got, want) {
			t.Errorf("after its death mosquitto lacks %s:\n%s", want, got)
		}
	}
	r.end()
	if got := m.ask("tocsin/441882103201/status", 1); !strings.Contains(got, "offline") {
		t.Errorf("after an orderly end: %s", got)
	}
}

func TestMosquittoSaysOfflineForABoxThatIsCutOff(t *testing.T) {
	m, ca := newMosquitto(t)
	var last net.Conn
	r := tell(t, m.addr, func(o *Opts) {
		m.opts(ca)(o)
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if last != nil {
				return nil, fmt.Errorf("no network")
			}
			var err error
			last, err = (&net.Dialer{}).DialContext(ctx, network, address)
			return last, err
		}
	})
	until(t, "told", func() bool { return r.State().Told >= 2 })
	last.Close()
	until(t, "the will", func() bool { return strings.Contains(m.ask("tocsin/441882103201/status", 1), "offline") })
}

func TestMosquittoWithAWrongCertificateOrPasswordIsToldNothing(t *testing.T) {
	m, ca := newMosquitto(t)
	foreign := issue(t, t.TempDir(), "somebody", net.IPv4(127, 0, 0, 1))
	for _, c := range []struct {
		name   string
		change func(*Opts)
		want   string
	}{
		{"another authority", m.opts(foreign), "certificate"},
		{"another name", func(o *Opts) { m.opts(ca)(o); o.TLS.ServerName = "broker.example" }, "certificate"},
		{"a wrong password", func(o *Opts) { m.opts(ca)(o); o.Password = []byte("guess") }, "0x87"},
		{"plain text to a port with TLS", func(o *Opts) { m.opts(ca)(o); o.TLS = nil }, ""},
	} {
		r := tell(t, m.addr, c.change)
		r.Offer(msg("state", c.name, false))
		until(t, c.name, func() bool { return r.why().Code == "mqtt.down" && strings.Contains(r.why().In(phrase.EN), c.want) })
		if r.State().Told != 0 {
			t.Errorf("%s: told", c.name)
		}
		r.end()
	}
	if got := m.ask("tocsin/#", 1); got != "" {
		t.Errorf("mosquitto was told %s", got)
	}
}

// 64 kbit/s, 600 ms and 5 % each way: the newest of fifty points arrives.
func TestMosquittoBehindTheWorstLinkIsToldTheNewest(t *testing.T) {
	m, ca := newMosquitto(t)
	l := impair.New(impair.Worst, impair.Worst, 5)
	defer l.Close()
	at, err := l.TCP(m.addr)
	if err != nil {
		t.Fatal(err)
	}
	r := tell(t, at, m.opts(ca))
	for end := time.Now().Add(40 * time.Second); !r.State().Up && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
	}
	for round := range 20 {
		for i := range 10 {
			r.Offer(msg(fmt.Sprint("points/p/", i), fmt.Sprint(round), false))
		}
		time.Sleep(50 * time.Millisecond)
	}
	for end := time.Now().Add(60 * time.Second); (r.State().Waiting > 0 || r.State().Told < 12) && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
	}
	got := m.ask("tocsin/441882103201/points/#", 10)
	for i := range 10 {
		if want := fmt.Sprintf("points/p/%d 19\n", i); !strings.Contains(got, want) {
			t.Errorf("lacks %s:\n%s", want, got)
		}
	}
	up, down := l.Count()
	t.Logf("%d messages told, %d bytes up, %d down, %d lost", r.State().Told, up.Bytes, down.Bytes, up.Lost+down.Lost)
}
