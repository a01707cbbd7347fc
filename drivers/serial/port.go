package serial

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/drivers"
)

const (
	// quick is how soon a read that gives nothing is no timeout but a port
	// that hung up: it would go on so millions of times a second.
	quick = readTimeout / 2
	// queue is how many chunks wait for whoever takes them; beyond that the
	// oldest are dropped.
	queue     = 256
	readSize  = 512
	maxSleep  = 300 * time.Millisecond
	closeWait = time.Second
)

// Port is an open serial port. Use Open.
type Port struct {
	path string
	tty  tty
	ctl  control
	char time.Duration

	rx      chan drivers.Chunk
	expect  atomic.Int64
	dropped atomic.Int64

	done  chan struct{} // closed by Close
	ended chan struct{} // closed when the pump has let go of the port
	once  sync.Once
	ctlMu sync.Mutex // ctl, against its closing
	ctlOK bool

	mu  sync.Mutex
	err error
}

// Open opens a port. Its errors are *drivers.Fault of kind FaultGone, whose
// cause is *Missing, *Denied, *Held or *NotSerial where the technician can do
// something about it.
func Open(path string, o Opts) (*Port, error) {
	p, err := open(path, o)
	if err != nil {
		return nil, &drivers.Fault{Kind: drivers.FaultGone, Err: err}
	}
	return p, nil
}

func open(path string, o Opts) (*Port, error) {
	if o.Start == nil {
		return nil, errors.New("serial: Opts.Start is missing")
	}
	if o.Baud == 0 {
		o.Baud = 9600
	}
	if o.Baud < 50 || o.Baud > 4000000 {
		return nil, fmt.Errorf("%s: %d Bd is not between 50 and 4000000", path, o.Baud)
	}
	f, err := parseFormat(o.Format)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	bits, _ := CharBits(o.Format)
	ctl, err := openControl(path)
	if err != nil {
		return nil, explain(path, err)
	}
	t, err := prepare(path, ctl, o, f)
	if err != nil {
		ctl.close()
		return nil, err
	}
	p := &Port{
		path: path, tty: t, ctl: ctl, ctlOK: true,
		char: time.Duration(bits) * time.Second / time.Duration(o.Baud),
		rx:   make(chan drivers.Chunk, queue), done: make(chan struct{}), ended: make(chan struct{}),
	}
	p.settle()
	o.Start("serial pump "+path, p.pump)
	return p, nil
}

// prepare locks the port, opens it and sets what the package below cannot.
func prepare(path string, ctl control, o Opts, f format) (tty, error) {
	if err := ctl.terminal(); err != nil {
		return nil, &NotSerial{path}
	}
	if !o.Shared {
		if err := ctl.lock(); err != nil {
			return nil, &Held{path, others(path)}
		}
	}
	t, err := openTTY(path, o.Baud, f)
	if err != nil {
		return nil, explain(path, err)
	}
	steps := []func() error{
		func() error {
			if listed[o.Baud] {
				return nil
			}
			return ctl.rate(o.Baud)
		},
		func() error {
			if f.parity == 'N' {
				return nil
			}
			return ctl.checkParity()
		},
		func() error {
			if o.RS485 == nil {
				return nil
			}
			return ctl.direct(*o.RS485)
		},
		func() error {
			if o.Shared {
				return nil
			}
			return ctl.exclusive(true)
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			t.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	// The settings are the terminal's and stay: what made them has done its part.
	t.Close()
	e, err := newEar(ctl.fd)
	if err != nil {
		return nil, fmt.Errorf("%s: waiting for bytes: %w", path, err)
	}
	return e, nil
}

func explain(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
		return &Missing{path, Ports()}
	case errors.Is(err, fs.ErrPermission):
		name, group := owner(path)
		return &Denied{path, name, group}
	case errors.Is(err, unix.EBUSY):
		return &Held{path, others(path)}
	}
	return fmt.Errorf("opening %s: %w", path, err)
}

func others(path string) []Holder {
	var out []Holder
	for _, h := range Holders(path) {
		if h.PID == os.Getpid() {
			h.Program += ", this program itself, on another line"
		}
		out = append(out, h)
	}
	return out
}

// settle drops what was received before the port was ours and waits for a
// silence of 3.5 characters, so that the first frame is not the end of another;
// not for ever, since some sensors never fall silent.
func (p *Port) settle() {
	for range 8 {
		p.tty.Flush()
		time.Sleep(max(p.char*7/2, 1750*time.Microsecond))
		if p.ctl.waiting() == 0 {
			return
		}
	}
	p.tty.Flush()
}

// pump alone reads the port until it is gone or closed.
func (p *Port) pump() {
	defer func() {
		p.ctlMu.Lock()
		p.ctlOK = false
		p.ctl.exclusive(false)
		p.tty.Close() // before the descriptor that it reads
		p.ctl.close()
		p.ctlMu.Unlock()
		close(p.rx)
		close(p.ended)
	}()
	for {
		select {
		case <-p.done:
			p.fail(os.ErrClosed)
			return
		default:
		}
		b := make([]byte, readSize)
		began := time.Now()
		n, err := p.tty.Read(b)
		now := time.Now()
		switch {
		case n > 0:
			p.deliver(drivers.Chunk{At: now, B: b[:n:n]})
			p.pace(n)
		case err == nil || err == io.EOF:
			if now.Sub(began) >= quick {
				continue
			}
			if err := p.hungUp(); err != nil {
				p.fail(fmt.Errorf("%s hung up: was the adapter pulled out? (%w)", p.path, err))
				return
			}
			p.sleep(quick)
		default:
			p.fail(fmt.Errorf("reading %s: %w", p.path, err))
			return
		}
	}
}

// hungUp asks the port something that fails where it is gone, and drops
// nothing.
func (p *Port) hungUp() error { return p.ctl.terminal() }

// deliver hands a chunk on; nobody who is slow may hold the pump up.
func (p *Port) deliver(c drivers.Chunk) {
	for {
		select {
		case p.rx <- c:
			return
		default:
		}
		select {
		case old := <-p.rx:
			p.dropped.Add(int64(len(old.B)))
		default:
		}
	}
}

// pace sleeps while the rest of what is expected cannot have come yet: one wake
// for the first byte and one for the last, not one for each between.
func (p *Port) pace(n int) {
	rest := p.expect.Add(int64(-n))
	if rest <= 1 {
		return
	}
	p.sleep(min(time.Duration(rest-1)*p.char, maxSleep))
}

func (p *Port) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.done:
	}
}

func (p *Port) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = &drivers.Fault{Kind: drivers.FaultGone, Err: err}
	}
}

// Write is drivers.Port. It waits while the kernel's buffer is full; Close ends
// that. It writes by the second descriptor, which does not block: a Write of
// the package below that waits for room could be ended by nobody.
func (p *Port) Write(b []byte) (int, error) {
	sent := 0
	for sent < len(b) {
		n, err := p.write(b[sent:])
		sent += max(n, 0)
		switch {
		case err == unix.EAGAIN:
			p.sleep(5 * time.Millisecond)
		case err != nil && err != unix.EINTR:
			return sent, &drivers.Fault{Kind: drivers.FaultGone, Detail: "writing " + p.path, Err: err}
		}
	}
	return sent, nil
}

func (p *Port) write(b []byte) (int, error) {
	select {
	case <-p.done:
		return 0, os.ErrClosed
	default:
	}
	p.ctlMu.Lock()
	defer p.ctlMu.Unlock()
	if !p.ctlOK {
		if err := p.Err(); err != nil {
			return 0, err
		}
		return 0, os.ErrClosed
	}
	return unix.Write(p.ctl.fd, b)
}

// Received is drivers.Port.
func (p *Port) Received() <-chan drivers.Chunk { return p.rx }

// Expect is drivers.Port: n bytes are due from now on.
func (p *Port) Expect(n int) { p.expect.Store(int64(n)) }

// Discard is drivers.Port.
func (p *Port) Discard() {
	for {
		select {
		case _, ok := <-p.rx:
			if !ok {
				return
			}
		default:
			return
		}
	}
}

// Dropped counts the bytes that nobody took in time.
func (p *Port) Dropped() int64 { return p.dropped.Load() }

// Err is drivers.Port.
func (p *Port) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Instant tells whether bytes take no time on this port: a pseudo terminal.
func (p *Port) Instant() bool {
	p.ctlMu.Lock()
	defer p.ctlMu.Unlock()
	return p.ctlOK && p.ctl.pseudo()
}

// Close is drivers.Port. When it returns the port can be opened again, unless a
// driver in the kernel is stuck: then it returns after a second and the port
// follows when it can.
func (p *Port) Close() error {
	p.once.Do(func() {
		p.fail(os.ErrClosed)
		close(p.done)
	})
	t := time.NewTimer(closeWait)
	defer t.Stop()
	select {
	case <-p.ended:
		return nil
	case <-t.C:
		return fmt.Errorf("%s: the kernel does not let go of it", p.path)
	}
}

// String gives the path.
func (p *Port) String() string { return p.path }

var _ drivers.Port = (*Port)(nil)
