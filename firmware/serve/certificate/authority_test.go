package certificate

import (
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

var (
	built = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	phone = time.Date(2027, 3, 4, 5, 6, 7, 0, time.UTC) // what the phone's clock says: it is right
)

type box struct {
	o     Opts
	now   clock.Stamp
	hosts []string
	addrs []netip.Addr
}

func newBox(dir string, now time.Time, trust clock.Trust) *box {
	b := &box{now: clock.Stamp{Wall: now, Trust: trust}, hosts: []string{"tocsin.local", "box.village.example"}, addrs: []netip.Addr{netip.MustParseAddr("192.168.1.5")}}
	b.o = Opts{Dir: dir, Station: "441882103201", Hosts: func() []string { return b.hosts }, Addrs: func() []netip.Addr { return b.addrs },
		Now: func() clock.Stamp { return b.now }, Floor: func() time.Time { return time.Time{} }, Built: built, Log: slog.New(slog.DiscardHandler)}
	return b
}

func open(t *testing.T, b *box) *Authority {
	t.Helper()
	a, err := Open(b.o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t *testing.T, a *Authority, at string) *leaf {
	t.Helper()
	l, err := a.now(netip.MustParseAddr(at))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// trusts tells what a phone that installed the authority says.
func trusts(a *Authority, l *leaf, name string, now time.Time) error {
	pool := x509.NewCertPool()
	ca, err := x509.ParseCertificate(a.DER())
	if err != nil {
		return err
	}
	pool.AddCert(ca)
	_, err = l.x.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

func TestAPhoneThatInstalledTheAuthorityTrustsTheBox(t *testing.T) {
	for name, c := range map[string]struct {
		clock time.Time
		trust clock.Trust
	}{
		"the clock is right":       {phone, clock.Set},
		"it has run on":            {phone.AddDate(0, 0, 2), clock.Held},
		"it stands at the build":   {built, clock.Free},
		"it stands at 1970":        {time.Unix(0, 0), clock.Free},
		"it has run into the 2040": {time.Date(2044, 1, 1, 0, 0, 0, 0, time.UTC), clock.Free},
	} {
		a := open(t, newBox(t.TempDir(), c.clock, c.trust))
		l := issue(t, a, "10.0.0.9")
		for _, host := range []string{"tocsin.local", "box.village.example", "192.168.1.5", "10.0.0.9", "127.0.0.1", "localhost"} {
			if err := trusts(a, l, host, phone); err != nil {
				t.Errorf("%s: %s: %v", name, host, err)
			}
		}
		if d := l.x.NotAfter.Sub(l.x.NotBefore); d > 825*24*time.Hour {
			t.Errorf("%s: it lasts %v, which phones refuse", name, d)
		}
	}
}

func TestTheAuthorityCanSignForNobodyElse(t *testing.T) {
	b := newBox(t.TempDir(), phone, clock.Set)
	a := open(t, b)
	for _, host := range []string{"bank.example", "village.example", "203.0.113.9", "2001:db8::1"} {
		forged := &Authority{o: a.o, key: a.key}
		wide := *a.cert
		wide.PermittedDNSDomains, wide.PermittedIPRanges = append(wide.PermittedDNSDomains, "example"), nil
		b.hosts, b.addrs = []string{host}, nil
		if ip, err := netip.ParseAddr(host); err == nil {
			b.hosts, b.addrs = nil, []netip.Addr{ip}
			_, all4, _ := net.ParseCIDR("0.0.0.0/0")
			_, all6, _ := net.ParseCIDR("::/0")
			wide.PermittedIPRanges = append(wide.PermittedIPRanges, all4, all6)
		}
		forged.cert = &wide // as a thief of the key would
		l, err := forged.sign(netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		if trusts(a, l, host, phone) == nil {
			t.Errorf("it signs for %s", host)
		}
	}
}

func TestAPublicAddressSpoilsNothing(t *testing.T) {
	b := newBox(t.TempDir(), phone, clock.Set)
	b.addrs = append(b.addrs, netip.MustParseAddr("203.0.113.9"))
	b.hosts = append(b.hosts, "later.example")
	a := open(t, newBox(b.o.Dir, phone, clock.Set))
	a.o = b.o
	if err := trusts(a, issue(t, a, "203.0.113.9"), "192.168.1.5", phone); err != nil {
		t.Error(err)
	}
}

func TestItIsKeptForTheServiceOnlyAndRenewedInTime(t *testing.T) {
	dir := t.TempDir()
	b := newBox(dir, built, clock.Free)
	a := open(t, b)
	first := issue(t, a, "192.168.1.5")
	for _, f := range []string{caFile, leafFile} {
		if st, err := os.Stat(filepath.Join(dir, f)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f, st, err)
		}
	}
	again := open(t, b)
	if again.Fingerprint() != a.Fingerprint() || !issue(t, again, "192.168.1.5").x.Equal(first.x) {
		t.Error("another authority or certificate after a start")
	}
	same := func(what string, want bool) {
		t.Helper()
		if got := issue(t, again, "192.168.1.5"); got.x.Equal(first.x) != want {
			t.Errorf("%s: the same certificate: %v", what, !want)
		} else {
			first = got
		}
	}
	same("nothing has changed", true)
	b.now = clock.Stamp{Wall: phone, Trust: clock.Set}
	again.o = b.o
	same("the clock was set", false)
	same("and then", true)
	b.now.Wall = first.x.NotAfter.AddDate(0, 0, -renewDays-1)
	same("in time", true)
	b.now.Wall = first.x.NotAfter.AddDate(0, 0, -renewDays+1)
	same("it runs out", false)
	b.hosts = append(b.hosts, "new.local")
	same("another name", false)
	if issue(t, again, "192.168.9.9").x.Equal(first.x) {
		t.Error("another address, the same certificate")
	}
}

func TestWhatIsDamagedIsReplacedAndADeadDiskIsSaid(t *testing.T) {
	for _, s := range []string{"", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, caFile), []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
		if a := open(t, newBox(dir, phone, clock.Set)); trusts(a, issue(t, a, "192.168.1.5"), "192.168.1.5", phone) != nil {
			t.Error("a damaged file spoils it")
		}
		if kept, _ := os.ReadFile(filepath.Join(dir, caFile+".damaged")); string(kept) != s {
			t.Error("the damaged file is lost")
		}
	}
	a, err := Open(newBox(filepath.Join(t.TempDir(), "gone"), phone, clock.Set).o)
	var pe *phrase.Error
	if !errors.As(err, &pe) || pe.Code != "certificate.in_ram" || a == nil || trusts(a, issue(t, a, "192.168.1.5"), "192.168.1.5", phone) != nil {
		t.Errorf("%v", err)
	}
}

func FuzzPairs(f *testing.F) {
	b := newBox(f.TempDir(), phone, clock.Set)
	if a, err := Open(b.o); err == nil {
		p, _ := writePair(a.key, a.cert)
		f.Add(p)
		f.Add(p[:len(p)/2])
	}
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if key, cert, err := parsePair(b); err == nil && (key == nil || cert == nil) {
			t.Error("half a pair")
		}
	})
}

func TestWhoComesByTurnsToTwoAddressesMakesNoKeyEachTime(t *testing.T) {
	a := open(t, newBox(t.TempDir(), phone, clock.Set))
	issue(t, a, "fe80::1")
	both := issue(t, a, "fe80::2")
	for _, at := range []string{"fe80::1", "fe80::2", "192.168.1.5"} {
		if issue(t, a, at) != both {
			t.Errorf("another certificate for %s", at)
		}
	}
	for i := range 3 * mostAddrs {
		at := netip.AddrFrom4([4]byte{10, 0, byte(i), 1})
		if l := issue(t, a, at.String()); len(l.x.IPAddresses) > mostAddrs || trusts(a, l, at.String(), phone) != nil {
			t.Fatalf("%v: %d addresses, %v", at, len(l.x.IPAddresses), trusts(a, l, at.String(), phone))
		}
	}
}
