//go:build peers

package courier

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"tocsin/hwtest/powercut"
)

// The rig is a real file system on a disk whose power is cut: see hwtest/powercut. The
// journal's own test shows that the same cuts lose what is not synced (a disk that lies).
func TestNothingAcknowledgedIsLostOrActedOnTwiceByAPowerCut(t *testing.T) {
	if err := powercut.Available(); err != nil {
		t.Skip("no power-cut rig here: ", err)
	}
	r, err := powercut.New(96, 20262)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	y := newCounty()
	n := rounds(15, 1000)
	for i := range n {
		l := y.live(t, "load", r.Dir(), fmt.Sprint("p", i), 0.3)
		l.ready(t)
		time.Sleep(time.Duration(rand.IntN(120)) * time.Millisecond)
		cut := r.CutAmid
		if i%3 == 0 {
			cut = r.Cut // at just any instant
		}
		if err := cut(func() { l.cmd.Process.Kill() }); err != nil {
			t.Fatal(err)
		}
		l.end()
		if err := r.Restore(); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
	}
	y.settle(t, r.Dir())
	if s := r.Stats(); s.Pending == 0 || s.Lost == 0 {
		t.Errorf("no cut met an unflushed write: %+v", s)
	}
	t.Logf("%d cuts, %+v", n, r.Stats())
}
