// Package network says how the box's own network is read and set: interfaces with their
// addresses, and what they shall be. Board has them set by the image's init, which is root;
// without one what is there is read from the kernel and nothing can be set.
//
// Settings are part of the site's document, so that a change of them is on trial like
// any other, and an address by which nobody confirms goes back by itself. What was
// applied is read back: a setting that the board did not take is said, never assumed.
//
// The package sets nothing by itself and judges only what cannot be meant.
//
// Sources: netlink-free reading by the Go standard library and /proc/net/route
// (proc_pid_net(5)); RFC 3927 (link-local addresses), RFC 1122 (3.2.1.3).
package network

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"tocsin/firmware/phrase"
)

// Setting is what one interface shall be.
type Setting struct {
	// DHCP asks for an address; else Address is it, with its prefix.
	DHCP    bool         `json:"dhcp,omitempty"`
	Address netip.Prefix `json:"address,omitzero"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
	DNS     []netip.Addr `json:"dns,omitempty"`
	// VLAN is the number of a VLAN that is named by the interface below it: eth0.7.
	VLAN int `json:"vlan,omitempty"`
	// WiFi is what the interface joins before anything else.
	WiFi *WiFi `json:"wifi,omitempty"`
}

// Interface is what one is.
type Interface struct {
	Name      string         `json:"name"`
	Up        bool           `json:"up"`
	MAC       string         `json:"mac"`
	Addresses []netip.Prefix `json:"addresses"`
	Gateway   netip.Addr     `json:"gateway,omitzero"`
}

// Setter reads and sets a board's network. Its methods are safe from any goroutine.
type Setter interface {
	// Read gives what is, not what was asked for.
	Read() ([]Interface, error)
	// Apply makes interfaces what they shall be; those that are not named are what the board makes of
	// them by itself, also where they were set before: a setting that is taken back leaves nothing.
	Apply(map[string]Setting) error
}

// Kernel reads what is and sets nothing.
type Kernel struct{}

// ErrReadOnly is what Kernel answers to Apply.
var ErrReadOnly = errors.New("this board's network is not set by the box")

// Apply refuses to set anything.
func (Kernel) Apply(want map[string]Setting) error {
	if len(want) == 0 {
		return nil
	}
	return ErrReadOnly
}

// Read asks the kernel.
func (Kernel) Read() ([]Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	ways := gateways("/proc/net/route")
	var out []Interface
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			continue
		}
		x := Interface{Name: i.Name, Up: i.Flags&net.FlagRunning != 0, MAC: i.HardwareAddr.String(), Gateway: ways[i.Name]}
		as, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range as {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				x.Addresses = append(x.Addresses, p)
			}
		}
		out = append(out, x)
	}
	return out, nil
}

// gateways reads the default routes by interface.
func gateways(file string) map[string]netip.Addr {
	out := map[string]netip.Addr{}
	f, err := os.Open(file)
	if err != nil {
		return out
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		w := strings.Fields(s.Text())
		if len(w) < 3 || w[1] != "00000000" {
			continue
		}
		// The kernel prints it as a number of this machine's order; boards are little endian.
		if b, err := hex.DecodeString(w[2]); err == nil && len(b) == 4 {
			out[w[0]] = netip.AddrFrom4([4]byte{b[3], b[2], b[1], b[0]})
		}
	}
	return out
}

// Bench is a Setter of a bench: it keeps what was applied in a file and gives it back. By
// itself it has one interface with a lease.
type Bench struct {
	File string
	// Deaf are interfaces that take no setting, as a driver that fails silently does.
	Deaf []string
}

func (b Bench) load() (map[string]Setting, error) {
	m := map[string]Setting{}
	t, err := os.ReadFile(b.File)
	if errors.Is(err, os.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(t, &m)
	}
	return m, err
}

// Read gives what was applied, beside what the bench has by itself.
func (b Bench) Read() ([]Interface, error) {
	m, err := b.load()
	if err != nil {
		return nil, err
	}
	if _, set := m["eth0"]; !set {
		m["eth0"] = Setting{DHCP: true}
	}
	var out []Interface
	for name, s := range m {
		x := Interface{Name: name, Up: true, MAC: "02:00:00:00:00:01", Gateway: s.Gateway}
		if s.DHCP {
			s.Address = netip.MustParsePrefix("192.168.1.50/24") // the bench's own lease
		}
		x.Addresses = []netip.Prefix{s.Address}
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b Interface) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Apply keeps settings.
func (b Bench) Apply(want map[string]Setting) error {
	m := map[string]Setting{}
	for name, s := range want {
		if !slices.Contains(b.Deaf, name) {
			m[name] = s
		}
	}
	t, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return renameio.WriteFile(b.File, t, 0o600)
}

var goodName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,14}$`)

// Check finds what cannot be meant.
func (s Setting) Check(name string) error {
	if !goodName.MatchString(name) {
		return phrase.E("network.bad_name", "name", name)
	}
	if below, _, dotted := strings.Cut(name, "."); dotted != (s.VLAN != 0) || s.VLAN < 0 || s.VLAN > mostVLAN || dotted && below == "" {
		return phrase.E("network.bad_vlan", "name", name, "vlan", s.VLAN, "most", mostVLAN)
	}
	if w := s.WiFi; w != nil {
		if w.SSID == "" || len(w.SSID) > mostSSID || !printable(w.SSID) {
			return phrase.E("network.bad_ssid", "name", name, "most", mostSSID)
		}
		if w.Key != "" && (len(w.Key) < leastKey || len(w.Key) > mostKey || !printable(w.Key)) {
			return phrase.E("network.bad_key", "name", name, "least", leastKey, "most", mostKey)
		}
	}
	if s.DHCP {
		if s.Address.IsValid() || s.Gateway.IsValid() {
			return phrase.E("network.both", "name", name)
		}
		return nil
	}
	a := s.Address
	if !a.IsValid() || a.Addr().IsUnspecified() || a.Addr().IsMulticast() || a.Addr().IsLoopback() || a.Bits() < 8 || a.Addr().Is4() && a.Bits() > 30 {
		return phrase.E("network.bad_address", "name", name, "address", a.String())
	}
	if a.Addr().Is4() && (a.Addr() == a.Masked().Addr() || a.Addr() == last(a)) {
		return phrase.E("network.not_host", "name", name, "address", a.String())
	}
	if g := s.Gateway; g.IsValid() && (!a.Contains(g) || g == a.Addr()) {
		return phrase.E("network.far_gateway", "name", name, "gateway", g.String(), "address", a.String())
	}
	return nil
}

// last is a network's broadcast address.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	return netip.AddrFrom4(b)
}

// Holds tells whether an interface is what it shall be, as far as can be read.
func (s Setting) Holds(i Interface) bool {
	if s.DHCP {
		// An address that an interface gives itself is nobody's answer.
		return slices.ContainsFunc(i.Addresses, func(p netip.Prefix) bool { return !p.Addr().IsLinkLocalUnicast() })
	}
	return slices.Contains(i.Addresses, s.Address) && (!s.Gateway.IsValid() || i.Gateway == s.Gateway)
}
