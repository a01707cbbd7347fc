package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// ringSize is how much of the log init keeps, in bytes.
const ringSize = 256 << 10

// longest is the longest line that is kept; the rest of a longer one is cut off.
const longest = 2048

// ring is the last of what init and edged said. What goes to the console is also kept by
// the kernel over a reset, where the board has memory for that (ramoops).
type ring struct {
	mu      sync.Mutex
	lines   []string
	size    int
	most    int
	console io.Writer
	pace    map[string]*pace
}

// pace bounds how many lines of somebody's the console gets: a serial console takes a
// hundred a second, and what waits for it waits in the kernel.
type pace struct {
	left float64
	at   time.Time
}

const (
	paceBurst  = 200 // a crash with the stack of each goroutine that matters
	paceSecond = 20
)

func (p *pace) allows(now time.Time) bool {
	p.left = min(paceBurst, p.left+paceSecond*now.Sub(p.at).Seconds())
	p.at = now
	if p.left < 1 {
		return false
	}
	p.left--
	return true
}

func newRing(most int) *ring { return &ring{most: most} }

// openConsole is where lines go beside: /dev/kmsg, whose lines the kernel prints and keeps.
// By itself it drops all but ten of them in five seconds, and with them the last words of
// who crashes (kernel.printk_devkmsg): here the ring bounds how fast they come.
func openConsole() io.Writer {
	_ = os.WriteFile("/proc/sys/kernel/printk_devkmsg", []byte("on\n"), 0) // without the end of the line it is refused
	f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		return os.Stderr
	}
	return f
}

func (r *ring) line(who, s string) {
	s = clean(s)
	l := fmt.Sprintf("%s %s: %s", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), who, s)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines, r.size = append(r.lines, l), r.size+len(l)+1
	n := 0
	for r.size > r.most && n < len(r.lines)-1 {
		r.size -= len(r.lines[n]) + 1
		n++
	}
	if n > 0 {
		r.lines = append(r.lines[:0:0], r.lines[n:]...)
	}
	if r.console != nil && r.paced(who) {
		// One write, one record; level 4 is one that the console shows (loglevel=5).
		fmt.Fprintf(r.console, "<4>%s: %s\n", who, s)
	}
}

func (r *ring) paced(who string) bool {
	now := time.Now()
	p := r.pace[who]
	if p == nil {
		p = &pace{left: paceBurst, at: now}
		if r.pace == nil {
			r.pace = map[string]*pace{}
		}
		r.pace[who] = p
	}
	return p.allows(now)
}

// clean leaves one line of printable text.
func clean(s string) string {
	if len(s) > longest {
		s = s[:longest] + " …"
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' && c != '\t' || c == 0x7f {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, "?"))
}

func (r *ring) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

// lineWriter makes lines of what a process writes.
type lineWriter struct {
	r    *ring
	who  string
	rest []byte
}

func (w *lineWriter) Write(b []byte) (int, error) {
	n := len(b)
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			break
		}
		w.r.line(w.who, string(append(w.rest, b[:i]...)))
		w.rest, b = w.rest[:0], b[i+1:]
	}
	if w.rest = append(w.rest, b...); len(w.rest) > longest {
		w.r.line(w.who, string(w.rest))
		w.rest = w.rest[:0]
	}
	return n, nil
}
