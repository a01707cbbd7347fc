package station

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"sync"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/beidou"
	"tocsin/drivers/meshtastic"
	"tocsin/drivers/serial"
	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/decide/beacon"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
)

// Terminals carry short messages. This version of the box listens: a warning of 78
// bytes that its authority signed ends in the same verifier as one of any other way.

const (
	linkBaud    = 115200
	linkProfile = "beidou-bds3"
	// linkDeaf is how long a terminal may be without a word before that is called.
	linkDeaf = 5 * time.Minute
)

func beidouProfile(fsys fs.FS, l config.Link) (*beidou.Profile, error) {
	name := l.Profile
	if name == "" {
		name = linkProfile
	}
	if strings.ContainsAny(name, "/.") {
		return nil, fmt.Errorf("%q", name)
	}
	b, err := fs.ReadFile(fsys, "terminals/"+name+".yaml")
	if err != nil {
		return nil, err
	}
	return beidou.ParseProfile(b)
}

// terminal makes the driver of a link. Its port is opened when it runs.
func (h *House) terminal(ctx context.Context, name string, l config.Link) (drivers.Terminal, error) {
	baud := l.Baud
	if baud == 0 {
		baud = linkBaud
	}
	open := func() (drivers.Port, error) {
		return serial.Open(l.Port, serial.Opts{Baud: baud, Format: "8N1", Start: func(job string, run func()) {
			h.guard.GoIn(ctx, "reach", "link "+name+" "+job, guard.Once, func(context.Context) error { run(); return nil })
		}})
	}
	if l.Kind == kindMesh {
		return meshtastic.New(open, meshtastic.Opts{Channel: l.Channel})
	}
	p, err := beidouProfile(h.seen().bp.FS, l)
	if err != nil {
		return nil, err
	}
	return beidou.New(open, beidou.Opts{Profile: p})
}

// listen runs a terminal and hands on what it hears, until ctx ends.
func (h *House) listen(name string, l config.Link) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		t, err := h.terminal(ctx, strings.TrimPrefix(name, "link "), l)
		if err != nil {
			h.setFault(name, phrase.M("station.way_failed", "way", name, "detail", err))
			<-ctx.Done()
			return ctx.Err()
		}
		h.guard.GoIn(ctx, "reach", name+" terminal", guard.Restart, t.Run)
		defer h.onAir.hold(strings.TrimPrefix(name, "link "), t)()
		tick := time.NewTicker(10 * time.Second)
		defer tick.Stop()
		heard := time.Now()
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case m := <-t.Received():
				h.heardBy(ctx, name, l, m)
			case <-tick.C:
				if t.State().Up {
					heard = time.Now()
					h.clearFault(name)
				} else if time.Since(heard) > linkDeaf {
					h.setFault(name, phrase.M("station.link_deaf", "link", name))
				}
			}
		}
	}, nil
}

// heardBy takes one message of a terminal. Who sent it proves nothing: a warning is
// believed by its own signature, and what is none is counted and left.
func (h *House) heardBy(ctx context.Context, name string, l config.Link, m drivers.Incoming) {
	b := m.Bytes
	if m.Text != "" {
		if x, ok := compact.ReadText(m.Text); ok {
			b = x
		}
	}
	if beacon.Is(b) && !m.GB2312 {
		h.beacons.take(name, b)
		return
	}
	if m.GB2312 || !compact.Is(b) {
		h.write(journal.Record{Kind: "link.unread", At: h.clock.Now(), Message: phrase.M("station.link_unread", "link", name, "bytes", len(b))}, nil)
		return
	}
	j := &job{way: name, only: l.Issuers, compact: true}
	if err := h.county.bring(ctx, b, wayAir, j); err != nil && ctx.Err() == nil {
		h.log.Warn("a warning by a narrow link was not judged", "link", name, "err", err)
	}
}

// terminals are those that run, by the names of their links.
type terminals struct {
	mu  sync.Mutex
	all map[string]drivers.Terminal
}

// hold enters one; what it gives takes it out again.
func (t *terminals) hold(name string, d drivers.Terminal) func() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[string]drivers.Terminal{}
	}
	t.all[name] = d
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.all[name] == d {
			delete(t.all, name)
		}
	}
}

// now gives those that may transmit.
func (t *terminals) now() map[string]drivers.Terminal {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := maps.Clone(t.all)
	maps.DeleteFunc(all, func(_ string, d drivers.Terminal) bool { return !d.Limits().Transmit })
	return all
}
