//go:build peers

package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"tocsin/hwtest/built"
)

// flownSite is a village's with a drone and one way to the county.
const flownSite = `version: 1
site: {id: "330483105203", name: {zh: 环渡村, en: Huandu}, datum: 1985, languages: [cmn]}
page: {listen: "off"}
county: {number: 17, root: box.root}
links:
  fibre: {kind: nats, servers: ["NATS"], ca: ca.pem, certificate: box.pem, certificate_key: box.key, seed: box.seed}
video:
  listen: "MEDIA"
  rtmp: "RTMP"
  streams:
    drone: {name: {zh: 无人机, en: drone}, key: drone.key}
`

// free is an address of this machine that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestARealDroneIsSeenAtTheCountyThroughARealBox has ffmpeg fly the clip by RTMP into a box as it is
// built; its child pushes it to the hub when an officer looks.
func TestARealDroneIsSeenAtTheCountyThroughARealBox(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	edged := filepath.Join(w.dir, "edged")
	built.Into(t, w.dir, "edged", "edged-desk", "edged-video")
	text, err := os.ReadFile(w.file)
	if err != nil {
		t.Fatal(err)
	}
	w.write("hub.yaml", []byte(strings.Replace(string(text), fmt.Sprintf("psk: %s.psk}", upper), fmt.Sprintf("psk: %s.psk, number: 17, root: %s.psk}", upper, upper), 1)+`pictures:
  listen: "127.0.0.1:0"
  tls: {certificate: hub.pem, key: hub.key}
  media: "0.0.0.0:0"
  linger: 1s
`))
	h, _ := w.hub()
	o := w.natsOpts(upper, h.engine.Addr().String())
	key := make([]byte, 16)
	rand.Read(key)
	for name, x := range map[string][]byte{"box.root": fmt.Appendf(nil, "%x", w.root[upper]), "box.pem": o.Certificate, "box.key": o.Key, "box.seed": o.Seed, "drone.key": []byte(hex.EncodeToString(key))} {
		w.write(name, x)
	}
	short, err := os.MkdirTemp("", "box") // a test's own name would be too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	log, err := os.Create(filepath.Join(w.dir, "edged.log"))
	if err != nil {
		t.Fatal(err)
	}
	rtmp := free(t)
	site := strings.NewReplacer("NATS", h.engine.Addr().String(), "MEDIA", free(t), "RTMP", rtmp).Replace(flownSite)
	box := exec.Command(edged, "run", "-c", w.write("site.yaml", []byte(site)), "--data", filepath.Join(short, "data"), "--socket", filepath.Join(short, "s"))
	box.Stdout, box.Stderr = log, log
	if err := box.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = box.Process.Signal(syscall.SIGTERM)
		_ = box.Wait()
		if x, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("the box:\n%s", x)
		}
	})
	page := w.signedIn(h, "li", "viewer")
	until(t, "the box tells of its drone", func() bool {
		s := state(t, page).Stations
		return len(s) == 1 && len(s[0].Streams) == 1 && s[0].Streams[0].Name == "drone"
	})
	until(t, "the box takes RTMP", func() bool {
		c, err := net.DialTimeout("tcp", rtmp, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	film := filepath.Join(w.dir, "clip.mp4") // a bare stream cannot be begun again
	if out, err := exec.Command("ffmpeg", "-v", "error", "-framerate", "15", "-i", "testdata/clip.h264", "-c", "copy", film).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	fly := exec.Command("ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", film, "-c", "copy", "-f", "flv", "rtmp://"+rtmp+"/live/drone?key="+hex.EncodeToString(key))
	fly.Stderr = log
	if err := fly.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fly.Process.Kill(); _ = fly.Wait() })
	until(t, "the drone's picture is at the box", func() bool { return state(t, page).Stations[0].Streams[0].State == "has a picture" })
	s, err := see(t, w, page, string(upper)+"/drone", "fire", webrtc.ICETransportPolicyAll, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.whole(t, 30)
	if x := state(t, page).Stations[0].Streams[0]; !strings.Contains(x.State, "320×240 H.264") {
		t.Errorf("%+v", x)
	}
	s.pc.Close()
}
