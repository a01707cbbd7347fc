package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// The board's init sets a site's file aside after this code and after no other.
func TestASiteThatCannotBeRunEndsWithACodeThatNoCrashHas(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "site.yaml")
	if err := os.WriteFile(file, []byte("version: 1\nlines: {west: {prot: x}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := run(line{config: file, data: filepath.Join(dir, "data"), socket: filepath.Join(dir, "s")})
	var code exitCode
	if !errors.As(err, &code) || code != 78 {
		t.Fatal(err)
	}
}
