package diary

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
)

func TestTheNewestLinesAreHeldAndPassedOn(t *testing.T) {
	var out strings.Builder
	d := New(10, 1<<20)
	log := slog.New(d.Handler(slog.NewTextHandler(&out, nil))).With("line", "west").WithGroup("unit")
	for i := range 25 {
		log.Info("asked", "n", i)
	}
	log.Debug("not wanted")
	log.Warn("no answer", "why", "timeout after 1 s", slog.Group("of", "id", 7))
	l := d.Lines(0, slog.LevelInfo, 100)
	if len(l) != 10 || l[9].Text != `no answer line=west unit.why="timeout after 1 s" unit.of.id=7` || l[0].Seq != 17 {
		t.Errorf("%d lines, the last %+v, the first %+v", len(l), l[len(l)-1], l[0])
	}
	if w := d.Lines(0, slog.LevelWarn, 100); len(w) != 1 {
		t.Errorf("%d warnings", len(w))
	}
	if n := d.Lines(l[7].Seq, slog.LevelInfo, 100); len(n) != 2 {
		t.Errorf("%d lines after the eighth", len(n))
	}
	if n := strings.Count(out.String(), "\n"); n != 26 {
		t.Errorf("%d lines were passed on", n)
	}
}

func TestLongLinesAreCutAndBytesBounded(t *testing.T) {
	d := New(1000, 10_000)
	log := slog.New(d.Handler(slog.NewTextHandler(io.Discard, nil)))
	for i := range 50 {
		log.Info(strings.Repeat("警", 5000), "i", fmt.Sprint(i))
	}
	n := 0
	for _, l := range d.Lines(0, slog.LevelInfo, 1000) {
		n += len(l.Text)
	}
	if n > 10_000 || n == 0 {
		t.Errorf("%d bytes are held", n)
	}
}
