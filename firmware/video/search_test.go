package video

import (
	"bytes"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/video/terms"
	"tocsin/hwtest/camera"
)

func TestASearchTellsWhatToWriteIntoTheSitesFile(t *testing.T) {
	cam, err := camera.Start(camera.Opts{User: "view", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cam.Close)
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cam.Discover(pc, nil)
	ask := func(q terms.Search) terms.Found {
		t.Helper()
		q.At, q.Wait = pc.LocalAddr().String(), 500*time.Millisecond
		in, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := Search(t.Context(), bytes.NewReader(in), &out); err != nil {
			t.Fatal(err)
		}
		var f terms.Found
		if err := json.Unmarshal(out.Bytes(), &f); err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := ask(terms.Search{})
	if len(f.Cameras) != 1 || f.Cameras[0].Name != "Bench C1" || f.Cameras[0].Hardware != "C1" || f.Cameras[0].Address != cam.Service() || len(f.Cameras[0].Streams) != 0 {
		t.Fatalf("%+v", f)
	}
	f = ask(terms.Search{User: "view", Password: "secret"})
	if s := f.Cameras[0].Streams; len(s) < 2 || !strings.HasPrefix(s[0].URL, "rtsp://127.0.0.1") || s[0].Width <= s[1].Width || strings.Contains(s[0].URL, "secret") {
		t.Errorf("%+v", f.Cameras[0])
	}
	if f = ask(terms.Search{User: "view", Password: "wrong"}); f.Cameras[0].Why == nil || len(f.Cameras[0].Streams) != 0 {
		t.Errorf("%+v", f.Cameras[0])
	}
	for _, bad := range []string{"", "{", `{"at":"camera.example"}`, `{"at":"[::1]:3702"}`} {
		if err := Search(t.Context(), strings.NewReader(bad), &bytes.Buffer{}); err == nil {
			t.Errorf("%q: searched", bad)
		}
	}
}
