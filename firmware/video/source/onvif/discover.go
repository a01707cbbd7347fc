package onvif

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/phrase"
)

// Bounds of a search.
const (
	maxFound    = 64
	maxMessages = 512
	maxMessage  = 16 << 10
)

// group is where cameras listen for probes (WS-Discovery 2005/04, 2.4).
var group = netip.MustParseAddrPort("239.255.255.250:3702")

// Found is a camera that answered a probe.
type Found struct {
	// Address is that of its device service, at the host that answered.
	Address        string
	Name, Hardware string
	// ID stays the same over restarts and changes of address.
	ID string
	// On is the interface by which it was found.
	On string
}

// Discover sends a probe on each interface and gathers answers for so long. No
// interface but those given is spoken on: a probe says that a box is here. How many answered
// is bounded, and one camera counts once.
func Discover(ctx context.Context, interfaces []net.Interface, wait time.Duration) ([]Found, error) {
	var out []Found
	var faults []error
	for _, i := range interfaces {
		a, err := address(i)
		if err == nil {
			var pc net.PacketConn
			if pc, err = (&net.ListenConfig{}).ListenPacket(ctx, "udp4", netip.AddrPortFrom(a, 0).String()); err == nil {
				var f []Found
				f, err = probe(ctx, pc, net.UDPAddrFromAddrPort(group), wait/time.Duration(len(interfaces)))
				for k := range f {
					f[k].On = i.Name
				}
				out = append(out, f...)
			}
		}
		if err != nil {
			faults = append(faults, phrase.Wrap(err, "video-onvif.interface", "interface", i.Name))
		}
	}
	if len(out) == 0 {
		return nil, errors.Join(faults...)
	}
	slices.SortFunc(out, func(a, b Found) int { return strings.Compare(a.Address, b.Address) })
	return slices.CompactFunc(out, func(a, b Found) bool { return a.Address == b.Address }), nil
}

// Ask sends the probe to one address (WS-Discovery 2005/04, 2.4: a probe may be sent to one), where a question to
// all does not get through, as to a camera behind a router.
func Ask(ctx context.Context, to netip.AddrPort, wait time.Duration) ([]Found, error) {
	pc, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp4", "")
	if err != nil {
		return nil, err
	}
	return probe(ctx, pc, net.UDPAddrFromAddrPort(to), wait)
}

func address(i net.Interface) (netip.Addr, error) {
	as, err := i.Addrs()
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range as {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			return p.Addr(), nil
		}
	}
	return netip.Addr{}, errors.New("it has no IPv4 address")
}

// probe sends one message and takes the answers to it.
func probe(ctx context.Context, pc net.PacketConn, to net.Addr, wait time.Duration) ([]Found, error) {
	defer pc.Close()
	stop := context.AfterFunc(ctx, func() { pc.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	id := messageID()
	m := []byte(`<?xml version="1.0" encoding="UTF-8"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:dn="http://www.onvif.org/ver10/network/wsdl"><e:Header><w:MessageID>` + id + `</w:MessageID><w:To e:mustUnderstand="true">urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To><w:Action e:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header><e:Body><d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></e:Body></e:Envelope>`)
	if _, err := pc.WriteTo(m, to); err != nil {
		return nil, err
	}
	pc.SetReadDeadline(time.Now().Add(wait))
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var out []Found
	b := make([]byte, maxMessage+1)
	for range maxMessages {
		n, from, err := pc.ReadFrom(b)
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				return out, ctx.Err()
			}
			return out, err
		}
		if n > maxMessage || len(out) == maxFound {
			continue
		}
		u, ok := from.(*net.UDPAddr)
		if !ok {
			continue
		}
		for _, f := range matches(b[:n], id, u.AddrPort().Addr().Unmap()) {
			if len(out) < maxFound && !slices.ContainsFunc(out, func(o Found) bool { return o.Address == f.Address }) {
				out = append(out, f)
			}
		}
	}
	return out, nil
}

func messageID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // version 4, RFC 9562
	h := hex.EncodeToString(b[:])
	return "urn:uuid:" + h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// matches reads an answer to a probe. Of the addresses that it names the one counts that
// is at the host that answered; where none is, that host takes the place of the first's.
func matches(b []byte, id string, from netip.Addr) []Found {
	n, err := read(b)
	if err != nil || n.say("Header", "RelatesTo") != id {
		return nil
	}
	var out []Found
	for _, m := range n.all("Body", "ProbeMatches", "ProbeMatch") {
		var at *url.URL
		for i, s := range strings.Fields(m.say("XAddrs")) {
			u, err := url.Parse(s)
			if err != nil || i == 8 || len(s) > 512 || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
				continue
			}
			if h, err := netip.ParseAddr(u.Hostname()); err == nil && h == from {
				at = u
				break
			}
			if at == nil {
				at = u
			}
		}
		if at == nil || len(out) == 4 {
			continue
		}
		if p := at.Port(); p != "" {
			at.Host = netip.AddrPortFrom(from, 0).Addr().String() + ":" + p
		} else {
			at.Host = from.String()
		}
		at.RawQuery, at.Fragment = "", ""
		f := Found{Address: at.String(), ID: shorten(m.say("EndpointReference", "Address"))}
		for i, s := range strings.Fields(m.say("Scopes")) {
			if i == 64 {
				break
			}
			if v, ok := strings.CutPrefix(s, "onvif://www.onvif.org/name/"); ok {
				f.Name = word(v)
			}
			if v, ok := strings.CutPrefix(s, "onvif://www.onvif.org/hardware/"); ok {
				f.Hardware = word(v)
			}
		}
		out = append(out, f)
	}
	return out
}

// word is a scope's value as it may be shown.
func word(s string) string {
	v, err := url.PathUnescape(s)
	if err != nil {
		v = s
	}
	return shorten(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return -1
		}
		return r
	}, v))
}
