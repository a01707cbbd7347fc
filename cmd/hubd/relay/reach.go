package relay

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/pion/turn/v5"
)

// never are addresses to which nothing is relayed whatever the file allows: this machine,
// this link, groups, and what stands for another address (RFC 6890; 64:ff9b::/96 RFC 6052).
var never = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/127"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff00::/8"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("2002::/16"),
}

// permits says whether a user may ask for a peer at all; the port is judged with each packet.
func (r *Relay) permits(_ net.Addr, peer net.IP) bool {
	a, ok := netip.AddrFromSlice(peer)
	return ok && (r.allowed(a.Unmap()) || slices.ContainsFunc(r.own(), func(p netip.AddrPort) bool { return p.Addr() == a.Unmap() }))
}

// own are the addresses of the hub's media, and of a check that runs.
func (r *Relay) own() []netip.AddrPort {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.probe.IsValid() {
		return r.o.Media
	}
	return append(slices.Clone(r.o.Media), r.probe)
}

func (r *Relay) allowed(a netip.Addr) bool {
	in := func(p netip.Prefix) bool { return p.Contains(a) }
	return !slices.ContainsFunc(never, in) && slices.ContainsFunc(r.o.Allow, in)
}

// reaches says whether packets may go to an address, and come from it.
func (r *Relay) reaches(a netip.AddrPort) bool {
	a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	return slices.Contains(r.own(), a) || r.allowed(a.Addr())
}

// generator makes the sockets that relay.
type generator struct{ r *Relay }

// Validate is asked before the first.
func (g *generator) Validate() error { return nil }

// triesMost bounds the search for a port that is free.
const triesMost = 64

// AllocatePacketConn opens one, for a user.
func (g *generator) AllocatePacketConn(c turn.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	r := g.r
	host := ""
	if r.o.Address.IsLoopback() {
		host = r.o.Address.String()
	}
	if c.Network != "udp" && c.Network != "udp"+r.family() {
		return nil, nil, errFamily
	}
	var err error
	for range triesMost {
		port := int(r.o.From) + rand.IntN(int(r.o.To)-int(r.o.From)+1)
		var p net.PacketConn
		if p, err = net.ListenPacket(c.Network, net.JoinHostPort(host, strconv.Itoa(port))); err != nil {
			continue
		}
		return &gate{p, r, c.UserID}, &net.UDPAddr{IP: r.o.Address.AsSlice(), Port: port}, nil
	}
	return nil, nil, err
}

var (
	errFamily = errors.New("relay: the address is of another family")
	errTCP    = errors.New("relay: no TCP is relayed")
)

// AllocateListener refuses (RFC 6062 is not offered).
func (g *generator) AllocateListener(turn.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	return nil, nil, errTCP
}

// AllocateConn refuses.
func (g *generator) AllocateConn(turn.AllocateConnConfig) (net.Conn, error) { return nil, errTCP }

// gate lets packets through one socket, both ways, where they may go and as many as the user
// may have. What it stops it stops in silence, as a network does.
type gate struct {
	net.PacketConn
	r    *Relay
	user string
}

// WriteTo sends.
func (g *gate) WriteTo(b []byte, to net.Addr) (int, error) {
	u, ok := to.(*net.UDPAddr)
	if !ok || !g.r.reaches(u.AddrPort()) || !g.r.pays(g.user, len(b)) {
		return len(b), nil
	}
	return g.PacketConn.WriteTo(b, to)
}

// ReadFrom gets.
func (g *gate) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := g.PacketConn.ReadFrom(b)
		if err != nil {
			return n, from, err
		}
		if u, ok := from.(*net.UDPAddr); ok && g.r.reaches(u.AddrPort()) && g.r.pays(g.user, n) {
			return n, from, nil
		}
	}
}
