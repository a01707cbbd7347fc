package rtmp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/source"
)

// A Server takes publishers. Use New, then Serve.
type Server struct {
	o    Opts
	gate *source.Gate

	mu         sync.Mutex
	conns      map[net.Conn]struct{}
	publishers int
	live       map[string]*session // by stream
	wait       sync.WaitGroup
}

// New makes one.
func New(o Opts) *Server {
	o.Limits = o.Limits.filled()
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Server{o: o, gate: source.NewGate(o.Address, o.All), conns: map[net.Conn]struct{}{}, live: map[string]*session{}}
}

// Serve takes connections until ctx ends, then closes the listener and all of them and
// waits for their goroutines.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	defer s.end()
	for pause := 5 * time.Millisecond; ; {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				c.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return phrase.Wrap(err, "rtmp.listen", "address", l.Addr().String())
		case err != nil:
			// No descriptors left, or a connection that was gone before it was taken.
			s.o.Log.Warn("rtmp: accept", "err", err)
			t := time.NewTimer(pause)
			select {
			case <-ctx.Done():
			case <-t.C:
			}
			t.Stop()
			pause = min(2*pause, time.Second)
			continue
		}
		pause = 5 * time.Millisecond
		s.take(c)
	}
}

// take starts a connection's goroutine.
func (s *Server) take(c net.Conn) {
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	s.wait.Add(1)
	s.o.Go("rtmp connection", func(ctx context.Context) error {
		defer s.wait.Done()
		defer s.forget(c)
		stop := context.AfterFunc(ctx, func() { c.Close() })
		defer stop()
		s.attend(c)
		return nil
	})
}

// attend is a connection's life.
func (s *Server) attend(c net.Conn) {
	e := &session{
		s: s, conn: c, remote: remote(c), log: s.o.Log.With("remote", c.RemoteAddr().String()),
		r: bufio.NewReaderSize(c, 8<<10), chunkOut: firstChunk,
		window: window, // some encoders stop where nothing is acknowledged, and never say after how much
	}
	e.run()
}

func (s *Server) forget(c net.Conn) {
	c.Close()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// end closes all connections and waits.
func (s *Server) end() {
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wait.Wait()
}

// admit counts a publisher in, if there is room.
func (s *Server) admit() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.publishers >= s.o.Publishers {
		return false
	}
	s.publishers++
	return true
}

func (s *Server) dismiss() {
	s.mu.Lock()
	s.publishers--
	s.mu.Unlock()
}

func remote(c net.Conn) netip.AddrPort {
	a, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// part ends a connection so that its last words arrive: closing at once while something
// of the peer's is unread would make the system throw them away.
func (s *Server) part(c net.Conn) {
	if t, ok := c.(interface{ CloseWrite() error }); ok {
		t.CloseWrite()
	}
	c.SetReadDeadline(time.Now().Add(time.Second))
	io.CopyN(io.Discard, c, 256<<10)
}
