//go:build peers

package journal

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
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
	cut := r.CutAmid
	if round%3 == 0 {
		cut = r.Cut // at just any instant
	}
	if err := cut(func() { c.cmd.Process.Kill() }); err != nil {
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
	total := 0
	for i := range rounds(20, 200) {
		cutOnce(t, r, i, &l)
		// The disk is small: begin anew before it is full. Numbers go on above the
		// floor, which stays.
		if i%40 == 39 {
			for _, name := range []string{"/journal.db", "/journal.db-wal"} {
				os.Remove(r.Dir() + name)
			}
			total += len(l.acked)
			l.acked = nil
		}
	}
	if l.lost > 0 {
		t.Errorf("lost %d acknowledged records in %+v", l.lost, r.Stats())
	}
	if s := r.Stats(); s.Pending == 0 || s.Lost == 0 {
		t.Errorf("no cut met an unflushed write: %+v", s)
	}
	t.Logf("%d acknowledged records, %+v", total+len(l.acked), r.Stats())
}

// A disk that answers flushes without obeying is the control: the same load and the
// same ledger must find losses on it, or they would find none on a journal that
// forgets to sync.
func TestTheLedgerFindsLossesOnADiskThatLies(t *testing.T) {
	r := cutRig(t)
	for i := range 40 {
		r.Lie(true)
		c := startLoad(t, r.Dir())
		c.ready(t)
		time.Sleep(time.Duration(20+rand.IntN(100)) * time.Millisecond)
		if err := r.Cut(func() { c.cmd.Process.Kill() }); err != nil {
			t.Fatal(err)
		}
		acked := c.ended()
		r.Lie(false)
		if err := r.Restore(); err != nil {
			t.Logf("round %d: the file system is lost: %v", i, err)
			return
		}
		kept := map[int64]string{}
		for _, r := range dumped(t, r.Dir()).Records {
			kept[r.Seq] = string(r.Body)
		}
		for _, a := range acked {
			if kept[a.Seq] != string(a.Body) {
				t.Logf("round %d: number %d of %d is lost", i, a.Seq, len(acked))
				return
			}
		}
	}
	t.Error("a lying disk lost nothing in 40 cuts: the test proves nothing")
}

func TestADiskThatDiesUnderTheJournalCostsNothingThatRAMHolds(t *testing.T) {
	r := cutRig(t)
	j := opened(t, r.Dir())
	fill(j, 0, 100)
	synced(t, j)
	if err := r.Cut(); err != nil {
		t.Fatal(err)
	}
	var longest time.Duration
	for i := 100; i < 200; i++ {
		began := time.Now()
		fill(j, i, 1)
		longest = max(longest, time.Since(began))
	}
	t.Logf("the longest append on a dead disk took %v", longest)
	if err := r.Restore(); err != nil {
		t.Fatal(err)
	}
	// The disk comes back with the first hundred; the rest waited in RAM, or in a
	// file on the bare mount point that is now covered.
	whole := func(j *Journal) func() bool {
		return func() bool {
			recs, err := j.Read(context.Background(), 0, MaxRead)
			recs = slices.DeleteFunc(recs, func(r Record) bool { return r.Kind != "alarm.raised" })
			return err == nil && slices.EqualFunc(recs, want(0, 200), func(r Record, c string) bool { return r.Cause == c })
		}
	}
	until(t, "everything is on the disk that came back", whole(j))
	synced(t, j)
	j.Close()
	if err := r.Cut(); err != nil {
		t.Fatal(err)
	}
	if err := r.Restore(); err != nil {
		t.Fatal(err)
	}
	if j = opened(t, r.Dir()); !whole(j)() {
		t.Errorf("after another cut: %v", causes(t, j))
	}
}
