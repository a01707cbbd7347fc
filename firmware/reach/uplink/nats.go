package uplink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"golang.org/x/sys/unix"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// NATSOpts are one NATS link's.
type NATSOpts struct {
	// Name is the link's: fibre, 4g.
	Name    string
	Station letter.Station
	// Servers are the hub's addresses, host:port.
	Servers []string
	// CA is the PEM of the certificates that alone vouch for the hub; nil only
	// for a hub on this machine, without TLS.
	CA []byte
	// Certificate and Key are the PEM of the station's own certificate, where the
	// hub asks for one.
	Certificate, Key []byte
	// Seed is the station's NKey seed (SU…), or Token its token.
	Seed  []byte
	Token string
	// Dial opens the connection; nil for the system's dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Now is the time by which the hub's certificate is judged, the latest that is
	// certainly past, and whether anything set the clock; nil for the system's.
	Now func() (now, past time.Time, sure bool)
	// Take judges what the hub sends; where it is nil, letters come by Received.
	Take func(context.Context, letter.Letter) error
	// Pictures answers when the hub asks for pictures; nil where there are none.
	Pictures Pictures
	// Talk takes what a talker at the county sends, opaque to this room; send goes back to the talker.
	// It must not wait. Nil where nobody is to speak.
	Talk func(b []byte, send func([]byte))
	Log  *slog.Logger
}

// The waits: long enough for two satellite hops and repeats at 64 kbit/s.
const (
	dialIn      = 20 * time.Second
	handshakeIn = 30 * time.Second
	pingEvery   = 10 * time.Second
	pingsMissed = 3
	againAfter  = 2 * time.Second
	// answerIn is after how long an answer to a letter is given up, whoever waits.
	answerIn = 2 * time.Minute
)

// NATS is a link to the hub over NATS. Use NewNATS, then Run.
type NATS struct {
	o    NATSOpts
	nats []nats.Option
	up   atomic.Pointer[jetstream.JetStream]
	// connected is told by the library's own calls: to ask it would wait for its lock, which it
	// holds while it dials and shakes hands, for as long as a black hole likes.
	connected atomic.Bool
	running   atomic.Pointer[context.Context]
	hander    hander
	receipts  chan Receipt
	lost      atomic.Uint64
	dated     atomic.Pointer[x509.Certificate] // the hub's, where the clock spoke against it
	said      said
	talk      chan []byte // back to a talker
}

// Receipt says that the hub's ledger has a letter, end to end.
type Receipt struct {
	ID    string       `json:"-"`
	Class letter.Class `json:"class"`
	// Link is the one by which it came first.
	Link string    `json:"link"`
	Sum  string    `json:"sum"`
	At   time.Time `json:"at"`
}

// Is tells whether the receipt is for this letter, and not for another that had
// its id.
func (r Receipt) Is(l *letter.Letter) bool {
	return r.ID == l.ID && r.Class == l.Class && r.Sum == letter.Sum(l.Body)
}

const receiptsMost = 256

// NewNATS proves the options. It opens nothing.
func NewNATS(o NATSOpts) (*NATS, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if !o.Station.Valid() || !letter.IsLink(o.Name) || len(o.Servers) == 0 {
		return nil, phrase.E("uplink.opts", "name", o.Name)
	}
	n := &NATS{o: o, hander: newHander(o.Take), receipts: make(chan Receipt, receiptsMost), talk: make(chan []byte, talkWaits)}
	if o.Dial == nil {
		d := &net.Dialer{Timeout: dialIn, KeepAlive: 30 * time.Second, Control: impatient}
		n.o.Dial = d.DialContext
	}
	n.nats = []nats.Option{
		nats.Name("edged " + string(o.Station)), nats.CustomInboxPrefix("_INBOX_" + string(o.Station)),
		nats.SetCustomDialer(dialer{n}), nats.Timeout(handshakeIn),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(againAfter), nats.ReconnectJitter(time.Second, 5*time.Second),
		nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(pingsMissed),
		// Nothing is accepted while the link is down, and a wrong credential may be
		// mended at the hub: it is tried for ever.
		nats.ReconnectBufSize(-1), nats.IgnoreAuthErrorAbort(), nats.IgnoreDiscoveredServers(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			n.o.Log.Warn("uplink", "link", o.Name, "err", err)
		}),
		nats.ConnectHandler(func(*nats.Conn) { n.connected.Store(true) }),
		nats.ReconnectHandler(func(*nats.Conn) { n.connected.Store(true) }),
		nats.ClosedHandler(func(*nats.Conn) { n.connected.Store(false) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			n.connected.Store(false)
			n.o.Log.Warn("uplink lost", "link", o.Name, "err", err)
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			n.noteDates(err)
			n.said.warn(n.o.Log, o.Name, err)
		}),
	}
	t, err := o.tls()
	if err != nil {
		return nil, err
	}
	if t != nil {
		t.Time = n.now
		n.nats = append(n.nats, nats.Secure(t))
	}
	switch {
	case o.Seed != nil:
		pair, err := nkeys.FromSeed(o.Seed)
		if err != nil {
			return nil, phrase.Wrap(err, "uplink.seed", "name", o.Name)
		}
		public, err := pair.PublicKey()
		if err != nil {
			return nil, phrase.Wrap(err, "uplink.seed", "name", o.Name)
		}
		n.nats = append(n.nats, nats.Nkey(public, pair.Sign))
	case o.Token != "":
		n.nats = append(n.nats, nats.UserInfo(string(o.Station), o.Token))
	}
	return n, nil
}

func (o *NATSOpts) tls() (*tls.Config, error) {
	if o.CA == nil {
		for _, s := range o.Servers {
			if host, _, err := net.SplitHostPort(s); err != nil || host != "localhost" && !net.ParseIP(host).IsLoopback() {
				return nil, phrase.E("uplink.plain", "name", o.Name, "server", s)
			}
		}
		return nil, nil
	}
	c := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	if !c.RootCAs.AppendCertsFromPEM(o.CA) {
		return nil, phrase.E("uplink.ca", "name", o.Name)
	}
	if o.Certificate != nil {
		pair, err := tls.X509KeyPair(o.Certificate, o.Key)
		if err != nil {
			return nil, phrase.Wrap(err, "uplink.certificate", "name", o.Name)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// noteDates remembers a certificate that was out of its dates by our clock.
func (n *NATS) noteDates(err error) {
	var bad x509.CertificateInvalidError
	if errors.As(err, &bad) && bad.Reason == x509.Expired && bad.Cert != nil {
		n.dated.Store(bad.Cert)
	}
}

// now is the time by which a certificate is judged. A clock that nothing set must not shut
// the box off: a certificate is then taken to be within its dates, unless it ended before
// what is certainly past. Who vouches for it, and for whom, is judged all the same.
func (n *NATS) now() time.Time {
	if n.o.Now == nil {
		return time.Now()
	}
	now, past, sure := n.o.Now()
	c := n.dated.Load()
	switch {
	case sure || c == nil || c.NotAfter.Before(past):
	case now.Before(c.NotBefore):
		return c.NotBefore
	case now.After(c.NotAfter):
		return c.NotAfter
	}
	return now
}

// impatient lets the kernel drop a connection on which nothing was acknowledged
// for half a minute (TCP_USER_TIMEOUT).
func impatient(_, _ string, c syscall.RawConn) error {
	var err error
	if e := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 30_000)
	}); e != nil {
		return e
	}
	return err
}

type dialer struct{ n *NATS }

// Dial bounds the caller's own dialer. The end of Run ends the connection, whatever is being
// waited for on it.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	running := context.Background()
	if r := d.n.running.Load(); r != nil {
		running = *r
	}
	ctx, cancel := context.WithTimeout(running, dialIn)
	defer cancel()
	c, err := d.n.o.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &ending{c, context.AfterFunc(running, func() { c.Close() })}, nil
}

// ending is a connection that ends with Run.
type ending struct {
	net.Conn
	stop func() bool
}

// Close closes it.
func (e *ending) Close() error {
	e.stop()
	return e.Conn.Close()
}

// Run holds the connection and brings what the hub sends, until ctx ends.
func (n *NATS) Run(ctx context.Context) error {
	n.running.Store(&ctx)
	defer n.connected.Store(false)
	nc, err := nats.Connect(strings.Join(n.o.Servers, ","), n.nats...)
	if err != nil {
		return phrase.Wrap(err, "uplink.opts", "name", n.o.Name)
	}
	defer nc.Close()
	defer n.up.Store(nil)
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncTimeout(answerIn))
	if err != nil {
		return phrase.Wrap(err, "uplink.opts", "name", n.o.Name)
	}
	if _, err := nc.Subscribe(n.o.Station.Receipts("up"), n.receipt); err != nil {
		return phrase.Wrap(err, "uplink.opts", "name", n.o.Name)
	}
	if n.o.Pictures != nil {
		// A station's links are one group: a request by two of them is answered once.
		if _, err := nc.QueueSubscribe(n.o.Station.Ask(), "station", func(m *nats.Msg) { n.asked(ctx, m) }); err != nil {
			return phrase.Wrap(err, "uplink.opts", "name", n.o.Name)
		}
	}
	if n.o.Talk != nil {
		if err := n.listen(nc); err != nil {
			return phrase.Wrap(err, "uplink.opts", "name", n.o.Name)
		}
	}
	n.up.Store(&js)
	for ctx.Err() == nil {
		if n.connected.Load() {
			if err := n.bring(ctx, js); err != nil && ctx.Err() == nil {
				n.o.Log.Warn("uplink: nothing comes down just now", "link", n.o.Name, "err", err)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(againAfter):
		}
	}
	return ctx.Err()
}

// Up tells whether the hub has answered on this link and not been missed since.
func (n *NATS) Up() bool {
	return n.connected.Load() && n.up.Load() != nil
}

// Send brings a letter to the hub; nil says that the hub has it on its disk.
func (n *NATS) Send(ctx context.Context, id string, class letter.Class, body []byte) error {
	return n.SendAll(ctx, []letter.Letter{{ID: id, Class: class, Body: body}})[0]
}

// SendAll brings letters to the hub without waiting for each other's answer, and gives for
// each what Send would.
func (n *NATS) SendAll(ctx context.Context, all []letter.Letter) []error {
	errs, answers := make([]error, len(all)), make([]jetstream.PubAckFuture, len(all))
	js := n.up.Load()
	for i, l := range all {
		l.Link = n.o.Name
		if errs[i] = l.Check(); errs[i] != nil {
			continue
		}
		if js == nil || !n.connected.Load() {
			errs[i] = down(nil)
			continue
		}
		m := nats.NewMsg(n.o.Station.Up(l.Class))
		m.Data = l.Body
		m.Header.Set(letter.HeaderID, l.ID)
		m.Header.Set(letter.HeaderLink, n.o.Name)
		m.Header.Set(jetstream.MsgIDHeader, n.o.Station.MessageID(&l))
		a, err := (*js).PublishMsgAsync(m, jetstream.WithExpectStream(letter.StreamUp), jetstream.WithRetryAttempts(0))
		if answers[i] = a; err != nil {
			errs[i] = notKept(err)
		}
	}
	for i, a := range answers {
		if errs[i] != nil {
			continue
		}
		select {
		case <-a.Ok():
		case err := <-a.Err():
			errs[i] = notKept(err)
		case <-ctx.Done():
			select {
			case <-a.Ok():
			default:
				errs[i] = notKept(ctx.Err())
			}
		}
	}
	return errs
}

// notKept says why a letter is not known to be kept.
func notKept(err error) error {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrConnectionClosed):
		return down(err)
	case errors.Is(err, nats.ErrMaxPayload), errors.As(err, &api) && api.ErrorCode == jetstream.ErrorCode(10054):
		return phrase.Wrap(errors.Join(ErrRefused, err), "uplink.refused")
	}
	return phrase.Wrap(err, "uplink.not_kept")
}

// Probe asks whether the hub's server answers, and gives the time that it took.
func (n *NATS) Probe(ctx context.Context) (time.Duration, error) {
	if !n.Up() {
		return 0, down(nil)
	}
	began := time.Now()
	if err := (*n.up.Load()).Conn().FlushWithContext(ctx); err != nil {
		return 0, phrase.Wrap(err, "uplink.silent")
	}
	return time.Since(began), nil
}

// Ask asks the hub's ledger for a letter's receipt: whether it was kept, when the
// answer was lost. False: the hub says that it has none.
func (n *NATS) Ask(ctx context.Context, id string) (Receipt, bool, error) {
	if !n.Up() {
		return Receipt{}, false, down(nil)
	}
	subject := n.o.Station.Kept(id)
	m, err := (*n.up.Load()).Conn().RequestWithContext(ctx, "$JS.API.DIRECT.GET."+letter.StreamReceipt+"."+subject, nil)
	switch {
	case err != nil:
		return Receipt{}, false, phrase.Wrap(err, "uplink.not_kept")
	case m.Header.Get("Status") == "404":
		return Receipt{}, false, nil
	case m.Header.Get("Status") != "":
		return Receipt{}, false, phrase.E("uplink.answer", "answer", m.Header.Get("Status"))
	}
	r, ok := readReceipt(subject, m.Data)
	if !ok {
		return Receipt{}, false, phrase.E("uplink.answer", "answer", "?")
	}
	return r, true, nil
}

// Software asks the hub whether there is software for the station.
func (n *NATS) Software(ctx context.Context, a letter.ReleaseAsk) (letter.ReleaseOffer, error) {
	m, err := n.request(ctx, n.o.Station.ReleaseAsk(), a)
	if err != nil {
		return letter.ReleaseOffer{}, err
	}
	return letter.ParseReleaseOffer(m)
}

// Part fetches a part of a package: no bytes where the hub has not got it.
func (n *NATS) Part(ctx context.Context, p letter.ReleasePart) ([]byte, error) {
	b, err := n.request(ctx, n.o.Station.ReleasePart(), p)
	if err == nil && len(b) > p.Long {
		err = phrase.E("letter.release")
	}
	return b, err
}

func (n *NATS) request(ctx context.Context, subject string, of interface{ Bytes() []byte }) ([]byte, error) {
	if !n.Up() {
		return nil, down(nil)
	}
	m, err := (*n.up.Load()).Conn().RequestWithContext(ctx, subject, of.Bytes())
	if err != nil {
		return nil, phrase.Wrap(err, "uplink.silent")
	}
	return m.Data, nil
}

// Receipts are the hub's, end to end, as they come. One that is not fetched in
// time is dropped and counted: Ask has it still.
func (n *NATS) Receipts() <-chan Receipt { return n.receipts }

// ReceiptsLost counts those.
func (n *NATS) ReceiptsLost() uint64 { return n.lost.Load() }

// Received are the letters of the hub, where there is no Take.
func (n *NATS) Received() <-chan Incoming { return n.hander.in }

func (n *NATS) receipt(m *nats.Msg) {
	r, ok := readReceipt(m.Subject, m.Data)
	if !ok {
		return
	}
	select {
	case n.receipts <- r:
	default:
		n.lost.Add(1)
	}
}

func readReceipt(subject string, b []byte) (Receipt, bool) {
	s, ok := letter.ParseSubject(subject)
	var r Receipt
	if !ok || !s.Receipt || len(b) > 1024 || json.Unmarshal(b, &r) != nil {
		return Receipt{}, false
	}
	r.ID = s.ID
	return r, true
}

// bring pulls what the hub holds for this station, one at a time, until the
// connection ends.
func (n *NATS) bring(ctx context.Context, js jetstream.JetStream) error {
	look, cancel := context.WithTimeout(ctx, handshakeIn)
	c, err := js.Consumer(look, letter.StreamDown, string(n.o.Station))
	cancel()
	if err != nil {
		return err
	}
	it, err := c.Messages(jetstream.PullMaxMessages(4), jetstream.PullExpiry(time.Minute), jetstream.PullHeartbeat(25*time.Second), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return err
	}
	defer it.Stop()
	stop := context.AfterFunc(ctx, it.Stop)
	defer stop()
	for {
		m, err := it.Next()
		if err != nil {
			return err
		}
		n.took(ctx, js, m)
	}
}

// took has one letter judged, notes that in the hub's ledger and only then
// acknowledges it.
func (n *NATS) took(ctx context.Context, js jetstream.JetStream, m jetstream.Msg) {
	s, ok := letter.ParseSubject(m.Subject())
	l := letter.Letter{ID: m.Headers().Get(letter.HeaderID), Class: s.Class, Link: n.o.Name, Body: m.Data()}
	if !ok || s.Way != "down" || s.Station != n.o.Station || l.Check() != nil {
		n.o.Log.Error("uplink: a letter that cannot be read", "link", n.o.Name, "subject", m.Subject())
		_ = m.Term()
		return
	}
	judge, cancel := context.WithTimeout(ctx, judgeIn)
	defer cancel()
	if err := n.hander.hand(judge, l); errors.Is(err, ErrLater) {
		_ = m.NakWithDelay(5 * time.Second)
		return
	}
	note := nats.NewMsg(n.o.Station.Taken(l.ID))
	note.Header.Set(letter.HeaderLink, n.o.Name)
	note.Header.Set(jetstream.MsgIDHeader, n.o.Station.Taken(l.ID))
	if _, err := js.PublishMsg(judge, note, jetstream.WithExpectStream(letter.StreamReceipt)); err != nil {
		n.o.Log.Warn("uplink: what was taken is not noted yet", "link", n.o.Name, "id", l.ID, "err", err)
		_ = m.NakWithDelay(5 * time.Second)
		return
	}
	_ = m.Ack()
}
