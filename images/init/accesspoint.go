package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// accessPoint is the box's own Wi-Fi for who stands below the pole.
type accessPoint struct {
	mu    sync.Mutex
	until time.Time
	on    bool
}

// apAddress is the box on its access point; who comes gets an address from .10 on.
var apAddress = netip.MustParsePrefix("192.168.77.1/24")

const apGuests = 40

// service brings the access point up for a time, or keeps it for longer.
func (n *network) service(d time.Duration) {
	a := &n.ap
	a.mu.Lock()
	defer a.mu.Unlock()
	if until := time.Now().Add(d); until.After(a.until) {
		a.until = until
	}
	if a.on {
		return
	}
	a.on = true
	n.b.beside("access point", func() {
		defer func() {
			a.mu.Lock()
			a.on = false
			a.mu.Unlock()
		}()
		if err := n.point(); err != nil {
			n.b.say("access point: %v", err)
		}
	})
}

// apSecret is what is printed on the box's label: init makes it at the box's first start (label.go).
type apSecret struct {
	SSID string `json:"ssid"`
	Key  string `json:"key"`
}

func apFile() string { return filepath.Join(boxDir, "data", "access-point.json") }

// point runs hostapd until its time is over. There is no open network: without the label's
// key there is no access point.
func (n *network) point() error {
	t, err := os.ReadFile(apFile())
	if err != nil {
		return fmt.Errorf("its key is not there yet: %w", err)
	}
	var s apSecret
	if err := json.Unmarshal(t, &s); err != nil {
		return err
	}
	if err := (setting{DHCP: true, WiFi: &wifi{s.SSID, s.Key}}).check("wlan0"); err != nil || s.Key == "" {
		return errors.New("its name or key is not one")
	}
	name, err := radio()
	if err != nil {
		return err
	}
	conf := "/run/hostapd.conf"
	if err := os.WriteFile(conf, hostapdConf(name, s), 0o600); err != nil {
		return err
	}
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if err := address(l, apAddress, 0, unix.RT_SCOPE_UNIVERSE); err != nil {
		return err
	}
	defer func() { _ = clearBut(l, netip.Prefix{}) }()
	ctx, end := context.WithCancel(context.Background())
	defer end()
	c := exec.CommandContext(ctx, "/usr/sbin/hostapd", conf)
	out := &lineWriter{r: n.b.log, who: "hostapd"}
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	leases := &guests{b: n.b, first: 10, most: apGuests}
	srv, err := server4.NewServer(name, &net.UDPAddr{IP: net.IPv4zero, Port: 67}, leases.answer)
	if err != nil {
		return err
	}
	defer srv.Close()
	n.b.beside("access point's addresses", func() { _ = srv.Serve() })
	n.b.say("access point: %s on %s, %s", s.SSID, name, apAddress.Addr())
	for {
		n.ap.mu.Lock()
		left := time.Until(n.ap.until)
		n.ap.mu.Unlock()
		if left <= 0 {
			n.b.say("access point: its time is over")
			end()
			<-done
			return nil
		}
		select {
		case err := <-done:
			return fmt.Errorf("hostapd ended: %w", err)
		case <-time.After(left):
		}
	}
}

// radio finds the first interface that is Wi-Fi.
func radio() (string, error) {
	all, _ := filepath.Glob("/sys/class/net/*/phy80211")
	if len(all) == 0 {
		return "", errors.New("this board has no Wi-Fi")
	}
	return filepath.Base(filepath.Dir(all[0])), nil
}

// hostapdConf is hostapd.conf(5): WPA2 with the label's key, management frames protected
// where the guest can.
func hostapdConf(name string, s apSecret) []byte {
	return fmt.Appendf(nil, `interface=%s
driver=nl80211
ssid2="%s"
utf8_ssid=1
country_code=CN
hw_mode=g
channel=6
wpa=2
wpa_key_mgmt=WPA-PSK
rsn_pairwise=CCMP
ieee80211w=1
wpa_passphrase=%s
max_num_sta=16
ap_isolate=1
`, name, s.SSID, s.Key)
}

// guests gives addresses to who joins: the same to the same, and when all are given, another
// guest's, by chance.
type guests struct {
	b     *board
	mu    sync.Mutex
	first byte
	most  int
	macs  []string
}

func (g *guests) address(mac string) net.IP {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := slices.Index(g.macs, mac)
	switch {
	case at >= 0:
	case len(g.macs) < g.most:
		g.macs, at = append(g.macs, mac), len(g.macs)
	default:
		at = rand.IntN(g.most)
		g.macs[at] = mac
	}
	ip := apAddress.Addr().As4()
	ip[3] = g.first + byte(at)
	return net.IP(ip[:])
}

// answer is called in a goroutine of the server's own.
func (g *guests) answer(conn net.PacketConn, peer net.Addr, m *dhcpv4.DHCPv4) {
	g.b.died("access point's addresses", func() { g.reply(conn, peer, m) })
}

func (g *guests) reply(conn net.PacketConn, peer net.Addr, m *dhcpv4.DHCPv4) {
	kind := dhcpv4.MessageTypeOffer
	switch m.MessageType() {
	case dhcpv4.MessageTypeDiscover:
	case dhcpv4.MessageTypeRequest:
		kind = dhcpv4.MessageTypeAck
	default:
		return
	}
	self := net.IP(apAddress.Addr().AsSlice())
	r, err := dhcpv4.NewReplyFromRequest(m, dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(g.address(m.ClientHWAddr.String())), dhcpv4.WithServerIP(self),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(self)), dhcpv4.WithNetmask(net.CIDRMask(apAddress.Bits(), 32)), dhcpv4.WithLeaseTime(3600))
	if err == nil {
		_, _ = conn.WriteTo(r.ToBytes(), peer)
	}
}

// join joins a Wi-Fi network by wpa_supplicant, until end is called.
func (n *network) join(ctx context.Context, name string, w wifi) (end func(), err error) {
	conf := "/run/wpa-" + name + ".conf"
	key := `key_mgmt=NONE`
	if w.Key != "" {
		key = `psk="` + w.Key + `"` // up to the last quote, as it is (wpa_supplicant.conf)
	}
	text := fmt.Sprintf("country=CN\nnetwork={\n ssid=%x\n scan_ssid=1\n %s\n}\n", w.SSID, key)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	c := exec.CommandContext(ctx, "/usr/sbin/wpa_supplicant", "-i", name, "-D", "nl80211", "-c", conf)
	out := &lineWriter{r: n.b.log, who: "wpa"}
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		cancel()
		return nil, err
	}
	done := make(chan struct{})
	go func() { _ = c.Wait(); close(done) }()
	stop := func() { cancel(); <-done }
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(500 * time.Millisecond) {
		if t, _ := os.ReadFile("/sys/class/net/" + name + "/operstate"); strings.TrimSpace(string(t)) == "up" {
			return stop, nil
		}
	}
	stop()
	return nil, errors.New("the Wi-Fi network was not joined: its name, its key or the distance")
}
