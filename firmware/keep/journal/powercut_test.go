//go:build peers

package journal

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"tocsin/hwtest/powercut"
)

func cutRig(t *testing.T) *powercut.Rig {
	t.Helper()
	if err := powercut.Available(); err != nil {
		t.Skip("no power-cut rig here: ", err)
	}
	r, err := powercut.New(96, 20261)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// cutOnce runs the load on the rig, cuts the power at a random instant, and holds
// what comes up against what was acknowledged.
func cutOnce(t *testing.T, r *powercut.Rig, round int, l *ledger) {
	t.Helper()
	c := startLoad(t, r.Dir())
	c.ready(t)
	time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
	if err := r.Cut(func() { c.cmd.Process.Kill() }); err != nil {
		t.Fatal(err)
	}
	acked := c.ended()
	r.Lie(false)
	if err := r.Restore(); err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	l.hold(t, round, acked, dumped(t, r.Dir()))
}

func TestNothingAcknowledgedIsLostByAPowerCut(t *testing.T) {
	r := cutRig(t)
	var l ledger
	for i := range rounds(20, 200) {
		cutOnce(t, r, i, &l)
		// The disk is small: begin anew before it is full. Numbers go on above the
		// floor, which stays.
		if i%40 == 39 {
			for _, name := range []string{"/journal.db", "/journal.db-wal"} {
				os.Remove(r.Dir() + name)
			}
			l.acked = nil
		}
	}
	if l.lost > 0 {
		t.Errorf("lost %d acknowledged records in %+v", l.lost, r.Stats())
	}
	if s := r.Stats(); s.Pending == 0 || s.Lost == 0 {
		t.Errorf("no cut met an unflushed write: %+v", s)
	}
	t.Logf("%d acknowledged records, %+v", len(l.acked), r.Stats())
}
