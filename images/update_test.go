//go:build image

package images

import (
	"os"
	"testing"
	"time"

	"tocsin/images/bench"
)

// rig sets a card up once for all cases of a test.
func rig(t *testing.T) *bench.Rig {
	t.Helper()
	img, keys := os.Getenv("TOCSIN_IMAGE"), os.Getenv("TOCSIN_KEYS")
	if img == "" || keys == "" {
		t.Fatal("TOCSIN_IMAGE or TOCSIN_KEYS is not named: run make image-test")
	}
	begun := time.Now()
	dir := os.Getenv("TOCSIN_RIG") // kept, to look at consoles
	if dir == "" {
		dir = t.TempDir()
	}
	r, err := bench.NewRig(dir, img, keys, func(f string, a ...any) {
		t.Logf("%5.1f s: "+f, append([]any{time.Since(begun).Seconds()}, a...)...)
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAGoodReleaseIsTriedAndStays(t *testing.T) {
	r := rig(t)
	if err := r.Good(); err != nil {
		t.Fatal(err)
	}
}

// TestTheMatrixOfUpdates breaks releases, boards and the power on the way of an update:
// LONG=1 for all of it, which takes most of an hour.
func TestTheMatrixOfUpdates(t *testing.T) {
	r := rig(t)
	defer r.Close()
	for _, c := range bench.Matrix(1) {
		if c.Long && os.Getenv("LONG") == "" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			r.Log = func(f string, a ...any) { t.Logf(f, a...) }
			if err := c.Run(r); err != nil {
				t.Error(err)
			}
		})
	}
}
