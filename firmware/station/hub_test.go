package station

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"tocsin/firmware/clock"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/narrow"
	"tocsin/firmware/reach/wire"
	sim "tocsin/hwtest/beidou"
)

// hubEnd is a county's end: the hub's streams, its ledger, and a cable to it that can be cut.
type hubEnd struct {
	t      *testing.T
	server *server.Server
	js     jetstream.JetStream
	cable  *cable
	seed   string
	ca     string

	mu      sync.Mutex
	letters map[string][]letter.Letter // by id, copies too
}

const townStation = letter.Station("441882103201")

// newHub starts one in plain text, newHubTLS one with a certificate.
func newHub(t *testing.T) *hubEnd { t.Helper(); return startHub(t, nil, "") }

func newHubTLS(t *testing.T) *hubEnd {
	t.Helper()
	c, ca := certify(t)
	return startHub(t, c, ca)
}

// certify gives a certificate for this machine, and who vouches for it.
func certify(t *testing.T) (*tls.Config, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hub"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, x, x, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func strangersCA(t *testing.T) string { t.Helper(); _, ca := certify(t); return ca }

func startHub(t *testing.T, secure *tls.Config, ca string) *hubEnd {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, _ := pair.Seed()
	public, _ := pair.PublicKey()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(), TLS: secure != nil, TLSConfig: secure, TLSTimeout: 10,
		Nkeys: []*server.NkeyUser{{Nkey: public}}})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("the hub's server does not start")
	}
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.Nkey(public, pair.Sign))
	if err != nil {
		t.Fatal(err)
	}
	o := &hubEnd{t: t, server: s, seed: string(seed), ca: ca, letters: map[string][]letter.Letter{}}
	t.Cleanup(func() { nc.Close(); s.Shutdown(); s.WaitForShutdown() })
	if o.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for _, c := range []jetstream.StreamConfig{{Name: letter.StreamUp, Subjects: []string{"up.>"}}, {Name: letter.StreamDown, Subjects: []string{"down.>"}}, {Name: letter.StreamReceipt, Subjects: []string{"rcpt.>"}, AllowDirect: true}} {
		if _, err := o.js.CreateStream(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.js.CreateConsumer(ctx, letter.StreamDown, jetstream.ConsumerConfig{Durable: string(townStation), FilterSubject: townStation.DownAll(), AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	ledger, err := o.js.CreateConsumer(ctx, letter.StreamUp, jetstream.ConsumerConfig{Durable: "ledger", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	on, err := ledger.Consume(o.keep)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(on.Stop)
	o.cable = lay(t, s.Addr().String())
	return o
}

// keep enters a letter in the ledger and gives its receipt.
func (o *hubEnd) keep(m jetstream.Msg) {
	s, _ := letter.ParseSubject(m.Subject())
	l := letter.Letter{ID: m.Headers().Get(letter.HeaderID), Class: s.Class, Link: m.Headers().Get(letter.HeaderLink), Body: m.Data()}
	o.mu.Lock()
	o.letters[l.ID] = append(o.letters[l.ID], l)
	o.mu.Unlock()
	b, _ := json.Marshal(map[string]any{"class": l.Class, "link": l.Link, "sum": letter.Sum(l.Body), "at": time.Now()})
	if _, err := o.js.Publish(context.Background(), townStation.Kept(l.ID), b); err == nil {
		_ = m.Ack()
	}
}

// got gives the letters of an id.
func (o *hubEnd) got(id string) []letter.Letter {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.letters[id]
}

// give sends a letter down.
func (o *hubEnd) give(id string, class letter.Class, body []byte) {
	o.t.Helper()
	m := nats.NewMsg(townStation.Down(class))
	m.Data = body
	m.Header.Set(letter.HeaderID, id)
	if _, err := o.js.PublishMsg(o.t.Context(), m); err != nil {
		o.t.Fatal(err)
	}
}

// taken tells whether the station took a letter.
func (o *hubEnd) taken(id string) bool {
	st, err := o.js.Stream(o.t.Context(), letter.StreamReceipt)
	if err != nil {
		return false
	}
	_, err = st.GetLastMsgForSubject(o.t.Context(), townStation.Taken(id))
	return err == nil
}

// cable carries TCP to a place until it is cut; one that is dead takes everything and
// carries nothing.
type cable struct {
	l  net.Listener
	to string

	mu    sync.Mutex
	whole bool
	dead  bool
	ends  map[net.Conn]bool
}

func lay(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{l: l, to: to, whole: true, ends: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close(); c.set(false, false) })
	go func() {
		for {
			n, err := l.Accept()
			if err != nil {
				return
			}
			go c.carry(n)
		}
	}()
	return c
}

func (c *cable) carry(n net.Conn) {
	c.mu.Lock()
	whole, dead := c.whole, c.dead
	if whole || dead {
		c.ends[n] = true
	}
	c.mu.Unlock()
	switch {
	case dead:
		_, _ = io.Copy(io.Discard, n)
		return
	case !whole:
		n.Close()
		return
	}
	far, err := net.Dial("tcp", c.to)
	if err != nil {
		n.Close()
		return
	}
	go func() { _, _ = io.Copy(gate{c, n}, far); n.Close() }()
	_, _ = io.Copy(gate{c, far}, n)
	far.Close()
}

// gate carries nothing while the cable is dead.
type gate struct {
	c *cable
	io.Writer
}

func (g gate) Write(b []byte) (int, error) {
	g.c.mu.Lock()
	dead := g.c.dead
	g.c.mu.Unlock()
	if dead {
		return len(b), nil
	}
	return g.Writer.Write(b)
}

// set mends or cuts the cable.
func (c *cable) set(whole, dead bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.whole, c.dead = whole, dead
	if !dead || !whole {
		for n := range c.ends {
			n.Close()
		}
		clear(c.ends)
	}
}

// The cards of the county and of the town.
const (
	countyCard = 179773
	townCard   = 4207733
)

// skyHub is the county's end of a sky.
type skyHub struct {
	t    *testing.T
	sky  *sim.Sky
	end  *narrow.End
	seen int

	mu    sync.Mutex
	items []wire.Item
	deaf  bool
}

// ram keeps values as a hub's disk does.
type ram struct {
	mu sync.Mutex
	m  map[string][]byte
}

func (r *ram) Get(key string) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, ok := r.m[key]
	return b, ok
}

func (r *ram) Put(_ context.Context, key string, b []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.m == nil {
		r.m = map[string][]byte{}
	}
	r.m[key] = b
	return nil
}

func townKeys(t *testing.T) []*wire.Keys {
	t.Helper()
	root, _ := hex.DecodeString(townRoot)
	k, err := wire.NewKeys(root, string(townStation), 1)
	if err != nil {
		t.Fatal(err)
	}
	return []*wire.Keys{k}
}

const townRoot = "1717171717171717171717171717171717171717171717171717171717171717"

// newSkyHub hears what the town radiates, keeps and acknowledges it.
func newSkyHub(t *testing.T, sky *sim.Sky) *skyHub {
	t.Helper()
	end, err := narrow.New(narrow.Opts{Link: "beidou", Direction: wire.Down, Keys: townKeys(t), Self: "179773", Peer: "4207733", Keep: &ram{}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	h := &skyHub{t: t, sky: sky, end: end}
	ctx := t.Context()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				h.listen(ctx)
			}
		}
	}()
	t.Cleanup(func() { <-done })
	return h
}

func (h *skyHub) listen(ctx context.Context) {
	all := h.sky.Sent()
	for _, m := range all[h.seen:] {
		h.seen++
		b, err := hex.DecodeString(m.Content)
		if m.To != countyCard || err != nil || h.isDeaf() {
			continue
		}
		r, err := h.end.Hear(ctx, b, "4207733", clock.Mono())
		if err != nil {
			continue
		}
		for _, x := range r.Heard {
			h.mu.Lock()
			h.items = append(h.items, x.Items...)
			h.mu.Unlock()
			h.end.Kept(x.Counter)
		}
		if f, ok, err := h.end.Acks(ctx, 78); ok && err == nil {
			h.radiate(f.Bytes)
		}
	}
}

func (h *skyHub) radiate(b []byte) {
	h.sky.Radiate(sim.Message{From: countyCard, To: townCard, Coding: sim.Code, Content: strings.ToUpper(hex.EncodeToString(b))})
}

func (h *skyHub) isDeaf() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.deaf }

func (h *skyHub) setDeaf(d bool) { h.mu.Lock(); defer h.mu.Unlock(); h.deaf = d }

// alarm tells how often an alarm of a name came.
func (h *skyHub) alarm(n wire.Name) int {
	count, _ := h.find(func(a wire.AlarmItem) bool { return a.Name == n })
	return count
}

// find counts the alarms that came and are such.
func (h *skyHub) find(is func(wire.AlarmItem) bool) (count int, there bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, i := range h.items {
		if i.Type != wire.ItemAlarm {
			continue
		}
		if a, err := wire.ReadAlarm(i.Bytes); err == nil && is(a) {
			count++
		}
	}
	return count, count > 0
}

// tell packs an item for the town.
func (h *skyHub) tell(class wire.Class, i wire.Item) {
	h.t.Helper()
	fs, err := h.end.Pack(h.t.Context(), 78, []narrow.Part{{ID: "x", Class: class, Item: i}})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range fs {
		h.radiate(f.Bytes)
	}
}
