package uplink

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// A box without a clock must reach its county; one with a clock, or that knows that a
// certificate is over, must not believe it.
func TestAClockTenYearsOffShutsNobodyOut(t *testing.T) {
	now := time.Now()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hub"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, x, x, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, TLS: true, TLSTimeout: 10, Username: "441882103201", Password: "t",
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.Shutdown()
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server does not start")
	}
	type told struct {
		now, past time.Time
		sure      bool
	}
	links := map[string]*NATS{}
	for name, c := range map[string]told{
		"ten years behind":              {now.AddDate(-10, 0, 0), now.AddDate(-11, 0, 0), false},
		"ten years ahead":               {now.AddDate(10, 0, 0), now.AddDate(-1, 0, 0), false},
		"ten years ahead, and sure":     {now.AddDate(10, 0, 0), now.AddDate(-1, 0, 0), true},
		"ten years behind, and sure":    {now.AddDate(-10, 0, 0), now.AddDate(-11, 0, 0), true},
		"ahead, and certainly past":     {now.AddDate(10, 0, 0), now.AddDate(2, 0, 0), false},
		"right":                         {now, now.AddDate(-1, 0, 0), true},
		"right, and nobody can tell so": {now, now.AddDate(-1, 0, 0), false},
	} {
		n, err := NewNATS(NATSOpts{Name: "fibre", Station: "441882103201", Servers: []string{s.Addr().String()}, Token: "t",
			CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), Now: func() (time.Time, time.Time, bool) { return c.now, c.past, c.sure }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = n.Run(ctx) }()
		defer func() { cancel(); <-done }()
		links[name] = n
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if links["right"].Up() && links["right, and nobody can tell so"].Up() && links["ten years behind"].Up() && links["ten years ahead"].Up() {
			break
		}
	}
	for name, n := range links {
		refused := name == "ten years ahead, and sure" || name == "ten years behind, and sure" || name == "ahead, and certainly past"
		if n.Up() == refused {
			t.Errorf("%s: up %v", name, n.Up())
		}
	}
}
