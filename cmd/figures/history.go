package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// historyFlash measures what the history's own code writes in an hour of 64
// points at 1 Hz, as the kernel counts it (write_bytes of /proc/self/io), and how
// long 30 days of one point take to ask for. An hour and a month do not go by: the
// readings carry a clock that runs faster, the path is the real one. It runs as
// the room's own test, since the bench knows nothing of the firmware.
func historyFlash(b *bench) error {
	mod, err := exec.CommandContext(b.ctx, "go", "env", "GOMOD").Output()
	root := filepath.Dir(strings.TrimSpace(string(mod)))
	if err != nil || root == "." || root == string(filepath.Separator) {
		return fmt.Errorf("run it within the module: it tests keep/history (%v)", err)
	}
	dir, err := realDisk(b.dir, root)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c := exec.CommandContext(b.ctx, "go", "test", "./firmware/keep/history", "-run", "^TestFigures$", "-count=1", "-v", "-timeout", "60m")
	c.Dir = root
	c.Env = append(os.Environ(), "HISTORY_FIGURES="+dir, "HISTORY_FIGURES_LONG="+choose(b.long, "1", ""))
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, tailOf(out))
	}
	var f struct {
		GBYear  float64 `json:"gb_written_year"`
		Hours   int     `json:"hours"`
		QueryMS float64 `json:"query_ms_p99"`
		Queries int     `json:"queries"`
		Days    int     `json:"days"`
		FileMiB float64 `json:"file_mib"`
		PSS     float64 `json:"pss_mib"`
	}
	_, line, found := bytes.Cut(out, []byte("FIGURES "))
	if line, _, _ = bytes.Cut(line, []byte("\n")); !found || json.Unmarshal(line, &f) != nil {
		return fmt.Errorf("it printed no figures: %s", tailOf(out))
	}
	b.log("%d points at 1 Hz for %d h; then %d days in a file of %.0f MiB, asked with %.1f MiB of RAM", 64, f.Hours, f.Days, f.FileMiB, f.PSS)
	b.tell("history.gb_written_year", f.GBYear, f.Hours)
	b.tell("history.query_ms_p99", f.QueryMS, f.Queries)
	return nil
}

func tailOf(p []byte) string {
	s := strings.TrimSpace(string(p))
	return s[max(0, len(s)-500):]
}

// realDisk makes a folder on a file system that is not in RAM, in the first of
// some places: on one in RAM nothing is written.
func realDisk(places ...string) (string, error) {
	for _, p := range places {
		var st unix.Statfs_t
		if unix.Statfs(p, &st) == nil && uint32(st.Type) != unix.TMPFS_MAGIC && uint32(st.Type) != unix.RAMFS_MAGIC {
			return os.MkdirTemp(p, ".history-")
		}
	}
	return "", fmt.Errorf("none of %v is on a disk", places)
}
