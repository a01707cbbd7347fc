package station

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/feed"
	"tocsin/firmware/reach/inbox"
	"tocsin/firmware/serve/api"
)

// waysIn are the feeds, folders and sticks that run, from the goroutine that starts
// and reloads.
type waysIn map[string]wayIn

// wayEnds is how long a reload waits for a way that it ends.
const wayEnds = 5 * time.Second

type wayIn struct {
	config any
	end    context.CancelFunc
	done   chan struct{}
}

// feedWay is a feed and who is believed. What it names was judged by those: where they
// change it is judged anew, since a feed shows what it has only once.
type feedWay struct {
	config.Feed
	judge string
}

// startWays starts the ways of a site and ends those that are no more or differ. A
// way that cannot be opened is a fault, and the others run.
func (h *House) startWays(ctx context.Context, bp *Blueprint) {
	a, judge := bp.Doc.Site.Alerts, bp.Trust.Digest()
	want := map[string]any{}
	for name, f := range a.Feeds {
		want["feed "+name] = feedWay{f, judge}
	}
	for name, f := range a.Folders {
		want["folder "+name] = f
	}
	for name, f := range a.Sticks {
		want["stick "+name] = f
	}
	if t := bp.Doc.Site.Time; len(t.NTP) > 0 {
		want["time servers"] = timeServers(t.NTP)
	}
	if p := bp.Doc.Site.Time.PPS; p != "" {
		want["pulse "+p] = timePulse(p)
	}
	if c := bp.Doc.Site.Time.RTC; c != "" {
		want["clock chip "+c] = timeChip(c)
	}
	for name, m := range bp.Doc.Site.MQTT {
		want["mqtt "+name] = m
	}
	for name, w := range h.ways {
		if c, there := want[name]; there && reflect.DeepEqual(c, w.config) {
			continue
		}
		w.end()
		select {
		case <-w.done:
		case <-time.After(wayEnds):
			h.log.Error("a way in does not end; another is begun beside it", "way", name)
		}
		h.clearFault(name)
		h.clearFault(name + " alerts")
		delete(h.ways, name)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if _, runs := h.ways[name]; runs {
			continue
		}
		run, err := h.wayIn(name, want[name])
		if err != nil {
			h.setFault(name, phrase.M("station.way_failed", "way", name, "detail", err))
			continue
		}
		ctx, end := context.WithCancel(ctx)
		done := make(chan struct{})
		h.guard.GoIn(ctx, "reach", name, guard.Restart, func(ctx context.Context) error {
			err := run(ctx)
			if ctx.Err() != nil {
				close(done)
			}
			return err
		})
		h.ways[name] = wayIn{want[name], end, done}
	}
}

func (h *House) wayIn(name string, c any) (func(context.Context) error, error) {
	switch x := c.(type) {
	case timeServers:
		return h.times.servers(x), nil
	case config.MQTT:
		return h.platform(name, x)
	case timePulse:
		return h.times.pulse(string(x), openPulse(string(x))), nil
	case timeChip:
		return h.times.chip(string(x)), nil
	}
	start := func(job string, run func()) {
		h.guard.Go("reach", name+" "+job, guard.Once, func(context.Context) error { run(); return nil })
	}
	fault := func(thing string, why phrase.Message) {
		if why.IsZero() {
			h.clearFault(thing)
		} else {
			h.setFault(thing, why)
		}
	}
	if f, ok := c.(feedWay); ok {
		var ca []byte
		if f.CA != "" {
			var err error
			if ca, err = os.ReadFile(beside(h.seen().bp.Doc.File, f.CA)); err != nil {
				return nil, err
			}
		}
		x, err := feed.New(feed.Opts{
			Name: strings.TrimPrefix(name, "feed "), URL: f.URL, Every: f.Every.Duration(), SilentAfter: f.SilentAfter.Duration(), CA: ca, Hosts: f.Hosts, Judge: f.judge,
			Memory: h.journal, Clock: h.clock, Rand: rand.Float64, Fault: fault, Log: h.log, Start: start,
			Take: func(ctx context.Context, raw []byte, way string) error {
				j := &job{way: way, only: f.Issuers}
				err := h.county.bring(ctx, raw, wayFeed, j)
				switch {
				case errors.Is(err, api.ErrBusy), ctx.Err() != nil:
					return fmt.Errorf("%w: %w", feed.ErrLater, err)
				case err == nil && j.verdict.Trusted && !j.taken:
					// Sent ahead of this box's clock, or no room: neither lasts.
					return fmt.Errorf("%w: %w", feed.ErrAgain, &phrase.Error{Message: said(j.verdict.Outcome)})
				}
				return err
			},
		})
		if err != nil {
			return nil, err
		}
		return x.Run, nil
	}
	f := c.(config.Folder)
	o := inbox.Opts{
		Dir: f.Path, Every: f.Every.Duration(), Memory: h.journal, Clock: h.clock, Fault: fault, Log: h.log, Start: start,
		TakeAlert: func(ctx context.Context, raw []byte, way string) (bool, phrase.Message, error) {
			j := &job{way: way, only: f.Issuers}
			err := h.county.bring(ctx, raw, wayFile, j)
			return j.taken, said(j.verdict.Outcome), later(ctx, err)
		},
		TakeCommand: func(ctx context.Context, raw []byte, way string) (bool, phrase.Message, error) {
			j := &job{way: way, only: f.Issuers, command: true}
			err := h.county.bring(ctx, raw, wayFile, j)
			return j.commanded.Accepted, said(j.commanded.Outcome), later(ctx, err)
		},
	}
	open := inbox.NewFolder
	kind, id, _ := strings.Cut(name, " ")
	if o.Name = id; kind == "stick" {
		open = inbox.NewStick
	}
	x, err := open(o)
	if err != nil {
		return nil, err
	}
	return x.Run, nil
}

func said(t api.Text) phrase.Message {
	return phrase.M("error.plain", "text", phrase.Text{ZH: t.ZH, EN: t.EN})
}

// later tells an inbox whether a message that could not be judged may come again.
func later(ctx context.Context, err error) error {
	if errors.Is(err, api.ErrBusy) || ctx.Err() != nil && err != nil {
		return fmt.Errorf("%w: %w", inbox.ErrLater, err)
	}
	return err
}

// beside gives a file's path as a site's file writes it.
func beside(site, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(site), name)
}
