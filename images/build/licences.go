package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// licences writes the texts of all that an image is made of into a folder, and gives them
// in order. The names in components' Texts are theirs.
func licences(dir string, l *ledger, others []component, k *opened, roots []*debian, linked, ui []module) ([]file, error) {
	var out []file
	put := func(name string, b []byte) error {
		at := filepath.Join(dir, strings.ReplaceAll(name, "/", "+"))
		out = append(out, file{"licences/" + name, at})
		return os.WriteFile(at, b, 0o644)
	}
	take := func(name, from string) error {
		b, err := os.ReadFile(from)
		if err != nil {
			return fmt.Errorf("licence: %w", err)
		}
		return put(name, b)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	all := maps.Clone(l.parts)
	for _, c := range others {
		all[c.id()] = c
	}
	var about strings.Builder
	about.WriteString(licencesHead)
	for _, id := range slices.Sorted(maps.Keys(all)) {
		c := all[id]
		fmt.Fprintf(&about, "%s %s\n    text: %s\n", c.Name, c.Version, strings.TrimPrefix(c.Texts, "licences/"))
		if c.Source != "" {
			fmt.Fprintf(&about, "    source: %s\n", c.Source)
		}
	}
	if err := put("README.txt", []byte(about.String())); err != nil {
		return nil, err
	}
	if err := take("tocsin.txt", "LICENSE"); err != nil {
		return nil, err
	}
	for name, ms := range map[string][]module{"go.txt": linked, "page.txt": ui} {
		b, err := texts(ms)
		if err != nil {
			return nil, err
		}
		if err := put(name, b); err != nil {
			return nil, err
		}
	}
	for _, c := range all {
		var err error
		switch {
		case strings.HasPrefix(c.Texts, "licences/debian/"):
			n := slices.IndexFunc(roots, func(d *debian) bool {
				_, err := os.Stat(filepath.Join(d.dir, "usr/share/doc", c.Name, "copyright"))
				return err == nil
			})
			if n < 0 {
				return nil, fmt.Errorf("%s has no copyright file", c.Name)
			}
			err = take(strings.TrimPrefix(c.Texts, "licences/"), filepath.Join(roots[n].dir, "usr/share/doc", c.Name, "copyright"))
		case c.Texts == "licences/linux.txt":
			err = take("linux.txt", filepath.Join(k.base, "LICENSE.linux"))
		case c.Texts == "licences/raspberrypi.txt":
			var dir string
			if dir, err = moduleDir(piFirmware, piFirmwareVersion, piFirmwareSum); err == nil {
				err = take("raspberrypi.txt", filepath.Join(dir, "LICENSE.broadcom"))
			}
		}
		if err != nil {
			return nil, err
		}
	}
	// What Debian's copyright files point to.
	common, err := filepath.Glob(filepath.Join(roots[0].dir, "usr/share/common-licenses/*"))
	if err != nil || len(common) == 0 {
		return nil, fmt.Errorf("no common licences: %v", err)
	}
	for _, f := range common {
		if i, err := os.Lstat(f); err == nil && i.Mode().IsRegular() {
			if err := take("common/"+filepath.Base(f)+".txt", f); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(out, func(a, b file) int { return strings.Compare(a.to, b.to) })
	return out, nil
}

const licencesHead = `What this image is made of, and under which licences

sbom.spdx.json beside this folder lists every part, its version, and which file is whose (SPDX 2.3).
"/usr/share/common-licenses/NAME" in Debian's texts is common/NAME.txt here.

Source code. Parts under the GNU General Public License, the Lesser GPL or the Mozilla Public License come as
their makers built them, unchanged; their complete source is where "source" says, for the versions named. Whoever
hands on boxes with this image owes it to whom asks (GPL 2, section 3; GPL 3, section 6): keep a copy of it. Espeak-ng
is run as a program of its own; nothing under the GPL is linked into Tocsin's programs. libpcaudio.so.0 here is not
pcaudiolib but Tocsin's own, which plays nothing.

`
