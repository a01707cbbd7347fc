package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"tocsin/firmware/video"
)

// VideoCmd is the child of edged run that relays live pictures; by hand it says what it
// lacks.
type VideoCmd struct{}

// Run relays until it is told to end.
func (*VideoCmd) Run(*Globals) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return video.Child(ctx, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo})))
}
