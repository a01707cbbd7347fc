package video

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media/samplebuilder"

	"tocsin/firmware/video/gb28181/ps"
	"tocsin/firmware/video/source"
	"tocsin/firmware/video/terms"
	"tocsin/hwtest/platform"
)

const (
	upperCode   = "44188210002000000001"
	deviceCode  = "44188200001180000031"
	channelCode = "44188200001320000031"
)

// valley is the sister room's clip of fifty pictures.
func valley(t *testing.T) (out [][][]byte) {
	b, err := os.ReadFile("gb28181/testdata/clip.h264")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range ps.Split(b) {
		if n[0]&31 == 9 {
			out = append(out, nil)
			continue
		}
		out[len(out)-1] = append(out[len(out)-1], n)
	}
	return out
}

// watch has a browser's kind of peer look at a stream; each picture that came whole goes to
// got, as a byte stream.
func (c *child) watch(name string, got func([]byte)) {
	c.Helper()
	m := &webrtc.MediaEngine{}
	if err := m.RegisterCodec(webrtc.RTPCodecParameters{PayloadType: 100, RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000, SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f"}}, webrtc.RTPCodecTypeVideo); err != nil {
		c.Fatal(err)
	}
	var e webrtc.SettingEngine
	e.SetIncludeLoopbackCandidate(true)
	e.SetInterfaceFilter(func(n string) bool { return n == "lo" })
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithSettingEngine(e)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { pc.Close() })
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		c.Fatal(err)
	}
	pc.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		b := samplebuilder.New(200, &codecs.H264Packet{}, 90000)
		for {
			p, _, err := t.ReadRTP()
			if err != nil {
				return
			}
			b.Push(p)
			for s := b.Pop(); s != nil; s = b.Pop() {
				got(s.Data)
			}
		}
	})
	o, err := pc.CreateOffer(nil)
	if err != nil {
		c.Fatal(err)
	}
	whole := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(o); err != nil {
		c.Fatal(err)
	}
	<-whole
	res := c.do("POST", "/view/"+name+"?who=test", "application/sdp", strings.NewReader(pc.LocalDescription().SDP), nil)
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(res.Body); err != nil || res.StatusCode != 201 {
		c.Fatal(res.StatusCode, answer.String(), err)
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer.String()}); err != nil {
		c.Fatal(err)
	}
}

// upperOf waits until devices can sign in, and says where.
func (c *child) upperOf() netip.AddrPort {
	c.Helper()
	for c.Context().Err() == nil {
		c.relay.mu.Lock()
		u := c.relay.upper
		c.relay.mu.Unlock()
		if u != nil && u.Address().IsValid() {
			return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), u.Address().Port())
		}
		time.Sleep(time.Millisecond)
	}
	c.Fatal("nobody listens")
	return netip.AddrPort{}
}

func TestADroneThatSignsInIsWatchedInABrowser(t *testing.T) {
	for _, tc := range []struct {
		name, sip, listen string
		tcp               bool
	}{{"datagrams", "UDP", "127.0.0.1:0", false}, {"datagrams at any address", "UDP", "0.0.0.0:0", false}, {"TCP at any address", "TCP", "0.0.0.0:0", true}} {
		t.Run(tc.name, func(t *testing.T) {
			c := runWith(t, terms.Plan{
				Streams: []terms.Source{{Name: "drone", Password: "Dr-0ne", Device: &terms.Device{ID: deviceCode, TCP: tc.tcp}}, {Name: "yard", Key: "k"}},
				Upper:   &terms.Upper{ID: upperCode, Listen: netip.MustParseAddrPort(tc.listen)},
			}, soon)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			film := valley(t)
			d, err := platform.Launch(ctx, platform.Flight{Device: deviceCode, Channel: channelCode, Upper: upperCode, At: c.upperOf(), SIP: tc.sip, Pictures: film, Every: 10 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if code, err := d.Register("wrong", 3600); code != 403 {
				t.Errorf("a wrong password: %d %v", code, err)
			}
			s := c.until("told who knocks", func(s terms.State) bool {
				return s.Streams[0].Why != nil && s.Streams[0].Why.Code == "gb28181_in.wrong_password"
			})
			if s.Streams[0].Device == nil || s.Streams[0].Device.Online || s.Streams[1].Device != nil {
				t.Errorf("%+v", s.Streams)
			}
			if code, err := d.Register("Dr-0ne", 3600); code != 200 {
				t.Fatal(code, err)
			}
			s = c.until("pictures come", func(s terms.State) bool { return s.Streams[0].Codec == "H.264" })
			if v := s.Streams[0]; !strings.HasPrefix(v.From, "gb28181 127.0.0.1") || !v.Device.Online || v.Why != nil {
				t.Errorf("%+v", v)
			}
			known := map[string]bool{}
			for _, p := range film {
				known[string(p[len(p)-1])] = true
			}
			seen := make(chan bool, 1000)
			c.watch("drone", func(b []byte) {
				for _, n := range ps.Split(b) {
					if n[0]&31 == 1 || n[0]&31 == 5 {
						select {
						case seen <- known[string(n)]:
						default:
						}
					}
				}
			})
			for n := range 30 {
				select {
				case ours := <-seen:
					if !ours {
						t.Fatalf("picture %d is not one that was sent", n)
					}
				case <-time.After(time.Minute):
					t.Fatalf("%d pictures were seen", n)
				}
			}
			if code, err := d.Register("Dr-0ne", 0); code != 200 {
				t.Error(code, err)
			}
			c.until("gone", func(s terms.State) bool {
				v := s.Streams[0]
				return v.From == "" && v.Why != nil && v.Why.Code == "gb28181_in.left"
			})
		})
	}
}

func asker(way, name, key string) source.Asker {
	return source.Asker{Way: way, Stream: name, Key: key, Remote: netip.MustParseAddrPort("192.0.2.1:1")}
}

func TestADevicesPasswordPublishesByNoOtherWay(t *testing.T) {
	c := run(t, terms.Plan{Streams: []terms.Source{{Name: "drone", Password: "Dr-0ne", Device: &terms.Device{ID: deviceCode}}, {Name: "dam", Password: "cam", Pull: nil, Key: "k"}}})
	for _, x := range []struct{ way, name, key string }{{"rtmp", "drone", "Dr-0ne"}, {"whip", "drone", ""}, {"gb28181", "drone", "k"}, {"gb28181", "dam", "cam"}} {
		if w, err := c.relay.desk.Publish(asker(x.way, x.name, x.key)); err == nil {
			w.Close(nil)
			t.Errorf("%+v publishes", x)
		}
	}
	w, err := c.relay.desk.Publish(asker("gb28181", "drone", "Dr-0ne"))
	if err != nil {
		t.Fatal(err)
	}
	w.Close(nil)
}
