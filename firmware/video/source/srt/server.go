package srt

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"

	gosrt "github.com/datarhei/gosrt"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/source"
	"tocsin/firmware/video/stream"
)

// A Server takes publishers at one port. Use Listen, then Serve.
type Server struct {
	o Opts
	l gosrt.Listener

	mu         sync.Mutex
	judging    map[netip.Prefix]int
	all        int
	publishers int
	wait       sync.WaitGroup
}

// Listen opens the port.
func Listen(o Opts) (*Server, error) {
	o.fill()
	c := gosrt.DefaultConfig()
	c.ReceiverLatency, c.PeerLatency = o.Latency, o.Latency
	c.PeerIdleTimeout = peerIdle
	if n := len(o.Passphrase); n > 0 && (n < gosrt.MIN_PASSPHRASE_SIZE || n > gosrt.MAX_PASSPHRASE_SIZE) {
		return nil, phrase.E("srt.passphrase", "least", gosrt.MIN_PASSPHRASE_SIZE, "most", gosrt.MAX_PASSPHRASE_SIZE)
	}
	l, err := gosrt.Listen("srt", o.Address, c)
	if err != nil {
		return nil, phrase.Wrap(err, "srt.listen", "address", o.Address)
	}
	return &Server{o: o, l: l, judging: map[netip.Prefix]int{}}, nil
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.l.Addr() }

// Serve takes callers until ctx ends, then closes the port and all connections and waits for
// their goroutines.
func (s *Server) Serve(ctx context.Context) error {
	defer s.wait.Wait()
	defer s.l.Close()
	defer context.AfterFunc(ctx, s.l.Close)()
	for {
		var r gosrt.ConnRequest
		var err error
		whole := survive(func() { r, err = s.l.Accept2() })
		if ctx.Err() != nil {
			return nil
		}
		if !whole {
			s.o.Log.Debug("srt: broken handshake")
			continue
		}
		if err != nil {
			return phrase.Wrap(err, "srt.ended", "address", s.o.Address)
		}
		remote := address(r.RemoteAddr())
		if !s.enter(remote.Addr()) {
			reject(r, gosrt.REJX_OVERLOAD)
			continue
		}
		s.wait.Add(1)
		s.o.Go("srt connection", func(ctx context.Context) error {
			defer s.wait.Done()
			t := func() *talk {
				defer s.leave(remote.Addr())
				return s.judge(r, remote)
			}()
			if t != nil {
				t.run(ctx)
			}
			return nil
		})
	}
}

// survive runs what reads a stranger's handshake; false where that was too much for it. gosrt v0.11.0 reads behind the
// end of one whose last extension is cut off (FuzzHandshake found it): it holds no lock then, and the caller is not
// answered.
func survive(read func()) (whole bool) {
	defer func() {
		if recover() != nil {
			whole = false
		}
	}()
	read()
	return true
}

// enter counts who is being judged, if there is room.
func (s *Server) enter(remote netip.Addr) bool {
	a := source.Neighbour(remote)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= s.o.All || s.judging[a] >= s.o.Limits.Address {
		return false
	}
	s.all++
	s.judging[a]++
	return true
}

func (s *Server) leave(remote netip.Addr) {
	a := source.Neighbour(remote)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.judging[a]--; s.judging[a] == 0 {
		delete(s.judging, a)
	}
}

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

// judge answers a caller: nil where it is refused, which it was told.
func (s *Server) judge(r gosrt.ConnRequest, remote netip.AddrPort) *talk {
	log := s.o.Log.With("remote", remote)
	name, key, no := streamID(r.StreamId())
	if no == 0 && !survive(func() { no = s.secret(r) }) {
		no = gosrt.REJ_ROGUE
	}
	if no != 0 {
		log.Debug("srt: refused", "code", no)
		reject(r, no)
		return nil
	}
	if !s.admit() {
		reject(r, gosrt.REJX_OVERLOAD)
		return nil
	}
	w, err := s.o.Desk.Publish(source.Asker{Way: "srt", Stream: name, Key: key, Remote: remote})
	if err != nil {
		s.dismiss()
		log.Debug("srt: refused", "stream", name, "why", err)
		if errors.Is(err, stream.ErrTaken) {
			reject(r, gosrt.REJX_CONFLICT)
		} else {
			reject(r, gosrt.REJX_UNAUTHORIZED)
		}
		return nil
	}
	var c gosrt.Conn
	if !survive(func() { c, err = r.Accept() }) {
		err = errBroken
	}
	if err != nil {
		s.dismiss()
		w.Close(err)
		log.Debug("srt: not taken", "stream", name, "why", err)
		return nil
	}
	log = log.With("stream", name)
	log.Info("srt: publishing")
	return &talk{s: s, c: c, w: w, log: log}
}

var errBroken = errors.New("broken handshake")

func reject(r gosrt.ConnRequest, no gosrt.RejectionReason) { survive(func() { r.Reject(no) }) }

// secret checks the passphrase.
func (s *Server) secret(r gosrt.ConnRequest) gosrt.RejectionReason {
	switch {
	case r.IsEncrypted() != (s.o.Passphrase != ""):
		return gosrt.REJ_UNSECURE
	case s.o.Passphrase == "":
		return 0
	case r.SetPassphrase(s.o.Passphrase) != nil:
		return gosrt.REJ_BADSECRET
	}
	return 0
}

func address(a net.Addr) netip.AddrPort {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := u.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
