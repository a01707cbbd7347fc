// Package platform is an upper platform of GB/T 28181-2022 as devices meet it: it lets
// them sign in by digest and forgets them when they are silent, asks for catalogs and
// records, invites live pictures, playback and downloads over datagrams and over TCP in
// both directions, and holds what comes against the standard: codes, the SSRC it asked
// for, the order of RTP packets, the shape of the program stream. A Drone is the other
// end: a device that signs in at a platform and sends what it is invited to. Written
// from the public text of the standard and the RFCs; it imports nothing of firmware.
package platform

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// Ways are how the platform is.
type Ways struct {
	ID, Realm string
	Passwords map[string]string // of devices
	Algorithm string            // MD5 where empty; SHA-256
	// Challenges, where set, are sent before the platform's own.
	Challenges []string
	Expires    int // what it grants; nought grants what is asked
	// Stale says of the first nonce that it is too old.
	Stale bool
	// Deaf leaves keepalives unanswered; Forgets answers them with 403.
	Deaf, Forgets bool
	// Now is its clock from the start on; the machine's where nil.
	Now func() time.Time
}

// Event is something that a device did.
type Event struct{ What, Device string }

// Platform is one. Use Start.
type Platform struct {
	ip     netip.Addr
	port   int
	ua     *sipgo.UserAgent
	server *sipgo.Server
	byUDP  *sipgo.Client
	byTCP  *sipgo.Client

	now func() time.Time

	mu      sync.Mutex
	w       Ways
	nonces  map[string]int // how often each was used
	devices map[string]*device
	answers map[string][]string // bodies by CmdType and SN
	changed chan struct{}
	events  []Event
	calls   map[string]*Call
	sn      int
	faults  []string
}

type device struct {
	source, transport string
	until             time.Time
	keepalives        int
	version           string
}

// Start listens on an address, UDP and TCP, at a port of the system's choice.
func Start(ip string, w Ways) (*Platform, error) {
	p := &Platform{
		ip: netip.MustParseAddr(ip), w: w, now: w.Now, nonces: map[string]int{}, devices: map[string]*device{},
		answers: map[string][]string{}, changed: make(chan struct{}), calls: map[string]*Call{},
	}
	if p.now == nil {
		p.now = time.Now
	}
	var udp net.PacketConn
	var tcp net.Listener
	var err error
	for range 20 { // both at one port
		if udp, err = net.ListenPacket("udp", net.JoinHostPort(ip, "0")); err != nil {
			return nil, err
		}
		p.port = udp.LocalAddr().(*net.UDPAddr).Port
		if tcp, err = net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(p.port))); err == nil {
			break
		}
		udp.Close()
	}
	if err != nil {
		return nil, err
	}
	quiet := slog.New(slog.DiscardHandler)
	p.ua, err = sipgo.NewUA(sipgo.WithUserAgent(w.ID), sipgo.WithUserAgentHostname(w.Realm),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(quiet)),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerLogger(quiet), sip.WithTransactionLayerUnhandledResponseHandler(func(*sip.Response) {})))
	if err != nil {
		return nil, err
	}
	if p.server, err = sipgo.NewServer(p.ua, sipgo.WithServerLogger(quiet)); err != nil {
		return nil, err
	}
	p.server.OnRegister(p.onRegister)
	p.server.OnMessage(p.onMessage)
	p.server.OnBye(p.onBye)
	at := udp.LocalAddr().String()
	if p.byUDP, err = sipgo.NewClient(p.ua, sipgo.WithClientConnectionAddr(at), sipgo.WithClientLogger(quiet)); err != nil {
		return nil, err
	}
	if p.byTCP, err = sipgo.NewClient(p.ua, sipgo.WithClientLogger(quiet)); err != nil {
		return nil, err
	}
	go func() { _ = p.server.ServeUDP(udp); udp.Close() }()
	go func() { _ = p.server.ServeTCP(tcp); tcp.Close() }()
	for { // until the socket for datagrams is known to the user agent
		if c, err := p.ua.TransportLayer().GetConnection("udp", at); err == nil && c != nil {
			return p, nil
		}
		time.Sleep(time.Millisecond)
	}
}

// Close ends it.
func (p *Platform) Close() {
	p.mu.Lock()
	calls := p.calls
	p.calls = map[string]*Call{}
	p.mu.Unlock()
	for _, c := range calls {
		c.media.close()
	}
	p.ua.Close()
}

// Port is where it listens.
func (p *Platform) Port() int { return p.port }

// Set changes its ways.
func (p *Platform) Set(change func(*Ways)) {
	p.mu.Lock()
	change(&p.w)
	p.mu.Unlock()
}

// Forget drops a device as if its signing-in had run out.
func (p *Platform) Forget(id string) {
	p.mu.Lock()
	delete(p.devices, id)
	p.mu.Unlock()
}

// Faults are what devices did against the standard.
func (p *Platform) Faults() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.faults...)
}

func (p *Platform) fault(format string, args ...any) {
	p.mu.Lock()
	p.faults = append(p.faults, fmt.Sprintf(format, args...))
	p.mu.Unlock()
}

func (p *Platform) event(what, device string) {
	p.mu.Lock()
	p.events = append(p.events, Event{what, device})
	p.wake()
	p.mu.Unlock()
}

// wake tells those who wait; the lock is held.
func (p *Platform) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Await waits until something happened n times since the platform began.
func (p *Platform) Await(ctx context.Context, what string, n int) error {
	return p.until(ctx, func() bool {
		seen := 0
		for _, e := range p.events {
			if e.What == what {
				seen++
			}
		}
		return seen >= n
	})
}

// Count is how often something happened.
func (p *Platform) Count(what string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		if e.What == what {
			n++
		}
	}
	return n
}

// until waits for what holds under the lock.
func (p *Platform) until(ctx context.Context, holds func() bool) error {
	for {
		p.mu.Lock()
		ok, changed := holds(), p.changed
		p.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			p.mu.Lock()
			defer p.mu.Unlock()
			return fmt.Errorf("%w; events %v, faults %v", ctx.Err(), p.events[max(0, len(p.events)-12):], p.faults)
		}
	}
}

var code = regexp.MustCompile(`^\d{20}$`)

func respond(r *sip.Request, tx sip.ServerTransaction, status int, reason string, headers ...sip.Header) {
	res := sip.NewResponseFromRequest(r, status, reason, nil)
	for _, h := range headers {
		res.AppendHeader(h)
	}
	_ = tx.Respond(res)
}

func (p *Platform) onRegister(r *sip.Request, tx sip.ServerTransaction) {
	id := r.From().Address.User
	if !code.MatchString(id) || r.To().Address.User != id || r.Contact() == nil || r.Contact().Address.User != id {
		p.fault("REGISTER of %q for %q", id, r.To().Address.User)
		respond(r, tx, 400, "Bad Request")
		return
	}
	p.mu.Lock()
	w := p.w
	p.mu.Unlock()
	password, known := w.Passwords[id]
	if !known {
		p.event("unknown", id)
		respond(r, tx, 403, "Forbidden")
		return
	}
	h := r.GetHeader("Authorization")
	if h == nil {
		p.challenge(r, tx, w, false)
		return
	}
	got := credentials(h.Value())
	p.mu.Lock()
	uses, issued := p.nonces[got["nonce"]]
	p.nonces[got["nonce"]]++
	stale := w.Stale
	p.w.Stale = false
	p.mu.Unlock()
	if stale {
		p.event("stale", id)
		p.challenge(r, tx, w, true)
		return
	}
	if !issued || uses > 0 || got["username"] != id || got["realm"] != w.Realm || !strings.Contains(got["uri"], w.ID) || got["response"] != expected(w, got, password) {
		p.event("wrong", id)
		p.challenge(r, tx, w, false)
		return
	}
	e := r.GetHeader("Expires")
	if e == nil {
		p.fault("REGISTER without Expires")
		respond(r, tx, 400, "Bad Request")
		return
	}
	seconds, _ := strconv.Atoi(e.Value())
	if seconds == 0 {
		p.Forget(id)
		respond(r, tx, 200, "OK", sip.NewHeader("Expires", "0"))
		p.event("signed out", id)
		return
	}
	if w.Expires > 0 {
		seconds = min(seconds, w.Expires)
	}
	version := ""
	if v := r.GetHeader("X-GB-Ver"); v != nil {
		version = v.Value()
	}
	p.mu.Lock()
	p.devices[id] = &device{source: r.Source(), transport: r.Transport(), until: p.now().Add(time.Duration(seconds) * time.Second), version: version}
	p.mu.Unlock()
	respond(r, tx, 200, "OK", sip.NewHeader("Expires", strconv.Itoa(seconds)), sip.NewHeader("Date", p.now().In(time.FixedZone("CST", 8*3600)).Format("2006-01-02T15:04:05.000")))
	p.event("signed in", id)
}

func (p *Platform) challenge(r *sip.Request, tx sip.ServerTransaction, w Ways, stale bool) {
	p.mu.Lock()
	nonce := fmt.Sprintf("%x", sha256.Sum256([]byte(fmt.Sprint(len(p.nonces), r.CallID().Value(), time.Now()))))[:32]
	p.nonces[nonce] = 0
	p.mu.Unlock()
	var hs []sip.Header
	for _, c := range w.Challenges {
		hs = append(hs, sip.NewHeader("WWW-Authenticate", c))
	}
	own := fmt.Sprintf(`Digest realm="%s",qop="auth",nonce="%s",opaque="",stale=%v`, w.Realm, nonce, stale)
	if w.Algorithm == "" {
		own += ",algorithm=MD5"
	} else {
		own += ",algorithm=" + w.Algorithm
	}
	respond(r, tx, 401, "Unauthorized", append(hs, sip.NewHeader("WWW-Authenticate", own))...)
}

var pair = regexp.MustCompile(`(\w+)=(?:"([^"]*)"|([^,\s]*))`)

func credentials(s string) map[string]string {
	m := map[string]string{}
	for _, f := range pair.FindAllStringSubmatch(s, -1) {
		m[f[1]] = f[2] + f[3]
	}
	return m
}

// expected is RFC 7616 3.4.1 with qop=auth, or RFC 2069 without.
func expected(w Ways, c map[string]string, password string) string {
	h := func(s string) string {
		if w.Algorithm == "SHA-256" {
			x := sha256.Sum256([]byte(s))
			return hex.EncodeToString(x[:])
		}
		x := md5.Sum([]byte(s))
		return hex.EncodeToString(x[:])
	}
	a1, a2 := h(c["username"]+":"+w.Realm+":"+password), h("REGISTER:"+c["uri"])
	if c["qop"] == "" {
		return h(a1 + ":" + c["nonce"] + ":" + a2)
	}
	return h(strings.Join([]string{a1, c["nonce"], c["nc"], c["cnonce"], c["qop"], a2}, ":"))
}

var field = func(name string) *regexp.Regexp { return regexp.MustCompile(`<` + name + `>([^<]*)</` + name + `>`) }

var (
	cmdType  = field("CmdType")
	sn       = field("SN")
	deviceID = field("DeviceID")
)

func first(re *regexp.Regexp, s string) string {
	if m := re.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}

func (p *Platform) onMessage(r *sip.Request, tx sip.ServerTransaction) {
	id := r.From().Address.User
	p.mu.Lock()
	if c := p.calls[r.CallID().Value()]; c != nil { // in a session it is the channel that speaks
		id = c.device
	}
	d := p.devices[id]
	w := p.w
	online := d != nil && p.now().Before(d.until)
	p.mu.Unlock()
	body := string(r.Body())
	kind := first(cmdType, body)
	if !online {
		p.event("stranger", id)
		respond(r, tx, 403, "Forbidden")
		return
	}
	if !strings.HasPrefix(body, "<?xml") || first(sn, body) == "" || !code.MatchString(first(deviceID, body)) {
		p.fault("a message of %s without its parts: %.80q", id, body)
		respond(r, tx, 400, "Bad Request")
		return
	}
	if kind == "Keepalive" {
		p.mu.Lock()
		d.keepalives++
		p.mu.Unlock()
		switch {
		case w.Deaf:
			p.event("keepalive unanswered", id)
			return
		case w.Forgets:
			p.event("keepalive refused", id)
			respond(r, tx, 403, "Forbidden")
			return
		}
		respond(r, tx, 200, "OK")
		p.event("keepalive", id)
		return
	}
	respond(r, tx, 200, "OK")
	p.mu.Lock()
	key := kind + " " + first(sn, body)
	p.answers[key] = append(p.answers[key], body)
	p.wake()
	p.mu.Unlock()
	if kind == "MediaStatus" && strings.Contains(body, "<NotifyType>121</NotifyType>") {
		p.event("record ended", id)
	}
}

var errOffline = errors.New("the device is not signed in")

// request makes a request to a device, addressed to it or to one of its channels.
func (p *Platform) request(method sip.RequestMethod, id, to string) (*sip.Request, *sipgo.Client, error) {
	p.mu.Lock()
	d := p.devices[id]
	p.mu.Unlock()
	if d == nil || p.now().After(d.until) {
		return nil, nil, errOffline
	}
	host, port, _ := net.SplitHostPort(d.source)
	n, _ := strconv.Atoi(port)
	r := sip.NewRequest(method, sip.Uri{Scheme: "sip", User: to, Host: host, Port: n})
	r.SetTransport(d.transport)
	r.SetDestination(d.source)
	from := sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: p.w.ID, Host: p.w.Realm}}
	from.Params.Add("tag", sip.GenerateTagN(8))
	r.AppendHeader(&from)
	r.AppendHeader(&sip.ToHeader{Address: sip.Uri{Scheme: "sip", User: to, Host: p.w.Realm}})
	if d.transport == "TCP" {
		return r, p.byTCP, nil
	}
	return r, p.byUDP, nil
}

// Send sends a body to a device and gives the answer's code.
func (p *Platform) Send(ctx context.Context, id, body string) (int, error) {
	r, c, err := p.request(sip.MESSAGE, id, id)
	if err != nil {
		return 0, err
	}
	r.AppendHeader(sip.NewHeader("Content-Type", "Application/MANSCDP+xml"))
	r.SetBody([]byte(body))
	res, err := c.Do(ctx, r)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, nil
}

// Ask sends a query (Query or Control, its command, further elements) of a device or
// channel and waits until the answers hold as many items as they say in all; of
// answers that say no number, for one.
func (p *Platform) Ask(ctx context.Context, id, kind, command, of, more string) ([]string, error) {
	p.mu.Lock()
	p.sn++
	n := strconv.Itoa(10000 + p.sn)
	p.mu.Unlock()
	body := `<?xml version="1.0" encoding="GB2312"?>` + "\r\n<" + kind + ">\r\n<CmdType>" + command + "</CmdType>\r\n<SN>" + n + "</SN>\r\n<DeviceID>" + of + "</DeviceID>\r\n" + more + "</" + kind + ">\r\n"
	status, err := p.Send(ctx, id, body)
	if err != nil {
		return nil, err
	}
	if status != 200 {
		return nil, fmt.Errorf("answered with %d", status)
	}
	var out []string
	err = p.until(ctx, func() bool {
		out = p.answers[command+" "+n]
		items, sum := 0, -1
		for _, b := range out {
			items += strings.Count(b, "<Item>")
			if s := first(sumNum, b); s != "" {
				sum, _ = strconv.Atoi(s)
			}
		}
		return len(out) > 0 && (sum < 0 || items >= sum)
	})
	return out, err
}

var sumNum = field("SumNum")

// Source is from where a device signed in.
func (p *Platform) Source(id string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.devices[id]; d != nil {
		return d.source
	}
	return ""
}

// Cut closes a device's TCP connection, as routers do.
func (p *Platform) Cut(id string) error {
	c, err := p.ua.TransportLayer().GetConnection("tcp", p.Source(id))
	if err != nil || c == nil {
		return fmt.Errorf("no connection of %s: %v", id, err)
	}
	return c.Close()
}
