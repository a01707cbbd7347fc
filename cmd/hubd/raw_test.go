package main

import (
	"crypto/tls"
	"crypto/x509"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"tocsin/firmware/reach/uplink"
)

// rawConn is what somebody has who took a station's keys: a plain client.
func rawConn(t *testing.T, w *world, o uplink.NATSOpts, denied chan<- string) *nats.Conn {
	t.Helper()
	k, err := nkeys.FromSeed(o.Seed)
	if err != nil {
		t.Fatal(err)
	}
	public, _ := k.PublicKey()
	pair, err := tls.X509KeyPair(o.Certificate, o.Key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.ca.pem)
	nc, err := nats.Connect(o.Servers[0], nats.Nkey(public, k.Sign), nats.Secure(&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err.Error() }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}
