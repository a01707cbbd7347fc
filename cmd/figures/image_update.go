package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	imagebench "tocsin/images/bench"
)

// updateRig sets a card up for updates. TOCSIN_KEYS names the folder of the keys that the
// image was built with; out/keys where it does not.
func updateRig(b *bench) (*imagebench.Rig, error) {
	image, err := boardImage()
	if err != nil {
		return nil, err
	}
	keys := os.Getenv("TOCSIN_KEYS")
	if keys == "" {
		keys = "out/keys"
	}
	return imagebench.NewRig(b.dir, image, keys, b.log)
}

// updateMatrix breaks releases, boards and the power on the way of an update, and counts
// the cases that did not end on a working, signed release with the reason told. A cut loses
// what the card was not told to flush. Short: the most telling cases.
func updateMatrix(b *bench) error {
	r, err := updateRig(b)
	if err != nil {
		return err
	}
	defer r.Close()
	wrong, n := 0, 0
	var names []string
	for _, c := range imagebench.Matrix(uint64(b.seed)) {
		if c.Long && !b.long {
			continue
		}
		if err := b.ctx.Err(); err != nil {
			return err
		}
		n++
		begun := time.Now()
		if err := c.Run(r); err != nil {
			wrong++
			names = append(names, c.Name)
			b.log("%s: %v", c.Name, err)
			continue
		}
		b.log("%s: as it must, after %.0f s", c.Name, time.Since(begun).Seconds())
	}
	b.tellWhy("image.update_matrix", float64(wrong), n, strings.Join(names, "; "))
	return nil
}

// usbUpdate puts sticks with an unsigned, an older and a signed release into boards.
func usbUpdate(b *bench) error {
	r, err := updateRig(b)
	if err != nil {
		return err
	}
	defer r.Close()
	wrong, n := 0, 0
	for _, c := range imagebench.Sticks() {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		n++
		if err := r.Stick(c); err != nil {
			wrong++
			b.log("%s: %v", c.Name, err)
		}
	}
	b.tell("image.usb_update", float64(wrong), n)
	return nil
}

// imageSizes packs the card's image as it is offered for download (xz), and makes a delta
// to it from a release whose code is another: with other words of version, and with some lines
// more where they move nearly all code of all programs.
func imageSizes(b *bench) error {
	root, err := moduleRoot(b)
	if err != nil {
		return err
	}
	var env []string
	image := func(version, out string, more ...string) error {
		c := exec.CommandContext(b.ctx, "make", append([]string{"--no-print-directory", "image", "TARGETS=virt", "VERSION=" + version, "OUT=" + out, "CACHE=" + filepath.Join(root, "out/cache"), "KEYS=" + filepath.Join(out, "keys")}, more...)...)
		c.Dir, c.Env = root, append(os.Environ(), env...)
		if t, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("make image: %w: %s", err, t[max(0, len(t)-2000):])
		}
		return nil
	}
	out := filepath.Join(b.dir, "out")
	if err := image("2027.1", out, "NUMBER=1"); err != nil {
		return err
	}
	base := filepath.Join(out, "image/virt-2027.1.slot")
	overlay, err := otherCode(root, b.dir)
	if err != nil {
		return err
	}
	env = []string{"GOFLAGS=-overlay=" + overlay}
	if err := image("2027.2", out, "NUMBER=2", "BASE="+base, "CARD="); err != nil {
		return err
	}
	mib := func(glob string) (float64, error) {
		all, err := filepath.Glob(filepath.Join(out, "image", glob))
		if err != nil || len(all) != 1 {
			return 0, fmt.Errorf("%s: %d files, %v", glob, len(all), err)
		}
		i, err := os.Stat(all[0])
		if err != nil {
			return 0, err
		}
		return float64(i.Size()) / (1 << 20), nil
	}
	card, err := mib("virt-2027.1.img.xz")
	if err != nil {
		return err
	}
	b.tellWhy("image.size_mib", card, 1, "the card's image of the emulated board, which has the programs and the kernel of a Raspberry Pi, as .img.xz")
	delta, err := mib("virt-2027.2-from-*.tocsin")
	if err != nil {
		return err
	}
	b.tellWhy("image.delta_mib", delta, 1, "a package from one version of all programs to the next, whose code is some lines longer in firmware/phrase, on which all of it stands")
	return nil
}

// otherCode gives an overlay of go build (-overlay) in which a package that all programs are
// linked of has some lines more.
func otherCode(root, dir string) (string, error) {
	from := filepath.Join(root, "firmware/phrase/phrase.go")
	src, err := os.ReadFile(from)
	if err != nil {
		return "", err
	}
	const at = "func Of(err error) Message {\n"
	const more = `	if err != nil {
		words := map[string]int{}
		for w := range strings.FieldsSeq(err.Error()) {
			if words[w]++; words[w] > 1000 {
				return M("error.plain", "text", w)
			}
		}
	}
`
	if bytes.Count(src, []byte(at)) != 1 {
		return "", errors.New("phrase.Of is not where it was: see firmware/phrase/phrase.go")
	}
	over := filepath.Join(dir, "phrase.go")
	if err := os.WriteFile(over, bytes.Replace(src, []byte(at), []byte(at+more), 1), 0o644); err != nil {
		return "", err
	}
	t, err := json.Marshal(map[string]any{"Replace": map[string]string{from: over}})
	if err != nil {
		return "", err
	}
	to := filepath.Join(dir, "overlay.json")
	return to, os.WriteFile(to, t, 0o644)
}
