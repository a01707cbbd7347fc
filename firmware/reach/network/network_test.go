package network

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"tocsin/firmware/phrase"
)

func TestWhatCannotBeMeantIsRefused(t *testing.T) {
	p, a := netip.MustParsePrefix, netip.MustParseAddr
	for name, c := range map[string]struct {
		s    Setting
		want string
	}{
		"an address":          {Setting{Address: p("192.168.8.20/24"), Gateway: a("192.168.8.1")}, ""},
		"dhcp":                {Setting{DHCP: true}, ""},
		"both":                {Setting{DHCP: true, Address: p("192.168.8.20/24")}, "network.both"},
		"nothing":             {Setting{}, "network.bad_address"},
		"the network itself":  {Setting{Address: p("192.168.8.0/24")}, "network.not_host"},
		"the broadcast":       {Setting{Address: p("192.168.8.255/24")}, "network.not_host"},
		"a gateway elsewhere": {Setting{Address: p("192.168.8.20/24"), Gateway: a("192.168.9.1")}, "network.far_gateway"},
		"itself as gateway":   {Setting{Address: p("192.168.8.20/24"), Gateway: a("192.168.8.20")}, "network.far_gateway"},
		"loopback":            {Setting{Address: p("127.0.0.5/8")}, "network.bad_address"},
		"one host":            {Setting{Address: p("192.168.8.20/32")}, "network.bad_address"},
		"a vlan":              {Setting{DHCP: true, VLAN: 7}, "network.bad_vlan"}, // eth0 is none
		"wifi":                {Setting{DHCP: true, WiFi: &WiFi{"乡政府", "12345678"}}, ""},
		"a short key":         {Setting{DHCP: true, WiFi: &WiFi{"乡政府", "1234567"}}, "network.bad_key"},
		"a key of two lines":  {Setting{DHCP: true, WiFi: &WiFi{"乡政府", "12345678\n}"}}, "network.bad_key"},
		"a name with a quote": {Setting{DHCP: true, WiFi: &WiFi{"a\"b", "12345678"}}, "network.bad_ssid"},
		"multicast":           {Setting{Address: p("224.0.0.5/24")}, "network.bad_address"},
	} {
		if err := c.s.Check("eth0"); phrase.Of(err).Code != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (Setting{DHCP: true, VLAN: 7}).Check("eth0.7"); err != nil {
		t.Error(err)
	}
	if err := (Setting{DHCP: true}).Check("eth0.7"); phrase.Of(err).Code != "network.bad_vlan" {
		t.Error(err)
	}
	if err := (Setting{DHCP: true}).Check("../eth0"); phrase.Of(err).Code != "network.bad_name" {
		t.Error(err)
	}
}

func TestWhatWasAppliedIsReadBack(t *testing.T) {
	b := Bench{File: filepath.Join(t.TempDir(), "network.json"), Deaf: []string{"wlan0"}}
	want := Setting{Address: netip.MustParsePrefix("192.168.8.20/24"), Gateway: netip.MustParseAddr("192.168.8.1")}
	if err := b.Apply(map[string]Setting{"eth1": want, "wlan0": want}); err != nil {
		t.Fatal(err)
	}
	all, err := b.Read()
	if err != nil || len(all) != 2 || all[1].Name != "eth1" || !want.Holds(all[1]) {
		t.Errorf("%+v %v", all, err)
	}
	if want.Holds(all[0]) {
		t.Error("eth0 holds what was never set")
	}
	// What is not named any more is as the bench has it by itself, also for a Bench that is begun anew.
	if err := (Bench{File: b.File}).Apply(map[string]Setting{"eth0": want}); err != nil {
		t.Fatal(err)
	}
	if all, _ := (Bench{File: b.File}).Read(); len(all) != 1 || !want.Holds(all[0]) {
		t.Errorf("set: %+v", all)
	}
	if err := (Bench{File: b.File}).Apply(nil); err != nil {
		t.Fatal(err)
	}
	if all, _ := (Bench{File: b.File}).Read(); len(all) != 1 || all[0].Name != "eth0" || all[0].Addresses[0].String() != "192.168.1.50/24" {
		t.Errorf("taken back: %+v", all)
	}
	if err := (Kernel{}).Apply(nil); err != nil {
		t.Error(err)
	}
	if err := (Kernel{}).Apply(map[string]Setting{"eth0": want}); err != ErrReadOnly {
		t.Error("a board that cannot be set: ", err)
	}
}

func TestDefaultRoutesAreRead(t *testing.T) {
	f := filepath.Join(t.TempDir(), "route")
	os.WriteFile(f, []byte("Iface\tDestination\tGateway \tFlags\nwwan0\t00000000\t0108A8C0\t0003\neth0\t0001A8C0\t00000000\t0001\n"), 0o600)
	if g := gateways(f); len(g) != 1 || g["wwan0"] != netip.MustParseAddr("192.168.8.1") {
		t.Error(g)
	}
	if _, err := (Kernel{}).Read(); err != nil {
		t.Error(err)
	}
}

func TestAnAddressThatAnInterfaceGaveItselfIsNoLease(t *testing.T) {
	s := Setting{DHCP: true}
	i := Interface{Addresses: []netip.Prefix{ServiceAddress, netip.MustParsePrefix("fe80::1/64")}}
	if s.Holds(i) {
		t.Error("held without anybody's answer")
	}
	if i.Addresses = append(i.Addresses, netip.MustParsePrefix("10.0.2.15/24")); !s.Holds(i) {
		t.Error("a lease does not hold")
	}
}
