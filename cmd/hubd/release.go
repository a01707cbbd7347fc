package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/cmd/hubd/releases"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// ReleaseCmd is about software for stations.
type ReleaseCmd struct {
	Add      ReleaseAddCmd      `cmd:"" help:"放入一个升级包 · take a package in"`
	Offer    ReleaseOfferCmd    `cmd:"" help:"把一个版本提供给若干站；不写站即收回 · offer a release to stations; to none takes it back"`
	Activate ReleaseActivateCmd `cmd:"" help:"签名命令各站启用一个版本：没传到或有警报级别就等，到期为止 · order stations, signed, to activate a release: it waits for the release and for calm, until its end"`
	Withdraw ReleaseWithdrawCmd `cmd:"" help:"撤回还在等的启用命令 · withdraw an order that waits"`
	List     ReleaseListCmd     `cmd:"" help:"列出升级包、提供给了谁，各站运行、已传到、命令和结果（JSON） · print what is there, who may have it, and what each station runs, holds, was ordered, and how the last one ended"`
}

type releaseFile struct {
	Config string `short:"c" required:"" type:"path" placeholder:"FILE" help:"中心文件 · the hub's file"`
}

// releasesDir is where packages are.
func releasesDir(f *hubfile.File) string { return filepath.Join(f.Data, "releases") }

func (c releaseFile) open(g *Globals) (*releases.Shelf, *hubfile.File, error) {
	f, ps := hubfile.Load(c.Config)
	if f == nil {
		tell(os.Stderr, ps, g.lang())
		return nil, nil, exitCode(exitUsage)
	}
	s, err := releases.Open(releasesDir(f), time.Now)
	return s, f, err
}

// ReleaseAddCmd takes a package in.
type ReleaseAddCmd struct {
	releaseFile
	File string `arg:"" type:"existingfile" help:"升级包 · the package"`
}

// Run adds it.
func (c *ReleaseAddCmd) Run(g *Globals) error {
	s, _, err := c.open(g)
	if err != nil {
		return err
	}
	r, err := s.Add(c.File)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(g.out(), phrase.M("hubd.release_added", "version", r.Version, "number", r.Number, "size", r.Size).In(g.lang()))
	return err
}

// ReleaseOfferCmd offers one.
type ReleaseOfferCmd struct {
	releaseFile
	Number uint64   `arg:"" help:"版本序号 · the release's number"`
	To     []string `help:"站 · stations" placeholder:"STATION"`
	All    bool     `help:"所有站 · all stations"`
}

// Run offers it. Whether a station takes and activates it is the station's own to say.
func (c *ReleaseOfferCmd) Run(g *Globals) error {
	s, f, err := c.open(g)
	if err != nil {
		return err
	}
	for _, id := range c.To {
		if _, ok := f.Stations[id]; !ok {
			return phrase.E("county.no_station", "station", id)
		}
	}
	return s.Give(releases.Offer{Number: c.Number, To: c.To, Everybody: c.All})
}

// ReleaseListCmd lists them.
type ReleaseListCmd struct{ releaseFile }

// Run prints JSON. How stations stand only the running hub knows.
func (c *ReleaseListCmd) Run(g *Globals) error {
	s, f, err := c.open(g)
	if err != nil {
		return err
	}
	all, offered := s.All()
	out := map[string]any{"releases": all, "offers": offered}
	stations, err := softwareOf(f.Socket)
	if err == nil {
		out["stations"] = stations
	} else {
		fmt.Fprintln(os.Stderr, phrase.M("hubd.order_silent", "why", phrase.Of(err)).In(g.lang()))
	}
	return json.NewEncoder(g.out()).Encode(out)
}

// serveReleases answers stations that ask for software.
func (h *hub) serveReleases(f *hubfile.File) error {
	s, err := releases.Open(releasesDir(f), time.Now)
	if err != nil {
		return err
	}
	known := func(id letter.Station) bool { _, ok := f.Stations[string(id)]; return ok }
	h.guard.Go("releases", "answers", guard.Restart, func(ctx context.Context) error {
		sub, err := h.engine.Conn.Subscribe(letter.ReleasesAll, func(m *nats.Msg) {
			if err := m.Respond(s.Answer(m.Subject, m.Data, known)); err != nil {
				h.log.Debug("a station's question for software is not answered", "err", err)
			}
		})
		if err != nil {
			return phrase.Wrap(err, "hubd.engine")
		}
		<-ctx.Done()
		_ = sub.Unsubscribe()
		return ctx.Err()
	})
	return nil
}
