// Command village is the demonstration: a simulated village that looks like
// hardware from outside, a real edged on its lines, a storm, and a drone over it. It
// touches no real port. Every step is checked from outside, by what the bench's sirens and
// loudspeaker did, by what a browser decoded, and by what edged's own journal says; it ends
// with 0 only if each was seen.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	edged := flag.String("edged", "out/bin/edged", "the edged to run")
	hubd := flag.String("hubd", "out/bin/hubd", "the hubd to run")
	out := flag.String("out", "out/demo", "where the summary, the sound and the screenshots go")
	limit := flag.Duration("for", 0, "run unattended, at most this long; 0: stay up after the storm")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code, err := run(ctx, *edged, *hubd, *out, *limit)
	if err != nil {
		fmt.Fprintln(os.Stderr, "village:", err)
		code = 1
	}
	os.Exit(code)
}

func run(ctx context.Context, edged, hubd, out string, limit time.Duration) (int, error) {
	edged, err := filepath.Abs(edged)
	if err != nil {
		return 1, err
	}
	if hubd, err = filepath.Abs(hubd); err != nil {
		return 1, err
	}
	if out, err = filepath.Abs(out); err != nil {
		return 1, err
	}
	began := time.Now()
	d, err := newDemo(edged, hubd, out)
	if err != nil {
		return 1, err
	}
	defer d.close()
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	d.play(ctx)
	d.sum.Seconds = time.Since(began).Seconds()
	ok := d.sum.finish(limit)
	if err := d.save(); err != nil {
		return 1, err
	}
	d.sum.print(os.Stdout)
	if limit == 0 {
		d.stay(ctx, os.Stdin)
	}
	if !ok {
		return 1, nil
	}
	return 0, nil
}
