package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// cycles counts starts that soon ended. Many short ones, as a technician makes them by
// pulling the plug and as a storm makes them by itself, do one thing only: they bring up the
// service access point. They reset nothing and disarm nothing.
type cycles struct {
	Short int `json:"short"`
}

const (
	cyclesEnough = 5
	cyclesLong   = 30 * time.Second // a start that lasts this long is no short one
	serviceFor   = 30 * time.Minute
)

func cyclesFile() string { return filepath.Join(dataDir, "init-cycles.json") }

// countCycle counts this start, and forgets the count when it has lasted.
func (b *board) countCycle() error {
	c, err := readCycles(cyclesFile())
	c.Short++
	if e := writeCycles(cyclesFile(), c); err == nil {
		err = e
	}
	b.cycles = c
	time.AfterFunc(cyclesLong, func() { b.attempt("cycles", func() error { return writeCycles(cyclesFile(), cycles{}) }) })
	return err
}

func readCycles(path string) (c cycles, err error) {
	t, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err == nil && (json.Unmarshal(t, &c) != nil || c.Short < 0 || c.Short > 1000) {
		c = cycles{} // a cut of the power can leave anything here, and it matters little
	}
	return c, err
}

func writeCycles(path string, c cycles) error {
	t, err := json.Marshal(c)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(t)
	return errors.Join(err, f.Sync(), f.Close()) // the next thing that happens is the power's end
}

// service tells whether this start shall bring up the service access point.
func (c cycles) service() bool { return c.Short >= cyclesEnough }

// How long the button is held: for the access point, and for a reset, which needs the
// box's own secret besides.
const (
	holdService = 3 * time.Second
	holdReset   = 10 * time.Second
)

// hold is what a press of a length asks for.
func hold(d time.Duration) string {
	switch {
	case d >= holdReset:
		return "reset"
	case d >= holdService:
		return "service"
	}
	return ""
}

// watchButton reads the board's buttons, those that come later too.
func (b *board) watchButton(ctx context.Context) {
	read := map[string]bool{}
	t := time.NewTicker(2 * time.Second)
	defer t.Stop()
	for {
		files, _ := filepath.Glob("/dev/input/event*")
		for _, path := range files {
			if !read[path] {
				read[path] = true
				b.say("button: listening to %s", path)
				b.beside("button", func() { b.readButton(ctx, path) })
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
