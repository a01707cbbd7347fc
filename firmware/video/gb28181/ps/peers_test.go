//go:build peers

package ps

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/firmware/video/stream"
)

// coded lets ffmpeg code fifty pictures and gives them one by one: ffmpeg ends each
// with a delimiter of its own.
func coded(t *testing.T, codec string) []byte {
	t.Helper()
	args := []string{"-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=2", "-pix_fmt", "yuv420p", "-g", "10", "-bf", "0"}
	if codec == "h264" {
		args = append(args, "-c:v", "libx264", "-x264-params", "aud=1:scenecut=0", "-f", "h264", "-")
	} else {
		args = append(args, "-c:v", "libx265", "-x265-params", "aud=1:scenecut=0:bframes=0:log-level=error", "-f", "hevc", "-")
	}
	out, err := exec.Command("ffmpeg", args...).Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v", err)
	}
	return out
}

func pictureUnits(b []byte, c stream.Codec) (out []*stream.Unit) {
	for _, n := range Split(b) {
		if delimiter(c, n) {
			at := int64(len(out)) * 3600
			out = append(out, &stream.Unit{Codec: c, Time: at, Decode: at})
			continue
		}
		u := out[len(out)-1]
		u.NALs = append(u.NALs, n)
		u.Key = u.Key || c == stream.H264 && n[0]&0x1F == 5 || c == stream.H265 && n[0]>>1&0x3F >= 16 && n[0]>>1&0x3F <= 21
	}
	return out
}

// TestFFmpegDecodesWhatWePack: every picture, without one complaint.
func TestFFmpegDecodesWhatWePack(t *testing.T) {
	for name, c := range map[string]stream.Codec{"h264": stream.H264, "hevc": stream.H265} {
		t.Run(name, func(t *testing.T) {
			units := pictureUnits(coded(t, name), c)
			var m Muxer
			var b []byte
			for _, u := range units { // without sound: ffmpeg knows no G.711 in program streams
				b = m.Append(b, u)
			}
			file := filepath.Join(t.TempDir(), "ours.mpg")
			if err := os.WriteFile(file, b, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=codec_name,nb_read_frames,width", "-of", "csv=p=0", file).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if !strings.Contains(string(out), name+",320,50") {
				t.Errorf("ffprobe saw: %s", out)
			}
			out, err = exec.Command("ffmpeg", "-v", "error", "-i", file, "-map", "0:v", "-f", "null", "-").CombinedOutput()
			if err != nil || len(out) > 0 {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
