package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"

	"tocsin/cmd/hubd/pictures"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// clip is two seconds of a moving test card, 320 by 240, 15 pictures a second, a key picture
// each second, as an encoder writes it (x264, constrained baseline).
func clip(t testing.TB) (pictures [][]byte) {
	t.Helper()
	b, err := os.ReadFile("testdata/clip.h264")
	if err != nil {
		t.Fatal(err)
	}
	var now []byte
	for _, n := range bytes.Split(b, []byte{0, 0, 1}) {
		if n = bytes.TrimRight(n, "\x00"); len(n) == 0 {
			continue
		}
		now = append(append(now, 0, 0, 0, 1), n...)
		if kind := n[0] & 31; kind == 1 || kind == 5 {
			pictures, now = append(pictures, now), nil
		}
	}
	if len(pictures) != 30 {
		t.Fatalf("the clip has %d pictures", len(pictures))
	}
	return pictures
}

// drone is a station's side that pushes the clip again and again, by pion alone.
type drone struct {
	t      testing.TB
	client *http.Client
	wg     sync.WaitGroup
	mu     sync.Mutex
	end    context.CancelFunc
	pushes int
	rung   int
}

func (d *drone) Catalogue() letter.Catalogue {
	d.mu.Lock()
	defer d.mu.Unlock()
	return letter.Catalogue{Talk: true, Streams: []letter.StreamOf{{Name: "dock-1", Title: phrase.Text{ZH: "机场一", EN: "dock one"}, State: letter.StreamIdle, Rung: d.rung},
		{Name: "square", Title: phrase.Text{ZH: "广场", EN: "square"}, State: letter.StreamIdle}}}
}

func (d *drone) Stop(string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.end != nil {
		d.end()
	}
	return nil
}

func (d *drone) Bring(context.Context, letter.Bring) error { return phrase.E("pictures.no_answer") }

func (d *drone) Push(_ context.Context, p letter.Push) error {
	ctx, end := context.WithCancel(context.Background())
	d.mu.Lock()
	if d.end != nil {
		d.end()
	}
	d.end = end
	d.pushes++
	d.mu.Unlock()
	d.wg.Go(func() {
		if err := d.fly(ctx, p); err != nil && ctx.Err() == nil {
			d.t.Error("the push: ", err)
		}
	})
	return nil
}

// phone makes pion's peer connection for a test on this machine.
func phone(policy webrtc.ICETransportPolicy, servers []webrtc.ICEServer) (*webrtc.PeerConnection, error) {
	var s webrtc.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	m := &webrtc.MediaEngine{}
	if err := m.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	return webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{ICEServers: servers, ICETransportPolicy: policy})
}

// call makes an offer, posts it and takes the answer.
func call(ctx context.Context, c *http.Client, pc *webrtc.PeerConnection, url string, change func(*http.Request)) (*http.Response, error) {
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return nil, err
	}
	done := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		return nil, err
	}
	select {
	case <-done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r, err := http.NewRequestWithContext(ctx, "POST", url, strings.NewReader(pc.LocalDescription().SDP))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/sdp")
	if change != nil {
		change(r)
	}
	a, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != http.StatusCreated {
		return a, fmt.Errorf("%s: %s %w", a.Status, b, err)
	}
	return a, pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(b)})
}

func (d *drone) fly(ctx context.Context, p letter.Push) error {
	pc, err := phone(webrtc.ICETransportPolicyAll, nil)
	if err != nil {
		return err
	}
	defer pc.Close()
	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000, SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"}, "picture", "drone")
	if err != nil {
		return err
	}
	sender, err := pc.AddTrack(track)
	if err != nil {
		return err
	}
	gone := make(chan struct{})
	var once sync.Once
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateFailed || s == webrtc.PeerConnectionStateClosed {
			once.Do(func() { close(gone) })
		}
	})
	key := make(chan struct{}, 1)
	d.wg.Go(func() {
		for {
			if _, _, err := sender.ReadRTCP(); err != nil {
				return
			}
			select {
			case key <- struct{}{}:
			default:
			}
		}
	})
	r, err := call(ctx, d.client, pc, p.URL, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+p.Token) })
	if err != nil {
		return err
	}
	at, err := r.Request.URL.Parse(r.Header.Get("Location"))
	if err != nil {
		return err
	}
	all := clip(d.t)
	tick := time.NewTicker(time.Second / 15)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			q, _ := http.NewRequest("DELETE", at.String(), nil)
			q.Header.Set("Authorization", "Bearer "+p.Token)
			if a, err := d.client.Do(q); err == nil {
				a.Body.Close()
			}
			return ctx.Err()
		case <-gone:
			return ctx.Err()
		case <-tick.C:
		}
		if err := track.WriteSample(media.Sample{Data: all[i%len(all)], Duration: time.Second / 15}); err != nil {
			return err
		}
	}
}

// screen is an officer's browser, by pion.
type screen struct {
	pc      *webrtc.PeerConnection
	packets chan *rtp.Packet
	at      string
}

func see(t *testing.T, w *world, page, key, why string, policy webrtc.ICETransportPolicy, servers []webrtc.ICEServer) (*screen, error) {
	t.Helper()
	pc, err := phone(policy, servers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	s := &screen{pc: pc, packets: make(chan *rtp.Packet, 4096)}
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			p, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			select {
			case s.packets <- p:
			default:
			}
		}
	})
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		t.Fatal(err)
	}
	r, err := call(within(40*time.Second), http.DefaultClient, pc, page+"/pictures/whep/"+key+"?why="+why, nil)
	if err == nil {
		s.at = page + r.Header.Get("Location")
	}
	return s, err
}

// whole waits for whole pictures: the first packet is of a key picture's parameter sets.
func (s *screen) whole(t *testing.T, want int) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for n, first := 0, true; n < want; {
		select {
		case p := <-s.packets:
			if kind := p.Payload[0] & 31; first && kind != 7 && kind != 24 {
				t.Fatalf("the first packet is of kind %d", kind)
			}
			if first = false; p.Marker {
				n++
			}
		case <-limit:
			t.Fatalf("%d pictures came", n)
		}
	}
}

// picturedWorld is a county with live pictures, and a station that has a drone.
func picturedWorld(t *testing.T, media, more string) (*world, *hub, *drone, string) {
	t.Helper()
	w, h, d := drones(t, media, more)
	page := w.signedIn(h, "王芳", "viewer", dutiesOf(more)...)
	until(t, "the station told of its pictures", func() bool { return len(state(t, page).Stations) == 1 })
	return w, h, d, page
}

// drones is picturedWorld, whose console nobody owns yet.
func drones(t *testing.T, media, more string) (*world, *hub, *drone) {
	t.Helper()
	w := newWorld(t)
	b, err := os.ReadFile(w.file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(more, "# wired") { // the hub opens what the stations seal
		for _, s := range all {
			b = bytes.ReplaceAll(b, []byte(string(s)+".psk}"), fmt.Appendf(nil, "%s.psk, root: %[1]s.psk, number: %d}", s, numberOf(s)))
		}
	}
	w.file = w.write("hub.yaml", append(b, []byte(`pictures:
  listen: "127.0.0.1:0"
  tls: {certificate: hub.pem, key: hub.key}
  media: "`+media+`:0"
  linger: 1s
`+more)...))
	h, _ := w.hub()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.ca.pem)
	d := &drone{t: t, client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}}
	t.Cleanup(func() { _ = d.Stop(""); d.wg.Wait() })
	o := w.natsOpts(upper, h.engine.Addr().String())
	o.Pictures = d
	n := w.link(o)
	run(t, n.Announce)
	return w, h, d
}

// numberOf is a station's own of the county where it is wired.
func numberOf(s letter.Station) uint16 { return uint16(slices.Index(all, s)) + 17 }

// dutiesOf are 王芳's where the file's views ask for any.
func dutiesOf(more string) []string {
	if strings.Contains(more, "roles: [chief]") {
		return []string{"chief"}
	}
	return nil
}

func state(t testing.TB, page string) (s pictures.State) {
	t.Helper()
	r, err := http.Get(page + "/pictures/state?lang=en")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAPictureGoesFromTheStationThroughTheHubToOfficers(t *testing.T) {
	t.Parallel()
	w, h, d, page := picturedWorld(t, "127.0.0.1", "")
	key := string(upper) + "/dock-1"
	one, err := see(t, w, page, key, "fire", webrtc.ICETransportPolicyAll, nil)
	if err != nil {
		t.Fatal(err)
	}
	one.whole(t, 20)
	two, err := see(t, w, page, key, "flood", webrtc.ICETransportPolicyAll, nil)
	if err != nil {
		t.Fatal(err)
	}
	two.whole(t, 20)
	x := state(t, page).Stations[0].Streams[0]
	if !strings.Contains(x.State, "320×240 H.264") || len(x.Who) != 2 || x.Behind == "" {
		t.Errorf("%+v", x)
	}
	d.mu.Lock()
	pushes := d.pushes
	d.mu.Unlock()
	if pushes != 1 {
		t.Errorf("two viewers took %d pushes", pushes)
	}

	// The station's way breaks: it is asked again, and both go on.
	d.mu.Lock()
	d.end()
	d.mu.Unlock()
	until(t, "the push is asked for again", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.pushes == 2 })
	for len(one.packets) > 0 {
		<-one.packets
	}
	one.whole(t, 20)

	for _, s := range []*screen{one, two} {
		r, _ := http.NewRequest("DELETE", s.at, nil)
		a, err := http.DefaultClient.Do(r)
		if err != nil || a.StatusCode != 200 {
			t.Fatal(a, err)
		}
		a.Body.Close()
	}
	until(t, "the station was stopped", func() bool { return len(h.pictured.media.Sessions()) == 0 })
	seen := state(t, page).Seen
	if len(seen) != 2 || seen[0].Why != "flood" || seen[1].Why != "fire" || seen[0].Until == "" || seen[0].Odd || seen[1].Odd {
		t.Errorf("%+v", seen)
	}
	if n := holds(t, h, "SEEN"); n != 4 {
		t.Errorf("%d messages tell of two viewings", n)
	}
}

func TestAPictureComesThroughTheRelayAlone(t *testing.T) {
	t.Parallel()
	w, h, _, page := picturedWorld(t, "127.0.0.1", `  turn: {listen: "127.0.0.1:0", address: 127.0.0.1, ports: 40000-49999}`+"\n")
	r, err := http.Get(page + "/pictures/ice")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var servers []struct {
		URLs                 []string
		Username, Credential string
	}
	if err := json.NewDecoder(r.Body).Decode(&servers); err != nil || len(servers) != 1 || len(servers[0].URLs) != 2 {
		t.Fatalf("%v %+v", err, servers)
	}
	x := servers[0]
	s, err := see(t, w, page, string(upper)+"/dock-1", "fire", webrtc.ICETransportPolicyRelay, []webrtc.ICEServer{{URLs: x.URLs[:1], Username: x.Username, Credential: x.Credential}})
	if err != nil {
		t.Fatal(err)
	}
	s.whole(t, 20)
	pair, err := s.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil || pair == nil || pair.Local.Typ != webrtc.ICECandidateTypeRelay {
		t.Errorf("by %v, %v", pair, err)
	}
	for _, l := range h.pictured.relay.Check(within(30 * time.Second)) {
		if !l.Err.IsZero() {
			t.Errorf("%s: %s", l.Name, l.Err.In(phrase.EN))
		}
	}
}

// masked are views by which a stream is for a chief, who sees half of it.
const masked = `  views: [{streams: [square], roles: [chief], mask: [{left: 0, top: 0, width: 0.5, height: 1}]}]` + "\n"

func TestNobodyWithoutTheRoleIsShownAMaskedPicture(t *testing.T) {
	t.Parallel()
	w, h, d, page := picturedWorld(t, "127.0.0.1", masked)
	key := string(upper) + "/square"
	at := h.console.PageAddr().String()
	for name, page := range map[string]string{"nobody": "http://" + at, "without the duty": w.signedIn(h, "li", "owner"), "a wrong session": "http://session:x@" + at} {
		want := map[bool]string{true: "403", false: "401"}[name == "without the duty"]
		if _, err := see(t, w, page, key, "fire", webrtc.ICETransportPolicyAll, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if d.count() != 0 {
		t.Error("the station was asked")
	}
	s, err := see(t, w, page, key, "fire", webrtc.ICETransportPolicyAll, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.whole(t, 10)
	st := state(t, page)
	if x := st.Stations[0].Streams[1]; len(x.Mask) != 1 || !x.May || len(x.Who) != 1 || !strings.HasPrefix(x.Who[0], "王芳") {
		t.Errorf("%+v", x)
	}
	if e := st.Seen[0]; e.Who != "王芳" || !strings.Contains(e.What, "masked") {
		t.Errorf("%+v", e)
	}
}

func (d *drone) count() int { d.mu.Lock(); defer d.mu.Unlock(); return d.pushes }
