package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// spool writes the log in a goroutine of its own, so that nobody who logs ever
// waits for whoever reads it: a serial console that was stopped by one character,
// a journal daemon whose disk is full, a pipe that nobody empties. Lines that find
// no room are lost and counted.
type spool struct {
	w     io.Writer
	lines chan []byte
	lost  atomic.Int64
	done  chan struct{}

	mu     sync.Mutex
	closed bool
}

// The spool holds 4 MiB at the most.
const (
	spoolLines = 1024
	spoolLine  = 4096
)

// logTo gives a spool on a file that may be a pipe: where its reader dies, the
// lines are lost and not the box.
func logTo(f *os.File) *spool {
	signal.Ignore(syscall.SIGPIPE)
	return newSpool(f)
}

func newSpool(w io.Writer) *spool {
	s := &spool{w: w, lines: make(chan []byte, spoolLines), done: make(chan struct{})}
	go s.pump()
	return s
}

func (s *spool) pump() {
	defer close(s.done)
	for b := range s.lines {
		if n := s.lost.Swap(0); n > 0 {
			fmt.Fprintf(s.w, "level=ERROR msg=\"log lines lost\" n=%d\n", n)
		}
		s.w.Write(b) // nowhere to report that the log cannot be written
	}
}

// Write takes a line and never waits.
func (s *spool) Write(p []byte) (int, error) {
	line := make([]byte, min(len(p), spoolLine))
	if copy(line, p) < len(p) {
		line[len(line)-1] = '\n'
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return len(p), nil
	}
	select {
	case s.lines <- line:
	default:
		s.lost.Add(1)
	}
	return len(p), nil
}

// Close writes what is left, within d.
func (s *spool) Close(d time.Duration) {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.lines)
	}
	s.mu.Unlock()
	select {
	case <-s.done:
	case <-time.After(d):
	}
}
