package main

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	dogTimeout = 15 // seconds until the hardware starts the board anew
	dogFeed    = 2 * time.Second
)

// watchdog is the board's hardware timer. It is fed while edged proves that its alarm path
// is alive, and while it is being started anew within its budget; when that does not bring
// it back, the board itself is started anew.
type watchdog struct {
	b *board
	f *os.File
}

func openWatchdog(b *board) *watchdog {
	w := &watchdog{b: b}
	if _, off := b.args["nowatchdog"]; off {
		return w
	}
	f, err := os.OpenFile("/dev/watchdog0", os.O_WRONLY, 0)
	if err != nil {
		b.say("watchdog: %v: this board has none", err)
		return w
	}
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.WDIOC_SETTIMEOUT, dogTimeout); err != nil {
		b.say("watchdog: %v: it keeps its own time", err)
	}
	w.f = f
	return w
}

// hopeless is how long edged may be dead before the board is started anew. A start is no
// proof: one that is made again and again, and never proves itself, is dead as well.
const hopeless = 2 * time.Minute

func (w *watchdog) run(ctx context.Context, s *supervisor) {
	t := time.NewTicker(dogFeed)
	defer t.Stop()
	lost := false
	for {
		dead := time.Since(s.proved())
		if dead >= hopeless && !lost {
			lost = true
			w.b.say("edged has been dead for %s: the watchdog is fed no more", hopeless)
			w.b.judging.Store(true)
			w.b.beside("restart", func() { // where there is no watchdog
				if !s.hasWorked() {
					w.b.startFailed("edged never proved itself")
				}
				w.b.judging.Store(false)
				w.b.restart("edged is dead")
			})
		}
		if dead < hopeless || w.b.judging.Load() && dead < hopeless+judgeMost {
			w.feed()
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (w *watchdog) feed() {
	if w.f != nil {
		_, _ = w.f.Write([]byte{0})
	}
}
