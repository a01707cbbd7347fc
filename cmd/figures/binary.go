package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// binary builds edged for the board as a release would and takes its size.
func binary(b *bench) error {
	root, err := moduleRoot(b)
	if err != nil {
		return err
	}
	out := filepath.Join(b.dir, "edged-arm64")
	c := exec.CommandContext(b.ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, "./cmd/edged")
	c.Dir = root
	c.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	if p, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(p)))
	}
	st, err := os.Stat(out)
	if err != nil {
		return err
	}
	b.tell("edged.binary_mib", float64(st.Size())/(1<<20), 1)
	return nil
}
