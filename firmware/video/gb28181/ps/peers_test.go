//go:build peers

package ps

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// reader is a program with lal's reader of program streams, built outside of this
// module, as lal is no dependency of ours.
const reader = `package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"github.com/q191201771/lal/pkg/base"
	"github.com/q191201771/lal/pkg/gb28181"
	"github.com/q191201771/naza/pkg/nazalog"
)

func main() {
	_ = nazalog.Init(func(o *nazalog.Option) { o.Level = nazalog.LevelFatal; o.IsToStdout = false })
	u := gb28181.NewPsUnpacker().WithOnAvPacket(func(p *base.AvPacket) {
		fmt.Printf("%v %d %x\n", p.PayloadType, p.Pts, bytes.TrimLeft(p.Payload, "\x00"))
	})
	r := bufio.NewReader(os.Stdin)
	for {
		var n [2]byte
		if _, err := io.ReadFull(r, n[:]); err != nil {
			return
		}
		b := make([]byte, binary.BigEndian.Uint16(n[:]))
		if _, err := io.ReadFull(r, b); err != nil {
			return
		}
		if err := u.FeedRtpPacket(b); err != nil {
			fmt.Println("refused:", err)
		}
	}
}
`

// TestLalReadsOurPackets: the media server lal takes the RTP packets, in their framing of
// TCP, and finds every NAL unit at its time.
func TestLalReadsOurPackets(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module peer\n\ngo 1.26.0\n\nrequire github.com/q191201771/lal v0.37.4\n",
		"main.go": reader,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-mod=mod", "-o", "reader", ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("lal cannot be had here: %v\n%s", err, out)
	}
	for name, c := range map[string]stream.Codec{"h264": stream.H264, "hevc": stream.H265} {
		t.Run(name, func(t *testing.T) {
			units := pictureUnits(coded(t, name), c)
			var m Muxer
			p := Packetizer{SSRC: 7, Sequence: 65530, Framed: true}
			var in bytes.Buffer
			var want []string
			for i, u := range units {
				_ = p.Packets(nil, m.Append(nil, u), Ticks(u), func(b []byte) error { in.Write(b); return nil })
				if i == len(units)-1 {
					break // lal gives a picture away when the next begins
				}
				for _, n := range u.NALs {
					want = append(want, fmt.Sprintf("%d 01%x", (u.Time+begin)/90, n))
				}
			}
			cmd := exec.Command(filepath.Join(dir, "reader"))
			cmd.Stdin = &in
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range strings.Split(strings.TrimSpace(string(out)), "\n") {
				_, l, _ = strings.Cut(l, " ")
				got = append(got, l)
			}
			if !slices.Equal(got[:min(len(got), len(want))], want) {
				t.Errorf("lal gave %d NAL units, %d were sent; it began with %.80q, want %.80q", len(got), len(want), got[0], want[0])
			}
		})
	}
}
