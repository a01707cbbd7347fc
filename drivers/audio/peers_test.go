//go:build peers

package audio

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSoxReadsASounding(t *testing.T) {
	sox, err := exec.LookPath("sox")
	if err != nil {
		t.Skip("sox is not installed")
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, file(t, FileOpts{Dir: dir}), cd)
		s.Write(t.Context(), sine(cd, 500*time.Millisecond))
		s.Drain(t.Context())
	})
	out, err := exec.Command(sox, "--i", filepath.Join(dir, "1.wav")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Duration       : 00:00:00.50 = 24000 samples") {
		t.Errorf("%v: %s", err, out)
	}
}
