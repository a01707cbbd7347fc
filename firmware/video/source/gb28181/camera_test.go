package gb28181

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
	mpeg2 "github.com/yapingcat/gomedia/go-mpeg2"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/gb28181/ps"
	"tocsin/firmware/video/source"
	"tocsin/firmware/video/stream"
)

const (
	boxID     = "34020000002000000001"
	deviceID  = "34020000001110000001"
	channelID = "34020000001310000001"
)

// drone is a device of another maker: SIP by sipgo, the digest by the library that
// sipgo uses, program streams by gomedia.
type drone struct {
	t      *testing.T
	ctx    context.Context
	ua     *sipgo.UserAgent
	client *sipgo.Client
	box    netip.AddrPort
	local  string
	sipBy  string
	codec  stream.Codec

	mu     sync.Mutex
	invite *sip.Request
	stop   context.CancelFunc
	events chan string
	mute   bool // answers and sends nothing
	lose   int  // every so many packets one is lost
}

func launch(t *testing.T, ctx context.Context, box netip.AddrPort, sipBy string, codec stream.Codec) *drone {
	t.Helper()
	d := &drone{t: t, ctx: ctx, box: box, sipBy: sipBy, codec: codec, events: make(chan string, 1000)}
	quiet := slog.New(slog.DiscardHandler)
	var err error
	d.ua, err = sipgo.NewUA(sipgo.WithUserAgent(deviceID), sipgo.WithUserAgentHostname(boxID[:10]),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(quiet)),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerLogger(quiet)))
	if err != nil {
		t.Fatal(err)
	}
	server, err := sipgo.NewServer(d.ua, sipgo.WithServerLogger(quiet))
	if err != nil {
		t.Fatal(err)
	}
	server.OnMessage(d.onMessage)
	server.OnInvite(d.onInvite)
	server.OnAck(d.onAck)
	server.OnBye(func(r *sip.Request, tx sip.ServerTransaction) {
		_ = tx.Respond(sip.NewResponseFromRequest(r, 200, "OK", nil))
		d.mu.Lock()
		if d.stop != nil {
			d.stop()
		}
		d.mu.Unlock()
		d.events <- "bye"
	})
	options := []sipgo.ClientOption{sipgo.WithClientLogger(quiet), sipgo.WithClientNAT()}
	if sipBy == "UDP" {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		d.local = conn.LocalAddr().String()
		options = append(options, sipgo.WithClientConnectionAddr(d.local))
		go func() { _ = server.ServeUDP(conn) }()
		t.Cleanup(func() { conn.Close() })
		for {
			if c, err := d.ua.TransportLayer().GetConnection("udp", d.local); err == nil && c != nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	if d.client, err = sipgo.NewClient(d.ua, options...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.mu.Lock()
		if d.stop != nil {
			d.stop()
		}
		d.mu.Unlock()
		d.ua.Close()
	})
	return d
}

func (d *drone) request(method sip.RequestMethod, to string) *sip.Request {
	r := sip.NewRequest(method, sip.Uri{Scheme: "sip", User: boxID, Host: boxID[:10]})
	r.SetTransport(d.sipBy)
	r.SetDestination(d.box.String())
	from := sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: deviceID, Host: boxID[:10]}}
	from.Params.Add("tag", sip.GenerateTagN(8))
	r.AppendHeader(&from)
	r.AppendHeader(&sip.ToHeader{Address: sip.Uri{Scheme: "sip", User: to, Host: boxID[:10]}})
	r.AppendHeader(&sip.ContactHeader{Address: sip.Uri{Scheme: "sip", User: deviceID, Host: "127.0.0.1", Port: 5060}})
	return r
}

// register gives the code of the last answer.
func (d *drone) register(password string, expires int) int {
	d.t.Helper()
	r := d.request(sip.REGISTER, deviceID)
	e := sip.ExpiresHeader(expires)
	r.AppendHeader(&e)
	res, err := d.client.Do(d.ctx, r)
	if err != nil {
		d.t.Fatal(err)
	}
	if res.StatusCode == 401 {
		if res, err = d.client.DoDigestAuth(d.ctx, r, res, sipgo.DigestAuth{Username: deviceID, Password: password}); err != nil {
			d.t.Fatal(err)
		}
	}
	return res.StatusCode
}

func (d *drone) message(body string) int {
	d.t.Helper()
	r := d.request(sip.MESSAGE, boxID)
	r.AppendHeader(sip.NewHeader("Content-Type", "Application/MANSCDP+xml"))
	r.SetBody([]byte(body))
	res, err := d.client.Do(d.ctx, r)
	if err != nil {
		d.t.Error(err)
		return 0
	}
	return res.StatusCode
}

var number = regexp.MustCompile(`<SN>(\d+)</SN>`)

func (d *drone) onMessage(r *sip.Request, tx sip.ServerTransaction) {
	_ = tx.Respond(sip.NewResponseFromRequest(r, 200, "OK", nil))
	body := string(r.Body())
	switch {
	case strings.Contains(body, "<CmdType>Catalog<"):
		n := number.FindStringSubmatch(body)
		d.message(`<?xml version="1.0" encoding="GB2312"?><Response><CmdType>Catalog</CmdType><SN>` + n[1] + `</SN><DeviceID>` + deviceID + `</DeviceID><SumNum>2</SumNum><DeviceList Num="2"><Item><DeviceID>34020000001340000001</DeviceID><Name>` + "\xb1\xa8\xbe\xaf" + `</Name></Item><Item><DeviceID>` + channelID + `</DeviceID><Name>` + "\xd4\xc6\xcc\xa8" + `</Name></Item></DeviceList></Response>`)
	case strings.Contains(body, "<IFameCmd>Send<"):
		d.events <- "key"
	}
}

func (d *drone) onInvite(r *sip.Request, tx sip.ServerTransaction) {
	if r.Recipient.User != channelID {
		_ = tx.Respond(sip.NewResponseFromRequest(r, 404, "No Such Channel", nil))
		return
	}
	res := sip.NewResponseFromRequest(r, 200, "OK", []byte("v=0\r\no="+channelID+" 0 0 IN IP4 127.0.0.1\r\ns=Play\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 15060 RTP/AVP 96\r\na=sendonly\r\na=rtpmap:96 PS/90000\r\ny="+line(r.Body(), "y=")+"\r\n"))
	host, port, _ := net.SplitHostPort(d.local)
	n, _ := strconv.Atoi(port)
	if host == "" {
		host = "127.0.0.1"
	}
	res.AppendHeader(&sip.ContactHeader{Address: sip.Uri{Scheme: "sip", User: channelID, Host: host, Port: n}})
	d.mu.Lock()
	d.invite = r
	d.mu.Unlock()
	_ = tx.Respond(res)
	d.events <- "invite"
}

func line(b []byte, prefix string) string {
	for _, l := range strings.Split(string(b), "\r\n") {
		if v, ok := strings.CutPrefix(l, prefix); ok {
			return v
		}
	}
	return ""
}

func (d *drone) onAck(*sip.Request, sip.ServerTransaction) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stop != nil {
		d.stop()
	}
	ctx, stop := context.WithCancel(d.ctx)
	d.stop = stop
	if d.mute {
		return
	}
	go d.send(ctx, d.invite.Body(), d.lose)
}

// send flies the clip round and round.
func (d *drone) send(ctx context.Context, sdp []byte, lose int) {
	f := strings.Fields(line(sdp, "m=video "))
	network := "udp"
	if f[1] == "TCP/RTP/AVP" {
		network = "tcp"
	}
	c, err := net.Dial(network, net.JoinHostPort(strings.Fields(line(sdp, "c="))[2], f[0]))
	if err != nil {
		d.t.Error(err)
		return
	}
	defer c.Close()
	ssrc, _ := strconv.Atoi(line(sdp, "y="))
	m := mpeg2.NewPsMuxer()
	cid := mpeg2.PS_STREAM_H264
	if d.codec == stream.H265 {
		cid = mpeg2.PS_STREAM_H265
	}
	pictures, sounds := m.AddStream(cid), m.AddStream(mpeg2.PS_STREAM_G711A)
	var pack []byte
	m.OnPacket = func(b []byte) { pack = append(pack, b...) }
	seq := uint16(65000)
	flush := func(at uint32) {
		for len(pack) > 0 {
			n := min(1388, len(pack))
			b := []byte{0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
			if n == len(pack) {
				b[1] |= 0x80
			}
			binary.BigEndian.PutUint16(b[2:], seq)
			binary.BigEndian.PutUint32(b[4:], at)
			binary.BigEndian.PutUint32(b[8:], uint32(ssrc))
			b = append(b, pack[:n]...)
			pack = pack[n:]
			seq++
			if network == "tcp" {
				b = append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
			} else if lose > 0 && int(seq)%lose == 0 {
				continue
			}
			_, _ = c.Write(b)
		}
	}
	for i := 0; ctx.Err() == nil; i++ {
		var frame []byte
		for _, n := range clip(d.t, d.codec)[i%50] {
			frame = append(append(frame, 0, 0, 0, 1), n...)
		}
		ms := uint64(i*40 + 1000)
		_ = m.Write(pictures, frame, ms, ms)
		flush(uint32(ms * 90))
		_ = m.Write(sounds, bytes.Repeat([]byte{0xD5}, 320), ms, ms)
		flush(uint32(ms * 90))
		time.Sleep(2 * time.Millisecond)
	}
}

func (d *drone) await(what string) {
	d.t.Helper()
	for {
		select {
		case e := <-d.events:
			if e == what {
				return
			}
		case <-d.ctx.Done():
			d.t.Fatalf("no %s", what)
		}
	}
}

// clip is the fifty pictures that the sister room's tests use.
func clip(t testing.TB, c stream.Codec) (out [][][]byte) {
	name := "../../gb28181/testdata/clip.h264"
	if c == stream.H265 {
		name = "../../gb28181/testdata/clip.h265"
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range ps.Split(b) {
		if c == stream.H264 && n[0]&0x1F == 9 || c == stream.H265 && n[0]>>1&0x3F == 35 {
			out = append(out, nil)
			continue
		}
		out[len(out)-1] = append(out[len(out)-1], n)
	}
	return out
}

// desk lets everyone with the key to its one stream.
type desk struct {
	stream *stream.Stream
	no     error
}

func (d desk) Publish(a source.Asker) (*stream.Writer, error) {
	if d.no != nil {
		return nil, d.no
	}
	if a.Way != "gb28181" || a.Stream != "drone" || a.Key != "Xq-71" || !a.Remote.IsValid() {
		return nil, fmt.Errorf("asked by %+v", a)
	}
	return d.stream.Open(a.Way)
}

type bench struct {
	t    *testing.T
	ctx  context.Context
	stop context.CancelFunc
	s    *Server
	desk desk
}

func newBench(t *testing.T, change func(*Opts)) *bench {
	t.Helper()
	b := &bench{t: t}
	start := time.Now()
	now := func() time.Duration { return time.Since(start) }
	b.ctx, b.stop = context.WithTimeout(context.Background(), 60*time.Second)
	b.desk = desk{stream: stream.New(stream.Opts{Name: "drone", Now: now})}
	var wg sync.WaitGroup
	o := Opts{
		Log: slog.New(slog.DiscardHandler), Now: now,
		Go: func(_ string, run func(context.Context) error) {
			wg.Add(1)
			go func() { defer wg.Done(); _ = run(b.ctx) }()
		},
		Pause:  func(ctx context.Context, d time.Duration) error { return pause(ctx, min(d, 20*time.Millisecond)) },
		Desk:   b.desk,
		ID:     boxID,
		Listen: netip.MustParseAddrPort("127.0.0.1:0"),
		Cameras: []Camera{
			{Device: deviceID, Password: "Xq-71", Stream: "drone"},
		},
	}
	if change != nil {
		change(&o)
	}
	var err error
	if b.s, err = New(o); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- b.s.Run(b.ctx) }()
	t.Cleanup(func() {
		b.stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		wg.Wait()
	})
	for !b.s.Address().IsValid() {
		time.Sleep(time.Millisecond)
	}
	return b
}

func (b *bench) phase(code string) Status {
	b.t.Helper()
	for {
		st := b.s.Status()[0]
		if st.Phase.Code == code {
			return st
		}
		if b.ctx.Err() != nil {
			b.t.Fatalf("state %v, want %s", st.Phase, code)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestADronesPicturesComeWhole(t *testing.T) {
	for _, tc := range []struct {
		sipBy, media, algorithm string
		codec                   stream.Codec
	}{
		{"UDP", "udp", "", stream.H264}, {"UDP", "tcp", "", stream.H264}, {"UDP", "udp", "SHA-256", stream.H265}, {"TCP", "tcp", "", stream.H265}, {"TCP", "udp", "", stream.H264},
	} {
		t.Run(fmt.Sprint("SIP by ", tc.sipBy, ", ", tc.codec, " by ", tc.media), func(t *testing.T) {
			b := newBench(t, func(o *Opts) { o.Cameras[0].Media, o.Cameras[0].Algorithm = tc.media, tc.algorithm })
			d := launch(t, b.ctx, b.s.Address(), tc.sipBy, tc.codec)
			r := b.desk.stream.Reader(stream.ReaderOpts{Name: "test", Sound: true})
			defer r.Close()
			if code := d.register("Xq-71", 3600); code != 200 {
				t.Fatalf("signing in: %d", code)
			}
			known := map[string]bool{}
			for _, p := range clip(t, tc.codec) {
				known[string(p[len(p)-1])] = true
			}
			pictures, sounds := 0, 0
			for pictures < 60 || sounds < 40 {
				u, err := r.Next(b.ctx)
				if err != nil {
					t.Fatalf("%v after %d pictures and %d packets of sound; %v", err, pictures, sounds, b.s.Status())
				}
				switch {
				case u.Codec == tc.codec:
					if pictures == 0 && !u.Key {
						t.Error("the first picture is no key picture")
					}
					if n := u.NALs[len(u.NALs)-1]; !known[string(n)] {
						t.Fatalf("picture %d is not one that was sent (%d bytes)", pictures, len(n))
					}
					pictures++
				case u.Codec == stream.PCMA:
					if len(u.Sound) != 320 {
						t.Errorf("%d bytes of sound", len(u.Sound))
					}
					sounds++
				default:
					t.Fatalf("a unit of %v", u.Codec)
				}
			}
			if st := b.phase("gb28181_in.sending"); !st.Online || !st.Sending || st.Packets == 0 {
				t.Errorf("%+v", st)
			}
			b.desk.stream.AskKey()
			d.await("key")
			b.stop()
			d2, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			d.ctx = d2
			d.await("bye")
		})
	}
}

func TestWhoIsNotConfiguredOrDoesNotKnowThePasswordIsRefused(t *testing.T) {
	b := newBench(t, nil)
	d := launch(t, b.ctx, b.s.Address(), "UDP", stream.H264)
	if code := d.register("wrong", 3600); code != 403 {
		t.Errorf("a wrong password: %d", code)
	}
	if st := b.phase("gb28181_in.wrong_password"); st.Online || strings.Contains(st.Phase.In(phrase.ZH), "Xq-71") {
		t.Errorf("%+v", st)
	}
	if code := d.message(`<?xml version="1.0"?><Notify><CmdType>Keepalive</CmdType><SN>1</SN><DeviceID>` + deviceID + `</DeviceID></Notify>`); code != 403 {
		t.Errorf("a message of who has not signed in: %d", code)
	}
	b2 := newBench(t, func(o *Opts) { o.Cameras[0].Device = "34020000001110000009" })
	d2 := launch(t, b2.ctx, b2.s.Address(), "UDP", stream.H264)
	if code := d2.register("Xq-71", 3600); code != 403 {
		t.Errorf("a device that is not configured: %d", code)
	}
}

func TestASessionIsAskedForAgainWhenItEndsOrFallsSilent(t *testing.T) {
	b := newBench(t, func(o *Opts) { o.Silence = 50 * time.Millisecond })
	d := launch(t, b.ctx, b.s.Address(), "UDP", stream.H264)
	d.mute = true
	if code := d.register("Xq-71", 3600); code != 200 {
		t.Fatal(code)
	}
	d.await("invite")
	d.await("bye") // it sent nothing
	d.mu.Lock()
	d.mute = false
	d.mu.Unlock()
	b.phase("gb28181_in.sending")
	if code := d.register("Xq-71", 0); code != 200 {
		t.Errorf("signing out: %d", code)
	}
	b.phase("gb28181_in.left")
	if st := b.s.Status()[0]; st.Online {
		t.Errorf("%+v", st)
	}
}

func TestADeskThatSaysNoEndsTheSession(t *testing.T) {
	b := newBench(t, func(o *Opts) { o.Desk = desk{no: phrase.E("gb28181_in.twice", "id", "x")} })
	d := launch(t, b.ctx, b.s.Address(), "UDP", stream.H264)
	if code := d.register("Xq-71", 3600); code != 200 {
		t.Fatal(code)
	}
	d.await("bye")
	b.phase("gb28181_in.twice")
}

func TestLostPacketsCostTheirPicturesAlone(t *testing.T) {
	b := newBench(t, nil)
	d := launch(t, b.ctx, b.s.Address(), "UDP", stream.H264)
	d.lose = 17
	r := b.desk.stream.Reader(stream.ReaderOpts{Name: "test"})
	defer r.Close()
	if code := d.register("Xq-71", 3600); code != 200 {
		t.Fatal(code)
	}
	known := map[string]bool{}
	for _, p := range clip(t, stream.H264) {
		known[string(p[len(p)-1])] = true
	}
	for n := range 60 {
		u, err := r.Next(b.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if last := u.NALs[len(u.NALs)-1]; !known[string(last)] {
			t.Fatalf("picture %d is not one that was sent (%d bytes)", n, len(last))
		}
	}
}

func FuzzCredentials(f *testing.F) {
	f.Add(`Digest username="34020000001110000001", realm="3402000000", nonce="1-2", uri="sip:x", response="00", algorithm=MD5, qop=auth, nc=00000001, cnonce="a"`)
	f.Fuzz(func(t *testing.T, v string) {
		m := credentials(v)
		if knows(m, "REGISTER", "r", "u", "secret", "MD5") && m["nonce"] == "" && m["response"] == "" {
			t.Fatalf("%q is let in", v)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("v=0\r\nc=IN IP4 127.0.0.1\r\nm=video 15060 RTP/AVP 96\r\ny=0200000001\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ssrc := answered(b)
		if a.IsValid() && (a.IsMulticast() || a.IsUnspecified()) || len(ssrc) > 10 {
			t.Fatal(a, ssrc)
		}
	})
}
