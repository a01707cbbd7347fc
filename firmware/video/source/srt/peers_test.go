//go:build peers

package srt

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/video/stream"
)

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

// slicesOf cuts a raw file of an encoder into its slices, or takes them of NAL units.
func slicesOf(c stream.Codec, nals [][]byte) (all [][]byte) {
	for _, n := range nals {
		n = bytes.TrimRight(n, "\x00")
		if len(n) == 0 {
			continue
		}
		k := n[0] & 0x1f
		if c == stream.H265 && n[0]>>1&0x3f < 32 || c == stream.H264 && (k == 1 || k == 5) {
			all = append(all, n)
		}
	}
	return all
}

func TestPeersPublishBothCodecs(t *testing.T) {
	for name, c := range map[string]struct {
		codec      stream.Codec
		coder      []string
		passphrase string
		gst        bool
	}{
		"ffmpeg, H.264":             {stream.H264, []string{"-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-bf", "2", "-c:a", "aac"}, "", false},
		"ffmpeg, H.265, passphrase": {stream.H265, []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=25:bframes=0:log-level=none", "-c:a", "aac"}, "0123456789ab", false},
		"gstreamer, H.264":          {stream.H264, []string{"-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-bf", "0", "-an"}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk()
			addr, end := serve(t, Opts{Desk: d, Passphrase: c.passphrase, Latency: 1500 * time.Millisecond})
			r := d.s.Reader(stream.ReaderOpts{Live: true})
			came := make(chan []*stream.Unit, 1)
			go func() {
				var us []*stream.Unit
				for {
					u, err := r.Next(context.Background())
					if err != nil {
						came <- us
						return
					}
					us = append(us, u)
				}
			}()
			file := filepath.Join(t.TempDir(), "clip.ts")
			must(t, "ffmpeg", slices.Concat([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25", "-f", "lavfi", "-i", "sine", "-t", "5", "-pix_fmt", "yuv420p"}, c.coder, []string{file})...)
			raw := file + map[stream.Codec]string{stream.H264: ".h264", stream.H265: ".hevc"}[c.codec]
			must(t, "ffmpeg", "-v", "error", "-i", file, "-an", "-c", "copy", raw)
			_, port, _ := net.SplitHostPort(addr)
			if c.gst {
				must(t, "gst-launch-1.0", "-q", "filesrc", "location="+file, "!", "tsdemux", "!", "h264parse", "!", "mpegtsmux", "alignment=7", "!",
					"srtsink", "sync=true", "wait-for-connection=true", "uri=srt://127.0.0.1:"+port+"?mode=caller&streamid=publish:drone:geheim")
			} else {
				url := "srt://127.0.0.1:" + port + "?mode=caller&pkt_size=1316&streamid=publish:drone:geheim"
				if c.passphrase != "" {
					url = "srt://127.0.0.1:" + port + "?mode=caller&pkt_size=1316&passphrase=" + c.passphrase + "&streamid=%23!::r=drone,m=publish,s=geheim"
				}
				must(t, "ffmpeg", "-v", "error", "-re", "-i", file, "-c", "copy", "-f", "mpegts", url)
			}
			for begun := time.Now(); d.s.State().From != "" && time.Since(begun) < 20*time.Second; {
				time.Sleep(10 * time.Millisecond)
			}
			end()
			d.s.End()
			b, err := os.ReadFile(raw)
			if err != nil {
				t.Fatal(err)
			}
			want := slicesOf(c.codec, bytes.Split(b, []byte{0, 0, 1}))
			var got [][]byte
			for _, u := range <-came {
				got = append(got, slicesOf(c.codec, u.NALs)...)
			}
			// A caller that ends takes what is under way with it: SRT has no last word.
			n := len(want) - 60 // 2.4 s, with a latency of 1.5 s
			if len(want) < 125 || len(got) < n || len(got) > len(want) {
				t.Fatalf("%d slices came of %d", len(got), len(want))
			}
			for i := range n {
				if !bytes.Equal(want[i], got[i]) {
					t.Fatalf("slice %d is not what was sent", i)
				}
			}
			t.Logf("%d slices came of %d", len(got), len(want))
		})
	}
}

func TestPeerFFmpegIsRefusedWithAWrongKey(t *testing.T) {
	d := newDesk()
	addr, end := serve(t, Opts{Desk: d})
	defer end()
	out, err := run(t, "ffmpeg", "-v", "info", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=5", "-t", "1", "-c:v", "libx264", "-f", "mpegts", "srt://"+addr+"?mode=caller&streamid=publish:drone:falsch")
	if err == nil || !strings.Contains(out, "srt") {
		t.Fatalf("%v\n%s", err, out)
	}
}
