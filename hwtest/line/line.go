package line

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrClosed is what a line gives that was closed.
var ErrClosed = errors.New("line is closed")

// Hook is told of a frame: which unit, its PDU, and the instant at which its
// last stop bit ended. It runs on the line's own thread: it must be quick, must
// not keep pdu, and must not call the line.
type Hook func(unit byte, pdu []byte, lastBitAt time.Time)

// Config is how a line is wired. Zero values are 9600 Bd, 10 bits, no
// turnaround.
type Config struct {
	Baud       int           // bits a second
	CharBits   int           // 10 for 8N1, 11 for 8E1 and 8N2
	Turnaround time.Duration // from the silence after a request to the first start bit of its answer
	Path       string        // symbolic link that stands for the port, as udev would make it; optional
	Echo       bool          // the adapter echoes what its own side sends
	Garble     bool          // what overlaps on the wire is lost, as on copper; else it waits its turn, which is harder on a master
	ASCII      bool          // the standard's other mode: hexadecimal between colon and CR LF
	CheckBaud  bool          // a reader at another speed hears and is heard as nonsense
	OnRequest  Hook          // optional; a well-formed request to any unit, there or not
	OnAnswer   Hook          // optional; an answer that left whole and under its own id, exceptions too
}

// Line is one RS-485 line behind a pty. All methods may be called from any
// goroutine.
type Line struct {
	cfg   Config
	count *tally

	mu        sync.Mutex
	path      string
	plugged   bool
	units     map[byte]Unit
	faults    map[byte]*sickness
	onRequest []Hook
	onAnswer  []Hook

	cmds chan func()
	wake int // eventfd
	done chan struct{}
	rand *rand.Rand

	wireState // the loop's own
}

// New makes the pty and starts the line.
func New(cfg Config) (*Line, error) {
	if cfg.Baud == 0 {
		cfg.Baud = 9600
	}
	if cfg.CharBits == 0 {
		cfg.CharBits = 10
	}
	if cfg.Baud < 50 || cfg.CharBits < 7 || cfg.CharBits > 12 || cfg.Turnaround < 0 {
		return nil, fmt.Errorf("line of %d Bd, %d bits, turnaround %v makes no sense", cfg.Baud, cfg.CharBits, cfg.Turnaround)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	l := &Line{
		cfg: cfg, count: newTally(),
		units: map[byte]Unit{}, faults: map[byte]*sickness{},
		cmds: make(chan func(), 16), wake: wake, done: make(chan struct{}),
		rand: rand.New(rand.NewPCG(1, uint64(cfg.Baud))),
	}
	if cfg.OnRequest != nil {
		l.onRequest = append(l.onRequest, cfg.OnRequest)
	}
	if cfg.OnAnswer != nil {
		l.onAnswer = append(l.onAnswer, cfg.OnAnswer)
	}
	l.fd = -1
	if err := l.plug(); err != nil {
		unix.Close(wake)
		return nil, err
	}
	go l.run()
	return l, nil
}

// Path is what a program opens: Config.Path if it was given, else the pty,
// whose name changes with Replug.
func (l *Line) Path() string {
	if l.cfg.Path != "" {
		return l.cfg.Path
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.path
}

// Char is the time of one character on the wire.
func (l *Line) Char() time.Duration {
	return time.Duration(l.cfg.CharBits) * time.Second / time.Duration(l.cfg.Baud)
}

// Silence is the 3.5 characters that part two frames; 1.75 ms above 19200 Bd.
func (l *Line) Silence() time.Duration {
	if l.cfg.Baud > 19200 {
		return 1750 * time.Microsecond
	}
	return l.Char() * 7 / 2
}

// Limit is the most requests a second that the line can carry, if each is a
// read of n registers: request, silence, turnaround, answer, silence.
func (l *Line) Limit(n int) float64 {
	t := time.Duration(8+5+2*n)*l.Char() + 2*l.Silence() + l.cfg.Turnaround
	return 1 / t.Seconds()
}

// Attach puts a unit on the line, in place of the one that had its id; nil
// takes it off.
func (l *Line) Attach(unit byte, u Unit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if u == nil {
		delete(l.units, unit)
		return
	}
	l.units[unit] = u
}

// SetFault makes a unit misbehave from the next request on.
func (l *Line) SetFault(unit byte, f Fault) {
	l.mu.Lock()
	l.faults[unit] = &sickness{Fault: f}
	l.mu.Unlock()
}

// ClearFault heals a unit.
func (l *Line) ClearFault(unit byte) {
	l.mu.Lock()
	delete(l.faults, unit)
	l.mu.Unlock()
}

// OnRequest adds a hook.
func (l *Line) OnRequest(h Hook) {
	l.mu.Lock()
	l.onRequest = append(l.onRequest, h)
	l.mu.Unlock()
}

// OnAnswer adds a hook.
func (l *Line) OnAnswer(h Hook) {
	l.mu.Lock()
	l.onAnswer = append(l.onAnswer, h)
	l.mu.Unlock()
}

// Counters is what the line has seen since it was made, or since Reset.
func (l *Line) Counters() Counters { return l.count.copy() }

// Reset begins the counters anew.
func (l *Line) Reset() { l.count.reset() }

// Say sends bytes that nobody asked for, at wire speed, as a gauge does that
// talks by itself.
func (l *Line) Say(p []byte) error {
	b := append([]byte(nil), p...)
	return l.do(func() error {
		l.queue(&sending{bytes: b, ready: time.Now()})
		return nil
	})
}

// Noise puts random bytes on the line from now on, so many a second, also into
// the midst of answers. 0 ends it.
func (l *Line) Noise(bytesPerSecond int) error {
	return l.do(func() error {
		l.noiseEvery = 0
		if bytesPerSecond > 0 {
			l.noiseEvery = time.Second / time.Duration(bytesPerSecond)
			l.noiseAt = time.Now()
		}
		return nil
	})
}

// Blob sends n random bytes as fast as the reader takes them, without regard
// to the speed of the line: a broken adapter. What comes while nobody has the
// port open is lost. It returns at once; Counters().NoiseBytes tells how far it is.
func (l *Line) Blob(n int) error {
	return l.do(func() error { l.blob += n; return nil })
}

// Unplug pulls the adapter out: the port hangs up and its name is gone.
func (l *Line) Unplug() error {
	return l.do(func() error { return l.unplug() })
}

// Replug puts it in again: a new port under the same link. It does nothing if
// the line is plugged.
func (l *Line) Replug() error {
	return l.do(func() error {
		if l.fd >= 0 {
			return nil
		}
		return l.plug()
	})
}

// Plugged tells whether the port is there.
func (l *Line) Plugged() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.plugged
}

// Close ends the line, hangs up the port and removes the link.
func (l *Line) Close() error {
	err := l.do(func() error {
		l.closing = true
		return l.unplug()
	})
	if errors.Is(err, ErrClosed) {
		return nil
	}
	<-l.done
	return err
}

// do runs f on the loop's thread and gives its error.
func (l *Line) do(f func() error) error {
	res := make(chan error, 1)
	select {
	case <-l.done:
		return ErrClosed
	case l.cmds <- func() { res <- f() }:
	}
	l.ring()
	select {
	case err := <-res:
		return err
	case <-l.done:
		select {
		case err := <-res:
			return err
		default:
			return ErrClosed
		}
	}
}

// ring wakes the loop. A line that is just closing has no bell any more, which
// do() finds out by done.
func (l *Line) ring() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wake >= 0 {
		unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// plug makes the pty and its link. On the loop's thread, or before it starts.
func (l *Line) plug() error {
	fd, path, err := openPty()
	if err != nil {
		return err
	}
	if l.cfg.Path != "" {
		if err := link(path, l.cfg.Path); err != nil {
			unix.Close(fd)
			return fmt.Errorf("name the port: %w", err)
		}
	}
	l.fd = fd
	l.mu.Lock()
	l.path, l.plugged = path, true
	l.mu.Unlock()
	return nil
}

// unplug takes the pty and its link away, with whatever was on the wire.
func (l *Line) unplug() error {
	if l.fd < 0 {
		return nil
	}
	if l.cfg.Path != "" {
		os.Remove(l.cfg.Path)
	}
	err := unix.Close(l.fd)
	l.fd, l.rx, l.tx, l.out, l.acts, l.blob = -1, nil, nil, nil, nil, 0
	l.mu.Lock()
	l.plugged = false
	l.mu.Unlock()
	if err != nil {
		return fmt.Errorf("close pty: %w", err)
	}
	return nil
}
