package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// packages are what a root takes of Debian's, and programs what it runs of them.
var (
	packages = []string{"espeak-ng", "hostapd", "wpasupplicant", "e2fsprogs", "ca-certificates", "base-files", "wireless-regdb", "firmware-brcm80211", "firmware-ath9k-htc"}
	programs = []string{"usr/bin/espeak-ng", "usr/sbin/hostapd", "sbin/wpa_supplicant", "sbin/e2fsck", "sbin/mke2fs"}
	// voices are what stations speak: Mandarin, Cantonese, English. The rest of espeak-ng's data is left out.
	voices = []string{"phondata", "phonindex", "phontab", "intonations", "cmn_dict", "yue_dict", "en_dict", "lang/sit/cmn", "lang/sit/cmn-Latn-pinyin", "lang/sit/yue", "lang/sit/yue-Latn-jyutping", "lang/gmw/en", "lang/gmw/en-US"}
)

// stageRoot lays out the read-only root.
func (o *options) stageRoot(l *ledger, t target, d *debian, drivers []drive, k *opened, work string) error {
	us := ours(o.Version)
	for _, p := range []string{"proc", "sys", "dev", "run", "tmp", "slot", "data", "etc/ssl/certs", "etc/tocsin/keys", "usr/bin", "usr/sbin", "usr/share/tocsin", "usr/lib/firmware", "usr/lib/drivers", "var"} {
		if err := os.MkdirAll(filepath.Join(l.root, p), 0o755); err != nil {
			return err
		}
	}
	for to, link := range map[string]string{"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "etc/resolv.conf": "../run/resolv.conf", "var/run": "../run", "var/lib": "../data", "usr/sbin/mkfs.ext4": "mke2fs"} {
		if err := os.Symlink(link, filepath.Join(l.root, to)); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"etc/passwd":  "root:x:0:0::/:/none\ntocsin:x:900:900::/data/tocsin:/none\n",
		"etc/group":   "root:x:0:\ntocsin:x:900:\n",
		"etc/release": o.release.Version + "\n",
		// What edged calls its board (firmware/update/board).
		"etc/tocsin/boards": strings.Join(t.hardware, "\n") + "\n",
	} {
		if err := l.write(name, []byte(text), us); err != nil {
			return err
		}
	}
	for _, p := range o.programs {
		if err := l.copy(p, filepath.Join("usr/bin", programName(p)), 0o755, us); err != nil {
			return err
		}
	}
	if err := l.copy(o.site, "usr/share/tocsin/site.yaml", 0o644, us); err != nil {
		return err
	}
	libs, err := libraries(d.dir, programs, []string{quietLibrary})
	if err != nil {
		return err
	}
	for _, p := range slices.Concat(programs, libs) {
		mode := fs.FileMode(0o644)
		if slices.Contains(programs, p) || strings.Contains(p, "ld-linux") {
			mode = 0o755
		}
		if err := l.debian(d, p, merged(p), mode); err != nil {
			return err
		}
	}
	// In the folder where espeak-ng's own library looks for it.
	speech := slices.IndexFunc(libs, func(p string) bool { return strings.HasPrefix(filepath.Base(p), "libespeak-ng.so") })
	if speech < 0 {
		return fmt.Errorf("espeak-ng does not name its own library")
	}
	still := filepath.Join(work, quietLibrary)
	if err := quiet(t, work, still); err != nil {
		return err
	}
	if err := l.copy(still, filepath.Join(filepath.Dir(merged(libs[speech])), quietLibrary), 0o644, us); err != nil {
		return err
	}
	if err := l.voices(d); err != nil {
		return err
	}
	if err := l.drivers(drivers, k); err != nil {
		return err
	}
	if err := l.firmware(d, t.wifi); err != nil {
		return err
	}
	return l.certificates(d)
}

// debian puts a file of Debian's into the root. What is a link there is followed here.
func (l *ledger) debian(d *debian, from, to string, mode fs.FileMode) error {
	p := d.owner[from]
	if p == nil {
		return fmt.Errorf("%s is in no package", from)
	}
	return l.copy(filepath.Join(d.dir, from), to, mode, p.component())
}

// programName takes the system's part off a cross-built program's name.
func programName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), "-linux-")
	return name
}

// merged is where a file of Debian's lies in a root whose bin, sbin and lib are usr's.
func merged(p string) string {
	for _, d := range []string{"bin/", "sbin/", "lib/"} {
		if strings.HasPrefix(p, d) {
			return "usr/" + p
		}
	}
	return p
}

func (l *ledger) voices(d *debian) error {
	found, err := filepath.Glob(filepath.Join(d.dir, "usr/lib/*/espeak-ng-data"))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("espeak-ng's data: %d folders, %v", len(found), err)
	}
	rel, err := filepath.Rel(d.dir, found[0])
	if err != nil {
		return err
	}
	for _, v := range voices {
		if err := l.debian(d, filepath.Join(rel, v), filepath.Join(rel, v), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// drivers puts those that a board loads once it has a root into it, with their order.
func (l *ledger) drivers(all []drive, k *opened) error {
	var list strings.Builder
	for _, v := range all {
		if v.first {
			continue
		}
		if err := l.copy(v.path, "usr/lib/drivers/"+v.name+".ko", 0o644, k.who); err != nil {
			return err
		}
		fmt.Fprintln(&list, v.name+".ko")
	}
	return l.write("usr/lib/drivers/list", []byte(list.String()), k.who)
}

// firmware puts what network chips load into the root, where the kernel looks for it.
func (l *ledger) firmware(d *debian, globs []string) error {
	files, err := matching(d.dir, globs)
	if err != nil {
		return err
	}
	for _, f := range files {
		rel, err := filepath.Rel(d.dir, f)
		if err != nil {
			return err
		}
		if err := l.debian(d, rel, merged(rel), 0o644); err != nil {
			return err
		}
		// Debian 12 is older than the Pi 5, whose chip is the Pi 4's.
		if five := strings.Replace(rel, "raspberrypi,4-model-b", "raspberrypi,5-model-b", 1); five != rel && d.owner[five] == nil {
			if err := l.debian(d, rel, merged(five), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// certificates puts the roots that Debian trusts into one file, in the order of their names.
func (l *ledger) certificates(d *debian) error {
	const dir = "usr/share/ca-certificates/mozilla"
	files, err := filepath.Glob(filepath.Join(d.dir, dir, "*.crt"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no certificates of authorities: %v", err)
	}
	slices.Sort(files)
	var all []byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		all = append(all, b...)
	}
	p := d.owner[filepath.Join(dir, filepath.Base(files[0]))]
	if p == nil {
		return fmt.Errorf("%s is in no package", files[0])
	}
	return l.write("etc/ssl/certs/ca-certificates.crt", all, p.component())
}

func copyTo(from, to string, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	if e := w.Close(); err == nil {
		err = e
	}
	return err
}

// squash makes the root's file system: not compressed, so that a change of a little code is
// a small delta, and reading costs no processor time.
func squash(dir, to string, at int64) error {
	_ = os.Remove(to)
	t := fmt.Sprint(at)
	_, err := run(nil, "mksquashfs", dir, to, "-quiet", "-no-progress", "-reproducible", "-mkfs-time", t, "-all-time", t,
		"-noI", "-noId", "-noD", "-noF", "-noX", "-no-fragments", "-all-root", "-no-xattrs", "-no-exports", "-processors", "1")
	return err
}
