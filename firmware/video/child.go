package video

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
	"tocsin/firmware/video/terms"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
)

// planMost bounds a plan, in bytes.
const planMost = 1 << 20

// Child is the whole of the process: it reads its plan, serves the parent and relays
// until ctx ends.
func Child(ctx context.Context, log *slog.Logger) error {
	f := os.NewFile(terms.PlanFile, "plan")
	if f == nil {
		return errors.New("no plan: edged run starts this")
	}
	b, err := io.ReadAll(io.LimitReader(f, planMost))
	f.Close()
	if err != nil {
		return phrase.Wrap(err, "video.plan")
	}
	var p terms.Plan
	if err := json.Unmarshal(b, &p); err != nil {
		return phrase.Wrap(err, "video.plan")
	}
	s := os.NewFile(terms.SocketFile, "socket")
	l, err := net.FileListener(s)
	s.Close()
	if err != nil {
		return phrase.Wrap(err, "video.plan")
	}
	return Serve(ctx, p, l, log)
}

// Serve relays by a plan, and answers at l, until ctx ends.
func Serve(ctx context.Context, p terms.Plan, l net.Listener, log *slog.Logger) error {
	defer l.Close()
	failed := make(chan guard.Event, 8)
	g := guard.New(ctx, log, func(e guard.Event) {
		select {
		case failed <- e:
		default:
		}
	})
	r, err := New(p, g, clock.NewSystem(p.Floor, p.Trust), log)
	if err != nil {
		return err
	}
	h := &http.Server{Handler: r.Handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	g.Go("video", "control", guard.Once, func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() { h.Close() })
		defer stop()
		if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	err = r.Run(ctx)
	h.Close()
	g.Wait(5 * time.Second)
	return err
}
