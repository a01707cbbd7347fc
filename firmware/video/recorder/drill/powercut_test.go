//go:build peers

package drill

import (
	"math/rand/v2"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/hwtest/powercut"
)

func TestAPowerCutLeavesEveryFileReadable(t *testing.T) {
	if err := powercut.Available(); err != nil {
		t.Skip("no power-cut rig here: ", err)
	}
	rig, err := powercut.New(64, 11)
	if err != nil {
		t.Fatal(err)
	}
	defer rig.Close()
	j := NewJudge(rig.Dir())
	cuts, pictures := 6, 0
	if testing.Short() {
		cuts = 2
	}
	for i := range cuts {
		p, told := live(t, rig.Dir(), uint32(i+1))
		stop := make(chan struct{})
		go powercut.Unsynced(rig.Dir(), stop)
		time.Sleep(time.Duration(1000+rand.IntN(3000)) * time.Millisecond) // a real process on real time
		at := clock.Mono()
		if err := rig.Cut(func() { p.Process.Kill(); close(stop) }); err != nil {
			t.Fatal(err)
		}
		p.Wait()
		if err := rig.Restore(); err != nil {
			t.Fatal(err)
		}
		v, err := j.After(t.Context(), uint32(i+1), <-told, at)
		if err != nil {
			t.Fatal(err)
		}
		pictures += v.Pictures
		judge(t, v)
	}
	if pictures == 0 {
		t.Error("nothing was recorded")
	}
	t.Logf("%+v", rig.Stats())
}
