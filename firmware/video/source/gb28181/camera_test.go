package gb28181

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/gb28181/ps"
	"tocsin/firmware/video/source"
	"tocsin/firmware/video/stream"
	"tocsin/hwtest/platform"
)

const (
	boxID     = "34020000002000000001"
	deviceID  = "34020000001110000001"
	channelID = "34020000001310000001"
)

// drone is a device of another maker, as the bench has it.
type drone struct {
	*platform.Drone
	t   *testing.T
	ctx context.Context
}

func launch(t *testing.T, ctx context.Context, box netip.AddrPort, sipBy string, codec stream.Codec, change ...func(*platform.Flight)) *drone {
	t.Helper()
	f := platform.Flight{Device: deviceID, Channel: channelID, Upper: boxID, At: box, SIP: sipBy, H265: codec == stream.H265, Pictures: clip(t, codec), Every: 2 * time.Millisecond}
	for _, c := range change {
		c(&f)
	}
	d, err := platform.Launch(ctx, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return &drone{d, t, ctx}
}

// register gives the code of the last answer.
func (d *drone) register(password string, expires int) int {
	d.t.Helper()
	code, err := d.Register(password, expires)
	if err != nil {
		d.t.Fatal(err)
	}
	return code
}

func (d *drone) message(body string) int {
	d.t.Helper()
	code, err := d.Message(body)
	if err != nil {
		d.t.Error(err)
	}
	return code
}

func (d *drone) await(what string) {
	d.t.Helper()
	if err := d.Await(d.ctx, what); err != nil {
		d.t.Fatal(err)
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
	d := launch(t, b.ctx, b.s.Address(), "UDP", stream.H264, func(f *platform.Flight) { f.Mute = true })
	if code := d.register("Xq-71", 3600); code != 200 {
		t.Fatal(code)
	}
	d.await("invite")
	d.await("bye") // it sent nothing
	d.Speak()
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
	d := launch(t, b.ctx, b.s.Address(), "UDP", stream.H264, func(f *platform.Flight) { f.Lose = 17 })
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
