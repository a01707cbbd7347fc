package relay

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/pion/turn/v5"

	"tocsin/firmware/phrase"
)

// The legs.
const (
	LegUDP = "UDP"
	LegTCP = "TCP"
	LegTLS = "TLS"
)

// Leg is what a check found of one.
type Leg struct {
	Name string         `json:"name"`
	At   string         `json:"at"`
	Err  phrase.Message `json:"error,omitzero"` // zero: packets went there and back
}

// checkIn bounds one step of a check.
const checkIn = 5 * time.Second

// Check sends a packet by each leg to this machine and back. It says what a viewer beside the
// hub would find; a firewall before the hub it cannot see.
func (r *Relay) Check(ctx context.Context) []Leg {
	legs := []Leg{{Name: LegUDP, At: r.udp.LocalAddr().String()}, {Name: LegTCP, At: r.tcp.Addr().String()}}
	if r.tls != nil {
		legs = append(legs, Leg{Name: LegTLS, At: r.tls.Addr().String()})
	}
	for i := range legs {
		if err := r.check(ctx, legs[i].Name); err != nil {
			legs[i].Err = phrase.Of(err)
		}
	}
	return legs
}

func (r *Relay) check(ctx context.Context, leg string) error {
	r.checking.Lock()
	defer r.checking.Unlock()
	ctx, cancel := context.WithTimeout(ctx, checkIn)
	defer cancel()
	conn, err := r.dial(ctx, leg)
	if err != nil {
		return phrase.E("relay.leg_connect", "leg", leg, "detail", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	at := r.local(r.udp.LocalAddr())
	c := r.For("check")
	client, err := turn.NewClient(&turn.ClientConfig{STUNServerAddr: at, TURNServerAddr: at, Conn: conn, Username: c.User, Password: c.Password, Realm: realm, LoggerFactory: quiet{r.o.Log}})
	if err == nil {
		err = client.Listen()
	}
	if err != nil {
		return phrase.E("relay.leg_connect", "leg", leg, "detail", err)
	}
	defer client.Close()
	relayed, err := client.AllocateWithContext(ctx)
	if err != nil {
		return phrase.E("relay.leg_allocate", "leg", leg, "detail", err)
	}
	defer relayed.Close()
	if err := r.echo(ctx, relayed); err != nil {
		return phrase.E("relay.leg_relay", "leg", leg, "detail", err)
	}
	return nil
}

// echo sends a packet out by the relay and looks whether it came.
func (r *Relay) echo(ctx context.Context, relayed net.PacketConn) error {
	host := "127.0.0.1"
	if r.o.Address.Is6() {
		host = "::1"
	}
	peer, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
	if err != nil {
		return err
	}
	defer peer.Close()
	r.allowProbe(peer.LocalAddr().(*net.UDPAddr).AddrPort())
	defer r.allowProbe(netip.AddrPort{})
	deadline, _ := ctx.Deadline()
	_ = peer.SetReadDeadline(deadline)
	word := make([]byte, 16)
	rand.Read(word)
	if _, err := relayed.WriteTo(word, peer.LocalAddr()); err != nil {
		return err
	}
	got := make([]byte, 64)
	n, from, err := peer.ReadFrom(got)
	if err != nil || !bytes.Equal(got[:n], word) {
		return errors.Join(errLost, err)
	}
	if _, err := peer.WriteTo(word, from); err != nil {
		return err
	}
	_ = relayed.SetReadDeadline(deadline)
	if n, _, err = relayed.ReadFrom(got); err != nil || !bytes.Equal(got[:n], word) {
		return errors.Join(errLost, err)
	}
	return nil
}

var errLost = errors.New("relay: no packet came")

func (r *Relay) allowProbe(a netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.probe = a
}

// local is how this machine reaches its own listener.
func (r *Relay) local(a net.Addr) string {
	host, port, _ := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
		if r.o.Address.Is6() {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}

func (r *Relay) dial(ctx context.Context, leg string) (net.PacketConn, error) {
	d := &net.Dialer{}
	switch leg {
	case LegUDP:
		return net.ListenPacket("udp"+r.family(), ":0")
	case LegTCP:
		c, err := d.DialContext(ctx, "tcp", r.local(r.tcp.Addr()))
		if err != nil {
			return nil, err
		}
		return turn.NewSTUNConn(c), nil
	}
	// The leg is looked at, not the name in the certificate: this machine calls itself another.
	c, err := (&tls.Dialer{NetDialer: d, Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", r.local(r.tls.Addr()))
	if err != nil {
		return nil, err
	}
	return turn.NewSTUNConn(c), nil
}
