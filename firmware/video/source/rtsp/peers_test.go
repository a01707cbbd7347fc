//go:build peers

package rtsp

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/video/stream"
	"tocsin/hwtest/camera"
)

// run starts a peer that ends with the test; what it says is told where the test fails.
func (b *bench) run(name string, arg ...string) *exec.Cmd {
	b.Helper()
	c := exec.Command(name, arg...)
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		b.Fatalf("%s (make peers installs it): %v", name, err)
	}
	b.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
		if b.Failed() {
			b.Logf("%s said:\n%s", name, said.Bytes())
		}
	})
	return c
}

// ffmpeg pushes a test picture of 320×180.
func (b *bench) ffmpeg(transport string, arg ...string) {
	b.Helper()
	b.run("ffmpeg", slices.Concat([]string{"-hide_banner", "-loglevel", "warning", "-nostdin", "-re", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25", "-f", "lavfi", "-i", "sine=r=8000"},
		arg, []string{"-f", "rtsp", "-rtsp_transport", transport, "rtsp://drone:push-key@" + b.addr + "/mast"})...)
}

// see reads a stream by ffmpeg, decodes so many pictures, and gives what it complained
// about.
func (b *bench) see(transport string, pictures int) string {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 60*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, "ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-rtsp_transport", transport, "-i", "rtsp://a:view-key@"+b.addr+"/mast",
		"-map", "0:v", "-frames:v", fmt.Sprint(pictures), "-f", "framemd5", "-")
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		b.Fatalf("ffmpeg sees nothing: %v\n%s", err, said.Bytes())
	}
	if n := strings.Count(string(out), "\n0,"); n < pictures {
		b.Errorf("%d pictures of %d were decoded:\n%s", n, pictures, said.Bytes())
	}
	return said.String()
}

func TestFFmpegPushesAndSees(t *testing.T) {
	h264 := []string{"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p"}
	h265 := []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=25:log-level=none", "-pix_fmt", "yuv420p"}
	for name, c := range map[string]struct {
		transport string
		arg       []string
		codec     stream.Codec
		sound     stream.Codec
		note      stream.Note
	}{
		"H.264 by TCP":                  {"tcp", slices.Concat(h264, []string{"-an"}), stream.H264, stream.None, ""},
		"H.264 by UDP":                  {"udp", slices.Concat(h264, []string{"-an"}), stream.H264, stream.None, ""},
		"H.265 by TCP":                  {"tcp", slices.Concat(h265, []string{"-bf", "0", "-an"}), stream.H265, stream.None, ""},
		"H.265 by UDP":                  {"udp", slices.Concat(h265, []string{"-bf", "0", "-an"}), stream.H265, stream.None, ""},
		"H.264 with B-frames":           {"tcp", slices.Concat(h264, []string{"-bf", "2", "-an"}), stream.H264, stream.None, stream.Reordered},
		"H.264 with G.711":              {"tcp", slices.Concat(h264, []string{"-c:a", "pcm_alaw"}), stream.H264, stream.PCMA, ""},
		"H.264 with G.711 by UDP":       {"udp", slices.Concat(h264, []string{"-c:a", "pcm_mulaw"}), stream.H264, stream.PCMU, ""},
		"H.264 with Opus":               {"tcp", slices.Concat(h264, []string{"-c:a", "libopus", "-ar", "48000"}), stream.H264, stream.Opus, ""},
		"H.264 with AAC, which is lost": {"tcp", slices.Concat(h264, []string{"-c:a", "aac"}), stream.H264, stream.None, stream.AACDropped},
	} {
		t.Run(name, func(t *testing.T) {
			b := serve(t, nil)
			b.ffmpeg(c.transport, c.arg...)
			b.until("pictures and sound", func() bool {
				st := b.desk.s.State()
				return st.Picture.Codec == c.codec && st.KeyEvery > 0 && st.Sound == c.sound
			})
			for _, transport := range []string{"tcp", "udp"} {
				if said := b.see(transport, 60); said != "" {
					t.Errorf("by %s ffmpeg complained:\n%s", transport, said)
				}
			}
			out, err := exec.CommandContext(b.ctx, "ffprobe", "-v", "error", "-rtsp_transport", "tcp", "-show_entries", "stream=codec_name,width,height", "-of", "csv", "rtsp://"+b.addr+"/mast?key=view-key").CombinedOutput()
			want := map[stream.Codec]string{stream.H264: "h264", stream.H265: "hevc"}[c.codec] + ",320,180"
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("ffprobe: %v\n%s", err, out)
			}
			if c.sound != stream.None {
				want := map[stream.Codec]string{stream.PCMA: "pcm_alaw", stream.PCMU: "pcm_mulaw", stream.Opus: "opus"}[c.sound]
				if !strings.Contains(string(out), want) {
					t.Errorf("ffprobe finds no %s:\n%s", want, out)
				}
			}
			st := b.desk.s.State()
			if c.note != "" && !slices.Contains(st.Notes, c.note) || c.note == "" && len(st.Notes) != 0 {
				t.Errorf("notes %v", st.Notes)
			}
		})
	}
}

func TestGStreamerPushesAndSees(t *testing.T) {
	for name, c := range map[string]struct{ protocols, sound string }{
		"by TCP":            {"tcp", ""},
		"by UDP":            {"udp", ""},
		"by TCP with G.711": {"tcp", " audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! alawenc ! s."},
	} {
		t.Run(name, func(t *testing.T) {
			b := serve(t, nil)
			line := "rtspclientsink name=s protocols=" + c.protocols + " location=rtsp://" + b.addr + "/mast?key=push-key" +
				" videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=25/1 ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! s." + c.sound
			b.run("gst-launch-1.0", strings.Fields(line)...)
			b.until("pictures and sound", func() bool {
				st := b.desk.s.State()
				return st.KeyEvery > 0 && (st.Sound == stream.PCMA) == (c.sound != "")
			})
			if said := b.see("tcp", 30); said != "" {
				t.Errorf("ffmpeg complained:\n%s", said)
			}
			// rtspsrc asks with digest, and by UDP first.
			ctx, cancel := context.WithTimeout(b.ctx, 60*time.Second)
			defer cancel()
			out, err := exec.CommandContext(ctx, "gst-launch-1.0", "-q", "rtspsrc", "location=rtsp://"+b.addr+"/mast", "user-id=a", "user-pw=view-key", "!", "rtph264depay", "!", "h264parse", "!", "fakesink", "num-buffers=30").CombinedOutput()
			if err != nil {
				t.Errorf("gstreamer sees nothing: %v\n%s", err, out)
			}
		})
	}
}

// gstCamera is gst-rtsp-server with a main and a sub stream.
const gstCamera = `
import gi, sys
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer, GLib
Gst.init(None)
s = GstRtspServer.RTSPServer(); s.set_address("127.0.0.1"); s.set_service("0")
for name, size in (("main", "width=640,height=360"), ("sub", "width=320,height=180")):
    f = GstRtspServer.RTSPMediaFactory()
    f.set_launch("( videotestsrc is-live=true ! video/x-raw,%s,framerate=25/1 ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! rtph264pay name=pay0 pt=96 audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1 pt=8 )" % size)
    f.set_shared(True)
    s.get_mount_points().add_factory("/" + name, f)
s.attach(None)
print(s.get_bound_port(), flush=True)
GLib.MainLoop().run()
`

func TestARealServerIsWatchedAndItsLowerStreamTaken(t *testing.T) {
	for name, udp := range map[string]bool{"by TCP": false, "by UDP": true} {
		t.Run(name, func(t *testing.T) {
			c := exec.Command("/usr/bin/python3", "-c", gstCamera)
			out, err := c.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatalf("python3 (make peers installs it): %v", err)
			}
			t.Cleanup(func() { c.Process.Kill(); c.Wait() })
			var port int
			if _, err := fmt.Fscan(out, &port); err != nil {
				t.Fatalf("gst-rtsp-server (make peers installs it): %v", err)
			}
			url := func(name string) string { return fmt.Sprintf("rtsp://127.0.0.1:%d/%s", port, name) }
			w := pull(t, camera.Opts{}, func(o *PullOpts) { o.URLs, o.UDP = []string{url("main"), url("sub")}, udp })
			w.until("pictures and sound", func() bool {
				st := w.s.State()
				return st.Picture.Width == 640 && st.KeyEvery > 0 && st.Sound == stream.PCMA
			})
			r := w.s.Reader(stream.ReaderOpts{})
			defer r.Close()
			w.s.AskRung(1)
			last, longest := time.Duration(0), time.Duration(0)
			for after := 0; after < 25; {
				if w.p.State().Switched == 1 && w.s.State().Picture.Width == 320 {
					after++
				}
				u, err := r.Next(w.ctx)
				if err != nil {
					t.Fatal(err)
				}
				if last > 0 {
					longest = max(longest, u.Arrived-last)
				}
				last = u.Arrived
			}
			if r.Skipped() > 0 {
				t.Errorf("%d pictures were skipped", r.Skipped())
			}
			t.Logf("the longest time without a picture while changing: %v", longest)
			if st := w.p.State(); st.Rung != 1 || !st.Playing || w.s.State().From == "" {
				t.Errorf("%+v", st)
			}
		})
	}
}
