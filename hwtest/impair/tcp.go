package impair

import (
	"io"
	"net"
	"sync"
	"time"
)

const (
	// tcpHeaders are IPv4's and TCP's with a timestamp; segment is a segment's content.
	tcpHeaders = 52
	segment    = 1348
	// window is how many bytes may be under way.
	window = 64 << 10
	// A segment is sent again after the round trip and this, doubling up to resendMost (RFC 6298).
	resendLeast = 200 * time.Millisecond
	resendMost  = 60 * time.Second
)

// TCP opens a port on loopback behind which target answers through the link, and gives its address.
func (l *Link) TCP(target string) (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	if !l.owns(ln) {
		return "", net.ErrClosed
	}
	l.goes(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if !l.owns(c) {
				return
			}
			l.goes(func() { l.connect(c.(*net.TCPConn), target) })
		}
	})
	return ln.Addr().String(), nil
}

// connect shakes hands over the link and joins the two ends.
func (l *Link) connect(near *net.TCPConn, target string) {
	there, back := make(chan struct{}, 1), make(chan struct{}, 1)
	tell := func(c chan struct{}) func() {
		return func() {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
	if !l.surely(l.up, there, tell(there)) {
		return
	}
	far, err := net.Dial("tcp", target)
	if err != nil {
		l.down.send(tcpHeaders, tell(back))
		select {
		case <-back:
		case <-l.done:
		}
		near.SetLinger(0) // a reset
		near.Close()
		return
	}
	if !l.owns(far) || !l.surely(l.down, back, tell(back)) {
		return
	}
	up := &stream{l: l, out: l.up, acks: l.down, from: near, to: far.(*net.TCPConn)}
	down := &stream{l: l, out: l.down, acks: l.up, from: far.(*net.TCPConn), to: near}
	l.goes(up.run)
	l.goes(down.run)
}

// surely sends a bare packet until it arrives.
func (l *Link) surely(d *direction, c chan struct{}, do func()) bool {
	for wait := time.Second; ; wait = min(2*wait, resendMost) {
		d.send(tcpHeaders, do)
		t := time.NewTimer(wait)
		select {
		case <-c:
			t.Stop()
			return true
		case <-l.done:
			t.Stop()
			return false
		case <-t.C:
		}
	}
}

// stream is one direction of a connection.
type stream struct {
	l         *Link
	out, acks *direction
	from, to  *net.TCPConn

	mu      sync.Mutex
	room    *sync.Cond
	flying  int
	next    uint64 // the segment that is to come out next
	here    map[uint64][]byte
	ended   bool   // from has ended,
	end     uint64 // after that many segments
	failed  bool
	writing chan struct{}
}

func (s *stream) run() {
	s.room, s.here, s.writing = sync.NewCond(&s.mu), map[uint64][]byte{}, make(chan struct{}, 1)
	s.l.goes(s.write)
	stop := make(chan struct{})
	defer close(stop)
	s.l.goes(func() {
		select {
		case <-s.l.done:
		case <-stop:
		}
		s.mu.Lock()
		s.failed = s.failed || !s.ended
		s.room.Broadcast()
		s.mu.Unlock()
		s.wake()
	})
	buf := make([]byte, segment)
	for n := uint64(0); ; n++ {
		k, err := s.from.Read(buf)
		if k > 0 {
			s.mu.Lock()
			for s.flying+k > window && !s.failed {
				s.room.Wait()
			}
			s.flying += k
			failed := s.failed
			s.mu.Unlock()
			if failed {
				return
			}
			s.transmit(n, append([]byte(nil), buf[:k]...), 0)
		}
		if err != nil {
			s.mu.Lock()
			s.ended, s.end, s.failed = true, n, s.failed || err != io.EOF
			if k > 0 {
				s.end++
			}
			s.mu.Unlock()
			s.wake()
			return
		}
	}
}

func (s *stream) wake() {
	select {
	case s.writing <- struct{}{}:
	default:
	}
}

// transmit sends a segment until it has come through once.
func (s *stream) transmit(n uint64, b []byte, tries int) {
	if s.out.send(len(b)+tcpHeaders, func() { s.arrive(n, b) }) {
		// A cut takes what is under way; then it is sent again all the same.
		s.out.after(s.patience(tries), func() { s.again(n, b, tries+1) })
		return
	}
	s.out.after(s.patience(tries), func() { s.again(n, b, tries+1) })
}

func (s *stream) again(n uint64, b []byte, tries int) {
	s.mu.Lock()
	_, here := s.here[n]
	done := here || n < s.next || s.failed
	s.mu.Unlock()
	if !done {
		s.transmit(n, b, tries)
	}
}

// patience is how long an acknowledgement is waited for.
func (s *stream) patience(tries int) time.Duration {
	s.l.mu.Lock()
	trip := s.out.w.s.Delay + s.out.w.s.Jitter + s.acks.w.s.Delay + s.acks.w.s.Jitter
	queue := max(0, s.out.w.free-s.l.Now())
	s.l.mu.Unlock()
	return min(resendMost, (trip+resendLeast)<<min(tries, 8)+queue)
}

func (s *stream) arrive(n uint64, b []byte) {
	s.mu.Lock()
	if _, here := s.here[n]; !here && n >= s.next {
		s.here[n] = b
	}
	s.mu.Unlock()
	s.acks.send(tcpHeaders, func() {})
	s.wake()
}

// write gives what has come to the far end, in order.
func (s *stream) write() {
	for {
		s.mu.Lock()
		b, ok := s.here[s.next]
		failed, over := s.failed, s.ended && s.next == s.end
		if ok {
			delete(s.here, s.next)
			s.next++
			s.flying -= len(b)
			s.room.Signal()
		}
		s.mu.Unlock()
		switch {
		case ok:
			if _, err := s.to.Write(b); err != nil {
				s.fail()
				return
			}
		case failed:
			s.fail()
			return
		case over:
			s.to.CloseWrite()
			return
		default:
			select {
			case <-s.writing:
			case <-s.l.done:
				return
			}
		}
	}
}

func (s *stream) fail() {
	s.mu.Lock()
	s.failed = true
	s.room.Broadcast()
	s.mu.Unlock()
	s.to.SetLinger(0)
	s.to.Close()
	s.from.Close()
}
