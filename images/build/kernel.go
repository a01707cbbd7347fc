package main

import (
	"debug/elf"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// kernel is where a target's kernel, drivers and device trees come from.
type kernel struct {
	// module is a pinned Go module, with its sum.
	module, version, sum string
	// debian is, where module is "", the package that needs the newest kernel's package.
	debian string
	// drivers is the list of what is loaded, in drivers/.
	drivers string
	// trees are names of device trees in the module, as path.Match has them; overlays
	// likewise.
	trees, overlays []string
}

//go:embed drivers/*.txt
var driverLists embed.FS

// opened is a kernel that lies in a folder.
type opened struct {
	kernel
	image   string // the file that starts
	dir     string // lib/modules/<release>
	base    string // a module's folder
	release string
	who     component
}

// openKernel fetches a target's kernel.
func openKernel(t target, cache string, stale bool) (*opened, error) {
	k := &opened{kernel: t.kernel}
	if k.module != "" {
		dir, err := moduleDir(k.module, k.version, k.sum)
		if err != nil {
			return nil, err
		}
		k.base, k.image = dir, filepath.Join(dir, "vmlinuz")
	} else {
		d, err := openDebian(t.debian, []string{k.debian}, cache, stale)
		if err != nil {
			return nil, err
		}
		m, err := filepath.Glob(filepath.Join(d.dir, "boot/vmlinuz-*"))
		if err != nil || len(m) != 1 {
			return nil, fmt.Errorf("%s: %d kernels, %v", k.debian, len(m), err)
		}
		k.image, k.base = m[0], d.dir
		rel, err := filepath.Rel(d.dir, m[0])
		if err != nil {
			return nil, err
		}
		if p := d.owner[rel]; p != nil {
			k.who = p.component()
		}
	}
	m, err := filepath.Glob(filepath.Join(k.base, "lib/modules/*"))
	if err != nil || len(m) != 1 {
		return nil, fmt.Errorf("%s%s: %d folders of drivers, %v", k.module, k.debian, len(m), err)
	}
	k.dir, k.release = m[0], filepath.Base(m[0])
	if k.module != "" {
		from, err := os.ReadFile(filepath.Join(k.base, "_build/upstream-url.txt"))
		if err != nil {
			return nil, err
		}
		k.who = component{Name: "linux", Version: k.release, Origin: k.module + "@" + k.version, Purl: "pkg:golang/" + k.module + "@" + k.version, Licence: "GPL-2.0-only WITH Linux-syscall-note", Texts: "licences/linux.txt",
			Source: strings.TrimSpace(string(from)) + " with the changes and settings in _build of https://" + k.module}
	}
	return k, nil
}

// drive is one driver: its file, and whether the initramfs has it (what the disk and its
// file systems need) or the root.
type drive struct {
	name, path string
	first      bool
}

// load gives the drivers that a list names with all that they need, in the order in which
// they load: each after those that it needs. What the kernel has built in is left out;
// what it does not have at all is an error, so that no list says what no board gets.
func (k *opened) load() ([]drive, error) {
	text, err := driverLists.ReadFile("drivers/" + k.drivers + ".txt")
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	err = filepath.WalkDir(k.dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, ".ko") {
			files[driverName(p)] = p
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	built := map[string]bool{}
	for _, list := range []string{"modules.builtin"} {
		b, err := os.ReadFile(filepath.Join(k.dir, list))
		if err != nil {
			return nil, err
		}
		for l := range strings.FieldsSeq(string(b)) {
			built[driverName(l)] = true
		}
	}
	var out []drive
	state := map[string]int{} // 1 under way, 2 done
	var add func(name string, first bool, why string) error
	add = func(name string, first bool, why string) error {
		name = driverName(name)
		switch {
		case state[name] == 2 || files[name] == "" && built[name]:
			return nil
		case state[name] == 1:
			return fmt.Errorf("driver %s needs itself", name)
		case files[name] == "":
			return fmt.Errorf("driver %s, which %s asks for, is not in kernel %s", name, why, k.release)
		}
		state[name] = 1
		needs, err := needsOf(files[name])
		if err != nil {
			return fmt.Errorf("driver %s: %w", name, err)
		}
		for _, n := range needs {
			if err := add(n, first, name); err != nil {
				return err
			}
		}
		state[name] = 2
		out = append(out, drive{name, files[name], first})
		return nil
	}
	first := true
	for l := range strings.Lines(string(text)) {
		l, _, _ = strings.Cut(l, "#")
		for _, w := range strings.Fields(l) {
			if w == "then:" { // what is loaded once there is a root
				first = false
				continue
			}
			if err := add(w, first, "drivers/"+k.drivers+".txt"); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// driverName is a driver's name as the kernel has it, of its file's path.
func driverName(path string) string {
	return strings.ReplaceAll(strings.TrimSuffix(filepath.Base(path), ".ko"), "-", "_")
}

// needsOf reads which drivers a driver needs, of its section .modinfo: words that end in a
// zero byte.
func needsOf(path string) ([]string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s := f.Section(".modinfo")
	if s == nil {
		return nil, nil
	}
	b, err := s.Data()
	if err != nil {
		return nil, err
	}
	for w := range strings.SplitSeq(string(b), "\x00") {
		if v, ok := strings.CutPrefix(w, "depends="); ok && v != "" {
			return strings.Split(v, ","), nil
		}
	}
	return nil, nil
}

// matching gives a module's files by patterns, in the order of their names. A pattern that
// finds nothing is an error.
func matching(dir string, globs []string) ([]string, error) {
	var out []string
	for _, g := range globs {
		m, err := filepath.Glob(filepath.Join(dir, g))
		if err != nil || len(m) == 0 {
			return nil, fmt.Errorf("%s: no file in %s, %v", g, dir, err)
		}
		out = append(out, m...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// airPackage has each country's rules of the air: which channels an access point may use.
// The kernel asks for them when it starts, and believes them by the signature of whoever
// built it: Debian's own, or the one that other kernels know.
const airPackage = "wireless-regdb"

func airRules(d *debian, k *opened) ([]file, error) {
	end := "-upstream"
	if k.debian != "" {
		end = "-debian"
	}
	var out []file
	for _, n := range []string{"regulatory.db", "regulatory.db.p7s"} {
		from := "lib/firmware/" + n + end
		if d.owner[from] == nil {
			return nil, fmt.Errorf("%s has no %s", airPackage, from)
		}
		out = append(out, file{"lib/firmware/" + n, filepath.Join(d.dir, from)})
	}
	return out, nil
}
