//go:build peers

package narrow

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"tocsin/hwtest/powercut"
)

// cutRounds lets the station live and cuts its power, n times or until something is wrong.
func cutRounds(t *testing.T, y *hubSide, r *powercut.Rig, n int, until func() bool) (rounds int) {
	t.Helper()
	for rounds = range n {
		l := y.live(t, r.Dir())
		l.ready(t)
		time.Sleep(time.Duration(rand.IntN(80)) * time.Millisecond)
		cut := r.CutAmid
		if rounds%3 == 0 {
			cut = r.Cut // at just any instant
		}
		if err := cut(func() { l.cmd.Process.Kill() }); err != nil {
			t.Fatal(err)
		}
		<-l.done
		l.cmd.Wait()
		if err := r.Restore(); err != nil {
			t.Fatalf("round %d: %v", rounds, err)
		}
		if until() {
			break
		}
	}
	return rounds + 1
}

func rig(t *testing.T, seed uint64) *powercut.Rig {
	t.Helper()
	if err := powercut.Available(); err != nil {
		t.Skip("no power-cut rig here: ", err)
	}
	r, err := powercut.New(96, seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// No counter is used twice, no message is acted upon twice, and what was acknowledged is there, whatever a power cut leaves.
func TestNoCounterComesTwiceAndNoMessageActsTwiceOverPowerCuts(t *testing.T) {
	r, y := rig(t, 20263), newHubSide(t)
	n := 12
	if os.Getenv("LONG") != "" {
		n = 1000
	}
	cutRounds(t, y, r, n, func() bool { return false })
	lost := y.settle(t, r.Dir())
	y.mu.Lock()
	defer y.mu.Unlock()
	if lost > 0 || len(y.wrong) > 0 {
		t.Errorf("%d of %d acknowledged messages lost; %d wrong, %q", lost, len(y.acked), len(y.wrong), y.wrong[:min(len(y.wrong), 10)])
	}
	if s := r.Stats(); s.Pending == 0 || s.Lost == 0 || len(y.acked) < n || len(y.acted) < n {
		t.Errorf("the cuts met nothing: %+v, %d acknowledged, %d acted upon", s, len(y.acked), len(y.acted))
	}
	t.Logf("%d cuts, %d messages up, %d down of which %d were acted upon and %d acknowledged, %+v", n, y.ups, y.n, len(y.acted), len(y.acked), r.Stats())
}

// A disk that answers flushes and does not obey must be found: else the test above proves nothing.
func TestADiskThatLiesIsFound(t *testing.T) {
	r, y := rig(t, 7), newHubSide(t)
	r.Lie(true)
	wrong := func() bool { y.mu.Lock(); defer y.mu.Unlock(); return len(y.wrong) > 0 }
	rounds := cutRounds(t, y, r, 40, wrong)
	if !wrong() {
		t.Fatalf("nothing in %d rounds", rounds)
	}
	t.Logf("round %d: %s", rounds, y.wrong[0])
}
