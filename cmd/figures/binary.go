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

// binary builds edged for the board as a release is built and takes its size; beside it
// those of the two programs that lie beside it.
func binary(b *bench) error {
	root, err := moduleRoot(b)
	if err != nil {
		return err
	}
	size := func(program string) (float64, error) {
		out := filepath.Join(b.dir, program+"-arm64")
		c := exec.CommandContext(b.ctx, "go", "build", "-tags", "noasm", "-trimpath", "-ldflags", "-s -w", "-o", out, "./cmd/"+program)
		c.Dir = root
		c.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
		if p, err := c.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%w: %s", err, strings.TrimSpace(string(p)))
		}
		st, err := os.Stat(out)
		if err != nil {
			return 0, err
		}
		return float64(st.Size()) / (1 << 20), nil
	}
	for _, p := range []string{"edged-video", "edged-desk"} {
		n, err := size(p)
		if err != nil {
			return err
		}
		b.beside("edged.binary_mib", p, n, 1)
	}
	box, err := size("edged")
	if err != nil {
		return err
	}
	b.tell("edged.binary_mib", box, 1)
	return nil
}
