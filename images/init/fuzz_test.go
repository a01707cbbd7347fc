package main

import (
	"bytes"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

func FuzzPreset(f *testing.F) {
	for _, s := range []string{"name: huangdu-07\nkey: kites-over-the-dam\ncode: K7PQR-4MNXY\n", "name：黄渡\nkey：12345678\ncode：ＡＣＤＥＦＧＨＪＫＭ\n", "\xff\xfen\x00a\x00m\x00e\x00:\x00x\x00", "key: \"\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, code, line := preset(b)
		if line != 0 {
			if s != (apSecret{}) || code != "" {
				t.Fatalf("refused at line %d, and still %+v %q", line, s, code)
			}
			return
		}
		if err := (setting{DHCP: true, WiFi: &wifi{s.SSID, s.Key}}).check("wlan0"); err != nil || s.Key == "" || len(code) != 10 {
			t.Fatalf("taken: %+v %q %v", s, code, err)
		}
		if conf := hostapdConf("wlan0", s); bytes.Count(conf, []byte("\n")) != bytes.Count(hostapdConf("wlan0", apSecret{"x", "12345678"}), []byte("\n")) {
			t.Fatalf("it made lines of its own:\n%s", conf)
		}
	})
}

func FuzzLeased(f *testing.F) {
	m, err := dhcpv4.New(dhcpv4.WithYourIP([]byte{10, 0, 0, 5}), dhcpv4.WithNetmask([]byte{255, 255, 255, 0}), dhcpv4.WithRouter([]byte{10, 0, 0, 1}), dhcpv4.WithDNS([]byte{10, 0, 0, 1}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m.ToBytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := dhcpv4.FromBytes(b)
		if err != nil {
			return
		}
		p, gw, dns, valid, err := leased(m)
		if err != nil {
			return
		}
		if !p.IsValid() || p.Bits() < 8 || p.Bits() > 31 || gw.IsValid() && !p.Contains(gw) || len(dns) > 3 || valid < time.Minute || valid > 7*24*time.Hour {
			t.Fatal(p, gw, dns, valid)
		}
	})
}

func FuzzFailed(f *testing.F) {
	f.Add([]byte("nothing"))
	f.Fuzz(func(t *testing.T, b []byte) {
		disk := make([]byte, startsAt+512)
		copy(disk[startsAt:], b)
		if got := readFailed(bytes.NewReader(disk)); got.Count < 0 {
			t.Fatal(got)
		}
	})
}

// FuzzSpare: what stands where the spare copy is may be anything.
func FuzzSpare(f *testing.F) {
	f.Add([]byte("none"))
	f.Add(append(spareHead{number: 1, length: 4}.bytes(), "none"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, ok := parseSpareHead(b); ok && (h.length <= 0 || h.length > spareEach-sector) {
			t.Fatal(h.length)
		}
		total := 0
		_ = unpackSpare(b, func(name string, _ fs.FileMode, text []byte) error {
			if !spared(name, int64(len(text))) || !filepath.IsLocal(name) {
				t.Fatalf("%q, %d bytes", name, len(text))
			}
			if total += len(text); total > spareBytes+spareFiles*2048 {
				t.Fatal(total)
			}
			return nil
		})
	})
}
