//go:build image

package images

import (
	"bytes"
	"crypto/sha1"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// slot is the image of the slot that make image-test built, and its root, opened.
func slot(t *testing.T) (image, root string) {
	t.Helper()
	img := os.Getenv("TOCSIN_IMAGE")
	if img == "" {
		t.Fatal("TOCSIN_IMAGE names no image: run make image-test")
	}
	image = strings.TrimSuffix(img, ".img") + ".slot"
	dir := t.TempDir()
	said(t, "mcopy", "-n", "-i", image, "::root.sqfs", filepath.Join(dir, "root.sqfs"))
	root = filepath.Join(dir, "root")
	said(t, "unsquashfs", "-q", "-n", "-d", root, filepath.Join(dir, "root.sqfs"))
	return image, root
}

func said(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	c := exec.Command(name, args...)
	var err bytes.Buffer
	c.Stderr = &err
	out, e := c.Output()
	if e != nil {
		t.Fatalf("%s %v: %v: %s", name, args, e, err.Bytes())
	}
	return out
}

func TestEachFileOfTheRootIsSomebodysInTheBillOfMaterials(t *testing.T) {
	image, root := slot(t)
	var bill struct {
		Packages []struct {
			ID      string `json:"SPDXID"`
			Name    string
			Version string `json:"versionInfo"`
			Comment string `json:"licenseComments"`
		}
		Files []struct {
			ID        string `json:"SPDXID"`
			Name      string `json:"fileName"`
			Checksums []struct{ Algorithm, Value string }
		}
		Relationships []struct {
			From string `json:"spdxElementId"`
			Kind string `json:"relationshipType"`
			To   string `json:"relatedSpdxElement"`
		}
	}
	text := said(t, "mtype", "-i", image, "::sbom.spdx.json")
	if err := json.Unmarshal(bytes.ReplaceAll(text, []byte(`"checksumValue"`), []byte(`"Value"`)), &bill); err != nil {
		t.Fatal(err)
	}
	sums, owners := map[string]string{}, map[string]int{}
	for _, f := range bill.Files {
		sums[f.Name] = f.Checksums[0].Value
	}
	named := map[string]string{}
	for _, p := range bill.Packages {
		named[p.ID] = p.Name
		where, ok := strings.CutPrefix(p.Comment, "the texts are in ")
		if !ok {
			t.Errorf("%s has no licence", p.Name)
			continue
		}
		if len(said(t, "mtype", "-i", image, "::"+where)) < 100 {
			t.Errorf("%s of %s is empty", where, p.Name)
		}
	}
	for _, want := range []string{"tocsin", "go", "linux", "libc6", "espeak-ng", "hostapd", "u-boot-rpi", "raspberrypi-firmware", "modernc.org/sqlite", "svelte"} {
		if !slices.ContainsFunc(bill.Packages, func(p struct {
			ID      string `json:"SPDXID"`
			Name    string
			Version string `json:"versionInfo"`
			Comment string `json:"licenseComments"`
		}) bool {
			return p.Name == want && p.Version != ""
		}) {
			t.Errorf("%s is not listed", want)
		}
	}
	for _, r := range bill.Relationships {
		if r.Kind == "CONTAINS" && named[r.From] != "" {
			owners[r.To]++
		}
	}
	for _, f := range bill.Files {
		if owners[f.ID] != 1 {
			t.Errorf("%s has %d owners", f.Name, owners[f.ID])
		}
	}
	seen := 0
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		seen++
		name := "./" + strings.TrimPrefix(p, root+"/")
		if got := fmt.Sprintf("%x", sha1.Sum(b)); sums[name] != got {
			t.Errorf("%s is %s, and in the bill %q", name, got, sums[name])
		}
		return nil
	})
	if err != nil || seen != len(bill.Files) {
		t.Fatalf("%d files, %d in the bill, %v", seen, len(bill.Files), err)
	}
	t.Logf("%d parts, %d files", len(bill.Packages), seen)
}

// TestTheRootsProgramsFindWhatTheyNeed holds each program of the root to its own words:
// the loader and the libraries that it names are there, and no others.
func TestTheRootsProgramsFindWhatTheyNeed(t *testing.T) {
	_, root := slot(t)
	need, have := map[string]bool{}, map[string]bool{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(p, ".ko") {
			return err
		}
		f, err := elf.Open(p)
		if err != nil {
			return nil // no program
		}
		defer f.Close()
		if name := filepath.Base(p); strings.Contains(name, ".so") {
			have[name] = true
		}
		libs, err := f.ImportedLibraries()
		for _, l := range libs {
			need[l] = true
		}
		for _, s := range f.Progs {
			if s.Type == elf.PT_INTERP {
				b := make([]byte, s.Filesz-1)
				if _, err := s.ReadAt(b, 0); err != nil {
					return err
				}
				need[filepath.Base(string(b))] = true
				if i, err := os.Stat(filepath.Join(root, string(b))); err != nil || i.Mode()&0o111 == 0 {
					t.Errorf("%s: its loader %s does not run: %v", p, b, err)
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for l := range need {
		if !have[l] {
			t.Errorf("%s is missing", l)
		}
	}
	for l := range have {
		if !need[l] {
			t.Errorf("nothing needs %s", l)
		}
	}
	if len(need) < 10 {
		t.Fatalf("only %d libraries: the list is wrong", len(need))
	}
	emulator, err := exec.LookPath("qemu-aarch64-static")
	if err != nil {
		t.Fatal("qemu-user-static is missing: make image-test installs it")
	}
	for _, voice := range []string{"cmn-latn-pinyin", "cmn", "yue", "en"} {
		wav := filepath.Join(t.TempDir(), "a.wav")
		said(t, emulator, "-L", root, filepath.Join(root, "usr/bin/espeak-ng"), "-v", voice, "-w", wav, "qing3 li4 ji2 zhuan3 yi2 你好 hello")
		if i, err := os.Stat(wav); err != nil || i.Size() < 20000 {
			t.Errorf("espeak-ng spoke nothing in %s: %v", voice, err)
		}
	}
	for _, p := range []string{"usr/sbin/hostapd -v", "usr/sbin/wpa_supplicant -v", "usr/sbin/e2fsck -V", "usr/sbin/mke2fs -V"} {
		f := strings.Fields(p)
		out, _ := exec.Command(emulator, "-L", root, filepath.Join(root, f[0]), f[1]).CombinedOutput()
		if !bytes.Contains(out, []byte(" v2.")) && !bytes.Contains(out, []byte(" 1.4")) {
			t.Errorf("%s: %.200s", p, out)
		}
	}
}

// TestTwoBuildsInTwoFoldersAreTheSameBytes builds the programs and the image again from a
// copy of the sources elsewhere.
func TestTwoBuildsInTwoFoldersAreTheSameBytes(t *testing.T) {
	img := os.Getenv("TOCSIN_IMAGE")
	out, build := filepath.Dir(img), os.Getenv("TOCSIN_BUILD")
	if img == "" || build == "" {
		t.Fatal("TOCSIN_IMAGE and TOCSIN_BUILD are not set: run make image-test")
	}
	repo, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "elsewhere", "tocsin")
	if err := os.MkdirAll(copied, 0o755); err != nil {
		t.Fatal(err)
	}
	// What git knows, and the pages that were built: their tools are no part of an image.
	said(t, "sh", "-c", `cd "$0" && git ls-files -z | grep -zv '^firmware/serve/page/ui/dist/' | xargs -0 cp --parents -t "$1" && cp -r --parents firmware/serve/page/ui/dist "$1" && for p in svelte esm-env clsx uplot openapi-fetch openapi-typescript-helpers; do cp -r --parents firmware/serve/page/ui/node_modules/$p "$1" 2>/dev/null; done; touch "$1"/firmware/serve/page/ui/node_modules/.package-lock.json; find "$1"/firmware/serve/page/ui/dist -exec touch {} +`, repo, copied)
	c := exec.Command("sh", "-c", build)
	c.Dir = copied
	c.Env = append(os.Environ(), "TZ=Asia/Shanghai", "LC_ALL=C.UTF-8")
	if b, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	base := strings.TrimSuffix(filepath.Base(img), ".img")
	for _, end := range []string{".slot", ".tocsin", ".img"} {
		if o, err := exec.Command("cmp", filepath.Join(out, base+end), filepath.Join(copied, "out/image", base+end)).CombinedOutput(); err != nil {
			t.Errorf("%s: %s", end, o)
		}
	}
}
