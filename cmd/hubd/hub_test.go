package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"tocsin/cmd/hubd/gateway"
	"tocsin/cmd/hubd/hubfile"
	"tocsin/cmd/hubd/post"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/uplink"
	"tocsin/hwtest/capgen"
)

func TestALetterIsKeptOnceAndReceiptedEndToEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h, _ := w.hub()
	n := w.link(w.natsOpts(upper, h.engine.Addr().String()))
	body := []byte("river 103.2 m")
	for range 3 { // the answer was lost, say
		if err := n.Send(within(10*time.Second), "b-1", letter.Alarm, body); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case r := <-n.Receipts():
		if !r.Is(&letter.Letter{ID: "b-1", Class: letter.Alarm, Body: body}) {
			t.Errorf("receipt %+v is for another letter", r)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no receipt")
	}
	// Whoever listens hears it while it is still being written.
	until(t, "it can be asked for", func() bool {
		r, ok, err := n.Ask(within(10*time.Second), "b-1")
		return err == nil && ok && r.Sum == letter.Sum(body)
	})
	if _, ok, err := n.Ask(within(10*time.Second), "b-2"); err != nil || ok {
		t.Errorf("asked for what was never sent: %v %v", ok, err)
	}
	until(t, "it is shown", func() bool { return stationOf(h.post, upper).Letters[letter.Alarm] == 1 })
	if _, link := lastOf(h.post, upper); link != "fibre" {
		t.Errorf("last seen by %q", link)
	}

	// The same id for something else is kept, called, and never receipted.
	if err := n.Send(within(10*time.Second), "b-1", letter.Alarm, []byte("something else")); err != nil {
		t.Fatal(err)
	}
	until(t, "the second use of the id is called", func() bool { return stationOf(h.post, upper).Twice == 1 })
	if r, _, _ := n.Ask(within(10*time.Second), "b-1"); r.Sum != letter.Sum(body) {
		t.Error("the receipt is now for the second")
	}
	if n := holds(t, h, letter.StreamUp); n != 2 {
		t.Errorf("UP holds %d letters, want both", n)
	}
}

// holds counts what a stream holds.
func holds(t *testing.T, h *hub, stream string) uint64 {
	t.Helper()
	s, err := h.engine.JS.Stream(within(10*time.Second), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func lastOf(p *post.Post, s letter.Station) (time.Time, string) {
	st := stationOf(p, s)
	return st.Last()
}

// TestCopiesAreToldBeyondTheStreamsOwnWindow publishes a copy as it looks a month
// later, when JetStream has forgotten its message id.
func TestCopiesAreToldBeyondTheStreamsOwnWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h, _ := w.hub()
	l := letter.Letter{ID: "old", Class: letter.Telemetry, Link: "4g", Body: []byte("1")}
	if err := h.post.Up(within(10*time.Second), upper, &l); err != nil {
		t.Fatal(err)
	}
	until(t, "it is shown", func() bool { return stationOf(h.post, upper).Letters[letter.Telemetry] == 1 })
	up, err := h.engine.JS.Stream(within(10*time.Second), letter.StreamUp)
	if err != nil {
		t.Fatal(err)
	}
	// Taking the message away and shortening the window to nothing makes JetStream forget.
	// Twice: the server looks at once at what is too old, and may do so before it has taken the window over.
	c := up.CachedInfo().Config
	for _, d := range []time.Duration{100, 101} {
		c.Duplicates = d * time.Millisecond
		if _, err := h.engine.JS.UpdateStream(within(10*time.Second), c); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the copy is told", func() bool {
		if err := h.post.Up(within(10*time.Second), upper, &l); err != nil {
			t.Fatal(err)
		}
		return stationOf(h.post, upper).Copies > 0
	})
	if n := stationOf(h.post, upper).Letters[letter.Telemetry]; n != 1 {
		t.Errorf("counted %d times", n)
	}
}

func TestAStrangerOrAWrongCertificateIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h, _ := w.hub()
	at := h.engine.Addr().String()
	foreign := newAuthority(t, "somebody")
	cert, key := foreign.issue(t, "hub", net.ParseIP("127.0.0.1"))
	nobody, _ := nkeys.CreateUser()
	stranger, _ := nobody.Seed()
	for name, change := range map[string]func(*uplink.NATSOpts){
		"a guessed token":                       func(o *uplink.NATSOpts) { o.Seed, o.Token = nil, "guess" },
		"no credential":                         func(o *uplink.NATSOpts) { o.Seed = nil },
		"a key that nobody enrolled":            func(o *uplink.NATSOpts) { o.Seed = stranger },
		"no certificate":                        func(o *uplink.NATSOpts) { o.Certificate, o.Key = nil, nil },
		"a certificate of another authority":    func(o *uplink.NATSOpts) { o.Certificate, o.Key = cert, key },
		"a hub of another authority":            func(o *uplink.NATSOpts) { o.CA = foreign.pem },
		"a hub whose certificate names another": func(o *uplink.NATSOpts) { o.Servers = []string{strings.Replace(at, "127.0.0.1", "localhost", 1)} },
	} {
		o := w.natsOpts(upper, at)
		change(&o)
		closed := make(chan struct{}, 64)
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, address)
			return &watched{c, closed}, err
		}
		n, err := uplink.NewNATS(o)
		if err != nil {
			t.Fatal(name, err)
		}
		end := run(t, n.Run)
		<-closed // it was refused
		if n.Up() {
			t.Errorf("%s: the link is up", name)
		}
		if err := n.Send(within(time.Second), "x", letter.Alarm, []byte("x")); !errors.Is(err, uplink.ErrDown) {
			t.Errorf("%s: sent: %v", name, err)
		}
		end()
	}
	// A station that has another's key is let in as that one, and may not speak as itself.
	o := w.natsOpts(upper, at)
	o.Seed = w.seed[lower]
	if err := w.link(o).Send(within(time.Second), "x", letter.Alarm, []byte("x")); err == nil {
		t.Error("sent with another station's key")
	}
	if n := holds(t, h, letter.StreamUp); n != 0 {
		t.Errorf("%d letters were kept", n)
	}
}

// watched tells when it is closed.
type watched struct {
	net.Conn
	closed chan<- struct{}
}

func (w *watched) Close() error { w.closed <- struct{}{}; return w.Conn.Close() }

func TestAStationSpeaksForItselfAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h, _ := w.hub()
	o := w.natsOpts(upper, h.engine.Addr().String())
	denied := make(chan string, 32)
	nc := rawConn(t, w, o, denied)
	for _, subject := range []string{
		lower.Up(letter.Alarm), lower.ReleaseAsk(), lower.ReleasePart(), lower.Taken("x"), upper.Kept("x"), upper.Also("x"), upper.Down(letter.Warning),
		"$JS.API.CONSUMER.MSG.NEXT.DOWN." + string(lower), "$JS.API.STREAM.PURGE.UP", "$JS.API.STREAM.DELETE.DOWN", "$JS.API.STREAM.MSG.GET.UP",
		"$JS.API.DIRECT.GET.RCPT." + lower.Kept("x"), "$JS.API.CONSUMER.CREATE.DOWN", "$JS.API.INFO",
	} {
		if err := nc.Publish(subject, []byte("x")); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-denied:
			if !strings.Contains(got, subject) {
				t.Errorf("%s: %s", subject, got)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("may publish %s", subject)
		}
	}
	for _, subject := range []string{">", "up.>", "down.>", lower.Receipts("up"), "_INBOX.>", "_INBOX_" + string(lower) + ".>", "$JS.>"} {
		if _, err := nc.Subscribe(subject, func(*nats.Msg) {}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-denied:
		case <-time.After(5 * time.Second):
			t.Errorf("may listen to %s", subject)
		}
	}
}

func TestAnAlertReachesEveryStationOfItsAreaAsItWasSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h, _ := w.hub()
	at := h.engine.Addr().String()
	raw := signed(t, 7)
	took := make(chan letter.Letter, 8)
	o := w.natsOpts(upper, at)
	later := 1
	o.Take = func(_ context.Context, l letter.Letter) error {
		if later--; later >= 0 {
			return uplink.ErrLater // it must come again
		}
		took <- l
		return nil
	}
	w.link(o)
	file := w.write("alert.xml", raw)
	var out bytes.Buffer
	send := AlertSendCmd{File: file, To: "330483105", Config: w.file}
	if err := send.Run(&Globals{Lang: "zh", Out: &out}); err != nil {
		t.Fatal(err, out.String())
	}
	if !strings.Contains(out.String(), "2 个站点") {
		t.Errorf("the desk hears %q", out.String())
	}
	select {
	case l := <-took:
		if !bytes.Equal(l.Body, raw) || l.Class != letter.Warning {
			t.Error("the station got other bytes")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the station got nothing")
	}
	until(t, "it is shown who took it", func() bool {
		s := h.post.State()
		return len(s.Sent) == 1 && len(s.Sent[0].To) == 2 && s.Sent[0].To[upper].Link == "fibre"
	})
	d := h.post.State().Sent[0]
	if !d.To[lower].At.IsZero() {
		t.Error("a station that is away is said to have taken it")
	}
	if _, to := d.To[other]; to {
		t.Error("another county's station was sent it")
	}
	// The station that was away gets it when it comes.
	in := w.link(w.natsOpts(lower, at)).Received()
	select {
	case l := <-in:
		if !bytes.Equal(l.Body, raw) {
			t.Error("other bytes")
		}
		l.Done(nil)
	case <-time.After(20 * time.Second):
		t.Fatal("the station that was away never got it")
	}
	until(t, "all took it", func() bool { return !h.post.State().Sent[0].To[lower].At.IsZero() })
}

func TestWhatNoStationWouldSoundIsNotSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h, _ := w.hub()
	good := signed(t, 9)
	bare := capgen.New(9).Next(capgen.Options{}).Text
	for name, c := range map[string]struct {
		raw []byte
		to  string
	}{
		"not XML":       {[]byte("hello"), "330483"},
		"unsigned":      {bare, "330483"},
		"cut off":       {good[:len(good)/2], "330483"},
		"no such area":  {good, "440000"},
		"not a code":    {good, "桐乡"},
		"far too large": {append(bytes.Clone(good), make([]byte, letter.BodyMost)...), "330483"},
	} {
		send := AlertSendCmd{File: w.write("a.xml", c.raw), To: c.to, Config: w.file}
		if err := send.Run(&Globals{Lang: "en", Out: &bytes.Buffer{}}); err == nil {
			t.Errorf("%s: sent", name)
		}
	}
	if n := holds(t, h, letter.StreamDown); n != 0 {
		t.Errorf("%d letters went down", n)
	}
}

func TestDatagramsCarryBothWaysOverALossyLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h, _ := w.hub()
	var counter atomic.Uint64
	took := make(chan letter.Letter, 8)
	// About every second datagram is lost, either way.
	var n atomic.Uint64
	d := w.datagrams(upper, h.datagramsAt(), &counter, func(o *uplink.DatagramOpts) {
		o.Take = func(_ context.Context, l letter.Letter) error { took <- l; return nil }
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, address)
			return &lossy{Conn: c, n: &n}, err
		}
	})
	for i := range 3 {
		if err := d.Send(within(20*time.Second), "s-"+string(rune('a'+i)), letter.Alarm, []byte("wet")); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "each is shown once", func() bool { return stationOf(h.post, upper).Letters[letter.Alarm] == 3 })
	if _, link := lastOf(h.post, upper); link != "tiantong" {
		t.Errorf("last seen by %q", link)
	}
	n.Store(1 << 40) // from here on nothing is lost
	to, _ := hubfileMatch(t, w, "330483105203")
	if _, err := h.post.Send(within(10*time.Second), post.Dispatch{Letter: letter.Letter{ID: "w-1", Class: letter.Warning, Body: []byte("78 bytes")}, To: to}); err != nil {
		t.Fatal(err)
	}
	select {
	case l := <-took:
		if l.ID != "w-1" || string(l.Body) != "78 bytes" {
			t.Errorf("got %+v", l)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came down")
	}
	until(t, "that is noted", func() bool {
		s := h.post.State().Sent
		return len(s) == 1 && s[0].To[upper].Link == "tiantong"
	})
	if len(took) > 0 {
		t.Error("it was judged twice")
	}
}

func hubfileMatch(t *testing.T, w *world, area string) ([]letter.Station, error) {
	f, ps := hubfile.Load(w.file)
	if f == nil {
		t.Fatal(ps)
	}
	return f.Match(area)
}

// lossy loses about every second datagram until n is large.
type lossy struct {
	net.Conn
	n *atomic.Uint64
}

func (l *lossy) lost() bool { n := l.n.Add(1); return n < 1<<40 && (n*0x9E3779B97F4A7C15)>>63 == 0 }

func (l *lossy) Write(b []byte) (int, error) {
	if l.lost() {
		return len(b), nil
	}
	return l.Conn.Write(b)
}

func (l *lossy) Read(b []byte) (int, error) {
	for {
		n, err := l.Conn.Read(b)
		if err != nil || !l.lost() {
			return n, err
		}
	}
}

func TestNoForgedOrReplayedDatagramIsActedOnAlsoAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h, end := w.hub()
	k, err := letter.NewKey(w.root[upper])
	if err != nil {
		t.Fatal(err)
	}
	seal := func(k *letter.Key, d letter.Direction, counter uint64) []byte {
		b, err := k.Seal(d, &letter.Datagram{Kind: letter.KindLetter, Counter: counter, Letter: letter.Letter{ID: "f-1", Class: letter.Alarm, Body: []byte("x")}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	genuine := seal(k, letter.FromStation, 5)
	if exchange(t, h, k, 5, genuine) {
		t.Error("an answer to nothing")
	}
	stranger, _ := letter.NewKey(bytes.Repeat([]byte{9}, letter.KeySize))
	bad := [][]byte{genuine, seal(stranger, letter.FromStation, 6), seal(k, letter.FromHub, 7), genuine[:20], {}, {0x10}, bytes.Repeat([]byte{0xff}, 1400)}
	for i := range genuine {
		c := bytes.Clone(seal(k, letter.FromStation, 8))
		c[i] ^= 0x20
		bad = append(bad, c)
	}
	if exchange(t, h, k, 9, append(slices.Clone(bad), seal(k, letter.FromStation, 9))...) {
		t.Error("a forged or replayed datagram got an answer")
	}
	// Of what is let in, the answer may come later than the last one's: it is told by the count too.
	if unknown, replayed := h.gateways[0].(*gateway.Datagrams).Strangers(); unknown != uint64(len(bad)-1) || replayed != 1 {
		t.Errorf("of %d forged and one replayed, %d and %d were refused", len(bad)-1, unknown, replayed)
	}
	end()
	h, _ = w.hub()
	if exchange(t, h, k, 10, genuine, seal(k, letter.FromStation, 10)) {
		t.Error("a restart forgot the window")
	}
	if unknown, replayed := h.gateways[0].(*gateway.Datagrams).Strangers(); unknown != 0 || replayed != 1 {
		t.Errorf("after the restart %d and %d were refused, want the replayed one", unknown, replayed)
	}
}

// exchange sends datagrams, the last of which has the counter of and must be answered, and tells whether any
// other was before it.
func exchange(t *testing.T, h *hub, k *letter.Key, of uint64, bs ...[]byte) (other bool) {
	t.Helper()
	c, err := net.Dial("udp", h.datagramsAt())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, b := range bs {
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	b := make([]byte, 2048)
	for {
		n, err := c.Read(b)
		if err != nil {
			t.Fatalf("a genuine datagram, %d, got no answer: %v", of, err)
		}
		if g, err := k.Open(letter.FromHub, b[:n]); err == nil && g.Kind == letter.KindAnswer && g.Of == of {
			return other
		}
		other = true
	}
}

func TestWhatIsShownIsTheSameAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h, end := w.hub()
	for i, s := range all {
		if err := h.post.Up(within(10*time.Second), s, &letter.Letter{ID: "r", Class: letter.Class(i), Link: "4g", Body: []byte{1}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.post.Send(within(10*time.Second), post.Dispatch{Letter: letter.Letter{ID: "w", Body: []byte{1}}, About: "山洪", By: "王芳", To: all}); err != nil {
		t.Fatal(err)
	}
	if err := h.post.Taken(within(10*time.Second), lower, "w", "mesh"); err != nil {
		t.Fatal(err)
	}
	ready := func(p *post.Post) func() bool {
		return func() bool {
			s := p.State()
			return len(s.Sent) == 1 && len(s.Sent[0].To) == len(all) && !s.Sent[0].To[lower].At.IsZero() && !slices.ContainsFunc(s.Stations, func(st post.Station) bool { return len(st.Recent) != 1 })
		}
	}
	until(t, "all is shown", ready(h.post))
	before := h.post.State()
	end()
	h, _ = w.hub()
	until(t, "all is shown again", ready(h.post))
	if after := h.post.State(); !reflect.DeepEqual(before, after) {
		a, _ := json.Marshal(before)
		b, _ := json.Marshal(after)
		t.Errorf("before %s\nafter  %s", a, b)
	}
}

func TestTheSocketIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h, _ := w.hub()
	st, err := os.Stat(w.dir + "/data/hubd.sock")
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	f, _ := hubfile.Load(w.file)
	f.Data = t.TempDir()
	if _, err := open(context.Background(), f, time.UTC, quiet()); err == nil {
		t.Error("a second hub took the socket of a running one")
	}
	_ = h
}
