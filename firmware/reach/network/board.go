package network

import (
	"net/netip"
	"slices"
)

// Board is a Setter of a board whose first process sets the network: it is asked to, and
// what came of it is read from the kernel.
type Board struct {
	// Set asks it; what is not in the map is the board's own.
	Set func(map[string]Setting) error
}

// ServiceAddress is what a board's cables answer on besides (RFC 3927): no setting's doing,
// and so not shown as one.
var ServiceAddress = netip.MustParsePrefix("169.254.7.7/16")

// Apply asks for all settings, also for none: what was set before is then taken back.
func (b Board) Apply(want map[string]Setting) error {
	if want == nil {
		want = map[string]Setting{}
	}
	return b.Set(want)
}

// Read asks the kernel.
func (Board) Read() ([]Interface, error) {
	all, err := Kernel{}.Read()
	for i := range all {
		all[i].Addresses = slices.DeleteFunc(all[i].Addresses, func(p netip.Prefix) bool { return p == ServiceAddress })
	}
	return all, err
}

// WiFi is a network that an interface joins.
type WiFi struct {
	SSID string `json:"ssid"`
	// Key is its pass phrase; "" for an open one.
	Key string `json:"key,omitempty"`
}

// Bounds of them: IEEE 802.11, 9.4.2.2 and J.4.1.
const (
	mostSSID = 32
	leastKey = 8
	mostKey  = 63
	mostVLAN = 4094 // IEEE 802.1Q, 9.6
)

func printable(s string) bool {
	return !slices.ContainsFunc([]byte(s), func(c byte) bool { return c < ' ' || c == 0x7f || c == '"' })
}

var (
	_ Setter = Board{}
	_ Setter = Bench{}
	_ Setter = Kernel{}
)
