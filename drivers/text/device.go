package text

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"tocsin/drivers"
)

// Opts says what the lines look like.
type Opts struct {
	// Start is what a line begins with, e.g. "$" or "$RAIN"; good lines that
	// begin otherwise are passed over. Fields are what follows it, and a
	// separator after it. Empty: every line counts.
	Start string
	// End ends a line. Its last byte does; the others are dropped where they
	// are there. Default "\r\n".
	End string
	// Separator stands between fields. Default ",".
	Separator string
	// Checksum is None (default), XOR, Sum or CRC16.
	Checksum string
	// MaxLine is how long a line may be without its end. Default, and most:
	// 512.
	MaxLine int
	// Poll, where set, is sent every Interval (1 s unless told) while somebody
	// waits for a line.
	Poll     []byte
	Interval time.Duration
}

const longest = 512

// Device is a sensor that sends lines: a drivers.Fields. Use New. One goroutine
// at a time calls Next; Close may be called from any.
type Device struct {
	held drivers.Reopener
	o    Opts

	port drivers.Port // as held gave it last

	line    []byte // what came of the present line
	spare   []byte // of the last chunk, not yet looked at
	at      time.Time
	skip    bool // until the next end: a line that is too long, or half
	ask     time.Time
	garbled atomic.Int64
}

// New makes one over a port that open gives at the first Next and after the
// port was gone, once a Next at most.
func New(open func() (drivers.Port, error), o Opts) (*Device, error) {
	if o.End == "" {
		o.End = "\r\n"
	}
	if o.Separator == "" {
		o.Separator = ","
	}
	if o.MaxLine == 0 {
		o.MaxLine = longest
	}
	if o.Interval <= 0 {
		o.Interval = time.Second
	}
	switch o.Checksum {
	case "":
		o.Checksum = None
	case None, XOR, Sum, CRC16:
	default:
		return nil, fmt.Errorf("%q is no checksum: %s, %s, %s or %s", o.Checksum, None, XOR, Sum, CRC16)
	}
	if o.MaxLine < 8 || o.MaxLine > longest {
		return nil, fmt.Errorf("a longest line of %d bytes: 8 to %d are possible", o.MaxLine, longest)
	}
	return &Device{held: drivers.Reopener{Open: open}, o: o}, nil
}

// Next is drivers.Fields. FaultGone means that the port must be opened again,
// which the next call does.
func (d *Device) Next(ctx context.Context) (drivers.Record, error) {
	if err := d.ready(); err != nil {
		return drivers.Record{}, err
	}
	for {
		for len(d.spare) > 0 {
			if r, ok, err := d.take(); ok || err != nil {
				return r, err
			}
		}
		var poll <-chan time.Time
		if len(d.o.Poll) > 0 {
			t := time.NewTimer(time.Until(d.ask))
			defer t.Stop()
			poll = t.C
		}
		select {
		case c, ok := <-d.port.Received():
			if !ok {
				return drivers.Record{}, d.held.Gone(d.port.Err())
			}
			d.spare, d.at = c.B, c.At
		case <-poll:
			d.ask = time.Now().Add(d.o.Interval)
			if _, err := d.port.Write(d.o.Poll); err != nil {
				return drivers.Record{}, d.held.Gone(err)
			}
		case <-ctx.Done():
			return drivers.Record{}, &drivers.Fault{Kind: drivers.FaultCancelled, Detail: "waiting for a line", Err: ctx.Err()}
		case <-d.held.Done():
			return drivers.Record{}, d.held.Gone(os.ErrClosed)
		}
	}
}

// take looks at what came up to the next end of a line.
func (d *Device) take() (r drivers.Record, ok bool, err error) {
	end := d.o.End[len(d.o.End)-1]
	for i, b := range d.spare {
		if b == end {
			d.spare = d.spare[i+1:]
			return d.whole()
		}
		switch {
		case d.skip:
		case len(d.line) < d.o.MaxLine+len(d.o.End):
			d.line = append(d.line, b)
		default:
			d.skip = true
			d.spare = d.spare[i+1:]
			l := d.line
			d.line = d.line[:0]
			return r, false, d.bad(string(l), fmt.Errorf("longer than %d bytes", d.o.MaxLine))
		}
	}
	d.spare = nil
	return r, false, nil
}

// whole cuts the line that has just ended.
func (d *Device) whole() (r drivers.Record, ok bool, err error) {
	line := strings.Trim(string(d.line), d.o.End)
	d.line = d.line[:0]
	if d.skip {
		d.skip = false
		return r, false, nil
	}
	if line == "" {
		return r, false, nil
	}
	// The beginning of a line within a line: the first lost its end.
	if i := strings.LastIndex(line, d.o.Start); d.o.Start != "" && i > 0 {
		d.garbled.Add(1)
		line = line[i:]
	}
	if len(line) > d.o.MaxLine {
		return r, false, d.bad(line, fmt.Errorf("longer than %d bytes", d.o.MaxLine))
	}
	fields, ours, err := d.o.cut(line)
	if err != nil {
		return r, false, d.bad(line, err)
	}
	if !ours {
		return r, false, nil
	}
	return drivers.Record{Fields: fields, Raw: line, At: d.at}, true, nil
}

func (d *Device) bad(line string, why error) error {
	d.garbled.Add(1)
	return &drivers.Fault{Kind: drivers.FaultGarbled, Detail: fmt.Sprintf("line %.40q", line), Err: why}
}

// Garbled counts the lines that were none.
func (d *Device) Garbled() int64 { return d.garbled.Load() }

func (d *Device) ready() error {
	p, opened, err := d.held.Ready()
	if err != nil {
		return err
	}
	if opened {
		d.port, d.line, d.spare, d.ask = p, d.line[:0], nil, time.Now()
		// The first bytes may be the end of a line; where nothing marks a
		// beginning, nothing tells.
		d.skip = d.o.Start == "" && d.o.Checksum == None && len(d.o.Poll) == 0
	}
	return nil
}

// Close is drivers.Fields; a Next that waits returns with FaultGone.
func (d *Device) Close() error { return d.held.Close() }

// String names it.
func (d *Device) String() string { return d.held.Name("text") }

var _ drivers.Fields = (*Device)(nil)
