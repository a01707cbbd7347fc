package gb28181

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"tocsin/firmware/phrase"
)

const (
	// answerWithin is how long a request may go unanswered: with T1 = 500 ms
	// (RFC 3261 17.1.1.1) it was then sent six times.
	answerWithin = 10 * time.Second
	firstAgain   = 5 * time.Second
	lastAgain    = 5 * time.Minute
	mostHandlers = 16 // messages of a platform that are answered at a time
	mostSIP      = 64 << 10
)

// line is one platform: where it stands, and, while signed in, the user agent.
type line struct {
	d *Device
	n int // of Platforms
	p *Platform

	mu       sync.Mutex
	online   bool
	since    time.Duration
	phase    phrase.Message
	why      phrase.Message
	answered time.Duration
	clock    time.Duration
	sn       int
}

func (l *line) tell(online bool, m phrase.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if online != l.online {
		l.since = l.d.o.Now()
		l.d.log().Info("platform", "name", l.p.Name, "online", online, "why", m.In(phrase.EN))
	}
	if l.online, l.phase = online, m; online {
		l.why = phrase.Message{}
	}
}

// fail tells what went wrong, and keeps it while the box tries again.
func (l *line) fail(m phrase.Message) {
	l.tell(false, m)
	l.mu.Lock()
	l.why = m
	l.mu.Unlock()
}

func (l *line) heard() {
	l.mu.Lock()
	l.answered = l.d.o.Now()
	l.mu.Unlock()
}

func (l *line) nextSN() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sn++
	return strconv.Itoa(l.sn)
}

// run signs in again and again. A platform that was there is tried again soon, one
// that refuses or is silent ever more slowly.
func (l *line) run(ctx context.Context) {
	again := firstAgain
	for ctx.Err() == nil {
		l.tell(false, phrase.M("gb28181.signing_in", "address", net.JoinHostPort(l.p.Host, strconv.Itoa(l.p.Port))))
		was, err := l.attach(ctx)
		if ctx.Err() != nil {
			break
		}
		var e *phrase.Error
		if !errors.As(err, &e) {
			e = phrase.Wrap(err, "gb28181.failed", "why", fmt.Sprint(err))
		}
		l.fail(e.Message)
		if was {
			again = firstAgain
		}
		if l.d.o.Pause(ctx, again) != nil {
			break
		}
		if !was {
			again = min(2*again, lastAgain)
		}
	}
	l.tell(false, phrase.M("gb28181.ended"))
}

// An attachment is one signing-in with its socket, until it ends.
type attachment struct {
	l        *line
	platform netip.AddrPort
	local    netip.Addr // of ours towards it
	contact  sip.Uri    // without the port; reach tells all
	client   *sipgo.Client
	ctx      context.Context
	handling chan struct{}
	in       chan struct{} // closed when signed in

	callID string
	tag    string
	cseq   uint32

	port atomic.Int32 // by which the platform reaches us: over TCP another with each connection

	mu       sync.Mutex
	sessions map[string]*session // by Call-ID
}

// attach makes a user agent, signs in and stays until that fails. It tells whether it
// was signed in.
func (l *line) attach(ctx context.Context) (was bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()

	to, err := l.resolve(ctx)
	if err != nil {
		return false, err
	}
	local, err := sourceFor(to)
	if err != nil {
		return false, phrase.Wrap(err, "gb28181.no_route", "address", to.String())
	}
	a := &attachment{
		l: l, platform: to, local: local, ctx: ctx,
		handling: make(chan struct{}, mostHandlers), in: make(chan struct{}),
		callID: sip.GenerateTagN(16) + "@" + local.String(), tag: sip.GenerateTagN(12),
		sessions: map[string]*session{},
	}
	quiet := slog.New(slog.DiscardHandler) // it would log what strangers send
	ua, err := sipgo.NewUA(
		sipgo.WithUserAgent(l.p.Device), sipgo.WithUserAgentHostname(l.p.Realm),
		sipgo.WithUserAgentParser(sip.NewParser(func(p *sip.Parser) { p.MaxMessageLength = mostSIP })),
		sipgo.WithUserAgentTransportLayerOptions(
			sip.WithTransportLayerLogger(quiet),
			sip.WithTransportLayerReadFilter(a.fromPlatform)),
		sipgo.WithUserAgentTransactionLayerOptions(
			sip.WithTransactionLayerLogger(quiet),
			sip.WithTransactionLayerUnhandledResponseHandler(func(*sip.Response) {})),
	)
	if err != nil {
		return false, err
	}
	defer ua.Close()
	server, err := sipgo.NewServer(ua, sipgo.WithServerLogger(quiet))
	if err != nil {
		return false, err
	}
	a.serve(server)

	options := []sipgo.ClientOption{sipgo.WithClientLogger(quiet), sipgo.WithClientNAT()}
	a.contact = sip.Uri{Scheme: "sip", User: l.p.Device, Host: hostOf(local)}
	a.port.Store(5060)
	if l.p.Transport == "udp" {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, uint16(l.p.LocalPort))))
		if err != nil {
			return false, phrase.Wrap(err, "gb28181.port", "port", l.p.LocalPort)
		}
		defer conn.Close()
		at := conn.LocalAddr().String()
		a.port.Store(int32(conn.LocalAddr().(*net.UDPAddr).Port))
		options = append(options, sipgo.WithClientConnectionAddr(at))
		wg.Add(1)
		l.d.o.Go("gb28181 sip "+l.p.Name, func(context.Context) error {
			defer wg.Done()
			return server.ServeUDP(conn)
		})
		// The client must not open a socket of its own: wait until this one is known.
		for {
			if c, err := ua.TransportLayer().GetConnection("udp", at); err == nil && c != nil {
				break
			}
			if err := l.d.o.Pause(ctx, time.Millisecond); err != nil {
				return false, err
			}
		}
	}
	if a.client, err = sipgo.NewClient(ua, options...); err != nil {
		return false, err
	}
	defer a.endSessions()
	held, err := a.register(ctx, l.p.Expires)
	if err != nil {
		return false, err
	}
	l.tell(true, phrase.M("gb28181.signed_in"))
	close(a.in)
	err = a.stay(ctx, held)
	if ctx.Err() != nil { // sign out, so that the platform need not wait for the end
		l.tell(false, phrase.M("gb28181.ended"))
		a.endSessions()
		out, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_, _ = a.register(out, 0)
	}
	return true, err
}

// reach is where the platform reaches us.
func (a *attachment) reach() sip.Uri {
	u := a.contact
	u.Port = int(a.port.Load())
	return u
}

// signedIn says that the platform may ask. Its first question may be here before its
// answer to REGISTER was read, so that is waited for.
func (a *attachment) signedIn() bool {
	t := time.NewTimer(2 * time.Second)
	defer t.Stop()
	select {
	case <-a.in:
		return a.ctx.Err() == nil
	case <-t.C:
	case <-a.ctx.Done():
	}
	return false
}

// resolve finds the platform's address. One that is named is asked for anew each time.
func (l *line) resolve(ctx context.Context) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(l.p.Host); err == nil {
		return netip.AddrPortFrom(a.Unmap(), uint16(l.p.Port)), nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	as, err := net.DefaultResolver.LookupNetIP(ctx, "ip", l.p.Host)
	if err != nil || len(as) == 0 {
		return netip.AddrPort{}, phrase.Wrap(err, "gb28181.no_name", "host", l.p.Host)
	}
	best := as[0]
	for _, a := range as {
		if a.Unmap().Is4() {
			best = a
			break
		}
	}
	return netip.AddrPortFrom(best.Unmap(), uint16(l.p.Port)), nil
}

// sourceFor is the address of ours from which the kernel sends there.
func sourceFor(to netip.AddrPort) (netip.Addr, error) {
	c, err := net.Dial("udp", to.String()) // sends nothing
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

func hostOf(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// fromPlatform drops what comes from any other address before it is read at all.
func (a *attachment) fromPlatform(p sip.TransportReadProps, b []byte) ([]byte, error) {
	if from, err := netip.ParseAddrPort(p.RemoteAddr.String()); err != nil || from.Addr().Unmap() != a.platform.Addr() {
		return nil, nil
	}
	return b, nil
}
