package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

func TestAFileThatIsNobodysDoesNotGoIntoARoot(t *testing.T) {
	l := newLedger(t.TempDir())
	must(t, l.write("etc/release", []byte("1\n"), ours("1")))
	if f, err := l.files(); err != nil || len(f) != 1 || f[0].owner != ours("1").id() || f[0].sha1 != "e5fa44f2b31c1fb553b6021e7360d07d5d91ff5e" {
		t.Fatal(f, err)
	}
	must(t, os.WriteFile(filepath.Join(l.root, "etc/stray"), nil, 0o644))
	if _, err := l.files(); err == nil || !strings.Contains(err.Error(), "etc/stray") {
		t.Fatalf("%v", err)
	}
}

func TestTheBillNamesEveryPartAndIsTheSameEachTime(t *testing.T) {
	l := newLedger(t.TempDir())
	must(t, l.write("b", []byte("b"), ours("1")))
	p := debPackage{Name: "libc6", Version: "2.36-9+deb12u10", Arch: "arm64", Source: "glibc", SourceVersion: "2.36-9+deb12u10"}
	must(t, l.write("a", []byte("a"), p.component()))
	linked := []component{{Name: "github.com/x/y", Version: "v1.2.3", Purl: "pkg:golang/github.com/x/y@v1.2.3"}}
	one, err := bill("n", time.Unix(5, 0), l, []component{{Name: "linux", Version: "6"}}, linked, ours("1"))
	must(t, err)
	two, err := bill("n", time.Unix(5, 0), l, []component{{Name: "linux", Version: "6"}}, linked, ours("1"))
	must(t, err)
	if !bytes.Equal(one, two) {
		t.Fatal("two bills of one root differ")
	}
	var d spdx
	must(t, json.Unmarshal(one, &d))
	names := map[string]bool{}
	for _, p := range d.Packages {
		names[p.ID] = true
	}
	if len(d.Packages) != 4 || len(d.Files) != 2 || d.Creation.Created != "1970-01-01T00:00:05Z" {
		t.Fatalf("%s", one)
	}
	contained := map[string]string{}
	for _, r := range d.Relationships {
		if r.Kind == "CONTAINS" {
			contained[r.To] = r.From
		}
		if r.From != document && !names[r.From] {
			t.Errorf("%v is of a part that is not listed", r)
		}
	}
	if contained["SPDXRef-file-1"] != "SPDXRef-libc6-2.36-9-deb12u10" || contained["SPDXRef-file-2"] != "SPDXRef-tocsin-1" {
		t.Fatalf("%v", contained)
	}
}

func TestEachTargetsReleasesAreForBoardsThatUpdatesKnow(t *testing.T) {
	b, err := os.ReadFile("../../configs/update.yaml")
	must(t, err)
	var c struct{ Boards map[string]string }
	must(t, yaml.Unmarshal(b, &c))
	var known []string
	for _, n := range c.Boards {
		known = append(known, n)
	}
	for _, tg := range targets {
		for _, h := range tg.hardware {
			if !slices.Contains(known, h) && h != tg.name {
				t.Errorf("target %s is for %q, which no board of configs/update.yaml is, nor a generic board's own name", tg.name, h)
			}
		}
		if tg.loads == "" && (tg.pi == nil || tg.pi.uboot) {
			t.Errorf("target %s: nothing chooses its slot", tg.name)
		}
		if _, err := driverLists.ReadFile("drivers/" + tg.kernel.drivers + ".txt"); err != nil {
			t.Error(err)
		}
	}
	if _, err := targetOf("toaster"); err == nil || !strings.Contains(err.Error(), "armv7") {
		t.Errorf("%v", err)
	}
}

// module makes an ELF file whose .modinfo says what a driver needs.
func driver(t *testing.T, path, needs string) {
	t.Helper()
	as, err := exec.LookPath("aarch64-linux-gnu-as")
	if err != nil {
		t.Skip("binutils-aarch64-linux-gnu is missing: make image installs it")
	}
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	c := exec.Command(as, "-o", path, "-")
	c.Stdin = strings.NewReader(fmt.Sprintf(".section .modinfo,\"a\"\n.asciz \"license=GPL\"\n.asciz \"depends=%s\"\n.asciz \"name=x\"\n", needs))
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestDriversLoadAfterThoseThatTheyNeed(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "modules.builtin"), []byte("kernel/net/wireless/cfg80211.ko\n"), 0o644))
	k := &opened{kernel: kernel{drivers: "rpi"}, dir: dir, release: "6"}
	driver(t, filepath.Join(dir, "kernel/b/brcmfmac.ko"), "brcmutil,cfg80211")
	driver(t, filepath.Join(dir, "kernel/a/brcmfmac-wcc.ko"), "brcmfmac,brcmutil")
	driver(t, filepath.Join(dir, "kernel/a/brcmfmac-cyw.ko"), "brcmfmac")
	driver(t, filepath.Join(dir, "kernel/z/brcmutil.ko"), "")
	got, err := k.load()
	must(t, err)
	var names []string
	for _, d := range got {
		if d.first {
			t.Errorf("%s would be in the initramfs", d.name)
		}
		names = append(names, d.name)
	}
	if s := strings.Join(names, " "); s != "brcmutil brcmfmac brcmfmac_wcc brcmfmac_cyw" {
		t.Fatal(s)
	}
	driver(t, filepath.Join(dir, "kernel/z/brcmutil.ko"), "nothing_has_this")
	if _, err := k.load(); err == nil || !strings.Contains(err.Error(), "nothing_has_this, which brcmutil asks for") {
		t.Fatalf("%v", err)
	}
	driver(t, filepath.Join(dir, "kernel/z/brcmutil.ko"), "brcmfmac")
	if _, err := k.load(); err == nil || !strings.Contains(err.Error(), "needs itself") {
		t.Fatalf("%v", err)
	}
}

func TestKeysAreMadeOnlyWhereThatIsAskedFor(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "vualt")
	if _, err := releasers(dir, false); err == nil || !strings.Contains(err.Error(), "make release-keys") {
		t.Fatalf("%v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Fatal("a folder was made of a slip")
	}
	made, err := releasers(dir, true)
	must(t, err)
	again, err := releasers(dir, false)
	must(t, err)
	for n := range made {
		a, err := made[n].Sign([]byte("x"))
		must(t, err)
		b, err := again[n].Sign([]byte("x"))
		must(t, err)
		if !bytes.Equal(a, b) {
			t.Error("the keys are not those that were made, or sign by chance")
		}
	}
}

func TestSecurityUpdatesAreLeftOutOfListsAlone(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "x.sources"), filepath.Join(dir, "x.list")
	must(t, os.WriteFile(a, []byte("Suites: bookworm bookworm-updates\nComponents: main\n\nSuites: bookworm-security\nComponents: main\n"), 0o644))
	must(t, os.WriteFile(b, []byte("deb http://deb.debian.org/debian bookworm main\ndeb http://deb.debian.org/debian-security bookworm-security main\n"), 0o644))
	must(t, withoutSecurity([]string{a, b}))
	for f, want := range map[string]string{a: "Suites: bookworm bookworm-updates\nComponents: main", b: "deb http://deb.debian.org/debian bookworm main\n"} {
		got, err := os.ReadFile(f)
		must(t, err)
		if string(got) != want {
			t.Errorf("%s: %q", f, got)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
