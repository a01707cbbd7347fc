package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
)

const owner = "serve"

// ServeUnix serves the local tools on a Unix socket until ctx ends. It returns
// once the socket is open, or with a *phrase.Error: the socket of a box that
// runs is never taken over; one that nobody listens on is replaced.
func (s *Server) ServeUnix(ctx context.Context, path string) error {
	if s.o.Guard == nil {
		return errNoGuard
	}
	l, err := listenUnix(path)
	if err != nil {
		return err
	}
	srv := s.server(ctx, func(ctx context.Context, c net.Conn) context.Context {
		return WithGrant(ctx, socketGrant(c))
	})
	s.serve(ctx, srv, newCapped(l, s.o.Limits.SocketConns, 0), "socket")
	return nil
}

// listenUnix opens the socket under a lock beside it, so that of two boxes that
// start at once one gives way instead of taking the other's socket.
func listenUnix(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, phrase.Wrap(err, "serve.socket_dir", "path", path)
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, phrase.Wrap(err, "serve.socket_dir", "path", path)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, phrase.Wrap(err, "serve.socket_in_use", "path", path)
	}
	l, err := openSocket(path)
	if err != nil {
		lock.Close()
		return nil, err
	}
	return &locked{l, lock}, nil
}

func openSocket(path string) (net.Listener, error) {
	st, err := os.Lstat(path)
	switch {
	case err == nil && st.Mode()&fs.ModeSocket == 0:
		return nil, phrase.E("serve.socket_not_ours", "path", path)
	case err == nil:
		c, err := net.DialTimeout("unix", path, time.Second)
		if err == nil {
			c.Close()
		}
		if !errors.Is(err, unix.ECONNREFUSED) {
			return nil, phrase.E("serve.socket_in_use", "path", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, phrase.Wrap(err, "serve.socket_dir", "path", path)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, phrase.Wrap(err, "serve.socket_dir", "path", path)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, phrase.Wrap(err, "serve.socket_dir", "path", path)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		l.Close()
		return nil, phrase.Wrap(err, "serve.socket_dir", "path", path)
	}
	return l, nil
}

type locked struct {
	net.Listener
	lock *os.File
}

func (l *locked) Close() error { return errors.Join(l.Listener.Close(), l.lock.Close()) }

// socketGrant gives every right to root and to the service's own user and
// group, by what the kernel says of the peer, and none to others.
func socketGrant(c net.Conn) access.Grant {
	g := access.Grant{Via: ViaSocket}
	if h, ok := c.(*held); ok {
		c = h.Conn
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return g
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return g
	}
	var peer *unix.Ucred
	if raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }) != nil || err != nil {
		return g
	}
	g.Role = roleOf(peer, os.Geteuid(), os.Getegid())
	g.Addr = fmt.Sprintf("uid %d", peer.Uid)
	return g
}

func roleOf(peer *unix.Ucred, uid, gid int) access.Role {
	if peer.Uid == 0 || int(peer.Uid) == uid || int(peer.Gid) == gid {
		return access.Owner
	}
	return access.Nobody
}

// ServeLAN serves the local network until ctx ends: everybody there is a viewer.
// A port that is busy is reported and tried again; an address that cannot be
// read is a *phrase.Error.
func (s *Server) ServeLAN(ctx context.Context, addr string) error {
	if s.o.Guard == nil {
		return errNoGuard
	}
	if _, err := net.ResolveTCPAddr("tcp", addr); err != nil {
		return phrase.Wrap(err, "serve.bad_address", "address", addr)
	}
	s.openPort(ctx, addr, "page", func(l net.Listener) {
		s.mu.Lock()
		s.lan = l.Addr().String()
		s.mu.Unlock()
		s.serveLAN(ctx, l, "lan")
	})
	// Who types an address without a port means this one as soon as TLS is meant.
	if beside := s.besides(addr); beside != "" {
		s.openPort(ctx, beside, "page tls", func(l net.Listener) { s.serveLAN(ctx, l, "lan https") })
	}
	s.sweep(ctx)
	return nil
}

// The ports that an address without one means (RFC 9110, 4.2.1 and 4.2.2).
const portHTTP, portHTTPS = "80", "443"

// besides gives the address where a page on the usual port is looked for with TLS, "" where there is no other.
func (s *Server) besides(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port != portHTTP || s.o.TLS == nil {
		return ""
	}
	return net.JoinHostPort(host, portHTTPS)
}

// SecureHost is where the host of a request in the clear answers with TLS.
func SecureHost(host string) string {
	if h, ok := strings.CutSuffix(host, ":"+portHTTP); ok {
		return h
	}
	return host
}

// openPort listens, now or as soon as the address is free, and calls serve.
func (s *Server) openPort(ctx context.Context, addr, thing string, serve func(net.Listener)) {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		serve(l)
		return
	}
	s.o.Report(thing, phrase.M("serve.port_busy", "address", addr, "cause", err.Error()))
	s.o.Guard.GoIn(ctx, owner, thing+" port", guard.Restart, func(ctx context.Context) error {
		t := time.NewTicker(s.o.Limits.Retry)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-t.C:
			}
			if l, err := net.Listen("tcp", addr); err == nil {
				s.o.Report(thing, phrase.Message{})
				serve(l)
				<-ctx.Done()
				return ctx.Err()
			}
		}
	})
}

func (s *Server) serveLAN(ctx context.Context, l net.Listener, name string) {
	srv := s.server(ctx, func(ctx context.Context, c net.Conn) context.Context {
		host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		return WithGrant(withConn(ctx, c), access.Grant{Role: access.Viewer, Via: ViaPage, Addr: host})
	})
	all := newCapped(l, s.o.Limits.Conns, s.o.Limits.ConnsPerAddr)
	if s.o.TLS == nil {
		s.serve(ctx, srv, all, name)
	} else {
		both := newSplitter(all, s.o.Limits.Read/2)
		s.o.Guard.GoIn(ctx, owner, name+" split", guard.Once, func(ctx context.Context) error {
			err := both.run(ctx, s.o.Guard)
			if err != nil {
				s.o.Report(name, phrase.M("serve.listener_died", "name", name, "cause", err.Error()))
			}
			return err
		})
		s.serve(ctx, srv, both.plain, name)
		srv := s.server(ctx, srv.ConnContext)
		srv.TLSConfig = s.o.TLS
		// HTTP/1.1 alone: the bounds of connections are then those of requests.
		srv.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
		s.serve(ctx, srv, tls.NewListener(both.tls, s.o.TLS), name+" tls")
	}
}

// sweep ends the streams of sessions that have run out.
func (s *Server) sweep(ctx context.Context) {
	if s.o.Door == nil {
		return
	}
	s.o.Guard.GoIn(ctx, owner, "sessions", guard.Restart, func(ctx context.Context) error {
		t := time.NewTicker(sweepEvery)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-t.C:
				s.o.Door.Sweep()
			}
		}
	})
}

// sweepEvery is how late the streams of a session that has run out may end.
const sweepEvery = time.Minute

// LANAddr gives the address that the network listener has, "" while it has none.
func (s *Server) LANAddr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lan
}

func (s *Server) server(ctx context.Context, who func(context.Context, net.Conn) context.Context) *http.Server {
	l := s.o.Limits
	return &http.Server{
		Handler:           s.root,
		ReadHeaderTimeout: l.Read / 2,
		ReadTimeout:       l.Read,
		WriteTimeout:      l.Read + l.Write,
		IdleTimeout:       l.Idle,
		MaxHeaderBytes:    l.Header,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       who,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// serve runs a server and its end. Streams end by themselves, since their
// requests descend from ctx; what is still open after 2 s is cut.
func (s *Server) serve(ctx context.Context, srv *http.Server, l net.Listener, name string) {
	s.o.Guard.GoIn(ctx, owner, name, guard.Once, func(ctx context.Context) error {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) && (ctx.Err() == nil || !errors.Is(err, net.ErrClosed)) {
			s.o.Report(name, phrase.M("serve.listener_died", "name", name, "cause", err.Error()))
			return err
		}
		return nil
	})
	s.o.Guard.GoIn(ctx, owner, name+" end", guard.Once, func(ctx context.Context) error {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if srv.Shutdown(end) != nil {
			srv.Close()
		}
		return nil
	})
}
