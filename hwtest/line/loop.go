package line

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// wireState is what is on the wire and what is about to be. Only the loop
// touches it.
type wireState struct {
	fd        int
	closing   bool
	there     bool // a program has the port open
	busyUntil time.Time

	rx        []byte
	rxEnd     time.Time // when the last bit heard ends
	rxGarbled bool

	acts []acting           // requests that a unit will act on
	out  []*sending         // answers, in the order in which they are ready
	tx   *sending           // on the wire now
	last map[byte]time.Time // when each unit's latest answer is ready: it answers in turn

	noiseEvery time.Duration
	noiseAt    time.Time
	blob       int
}

type acting struct {
	frame []byte
	end   time.Time // of the request's last bit
	at    time.Time
}

type sending struct {
	unit    byte
	pdu     []byte // the answer, if the hooks are to hear of it
	bytes   []byte
	ready   time.Time
	start   time.Time
	sent    int
	answer  bool
	echo    bool // of what is on the wire already: waits for nothing, takes no wire
	garbled bool
}

// nap is how often a port is looked at that nobody has open.
const nap = 2 * time.Millisecond

// run owns the pty. It keeps its thread and asks the kernel for exact timers:
// Go's own would round a wake to a millisecond, one character at 9600 Bd.
func (l *Line) run() {
	runtime.LockOSThread() // for good: the thread ends with this goroutine, and its timer slack with it
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	defer close(l.done)
	defer func() {
		l.mu.Lock()
		unix.Close(l.wake)
		l.wake = -1
		l.mu.Unlock()
	}()
	l.last = map[byte]time.Time{}
	buf := make([]byte, 4096)
	for !l.closing {
		next := l.due(time.Now())
		l.wait(next)
		for more := true; more; {
			select {
			case f := <-l.cmds:
				f()
			default:
				more = false
			}
		}
		if l.fd < 0 || !l.there {
			continue
		}
		if n, err := unix.Read(l.fd, buf); err == nil && n > 0 {
			l.heard(buf[:n], time.Now())
		}
	}
}

// wait sleeps until the port has bytes, a command has come, or t.
func (l *Line) wait(t time.Time) {
	fds := []unix.PollFd{{Fd: int32(l.wake), Events: unix.POLLIN}}
	d := time.Hour
	if !t.IsZero() {
		d = max(0, time.Until(t))
	}
	if l.fd >= 0 {
		p := unix.PollFd{Fd: int32(l.fd), Events: unix.POLLIN}
		if l.blob > 0 && l.there {
			p.Events |= unix.POLLOUT
		}
		fds = append(fds, p)
	}
	if l.fd >= 0 && !l.there {
		d = min(d, nap)
		fds = fds[:1] // it would report the hang-up at once, over and over
	}
	ts := unix.NsecToTimespec(int64(d))
	unix.Ppoll(fds, &ts, nil)
	if fds[0].Revents != 0 {
		var b [8]byte
		unix.Read(l.wake, b[:])
	}
	if l.fd < 0 {
		l.there = false
		return
	}
	look := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}
	unix.Poll(look, 0)
	l.there = look[0].Revents&unix.POLLHUP == 0 || look[0].Revents&unix.POLLIN != 0
}

// due does what is to be done by now and says when something is to be done
// next.
func (l *Line) due(now time.Time) (next time.Time) {
	soonest := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	if len(l.rx) > 0 {
		pause := l.Silence()
		if l.cfg.ASCII {
			pause = asciiPause
		}
		if t := l.rxEnd.Add(pause); now.Before(t) {
			soonest(t)
		} else {
			l.silence()
		}
	}
	for len(l.acts) > 0 && !now.Before(l.acts[0].at) {
		a := l.acts[0]
		l.acts = l.acts[1:]
		l.act(a)
	}
	if len(l.acts) > 0 {
		soonest(l.acts[0].at)
	}
	l.transmit(now)
	switch {
	case l.tx != nil:
		soonest(l.tx.start.Add(time.Duration(l.tx.sent+1) * l.Char()))
	case len(l.out) > 0:
		if s := l.out[0]; s.echo {
			soonest(s.ready)
		} else {
			soonest(later(s.ready, l.busyUntil))
		}
	}
	if l.noiseEvery > 0 {
		for !now.Before(l.noiseAt) {
			l.noise(1)
			l.noiseAt = l.noiseAt.Add(l.noiseEvery)
		}
		soonest(l.noiseAt)
	}
	if l.blob > 0 {
		n := min(l.blob, 4096)
		if got := l.noise(n); got == n || l.fd < 0 || !l.there {
			l.blob -= n
			soonest(now)
		} else {
			l.blob -= got // the reader is slower: POLLOUT tells when it has room
		}
	}
	return next
}

// transmit puts the bytes on the port whose stop bits have ended.
func (l *Line) transmit(now time.Time) {
	for {
		if l.tx == nil {
			if len(l.out) == 0 {
				return
			}
			s := l.out[0]
			start := later(s.ready, l.busyUntil)
			if s.echo {
				start = s.ready
			}
			if l.cfg.Garble && !s.echo && s.ready.Before(l.rxEnd) {
				start, s.garbled, l.rxGarbled = s.ready, true, true
				l.count.with(func(c *Counters) { c.Collisions++ })
			}
			if now.Before(start) {
				return
			}
			l.out = l.out[1:]
			s.start = start
			l.tx = s
			l.busyUntil = later(l.busyUntil, start.Add(time.Duration(len(s.bytes))*l.Char()))
		}
		s := l.tx
		n := min(int(now.Sub(s.start)/l.Char()), len(s.bytes))
		if n > s.sent {
			p := s.bytes[s.sent:n]
			if s.garbled {
				p = l.mess(p)
			}
			at := time.Now()
			l.put(p)
			s.sent = n
			if n == len(s.bytes) {
				l.busyUntil = later(l.busyUntil, at)
				l.tx = nil
				l.left(s, at)
				continue
			}
		}
		return
	}
}

// left counts an answer that is out and tells the hooks.
func (l *Line) left(s *sending, at time.Time) {
	if s.echo {
		return
	}
	l.count.with(func(c *Counters) {
		c.AnswerWire += time.Duration(len(s.bytes)) * l.Char()
		if !s.answer || s.garbled {
			return
		}
		c.Answers++
		if s.pdu[0]&0x80 != 0 {
			c.Exceptions++
		}
	})
	if !s.answer || s.garbled {
		return
	}
	l.count.unit(s.unit, func(u *UnitCounters) {
		u.Answers++
		if s.pdu[0]&0x80 != 0 {
			u.Exceptions++
		}
	})
	l.mu.Lock()
	hooks := l.onAnswer
	l.mu.Unlock()
	for _, h := range hooks {
		h(s.unit, s.pdu, at)
	}
}

// put writes to the port; what it does not take is lost, as in a UART.
func (l *Line) put(p []byte) (n int) {
	if l.fd >= 0 && l.there {
		n, _ = unix.Write(l.fd, p)
		n = max(n, 0)
	}
	if n < len(p) {
		l.count.with(func(c *Counters) { c.Overruns += len(p) - n })
	}
	return n
}

func (l *Line) noise(n int) int {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(l.rand.Uint32())
	}
	got := 0
	if l.fd >= 0 && l.there {
		got, _ = unix.Write(l.fd, p)
		got = max(got, 0)
	}
	l.count.with(func(c *Counters) { c.NoiseBytes += got })
	return got
}

// mess is p after a collision.
func (l *Line) mess(p []byte) []byte {
	q := make([]byte, len(p))
	for i := range p {
		q[i] = p[i] ^ byte(1+l.rand.Uint32N(255))
	}
	return q
}

// queue adds an answer in the order of readiness, behind those that are ready
// at the same time.
func (l *Line) queue(s *sending) {
	i := len(l.out)
	for i > 0 && l.out[i-1].ready.After(s.ready) {
		i--
	}
	l.out = append(l.out, nil)
	copy(l.out[i+1:], l.out[i:])
	l.out[i] = s
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
