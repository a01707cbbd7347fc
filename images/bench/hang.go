package bench

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
)

// GasHang is the reading at which the rules of an edged made by MakeHanging stop for ever,
// in %LEL.
const GasHang = 66.6

// MakeHanging puts another edged on the pole's card: the same, but that its loop of rules
// stands still for ever once it is given the reading GasHang, while everything else of it
// goes on, its page and the goroutine that feeds the watchdog too. There is no such door in
// the product: the one line is laid over its source for this build (go build -overlay).
func (p *Pole) MakeHanging() error {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	module := strings.TrimSpace(string(out))
	from := filepath.Join(module, "firmware/station/house.go")
	src, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	const at = "\t\tcase rs := <-h.readings:\n"
	line := fmt.Sprintf("\t\t\tfor _, r := range rs {\n\t\t\t\tif r.Value > %v && r.Value < %v {\n\t\t\t\t\tselect {}\n\t\t\t\t}\n\t\t\t}\n", GasHang-0.005, GasHang+0.005)
	if bytes.Count(src, []byte(at)) != 1 {
		return errors.New("the loop of rules is not where it was: see firmware/station/house.go")
	}
	work, err := os.MkdirTemp("", "hang")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	over := filepath.Join(work, "house.go")
	if err := os.WriteFile(over, bytes.Replace(src, []byte(at), []byte(at+line), 1), 0o644); err != nil {
		return err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{from: over}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(work, "overlay.json"), overlay, 0o644); err != nil {
		return err
	}
	slot, _, err := p.Partition(SlotA)
	if err != nil {
		return err
	}
	edged, root, sqfs, card := filepath.Join(work, "edged"), filepath.Join(work, "root"), filepath.Join(work, "root.sqfs"), fmt.Sprintf("%s@@%d", p.Disk, slot)
	build := exec.Command("go", "build", "-overlay", filepath.Join(work, "overlay.json"), "-tags", "noasm", "-trimpath", "-ldflags", "-s -w", "-o", edged, "./cmd/edged")
	build.Dir, build.Env = module, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64")
	for _, c := range []*exec.Cmd{
		build,
		exec.Command("mcopy", "-n", "-i", card, "::root.sqfs", sqfs),
		exec.Command("unsquashfs", "-q", "-n", "-no-xattrs", "-d", root, sqfs),
		exec.Command("cp", edged, filepath.Join(root, "usr/bin/edged")),
		exec.Command("mksquashfs", root, sqfs, "-noappend", "-quiet", "-no-progress", "-noI", "-noId", "-noD", "-noF", "-noX", "-no-fragments", "-all-root", "-no-xattrs", "-no-exports"),
		exec.Command("mcopy", "-o", "-i", card, sqfs, "::root.sqfs"),
	} {
		c.Env = append(c.Environ(), "MTOOLS_SKIP_CHECK=1")
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", filepath.Base(c.Path), err, out)
		}
	}
	return nil
}

// Hang has the loop of rules of a hanging edged stand still, and gives how long it took
// until the board was armed again.
func (p *Pole) Hang(most time.Duration) (time.Duration, error) {
	before := strings.Count(p.Console(), Armed)
	at := time.Now()
	p.Gas.Set(GasHang)
	if err := p.Says("the alarm path hangs", 1, most); err != nil {
		return 0, err
	}
	p.Gas.Set(GasCalm) // the next one shall not hang as well
	if err := p.Says(Armed, before+1, most); err != nil {
		return 0, err
	}
	return time.Since(at), nil
}
