// Command edged-video is the box's video process: edged starts it where a site's file
// has a video section, gives it its plan and starts it again when it ends. It is a
// program of its own so that the box that warns carries none of what reads pictures from
// strangers; it holds no box key, no line and no siren. By hand it says what it lacks.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/video"
	"tocsin/firmware/video/terms"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "edged-video:", phrase.In(err, phrase.ZH)+" · "+phrase.In(err, phrase.EN))
		os.Exit(1)
	}
}

func run() error {
	if err := guard.ApplyCaps(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) == 2 && os.Args[1] == terms.SearchWord {
		// It needs the network and no file.
		if err := guard.Confine(nil, nil); err != nil && !errors.Is(err, guard.ErrUnconfined) {
			return err
		}
		return video.Search(ctx, os.Stdin, os.Stdout)
	}
	return video.Child(ctx, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo})))
}
