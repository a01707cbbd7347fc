//go:build browser

package recorder

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"tocsin/firmware/video/stream"
	"tocsin/hwtest/chromium"
)

// TestChromiumPlaysAFilm has a browser play, seek and decode what was kept.
func TestChromiumPlaysAFilm(t *testing.T) {
	for _, sound := range []stream.Codec{stream.None, stream.Opus, stream.PCMA} {
		t.Run(sound.String(), func(t *testing.T) {
			w := newWorld()
			r := recordIn(t, w, t.TempDir(), func(o *Opts) { o.Segment = 4 * time.Second })
			begin := w.now.Mono
			payload := bytes.Repeat([]byte{0xd5}, 160)
			if sound == stream.Opus {
				payload = []byte{0x78, 0xff, 0xfe}
			}
			var us []*stream.Unit
			for i, u := range film25(t, stream.H264, 500, begin) {
				us = append(us, u)
				for k := range 2 {
					if at := int64(i*2+k) * sound.Rate() / 50; sound != stream.None {
						us = append(us, &stream.Unit{Codec: sound, Sound: payload, Time: at, Decode: at, Arrived: u.Arrived})
					}
				}
			}
			r.play(us)
			m := http.NewServeMux()
			m.Handle("/rec/", http.StripPrefix("/rec", r.Handler()))
			m.HandleFunc("/{$}", func(hw http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(hw, `<!doctype html><video id=v muted src="/rec/film?boot=%s&from=%v&to=%v"></video>`, w.Now().Boot, (begin + 2*time.Second).Seconds(), (begin + 18*time.Second).Seconds())
			})
			s := httptest.NewServer(m)
			defer s.Close()
			b := chromium.New(t, "--autoplay-policy=no-user-gesture-required")
			b.Open(s.URL + "/")
			b.Until(`v.readyState >= 3 || v.error`)
			var is struct {
				Width, Height int
				Duration      float64
				Err           string
			}
			b.JS(`({width: v.videoWidth, height: v.videoHeight, duration: v.duration, err: v.error ? v.error.message : ""})`, &is)
			if is.Width != 160 || is.Height != 90 || is.Err != "" || is.Duration < 15.9 || is.Duration > 17.2 {
				t.Fatalf("%+v", is)
			}
			b.JS(`v.play(), 0`, nil)
			b.Until(`v.currentTime > 1 || v.error`)
			b.JS(`v.currentTime = 13.2, 0`, nil) // over segments, by the index
			b.Until(`!v.seeking && v.currentTime > 13.8 || v.error`)
			var frames int
			b.JS(`v.error ? -1 : v.getVideoPlaybackQuality().totalVideoFrames`, &frames)
			if frames < 25 {
				t.Errorf("%d pictures decoded", frames)
			}
			b.Until(`v.ended || v.error`)
			b.JS(`v.error ? v.error.message : ""`, &is.Err)
			if is.Err != "" {
				t.Error(is.Err)
			}
		})
	}
}
