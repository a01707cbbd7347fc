package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// setting is what one interface shall be: the page's own form (reach/network.Setting).
type setting struct {
	DHCP    bool         `json:"dhcp,omitempty"`
	Address netip.Prefix `json:"address,omitzero"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
	DNS     []netip.Addr `json:"dns,omitempty"`
	// VLAN makes name a VLAN of another interface, "eth0.7": needs a kernel that has them.
	VLAN int `json:"vlan,omitempty"`
	// WiFi joins a network; the key is kept in the same file, which is root's.
	WiFi *wifi `json:"wifi,omitempty"`
}

type wifi struct {
	SSID string `json:"ssid"`
	Key  string `json:"key,omitempty"`
}

// serviceAddress is what every cable answers on besides: a laptop that is put into the box
// and gives itself an address of RFC 3927 finds it there.
var serviceAddress = netip.MustParsePrefix("169.254.7.7/16")

// network keeps the interfaces what they shall be.
type network struct {
	b    *board
	file string // where want is kept, so that the next start has it before edged is there
	mu   sync.Mutex
	want map[string]setting
	runs map[string]context.CancelFunc
	dns  map[string][]netip.Addr
	ap   accessPoint
}

func networkFile() string { return filepath.Join(dataDir, "init-network.json") }

func newNetwork(b *board, file string) *network {
	n := &network{b: b, file: file, want: map[string]setting{}, runs: map[string]context.CancelFunc{}, dns: map[string][]netip.Addr{}}
	t, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		b.say("network: %v", err)
	default:
		if err := json.Unmarshal(t, &n.want); err != nil {
			b.say("network: %s: %v: every interface asks for an address", file, err)
			n.want = map[string]setting{}
		}
	}
	return n
}

// loopback brings lo up.
func loopback() error {
	l, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(l)
}

// cable tells whether an interface is one that is looked after: Ethernet, a modem that
// shows as one, a VLAN.
func cable(name string) bool {
	return slices.ContainsFunc([]string{"eth", "en", "usb", "wwan"}, func(p string) bool { return strings.HasPrefix(name, p) })
}

// run looks for interfaces that come, and begins to look after each.
func (n *network) run(ctx context.Context) {
	if n.b.cycles.service() {
		n.service(serviceFor)
	}
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		n.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (n *network) look(ctx context.Context) {
	all, err := net.Interfaces()
	if err != nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	there := map[string]bool{}
	for _, i := range all {
		there[i.Name] = true
		s, named := n.want[i.Name]
		if n.runs[i.Name] != nil || !named && !cable(i.Name) || strings.Contains(i.Name, ".") && !named {
			continue
		}
		if !named {
			s = setting{DHCP: true}
		}
		n.begin(ctx, i.Name, s)
	}
	for name, end := range n.runs {
		if !there[name] {
			end()
			delete(n.runs, name)
		}
	}
	for name, s := range n.want {
		if s.VLAN > 0 && !there[name] {
			if err := makeVLAN(name, s.VLAN); err != nil {
				n.b.say("network: %s: %v", name, err)
			}
		}
	}
}

// begin looks after one interface until it is told otherwise. Under mu.
func (n *network) begin(ctx context.Context, name string, s setting) {
	ctx, end := context.WithCancel(ctx)
	n.runs[name] = end
	n.b.start("network "+name, func() {
		for ctx.Err() == nil {
			err := n.keep(ctx, name, s)
			if ctx.Err() != nil {
				return
			}
			n.b.say("network: %s: %v", name, err)
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Second):
			}
		}
	})
}

// keep makes an interface what it shall be and stays with it.
func (n *network) keep(ctx context.Context, name string, s setting) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return err
	}
	if cable(name) && s.VLAN == 0 {
		if err := address(l, serviceAddress, 0, unix.RT_SCOPE_LINK); err != nil {
			n.b.say("network: %s: service address: %v", name, err)
		}
	}
	if s.WiFi != nil {
		end, err := n.join(ctx, name, *s.WiFi)
		if err != nil {
			return err
		}
		defer end()
	}
	if !s.DHCP {
		if err := n.fixed(l, s); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	}
	return n.lease(ctx, l)
}

// fixed gives an interface its one address.
func (n *network) fixed(l netlink.Link, s setting) error {
	if err := clearBut(l, s.Address); err != nil {
		return err
	}
	if s.Address.IsValid() {
		if err := address(l, s.Address, 0, unix.RT_SCOPE_UNIVERSE); err != nil {
			return err
		}
	}
	n.names(l.Attrs().Name, s.DNS)
	return way(l, s.Gateway)
}

// clearBut takes an interface's addresses away, but the one and the service address.
func clearBut(l netlink.Link, keep netip.Prefix) error {
	have, err := netlink.AddrList(l, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	for _, a := range have {
		ip, _ := netip.AddrFromSlice(a.IP.To4())
		ones, _ := a.Mask.Size()
		if p := netip.PrefixFrom(ip, ones); p != keep && p != serviceAddress {
			if err := netlink.AddrDel(l, &a); err != nil {
				return err
			}
		}
	}
	return nil
}

func address(l netlink.Link, p netip.Prefix, valid time.Duration, scope int) error {
	bits := 32
	if p.Addr().Is6() {
		bits = 128
	}
	return netlink.AddrReplace(l, &netlink.Addr{
		IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), bits)}, ValidLft: int(valid.Seconds()), PreferedLft: int(valid.Seconds()), Scope: scope,
	})
}

// way makes a gateway an interface's default route; one that has none loses it. The
// interface's index is the metric, so that two of them do not fight.
func way(l netlink.Link, gw netip.Addr) error {
	metric := 100 + l.Attrs().Index
	old := &netlink.Route{LinkIndex: l.Attrs().Index, Dst: &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}, Priority: metric}
	if !gw.IsValid() {
		if err := netlink.RouteDel(old); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
		return nil
	}
	old.Gw = gw.AsSlice()
	return netlink.RouteReplace(old)
}

// lease asks for an address and keeps it while it may.
func (n *network) lease(ctx context.Context, l netlink.Link) error {
	name := l.Attrs().Name
	c, err := nclient4.New(name, nclient4.WithTimeout(4*time.Second), nclient4.WithRetry(3))
	if err != nil {
		return err
	}
	defer c.Close()
	host, _ := os.Hostname()
	lease, err := c.Request(ctx, dhcpv4.WithOption(dhcpv4.OptHostName(host)))
	if err != nil {
		return fmt.Errorf("nobody gives an address: %w", err)
	}
	for {
		p, gw, dns, valid, err := leased(lease.ACK)
		if err != nil {
			return err
		}
		if err := clearBut(l, p); err != nil {
			return err
		}
		if err := address(l, p, valid, unix.RT_SCOPE_UNIVERSE); err != nil {
			return err
		}
		if err := way(l, gw); err != nil {
			n.b.say("network: %s: gateway %s: %v", name, gw, err)
		}
		n.names(name, dns)
		n.b.say("network: %s has %s for %s", name, p, valid)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(valid / 2):
		}
		if lease, err = c.Renew(ctx, lease); err != nil {
			return fmt.Errorf("the address was not renewed: %w", err) // and is asked for anew, while it still holds
		}
	}
}

// leased reads what a server gave, within bounds.
func leased(a *dhcpv4.DHCPv4) (p netip.Prefix, gw netip.Addr, dns []netip.Addr, valid time.Duration, err error) {
	ip, ok := netip.AddrFromSlice(a.YourIPAddr.To4())
	ones, bits := a.SubnetMask().Size()
	if !ok || ip.IsUnspecified() || ip.IsLoopback() || ip.IsMulticast() || bits != 32 || ones < 8 || ones > 31 {
		return p, gw, nil, 0, fmt.Errorf("the server gave %s with mask %s", a.YourIPAddr, a.SubnetMask())
	}
	p = netip.PrefixFrom(ip, ones)
	for _, r := range a.Router() {
		if g, ok := netip.AddrFromSlice(r.To4()); ok && p.Contains(g) && g != ip {
			gw = g
			break
		}
	}
	for _, d := range a.DNS() {
		if x, ok := netip.AddrFromSlice(d.To4()); ok && len(dns) < 3 {
			dns = append(dns, x)
		}
	}
	valid = min(max(a.IPAddressLeaseTime(time.Hour), time.Minute), 7*24*time.Hour)
	return p, gw, dns, valid, nil
}

// names writes who answers for names, of all interfaces.
func (n *network) names(name string, dns []netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dns[name] = dns
	_ = os.WriteFile("/run/resolv.conf", resolvers(n.dns), 0o644)
}

func resolvers(dns map[string][]netip.Addr) []byte {
	var out strings.Builder
	var seen []netip.Addr
	for _, name := range sorted(dns) {
		for _, a := range dns[name] {
			if !slices.Contains(seen, a) && len(seen) < 3 { // resolv.conf(5): MAXNS
				seen = append(seen, a)
				fmt.Fprintf(&out, "nameserver %s\n", a)
			}
		}
	}
	return []byte(out.String())
}

func sorted[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// mostInterfaces bounds what is asked for.
const mostInterfaces = 16

// apply makes interfaces what they shall be and keeps that. One that is not named is the
// board's own again. Those that stay as they were are left alone: who asks at each start
// must not cut a line off that works.
func (n *network) apply(want map[string]setting) error {
	if len(want) > mostInterfaces {
		return fmt.Errorf("at most %d interfaces", mostInterfaces)
	}
	for name, s := range want {
		if err := s.check(name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	t, err := json.MarshalIndent(want, "", " ")
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := replaceFile(n.file, t); err != nil {
		return err
	}
	old := n.want
	n.want = maps.Clone(want)
	if n.want == nil {
		n.want = map[string]setting{}
	}
	for name, end := range n.runs {
		was, had := old[name]
		is, has := n.want[name]
		if had != has || !reflect.DeepEqual(was, is) {
			end()
			delete(n.runs, name) // look begins anew
		}
	}
	for name, s := range old {
		if _, still := n.want[name]; !still && s.VLAN > 0 {
			n.b.attempt("network", func() error { return dropVLAN(name) })
		}
	}
	return nil
}

// replaceFile writes a file so that after a cut there is the old or the new.
func replaceFile(path string, t []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(t)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// check holds a setting to what an interface can be. edged has checked it already; this is
// what runs as root.
func (s setting) check(name string) error {
	if name == "" || len(name) > 15 || strings.ContainsAny(name, "/ \x00") || name == "lo" {
		return errors.New("this is no interface's name")
	}
	if s.VLAN < 0 || s.VLAN > 4094 {
		return errors.New("a VLAN is 1 to 4094")
	}
	if s.DHCP == s.Address.IsValid() {
		return errors.New("dhcp or an address")
	}
	if s.Address.IsValid() && s.Gateway.IsValid() && !s.Address.Contains(s.Gateway) {
		return errors.New("the gateway is not in its network")
	}
	if w := s.WiFi; w != nil && (w.SSID == "" || len(w.SSID) > 32 || len(w.Key) > 63 || w.Key != "" && len(w.Key) < 8 || strings.ContainsAny(w.SSID+w.Key, "\n\r\"\x00")) {
		return errors.New("a Wi-Fi name has 1 to 32 bytes and its key 8 to 63")
	}
	return nil
}

func makeVLAN(name string, id int) error {
	parent, _, ok := strings.Cut(name, ".")
	if !ok {
		return errors.New("a VLAN is named eth0.7")
	}
	p, err := netlink.LinkByName(parent)
	if err != nil {
		return err
	}
	err = netlink.LinkAdd(&netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: name, ParentIndex: p.Attrs().Index}, VlanId: id})
	if errors.Is(err, unix.EOPNOTSUPP) {
		return errors.New("this board's kernel has no VLANs")
	}
	return err
}

// dropVLAN takes away what makeVLAN made.
func dropVLAN(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil || l.Type() != "vlan" {
		return nil // it is gone, or nobody's business
	}
	return netlink.LinkDel(l)
}
