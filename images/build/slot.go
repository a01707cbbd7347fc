package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// initrd makes the initramfs: init, and the drivers that a kernel does not have built in.
func initrd(init []byte, modules []entry) ([]byte, error) {
	es := []entry{}
	for _, d := range []string{"dev", "proc", "sys", "run", "tmp", "data", "root", "slot", "lib", "lib/mod"} {
		es = append(es, entry{name: d, mode: 0o040755})
	}
	es = append(es, entry{name: "init", mode: 0o100755, data: init})
	return zipped(cpio(append(es, modules...)))
}

// fat makes a slot's image: a FAT16 file system with the files given, in their order, as
// they are in a folder. Its size is a whole number of MiB, a fifth more than the files.
func fat(to string, files []string, at int64) error {
	total := int64(0)
	for _, f := range files {
		i, err := os.Stat(f)
		if err != nil {
			return err
		}
		total += i.Size() + 4096
		if err := os.Chtimes(f, time.Unix(at, 0), time.Unix(at, 0)); err != nil {
			return err
		}
	}
	mib := total>>20 + 4
	mib = max(mib, 20) // fewer clusters of 4 KiB would be FAT12 (Microsoft FAT specification, 3.5)
	_ = os.Remove(to)
	if err := os.WriteFile(to, nil, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(to, mib<<20); err != nil {
		return err
	}
	env := []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", at), "TZ=UTC", "MTOOLS_SKIP_CHECK=1"}
	if _, err := run(env, "mformat", "-i", to, "-c", "8", "-N", "746f6373", "-v", "TOCSIN", "::"); err != nil {
		return err
	}
	for _, f := range files {
		if _, err := run(env, "mcopy", "-m", "-i", to, f, "::"+filepath.Base(f)); err != nil {
			return err
		}
	}
	return nil
}

// dtbs gives the device trees of a kernel's module.
func dtbs(dir string, globs []string) ([]string, error) {
	var out []string
	for _, g := range globs {
		m, err := filepath.Glob(filepath.Join(dir, g))
		if err != nil {
			return nil, err
		}
		out = append(out, m...)
	}
	slices.Sort(out)
	return out, nil
}
