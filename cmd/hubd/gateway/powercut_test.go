//go:build peers

package gateway

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"tocsin/hwtest/powercut"
)

// TestWhatTheKeeperKeptIsThereAfterAPowerCut counts on until the power goes, again and again.
func TestWhatTheKeeperKeptIsThereAfterAPowerCut(t *testing.T) {
	if err := powercut.Available(); err != nil {
		t.Skip("no power-cut rig here: ", err)
	}
	rig, err := powercut.New(64, 12)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rig.Close() })
	keys := []string{"narrow/a/down/sent", "narrow/a/up/heard/1", "narrow/b/up/heard/2"}
	last := map[string]int{}
	puts := 0
	// Some cuts fall between writes: until one did not.
	for round := 0; round < 15 || rig.Stats().Lost == 0 && round < 150; round++ {
		dir := filepath.Join(rig.Dir(), "narrow")
		k, err := NewKeeper(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			v, ok := k.Get(key)
			if n, err := strconv.Atoi(string(v)); last[key] > 0 && (!ok || err != nil || n < last[key]) {
				t.Fatalf("round %d: %s is %q, and %d was kept", round, key, v, last[key])
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		ran, done := make(chan struct{}), make(chan struct{})
		go func() { defer close(ran); _ = k.Run(ctx) }()
		go func() {
			defer close(done)
			for {
				for _, key := range keys {
					if k.Put(ctx, key, []byte(strconv.Itoa(last[key]+1))) != nil {
						return
					}
					last[key]++
					puts++
				}
			}
		}()
		time.Sleep(time.Duration(10+rand.IntN(60)) * time.Millisecond)
		if err := rig.Cut(); err != nil {
			t.Fatal(err)
		}
		<-done
		cancel()
		<-ran
		if err := rig.Restore(); err != nil {
			t.Fatal(err)
		}
	}
	if s := rig.Stats(); puts < 100 || s.Lost == 0 {
		t.Errorf("the cuts met nothing: %d puts, %+v", puts, s)
	}
	t.Logf("%d puts, %+v", puts, rig.Stats())
}
