package whep

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"tocsin/firmware/video/stream"
)

var began = time.Now()

func mono() time.Duration { return time.Since(began) }

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

var (
	sps = unhex("674d400bda05067e7c0440000003004000000523c50aa8")
	pps = unhex("68ef0fc8")
)

// picture is a slice that names itself by a number, so that a viewer can say which it is.
func picture(key bool, n uint32, size int) []byte {
	b := append([]byte{0x41, 0x9a}, bytes.Repeat([]byte{0x55}, size)...)
	if key {
		b[0], b[1] = 0x65, 0x88
	}
	return append(b, number(n)...)
}

// number is four bytes that hold no start code.
func number(n uint32) []byte {
	return []byte{0x80 | byte(n>>21), 0x80 | byte(n>>14), 0x80 | byte(n>>7), 0x80 | byte(n)}
}

// numberOf reads what a payload ends in.
func numberOf(p []byte) (n uint32) {
	for _, b := range p[len(p)-4:] {
		n = n<<7 | uint32(b&0x7f)
	}
	return n
}

// bench is a server with one stream.
type bench struct {
	*testing.T
	s  *Server
	st *stream.Stream
	w  *stream.Writer
	wg sync.WaitGroup
	n  uint32
}

func open(t *testing.T, o Opts) *bench {
	b := &bench{T: t, st: stream.New(stream.Opts{Name: "drone", Now: mono})}
	o.Now, o.Listen, o.Loopback = mono, "127.0.0.1:0", true
	o.Start = func(_ string, run func()) { b.wg.Go(run) }
	var err error
	if b.s, err = New(o); err != nil {
		t.Fatal(err)
	}
	if b.w, err = b.st.Open("test"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.s.Close(); b.wg.Wait() })
	return b
}

// feed gives a group of pictures every n, 25 a second, until the test ends.
func (b *bench) feed(every, key, size int) {
	ctx := b.Context()
	b.wg.Go(func() {
		tick := time.NewTicker(40 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			b.one(i, every, key, size)
			<-tick.C
		}
	})
}

func (b *bench) one(i, every, key, size int) {
	b.n++
	nals := [][]byte{picture(false, b.n, size)}
	if i%every == 0 {
		nals = [][]byte{sps, pps, picture(true, b.n, key)}
	}
	b.w.Picture(stream.H264, int64(i)*3600, int64(i)*3600, nals)
}

// client is a peer connection of a browser's kind.
func client(t *testing.T, mimes ...string) *webrtc.PeerConnection {
	m := &webrtc.MediaEngine{}
	for i, mt := range mimes {
		c := webrtc.RTPCodecParameters{PayloadType: webrtc.PayloadType(100 + i), RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: mt, ClockRate: 90000, RTCPFeedback: []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}}}}
		if mt == webrtc.MimeTypeH264 {
			c.SDPFmtpLine = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f"
		}
		if err := m.RegisterCodec(c, webrtc.RTPCodecTypeVideo); err != nil {
			t.Fatal(err)
		}
	}
	var e webrtc.SettingEngine
	e.SetIncludeLoopbackCandidate(true)
	e.SetInterfaceFilter(func(n string) bool { return n == "lo" })
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	e.LoggerFactory = quiet{}
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithSettingEngine(e)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return pc
}

func offerOf(t *testing.T, pc *webrtc.PeerConnection) string {
	o, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	sdp, err := gathered(t.Context(), pc, func() error { return pc.SetLocalDescription(o) })
	if err != nil {
		t.Fatal(err)
	}
	return sdp
}

// watch sees a stream; what comes goes to got, in the order of the network.
func (b *bench) watch(got func(*rtp.Packet)) *Session {
	b.Helper()
	pc := client(b.T, webrtc.MimeTypeH264)
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		b.Fatal(err)
	}
	pc.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			p, _, err := t.ReadRTP()
			if err != nil {
				return
			}
			got(p)
		}
	})
	answer, v, err := b.s.View(b.Context(), ViewRequest{Stream: b.st, Offer: offerOf(b.T, pc), Name: "test"})
	if err != nil {
		b.Fatal(err)
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		b.Fatal(err)
	}
	return v
}

func TestAViewerBeginsAtTheKeptKeyPictureAndComesToNow(t *testing.T) {
	b := open(t, Opts{})
	for i := range 25 { // the key picture is a second old when the viewer comes
		b.one(i, 1000, 30_000, 3000)
	}
	packets := make(chan *rtp.Packet, 1000)
	v := b.watch(func(p *rtp.Packet) { packets <- p })
	seq, first := uint16(0), true
	for pictures := 0; pictures < 25; {
		p := <-packets
		if !first && p.SequenceNumber != seq+1 {
			t.Fatalf("packet %d after %d", p.SequenceNumber, seq)
		}
		if first && p.Payload[0]&31 != 24 {
			t.Errorf("it begins with % x, not with parameter sets", p.Payload[:4])
		}
		seq, first = p.SequenceNumber, false
		if p.Marker {
			if n := numberOf(p.Payload); n != uint32(pictures+1) {
				t.Fatalf("picture %d, not %d", n, pictures+1)
			}
			pictures++
		}
	}
	for v.State().Pictures < 25 {
		time.Sleep(time.Millisecond)
	}
	if st := v.State(); st.Kind != View || st.Codec != stream.H264 || !st.Connected || st.Remote == "" {
		t.Errorf("%+v", st)
	}
	v.Close()
	<-v.Done()
	if n := len(b.s.Sessions()); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

func TestManySeeTheSame(t *testing.T) {
	b := open(t, Opts{})
	b.feed(25, 20_000, 2000)
	const viewers, pictures = 5, 30
	var wg sync.WaitGroup
	for range viewers {
		wg.Add(1)
		n, ext := 0, -1
		last := uint32(0)
		var once sync.Once
		b.watch(func(p *rtp.Packet) {
			if d := int(p.SequenceNumber) - ext; ext >= 0 && d != 1 && d != -65535 {
				t.Errorf("packet %d after %d", p.SequenceNumber, ext)
			}
			ext = int(p.SequenceNumber)
			if !p.Marker {
				return
			}
			at := numberOf(p.Payload)
			if last > 0 && at != last+1 {
				t.Errorf("picture %d after %d", at, last)
			}
			last = at
			if n++; n == pictures {
				once.Do(wg.Done)
			}
		})
	}
	wg.Wait()
	if len(b.s.Sessions()) != viewers {
		t.Errorf("%d sessions", len(b.s.Sessions()))
	}
}

func TestWhoCannotBeServedHearsWhy(t *testing.T) {
	b := open(t, Opts{Most: 1})
	pc := client(t, webrtc.MimeTypeH265)
	pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly})
	hevc := offerOf(t, pc)
	pc = client(t, webrtc.MimeTypeH264)
	pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly})
	good := offerOf(t, pc)
	try := func(offer string, want error, status int) {
		t.Helper()
		_, v, err := b.s.View(t.Context(), ViewRequest{Stream: b.st, Offer: offer})
		if !errors.Is(err, want) || v != nil || Status(err) != status {
			t.Errorf("%v, status %d", err, Status(err))
		}
	}
	idle := stream.New(stream.Opts{Name: "idle", Now: mono})
	if _, _, err := b.s.View(t.Context(), ViewRequest{Stream: idle, Offer: good}); !errors.Is(err, ErrNoPicture) {
		t.Error(err)
	}
	b.one(0, 10, 100, 100)
	try(hevc, ErrCodec, 406)
	try("", ErrOffer, 400)
	try("v=0\r\n", ErrOffer, 400)
	try(good+strings.Repeat("a=x\r\n", 20000), ErrOffer, 400)
	try(strings.ReplaceAll(good, "a=ice-ufrag", "a=ufrag"), ErrOffer, 400)
	b.watch(func(*rtp.Packet) {})
	try(good, ErrBusy, 503)
	if len(b.s.Sessions()) != 1 {
		t.Errorf("%d sessions", len(b.s.Sessions()))
	}
}

func TestAViewerMayComeWhileOnlyStillsDo(t *testing.T) {
	b := open(t, Opts{})
	if err := b.st.Show([]byte{0xff, 0xd8, 0xff, 0xd9}); err != nil {
		t.Fatal(err)
	}
	came := make(chan uint32, 100)
	b.watch(func(p *rtp.Packet) {
		select {
		case came <- p.Timestamp:
		default:
		}
	})
	// The link bears more, and the same viewer sees it move.
	b.one(0, 10, 100, 100)
	select {
	case <-came:
	case <-time.After(time.Minute):
		t.Error("no picture came")
	}
}

func TestTheBudgetBoundsAllViewersTogether(t *testing.T) {
	budget := 100_000
	b := open(t, Opts{Budget: func() int { return budget }})
	for i := range 100 {
		b.one(i, 25, 10000, 10000) // 2 Mbit/s by the stream's time, more by the clock
	}
	time.Sleep(1100 * time.Millisecond) // the meter reads whole seconds
	pc := client(t, webrtc.MimeTypeH264)
	pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly})
	good := offerOf(t, pc)
	if _, _, err := b.s.View(t.Context(), ViewRequest{Stream: b.st, Offer: good}); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	budget = 0
	if _, _, err := b.s.View(t.Context(), ViewRequest{Stream: b.st, Offer: good}); err != nil {
		t.Error(err)
	}
}

func TestReorderedPicturesAreLeftOutOrRefused(t *testing.T) {
	b := open(t, Opts{})
	bslice := func(ref byte, n uint32) []byte {
		return append([]byte{ref<<5 | 1, 0x9e, 6, 6, 6, 6, 6, 6}, number(n)...)
	}
	order := []int64{0, 2, 1, 4, 3, 6, 5, 8, 7}
	for i, at := range order {
		nals := [][]byte{picture(false, uint32(at), 50)}
		if i == 0 {
			nals = [][]byte{sps, pps, picture(true, 0, 50)}
		} else if at%2 == 1 {
			nals = [][]byte{bslice(0, uint32(at))}
		}
		b.w.Picture(stream.H264, at*3600+3600, int64(i)*3600, nals)
	}
	got := make(chan uint32, 100)
	v := b.watch(func(p *rtp.Packet) {
		if p.Marker {
			got <- numberOf(p.Payload)
		}
	})
	for _, want := range []uint32{0, 2, 4, 6, 8} {
		if n := <-got; n != want {
			t.Errorf("picture %d, not %d", n, want)
		}
	}
	for v.State().LeftOut < 4 {
		time.Sleep(time.Millisecond)
	}
	b.w.Picture(stream.H264, 9*3600, 9*3600+1, [][]byte{picture(false, 10, 50)})
	b.w.Picture(stream.H264, 8*3600, 9*3600+2, [][]byte{bslice(2, 9)})
	<-v.Done()
	if v.Err() == nil {
		t.Error("it ended without a reason")
	}
	pc := client(t, webrtc.MimeTypeH264)
	pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly})
	if _, _, err := b.s.View(t.Context(), ViewRequest{Stream: b.st, Offer: offerOf(t, pc)}); !errors.Is(err, ErrCodec) {
		t.Error(err)
	}
}

func TestAPublisherIsSeenByViewers(t *testing.T) {
	b := open(t, Opts{})
	b.w.Close(nil)
	pc := client(t, webrtc.MimeTypeH264)
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000, SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f"}, "v", "s")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pc.AddTrack(track); err != nil {
		t.Fatal(err)
	}
	up := make(chan struct{})
	var once sync.Once
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(up) })
		}
	})
	answer, v, err := b.s.Publish(t.Context(), offerOf(t, pc), "dock", func() (*stream.Writer, error) { return b.st.Open("whip") })
	if err != nil {
		t.Fatal(err)
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatal(err)
	}
	<-up
	b.wg.Go(func() {
		seq := uint16(0)
		for i := 0; t.Context().Err() == nil; i++ {
			u := &stream.Unit{Codec: stream.H264, NALs: [][]byte{picture(false, uint32(i), 3000)}}
			if i%10 == 0 {
				u = &stream.Unit{Codec: stream.H264, NALs: [][]byte{sps, pps, picture(true, uint32(i), 5000)}}
			}
			ps := u.Payloads()
			for k, p := range ps {
				seq++
				if seq%97 == 13 {
					continue // lost, and asked for in vain: this sender does not send again
				}
				track.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: seq, Timestamp: uint32(i) * 3600, Marker: k == len(ps)-1}, Payload: p})
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	for b.st.State().Picture.SPS == nil {
		time.Sleep(time.Millisecond)
	}
	got := make(chan uint32, 1000)
	b.watch(func(p *rtp.Packet) {
		if p.Marker {
			got <- numberOf(p.Payload)
		}
	})
	last := <-got
	for range 40 {
		n := <-got
		if n <= last {
			t.Errorf("picture %d after %d", n, last)
		}
		last = n
	}
	pc.Close()
	v.Close()
	<-v.Done()
	if b.st.State().From != "" {
		t.Error("the writer was not closed")
	}
}

func TestPacketsComeInOrder(t *testing.T) {
	p := func(n uint16) *rtp.Packet {
		return &rtp.Packet{Header: rtp.Header{SequenceNumber: n}, Payload: []byte{1}}
	}
	r := reorder{wait: time.Second}
	var got []int
	put := func(now time.Duration, ns ...uint16) {
		for _, n := range ns {
			for _, q := range r.put(p(n), now) {
				if q == nil {
					got = append(got, -1)
				} else {
					got = append(got, int(q.SequenceNumber))
				}
			}
		}
	}
	want := func(w ...int) {
		t.Helper()
		if len(w) != len(got) {
			t.Fatalf("%v, not %v", got, w)
		}
		for i := range w {
			if w[i] != got[i] {
				t.Fatalf("%v, not %v", got, w)
			}
		}
		got = nil
	}
	put(0, 65534, 65535, 1, 0, 0, 65535, 2)
	want(65534, 65535, 0, 1, 2)
	put(0, 4, 5)
	want()
	put(900*time.Millisecond, 6)
	want()
	put(1100*time.Millisecond, 7)
	want(-1, 4, 5, 6, 7)
	put(0, 3)
	want()
	put(0, 30000)
	want(-1, 30000)
}

func TestOverHTTP(t *testing.T) {
	b := open(t, Opts{})
	b.feed(25, 1000, 100)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /whep", func(w http.ResponseWriter, r *http.Request) {
		o, err := Offer(r)
		var a string
		var v *Session
		if err == nil {
			a, v, err = b.s.View(r.Context(), ViewRequest{Stream: b.st, Offer: o})
		}
		Answer(w, a, v, "/whep", err)
	})
	mux.HandleFunc("/whep/{id}", func(w http.ResponseWriter, r *http.Request) { b.s.End(w, r, r.PathValue("id")) })
	h := httptest.NewServer(mux)
	defer h.Close()
	do := func(method, path, typ, body string) *http.Response {
		q, _ := http.NewRequestWithContext(context.Background(), method, h.URL+path, strings.NewReader(body))
		q.Header.Set("Content-Type", typ)
		res, err := h.Client().Do(q)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	for b.st.State().Picture.SPS == nil {
		time.Sleep(time.Millisecond)
	}
	pc := client(t, webrtc.MimeTypeH264)
	pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly})
	good := offerOf(t, pc)
	if s := do("POST", "/whep", "text/plain", good).StatusCode; s != 400 {
		t.Error(s)
	}
	if s := do("POST", "/whep", "application/sdp", strings.Repeat("x", MaxBody+1)).StatusCode; s != 400 {
		t.Error(s)
	}
	res := do("POST", "/whep", "application/sdp", good)
	at := res.Header.Get("Location")
	if res.StatusCode != 201 || at == "" {
		t.Fatal(res.StatusCode, at)
	}
	for _, c := range []struct {
		method, path string
		want         int
	}{{"PATCH", at, 405}, {"DELETE", "/whep/guess", 404}, {"DELETE", at, 200}} {
		if s := do(c.method, c.path, "application/sdp", "").StatusCode; s != c.want {
			t.Errorf("%s %s: %d", c.method, c.path, s)
		}
	}
}

func FuzzOffer(f *testing.F) {
	f.Add("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 H264/90000\r\n")
	st := stream.New(stream.Opts{Name: "drone", Now: mono})
	w, _ := st.Open("test")
	w.Picture(stream.H264, 0, 0, [][]byte{sps, pps, picture(true, 1, 10)})
	s, err := New(Opts{Now: mono, Listen: "127.0.0.1:0", Loopback: true, Start: func(_ string, run func()) { go run() }})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, offer string) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, v, err := s.View(ctx, ViewRequest{Stream: st, Offer: offer}); err == nil {
			v.Close()
			<-v.Done()
		} else if v != nil {
			t.Error("a session and an error")
		}
		given := stream.New(stream.Opts{Name: "phone", Now: mono})
		if _, v, err := s.Publish(ctx, offer, "a", func() (*stream.Writer, error) { return given.Open("whip") }); err == nil {
			v.Close()
			<-v.Done()
		} else if v != nil {
			t.Error("a publisher and an error")
		}
		if given.State().From != "" {
			t.Error("a publisher that has gone still writes")
		}
	})
}

func TestTheAddressOfAForwardedPortIsOfferedBesideTheBoxsOwn(t *testing.T) {
	b := open(t, Opts{Public: []string{"203.0.113.7"}})
	b.feed(25, 1, 100)
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		t.Fatal(err)
	}
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, v, err := b.s.View(t.Context(), ViewRequest{Stream: b.st, Offer: offer.SDP, Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	port := strconv.Itoa(b.s.Port())
	for _, want := range []string{" 203.0.113.7 " + port + " typ host", " 127.0.0.1 " + port + " typ host"} {
		if !strings.Contains(answer, want) {
			t.Errorf("without %q:\n%s", want, answer)
		}
	}
}
