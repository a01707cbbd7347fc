package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheLabelInsideTheBoxStaysTrueAfterAReset(t *testing.T) {
	dir := t.TempDir()
	if labelBefore(dir) != nil {
		t.Fatal("a label out of nothing")
	}
	for name, text := range map[string]string{"before-reset": "1", "before-reset-9": "2", "before-reset-10": "3"} {
		if err := os.MkdirAll(filepath.Join(dir, name, "data"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "data", "access-point.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := labelBefore(dir); string(got) != "3" {
		t.Fatalf("%s", got)
	}
	link := filepath.Join(dir, "before-reset-11", "data")
	if err := os.MkdirAll(link, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/hostname", filepath.Join(link, "access-point.json")); err != nil {
		t.Fatal(err)
	}
	if got := labelBefore(dir); string(got) != "3" {
		t.Fatalf("a link was followed: %s", got)
	}
}
