package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/station"
)

// run runs the box until it is told to end.
func run(l line) error {
	station.Begin()
	out := logTo(os.Stderr)
	defer out.Close(time.Second)
	var h slog.Handler = slog.NewTextHandler(out, nil)
	if l.log == "json" {
		h = slog.NewJSONHandler(out, nil)
	}
	log := slog.New(h)
	slog.SetDefault(log)

	for _, dir := range []string{l.data, filepath.Dir(l.socket)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			log.Error("directory", "err", err) // the alarm path does without
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A change of the site's file that nobody confirmed goes before the file is read.
	revisions := station.OpenRevisions(guard.New(ctx, log, nil), l.config, l.data)
	revisions.Wait(revisionsWait)
	bp, problems, fallen := station.LoadLasting(l.config, l.data)
	for _, p := range problems {
		fmt.Fprintln(out, p.In(l.said()))
	}
	if bp == nil {
		return exitCode(exitSite)
	}
	var wrong []config.Problem
	if fallen {
		log.Error("the site file cannot be used, or is lost: the last good one is run instead, if there is one", "file", l.config)
		wrong = problems
	}
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	period, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("watchdog", "err", err)
	}
	log.Info("edged", "version", station.Version, "built", station.BuildTime().Format(time.RFC3339), "site", bp.Doc.Site.Site.Name.EN)
	err = station.Run(ctx, bp, station.Opts{
		Bench:     l.bench,
		Revisions: revisions, Data: l.data, Memory: os.Getenv("TOCSIN_MEMORY"), Wrong: wrong, Socket: l.socket, Listen: l.listen, Log: log, Watchdog: period,
		CrashOutput: func(f *os.File) error { return debug.SetCrashOutput(f, debug.CrashOptions{}) },
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

// exitSite is the code for a site's file that cannot be run, and no good one before it:
// EX_CONFIG of sysexits.h. By 2 any panic ends, too, and whoever watches this process must
// not take a crash for a file that is wrong.
const exitSite = 78

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
