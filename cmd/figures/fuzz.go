package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// fuzzing counts the parsers of outside bytes that no fuzz target reaches (see
// parsersIn), and the targets that fail: for some seconds each, or ten minutes in
// full.
func fuzzing(b *bench) error {
	root, err := moduleRoot(b)
	if err != nil {
		return err
	}
	each := choose(b.long, 10*time.Minute, 5*time.Second)
	targets, bare, failed, err := b.fuzzRooms(root, parserRooms, each)
	if err != nil {
		return err
	}
	b.log("%d targets for %v each: %d failed, %d parsers without one", targets, each, failed, bare)
	b.tell("acquire.fuzz", float64(bare+failed), targets)
	return nil
}

// fuzzRooms counts the fuzz targets of rooms, those that fail, and the parsers that none reaches.
func (b *bench) fuzzRooms(root string, rooms []string, each time.Duration) (targets, bare, failed int, err error) {
	all, without, stale, err := parsersIn(root, rooms)
	if err != nil {
		return 0, 0, 0, err
	}
	if len(stale) > 0 {
		return 0, 0, 0, fmt.Errorf("the table of what is no parser is out of step: %s", strings.Join(stale, ", "))
	}
	for _, p := range without {
		b.log("%s takes bytes, and no fuzz target reaches it", p)
	}
	failed, err = b.fuzzEach(root, all, each)
	return len(all), len(without), failed, err
}

// fuzzEach runs the repository's own targets one after another and counts those that
// fail. What made one fail is left in its testdata, where the next test run finds it.
func (b *bench) fuzzEach(root string, targets []fuzzTarget, each time.Duration) (failed int, err error) {
	for _, t := range targets {
		if b.ctx.Err() != nil {
			return failed, context.Cause(b.ctx)
		}
		c := exec.CommandContext(b.ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", each.String(), "./"+t.room)
		c.Dir = root
		out, err := c.CombinedOutput()
		var exit *exec.ExitError
		switch {
		case err != nil && outOfTime(string(out)):
			b.log("%s in %s: its time was over in the middle of a try", t.name, t.room)
		case errors.As(err, &exit) && strings.Contains(string(out), "--- FAIL"):
			failed++
			b.log("%s in %s: %s", t.name, t.room, strings.TrimSpace(string(out)))
		case err != nil:
			return failed, fmt.Errorf("%s in %s: %w: %s", t.name, t.room, err, strings.TrimSpace(string(out)))
		case !strings.Contains(string(out), "fuzz: elapsed:"):
			return failed, fmt.Errorf("%s in %s fuzzed nothing: %s", t.name, t.room, strings.TrimSpace(string(out)))
		}
	}
	return failed, nil
}

// outOfTime tells that go test failed only because the fuzzing time ended while a try was
// under way, as it does on a busy machine: it names no input that fails.
func outOfTime(out string) bool {
	return strings.Contains(out, "\n    context deadline exceeded\n") && strings.Contains(out, "fuzz: elapsed:") &&
		!strings.Contains(out, "Failing input") && !strings.Contains(out, "panic:") && strings.Count(out, "--- FAIL") == 1
}

// moduleRoot is the folder of go.mod.
func moduleRoot(b *bench) (string, error) {
	mod, err := exec.CommandContext(b.ctx, "go", "env", "GOMOD").Output()
	root := filepath.Dir(strings.TrimSpace(string(mod)))
	if err != nil || root == "." || root == string(filepath.Separator) {
		return "", fmt.Errorf("run it within the module: it needs the source (%v)", err)
	}
	return root, nil
}
