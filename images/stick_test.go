//go:build image

package images

import (
	"testing"

	"tocsin/images/bench"
)

func TestAStickIsTakenOnlyWhereItsReleaseIsGenuineAndNewer(t *testing.T) {
	r := rig(t)
	for _, c := range bench.Sticks() {
		t.Run(c.Name, func(t *testing.T) {
			r.Log = func(f string, a ...any) { t.Logf(f, a...) }
			if err := r.Stick(c); err != nil {
				t.Error(err)
			}
		})
	}
}
