package guard

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAConfinedProcessHasOnlyWhatItWasLeft runs the check in a program of its own, without
// cgo, as the daemon is built.
func TestAConfinedProcessHasOnlyWhatItWasLeft(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a program")
	}
	dir := t.TempDir()
	for _, d := range []string{"own", "others", "read"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, d, "file"), []byte(d), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	prog := filepath.Join(dir, "confined")
	build := exec.Command("go", "build", "-o", prog, "./testdata/confined")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(prog, dir).CombinedOutput()
	if strings.HasPrefix(string(out), "unconfined") {
		t.Skipf("%s", out)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := "own read write; others none none; read read none; run yes\n"
	if string(out) != want {
		t.Errorf("%s, not %s", out, want)
	}
}
