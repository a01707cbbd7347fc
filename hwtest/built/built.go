// Package built gives tests the programs of this module as they are shipped, without cgo.
// They lie in out/test of the module, where go build leaves alone what is still what it
// would make: many tests of several packages and stages link each program once.
package built

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Into puts programs of cmd/ into a folder under their own names.
func Into(t testing.TB, dir string, programs ...string) {
	t.Helper()
	kept := filepath.Join(module(t), "out", "test")
	if err := os.MkdirAll(kept, 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(filepath.Join(kept, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close() // and with it the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("go", "build", "-o", kept+string(filepath.Separator))
	for _, p := range programs {
		c.Args = append(c.Args, "tocsin/cmd/"+p)
	}
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("go build %v: %v\n%s", programs, err, out)
	}
	for _, p := range programs {
		at := filepath.Join(kept, p)
		// A new build replaces the kept file and leaves the links to the old one as they are. Where the
		// folder is on another disk a process of its own copies: a file that this one had open for
		// writing could not be run while a test beside it forks.
		if os.Link(at, filepath.Join(dir, p)) == nil {
			continue
		}
		if out, err := exec.Command("cp", at, dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}

// module is the folder of go.mod.
func module(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = up
	}
}
