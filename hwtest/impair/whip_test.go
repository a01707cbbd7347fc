package impair

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
)

// peer is one end of a call of this machine alone.
func peer(t *testing.T) *webrtc.PeerConnection {
	t.Helper()
	var s webrtc.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return pc
}

// described gives what a peer says of itself when it knows all its ways.
func described(t *testing.T, pc *webrtc.PeerConnection, d webrtc.SessionDescription) string {
	t.Helper()
	all := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(d); err != nil {
		t.Fatal(err)
	}
	<-all
	return pc.LocalDescription().SDP
}

// answers is a server of calls that sends back what it is told. Heard is what the offer said.
func answers(t *testing.T, heard chan<- string) string {
	t.Helper()
	pc := peer(t)
	pc.OnDataChannel(func(d *webrtc.DataChannel) {
		d.OnMessage(func(m webrtc.DataChannelMessage) { d.Send(m.Data) })
	})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		heard <- string(b)
		if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: string(b)}); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		a, err := pc.CreateAnswer(nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/sdp")
		w.Header().Set("Location", "/call/1")
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, described(t, pc, a))
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestACallGoesByTheLinkAloneAndFeelsItsCut(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 1)
	s := Setting{Delay: 20 * time.Millisecond}
	l := New(s, s, 1)
	defer l.Close()
	url, err := l.WHIP(answers(t, heard))
	if err != nil {
		t.Fatal(err)
	}
	pc := peer(t)
	d, err := pc.CreateDataChannel("words", nil)
	if err != nil {
		t.Fatal(err)
	}
	opened, said := make(chan struct{}), make(chan string, 8)
	d.OnOpen(func() { close(opened) })
	d.OnMessage(func(m webrtc.DataChannelMessage) { said <- string(m.Data) })
	o, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post(url+"/whip/x", "application/sdp", strings.NewReader(described(t, pc, o)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusCreated || res.Header.Get("Location") != "/call/1" {
		t.Fatalf("%s, %v: %s", res.Status, err, answer)
	}
	if strings.Contains(<-heard, "a=candidate:") {
		t.Error("the server was told ways that do not go by the link")
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)}); err != nil {
		t.Fatal(err)
	}
	within := time.After(30 * time.Second)
	select {
	case <-opened:
	case <-within:
		t.Fatal("no call came about")
	}
	up, _ := l.Count()
	began := time.Now()
	d.SendText("hello")
	select {
	case <-said:
	case <-within:
		t.Fatal("nothing came back")
	}
	if took := time.Since(began); took < 40*time.Millisecond {
		t.Errorf("there and back in %v: not by the link", took)
	}
	if now, _ := l.Count(); now.Delivered == up.Delivered {
		t.Error("the link has carried nothing of it")
	}
	l.Cut(true)
	d.SendText("cut off")
	select {
	case w := <-said:
		t.Fatalf("%q came through a link that is cut", w)
	case <-time.After(200 * time.Millisecond):
	}
	l.Cut(false)
	select {
	case <-said:
	case <-within:
		t.Fatal("nothing came back after the cut")
	}
}

func TestOnlyCandidatesThatTheLinkCanCarryAreNamed(t *testing.T) {
	t.Parallel()
	const sdp = "v=0\r\na=candidate:1 1 udp 2130706431 10.0.0.5 4000 typ host\r\n" +
		"a=candidate:2 1 tcp 1694498815 10.0.0.5 4000 typ host tcptype passive\r\n" +
		"a=candidate:3 1 UDP 1 fe80::1 4000 typ host\r\n" +
		"a=candidate:4 1 udp 2 10.0.0.9 4001 typ srflx raddr 10.0.0.5 rport 4000\r\n" +
		"a=candidate:broken\r\na=end-of-candidates\r\n"
	got, err := candidates([]byte(sdp), func(of string) (string, error) {
		if of != "10.0.0.5:4000" {
			t.Errorf("asked for %s", of)
		}
		return "127.0.0.1:9", nil
	})
	if want := "v=0\r\na=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host\r\na=end-of-candidates\r\n"; err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
	none, err := candidates([]byte(sdp), func(string) (string, error) { return "", nil })
	if err != nil || bytes.Contains(none, []byte("candidate:")) {
		t.Errorf("%q, %v", none, err)
	}
	if _, err := candidates([]byte(sdp), func(string) (string, error) { return "", net.ErrClosed }); err == nil {
		t.Error("a port that could not be had is not told")
	}
}

func TestACallThroughALinkThatIsClosedIsRefused(t *testing.T) {
	t.Parallel()
	l := New(Setting{}, Setting{}, 1)
	l.Close()
	if _, err := l.WHIP("127.0.0.1:1"); err == nil {
		t.Error("a closed link opens an address")
	}
}
