package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// debian is a folder of Debian's packages, opened and never run, and what lies in it whose.
type debian struct {
	dir      string
	packages []debPackage
	owner    map[string]*debPackage // by path without a leading slash
}

// debPackage is what a package says of itself (deb-control(5)), and its files.
type debPackage struct {
	Name, Version, Arch   string
	Source, SourceVersion string
	Files                 []string
}

// openDebian downloads and opens Debian's packages of an architecture into cache, once for
// each list of packages. Stale ones have no security updates, and lie apart.
func openDebian(arch string, names []string, cache string, stale bool) (*debian, error) {
	dir := "debian-" + arch + "-" + strings.Join(names, "+")
	if stale {
		dir += "-stale"
	}
	d := &debian{dir: filepath.Join(cache, dir), owner: map[string]*debPackage{}}
	list := filepath.Join(d.dir, ".packages.json")
	if _, err := os.Stat(list); err != nil {
		if err := d.fetch(arch, names, cache, stale); err != nil {
			return nil, err
		}
		b, err := json.Marshal(d.packages)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(list, b, 0o644); err != nil {
			return nil, err
		}
	}
	b, err := os.ReadFile(list)
	if err == nil {
		err = json.Unmarshal(b, &d.packages)
	}
	if err != nil {
		return nil, err
	}
	for n := range d.packages {
		for _, f := range d.packages[n].Files {
			d.owner[f] = &d.packages[n]
		}
	}
	return d, nil
}

func (d *debian) fetch(arch string, names []string, cache string, stale bool) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	sources, err := sourcesHere(cache)
	if err != nil {
		return err
	}
	if stale {
		if err := withoutSecurity(sources); err != nil {
			return err
		}
	}
	args := []string{"--quiet", "--variant=extract", "--architectures=" + arch, "--skip=essential/unlink,cleanup/apt", "--include=" + strings.Join(names, ","), "bookworm", d.dir}
	for try := 1; ; try++ { // a mirror is now and then caught between two states
		if err = os.RemoveAll(d.dir); err != nil {
			return err
		}
		if _, err = run(nil, "mmdebstrap", append(args, sources...)...); err == nil {
			break
		}
		if try == 4 {
			return fmt.Errorf("%w\na mirror may lack Debian's security updates for %s for days: STALE=1 builds without them, for a bench", err, arch)
		}
	}
	debs, err := filepath.Glob(filepath.Join(d.dir, "var/cache/apt/archives/*.deb"))
	if err != nil || len(debs) == 0 {
		return fmt.Errorf("no packages of %v were kept: %v", names, err)
	}
	slices.Sort(debs)
	for _, f := range debs {
		p, err := readDeb(f)
		if err != nil {
			return err
		}
		d.packages = append(d.packages, p)
	}
	return os.RemoveAll(filepath.Join(d.dir, "var"))
}

// readDeb asks a package who it is and what is in it.
func readDeb(path string) (p debPackage, err error) {
	said, err := run(nil, "dpkg-deb", "-f", path, "Package", "Version", "Architecture", "Source")
	if err != nil {
		return p, err
	}
	for l := range strings.Lines(said) {
		k, v, _ := strings.Cut(strings.TrimSpace(l), ": ")
		switch k {
		case "Package":
			p.Name = v
		case "Version":
			p.Version = v
		case "Architecture":
			p.Arch = v
		case "Source": // "name" or "name (version)", where they are not the package's own
			p.Source, p.SourceVersion, _ = strings.Cut(strings.TrimSuffix(v, ")"), " (")
		}
	}
	if p.Source == "" {
		p.Source = p.Name
	}
	if p.SourceVersion == "" {
		p.SourceVersion = p.Version
	}
	c := exec.Command("sh", "-c", `dpkg-deb --fsys-tarfile "$0" | tar -t`, path)
	out, err := c.Output()
	if err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	for s := bufio.NewScanner(strings.NewReader(string(out))); s.Scan(); {
		if f := strings.TrimPrefix(s.Text(), "./"); f != "" && !strings.HasSuffix(f, "/") {
			p.Files = append(p.Files, f)
		}
	}
	return p, nil
}

var components = regexp.MustCompile(`(?m)^(Components:.*\bmain\b.*|deb .*\bmain\b.*)$`)

// sourcesHere are the machine's own lists of where packages come from, with the part of
// Debian's that firmware of Wi-Fi is in.
func sourcesHere(cache string) ([]string, error) {
	var out []string
	for _, g := range []string{"/etc/apt/sources.list", "/etc/apt/sources.list.d/*.sources", "/etc/apt/sources.list.d/debian.list"} {
		m, err := filepath.Glob(g)
		if err != nil {
			return nil, err
		}
		for _, f := range m {
			b, err := os.ReadFile(f)
			if err != nil || !strings.Contains(string(b), "debian") || !strings.Contains(string(b), "bookworm") {
				continue
			}
			text := components.ReplaceAllStringFunc(string(b), func(l string) string {
				if strings.Contains(l, "non-free-firmware") {
					return l
				}
				return l + " non-free-firmware"
			})
			to := filepath.Join(cache, fmt.Sprintf("sources-%d-%s", len(out), filepath.Base(f)))
			if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
				return nil, err
			}
			out = append(out, to)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("this machine has no apt sources of Debian 12: images are built on Debian 12")
	}
	return out, nil
}

// withoutSecurity takes Debian's security updates out of lists of sources: paragraphs
// (deb822) or lines.
func withoutSecurity(lists []string) error {
	for _, f := range lists {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		sep := "\n\n"
		if !strings.HasSuffix(f, ".sources") {
			sep = "\n"
		}
		kept := slices.DeleteFunc(strings.Split(string(b), sep), func(p string) bool { return strings.Contains(p, "bookworm-security") })
		if err := os.WriteFile(f, []byte(strings.Join(kept, sep)), 0o644); err != nil {
			return err
		}
	}
	return nil
}
