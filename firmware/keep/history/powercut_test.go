//go:build peers

package history

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/hwtest/powercut"
)

// TestAPowerCutHarmsNothing cuts the disk under a process that writes: what was
// not flushed is lost, and what is left is whole, with no value that was not
// measured.
func TestAPowerCutHarmsNothing(t *testing.T) {
	if err := powercut.Available(); err != nil {
		t.Skip("no power-cut rig here: ", err)
	}
	r, err := powercut.New(96, 20262)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	kept := 0
	for round := range 5 {
		var cut error
		last, at := endOne(t, r.Dir(), time.Duration(5500+rand.IntN(2500))*time.Millisecond, func(kill func()) { cut = r.CutAmid(kill) })
		if cut != nil {
			t.Fatal(cut)
		}
		if err := r.Restore(); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		g := guard.New(ctx, nil, nil)
		h, err := Open(r.Dir(), Opts{Guard: g, Clock: clock.NewSystem(time.Time{}, clock.Set)})
		if err != nil {
			t.Fatal(err)
		}
		until(t, "the file is open", func() bool { h.fmu.RLock(); defer h.fmu.RUnlock(); return h.file != nil })
		var check string
		if err := h.file.w.QueryRow("PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
			t.Fatalf("round %d: %s %v", round, check, err)
		}
		a, err := h.Query(ctx, Query{Point: "p.7", From: time.UnixMilli(at - 60_000), To: time.UnixMilli(at + 1), Raw: true, Most: MostRows})
		if err != nil && !errors.Is(err, ErrUnknown) { // with NORMAL, all that was not written back may be lost
			t.Errorf("round %d: %v", round, err)
		}
		kept += len(a.Rows)
		for _, x := range a.Rows {
			if x.Why.Code == "history.damaged" || x.Good == 1 && x.Value < 1 {
				t.Errorf("round %d: %+v", round, x)
			}
		}
		if s := h.Stats(); s.Replaced != 0 || s.Damaged != 0 {
			t.Errorf("round %d: %+v", round, s)
		}
		t.Logf("round %d: %d offered, %d rows", round, last, len(a.Rows))
		h.Close()
		cancel()
		g.Wait(10 * time.Second)
	}
	if s := r.Stats(); s.Lost == 0 || kept == 0 {
		t.Errorf("no cut met an unflushed write, or nothing was ever kept: %d rows, %+v", kept, s)
	}
}
