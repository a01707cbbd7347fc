package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"golang.org/x/sys/unix"
)

func TestTheBootLoadersWordsAreRead(t *testing.T) {
	c := parseCmdline("console=ttyAMA0,115200 quiet slot=B disk=/dev/mmcblk0 good=A next=B left=2\n")
	s := c.slots()
	if s.Slot != "B" || s.device("A") != "/dev/mmcblk0p2" || s.device("B") != "/dev/mmcblk0p3" || s.data() != "/dev/mmcblk0p4" {
		t.Fatalf("%+v %s %s %s", s, s.device("A"), s.device("B"), s.data())
	}
	if s := parseCmdline("disk=/dev/vda slot=X").slots(); s.Slot != "A" || s.device("B") != "/dev/vda3" {
		t.Fatalf("%+v", s)
	}
	if _, ok := c["quiet"]; !ok {
		t.Fatal("a word alone is lost")
	}
}

func TestTheBoardsOwnDiskIsFoundByItsTable(t *testing.T) {
	dir := t.TempDir()
	sys, dev := filepath.Join(dir, "sys"), filepath.Join(dir, "dev")
	add := func(name string, id uint32, part bool) {
		b := make([]byte, 512)
		b[510], b[511] = 0x55, 0xaa
		b[440], b[441], b[442], b[443] = byte(id), byte(id>>8), byte(id>>16), byte(id>>24)
		must(t, os.MkdirAll(filepath.Join(sys, name), 0o755))
		must(t, os.MkdirAll(dev, 0o755))
		must(t, os.WriteFile(filepath.Join(dev, name), b, 0o644))
		if part {
			must(t, os.WriteFile(filepath.Join(sys, name, "partition"), []byte("1\n"), 0o644))
		}
	}
	add("loop0", diskID, false)
	add("mmcblk0", 7, false) // another system's
	add("mmcblk1p1", diskID, true)
	if d, err := findDisk(sys, dev, 0); err == nil {
		t.Fatalf("found %s where there is none", d)
	}
	add("sda", diskID, false) // a stick with an image on it
	if d, _ := findDisk(sys, dev, 0); d != filepath.Join(dev, "sda") {
		t.Fatalf("%q", d)
	}
	add("mmcblk1", diskID, false)
	if d, _ := findDisk(sys, dev, 0); d != filepath.Join(dev, "mmcblk1") {
		t.Fatalf("the stick took the card's place: %q", d)
	}
}

func TestTheFirmwaresPartitionIsTheSlot(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "bootloader"), 0o755))
	for _, c := range []struct {
		cell []byte
		slot string
	}{{[]byte{0, 0, 0, 2}, "A"}, {[]byte{0, 0, 0, 3}, "B"}, {[]byte{0, 0, 0, 1}, ""}, {[]byte{0, 0, 0, 4}, ""}, {[]byte{3}, ""}, {nil, ""}} {
		must(t, os.WriteFile(filepath.Join(dir, "bootloader/partition"), c.cell, 0o644))
		if s := slotOfTree(dir); s != c.slot {
			t.Errorf("%v: %q, not %q", c.cell, s, c.slot)
		}
	}
	if s := slotOfTree(filepath.Join(dir, "none")); s != "" {
		t.Errorf("a board that says nothing is in slot %q", s)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheRingKeepsTheLastAndIsBounded(t *testing.T) {
	r := newRing(4000)
	w := &lineWriter{r: r, who: "edged"}
	for n := range 500 {
		fmt.Fprintf(w, "line %d\npart", n)
		fmt.Fprint(w, " of one\n")
	}
	text := r.text()
	if !strings.Contains(text, "edged: line 499") || strings.Contains(text, "line 3\n") || len(text) > 4000 {
		t.Fatalf("%d bytes: %.100s", len(text), text)
	}
	if !strings.Contains(text, "edged: part of one") {
		t.Fatal("a line in two writes is not one line")
	}
	fmt.Fprint(w, strings.Repeat("x", 1<<20))
	if len(w.rest) > longest+1 || len(r.text()) > 4000 {
		t.Fatal("a line without end fills the memory")
	}
	r.line("x", "bell \a escape \x1b[2J end")
	if strings.ContainsAny(r.text(), "\a\x1b") {
		t.Fatal("what a terminal would obey is kept")
	}
}

func TestOneWhoTalksWithoutEndSilencesNobodyElseOnTheConsole(t *testing.T) {
	var console strings.Builder
	r := newRing(4000)
	r.console = &console
	for range 5000 {
		r.line("edged", "again")
	}
	r.line("init", "armed")
	n := strings.Count(console.String(), "edged: again")
	if n < paceBurst || n > paceBurst+paceSecond*60 || !strings.Contains(console.String(), "init: armed") {
		t.Fatal(n)
	}
	p := &pace{at: time.Unix(0, 0)}
	if p.allows(time.Unix(0, 0)) || !p.allows(time.Unix(1, 0)) {
		t.Fatal("it does not come back")
	}
}

func TestShortCyclesOnlyBringUpTheAccessPoint(t *testing.T) {
	f := filepath.Join(t.TempDir(), "cycles")
	for n := 1; n <= 8; n++ {
		c, err := readCycles(f)
		if err != nil {
			t.Fatal(err)
		}
		c.Short++
		if err := writeCycles(f, c); err != nil {
			t.Fatal(err)
		}
		if c.Short != n || c.service() != (n >= cyclesEnough) {
			t.Fatalf("after %d: %+v", n, c)
		}
	}
	for _, broken := range []string{"", "{", `{"short":-4}`, `{"short":99999999}`, "\x00\x00\x00\x00"} {
		if err := os.WriteFile(f, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := readCycles(f); err != nil || c.Short != 0 {
			t.Fatalf("%q: %+v %v", broken, c, err)
		}
	}
}

func TestAPressOfTheButtonAsksForWhatItsLengthSays(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "", time.Second: "", 3 * time.Second: "service", 9 * time.Second: "service", 10 * time.Second: "reset", time.Hour: "reset"} {
		if got := hold(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestABudgetIsSpentAndComesBack(t *testing.T) {
	u := &budget{most: 3, per: time.Minute}
	now := time.Unix(1e9, 0)
	for n, want := range []bool{true, true, true, false, false} {
		if got := u.spend(now.Add(time.Duration(n) * time.Second)); got != want {
			t.Fatalf("start %d: %v", n, got)
		}
	}
	if !u.spend(now.Add(2 * time.Minute)) {
		t.Fatal("it does not come back")
	}
}

// supervised gives a supervisor whose edged is this test's own process.
func supervised() *supervisor {
	s := newSupervisor(&board{log: newRing(1 << 16)})
	s.cmd = &exec.Cmd{Process: &os.Process{Pid: 4711}}
	s.begun = time.Now()
	return s
}

func TestOnlyEdgedsOwnProofKeepsItAlive(t *testing.T) {
	s := supervised()
	if !s.alive(time.Now()) || s.alive(time.Now().Add(startGrace+time.Second)) {
		t.Fatal("a start has its time, and no more")
	}
	s.told(1234, "READY=1\nWATCHDOG=1")
	if s.ready || !s.fed.IsZero() {
		t.Fatal("another process spoke for edged")
	}
	s.told(4711, "STATUS=红色 \x1b[1m\nREADY=1\n")
	if !s.ready || strings.Contains(s.status, "\x1b") {
		t.Fatalf("%v %q", s.ready, s.status)
	}
	if s.alive(time.Now().Add(boxDog + time.Second)) {
		t.Fatal("it is alive without a proof")
	}
	s.fed = time.Now().Add(-boxDog)
	s.told(4711, "STATUS=x")
	if s.alive(time.Now()) {
		t.Fatal("a status is no proof of life")
	}
	s.told(4711, "WATCHDOG=1")
	if !s.alive(time.Now()) {
		t.Fatal("a proof does not count")
	}
}

func TestAStartIsNoProofForTheBoardsWatchdog(t *testing.T) {
	s := supervised()
	s.proof = time.Now().Add(-time.Minute)
	was := s.proof
	// It is started again and again, and never proves itself.
	s.begun, s.fed = time.Now(), time.Time{}
	if !s.alive(time.Now()) || s.proved() != was {
		t.Errorf("alive %v, proved %v", s.alive(time.Now()), s.proved())
	}
	s.told(4711, "STATUS=x")
	if s.proved() != was {
		t.Error("a status is no proof")
	}
	s.told(4711, "WATCHDOG=1")
	if time.Since(s.proved()) > time.Second {
		t.Error("its proof does not count")
	}
	// It says itself that what warns hangs: it is ended at once, and that is no proof.
	was = s.proved()
	s.told(4711, "WATCHDOG=trigger")
	if s.alive(time.Now()) || s.proved() != was {
		t.Errorf("alive %v, proved %v", s.alive(time.Now()), s.proved())
	}
}

func TestTheKernelsEventsAreRead(t *testing.T) {
	e := parseEvent([]byte("add@/devices/x/ttyUSB0\x00ACTION=add\x00DEVNAME=ttyUSB0\x00MAJOR=188\x00"))
	if e["ACTION"] != "add" || e["DEVNAME"] != "ttyUSB0" {
		t.Fatal(e)
	}
	for name, want := range map[string]bool{"ttyUSB0": true, "snd/pcmC0D0p": true, "gpiochip0": true, "i2c-1": true, "vda": false, "mem": false, "kmsg": false, "watchdog0": false, "tty1": false} {
		if boxOwns(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

func TestNobodyButTheKernelPressesTheButton(t *testing.T) {
	if boxOwns("input/event0") || !startsWithAny("input/event0", looked) {
		t.Fatal("edged may write into the button's device")
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte("add@/x\x00ACTION=add\x00DEVNAME=snd/pcmC0D0p\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e := parseEvent(b); len(e) > len(b) {
			t.Fatal("more words than bytes")
		}
	})
}

func ack(t *testing.T, ip, mask string, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()
	m, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithYourIP(net.ParseIP(ip)), dhcpv4.WithNetmask(net.IPMask(net.ParseIP(mask).To4()))}, mods...)...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestWhatAServerGivesIsHeldToItsBounds(t *testing.T) {
	p, gw, dns, valid, err := leased(ack(t, "192.168.8.20", "255.255.255.0", dhcpv4.WithRouter(net.ParseIP("10.0.0.1"), net.ParseIP("192.168.8.1")),
		dhcpv4.WithDNS(net.ParseIP("223.5.5.5"), net.ParseIP("1.1.1.1"), net.ParseIP("2.2.2.2"), net.ParseIP("3.3.3.3")), dhcpv4.WithLeaseTime(5)))
	if err != nil || p.String() != "192.168.8.20/24" || gw.String() != "192.168.8.1" || len(dns) != 3 || valid != time.Minute {
		t.Fatal(p, gw, dns, valid, err)
	}
	for _, bad := range [][2]string{{"0.0.0.0", "255.255.255.0"}, {"127.0.0.1", "255.0.0.0"}, {"224.0.0.1", "255.255.255.0"}, {"10.0.0.1", "255.255.255.255"}, {"10.0.0.1", "0.0.0.0"}, {"10.0.0.1", "255.0.255.0"}} {
		if _, _, _, _, err := leased(ack(t, bad[0], bad[1])); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

func TestASettingIsHeldToWhatAnInterfaceCanBe(t *testing.T) {
	at, gw := netip.MustParsePrefix("192.168.8.20/24"), netip.MustParseAddr("192.168.8.1")
	for _, c := range []struct {
		name string
		s    setting
		ok   bool
	}{
		{"eth0", setting{DHCP: true}, true},
		{"eth0", setting{Address: at, Gateway: gw}, true},
		{"eth0.7", setting{DHCP: true, VLAN: 7}, true},
		{"wlan0", setting{DHCP: true, WiFi: &wifi{"村部", "88888888"}}, true},
		{"eth0", setting{}, false},
		{"eth0", setting{DHCP: true, Address: at}, false},
		{"eth0", setting{Address: at, Gateway: netip.MustParseAddr("10.0.0.1")}, false},
		{"../etc/x", setting{DHCP: true}, false},
		{"lo", setting{DHCP: true}, false},
		{"a-name-that-is-too-long", setting{DHCP: true}, false},
		{"eth0.9", setting{DHCP: true, VLAN: 5000}, false},
		{"wlan0", setting{DHCP: true, WiFi: &wifi{"x\n}", "88888888"}}, false},
		{"wlan0", setting{DHCP: true, WiFi: &wifi{"x", "short"}}, false},
	} {
		if err := c.s.check(c.name); (err == nil) != c.ok {
			t.Errorf("%s %+v: %v", c.name, c.s, err)
		}
	}
	// The page's form reads as this one.
	var s setting
	if err := json.Unmarshal([]byte(`{"address":"192.168.8.20/24","gateway":"192.168.8.1","dns":["223.5.5.5"]}`), &s); err != nil || s.Address != at || s.Gateway != gw || len(s.DNS) != 1 {
		t.Fatalf("%+v %v", s, err)
	}
}

func TestGuestsOfTheAccessPointKeepTheirAddresses(t *testing.T) {
	g := &guests{b: &board{log: newRing(1000)}, first: 10, most: 3}
	a := g.address("a")
	if b := g.address("b"); b.Equal(a) || !g.address("a").Equal(a) {
		t.Fatal("two with one, or one with two")
	}
	for n := range 100 {
		if ip := g.address(fmt.Sprint(n)); ip[3] < 10 || ip[3] > 12 {
			t.Fatal("beyond its addresses:", ip)
		}
	}
	if len(g.macs) != 3 {
		t.Fatal("it grows without end")
	}
}

func TestResolversAreOfAllInterfacesAndThreeAtMost(t *testing.T) {
	a := netip.MustParseAddr
	got := string(resolvers(map[string][]netip.Addr{"usb0": {a("8.8.8.8"), a("9.9.9.9")}, "eth0": {a("223.5.5.5"), a("8.8.8.8")}}))
	if got != "nameserver 223.5.5.5\nnameserver 8.8.8.8\nnameserver 9.9.9.9\n" {
		t.Fatal(got)
	}
}

func TestTheLastWordsOfABootAreFound(t *testing.T) {
	text := "[    2.1] init: init 1.1\n[    9.0] edged: all is well\n[   12.3] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000200\n[   12.4] CPU: 0 PID: 1\n"
	if got := wordsIn(text); !strings.Contains(got, "Attempted to kill init") {
		t.Fatal(got)
	}
	if got := wordsIn("[ 1.0] all is well\n"); got != "" {
		t.Fatal(got)
	}
	if got := wordsIn(strings.Repeat("雨", 300) + " panic: x\n"); len(got) > 200 {
		t.Fatal(len(got))
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "console-ramoops-0"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if lastWords(dir) == "" {
		t.Fatal("nothing is found where the kernel keeps it")
	}
	// The boot after it tells its words, and dies of nothing: those are not its own.
	told := "[    2.1] init: init 1.1\n[    2.2] init: " + quoting + lastWords(dir) + "\n[   99.0] init: restart: update\n"
	if err := os.WriteFile(filepath.Join(dir, "console-ramoops-0"), []byte(told), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "dmesg-ramoops-0"), []byte("Panic#1 Part1\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	if w := lastWords(dir); w != "" || panicked(dir) {
		t.Fatalf("the boot before last is told as the last: %q", w)
	}
	// A board that keeps no console has its records alone.
	if err := os.Remove(filepath.Join(dir, "console-ramoops-0")); err != nil {
		t.Fatal(err)
	}
	if lastWords(dir) == "" {
		t.Fatal("a record is not found")
	}
}

func TestTheDeadAreFoundWhateverTheirNames(t *testing.T) {
	dir := t.TempDir()
	for pid, stat := range map[string]string{"7": "7 (a b) Z 1 7", "8": "8 (x) Z 1 ) Z 9 8", "9": "9 (y) S 1 9", "10": "10 (z) Z 4 10", "11": "11 (q)) Z 2) Z 1 11"} {
		if err := os.MkdirAll(filepath.Join(dir, pid), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, pid, "stat"), []byte(stat), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := fmt.Sprint(dead(dir))
	if got != "[11 7]" && got != "[7 11]" {
		t.Fatal(got)
	}
}

func TestWhatStillReadsIsSavedSmallFilesFirst(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "aside")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(from, "tocsin/site"), 0o755))
	must(os.WriteFile(filepath.Join(from, "tocsin/site/site.yaml"), []byte("version: 1\n"), 0o600))
	for n := range 3 {
		f, err := os.Create(filepath.Join(from, fmt.Sprintf("a%d.db", n)))
		must(err)
		must(f.Truncate(30 << 20))
		must(f.Close())
	}
	must(os.MkdirAll(filepath.Join(from, "aside"), 0o755))
	must(os.WriteFile(filepath.Join(from, "aside", "older"), []byte("x"), 0o600))
	if n := salvage(from, to); n != 3 { // the site, and two that fit into the bound
		t.Fatal("saved", n)
	}
	if b, err := os.ReadFile(filepath.Join(to, "tocsin/site/site.yaml")); err != nil || string(b) != "version: 1\n" {
		t.Fatal(string(b), err)
	}
}

func TestASiteThatIsNoneIsTheImagesAndOneThatIsRefusedIsKeptAside(t *testing.T) {
	dir := t.TempDir()
	image, site := filepath.Join(dir, "image.yaml"), filepath.Join(dir, "site", "site.yaml")
	read := func(path string) string {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(image, "version: 1\n")
	for _, before := range []string{"", "own"} { // a cut of the power leaves an empty file, too
		write(site, before)
		if err := seedSite(image, site); err != nil {
			t.Fatal(err)
		}
		if got := read(site); got != before && (before != "" || got != "version: 1\n") {
			t.Fatalf("%q became %q", before, got)
		}
	}
	b := &board{log: newRing(1 << 16)}
	if err := b.setSiteAside(image, site); err != nil {
		t.Fatal(err)
	}
	if read(site) != "version: 1\n" || read(site+".refused") != "own" {
		t.Fatal("what was refused is not kept, or the box has no site")
	}
	// What comes later never takes its place.
	write(site, "later")
	if err := b.setSiteAside(image, site); err != nil {
		t.Fatal(err)
	}
	if read(site+".refused") != "own" || read(site+".refused-2") != "later" {
		t.Fatal("what was refused first is gone")
	}
	for range refusedMost - 2 {
		if err := b.setSiteAside(image, site); err != nil {
			t.Fatal(err)
		}
	}
	write(site, "one more")
	if err := b.setSiteAside(image, site); err == nil || read(site) != "one more" || read(site+".refused") != "own" {
		t.Fatal("they become more without end, or one was lost:", err)
	}
}

func TestTheSpareCopysSiteTakesThePlaceOfARefusedOneOnce(t *testing.T) {
	dir := t.TempDir()
	image, site, disk := filepath.Join(dir, "image.yaml"), filepath.Join(dir, "box/site/site.yaml"), filepath.Join(dir, "disk")
	c := newCard()
	c.b[510], c.b[511] = 0x55, 0xaa
	binary.LittleEndian.PutUint32(c.b[440:], diskID)
	if err := writeSpare(c, packed(t, box(t, map[string]string{"site/site.yaml": "spared"})), time.Now()); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{image: "image's", disk: string(c.b), site: "broken"} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := &board{log: newRing(1 << 16), slots: slotPlaces{Disk: disk}}
	for _, want := range []string{"spared", "image's"} { // that of the spare copy was refused as well
		if err := b.setSiteAside(image, site); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(site); err != nil || string(got) != want {
			t.Fatalf("%q, not %q: %v", got, want, err)
		}
	}
}

// ended gives how a process ends.
func ended(t *testing.T, how string) error {
	t.Helper()
	err := exec.Command("sh", "-c", how).Run()
	if err == nil {
		t.Fatal(how, "ended well")
	}
	return err
}

func TestOnlyARefusalSetsASiteAsideAndNoCrash(t *testing.T) {
	refusal := ended(t, fmt.Sprint("exit ", exitSite))
	at := func(m int) time.Time { return time.Unix(1e9, 0).Add(time.Duration(m) * time.Minute) }
	var r refusals
	for n, s := range []struct {
		end  error
		at   int
		want bool
	}{
		{refusal, 0, false},
		{refusal, 1, true},
		{refusal, 2, false}, // counted anew
		{ended(t, "exit 2"), 2, false},
		{ended(t, "exit 2"), 2, false}, // a panic of Go's
		{refusal, 3, false},
		{ended(t, "kill -ABRT $$"), 3, false},
		{refusal, 4, false},
		{refusal, 60, false}, // long after
		{refusal, 61, true},
		{nil, 62, false},
	} {
		if got := r.twice(s.end, at(s.at)); got != s.want {
			t.Errorf("%d, %v: %v", n, s.end, got)
		}
	}
}

func TestATrialIsTheBootLoadersWord(t *testing.T) {
	for line, want := range map[string]bool{"slot=B good=A next=B left=2": true, "slot=A good=A next=": false, "slot=A good=A": false, "slot=A good=A next=B": false, "": false} {
		if b := (&board{args: parseCmdline(line)}); b.onTrial() != want {
			t.Errorf("%q: %v", line, !want)
		}
	}
}

func TestAGroupIsRemovedFromItsDepths(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tocsin")
	if err := os.MkdirAll(filepath.Join(dir, "video", "inner"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "own"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := removeGroup(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Fatal("it is still there")
	}
}

func TestTheSiteAndTheJournalAreSavedBeforeWhatAResetLeft(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "aside")
	put := func(name string, size int64) {
		t.Helper()
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
	}
	put("before-reset/data/journal.db", 40<<20)
	put("before-reset/site/site.yaml", 100)
	put("in-memory-2/data/history.db", 9<<20)
	put("in-memory-2/data/journal.db", 10<<20)
	put("tocsin/data/film.ts", 20<<20)
	put("tocsin/data/journal.db", 50<<20)
	put("tocsin/data/keys/box.pem", 200)
	put("tocsin/site/site.yaml", 100)
	for n := range 30 {
		put(fmt.Sprintf("a-first/%d", n), 1000)
	}
	salvage(from, to)
	for name, want := range map[string]bool{"tocsin/site/site.yaml": true, "tocsin/data/keys/box.pem": true, "tocsin/data/journal.db": true, "in-memory-2/data/journal.db": true, "in-memory-2/data/history.db": false, "before-reset/data/journal.db": false, "tocsin/data/film.ts": false} {
		if _, err := os.Stat(filepath.Join(to, name)); (err == nil) != want {
			t.Errorf("%s: saved is %v", name, !want)
		}
	}
}

func TestTheWatchdogIsFedWhileTheBoardStarts(t *testing.T) {
	s := newSupervisor(&board{log: newRing(1 << 16)})
	if time.Since(s.proved()) > time.Second {
		t.Fatal("a start begins as one that has been dead for ever")
	}
	if dataWait+mendWait > 25*time.Second {
		t.Fatal("a broken data partition holds up what warns")
	}
}

// What comes back from a broken partition is as secret as it was: edged refuses a key that others may read.
func TestWhatIsSavedStaysSecret(t *testing.T) {
	from, memory, back := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "aside")
	for name, mode := range map[string]os.FileMode{"tocsin/site/secrets/hub.key": 0o600, "tocsin/site/site.yaml": 0o644, "tocsin/data/box.key": 0o640} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(from, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(from, name), []byte(name), mode))
	}
	must(t, unix.Mkfifo(filepath.Join(from, "tocsin/data/pipe"), 0o600))
	if n := salvage(from, memory); n != 3 {
		t.Fatal(n)
	}
	must(t, unix.Mkfifo(filepath.Join(memory, "pipe"), 0o600))
	must(t, copyTree(memory, back))
	for name, want := range map[string]os.FileMode{"tocsin/site/secrets/hub.key": 0o600, "tocsin/site/site.yaml": 0o644, "tocsin/data/box.key": 0o640} {
		if i, err := os.Stat(filepath.Join(back, name)); err != nil || i.Mode().Perm() != want {
			t.Errorf("%s: %v %v", name, i, err)
		}
		if b, _ := os.ReadFile(filepath.Join(back, name)); string(b) != name {
			t.Errorf("%s: %q", name, b)
		}
	}
}

func TestAProgramIsReadIntoMemoryAhead(t *testing.T) {
	const size = 4 << 20
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, bytes.Repeat([]byte{1}, size), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := errors.Join(f.Sync(), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)); err != nil {
		t.Fatal(err)
	}
	m, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(m)
	there := func() (n int) {
		pages := make([]byte, size/os.Getpagesize())
		if _, _, e := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&m[0])), size, uintptr(unsafe.Pointer(&pages[0]))); e != 0 {
			t.Fatal(e)
		}
		for _, p := range pages {
			n += int(p & 1)
		}
		return n
	}
	before := there()
	if before > 10 {
		t.Skipf("this file system keeps %d pages whatever it is told", before)
	}
	if err := warm(path); err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(10 * time.Second)
	for there() < size/os.Getpagesize() && time.Now().Before(end) {
		time.Sleep(10 * time.Millisecond)
	}
	if n := there(); n < size/os.Getpagesize() {
		t.Errorf("%d of %d pages are in memory, %d before", n, size/os.Getpagesize(), before)
	}
	if err := warm(path + ".not"); err == nil {
		t.Error("a program that is not there was read")
	}
}
