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

// packages are what an image takes of Debian's, and programs what it runs of them.
var (
	packages = []string{"espeak-ng", "hostapd", "wpasupplicant", "e2fsprogs", "ca-certificates"}
	programs = []string{"usr/bin/espeak-ng", "usr/sbin/hostapd", "sbin/wpa_supplicant", "sbin/e2fsck", "sbin/mke2fs"}
	// voices are the languages of espeak-ng that stations speak; the rest of its data is left out.
	voices = []string{"phondata", "phonindex", "phontab", "intonations", "cmn_dict", "yue_dict", "en_dict", "lang/sit", "lang/gmw", "voices"}
)

// debianRoot downloads and opens Debian's packages of an architecture into cache, once for
// each list of packages.
func debianRoot(arch, cache string) (string, error) {
	dir := filepath.Join(cache, "debian-"+arch+"-"+strings.Join(packages, "+"))
	if _, err := os.Stat(filepath.Join(dir, ".done")); err == nil {
		return dir, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	args := []string{"--quiet", "--variant=extract", "--architectures=" + arch, "--include=" + strings.Join(packages, ","), "bookworm", dir}
	sources, err := sourcesHere()
	if err != nil {
		return "", err
	}
	for try := 1; ; try++ { // a mirror is now and then caught between two states
		if _, err = run(nil, "mmdebstrap", append(args, sources...)...); err == nil {
			break
		}
		if try == 4 {
			return "", err
		}
		_ = os.RemoveAll(dir)
	}
	return dir, os.WriteFile(filepath.Join(dir, ".done"), nil, 0o644)
}

// sourcesHere are the machine's own lists of where packages come from.
func sourcesHere() ([]string, error) {
	var out []string
	for _, g := range []string{"/etc/apt/sources.list", "/etc/apt/sources.list.d/*.sources", "/etc/apt/sources.list.d/debian.list"} {
		m, err := filepath.Glob(g)
		if err != nil {
			return nil, err
		}
		for _, f := range m {
			if b, err := os.ReadFile(f); err == nil && strings.Contains(string(b), "debian") && strings.Contains(string(b), "bookworm") {
				out = append(out, f)
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("this machine has no apt sources of Debian 12: images are built on Debian 12")
	}
	return out, nil
}

// stageRoot lays out the read-only root in dir.
func stageRoot(dir, debian string, o options) error {
	for _, d := range []string{"proc", "sys", "dev", "run", "tmp", "slot", "data", "etc/ssl/certs", "etc/tocsin/keys", "usr/bin", "usr/sbin", "usr/share/tocsin", "usr/lib", "var"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	for to, link := range map[string]string{"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "etc/resolv.conf": "../run/resolv.conf", "var/run": "../run", "var/lib": "../data", "usr/sbin/mkfs.ext4": "mke2fs"} {
		if err := os.Symlink(link, filepath.Join(dir, to)); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"etc/passwd":  "root:x:0:0::/:/none\ntocsin:x:900:900::/data/tocsin:/none\n",
		"etc/group":   "root:x:0:\ntocsin:x:900:\n",
		"etc/release": o.release.Version + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, p := range o.programs {
		if err := copyTo(p, filepath.Join(dir, "usr/bin", programName(p)), 0o755); err != nil {
			return err
		}
	}
	if err := copyTo(o.site, filepath.Join(dir, "usr/share/tocsin/site.yaml"), 0o644); err != nil {
		return err
	}
	libs, err := libraries(debian, programs)
	if err != nil {
		return err
	}
	for _, p := range slices.Concat(programs, libs) {
		to := merged(p)
		mode := fs.FileMode(0o644)
		if slices.Contains(programs, p) || strings.Contains(p, "ld-linux") {
			mode = 0o755
		}
		if err := copyTo(filepath.Join(debian, p), filepath.Join(dir, to), mode); err != nil {
			return err
		}
	}
	if err := copyVoices(debian, dir); err != nil {
		return err
	}
	return certificates(debian, filepath.Join(dir, "etc/ssl/certs/ca-certificates.crt"))
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

func copyVoices(debian, dir string) error {
	found, err := filepath.Glob(filepath.Join(debian, "usr/lib/*/espeak-ng-data"))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("espeak-ng's data: %d folders, %v", len(found), err)
	}
	rel, err := filepath.Rel(debian, found[0])
	if err != nil {
		return err
	}
	for _, v := range voices {
		from := filepath.Join(found[0], v)
		err := filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			r, err := filepath.Rel(found[0], p)
			if err != nil {
				return err
			}
			return copyTo(p, filepath.Join(dir, rel, r), 0o644)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// certificates puts the roots that Debian trusts into one file, in the order of their names.
func certificates(debian, to string) error {
	files, err := filepath.Glob(filepath.Join(debian, "usr/share/ca-certificates/mozilla/*.crt"))
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
	return os.WriteFile(to, all, 0o644)
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
