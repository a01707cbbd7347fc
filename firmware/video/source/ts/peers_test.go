//go:build peers

package ts

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tocsin/firmware/video/stream"
)

func must(t *testing.T, name string, arg ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not here: %v", name, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, path, arg...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func clip(t *testing.T, file string, arg ...string) string {
	t.Helper()
	file = filepath.Join(t.TempDir(), file)
	must(t, "ffmpeg", slices.Concat([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc=size=640x480:rate=25", "-f", "lavfi", "-i", "sine=frequency=800", "-t", "2", "-pix_fmt", "yuv420p"}, arg, []string{file})...)
	return file
}

func slicesOf(c stream.Codec, nals [][]byte) (all [][]byte) {
	for _, n := range nals {
		k := n[0] & 0x1f
		if c == stream.H265 && n[0]>>1&0x3f < 32 || c == stream.H264 && (k == 1 || k == 5) {
			all = append(all, bytes.TrimRight(n, "\x00"))
		}
	}
	return all
}

// same holds that every slice of a raw file came, but for so many at its end, in order, and that the times are those of 25 pictures a second.
func same(t *testing.T, c stream.Codec, raw string, us []*stream.Unit, less int) {
	t.Helper()
	b, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	want := slicesOf(c, split(b))
	var got [][]byte
	var times []int64
	for _, u := range us {
		if u.Codec == c {
			got = append(got, slicesOf(c, u.NALs)...)
			times = append(times, u.Time)
		}
	}
	want = want[:len(want)-less]
	if len(want) < 49 || len(got) != len(want) {
		t.Fatalf("%d slices came of %d", len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(want[i], got[i]) {
			t.Fatalf("slice %d is not what was sent", i)
		}
	}
	slices.Sort(times)
	for i := 1; i < len(times); i++ {
		if times[i]-times[i-1] != 3600 {
			t.Fatalf("picture %d is shown %d ticks after the one before", i, times[i]-times[i-1])
		}
	}
}

var coders = map[string]struct {
	codec stream.Codec
	arg   []string
}{
	"H.264, AAC":      {stream.H264, []string{"-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-bf", "0", "-c:a", "aac"}},
	"H.264, B-frames": {stream.H264, []string{"-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-bf", "2", "-an"}},
	"H.265, Opus":     {stream.H265, []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=25:bframes=0:log-level=none", "-c:a", "libopus"}},
}

// What ffmpeg and gstreamer put into a file is what comes out.
func TestPeerMuxersAreUnderstood(t *testing.T) {
	for name, c := range coders {
		t.Run(name, func(t *testing.T) {
			file := clip(t, "clip.ts", c.arg...)
			raw := file + map[stream.Codec]string{stream.H264: ".h264", stream.H265: ".hevc"}[c.codec]
			must(t, "ffmpeg", "-v", "error", "-i", file, "-an", "-c", "copy", raw)
			gst := file + ".gst.ts"
			parse := map[stream.Codec]string{stream.H264: "h264parse", stream.H265: "h265parse"}[c.codec]
			must(t, "gst-launch-1.0", "-q", "filesrc", "location="+file, "!", "tsdemux", "!", parse, "!", "mpegtsmux", "!", "filesink", "location="+gst)
			for _, f := range []string{file, gst} {
				b, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				s := newSink(t)
				s.packets(b)
				s.d.Flush()
				us := s.came()
				if s.d.Lost() != 0 {
					t.Errorf("%s: %d lost, padding in the picture %v", filepath.Base(f), s.d.Lost(), s.d.video.noHint)
				}
				same(t, c.codec, raw, us, 0)
				sounds := 0
				for _, u := range us {
					if u.Codec == stream.Opus {
						sounds++
					}
				}
				if want := 100; f == file && name == "H.265, Opus" && (sounds < want || sounds > want+3) {
					t.Errorf("%d packets of Opus in two seconds", sounds)
				}
			}
		})
	}
}

// In RTP ffmpeg keeps the last picture to itself.
func TestPeerFFmpegSendsByUDP(t *testing.T) {
	for name, url := range map[string]string{"bare": "udp://%s?pkt_size=1316", "RTP": "rtp://%s"} {
		t.Run(name, func(t *testing.T) {
			d := newDesk()
			to, end := port(t, Opts{Stream: "drone", From: netip.MustParsePrefix("127.0.0.0/8"), Desk: d})
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
			file := clip(t, "clip.ts", coders["H.264, AAC"].arg...)
			must(t, "ffmpeg", "-v", "error", "-i", file, "-an", "-c", "copy", file+".h264")
			format := map[string]string{"bare": "mpegts", "RTP": "rtp_mpegts"}[name]
			must(t, "ffmpeg", "-v", "error", "-re", "-i", file, "-c", "copy", "-f", format, fmt.Sprintf(url, to))
			for i := 0; d.s.State().Last == 0 && i < 100; i++ {
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(200 * time.Millisecond) // what is in the socket yet
			end()
			d.s.End()
			same(t, stream.H264, file+".h264", <-came, map[string]int{"bare": 0, "RTP": 1}[name])
		})
	}
}
