//go:build browser

package main

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestPicturesOfThePages takes the pictures of the README anew where PICTURES names a folder.
func TestPicturesOfThePages(t *testing.T) {
	folder := os.Getenv("PICTURES")
	if folder == "" {
		t.Skip("make pictures takes them")
	}
	chromium, ui := browserHere(t)
	c := newConsole(t)
	c.setUp()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "e2e/pictures.mjs")
	cmd.Dir = ui
	cmd.Env = append(os.Environ(), "BOX=http://"+c.page, "BENCH="+c.bench().URL, "CHROMIUM="+chromium, "OWNER="+c.owner, "PASSWORD="+consolePassword)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
