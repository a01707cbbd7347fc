//go:build peers

package issue

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/phrase"
	"tocsin/hwtest/powercut"
)

// TestNoNumberComesTwiceOverPowerCuts signs until the power goes, again and again.
func TestNoNumberComesTwiceOverPowerCuts(t *testing.T) {
	if err := powercut.Available(); err != nil {
		t.Skip("no power-cut rig here: ", err)
	}
	rig, err := powercut.New(64, 11)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rig.Close() })
	d := newDesk(t)
	signed := map[uint16]string{}
	n := 0
	// Some cuts fall between writes: until one did not.
	for round := 0; round < 12 || rig.Stats().Lost == 0 && round < 60; round++ {
		d.file.Data = filepath.Join(rig.Dir(), "hub")
		done := make(chan error, 1)
		var cutting atomic.Bool
		var here atomic.Int32 // signed in this round
		go func() {
			for {
				n++
				id := fmt.Sprint("w-", n)
				s, err := Condense(d.file, d.document(id, nil), d.key, Words{}, now)
				if cutting.Load() { // what was under way may have met the empty place of a disk that is gone
					done <- nil
					return
				}
				if err != nil {
					done <- err
					return
				}
				w, _ := compact.Unpack(s.Bytes[:compact.BodySize])
				if other, twice := signed[w.Number()]; twice {
					done <- fmt.Errorf("%s has the number of %s", id, other)
					return
				}
				signed[w.Number()] = id
				here.Add(1)
			}
		}()
		// A day has few numbers: a fast machine must not sign them all before a cut has met something.
		few := int32(1 + rand.IntN(6))
		for end := time.Now().Add(80 * time.Millisecond); here.Load() < few && time.Now().Before(end); {
			time.Sleep(100 * time.Microsecond)
		}
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
		cutting.Store(true)
		if err := rig.Cut(); err != nil {
			t.Fatal(err)
		}
		err := <-done
		if err := rig.Restore(); err != nil {
			t.Fatal(err)
		}
		if len(signed) > 230 {
			break
		}
		if code := phrase.Of(err).Code; err != nil && code != "hubd.issued" && code != "hubd.data_dir" { // the dead disk alone
			t.Fatal(err)
		}
	}
	if s := rig.Stats(); len(signed) < 12 || s.Lost == 0 {
		t.Errorf("the cuts met nothing: %d signed, %+v", len(signed), s)
	}
	t.Logf("%d signed, %+v", len(signed), rig.Stats())
	if b, err := openBook(filepath.Join(rig.Dir(), "hub"), 9); err != nil || b.Serial+1 < len(signed) {
		t.Errorf("the book says %+v, %v after %d", b, err, len(signed))
	}
}
