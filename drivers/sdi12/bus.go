package sdi12

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"tocsin/drivers"
)

// Opts says how patient the bus is.
type Opts struct {
	// Answer is how long an answer may take to begin, the adapter's break
	// included. Default 800 ms: the probe has 15 ms (section 7.1), the rest is
	// the adapter's.
	Answer time.Duration
	// Tries is how often a command is sent until an answer is right. Default 3
	// (section 7.2: at least one retry without a break, three with).
	Tries int
}

// most is the longest answer: 75 characters of values, address and CRC (section
// 4.4.8), and what an adapter repeats before.
const most = 128

// within is the longest pause between two characters of an answer, what a USB
// adapter holds back included. The wire's own is 1.66 ms (section 7.1).
const within = 150 * time.Millisecond

// between is the pause before a command is sent again: the break must come after
// at least 112.5 ms (section 7.2).
const between = 120 * time.Millisecond

// Bus is an SDI-12 bus. One goroutine at a time uses it and its probes; Close may
// be called from any.
type Bus struct {
	held drivers.Reopener
	o    Opts

	port  drivers.Port // as held gave it last
	quiet time.Time    // before it a late answer may still come
}

// New makes one over a port that open gives at the first use and after the port
// was gone, once a call at most.
func New(open func() (drivers.Port, error), o Opts) *Bus {
	if o.Answer <= 0 {
		o.Answer = 800 * time.Millisecond
	}
	if o.Tries <= 0 {
		o.Tries = 3
	}
	return &Bus{held: drivers.Reopener{Open: open}, o: o}
}

// Identify asks a probe who it is.
func (b *Bus) Identify(ctx context.Context, address byte) (id Identity, err error) {
	_, err = b.ask(ctx, address, "I", func(line string) error {
		id, err = parseIdentity(line)
		return err
	})
	return id, err
}

// ask sends a command until an answer has the address and passes check. A check
// that gives errService lets the line go by: the same answer is waited for.
func (b *Bus) ask(ctx context.Context, address byte, word string, check func(line string) error) (string, error) {
	if !Address(address) {
		return "", &drivers.Fault{Kind: drivers.FaultOther, Detail: fmt.Sprintf("%q is no SDI-12 address", address)}
	}
	var last error
	for n := range b.o.Tries {
		if n > 0 {
			if err := b.pause(ctx, between); err != nil {
				return "", err
			}
		}
		line, err := b.try(ctx, address, word, check)
		if err == nil {
			return line, nil
		}
		switch drivers.KindOf(err) {
		case drivers.FaultGone, drivers.FaultCancelled:
			return "", err
		}
		last = err
	}
	return "", last
}

func (b *Bus) try(ctx context.Context, address byte, word string, check func(string) error) (string, error) {
	if err := b.ready(); err != nil {
		return "", err
	}
	if d := time.Until(b.quiet); d > 0 {
		if err := b.pause(ctx, d); err != nil {
			return "", err
		}
	}
	b.port.Discard()
	sent := string(address) + word + "!"
	if _, err := b.port.Write([]byte(sent)); err != nil {
		return "", b.held.Gone(err)
	}
	for {
		line, err := b.line(ctx, b.o.Answer)
		if err != nil {
			if drivers.KindOf(err) == drivers.FaultTimeout {
				b.quiet = time.Now().Add(b.o.Answer)
			}
			return "", err
		}
		line = strings.TrimPrefix(line, sent)
		if line == "" {
			continue // the adapter ends what it repeats with a line end
		}
		if line[0] != address {
			return "", &drivers.Fault{Kind: drivers.FaultForeign, Detail: fmt.Sprintf("asked %c, heard %.40q", address, line)}
		}
		switch err := check(line); {
		case err == nil:
			return line, nil
		case !errors.Is(err, errService):
			return "", &drivers.Fault{Kind: drivers.FaultGarbled, Detail: sent, Err: err}
		}
	}
}

// errService: the line is the service request of a measurement, not the answer.
var errService = errors.New("a service request")

// line gives what comes up to a line end, or fails after d without a beginning.
func (b *Bus) line(ctx context.Context, d time.Duration) (string, error) {
	var got []byte
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case c, ok := <-b.port.Received():
			if !ok {
				return "", b.held.Gone(b.port.Err())
			}
			got = append(got, c.B...)
			if i := strings.IndexByte(string(got), '\n'); i >= 0 {
				line := strings.TrimRight(string(got[:i]), "\r")
				for _, x := range []byte(line) {
					if x < 0x20 || x > 0x7e {
						return "", &drivers.Fault{Kind: drivers.FaultGarbled, Detail: fmt.Sprintf("%.40q", line), Err: errors.New("it holds bytes that are no text")}
					}
				}
				if rest := got[i+1:]; len(rest) > 0 {
					return "", &drivers.Fault{Kind: drivers.FaultGarbled, Detail: fmt.Sprintf("%.40q", got), Err: errors.New("more came than one answer")}
				}
				return line, nil
			}
			if len(got) > most {
				return "", &drivers.Fault{Kind: drivers.FaultGarbled, Detail: fmt.Sprintf("%.40q", got), Err: fmt.Errorf("longer than %d bytes", most)}
			}
			t.Reset(within)
		case <-t.C:
			if len(got) > 0 {
				return "", &drivers.Fault{Kind: drivers.FaultGarbled, Detail: fmt.Sprintf("%.40q", got), Err: errors.New("it has no end")}
			}
			return "", &drivers.Fault{Kind: drivers.FaultTimeout, Detail: "no answer"}
		case <-ctx.Done():
			return "", &drivers.Fault{Kind: drivers.FaultCancelled, Err: ctx.Err()}
		case <-b.held.Done():
			return "", b.held.Gone(os.ErrClosed)
		}
	}
}

func (b *Bus) pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return &drivers.Fault{Kind: drivers.FaultCancelled, Err: ctx.Err()}
	case <-b.held.Done():
		return &drivers.Fault{Kind: drivers.FaultGone, Err: os.ErrClosed}
	}
}

func (b *Bus) ready() error {
	p, opened, err := b.held.Ready()
	if err != nil {
		return err
	}
	if opened {
		b.port = p
	}
	return nil
}

// Close ends it; a call that waits returns with FaultGone.
func (b *Bus) Close() error { return b.held.Close() }

// String names it.
func (b *Bus) String() string { return b.held.Name("sdi-12") }
