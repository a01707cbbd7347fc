// Package diary holds the last lines of the program's log in RAM, for the page and the
// support bundle. It is bounded by lines and bytes, waits for nobody, and passes each
// line on to the handler that it wraps.
package diary

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Line is one line of the log.
type Line struct {
	Seq   int64
	At    time.Time
	Level slog.Level
	Text  string
}

// Diary holds lines. Use New.
type Diary struct {
	most, mostBytes int

	mu    sync.Mutex
	lines []Line // oldest first
	bytes int
	next  int64
}

// New makes one that holds most lines and mostBytes of them.
func New(most, mostBytes int) *Diary { return &Diary{most: most, mostBytes: mostBytes} }

// MostLine is where a line is cut.
const MostLine = 2048

func (d *Diary) put(l Line) {
	if len(l.Text) > MostLine {
		l.Text = strings.ToValidUTF8(l.Text[:MostLine], "") + "…"
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next++
	l.Seq = d.next
	d.lines, d.bytes = append(d.lines, l), d.bytes+len(l.Text)
	gone := 0
	for gone < len(d.lines)-1 && (len(d.lines)-gone > d.most || d.bytes > d.mostBytes) {
		d.bytes -= len(d.lines[gone].Text)
		gone++
	}
	d.lines = slices.Delete(d.lines, 0, gone)
}

// Lines gives what was written after a line, of a level and above, oldest first; at most
// the newest limit of them.
func (d *Diary) Lines(after int64, least slog.Level, limit int) []Line {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []Line
	for _, l := range d.lines {
		if l.Seq > after && l.Level >= least {
			out = append(out, l)
		}
	}
	return out[max(0, len(out)-limit):]
}

// Handler gives a handler that writes here and to next.
func (d *Diary) Handler(next slog.Handler) slog.Handler { return &handler{d: d, next: next} }

type handler struct {
	d      *Diary
	next   slog.Handler
	prefix string // of groups
	with   string // attributes that were given before
}

func (h *handler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	b.WriteString(h.with)
	r.Attrs(func(a slog.Attr) bool { write(&b, h.prefix, a); return b.Len() < MostLine })
	h.d.put(Line{At: r.Time, Level: r.Level, Text: b.String()})
	return h.next.Handle(ctx, r)
}

func (h *handler) WithAttrs(as []slog.Attr) slog.Handler {
	c := *h
	var b strings.Builder
	b.WriteString(h.with)
	for _, a := range as {
		write(&b, h.prefix, a)
	}
	c.with, c.next = b.String(), h.next.WithAttrs(as)
	return &c
}

func (h *handler) WithGroup(name string) slog.Handler {
	c := *h
	c.prefix, c.next = h.prefix+name+".", h.next.WithGroup(name)
	return &c
}

func write(b *strings.Builder, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		for _, x := range v.Group() {
			write(b, prefix+a.Key+".", x)
		}
		return
	}
	if s := v.String(); strings.ContainsAny(s, " =\"\n\t") {
		fmt.Fprintf(b, " %s%s=%q", prefix, a.Key, s)
	} else {
		fmt.Fprintf(b, " %s%s=%s", prefix, a.Key, s)
	}
}
