package station

import (
	"cmp"
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
	"tocsin/drivers/modem"
	"tocsin/drivers/sbd"
	"tocsin/drivers/serial"
	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/decide/beacon"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
)

// Terminals carry short messages. A warning of 78 bytes that its authority signed ends in
// the same verifier as one of any other way, whoever sent it; what is sealed is the
// county's alone (narrow.go).

const (
	linkBaud    = 115200
	sbdBaud     = 19200
	linkProfile = "beidou-bds3"
	linkAirtime = time.Second
	// linkDeaf is how long a terminal may be without a word before that is called.
	linkDeaf = 5 * time.Minute
	// unreadEvery is how often what nobody can read is told: anybody may send it.
	unreadEvery = 10 * time.Minute
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

// driver makes the driver of a link. Its port is opened when it runs.
func (s *linkRun) driver(name string, l config.Link) (drivers.Terminal, error) {
	baud := l.Baud
	if baud == 0 {
		if baud = linkBaud; l.Kind == kindSBD {
			baud = sbdBaud
		}
	}
	start := s.guard.Starter("reach")
	open := func() (drivers.Port, error) {
		return serial.Open(l.Port, serial.Opts{Baud: baud, Format: "8N1", Start: func(job string, run func()) { start("link "+name+" "+job, run) }})
	}
	t, sends := config.Transmit{}, l.Transmit != nil
	if sends {
		t = *l.Transmit
	}
	switch l.Kind {
	case kindMesh:
		o := meshtastic.Opts{Channel: l.Channel, Transmit: sends, Licence: t.Licence, Region: t.Band, Power: t.Power, Airtime: t.Airtime.Duration()}
		if o.Airtime == 0 {
			o.Airtime = linkAirtime
		}
		return meshtastic.New(open, o)
	case kindSBD:
		return sbd.New(open, sbd.Opts{Transmit: sends, Licence: t.Licence, IMEI: t.Card, Every: l.Every.Duration()})
	case kindModem:
		o := modem.Opts{Transmit: sends, Satellite: t.Satellite, Card: t.Card, Approval: t.Approval, Start: func(job string, run func()) { start("link "+name+" "+job, run) }}
		var err error
		if o.Profile, err = modemProfile(s.bp.FS, l); err != nil {
			return nil, err
		}
		if l.Sound != "" && o.Profile != nil && o.Profile.Call != nil && o.Profile.Call.Audio != nil {
			o.Audio = func() (drivers.Port, error) {
				return serial.Open(l.Sound, serial.Opts{Baud: cmp.Or(o.Profile.Call.Audio.Baud, linkBaud), Format: "8N1", Start: o.Start})
			}
		}
		return modem.New(open, o)
	}
	p, err := beidouProfile(s.bp.FS, l)
	if err != nil {
		return nil, err
	}
	return beidou.New(open, beidou.Opts{Profile: p, Transmit: sends, Card: t.Card, Approval: t.Approval, Tell: s.h.times.terminal("link " + name)})
}

// listener runs a terminal and hands on what it hears: at first only what is signed by its
// authority, and what the county seals as soon as its keys and counters are there. late, where
// it is set, is the link's place with the courier.
func (s *linkRun) listener(name string, l config.Link, late *lateLink) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		t, err := s.driver(name, l)
		if err != nil {
			s.h.setFault("terminal "+name, phrase.M("station.way_failed", "way", "link "+name, "detail", err))
			<-ctx.Done()
			return ctx.Err()
		}
		s.guard.GoIn(ctx, "reach", "link "+name+" terminal", guard.Restart, t.Run)
		defer s.h.onAir.hold(name, t)()
		s.guard.GoIn(ctx, "reach", "link "+name+" ear", guard.Restart, func(ctx context.Context) error { return s.deaf(ctx, name, l, t) })
		unread := &unread{}
		sealed := overSealed(l) && s.bp.Doc.Site.County != nil
		tick := time.NewTicker(2 * time.Second)
		defer tick.Stop()
		for {
			if sealed && s.ready() {
				n, err := s.openNarrow(name, l, t, unread)
				if err == nil {
					s.h.clearFault("sealed " + name)
					if late != nil {
						late.set(n)
					}
					return n.Run(ctx)
				}
				s.h.setFault("sealed "+name, phrase.M("station.link_unsealed", "link", name, "detail", phrase.Of(err)))
				late.says(err)
				tick.Reset(linkAgain)
			} else if ok, why := s.h.journal.State(); !ok {
				late.says(&phrase.Error{Message: why})
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case m := <-t.Received():
				s.h.heardBy(ctx, name, l, m, unread)
			case <-tick.C:
			}
		}
	}
}

// deaf calls a terminal that says nothing, or that cannot pass on a warning.
func (s *linkRun) deaf(ctx context.Context, name string, l config.Link, t drivers.Terminal) error {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	heard := time.Now()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if lim := t.Limits(); lim.Transmit && l.Kind == kindMesh && lim.Bytes < compact.Size {
			s.h.setFault("small "+name, phrase.M("station.link_small", "link", name, "bytes", lim.Bytes, "want", compact.Size))
		} else {
			s.h.clearFault("small " + name)
		}
		if t.State().Up {
			heard = time.Now()
			s.h.clearFault("terminal " + name)
		} else if time.Since(heard) > linkDeaf {
			s.h.setFault("terminal "+name, phrase.M("station.link_deaf", "link", name))
		}
	}
}

// unread counts what came and was nothing for this box, and says so now and then. One
// goroutine uses it.
type unread struct {
	n    int
	told time.Time
}

// heardBy takes one message of a terminal. Who sent it proves nothing: a warning is
// believed by its own signature, and what is none is counted and left.
func (h *House) heardBy(ctx context.Context, name string, l config.Link, m drivers.Incoming, u *unread) {
	b := m.Bytes
	if m.Text != "" {
		if x, ok := compact.ReadText(m.Text); ok {
			b = x
		}
	}
	if beacon.Is(b) && !m.GB2312 {
		h.beacons.take("link "+name, b)
		return
	}
	if m.GB2312 || !compact.Is(b) {
		if u.n++; u.told.IsZero() || time.Since(u.told) > unreadEvery {
			h.write(journal.Record{Kind: "link.unread", At: h.clock.Now(), Message: phrase.M("station.link_unread", "link", "link "+name, "bytes", max(len(b), len(m.Text)), "count", u.n)}, nil)
			u.n, u.told = 0, time.Now()
		}
		return
	}
	h.warnedByAir(ctx, name, l, b)
}

// warnedByAir has 78 signed bytes judged.
func (h *House) warnedByAir(ctx context.Context, name string, l config.Link, b []byte) error {
	err := h.county.bring(ctx, b, wayAir, &job{way: "link " + name, only: l.Issuers, compact: true})
	if err != nil && ctx.Err() == nil {
		h.log.Warn("a warning by a narrow link was not judged", "link", name, "err", err)
	}
	return err
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
