package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAPanicEndsItsPartAloneAndThatBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{log: newRing(1 << 16)}
		runs, once := 0, 0
		b.start("network", func() {
			if runs++; runs < 3 {
				panic("a bad packet")
			}
		})
		b.beside("drivers", func() { once++; panic("a bad chip") })
		synctest.Wait()
		if runs != 1 || once != 1 {
			t.Fatal(runs, once)
		}
		for range 5 {
			time.Sleep(surviveAgain)
			synctest.Wait()
		}
		if runs != 3 || once != 1 {
			t.Fatalf("%d runs of what is begun anew, %d of what is not", runs, once)
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
