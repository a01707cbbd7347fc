package line

import (
	"bytes"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pattern is a unit whose holding register k is id × 1000 + k, so that an
// answer to another request can be told.
func pattern(id byte) Unit {
	return UnitFunc(func(pdu []byte, _ time.Time) ([]byte, Exception) {
		return Map{
			Holding: func(a uint16) (uint16, Exception) {
				if a >= 200 {
					return 0, IllegalAddress
				}
				return uint16(id)*1000 + a, 0
			},
			SetReg: func(a, v uint16) Exception { return 0 },
		}.Answer(pdu)
	})
}

// port is a reader's end, raw, with a pump that notes when each byte came.
type port struct {
	fd int
	mu sync.Mutex
	b  []byte
	at []time.Time
	up chan struct{}

	stop, done chan struct{}
	once       sync.Once
}

func openPort(t *testing.T, path string, speed uint32) *port {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	x, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	if err != nil {
		t.Fatal(err)
	}
	x.Iflag, x.Oflag, x.Lflag = 0, 0, 0
	x.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.BOTHER
	x.Ispeed, x.Ospeed = speed, speed
	x.Cc[unix.VMIN], x.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS2, x); err != nil {
		t.Fatal(err)
	}
	p := &port{fd: fd, up: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go p.pump()
	t.Cleanup(p.close)
	return p
}

// close ends the pump and closes the port; again does nothing.
func (p *port) close() {
	p.once.Do(func() {
		close(p.stop)
		<-p.done
		unix.Close(p.fd)
	})
}

func (p *port) pump() {
	defer close(p.done)
	buf := make([]byte, 8192)
	for {
		select {
		case <-p.stop:
			return
		default:
		}
		n, err := unix.Read(p.fd, buf)
		if err == unix.EAGAIN {
			time.Sleep(200 * time.Microsecond)
			continue
		}
		if err != nil || n == 0 {
			close(p.up)
			return
		}
		now := time.Now()
		p.mu.Lock()
		p.b = append(p.b, buf[:n]...)
		for range n {
			p.at = append(p.at, now)
		}
		p.mu.Unlock()
		select {
		case p.up <- struct{}{}:
		default:
		}
	}
}

// want waits until n bytes have come, or the time is over; it gives and
// forgets them.
func (p *port) want(n int, limit time.Duration) ([]byte, []time.Time) {
	end := time.After(limit)
	for {
		p.mu.Lock()
		if len(p.b) >= n && n > 0 {
			b, at := p.b, p.at
			p.b, p.at = nil, nil
			p.mu.Unlock()
			return b, at
		}
		p.mu.Unlock()
		select {
		case <-end:
			p.mu.Lock()
			defer p.mu.Unlock()
			b, at := p.b, p.at
			p.b, p.at = nil, nil
			return b, at
		case _, ok := <-p.up:
			if !ok {
				p.mu.Lock()
				defer p.mu.Unlock()
				b, at := p.b, p.at
				p.b, p.at = nil, nil
				return b, at
			}
		}
	}
}

func (p *port) send(t *testing.T, b []byte) time.Time {
	t.Helper()
	at := time.Now()
	if _, err := unix.Write(p.fd, b); err != nil {
		t.Fatal(err)
	}
	return at
}

func newLine(t *testing.T, cfg Config) *Line {
	t.Helper()
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestTheCRCIsThatOfPublishedFrames(t *testing.T) {
	for _, s := range []string{
		"02 07 41 12",             // Serial Line V1.02, 6.2.2: the worked example, CRC 0x1241 low byte first
		"01 05 00 00 FF 00 8C 3A", // the relay board's public frames
		"01 05 02 00 00 07 8D B0",
		"01 05 02 01 00 08 9C 74",
		"01 05 00 FF FF 00 BC 0A",
		"01 05 00 FF 00 00 FD FA",
		"01 05 00 FF 55 00 C2 AA",
		"01 01 00 00 00 08 3D CC",
		"01 0F 00 00 00 08 01 FF BE D5",
	} {
		b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(s), []byte(" "), nil)))
		if err != nil {
			t.Fatal(err)
		}
		if !whole(b) {
			t.Errorf("%s: CRC reckoned %04X", s, CRC(b[:len(b)-2]))
		}
		b[1] ^= 1
		if whole(b) {
			t.Errorf("%s with a bit wrong is taken for whole", s)
		}
	}
	if got := CRC([]byte("123456789")); got != 0x4B37 { // the check value of CRC-16/MODBUS in the CRC catalogue
		t.Errorf("CRC of the catalogue's check string is %04X", got)
	}
}

func TestNoByteComesBeforeItsStopBit(t *testing.T) {
	var reqEnd, ansEnd time.Time
	var mu sync.Mutex
	l := newLine(t, Config{
		Baud: 2400, Turnaround: 20 * time.Millisecond,
		OnRequest: func(_ byte, _ []byte, at time.Time) { mu.Lock(); reqEnd = at; mu.Unlock() },
		OnAnswer:  func(_ byte, _ []byte, at time.Time) { mu.Lock(); ansEnd = at; mu.Unlock() },
	})
	l.Attach(1, pattern(1))
	p := openPort(t, l.Path(), 2400)
	sent := p.send(t, Frame(1, []byte{3, 0, 5, 0, 2}))
	b, at := p.want(9, 5*time.Second)
	if want := Frame(1, []byte{3, 4, 0x03, 0xED, 0x03, 0xEE}); !bytes.Equal(b, want) {
		t.Fatalf("heard % X, want % X", b, want)
	}
	// The hooks are called after the byte is out.
	soon(t, "answer counted", func() bool { return l.Counters().Answers == 1 })
	soon(t, "answer told", func() bool { mu.Lock(); defer mu.Unlock(); return !ansEnd.IsZero() })
	mu.Lock()
	defer mu.Unlock()
	start := sent.Add(8*l.Char() + l.Silence() + 20*time.Millisecond)
	for i := range at {
		if min := start.Add(time.Duration(i+1) * l.Char()); at[i].Before(min) {
			t.Errorf("byte %d came %v before its stop bit", i, min.Sub(at[i]))
		}
	}
	if reqEnd.Before(sent.Add(8 * l.Char())) {
		t.Errorf("the request's last bit at %v, its bits take %v", reqEnd.Sub(sent), 8*l.Char())
	}
	if ansEnd.Before(start.Add(9*l.Char())) || ansEnd.After(at[8]) {
		t.Errorf("the answer's last bit is told at %v, heard at %v", ansEnd.Sub(sent), at[8].Sub(sent))
	}
	c := l.Counters()
	if c.Requests != 1 || c.Answers != 1 || c.Units[1].Answers != 1 || c.RequestWire != 8*l.Char() || c.AnswerWire != 9*l.Char() {
		t.Errorf("counted %+v", c)
	}
	if b := c.Busy(); b <= 0 || b > 1 {
		t.Errorf("wire busy %v", b)
	}
}

func TestALinkFollowsTheAdapter(t *testing.T) {
	name := filepath.Join(t.TempDir(), "ttyRS485")
	l := newLine(t, Config{Baud: 115200, Path: name})
	l.Attach(1, pattern(1))
	ask := Frame(1, []byte{3, 0, 0, 0, 1})
	p := openPort(t, l.Path(), 115200)
	p.send(t, ask)
	if b, _ := p.want(7, 5*time.Second); len(b) != 7 {
		t.Fatalf("before: % X", b)
	}
	if err := l.Unplug(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(name); !os.IsNotExist(err) {
		t.Errorf("the name is still there: %v", err)
	}
	if l.Plugged() {
		t.Error("says it is plugged")
	}
	end := time.After(5 * time.Second)
	for hung := false; !hung; {
		select {
		case _, ok := <-p.up:
			hung = !ok
		case <-end:
			t.Fatal("the reader was not hung up")
		}
	}
	if err := l.Replug(); err != nil {
		t.Fatal(err)
	}
	q := openPort(t, l.Path(), 115200)
	q.send(t, ask)
	if b, _ := q.want(7, 5*time.Second); len(b) != 7 {
		t.Errorf("after: % X", b)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Unplug(); err != ErrClosed {
		t.Errorf("after Close: %v", err)
	}
}

var _ io.Closer = (*Line)(nil)
var _ io.Closer = (*TCP)(nil)
