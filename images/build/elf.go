package main

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// libraries gives the files that programs in a Debian root need to run: each library that
// they name, those that these name, and the loader. Paths are within the root. without are
// libraries that others take the place of.
func libraries(root string, programs, without []string) ([]string, error) {
	var need []string
	seen := map[string]bool{}
	for _, w := range without {
		seen[w] = true
	}
	queue := slices.Clone(programs)
	for len(queue) > 0 {
		p := queue[0]
		queue = queue[1:]
		f, err := elf.Open(filepath.Join(root, p))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		names, err := f.ImportedLibraries()
		for _, s := range f.Progs {
			if s.Type == elf.PT_INTERP {
				// The loader lies where the program says, and only there does the kernel find it.
				b := make([]byte, s.Filesz)
				if _, e := s.ReadAt(b, 0); e == nil {
					at := strings.Trim(string(b), "/\x00")
					if name := filepath.Base(at); !seen[name] {
						seen[name] = true
						need = append(need, at)
					}
				}
			}
		}
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		for _, n := range names {
			if seen[n] {
				continue
			}
			seen[n] = true
			at, err := findLibrary(root, n)
			if err != nil {
				return nil, fmt.Errorf("%s needs %s: %w", p, n, err)
			}
			need, queue = append(need, at), append(queue, at)
		}
	}
	slices.Sort(need)
	return need, nil
}

// findLibrary finds a library by its name where Debian keeps them.
func findLibrary(root, name string) (string, error) {
	for _, glob := range []string{"lib/*-linux-*", "usr/lib/*-linux-*", "usr/lib/*-linux-*/pulseaudio", "lib", "usr/lib"} {
		dirs, err := filepath.Glob(filepath.Join(root, glob))
		if err != nil {
			return "", err
		}
		for _, d := range dirs {
			if _, err := os.Stat(filepath.Join(d, name)); err == nil {
				return filepath.Rel(root, filepath.Join(d, name))
			}
		}
	}
	return "", os.ErrNotExist
}
