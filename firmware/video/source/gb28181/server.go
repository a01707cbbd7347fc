package gb28181

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/gb28181/mans"
)

const (
	answerWithin = 10 * time.Second
	mostHandlers = 32
	mostSIP      = 64 << 10
	mostExpires  = 24 * time.Hour
	leastExpires = time.Minute
)

// Run listens and takes pictures until the context ends.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(s.o.Listen))
	if err != nil {
		return phrase.Wrap(err, "gb28181_in.port", "address", s.o.Listen.String())
	}
	defer udp.Close()
	at := udp.LocalAddr().(*net.UDPAddr).AddrPort()
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		return phrase.Wrap(err, "gb28181_in.port", "address", at.String())
	}
	defer tcp.Close()
	quiet := slog.New(slog.DiscardHandler) // it would log what strangers send
	ua, err := sipgo.NewUA(
		sipgo.WithUserAgent(s.o.ID), sipgo.WithUserAgentHostname(s.o.Realm),
		sipgo.WithUserAgentParser(sip.NewParser(func(p *sip.Parser) { p.MaxMessageLength = mostSIP })),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(quiet), sip.WithTransportLayerReadFilter(s.permitted)),
		sipgo.WithUserAgentTransactionLayerOptions(
			sip.WithTransactionLayerLogger(quiet),
			sip.WithTransactionLayerUnhandledResponseHandler(func(*sip.Response) {})),
	)
	if err != nil {
		return err
	}
	defer ua.Close()
	server, err := sipgo.NewServer(ua, sipgo.WithServerLogger(quiet))
	if err != nil {
		return err
	}
	byUDP, err := sipgo.NewClient(ua, sipgo.WithClientLogger(quiet), sipgo.WithClientNAT(), sipgo.WithClientConnectionAddr(udp.LocalAddr().String()))
	if err != nil {
		return err
	}
	byTCP, err := sipgo.NewClient(ua, sipgo.WithClientLogger(quiet), sipgo.WithClientNAT())
	if err != nil {
		return err
	}
	s.serve(server)
	start := func(name string, run func(context.Context) error) {
		wg.Add(1)
		s.o.Go(name, func(own context.Context) error {
			defer wg.Done()
			stop := context.AfterFunc(own, cancel)
			defer stop()
			return run(ctx)
		})
	}
	start("gb28181 in udp", func(context.Context) error { return server.ServeUDP(udp) })
	start("gb28181 in tcp", func(context.Context) error { return server.ServeTCP(door{tcp, s}) })
	for { // the clients must find this socket and not open one of their own
		if c, err := ua.TransportLayer().GetConnection("udp", udp.LocalAddr().String()); err == nil && c != nil {
			break
		}
		if err := s.o.Pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.at = at
	s.mu.Unlock()
	for _, c := range s.cameras {
		c.byUDP, c.byTCP = byUDP, byTCP
		start("gb28181 in "+c.c.Stream, func(ctx context.Context) error { c.run(ctx); return nil })
	}
	<-ctx.Done()
	// Sessions say BYE before the sockets go.
	for _, c := range s.cameras {
		<-c.over()
	}
	return nil
}

// Address is where it listens, once it does.
func (s *Server) Address() netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

// permitted drops what comes from elsewhere before it is read at all.
func (s *Server) permitted(p sip.TransportReadProps, b []byte) ([]byte, error) {
	a, err := netip.ParseAddrPort(p.RemoteAddr.String())
	if err != nil || len(s.o.From) > 0 && !slices.ContainsFunc(s.o.From, func(p netip.Prefix) bool { return p.Contains(a.Addr().Unmap()) }) {
		return nil, nil
	}
	return b, nil
}

// door bounds the connections of those who have not signed in.
type door struct {
	*net.TCPListener
	s *Server
}

type guest struct {
	net.Conn
	leave func()
}

func (g guest) Close() error { g.leave(); return g.Conn.Close() }

func (d door) Accept() (net.Conn, error) {
	c, err := d.TCPListener.AcceptTCP()
	if err != nil {
		return nil, err
	}
	from := c.RemoteAddr().String()
	pass := d.s.gate.Enter(c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap(), func() { c.Close() })
	d.s.mu.Lock()
	d.s.passes[from] = pass
	d.s.mu.Unlock()
	return guest{c, func() {
		pass.Leave()
		d.s.mu.Lock()
		delete(d.s.passes, from)
		d.s.mu.Unlock()
	}}, nil
}

func (s *Server) admitted(from string) {
	s.mu.Lock()
	pass := s.passes[from]
	s.mu.Unlock()
	if pass != nil {
		pass.Leave()
	}
}

func (s *Server) serve(server *sipgo.Server) {
	busy := make(chan struct{}, mostHandlers)
	guarded := func(h func(*camera, *sip.Request, sip.ServerTransaction)) sipgo.RequestHandler {
		return func(r *sip.Request, tx sip.ServerTransaction) {
			defer func() { // sipgo starts these: a fault in one must not end the child
				if e := recover(); e != nil {
					s.o.Log.Error("a handler of SIP failed", "method", r.Method, "panic", e)
				}
			}()
			select {
			case busy <- struct{}{}:
				defer func() { <-busy }()
			default:
				reply(r, tx, sip.StatusServiceUnavailable, "Busy")
				return
			}
			if r.From() == nil || r.To() == nil || r.CallID() == nil || r.CSeq() == nil || r.Via() == nil {
				reply(r, tx, sip.StatusBadRequest, "Bad Request")
				return
			}
			h(s.cameras[r.From().Address.User], r, tx)
		}
	}
	// Of those who are signed in, from where they did.
	member := func(h func(*camera, *sip.Request, sip.ServerTransaction)) sipgo.RequestHandler {
		return guarded(func(c *camera, r *sip.Request, tx sip.ServerTransaction) {
			if call := s.callOf(r); call != nil { // in a session a channel may speak
				c = call
			}
			if c == nil || !c.isFrom(r.Source()) {
				reply(r, tx, sip.StatusForbidden, "Forbidden")
				return
			}
			h(c, r, tx)
		})
	}
	server.OnRegister(guarded(s.onRegister))
	server.OnMessage(member(s.onMessage))
	server.OnBye(member(func(c *camera, r *sip.Request, tx sip.ServerTransaction) {
		reply(r, tx, sip.StatusOK, "OK")
		c.hungUp(r.CallID().Value())
	}))
	server.OnAck(func(*sip.Request, sip.ServerTransaction) {})
	server.OnNoRoute(guarded(func(_ *camera, r *sip.Request, tx sip.ServerTransaction) {
		reply(r, tx, sip.StatusMethodNotAllowed, "Method Not Allowed")
	}))
}

func (s *Server) callOf(r *sip.Request) *camera {
	for _, c := range s.cameras {
		if c.isCall(r.CallID().Value()) {
			return c
		}
	}
	return nil
}

func reply(r *sip.Request, tx sip.ServerTransaction, code int, reason string, headers ...sip.Header) {
	if r.IsAck() || tx == nil {
		return
	}
	res := sip.NewResponseFromRequest(r, code, reason, nil)
	for _, h := range headers {
		res.AppendHeader(h)
	}
	_ = tx.Respond(res)
}

// onRegister lets a device in that knows its password.
func (s *Server) onRegister(c *camera, r *sip.Request, tx sip.ServerTransaction) {
	if c == nil || r.Contact() == nil {
		s.o.Log.Info("a device that is not configured wants to sign in", "device", shown(r.From().Address.User), "from", r.Source())
		reply(r, tx, sip.StatusForbidden, "Forbidden")
		return
	}
	h := r.GetHeader("Authorization")
	if h == nil {
		reply(r, tx, sip.StatusUnauthorized, "Unauthorized", sip.NewHeader("WWW-Authenticate", s.challenge(c, false)))
		return
	}
	m := credentials(h.Value())
	ours, isFresh := s.ours(m["nonce"], c.c.Device, s.o.Now())
	if !ours || !knows(m, "REGISTER", s.o.Realm, c.c.Device, c.c.Password, c.c.Algorithm) {
		if c.guessed(s.o.Now()) {
			c.tell(phrase.M("gb28181_in.wrong_password", "stream", c.c.Stream, "device", c.c.Device, "from", r.Source()))
		}
		reply(r, tx, sip.StatusForbidden, "Forbidden")
		return
	}
	if !isFresh || !c.firstUse(m["nonce"]) {
		reply(r, tx, sip.StatusUnauthorized, "Unauthorized", sip.NewHeader("WWW-Authenticate", s.challenge(c, true)))
		return
	}
	expires := time.Hour
	if h := r.GetHeader("Expires"); h != nil {
		n, err := strconv.ParseUint(strings.TrimSpace(h.Value()), 10, 31)
		if err != nil {
			reply(r, tx, sip.StatusBadRequest, "Bad Expires")
			return
		}
		expires = time.Duration(n) * time.Second
	}
	if expires > 0 {
		expires = min(max(expires, leastExpires), mostExpires)
	}
	s.admitted(r.Source())
	reply(r, tx, sip.StatusOK, "OK",
		sip.NewHeader("Expires", strconv.Itoa(int(expires/time.Second))),
		sip.NewHeader("X-GB-Ver", "3.0"))
	c.signedIn(r, expires)
}

// onMessage takes what a device that is signed in says.
func (s *Server) onMessage(c *camera, r *sip.Request, tx sip.ServerTransaction) {
	m, err := mans.Read(r.Body())
	if err != nil {
		reply(r, tx, sip.StatusBadRequest, "Bad MANSCDP")
		return
	}
	reply(r, tx, sip.StatusOK, "OK")
	c.heard()
	switch {
	case m.Kind == "Response" && m.Command == "Catalog":
		if id := firstCamera(m.Body); id != "" {
			select {
			case c.catalog <- id:
			default:
			}
		}
	case m.Kind == "Notify" && m.Command == "MediaStatus":
		c.hungUp(r.CallID().Value())
	}
}

// firstCamera is the first item of a catalog that is a camera (kinds 131 and 132).
func firstCamera(body *mans.Node) string {
	list := body.Part("DeviceList")
	if list == nil {
		return ""
	}
	for _, i := range list.Parts {
		if id := i.Get("DeviceID"); mans.IsCode(id) && (id[10:13] == "131" || id[10:13] == "132") {
			return id
		}
	}
	return ""
}

func shown(s string) string {
	const most = 40
	if len(s) > most {
		s = s[:most] + "…"
	}
	return fmt.Sprintf("%q", s)
}
