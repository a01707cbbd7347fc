package srt

import (
	"context"
	"encoding/hex"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gosrt "github.com/datarhei/gosrt"
	"github.com/datarhei/gosrt/packet"
	"github.com/yapingcat/gomedia/go-mpeg2"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/source"
	"tocsin/firmware/video/stream"
)

func TestBothFormsOfStreamIDAreUnderstood(t *testing.T) {
	for id, want := range map[string][2]string{
		"publish:drone:k1":                  {"drone", "k1"},
		"publish:drone:k:1":                 {"drone", "k:1"},
		"#!::r=drone,m=publish,s=k1":        {"drone", "k1"},
		"%23!::r=drone,m=publish,s=k%2B1":   {"drone", "k+1"}, // as some send it of a URL
		"#!::s=k1,u=me,h=x,m=publish,r=无人机": {"无人机", "k1"},
	} {
		if s, k, no := streamID(id); s != want[0] || k != want[1] || no != 0 {
			t.Errorf("%q: stream %q, key %q, refused by %d", id, s, k, no)
		}
	}
	for id, want := range map[string]gosrt.RejectionReason{
		"": gosrt.REJX_BAD_REQUEST, "drone": gosrt.REJX_BAD_REQUEST, "publish:drone": gosrt.REJX_BAD_REQUEST, "publish::k": gosrt.REJX_BAD_REQUEST,
		"publish:drone:": gosrt.REJX_BAD_REQUEST, "request:drone:k": gosrt.REJX_BAD_MODE, "#!::r=drone,s=k": gosrt.REJX_BAD_MODE,
		"#!::r=drone,m=request,s=k": gosrt.REJX_BAD_MODE, "#!::m=publish,s=k": gosrt.REJX_BAD_REQUEST, "#!::": gosrt.REJX_BAD_MODE,
		"publish:" + strings.Repeat("x", 65) + ":k": gosrt.REJX_BAD_REQUEST, "publish:drone:" + strings.Repeat("k", 257): gosrt.REJX_BAD_REQUEST,
	} {
		if s, k, no := streamID(id); no != want || s != "" || k != "" {
			t.Errorf("%q: stream %q, key %q, refused by %d, want %d", id, s, k, no, want)
		}
	}
}

// A desk has one stream, "drone", whose key is "geheim".
type desk struct {
	s    *stream.Stream
	mu   sync.Mutex
	hold chan struct{} // where set, Publish waits for it
	in   int
}

func newDesk() *desk {
	begun := time.Now()
	return &desk{s: stream.New(stream.Opts{Name: "drone", Now: func() time.Duration { return time.Since(begun) }})}
}

func (d *desk) Publish(a source.Asker) (*stream.Writer, error) {
	if d.hold != nil {
		d.mu.Lock()
		d.in++
		d.mu.Unlock()
		<-d.hold
	}
	if a.Way != "srt" || a.Stream != "drone" || a.Key != "geheim" || !a.Remote.Addr().IsLoopback() {
		return nil, phrase.E("srt.gone")
	}
	return d.s.Open(a.Way)
}

// serve serves until the returned function ends it.
func serve(t *testing.T, o Opts) (addr string, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	o.ofTest(ctx)
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	return s.Addr().String(), func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.all != 0 || s.publishers != 0 || len(s.judging) != 0 {
			t.Errorf("%d judged, %d publish, %v", s.all, s.publishers, s.judging)
		}
	}
}

// ofTest fills in what all tests have.
func (o *Opts) ofTest(ctx context.Context) {
	o.Address = "127.0.0.1:0"
	o.Log = slog.New(slog.DiscardHandler)
	o.Go = func(_ string, run func(context.Context) error) { go run(ctx) }
}

func call(addr, id, passphrase string) (gosrt.Conn, error) {
	c := gosrt.DefaultConfig()
	c.StreamId, c.Passphrase = id, passphrase
	return gosrt.Dial("srt", addr, c)
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// key is a key picture of x264 with its parameter sets.
var key = unhex("00000001" + "67f4000a9196847b0110000003001000000300a8f1226a" + "00000001" + "68ce0f1920" + "00000001" + "6588843a084001000040084ba06d05d62c6f22888f4031187e001e6c")

// mux makes a transport stream of key pictures, from a time on.
func mux(pictures int) (b []byte) {
	m := mpeg2.NewTSMuxer()
	m.OnPacket = func(p []byte) { b = append(b, p...) }
	pid := m.AddStream(mpeg2.TS_STREAM_H264)
	for i := range pictures {
		m.Write(pid, slices.Clone(key), uint64(1000+i*40), uint64(1000+i*40))
	}
	return b
}

func TestACallerPublishesAndItsPicturesAreInTheStream(t *testing.T) {
	for name, o := range map[string]struct{ id, passphrase string }{
		"plain":                  {"publish:drone:geheim", ""},
		"standard, a passphrase": {"#!::r=drone,m=publish,s=geheim", "0123456789ab"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk()
			addr, end := serve(t, Opts{Desk: d, Passphrase: o.passphrase})
			defer end()
			r := d.s.Reader(stream.ReaderOpts{Live: true})
			c, err := call(addr, o.id, o.passphrase)
			if err != nil {
				t.Fatal(err)
			}
			for p := range slices.Chunk(mux(3), 1316) {
				if _, err := c.Write(p); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if u, err := r.Next(ctx); err != nil || !u.Key {
				t.Fatal(err)
			}
			if from := d.s.State().From; from != "srt" {
				t.Fatalf("%q publishes", from)
			}
			c.Close()
			for d.s.State().From != "" && ctx.Err() == nil {
				time.Sleep(10 * time.Millisecond)
			}
			if ctx.Err() != nil {
				t.Fatal("it still publishes")
			}
		})
	}
}

// told says that an error of gosrt's has a code, which it writes to the base of 32.
func told(err error, code gosrt.RejectionReason) bool {
	return err != nil && strings.Contains(err.Error(), "("+strconv.FormatInt(int64(code), 32)+")")
}

func TestWhoMayNotIsToldWhy(t *testing.T) {
	for name, c := range map[string]struct {
		id, theirs, ours string
		want             gosrt.RejectionReason
	}{
		"wrong key":               {"publish:drone:falsch", "", "", gosrt.REJX_UNAUTHORIZED},
		"unknown stream":          {"publish:x:geheim", "", "", gosrt.REJX_UNAUTHORIZED},
		"wants to watch":          {"request:drone:geheim", "", "", gosrt.REJX_BAD_MODE},
		"no stream id":            {"", "", "", gosrt.REJX_BAD_REQUEST},
		"wrong passphrase":        {"publish:drone:geheim", "wrong-passphrase", "0123456789ab", gosrt.REJ_BADSECRET},
		"no passphrase":           {"publish:drone:geheim", "", "0123456789ab", gosrt.REJ_UNSECURE},
		"passphrase not expected": {"publish:drone:geheim", "0123456789ab", "", gosrt.REJ_UNSECURE},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk()
			addr, end := serve(t, Opts{Desk: d, Passphrase: c.ours})
			defer end()
			conn, err := call(addr, c.id, c.theirs)
			if err == nil {
				conn.Close()
				t.Fatal("it was taken")
			}
			if !told(err, c.want) {
				t.Fatalf("told %q, want %d", err, c.want)
			}
			if d.s.State().From != "" {
				t.Fatal("it publishes")
			}
		})
	}
}

func TestASecondPublisherIsRefused(t *testing.T) {
	d := newDesk()
	addr, end := serve(t, Opts{Desk: d})
	defer end()
	c, err := call(addr, "publish:drone:geheim", "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := call(addr, "publish:drone:geheim", ""); !told(err, gosrt.REJX_CONFLICT) {
		t.Fatalf("a second is told %v", err)
	}
}

func TestWhoAreJudgedAtOnceAreBounded(t *testing.T) {
	d := newDesk()
	d.hold = make(chan struct{})
	addr, end := serve(t, Opts{Desk: d, Limits: Limits{Address: 2}})
	defer end()
	answers := make(chan error, 5)
	for range 5 {
		go func() {
			c, err := call(addr, "publish:drone:falsch", "")
			if err == nil {
				c.Close()
			}
			answers <- err
		}()
	}
	for range 3 {
		if err := <-answers; !told(err, gosrt.REJX_OVERLOAD) {
			t.Errorf("told %v", err)
		}
	}
	d.mu.Lock()
	if d.in != 2 {
		t.Errorf("the desk is asked by %d at once", d.in)
	}
	d.mu.Unlock()
	close(d.hold)
	<-answers
	<-answers
}

func TestWhoSendsNoPictureIsSentAway(t *testing.T) {
	d := newDesk()
	addr, end := serve(t, Opts{Desk: d, Limits: Limits{Idle: 2 * time.Second}})
	defer end()
	c, err := call(addr, "publish:drone:geheim", "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	begun := time.Now()
	for d.s.State().From != "" {
		if time.Since(begun) > 20*time.Second {
			t.Fatal("it still publishes")
		}
		c.Write(make([]byte, 1316))
		time.Sleep(20 * time.Millisecond)
	}
	if time.Since(begun) < 2*time.Second {
		t.Fatalf("sent away after %v", time.Since(begun))
	}
}

// A caller that asks for a latency of a minute must not fill the memory.
func TestWhatWaitsForItsTimeIsBounded(t *testing.T) {
	d := newDesk()
	addr, end := serve(t, Opts{Desk: d, Limits: Limits{Idle: time.Minute, Waiting: 256 << 10}})
	defer end()
	c := gosrt.DefaultConfig()
	c.StreamId = "publish:drone:geheim"
	c.PeerLatency = 60 * time.Second
	conn, err := gosrt.Dial("srt", addr, c)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	begun := time.Now()
	for n := 0; d.s.State().From != ""; n++ {
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("%d packets are taken", n)
		}
		conn.Write(make([]byte, 1316))
		time.Sleep(time.Millisecond)
	}
}

func TestAPassphraseThatSRTDoesNotTakeIsRefused(t *testing.T) {
	_, err := Listen(Opts{Address: "127.0.0.1:0", Passphrase: "short"})
	if err == nil || phrase.Of(err).Code != "srt.passphrase" {
		t.Fatal(err)
	}
}

// A handshake whose extension is cut off is too much for gosrt; others must not suffer by it.
func TestABrokenHandshakeEndsNothing(t *testing.T) {
	d := newDesk()
	addr, end := serve(t, Opts{Desk: d})
	defer end()
	u, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	b := make([]byte, 16+49)
	b[0], b[16+3], b[16+7] = 0x80, 5, 5
	copy(b[16+20:], "\xff\xff\xff\xff") // a conclusion
	p, err := packet.NewPacketFromData(nil, b)
	if err != nil || survive(func() { p.UnmarshalCIF(&packet.CIFHandshake{}) }) {
		t.Fatalf("this is no such handshake any more: %v", err)
	}
	for range 50 {
		u.Write(b)
		u.Write(b[:20])
		u.Write(nil)
	}
	c, err := call(addr, "publish:drone:geheim", "")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func FuzzStreamID(f *testing.F) {
	f.Add("publish:drone:k1")
	f.Add("#!::r=drone,m=publish,s=k1")
	f.Fuzz(func(t *testing.T, id string) {
		s, k, no := streamID(id)
		if (no == 0) != (s != "" && k != "") || len(s) > nameBytes || len(k) > keyBytes {
			t.Fatalf("%q: %q %q %d", id, s, k, no)
		}
	})
}

// What strangers reach of gosrt: packets, and the handshake in them.
func FuzzHandshake(f *testing.F) {
	p := packet.NewPacket(nil)
	p.Header().IsControlPacket = true
	p.Header().ControlType = packet.CTRLTYPE_HANDSHAKE
	p.MarshalCIF(&packet.CIFHandshake{
		IsRequest: true, Version: 5, ExtensionField: 5, HandshakeType: packet.HSTYPE_CONCLUSION, MaxTransmissionUnitSize: 1500,
		HasHS: true, SRTHS: &packet.CIFHandshakeExtension{SRTVersion: 0x010401, SRTFlags: packet.CIFHandshakeExtensionFlags{TSBPDSND: true}},
		HasSID: true, StreamId: "publish:drone:k1",
	})
	var b strings.Builder
	if err := p.Marshal(&b); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(b.String()))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := packet.NewPacketFromData(nil, b)
		if err != nil {
			return
		}
		defer p.Decommission()
		var c packet.CIFHandshake
		survive(func() {
			if p.UnmarshalCIF(&c) == nil {
				streamID(c.StreamId)
			}
		})
	})
}
