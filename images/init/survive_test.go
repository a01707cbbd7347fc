package main

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAPanicEndsItsPartAloneAndThatBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{log: newRing(1 << 16)}
		var runs, once atomic.Int32
		b.start("network", func() {
			if runs.Add(1) < 3 {
				panic("a bad packet")
			}
		})
		b.beside("drivers", func() { once.Add(1); panic("a bad chip") })
		synctest.Wait()
		if runs.Load() != 1 || once.Load() != 1 {
			t.Fatal(runs.Load(), once.Load())
		}
		for range 5 {
			time.Sleep(surviveAgain)
			synctest.Wait()
		}
		if runs.Load() != 3 || once.Load() != 1 {
			t.Fatalf("%d runs of what is begun anew, %d of what is not", runs.Load(), once.Load())
		}
		if said := b.log.text(); !strings.Contains(said, "network: panic: a bad packet") || !strings.Contains(said, "drivers: panic: a bad chip") {
			t.Fatal(said)
		}
	})
}

func TestWhatCannotBeginAnewStartsTheBoard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		restarted := 0
		b := &board{log: newRing(1 << 16), reboot: func() error { restarted++; return nil }}
		b.vital("supervisor", func() { panic("of two minds") })
		b.vital("watchdog", func() {}) // it ended, as at a restart
		synctest.Wait()
		if restarted != 1 {
			t.Fatalf("restarted %d times: %s", restarted, b.log.text())
		}
	})
}
