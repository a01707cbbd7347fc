package station

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

func TestAChangeOfTheNetworkIsConfirmedOnlyOnceTheBoardHasIt(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.bench = t.TempDir()
	w.start()
	w.until("the revisions", func() bool { var r api.RevisionText; return w.get("/config/revisions/0", &r) == nil })
	ask := map[string]any{"base": w.base().Number, "interface": "eth0", "address": "192.168.8.20/24", "why": "x", "session": "12345678", "within_ns": time.Minute, "who": "王工"}
	held := func() bool {
		n, err := w.house.Load().Network()
		if err != nil {
			t.Fatal(err)
		}
		return n.Interfaces[0].Addresses[0] == "192.168.8.20/24"
	}
	// The change waits until it was answered: whoever confirms in that time is still at the old address.
	var r api.Revision
	if code := w.asks("/network", ask, &r); code != "" || r.Trial == nil {
		t.Fatalf("%s %+v", code, r)
	}
	yes := func() (code string, after bool) {
		code = w.asks(fmt.Sprintf("/config/revisions/%d/confirm", r.Number), map[string]string{"who": "王工", "session": "12345678"}, nil)
		return code, held()
	}
	if code, after := yes(); code != "revision.early" || after {
		t.Fatalf("confirmed before the board had it: %q, it has it: %v", code, after)
	}
	w.until("it is confirmed", func() bool {
		code, after := yes()
		if code == "" && !after || code != "" && code != "revision.early" {
			t.Fatalf("%q, the board has it: %v", code, after)
		}
		return code == ""
	})
	if r := w.base(); r.Trial != nil {
		t.Errorf("%+v", r)
	}
}

func TestAWiFiKeyIsReadFromItsOwnFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "wifi.key"), []byte("12345678\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := config.Network{DHCP: true, WiFi: &config.WiFi{SSID: "乡政府", Key: "wifi.key"}}
	s, err := networkOf("wlan0", n, filepath.Join(dir, "site.yaml"))
	if err != nil || s.WiFi == nil || s.WiFi.SSID != "乡政府" || s.WiFi.Key != "12345678" {
		t.Fatalf("%+v %v", s.WiFi, err)
	}
	if err := os.Chmod(filepath.Join(dir, "wifi.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := networkOf("wlan0", n, filepath.Join(dir, "site.yaml")); phrase.Of(err).Code != "site.secret_open" {
		t.Fatal("a key that everybody reads is taken:", err)
	}
}
