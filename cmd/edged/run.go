package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/station"
)

// RunCmd runs the box.
type RunCmd struct {
	Config string `short:"c" required:"" type:"path" placeholder:"FILE" help:"站点文件 · the site's file"`
	Data   string `default:"/var/lib/tocsin" type:"path" help:"数据目录 · directory of journal and clock"`
	Listen string `help:"网页地址，off 为不开 · address of the page, off for none"`
	Bench  string `hidden:"" type:"path" help:"台架的升级和网络 · folder of a bench's installer and network"`
	Log    string `enum:"text,json" default:"text" help:"日志格式 · format of the log"`
}

// Run runs until it is told to end.
func (c *RunCmd) Run(g *Globals) error {
	out := logTo(os.Stderr)
	defer out.Close(time.Second)
	var h slog.Handler = slog.NewTextHandler(out, nil)
	if c.Log == "json" {
		h = slog.NewJSONHandler(out, nil)
	}
	log := slog.New(h)
	slog.SetDefault(log)

	for _, dir := range []string{c.Data, filepath.Dir(g.Socket)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			log.Error("directory", "err", err) // the alarm path does without
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A change of the site's file that nobody confirmed goes before the file is read.
	revisions := station.OpenRevisions(guard.New(ctx, log, nil), c.Config, c.Data)
	revisions.Wait(revisionsWait)
	bp, problems, fallen := station.LoadLasting(c.Config, c.Data)
	for _, p := range problems {
		fmt.Fprintln(out, p.In(g.lang()))
	}
	if bp == nil {
		return exitCode(2)
	}
	var wrong []config.Problem
	if fallen {
		log.Error("the site file cannot be used: the last good one is run instead", "file", c.Config)
		wrong = problems
	}
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	period, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("watchdog", "err", err)
	}
	log.Info("edged", "version", station.Version, "built", station.BuildTime().Format(time.RFC3339), "site", bp.Doc.Site.Site.Name.EN)
	program, err := os.Executable()
	if err != nil {
		log.Warn("no PDFs", "err", err)
	}
	err = station.Run(ctx, bp, station.Opts{
		Program: program, Bench: c.Bench,
		Revisions: revisions, Data: c.Data, Wrong: wrong, Socket: g.Socket, Listen: c.Listen, Log: log, Watchdog: period,
		Notify: func(state string) {
			if _, err := daemon.SdNotify(false, state); err != nil {
				log.Warn("sd_notify", "err", err)
			}
		},
	}, reload)
	if errors.Is(err, station.ErrRestart) {
		// In place: whoever watches this process goes on watching it.
		out.Close(time.Second)
		return again()
	}
	return err
}

// revisionsWait is how long a slow disk may hold up the start for the revisions' sake.
const revisionsWait = 2 * time.Second

// again begins this program anew in this process' place.
func again() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, os.Environ())
}
