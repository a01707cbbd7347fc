//go:build peers

package recorder

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/video/stream"
)

// probe has ffprobe decode a file: how many pictures, whether in order, and what it
// complains of.
func probe(t *testing.T, path string) (pictures int, codecs, complaints string) {
	t.Helper()
	var out, bad bytes.Buffer
	c := exec.Command("ffprobe", "-v", "warning", "-show_entries", "stream=codec_name", "-show_entries", "frame=media_type,pts", "-of", "compact=nk=1", path)
	c.Stdout, c.Stderr = &out, &bad
	if err := c.Run(); err != nil {
		t.Fatalf("%s: %v: %s", path, err, bad.String())
	}
	last := int64(-1)
	for line := range strings.Lines(out.String()) {
		f := strings.Split(strings.TrimSpace(line), "|")
		switch {
		case f[0] == "stream":
			codecs += f[1] + " "
		case f[0] == "frame" && f[1] == "video":
			pictures++
			var at int64
			fmt.Sscan(f[2], &at)
			if at <= last {
				t.Errorf("%s: a picture at %d after one at %d", path, at, last)
			}
			last = at
		}
	}
	return pictures, strings.TrimSpace(codecs), bad.String()
}

func TestFFmpegShowsWhatIsRecorded(t *testing.T) {
	for _, c := range []struct {
		picture, sound stream.Codec
		codecs         string
	}{
		{stream.H264, stream.None, "h264"}, {stream.H265, stream.None, "hevc"},
		{stream.H264, stream.PCMA, "h264 pcm_alaw"}, {stream.H265, stream.PCMU, "hevc pcm_mulaw"}, {stream.H264, stream.Opus, "h264 opus"},
	} {
		t.Run(c.codecs, func(t *testing.T) {
			w := newWorld()
			r := recordIn(t, w, t.TempDir(), nil)
			begin := w.now.Mono
			var us []*stream.Unit
			payload := bytes.Repeat([]byte{0xd5}, 160)
			if c.sound == stream.Opus {
				payload = []byte{0x78, 0xff, 0xfe} // 20 ms of silence
			}
			for i, u := range film25(t, c.picture, 300, begin) {
				us = append(us, u)
				for k := range 2 {
					if at := int64(i*2+k) * c.sound.Rate() / 50; c.sound != stream.None {
						us = append(us, &stream.Unit{Codec: c.sound, Sound: payload, Time: at, Decode: at, Arrived: u.Arrived})
					}
				}
			}
			r.play(us)
			m, err := r.Play(w.now.Boot, begin+3200*time.Millisecond, begin+9500*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			film := filepath.Join(t.TempDir(), "film.mp4")
			b, err := io.ReadAll(m)
			if err != nil {
				t.Fatal(err)
			}
			m.Close()
			if err := os.WriteFile(film, b, 0o600); err != nil {
				t.Fatal(err)
			}
			r.stop()
			all := 0
			files := segments(t, r.dir)
			for _, p := range files {
				n, codecs, bad := probe(t, p)
				all += n
				if bad != "" || codecs != c.codecs && p == files[len(files)-1] {
					t.Errorf("%s: %q %s", p, codecs, bad)
				}
			}
			if all != 300 {
				t.Errorf("%d pictures of 300", all)
			}
			n, _, bad := probe(t, film)
			if bad != "" || n < 155 || n > 180 {
				t.Errorf("the film: %d pictures, %s", n, bad)
			}
			// Its index is good for a seek, and its length is told.
			out, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", film).CombinedOutput()
			var s float64
			fmt.Sscan(string(out), &s)
			if err != nil || s < 6.2 || s > 7.2 {
				t.Errorf("it lasts %s: %v", out, err)
			}
			// A file that was cut shows all that it has.
			whole := readFile(t, files[0])
			for _, part := range []int{3, 5, 9} {
				p := filepath.Join(t.TempDir(), filepath.Base(files[0]))
				if err := os.WriteFile(p, whole[:len(whole)*part/10], 0o600); err != nil {
					t.Fatal(err)
				}
				if n, _, err := Mend(filepath.Dir(p)); err != nil || n != 1 {
					continue // less than a fragment is nothing
				}
				if n, _, bad := probe(t, p); bad != "" || n == 0 {
					t.Errorf("cut at %d of 10: %d pictures, %s", part, n, bad)
				}
			}
		})
	}
}
