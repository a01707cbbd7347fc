package serial

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
)

// drip is a terminal on which a byte comes every char, until total came.
type drip struct {
	start time.Time
	char  time.Duration
	taken int
	total int
}

func (d *drip) Read(p []byte) (int, error) {
	if d.taken == d.total {
		return 0, errors.New("over")
	}
	next := d.start.Add(time.Duration(d.taken+1) * d.char)
	if wait := time.Until(next); wait > readTimeout {
		time.Sleep(readTimeout)
		return 0, io.EOF
	} else if wait > 0 {
		time.Sleep(wait)
	}
	n := min(int(time.Since(d.start)/d.char), d.total) - d.taken
	d.taken += n
	return n, nil
}
func (d *drip) Flush() error { return nil }
func (d *drip) Close() error { return nil }

// What is expected is taken in a wake for the first byte and one or two for the
// rest, each byte no later than it came; without a hint, in one for each.
func TestExpectSavesWakes(t *testing.T) {
	const char = 10 * time.Second / 9600
	for _, c := range []struct{ hint, total, least, most int }{{0, 40, 40, 40}, {40, 40, 2, 3}, {40, 5, 2, 2}, {5, 40, 30, 40}} {
		synctest.Test(t, func(t *testing.T) {
			p := &Port{
				path: "drip", tty: &drip{start: time.Now(), char: char, total: c.total}, ctl: control{-1}, char: char,
				rx: make(chan drivers.Chunk, queue), done: make(chan struct{}), ended: make(chan struct{}),
			}
			start := time.Now()
			p.Expect(c.hint)
			go p.pump()
			n, got := 0, 0
			var last time.Time
			for b := range p.Received() {
				n++
				got += len(b.B)
				last = b.At
			}
			if n < c.least || n > c.most || got != c.total {
				t.Errorf("%+v: %d wakes for %d bytes", c, n, got)
			}
			if late := last.Sub(start) - time.Duration(c.total)*char; late != 0 && c.hint <= c.total {
				t.Errorf("%+v: the last byte %v late", c, late)
			}
		})
	}
}
