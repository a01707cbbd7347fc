package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// initrd makes the initramfs: init, and the drivers that a kernel does not have built in
// and needs before it has a root, what the kernel asks for by then, and by what init believes
// a release.
func initrd(init []byte, drivers []drive, firmware []file, believes []entry) ([]byte, error) {
	es := []entry{}
	for _, d := range []string{"dev", "proc", "sys", "run", "tmp", "data", "root", "slot", "lib", "lib/drivers", "lib/firmware", "etc", "etc/tocsin", "etc/tocsin/keys"} {
		es = append(es, entry{name: d, mode: 0o040755})
	}
	es = append(es, entry{name: "init", mode: 0o100755, data: init})
	var list strings.Builder
	for _, v := range drivers {
		if !v.first {
			continue
		}
		b, err := os.ReadFile(v.path)
		if err != nil {
			return nil, err
		}
		es = append(es, entry{name: "lib/drivers/" + v.name + ".ko", mode: 0o100644, data: b})
		fmt.Fprintln(&list, v.name+".ko")
	}
	for _, f := range firmware {
		b, err := os.ReadFile(f.from)
		if err != nil {
			return nil, err
		}
		es = append(es, entry{name: f.to, mode: 0o100644, data: b})
	}
	es = append(es, believes...)
	if list.Len() > 0 {
		es = append(es, entry{name: "lib/drivers/list", mode: 0o100644, data: []byte(list.String())})
	}
	return cpio(es), nil // packed, every bit of it would be another in each release
}

// fat makes a FAT16 file system of size MiB with the files given, in their order: the same
// bytes each time. Clusters have 4 KiB, so that 20 to 255 MiB are FAT16 to everybody
// (Microsoft FAT specification, 3.5).
func fat(to, label string, size, at int64, files []file) error {
	_ = os.Remove(to)
	if err := os.WriteFile(to, nil, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(to, size<<20); err != nil {
		return err
	}
	env := []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", at), "TZ=UTC", "MTOOLS_SKIP_CHECK=1", "MTOOLSRC=/dev/null"}
	if _, err := run(env, "mformat", "-i", to, "-c", "8", "-N", "746f6373", "-v", label, "::"); err != nil {
		return err
	}
	made := map[string]bool{".": true}
	for _, f := range files {
		var need []string
		for d := path.Dir(f.to); !made[d]; d = path.Dir(d) {
			need, made[d] = append([]string{d}, need...), true
		}
		for _, d := range need {
			if _, err := run(env, "mmd", "-i", to, "::"+d); err != nil {
				return err
			}
		}
		if _, err := run(env, "mcopy", "-i", to, f.from, "::"+f.to); err != nil {
			return err
		}
	}
	return nil
}

// sizeOf is how many MiB a file system needs for files: each fills whole clusters.
func sizeOf(files []file) (int64, error) {
	total := int64(0)
	for _, f := range files {
		i, err := os.Stat(f.from)
		if err != nil {
			return 0, err
		}
		total += (i.Size()+4095)&^4095 + 4096
	}
	return max(total>>20+4, 20), nil
}

// slotFiles are the files of a slot, in their order: what changes least last, so that
// releases' deltas find it where it was.
func (o *options) slotFiles(t target, dir string, k *opened, texts []file) ([]file, error) {
	files := []file{{"Image", k.image}, {"initrd", filepath.Join(dir, "initrd")}, {"root.sqfs", filepath.Join(dir, "root.sqfs")}}
	if t.kernel.module == rpi.module {
		for name, text := range map[string]string{"config.txt": configSlot5, "cmdline.txt": cmdlineSlot5} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				return nil, err
			}
		}
		files = append(files, file{"config.txt", filepath.Join(dir, "config.txt")}, file{"cmdline.txt", filepath.Join(dir, "cmdline.txt")})
		trees, err := matching(k.base, t.kernel.trees)
		if err != nil {
			return nil, err
		}
		for _, f := range trees {
			if pi5Tree(f) {
				files = append(files, file{filepath.Base(f), f})
			}
		}
		overlays, err := k.overlayFiles()
		if err != nil {
			return nil, err
		}
		files = append(files, overlays...)
	}
	return append(append(files, file{"sbom.spdx.json", filepath.Join(dir, "sbom.spdx.json")}), texts...), nil
}
