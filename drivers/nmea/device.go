package nmea

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/adrianmo/go-nmea"

	"tocsin/drivers"
)

// Longest is how long a sentence may be. The standard says 82 characters; many
// weather stations' MDA and XDR are longer.
const Longest = 256

// Opts says what is done beside giving the sentences.
type Opts struct {
	// Tell is given the receiver's time in UTC, and when the sentence that said
	// it arrived, once the time may be believed. It is called from Next, in its
	// goroutine, and must not wait. The time is that of the fix, so it may be
	// up to a second old when it is heard. nil: the time is not looked at.
	Tell func(utc, heard time.Time)
}

// Device is an instrument that sends sentences: a drivers.Fields. Use New. One
// goroutine at a time calls Next; Close may be called from any.
type Device struct {
	held drivers.Reopener
	o    Opts
	sky  sky

	port drivers.Port // as held gave it last

	line    []byte // the present sentence, from its $
	in      bool   // within a sentence
	spare   []byte // of the last chunk, not yet looked at
	at      time.Time
	garbled atomic.Int64
}

// New makes one over a port that open gives at the first Next and after the
// port was gone, once a Next at most.
func New(open func() (drivers.Port, error), o Opts) *Device {
	return &Device{held: drivers.Reopener{Open: open}, o: o}
}

// Next is drivers.Fields: Fields[0] is the address, such as "WIMWV", the rest its
// fields; Raw is the whole sentence. FaultGone means that the port must be opened
// again, which the next call does.
func (d *Device) Next(ctx context.Context) (drivers.Record, error) {
	if err := d.ready(); err != nil {
		return drivers.Record{}, err
	}
	for {
		for len(d.spare) > 0 {
			s, ended, err := d.take()
			if err != nil {
				return drivers.Record{}, err
			}
			if ended {
				return d.whole(s)
			}
		}
		select {
		case c, ok := <-d.port.Received():
			if !ok {
				return drivers.Record{}, d.held.Gone(d.port.Err())
			}
			d.spare, d.at = c.B, c.At
		case <-ctx.Done():
			return drivers.Record{}, &drivers.Fault{Kind: drivers.FaultCancelled, Detail: "waiting for a sentence", Err: ctx.Err()}
		case <-d.held.Done():
			return drivers.Record{}, d.held.Gone(os.ErrClosed)
		}
	}
}

// take looks at what came, up to the next end of a sentence. Bytes before a $ are
// noise or the encapsulated sentences (!) of ships, neither of which is ours.
func (d *Device) take() (s string, ended bool, err error) {
	for i, b := range d.spare {
		switch {
		case b == '$':
			lost := d.in && len(d.line) > 0
			cut := string(d.line)
			d.line, d.in = append(d.line[:0], b), true
			if lost {
				d.spare = d.spare[i+1:]
				return "", false, d.bad(cut, fmt.Errorf("it has no end"))
			}
		case !d.in:
		case b == '\r' || b == '\n':
			d.in, d.spare = false, d.spare[i+1:]
			s := string(d.line)
			d.line = d.line[:0]
			return s, true, nil
		case len(d.line) >= Longest:
			d.in, d.spare = false, d.spare[i+1:]
			l := string(d.line)
			d.line = d.line[:0]
			return "", false, d.bad(l, fmt.Errorf("longer than %d bytes", Longest))
		default:
			d.line = append(d.line, b)
		}
	}
	d.spare = nil
	return "", false, nil
}

func (d *Device) whole(s string) (drivers.Record, error) {
	f, err := Cut(s)
	if err != nil {
		return drivers.Record{}, d.bad(s, err)
	}
	if d.o.Tell != nil {
		if utc, ok := d.sky.hear(s, f[0], d.at); ok {
			d.o.Tell(utc, d.at)
		}
	}
	return drivers.Record{Fields: f, Raw: s, At: d.at}, nil
}

// Cut checks the frame and checksum of a sentence without its end, and gives its
// address and fields.
func Cut(s string) ([]string, error) {
	i := strings.LastIndexByte(s, '*')
	if len(s) > Longest || i < 6 || len(s) != i+3 || s[0] != '$' {
		return nil, fmt.Errorf("it has no checksum at its end")
	}
	if bytes.IndexFunc([]byte(s), func(r rune) bool { return r < 0x20 || r > 0x7e }) >= 0 {
		return nil, fmt.Errorf("it holds bytes that are no text")
	}
	want, err := strconv.ParseUint(s[i+1:], 16, 8)
	if got := nmea.Checksum(s[1:i]); err != nil || fmt.Sprintf("%02X", want) != got {
		return nil, fmt.Errorf("its checksum is %s, reckoned %s", s[i+1:], got)
	}
	return strings.Split(s[1:i], nmea.FieldSep), nil
}

func (d *Device) bad(line string, why error) error {
	d.garbled.Add(1)
	return &drivers.Fault{Kind: drivers.FaultGarbled, Detail: fmt.Sprintf("sentence %.40q", line), Err: why}
}

// Garbled counts the sentences that were none.
func (d *Device) Garbled() int64 { return d.garbled.Load() }

func (d *Device) ready() error {
	p, opened, err := d.held.Ready()
	if err != nil {
		return err
	}
	if opened {
		d.port, d.line, d.spare, d.in, d.sky = p, d.line[:0], nil, false, sky{}
	}
	return nil
}

// Close is drivers.Fields; a Next that waits returns with FaultGone.
func (d *Device) Close() error { return d.held.Close() }

// String names it.
func (d *Device) String() string { return d.held.Name("nmea") }

var _ drivers.Fields = (*Device)(nil)
