package rtsp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/auth"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/headers"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/source"
	"tocsin/firmware/video/stream"
)

// Opts are what a Server needs.
type Opts struct {
	// Listen is the address of the one port, ":8554".
	Listen string
	// UDP is the first of two ports (even, and the next) for RTP and RTCP by UDP;
	// 0 gives and takes by TCP alone.
	UDP int
	// Desk says who may push.
	Desk source.Desk
	// View gives a stream to who may read it; the error is a phrase. Nil gives
	// nothing to anybody.
	View func(source.Asker) (*stream.Stream, error)
	// Key gives the key of a stream, to push to it or to view it, "" where it has
	// none. With it digest is offered (RFC 2617), which needs to know the password; nil
	// offers basic alone. Desk and View have the last word either way.
	Key func(name string, view bool) string
	// Most connections and sessions at a time, in all and of one address: 64 and 8,
	// 32 and 8 where 0.
	Conns, ConnsEach, Sessions, SessionsEach int
	// Timeout is for a first request, a write, and a pusher's next packet (10 s).
	Timeout time.Duration
	// Silent is how long a pusher says nothing until its stream can be taken over (3 s).
	Silent time.Duration
	Log    *slog.Logger
	// Now is the box's monotonic clock, that of stream.Unit.Arrived.
	Now func() time.Duration
	// Go runs what sends to one reader, under the caller's guard.
	Go func(name string, run func(context.Context) error)
}

// Server takes what is pushed and gives it again.
type Server struct {
	o    Opts
	srv  *gortsplib.Server
	door *bounded
	up   chan struct{}

	mu       sync.Mutex
	sessions map[*gortsplib.ServerSession]*session
}

// A session is one pusher or reader, or one who asked and is neither yet.
type session struct {
	who    netip.Addr
	remote netip.AddrPort
	name   string
	push   *push
	view   *view
}

// New proves the options; nothing listens before Run.
func New(o Opts) (*Server, error) {
	if o.Desk == nil || o.Now == nil || o.Go == nil || o.Listen == "" {
		return nil, errors.New("rtsp: Listen, Desk, Now and Go are needed")
	}
	if o.UDP%2 != 0 || o.UDP < 0 || o.UDP > 65534 {
		return nil, phrase.E("video-rtsp.udp_port", "port", o.UDP)
	}
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&o.Conns, 64)
	def(&o.ConnsEach, 8)
	def(&o.Sessions, 32)
	def(&o.SessionsEach, 8)
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Silent == 0 {
		o.Silent = 3 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Server{o: o, up: make(chan struct{}), sessions: map[*gortsplib.ServerSession]*session{}}, nil
}

// Run serves until ctx ends, or until the port cannot be had.
func (s *Server) Run(ctx context.Context) error {
	s.srv = &gortsplib.Server{
		Handler:        (*handler)(s),
		RTSPAddress:    s.o.Listen,
		ReadTimeout:    s.o.Timeout,
		WriteTimeout:   s.o.Timeout,
		AuthMethods:    []auth.VerifyMethod{auth.VerifyMethodBasic},
		WriteQueueSize: 256,
		Listen: func(network, address string) (net.Listener, error) {
			l, err := (&net.ListenConfig{}).Listen(ctx, network, address)
			if err != nil {
				return nil, err
			}
			s.door = &bounded{Listener: l, log: s.o.Log, all: s.o.Conns, each: s.o.ConnsEach, timeout: s.o.Timeout, by: map[netip.Addr]int{}}
			return s.door, nil
		},
	}
	if s.o.Key != nil {
		s.srv.AuthMethods = append(s.srv.AuthMethods, auth.VerifyMethodDigestMD5)
	}
	if s.o.UDP != 0 {
		host, _, err := net.SplitHostPort(s.o.Listen)
		if err != nil {
			return phrase.Wrap(err, "video-rtsp.listen", "address", s.o.Listen)
		}
		s.srv.UDPRTPAddress = net.JoinHostPort(host, itoa(s.o.UDP))
		s.srv.UDPRTCPAddress = net.JoinHostPort(host, itoa(s.o.UDP+1))
		s.srv.UDPReadBufferSize = 1 << 20
	}
	err := s.srv.Start()
	if err != nil && s.o.UDP != 0 {
		s.srv.UDPReadBufferSize = 0 // a kernel may not give that much
		err = s.srv.Start()
	}
	if err != nil {
		return phrase.Wrap(err, "video-rtsp.listen", "address", s.o.Listen)
	}
	close(s.up)
	stop := context.AfterFunc(ctx, s.srv.Close)
	defer stop()
	err = s.srv.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return phrase.Wrap(err, "video-rtsp.listen", "address", s.o.Listen)
}

// Address is where it listens, once it does.
func (s *Server) Address(ctx context.Context) (netip.AddrPort, error) {
	select {
	case <-s.up:
		return s.door.Addr().(*net.TCPAddr).AddrPort(), nil
	case <-ctx.Done():
		return netip.AddrPort{}, ctx.Err()
	}
}

// enter gives a session its place, or says that there is none.
func (s *Server) enter(ss *gortsplib.ServerSession, sc *gortsplib.ServerConn, name string) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.sessions[ss]; e != nil {
		return e, nil
	}
	who, each := place(sc.NetConn().RemoteAddr()), 0
	for _, e := range s.sessions {
		if e.who == who {
			each++
		}
	}
	if len(s.sessions) >= s.o.Sessions || each >= s.o.SessionsEach {
		return nil, phrase.E("video-rtsp.many", "from", who)
	}
	e := &session{who: who, remote: remote(sc), name: name}
	s.sessions[ss] = e
	return e, nil
}

func (s *Server) of(ss *gortsplib.ServerSession) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[ss]
}

func remote(sc *gortsplib.ServerConn) netip.AddrPort {
	a, _ := sc.NetConn().RemoteAddr().(*net.TCPAddr)
	if a == nil {
		return netip.AddrPort{}
	}
	p := a.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// handler is what the library calls; its methods are not the Server's.
type handler Server

func (h *handler) server() *Server { return (*Server)(h) }

// errRefused ends a connection whose answer has said why.
var errRefused = errors.New("refused")

// asker reads who asks for which stream with which key. Without any, it answers that one
// is needed; that is no guess yet.
func (h *handler) asker(sc *gortsplib.ServerConn, req *base.Request, path, query string, viewing bool) (source.Asker, *base.Response, error) {
	a := source.Asker{Way: "rtsp", Remote: remote(sc)}
	var err error
	if a.Stream, a.Key, err = asked(path, query); err != nil {
		return a, refuse(base.StatusNotFound, err), errRefused
	}
	if a.Key != "" {
		return a, nil, nil
	}
	var given headers.Authorization
	if err := given.Unmarshal(req.Header["Authorization"]); err != nil || given.Username == "" && given.BasicPass == "" {
		sc.VerifyCredentials(req, "-", "") // makes the nonce of the answer
		return a, &base.Response{StatusCode: base.StatusUnauthorized}, liberrors.ErrServerAuth{}
	}
	switch {
	case given.Method == headers.AuthMethodBasic:
		if a.Key = given.BasicPass; len(a.Key) > maxKey {
			a.Key = ""
		}
	case h.o.Key != nil:
		// A wrong answer is asked with no key: the desk counts it as a guess.
		if k := h.o.Key(a.Stream, viewing); k != "" && sc.VerifyCredentials(req, given.Username, k) {
			a.Key = k
		}
	}
	return a, nil, nil
}

// refuse answers with a status and, in its message, what is wrong.
func refuse(code base.StatusCode, why error) *base.Response {
	r := &base.Response{StatusCode: code}
	if why != nil {
		r.StatusMessage = oneLine(phrase.In(why, phrase.EN))
	}
	return r
}

// OnRequest mends what encoders get wrong before the library judges it.
func (h *handler) OnRequest(sc *gortsplib.ServerConn, req *base.Request) {
	if c, ok := sc.NetConn().(*counted); ok {
		c.spoke.Store(true)
	}
	switch req.Method {
	case base.Announce:
		if b, ok := mend(req.Body, true); ok {
			req.Body = b
		}
	case base.Record:
		// Who announces sound and never sets it up records what he did set up. The
		// session waits for this very request: nobody else reads the description now.
		if ss := sc.Session(); ss != nil && ss.State() == gortsplib.ServerSessionStatePreRecord {
			if d, set := ss.AnnouncedDescription(), ss.Medias(); d != nil && len(set) > 0 {
				d.Medias = set
			}
		}
	}
}

// OnAnnounce asks the desk.
func (h *handler) OnAnnounce(c *gortsplib.ServerHandlerOnAnnounceCtx) (*base.Response, error) {
	a, res, err := h.asker(c.Conn, c.Request, c.Path, c.Query, false)
	if res != nil {
		return res, err
	}
	picture, sound, notes := choose(c.Description)
	if picture == nil {
		return refuse(base.StatusUnsupportedMediaType, phrase.E("video-rtsp.codec", "stream", a.Stream)), errRefused
	}
	e, err := h.server().enter(c.Session, c.Conn, a.Stream)
	if err != nil {
		return refuse(base.StatusServiceUnavailable, err), errRefused
	}
	w, err := h.server().publish(a)
	if err != nil {
		h.o.Log.Warn("RTSP: a push was refused", "stream", a.Stream, "from", a.Remote, "err", err)
		return refuse(base.StatusForbidden, err), errRefused
	}
	p := newPush(w, picture, sound, notes, h.o.Now)
	h.mu.Lock()
	e.push = p
	h.mu.Unlock()
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnDescribe tells a reader what there is.
func (h *handler) OnDescribe(c *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	_, v, res, err := h.look(c.Conn, c.Request, c.Path, c.Query)
	if res != nil {
		return res, nil, err
	}
	d := v.description()
	for i, m := range d.Medias {
		m.Control = "trackID=" + itoa(i)
	}
	b, err := d.Marshal()
	if err != nil {
		return refuse(base.StatusInternalServerError, nil), nil, err
	}
	return &base.Response{StatusCode: base.StatusOK, Body: b}, nil, nil
}

// look lets a reader in.
func (h *handler) look(sc *gortsplib.ServerConn, req *base.Request, path, query string) (source.Asker, *view, *base.Response, error) {
	a, res, err := h.asker(sc, req, path, query, true)
	if res != nil {
		return a, nil, res, err
	}
	if h.o.View == nil {
		return a, nil, refuse(base.StatusForbidden, phrase.E("video-rtsp.no_view")), errRefused
	}
	s, err := h.o.View(a)
	if err != nil {
		h.o.Log.Warn("RTSP: a reader was refused", "stream", a.Stream, "from", a.Remote, "err", err)
		return a, nil, refuse(base.StatusForbidden, err), errRefused
	}
	v, err := newView(s, a.Stream)
	if err != nil {
		return a, nil, refuse(base.StatusNotFound, err), errRefused
	}
	return a, v, nil, nil
}

// OnSetup gives a reader a stream of the library's that is his alone, so that what he
// does not take is nobody else's loss.
func (h *handler) OnSetup(c *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	ok := &base.Response{StatusCode: base.StatusOK}
	if c.Session.State() == gortsplib.ServerSessionStatePreRecord {
		return ok, nil, nil
	}
	if e := h.server().of(c.Session); e != nil && e.view != nil {
		return ok, e.view.own, nil
	}
	a, v, res, err := h.look(c.Conn, c.Request, c.Path, c.Query)
	if res != nil {
		return res, nil, err
	}
	e, err := h.server().enter(c.Session, c.Conn, a.Stream)
	if err != nil {
		return refuse(base.StatusServiceUnavailable, err), nil, errRefused
	}
	v.own = &gortsplib.ServerStream{Server: h.srv, Desc: v.description()}
	if err := v.own.Initialize(); err != nil {
		return refuse(base.StatusInternalServerError, nil), nil, err
	}
	h.mu.Lock()
	e.view = v
	h.mu.Unlock()
	return ok, v.own, nil
}

// OnRecord begins to take what is pushed.
func (h *handler) OnRecord(c *gortsplib.ServerHandlerOnRecordCtx) (*base.Response, error) {
	e := h.server().of(c.Session)
	if e == nil || e.push == nil || !e.push.begin(c.Session) {
		return refuse(base.StatusBadRequest, phrase.E("video-rtsp.no_picture_track", "stream", c.Path)), errRefused
	}
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnPlay lets the reader's pictures begin with the answer to it (OnResponse): before that
// the session does not send.
func (h *handler) OnPlay(c *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	e := h.server().of(c.Session)
	if e == nil || e.view == nil {
		return refuse(base.StatusBadRequest, nil), errRefused
	}
	e.view.ready.Store(true)
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnResponse begins to send to a reader whose PLAY is being answered.
func (h *handler) OnResponse(sc *gortsplib.ServerConn, res *base.Response) {
	ss := sc.Session()
	if ss == nil || res.StatusCode != base.StatusOK {
		return
	}
	if e := h.server().of(ss); e != nil && e.view != nil && ss.State() == gortsplib.ServerSessionStatePlay && e.view.ready.CompareAndSwap(true, false) {
		e.view.start(h.server(), ss, e.remote)
	}
}

// OnPause stops sending.
func (h *handler) OnPause(c *gortsplib.ServerHandlerOnPauseCtx) (*base.Response, error) {
	if e := h.server().of(c.Session); e != nil && e.view != nil {
		e.view.stop()
	}
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnSessionClose gives the place and the stream back.
func (h *handler) OnSessionClose(c *gortsplib.ServerHandlerOnSessionCloseCtx) {
	h.mu.Lock()
	e := h.sessions[c.Session]
	delete(h.sessions, c.Session)
	h.mu.Unlock()
	if e == nil {
		return
	}
	if e.push != nil {
		e.push.close(phrase.Wrap(c.Error, "video-rtsp.push_ended", "stream", e.name, "from", e.remote))
	}
	if e.view != nil {
		e.view.stop()
		if e.view.own != nil {
			e.view.own.Close()
		}
	}
	h.o.Log.Info("RTSP: a session ended", "stream", e.name, "from", e.remote, "push", e.push != nil, "why", c.Error)
}

// OnPacketsLost, OnDecodeError and OnStreamWriteError keep the library from printing;
// what is lost is counted where pictures are put together.
func (h *handler) OnPacketsLost(*gortsplib.ServerHandlerOnPacketsLostCtx)           {}
func (h *handler) OnDecodeError(*gortsplib.ServerHandlerOnDecodeErrorCtx)           {}
func (h *handler) OnStreamWriteError(*gortsplib.ServerHandlerOnStreamWriteErrorCtx) {}
