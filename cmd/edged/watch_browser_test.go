//go:build browser

package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/hwtest/built"
	"tocsin/hwtest/chromium"
	"tocsin/hwtest/relay"
)

// watchPeers keeps the page's peer connections where getStats can be asked.
const watchPeers = `window.peers = []; const Real = RTCPeerConnection; window.RTCPeerConnection = class extends Real { constructor(...a) { super(...a); peers.push(this); } };`

const decoded = `(async () => { let n = 0; for (const p of peers) (await p.getStats()).forEach(s => { if (s.type === "inbound-rtp" && s.kind === "video") n += s.framesDecoded; }); return n; })()`

// free is a port that nobody holds now.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestChromiumWatchesTheBoxsPicture has a technician's browser open the box's own page while a
// camera publishes: the picture is live, its loss is told, and it comes back.
func TestChromiumWatchesTheBoxsPicture(t *testing.T) {
	addrs, _ := net.InterfaceAddrs()
	if !slices.ContainsFunc(addrs, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.To4() != nil && !n.IP.IsLoopback()
	}) {
		t.Skip("this machine has no address but the loopback, and browsers look for ways elsewhere")
	}
	dir, err := os.MkdirTemp("", "box") // a test's own name would be too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self := filepath.Join(dir, "edged")
	built.Into(t, dir, "edged", "edged-desk", "edged-video")
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	write("drone.key", "a-key-of-the-drone\n")
	page, rtsp := free(t), free(t)
	site := write("site.yaml", `version: 1
site: {id: "441882103201", name: {zh: 黄渡村, en: Huangdu}, datum: 1985, languages: [cmn]}
plan: flash-flood-village
page: {listen: "`+page+`"}
video:
  listen: "0.0.0.0:0"
  rtsp: "`+rtsp+`"
  streams:
    drone: {name: {zh: 无人机, en: drone}, key: drone.key}
    dam: {name: {zh: 大坝, en: dam}, key: drone.key}
`)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	box := exec.Command(self, "run", "-c", site, "--data", filepath.Join(dir, "data"), "--socket", filepath.Join(dir, "s"))
	box.Stdout, box.Stderr = log, log
	if err := box.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = box.Process.Signal(syscall.SIGTERM)
		_ = box.Wait()
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			t.Logf("%s", b)
		}
	})
	film, err := relay.Open("../hubd/testdata/clip.h264")
	if err != nil {
		t.Fatal(err)
	}
	table, err := relay.NewTable(filepath.Join(dir, "table"), len(film.Pictures))
	if err != nil {
		t.Fatal(err)
	}
	publish := func() (end func()) {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for ctx.Err() == nil { // the box may not listen yet
				_ = film.Publish(ctx, "rtsp://"+rtsp+"/drone?key=a-key-of-the-drone", 15, table)
				time.Sleep(100 * time.Millisecond)
			}
		}()
		return func() { cancel(); <-done }
	}
	end := publish()
	t.Cleanup(func() { end() })
	b := chromium.New(t, "--autoplay-policy=no-user-gesture-required")
	b.Call("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": watchPeers}, nil)
	for begun := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		c, err := net.Dial("tcp", page)
		if err == nil {
			c.Close()
			break
		}
		if time.Since(begun) > time.Minute {
			t.Fatal(err)
		}
	}
	shot := func(name string) {
		if d := os.Getenv("SHOTS"); d != "" {
			if err := os.WriteFile(filepath.Join(d, name+".png"), b.Shot(), 0o644); err != nil {
				t.Error(err)
			}
		}
	}
	card := `document.querySelector('[data-stream="drone"]')`
	frames := func(n int) {
		t.Helper()
		for begun := time.Now(); ; time.Sleep(100 * time.Millisecond) {
			var got int
			if b.JS(decoded, &got); got >= n {
				return
			}
			if time.Since(begun) > time.Minute {
				t.Fatalf("%d pictures were decoded", got)
			}
		}
	}
	for _, c := range []struct {
		lang, open, name string
		w, h             int
	}{{"zh", "", "黄渡村", 1280, 900}, {"en", "", "Huangdu", 320, 700}} {
		b.Size(c.w, c.h, c.lang == "en")
		b.Open("http://" + page + "/video?lang=" + c.lang)
		b.Until(`document.body.textContent.includes("` + c.name + `")`)
		b.Until(card + `.querySelector(".figures").textContent.includes("H.264")`)
		b.JS(card+`.querySelector('[data-act="open"]').click()`, nil)
		frames(30)
		b.Until(card + `.querySelector("video").videoWidth === 320`)
		b.Until(`document.documentElement.scrollWidth <= ` + map[string]string{"zh": "1280", "en": "320"}[c.lang])
		var small int
		b.JS(`[...document.querySelectorAll("button, a.back")].filter(e => e.offsetParent && e.getBoundingClientRect().height < 44).length`, &small)
		if small > 0 {
			t.Errorf("%s: %d things to press are lower than 44 px", c.lang, small)
		}
		b.Until(card + `.querySelector(".told").textContent.includes("127.0.0.1")`)
		shot("video-" + c.lang)
	}
	// The camera goes: the page says so, asks again, and shows it when it is back.
	end()
	b.Until(card + `.querySelector(".over").classList.contains("late")`)
	shot("video-lost")
	var before int
	b.JS(decoded, &before)
	end = publish()
	frames(before + 20)
	b.Until(`!` + card + `.querySelector(".over").classList.contains("late")`)
	for _, l := range b.Logs {
		if !strings.Contains(l, "favicon") && !strings.Contains(l, "404") {
			t.Errorf("the page logged %s", l)
		}
	}
	for _, u := range b.URLs {
		if !strings.HasPrefix(u, "http://"+page) && u != "about:blank" {
			t.Errorf("the page asked for %s", u)
		}
	}
}
