package ts

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/source"
	"tocsin/firmware/video/stream"
)

// A desk has one stream.
type desk struct {
	mu    sync.Mutex
	asked []source.Asker
	s     *stream.Stream
}

func newDesk() *desk {
	begun := time.Now()
	return &desk{s: stream.New(stream.Opts{Name: "drone", Now: func() time.Duration { return time.Since(begun) }})}
}

func (d *desk) Publish(a source.Asker) (*stream.Writer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, a)
	return d.s.Open(a.Way)
}

// port serves a port of its own until the returned function ends it.
func port(t *testing.T, o Opts) (*net.UDPAddr, func()) {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	o.Log = slog.New(slog.DiscardHandler)
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Serve(ctx, c) }()
	return c.LocalAddr().(*net.UDPAddr), func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// sender sends from an address of loopback.
func sender(t *testing.T, from string, to *net.UDPAddr) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)}, to)
	if err != nil {
		t.Skipf("no address %s here: %v", from, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func send(t *testing.T, c *net.UDPConn, b []byte) {
	t.Helper()
	for p := range slices.Chunk(b, 7*packetSize) {
		if _, err := c.Write(p); err != nil {
			t.Fatal(err)
		}
	}
}

// key is a datagram with a key picture.
func (m *muxer) key(at int64) []byte {
	m.out = nil
	m.program(0, video)
	m.pes(0x100, at, at, false, annexB(sps, pps, idr))
	return m.out
}

func next(t *testing.T, r *stream.Reader) *stream.Unit {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	u, err := r.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestAPortWithoutAPrefixIsRefused(t *testing.T) {
	_, err := New(Opts{Stream: "drone"})
	if err == nil || phrase.Of(err).Code != "ts.no_prefix" {
		t.Fatal(err)
	}
}

func TestOneSenderOfThePrefixIsHeardAtATime(t *testing.T) {
	d := newDesk()
	to, end := port(t, Opts{Stream: "drone", From: netip.MustParsePrefix("127.0.7.0/24"), Desk: d, Idle: time.Second})
	defer end()
	r := d.s.Reader(stream.ReaderOpts{Live: true})
	var ours, theirs muxer
	stranger, a, b := sender(t, "127.0.8.1", to), sender(t, "127.0.7.1", to), sender(t, "127.0.7.2", to)

	send(t, stranger, theirs.key(0))
	a.Write([]byte("hello")) // nothing that begins a stream
	send(t, a, ours.key(0))
	next(t, r)
	from := func() netip.Addr {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.asked[len(d.asked)-1].Remote.Addr()
	}
	if from() != netip.MustParseAddr("127.0.7.1") || len(d.asked) != 1 {
		t.Fatalf("the desk was asked by %v", d.asked)
	}
	send(t, b, theirs.key(500_000)) // one of the prefix, but not now
	send(t, a, ours.key(3600))
	if u := next(t, r); u.Gap {
		t.Fatal("another's picture came between")
	}
	// When the first is silent for a second, the other is heard.
	for from() != netip.MustParseAddr("127.0.7.2") {
		send(t, b, theirs.key(500_000))
		time.Sleep(20 * time.Millisecond)
	}
	next(t, r)
	if d.asked[0].Way != "ts" || d.asked[0].Stream != "drone" {
		t.Fatalf("asked %+v", d.asked[0])
	}
}

func TestAStreamInRTPIsUnderstood(t *testing.T) {
	d := newDesk()
	to, end := port(t, Opts{Stream: "drone", From: netip.MustParsePrefix("127.0.0.0/8"), Desk: d})
	defer end()
	r := d.s.Reader(stream.ReaderOpts{Live: true})
	c := sender(t, "127.0.0.1", to)
	for p := range slices.Chunk(new(muxer).key(0), 7*packetSize) {
		c.Write(slices.Concat([]byte{0x91, 33, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0xbe, 0xde, 0, 1, 0, 0, 0, 0}, p))
	}
	next(t, r)
}

func TestWhatIsNoTransportStreamIsNotTaken(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty": {}, "short": {0x47}, "cut": make([]byte, 189), "no sync": make([]byte, 188),
		"RTP without": {0x80, 33, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "RTP, many sources": {0x8f, 33, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x47},
		"RTP, an extension without end": append([]byte{0x90, 33, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, make([]byte, 188)...),
	} {
		if bare(b) != nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// A sender that begins anew has another port; it need not wait until the old one counts as gone.
func TestASenderThatBeginsAnewIsHeardSoon(t *testing.T) {
	d := newDesk()
	to, end := port(t, Opts{Stream: "drone", From: netip.MustParsePrefix("127.0.0.0/8"), Desk: d, Idle: time.Hour})
	defer end()
	r := d.s.Reader(stream.ReaderOpts{Live: true})
	var m muxer
	send(t, sender(t, "127.0.0.1", to), m.key(0))
	next(t, r)
	again := sender(t, "127.0.0.1", to)
	asked := func() int { d.mu.Lock(); defer d.mu.Unlock(); return len(d.asked) }
	for begun := time.Now(); asked() < 2; time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			t.Fatal("it is not heard")
		}
		send(t, again, m.key(90_000))
	}
	next(t, r)
}
