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
	_ "time/tzdata"

	"github.com/coreos/go-systemd/v22/daemon"

	"tocsin/cmd/hubd/console"
	"tocsin/cmd/hubd/engine"
	"tocsin/cmd/hubd/gateway"
	"tocsin/cmd/hubd/hubfile"
	"tocsin/cmd/hubd/issue"
	"tocsin/cmd/hubd/logbook"
	"tocsin/cmd/hubd/post"
	"tocsin/cmd/hubd/talk"
	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/narrow"
)

// RunCmd runs the hub.
type RunCmd struct {
	Config string `short:"c" required:"" type:"path" placeholder:"FILE" help:"中心文件 · the hub's file"`
	Zone   string `default:"Asia/Shanghai" help:"网页上的时区 · the page's time zone"`
}

// Run runs until it is told to end.
func (c *RunCmd) Run(g *Globals) error {
	f, ps := hubfile.Load(c.Config)
	tell(os.Stderr, ps, g.lang())
	if f == nil {
		return exitCode(exitUsage)
	}
	zone, err := time.LoadLocation(c.Zone)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = serve(ctx, f, zone, log, func(h *hub) {
		// Other programs and tests find the ports by these lines.
		fmt.Fprintf(g.out(), "nats %v\npage %v\n", h.engine.Addr(), h.console.PageAddr())
		for _, w := range h.gateways {
			if d, ok := w.(*gateway.Datagrams); ok {
				fmt.Fprintf(g.out(), "datagrams %v\n", d.Addr())
			}
		}
		if h.pictured != nil {
			fmt.Fprintf(g.out(), "whip %v\n", h.pictured.whip.Addr())
		}
		if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
			log.Warn("systemd", "err", err)
		}
	})
	if !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// reopenAfter is before a hub whose store stopped is started again.
const reopenAfter = 5 * time.Second

// serve runs a hub until ctx ends. One whose store has stopped writing is started again, until it writes; what stations
// sent meanwhile was not acknowledged, and they have it.
func serve(ctx context.Context, f *hubfile.File, zone *time.Location, log *slog.Logger, up func(*hub)) error {
	for began := false; ; began = true {
		h, err := open(ctx, f, zone, log)
		if err != nil && !began {
			return err
		}
		if err == nil {
			up(h)
			select {
			case <-ctx.Done():
			case err = <-h.sick:
			}
			h.close()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		log.Error("the store does not write; the hub starts again", "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(reopenAfter):
		}
	}
}

// How far back the logbook reads after a start.
const (
	alarmsFor    = 14 * 24 * time.Hour
	telemetryFor = 3 * 24 * time.Hour
)

// roomLeast is how many bytes must be free before the store is opened.
const roomLeast = 4 << 20

// room proves it by writing them.
func room(dir string) error {
	f, err := os.CreateTemp(dir, "room-*")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, roomLeast))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}

// hub is one that runs.
type hub struct {
	engine   *engine.Engine
	post     *post.Post
	book     *logbook.Book
	console  *console.Console
	gateways []gateway.Gateway
	pictured *pictured // nil without live pictures
	talk     *talk.Desk
	guard    *guard.Guard
	log      *slog.Logger
	sick     chan error // the store has stopped
	end      context.CancelFunc
}

// open starts all parts, the store first.
func open(ctx context.Context, f *hubfile.File, zone *time.Location, log *slog.Logger) (_ *hub, err error) {
	ctx, end := context.WithCancel(ctx)
	h := &hub{end: end, sick: make(chan error, 1), guard: guard.New(ctx, log, nil), log: log}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	for _, dir := range []string{f.Data, filepath.Dir(f.Socket)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, phrase.Wrap(err, "hubd.data_dir", "dir", dir)
		}
	}
	// A store that is opened on a full disk may lose the description of its streams.
	if err := room(f.Data); err != nil {
		return nil, phrase.Wrap(err, "hubd.no_room", "dir", f.Data, "least", roomLeast>>20)
	}
	if h.engine, err = engine.Open(ctx, f, log); err != nil {
		return nil, err
	}
	h.post, h.book = post.New(h.engine, f, log), logbook.New(f)
	o := console.Opts{File: f, Office: h.post, Book: h.book, Terminals: h.terminals, Log: log, Guard: h.guard}
	if dir := os.Getenv("RUNTIME_DIRECTORY"); dir != "" { // systemd's, in RAM
		o.Sessions = filepath.Join(dir, "sign-ins")
	}
	if h.console, err = console.New(ctx, o); err != nil {
		return nil, err
	}
	if err := h.startTalk(f, log); err != nil {
		return nil, err
	}
	for _, d := range f.Datagrams {
		w, err := gateway.NewDatagrams(gateway.Opts{File: f, Link: d, Post: h.post, Guard: h.guard, Log: log, Now: time.Now, After: time.After})
		if err != nil {
			return nil, err
		}
		h.gateways = append(h.gateways, w)
	}
	if len(f.Terminals) > 0 {
		if err := h.narrow(f, log); err != nil {
			return nil, err
		}
	}
	if f.Pictures != nil {
		if err := h.see(f, zone, log); err != nil {
			return nil, err
		}
	}
	for _, w := range h.gateways {
		for _, l := range w.Left() {
			h.book.Leave(l.Station, w.Name(), l.Why)
		}
	}
	if err := h.serveReleases(f); err != nil {
		return nil, err
	}
	h.post.OnCopy(h.book.Also)
	h.guard.Go("engine", "watch", guard.Once, func(ctx context.Context) error {
		err := h.engine.Watch(ctx)
		h.sick <- err
		return err
	})
	h.guard.Go("post", "copies", guard.Restart, h.post.Copies)
	h.guard.Go("post", "ledger", guard.Restart, h.post.Ledger)
	h.guard.Go("post", "receipts", guard.Restart, h.post.Watch)
	h.guard.Go("post", "sent", guard.Restart, h.post.WatchDown)
	now := time.Now()
	// Red and orange alarms come as warnings.
	for c, since := range map[letter.Class]time.Duration{letter.Warning: alarmsFor, letter.Receipt: alarmsFor, letter.Alarm: alarmsFor, letter.Telemetry: telemetryFor} {
		h.guard.Go("logbook", fmt.Sprint("class ", c), guard.Restart, func(ctx context.Context) error {
			return h.post.Letters(ctx, now.Add(-since), c, h.book.Take)
		})
	}
	h.guard.Go("console", "desk", guard.Restart, h.console.RunDesk)
	h.guard.Go("console", "page", guard.Restart, h.console.RunPage)
	h.guard.Go("console", "sweep", guard.Restart, h.console.RunSweep)
	for _, w := range h.gateways {
		h.guard.Go("gateway", w.Name(), guard.Restart, w.Run)
	}
	return h, nil
}

// narrow makes the gateways for short messages. All share what keeps their counters: a station has one counter, over
// all its links.
func (h *hub) narrow(f *hubfile.File, log *slog.Logger) error {
	keeper, err := gateway.NewKeeper(filepath.Join(f.Data, "narrow"))
	if err != nil {
		return err
	}
	counters := narrow.NewCounters(keeper)
	for _, t := range f.Terminals {
		d, err := gateway.Device(t, h.guard.Starter("gateway "+t.Name))
		if err != nil {
			return phrase.Wrap(err, "hubd.terminal_open", "name", t.Name, "detail", err)
		}
		w := gateway.NewNarrow(gateway.NarrowOpts{
			File: f, Terminal: t, Device: d, Post: h.post, Keep: keeper, Counters: counters, Guard: h.guard, Log: log, Now: time.Now, Mono: clock.Mono,
			Clock: func() (time.Time, time.Duration, bool) {
				within, ok := clock.KernelBound()
				return time.Now(), within, ok
			},
			Warning: func(b []byte, at time.Time) (time.Time, bool) {
				n, err := issue.NamesOf(f, b, at)
				return n.Until, err == nil
			},
			Reached: func(names string) map[letter.Station]bool {
				out := map[letter.Station]bool{}
				for s, r := range h.book.Reached(logbook.ReadNames(names)) {
					out[s] = !r.At.IsZero()
				}
				return out
			},
		})
		h.book.OnStage(w.Receipt)
		h.gateways = append(h.gateways, w)
	}
	h.guard.Go("gateway", "keep", guard.Restart, keeper.Run)
	return nil
}

// terminals tells how the gateways for short messages do.
func (h *hub) terminals() (all []gateway.NarrowState) {
	for _, g := range h.gateways {
		if n, ok := g.(*gateway.Narrow); ok {
			all = append(all, n.State())
		}
	}
	return all
}

// close ends all parts, the store last.
func (h *hub) close() {
	h.end()
	if h.pictured != nil {
		h.pictured.close(h.log)
	}
	h.guard.Wait(10 * time.Second)
	if h.engine != nil {
		h.engine.Close()
	}
}
