package rtsp

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/pion/rtp"

	"tocsin/firmware/video/stream"
)

// plain is an RTSP client that says exactly what it is told to.
type plain struct {
	*bench
	net.Conn
	r       *bufio.Reader
	seq     int
	session string
}

func (b *bench) dial() *plain {
	b.Helper()
	c, err := net.Dial("tcp", b.addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	return &plain{bench: b, Conn: c, r: bufio.NewReader(c)}
}

// ask sends a request and gives its answer; nil where the connection ended.
func (p *plain) ask(method, path, headers, body string) *base.Response {
	p.Helper()
	p.seq++
	if p.session != "" {
		headers += "Session: " + p.session + "\r\n"
	}
	if body != "" {
		headers += fmt.Sprintf("Content-Type: application/sdp\r\nContent-Length: %d\r\n", len(body))
	}
	fmt.Fprintf(p, "%s rtsp://%s%s RTSP/1.0\r\nCSeq: %d\r\n%s\r\n%s", method, p.addr, path, p.seq, headers, body)
	p.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		if m, err := p.r.Peek(1); err == nil && m[0] == '$' {
			var f base.InterleavedFrame
			if f.Unmarshal(p.r) != nil {
				return nil
			}
			continue
		}
		var r base.Response
		if r.Unmarshal(p.r) != nil {
			return nil
		}
		if s := r.Header["Session"]; len(s) == 1 {
			p.session, _, _ = strings.Cut(s[0], ";")
		}
		return &r
	}
}

func (p *plain) must(method, path, headers, body string) *base.Response {
	p.Helper()
	r := p.ask(method, path, headers, body)
	if r == nil || r.StatusCode != base.StatusOK {
		p.Fatalf("%s: %v", method, r)
	}
	return r
}

// rtp sends a packet on a channel of the connection.
func (p *plain) rtp(channel byte, k *rtp.Packet) {
	p.Helper()
	b, err := k.Marshal()
	if err != nil {
		p.Fatal(err)
	}
	if _, err := p.Write(append([]byte{'$', channel, byte(len(b) >> 8), byte(len(b))}, b...)); err != nil {
		p.Fatal(err)
	}
}

// TestAPushWithSoundIsTaken pushes as encoders do that others refuse (mediamtx #928 and
// the like): sound that is described wrongly, that is never set up, or that never comes.
func TestAPushWithSoundIsTaken(t *testing.T) {
	const aac = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000/2\r\na=sendonly\r\na=control:streamid=1\r\n"
	const pcma = "m=audio 0 RTP/AVP 8\r\na=sendonly\r\na=control:streamid=1\r\n"
	for name, c := range map[string]struct {
		sound string
		setup bool
		sends bool
		note  []stream.Note
		has   stream.Codec
	}{
		"AAC without its configuration, set up": {aac, true, true, []stream.Note{stream.AACDropped}, stream.None},
		"AAC announced and never set up":        {aac, false, false, []stream.Note{stream.AACDropped}, stream.None},
		"G.711 announced and never set up":      {pcma, false, false, []stream.Note{stream.SoundAbsent}, stream.None},
		"G.711 set up that never comes":         {pcma, true, false, nil, stream.None},
		"G.711":                                 {pcma, true, true, nil, stream.PCMA},
	} {
		t.Run(name, func(t *testing.T) {
			b := serve(t, nil)
			p := b.dial()
			p.must("OPTIONS", "/mast", "", "")
			p.must("ANNOUNCE", "/mast?key=push-key", "", announced+c.sound)
			p.must("SETUP", "/mast/streamid=0?key=push-key", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1;mode=record\r\n", "")
			if c.setup {
				p.must("SETUP", "/mast/streamid=1?key=push-key", "Transport: RTP/AVP/TCP;unicast;interleaved=2-3;mode=record\r\n", "")
			}
			p.must("RECORD", "/mast?key=push-key", "Range: npt=0-\r\n", "")
			r := b.desk.s.Reader(stream.ReaderOpts{})
			defer r.Close()
			for i := range 5 {
				if c.sends {
					pt := uint8(8)
					if c.has == stream.None {
						pt = 97
					}
					p.rtp(2, &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: pt, SequenceNumber: uint16(i), Timestamp: uint32(i * 160), SSRC: 2}, Payload: []byte{1, 2, 3, 4}})
				}
				for j, n := range frame264(i, 50, i == 0) {
					p.rtp(0, &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SequenceNumber: uint16(10*i + j), Timestamp: uint32(i * 3600), Marker: len(n) > 40, SSRC: 1}, Payload: n})
				}
				if i > 0 { // numbers jump from 2 to 10: that is a loss, and the next picture is whole
					continue
				}
				if u, err := r.Next(b.ctx); err != nil || numberOf(u.NALs) != 0 {
					t.Fatal(err)
				}
			}
			for i := 1; i < 5; i++ {
				if u, err := r.Next(b.ctx); err != nil || numberOf(u.NALs) != i {
					t.Fatalf("picture %d: %v", i, err)
				}
			}
			if st := b.desk.s.State(); !slices.Equal(st.Notes, c.note) || st.Sound != c.has {
				t.Errorf("notes %v, sound %v", st.Notes, st.Sound)
			}
		})
	}
}

func TestAPushOfNoPictureIsRefusedWithWhy(t *testing.T) {
	b := serve(t, nil)
	p := b.dial()
	r := p.ask("ANNOUNCE", "/mast?key=push-key", "", "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=control:streamid=0\r\n")
	if r == nil || r.StatusCode != base.StatusUnsupportedMediaType || !strings.Contains(r.StatusMessage, "H.264") {
		t.Errorf("%v", r)
	}
	if st := b.desk.s.State(); st.From != "" {
		t.Error("the stream is taken")
	}
}

// TestADroneThatLostItsLinkTakesItsStreamOver has a pusher that falls silent and stays
// connected, as one does whose radio is gone.
func TestADroneThatLostItsLinkTakesItsStreamOver(t *testing.T) {
	b := serve(t, func(o *Opts) { o.Silent = 2 * time.Second; o.Timeout = time.Minute })
	url := "rtsp://a:push-key@" + b.addr + "/mast"
	u, err := b.push(gortsplib.ProtocolTCP, url)
	if err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				_ = u.frame(i, frame264(i, 100, i%10 == 0))
			}
		}
	}()
	b.until("heard", func() bool { return b.desk.s.State().Picture.Codec != stream.None })
	if _, err := b.push(gortsplib.ProtocolTCP, url); err == nil {
		t.Error("one that is heard was taken over")
	}
	close(stop)
	<-stopped
	again, err := b.push(gortsplib.ProtocolTCP, url)
	if err != nil {
		t.Fatalf("a silent one was not taken over: %v", err)
	}
	if err := again.frame(0, frame264(77, 100, true)); err != nil {
		t.Fatal(err)
	}
	r := b.desk.s.Reader(stream.ReaderOpts{})
	defer r.Close()
	if x, err := r.Next(b.ctx); err != nil || numberOf(x.NALs) != 77 {
		t.Error(err)
	}
}

// refusedAt says that a connection is closed without an answer.
func refusedAt(c net.Conn) bool {
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	_, err := c.Read(make([]byte, 1))
	return err != nil && !isTimeout(err)
}

func isTimeout(err error) bool {
	n, ok := err.(net.Error)
	return ok && n.Timeout()
}

func TestConnectionsAreBounded(t *testing.T) {
	b := serve(t, func(o *Opts) { o.ConnsEach = 3 })
	var held []*plain
	for range 3 {
		p := b.dial()
		p.must("OPTIONS", "/mast", "", "")
		held = append(held, p)
	}
	if p := b.dial(); !refusedAt(p) {
		t.Error("a fourth connection of one address was taken")
	}
	held[0].Close()
	b.until("a place is free", func() bool {
		p := b.dial()
		defer p.Close()
		r := p.ask("OPTIONS", "/mast", "", "")
		return r != nil && r.StatusCode == base.StatusOK
	})
}

func TestSessionsAreBounded(t *testing.T) {
	b := serve(t, func(o *Opts) { o.SessionsEach = 2; o.ConnsEach = 20 })
	u, err := b.push(gortsplib.ProtocolTCP, "rtsp://a:push-key@"+b.addr+"/mast")
	if err != nil {
		t.Fatal(err)
	}
	if err := u.frame(0, frame264(0, 100, true)); err != nil {
		t.Fatal(err)
	}
	b.until("a picture", func() bool { return b.desk.s.State().Picture.Codec != stream.None })
	if _, _, err := b.watch(gortsplib.ProtocolTCP, "rtsp://"+b.addr+"/mast?key=view-key"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.watch(gortsplib.ProtocolTCP, "rtsp://"+b.addr+"/mast?key=view-key"); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a third session: %v", err)
	}
}

func TestAStrangersAddressIsItsSubnet(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "fe80::1": "fe80::1",
	} {
		if got := place(&net.TCPAddr{IP: net.IP(netip.MustParseAddr(in).AsSlice())}); got.String() != want {
			t.Errorf("%s counts as %s", in, got)
		}
	}
}

func TestStrangersAreLetGo(t *testing.T) {
	b := serve(t, func(o *Opts) { o.Timeout = 200 * time.Millisecond; o.ConnsEach = 50 })
	for name, first := range map[string]string{
		"says nothing": "", "says little": "OP", "speaks HTTP": "GET / HTTP/1.1\r\nHost: x\r\n", "posts": "POST /x HTTP/1.1\r\n",
		"speaks TLS": "\x16\x03\x01\x02\x00\x01\x00", "a header without end": "OPTIONS * RTSP/1.0\r\nX: " + strings.Repeat("a", 1<<16),
		"a body without end": "ANNOUNCE rtsp://h/mast RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 99999999\r\n\r\n",
	} {
		p := b.dial()
		io.WriteString(p, first)
		if !refusedAt(p) {
			t.Errorf("who %s is kept", name)
		}
	}
	b.until("all places are free", func() bool {
		b.server.door.mu.Lock()
		defer b.server.door.mu.Unlock()
		return b.server.door.open == 0 && len(b.server.door.by) == 0
	})
}

// TestASlowReaderIsNobodysLoss has one reader who takes nothing and one who takes all.
func TestASlowReaderIsNobodysLoss(t *testing.T) {
	b := serve(t, func(o *Opts) { o.Timeout = time.Minute }) // who takes nothing for so long is let go
	w, err := b.desk.s.Open("test")
	if err != nil {
		t.Fatal(err)
	}
	put := func(i int) {
		if err := w.Picture(stream.H264, int64(i)*3600, int64(i)*3600, frame264(i, 60000, i%5 == 0)); err != nil {
			t.Fatal(err)
		}
	}
	put(0)
	slow := b.dial()
	d := slow.must("DESCRIBE", "/mast?key=view-key", "", "")
	if !bytes.Contains(d.Body, []byte("trackID=0")) {
		t.Fatalf("%s", d.Body)
	}
	slow.must("SETUP", "/mast/trackID=0?key=view-key", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n", "")
	slow.must("PLAY", "/mast?key=view-key", "", "")
	pics, _, err := b.watch(gortsplib.ProtocolTCP, "rtsp://"+b.addr+"/mast?key=view-key")
	if err != nil {
		t.Fatal(err)
	}
	if n := <-pics; n != 0 {
		t.Fatal(n)
	}
	const last = 400 // 24 MB: far more than sockets and queues hold
	for i := 1; i <= last; i++ {
		put(i)
		if n := <-pics; n != i {
			t.Fatalf("picture %d came as %d", i, n)
		}
	}
	// It wakes up: what it gets then are whole groups, and in the end the newest.
	var seen []int
	put264, out, lost := collect(stream.H264)
	slow.SetReadDeadline(time.Now().Add(30 * time.Second))
	for len(seen) == 0 || seen[len(seen)-1] != last {
		var f base.InterleavedFrame
		if err := f.Unmarshal(slow.r); err != nil {
			t.Fatalf("%v after %v", err, seen)
		}
		if f.Channel != 0 {
			continue
		}
		var k rtp.Packet
		if err := k.Unmarshal(f.Payload); err != nil {
			t.Fatal(err)
		}
		put264.take(&k)
		for _, g := range *out {
			seen = append(seen, numberOf(g.nals))
		}
		*out = nil
	}
	if len(seen) > last/2 {
		t.Errorf("the slow reader got %d of %d: it was not slow", len(seen), last)
	}
	if *lost != 0 {
		t.Errorf("%d pictures came in part", *lost)
	}
	for i := 1; i < len(seen); i++ {
		if seen[i] != seen[i-1]+1 && seen[i]%5 != 0 {
			t.Errorf("after picture %d came %d, which is no key picture", seen[i-1], seen[i])
		}
	}
}
