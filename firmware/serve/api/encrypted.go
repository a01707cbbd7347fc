package api

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
)

// splitter tells on one port who speaks TLS from who does not, by the first byte that comes
// (RFC 8446, 5.1: a handshake record begins with 22, which no request line does). So one
// address serves both, and whoever types it without https is sent there.
type splitter struct {
	net.Listener
	tls, plain *side
	patience   time.Duration
}

func newSplitter(l net.Listener, patience time.Duration) *splitter {
	ended := make(chan struct{})
	end := sync.OnceFunc(func() { close(ended); l.Close() })
	of := func() *side { return &side{l.Addr(), make(chan net.Conn), ended, end} }
	return &splitter{l, of(), of(), patience}
}

// run takes connections until the listener is closed. Each waits for its first byte in a
// goroutine of its own, so that who says nothing holds up nobody.
func (s *splitter) run(ctx context.Context, g *guard.Guard) error {
	defer s.tls.end()
	for {
		c, err := s.Accept()
		if err != nil {
			select {
			case <-s.tls.ended:
				return nil
			default:
				return err
			}
		}
		g.GoIn(ctx, owner, "first byte", guard.Once, func(context.Context) error {
			s.sort(c)
			return nil
		})
	}
}

func (s *splitter) sort(c net.Conn) {
	first := make([]byte, 1)
	if c.SetReadDeadline(time.Now().Add(s.patience)) != nil {
		c.Close()
		return
	}
	n, err := c.Read(first)
	if n == 0 || err != nil || c.SetReadDeadline(time.Time{}) != nil {
		c.Close()
		return
	}
	to := s.plain
	if first[0] == 22 {
		to = s.tls
	}
	select {
	case to.conns <- &begun{Conn: c, first: first}:
	case <-to.ended:
		c.Close()
	}
}

// side is one of the two listeners.
type side struct {
	addr  net.Addr
	conns chan net.Conn
	ended chan struct{}
	end   func()
}

// Accept is net.Listener's, as are Close and Addr.
func (s *side) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.ended:
		return nil, net.ErrClosed
	}
}

func (s *side) Close() error   { s.end(); return nil }
func (s *side) Addr() net.Addr { return s.addr }

// begun is a connection whose first byte was taken already.
type begun struct {
	net.Conn
	first []byte
}

// Read gives the first byte back before the rest.
func (b *begun) Read(p []byte) (int, error) {
	if len(b.first) == 0 {
		return b.Conn.Read(p)
	}
	n, err := bytes.NewReader(b.first).Read(p)
	b.first = b.first[n:]
	return n, err
}

// inTheClear tells whether a request is answered without TLS although there is TLS: from
// this machine itself, at STOP, at what helps to trust the box, and at its own CAP feed, whose
// messages are signed one by one and are for other machines to follow.
func (s *Server) inTheClear(r *http.Request) bool {
	if s.o.TLS == nil || r.TLS != nil || GrantOf(r.Context()).Via != ViaPage || loopback(r) {
		return true
	}
	if r.URL.Path == stopPath && r.Method == http.MethodPost {
		return true
	}
	if r.Method == http.MethodGet && (r.URL.Path == prefix+"/cap" || strings.HasPrefix(r.URL.Path, prefix+"/cap/")) {
		return true
	}
	x, ok := s.o.Pages.of(r)
	return ok && x.Plain && !strings.HasPrefix(r.URL.Path, "/api/")
}

// toTLS sends a reader to the same place with TLS. What would change something is refused:
// what it brought has been read by others already.
func toTLS(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		// The host is one of the box's own: the gate has looked.
		http.Redirect(w, r, "https://"+SecureHost(r.Host)+r.URL.RequestURI(), http.StatusTemporaryRedirect)
		return
	}
	writeProblem(w, problem(http.StatusUpgradeRequired, phrase.M("serve.needs_tls")))
}
