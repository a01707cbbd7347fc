//go:build peers

package rtmp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yapingcat/gomedia/go-codec"
	gomedia "github.com/yapingcat/gomedia/go-rtmp"

	"tocsin/firmware/video/stream"
)

// A shore is a server on a real port, and what its stream gave.
type shore struct {
	t    *testing.T
	d    *desk
	addr string
	came chan []*stream.Unit
	got  atomic.Int64 // units
	end  func() []*stream.Unit
}

func newShore(t *testing.T) *shore {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &shore{t: t, d: newDesk(), addr: l.Addr().String(), came: make(chan []*stream.Unit, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	server := New(Opts{Desk: s.d, Log: slog.New(slog.DiscardHandler), Go: func(_ string, run func(context.Context) error) { go run(ctx) }})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, l) }()
	r := s.d.s.Reader(stream.ReaderOpts{Name: "test", Live: true, Sound: true})
	go func() {
		var us []*stream.Unit
		for {
			u, err := r.Next(context.Background())
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Error(err)
				}
				s.came <- us
				return
			}
			us = append(us, u)
			s.got.Add(1)
		}
	}()
	s.end = func() []*stream.Unit {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		s.d.s.End()
		return <-s.came
	}
	return s
}

// run runs a peer to its end and gives what it said.
func run(t *testing.T, name string, arg ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not here: %v", name, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, arg...).CombinedOutput()
	return string(out), err
}

func must(t *testing.T, name string, arg ...string) {
	t.Helper()
	if out, err := run(t, name, arg...); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// clip makes two seconds of pictures by an encoder of ffmpeg.
func clip(t *testing.T, format string, arg ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "clip."+format)
	must(t, "ffmpeg", slices.Concat([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25", "-f", "lavfi", "-i", "sine=frequency=800:sample_rate=8000", "-t", "2"}, arg, []string{file})...)
	return file
}

// slices of a raw file: what must arrive byte by byte.
func pictures(c stream.Codec, file string) [][]byte {
	b, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	var all [][]byte
	for _, n := range bytes.Split(b, []byte{0, 0, 1}) {
		n = bytes.TrimRight(n, "\x00")
		if len(n) > 0 && isSlice(c, n) {
			all = append(all, n)
		}
	}
	return all
}

func isSlice(c stream.Codec, n []byte) bool {
	if c == stream.H265 {
		return n[0]>>1&0x3f < 32
	}
	return n[0]&0x1f == 1 || n[0]&0x1f == 5
}

// same holds that all slices of a file arrived, in order, and gives the times shown.
func same(t *testing.T, c stream.Codec, file string, us []*stream.Unit) (times []int64) {
	t.Helper()
	var got [][]byte
	for _, u := range us {
		if u.Codec != c {
			continue
		}
		times = append(times, u.Time)
		for _, n := range u.NALs {
			if isSlice(c, n) {
				got = append(got, bytes.TrimRight(n, "\x00"))
			}
		}
	}
	want := pictures(c, file)
	if len(want) < 40 || len(got) != len(want) {
		t.Fatalf("%d slices came of %d", len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("slice %d is not what was sent", i)
		}
	}
	return times
}

func TestPeerFFmpegPublishesH264(t *testing.T) {
	for name, c := range map[string]struct {
		url   string
		law   bool
		coder []string
	}{
		"AAC beside":            {"/live/drone?key=geheim", false, []string{"-bf", "0", "-c:a", "aac", "-ar", "44100"}},
		"B-frames":              {"/live/drone/geheim", false, []string{"-bf", "2", "-c:a", "aac", "-ar", "44100"}},
		"A-law, key in the app": {"/live?key=geheim/drone", true, []string{"-bf", "0", "-c:a", "pcm_alaw", "-ac", "1"}},
		"µ-law":                 {"/live/drone?key=geheim", true, []string{"-bf", "0", "-c:a", "pcm_mulaw", "-ac", "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShore(t)
			file := clip(t, "flv", slices.Concat([]string{"-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-pix_fmt", "yuv420p"}, c.coder)...)
			raw := file + ".h264"
			must(t, "ffmpeg", "-v", "error", "-i", file, "-an", "-c", "copy", raw)
			must(t, "ffmpeg", "-v", "error", "-re", "-i", file, "-c", "copy", "-f", "flv", "rtmp://"+s.addr+c.url)
			us := s.end()
			times := same(t, stream.H264, raw, us)
			slices.Sort(times)
			for i := 1; i < len(times); i++ {
				if d := times[i] - times[i-1]; d < 39*90 || d > 41*90 {
					t.Fatalf("picture %d is shown %d ticks after the one before", i, d)
				}
			}
			sounds := 0
			for _, u := range us {
				if !u.Codec.Picture() {
					sounds += len(u.Sound)
				}
			}
			if c.law != (sounds > 14_000) || sounds > 17_000 {
				t.Fatalf("%d bytes of sound in two seconds", sounds)
			}
		})
	}
}

func TestPeerFFmpegIsToldThatItsKeyIsWrong(t *testing.T) {
	s := newShore(t)
	file := clip(t, "flv", "-c:v", "libx264", "-preset", "ultrafast", "-an")
	if out, err := run(t, "ffmpeg", "-v", "info", "-i", file, "-c", "copy", "-f", "flv", "rtmp://"+s.addr+"/live/drone?key=falsch"); err == nil {
		t.Fatalf("it published\n%s", out)
	}
	if us := s.end(); len(us) != 0 {
		t.Fatalf("%d units came", len(us))
	}
}

// gomedia publishes H.265 by code 12, with a signed handshake.
func TestPeerGomediaPublishesH265ByCode12(t *testing.T) {
	s := newShore(t)
	raw := clip(t, "hevc", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=25:bframes=0:log-level=none", "-an", "-f", "hevc")
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cli := gomedia.NewRtmpClient(gomedia.WithComplexHandshake(), gomedia.WithComplexHandshakeSchema(gomedia.HANDSHAKE_COMPLEX_SCHEMA0), gomedia.WithEnablePublish())
	ready := false
	cli.SetOutput(func(b []byte) error { _, err := c.Write(b); return err })
	cli.OnStateChange(func(n gomedia.RtmpState) { ready = ready || n == gomedia.STATE_RTMP_PUBLISH_START })
	cli.Start("rtmp://" + s.addr + "/live/drone?key=geheim")
	buf := make([]byte, 4096)
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	for !ready {
		n, err := c.Read(buf)
		if err == nil {
			err = cli.Input(buf[:n])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b, _ := os.ReadFile(raw)
	at := uint32(0)
	codec.SplitFrame(b, func(nal []byte) bool {
		if err := cli.WriteVideo(codec.CODECID_VIDEO_H265, append([]byte{0, 0, 0, 1}, nal...), at, at); err != nil {
			t.Fatal(err)
		}
		if isSlice(stream.H265, nal) {
			at += 40
			for begun := time.Now(); s.got.Load() < int64(at/40)-5 && time.Since(begun) < 20*time.Second; {
				time.Sleep(time.Millisecond) // a reader that is a whole group behind loses it
			}
		}
		return true
	})
	c.Close()
	for s.d.s.State().From != "" {
		time.Sleep(10 * time.Millisecond)
	}
	same(t, stream.H265, raw, s.end())
}

// gstreamer publishes what ffmpeg encoded.
func TestPeerGStreamerPublishesH264(t *testing.T) {
	s := newShore(t)
	file := clip(t, "flv", "-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-bf", "0", "-pix_fmt", "yuv420p", "-an")
	raw := file + ".h264"
	must(t, "ffmpeg", "-v", "error", "-i", file, "-an", "-c", "copy", raw)
	must(t, "gst-launch-1.0", "-q", "filesrc", "location="+file, "!", "flvdemux", "!", "h264parse", "!", "flvmux", "streamable=true", "!",
		"rtmp2sink", "sync=true", "location=rtmp://"+s.addr+"/live/drone?key=geheim")
	same(t, stream.H264, raw, s.end())
}

// lal builds the module's own tool outside of this one, as it is no dependency of ours.
func lal(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module peer\n\ngo 1.26.0\n\nrequire github.com/q191201771/lal v0.37.4\n",
		"peer.go": "package peer\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("go", "build", "-mod=mod", "-o", "pushrtmp", "github.com/q191201771/lal/app/demo/pushrtmp")
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Skipf("lal cannot be had here: %v\n%s", err, out)
	}
	return filepath.Join(dir, "pushrtmp")
}

// flv writes a file of the tags of Enhanced RTMP from a raw one of x265.
func flv(t *testing.T, raw string) string {
	t.Helper()
	b, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	out := []byte("FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00")
	tag := func(at uint32, body []byte) {
		out = append(append24(append(out, kindVideo), uint32(len(body))), byte(at>>16), byte(at>>8), byte(at), byte(at>>24), 0, 0, 0)
		out = append(out, body...)
		out = append(out, 0, byte((len(body)+11)>>16), byte((len(body)+11)>>8), byte(len(body)+11))
	}
	var sets [][]byte
	at := uint32(0)
	codec.SplitFrame(b, func(n []byte) bool {
		n = bytes.TrimRight(n, "\x00")
		switch k := n[0] >> 1 & 0x3f; {
		case k >= 32 && k <= 34:
			sets = append(sets, n)
		case k < 32:
			frame := byte(2)
			if k >= 16 {
				frame = 1
				tag(at, enhanced(1, packetStart, "hvc1", hvcC(4, sets...)))
				sets = nil
			}
			tag(at, enhanced(frame, packetFramesX, "hvc1", lengths(4, n)))
			at += 40
		}
		return true
	})
	file := raw + ".flv"
	if err := os.WriteFile(file, out, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPeerLalPublishesBothCodecs(t *testing.T) {
	push := lal(t)
	for _, c := range []stream.Codec{stream.H264, stream.H265} {
		t.Run(c.String(), func(t *testing.T) {
			s := newShore(t)
			var file, raw string
			if c == stream.H264 {
				file = clip(t, "flv", "-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ar", "44100")
				raw = file + ".h264"
				must(t, "ffmpeg", "-v", "error", "-i", file, "-an", "-c", "copy", raw)
			} else {
				raw = clip(t, "hevc", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=25:bframes=0:log-level=none", "-an", "-f", "hevc")
				file = flv(t, raw)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
			defer cancel()
			// Over and over, as it keeps the last few tags to itself until more come.
			p := exec.CommandContext(ctx, push, "-r", "-i", file, "-o", "rtmp://"+s.addr+"/live/drone?key=geheim")
			p.Dir = t.TempDir()
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			r := s.d.s.Reader(stream.ReaderOpts{Name: "count", Live: true})
			for n, want := 0, len(pictures(c, raw)); n < want; n++ {
				if _, err := r.Next(ctx); err != nil {
					t.Fatalf("%d of %d pictures came: %v", n, want, err)
				}
			}
			cancel()
			p.Wait()
			us := s.end()
			n := 0
			us = slices.DeleteFunc(us, func(u *stream.Unit) bool { n++; return n > len(pictures(c, raw)) })
			same(t, c, raw, us)
		})
	}
}
