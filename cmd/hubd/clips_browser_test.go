//go:build browser

package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/hwtest/built"
	"tocsin/hwtest/chromium"
	"tocsin/hwtest/relay"
)

// filmingSite is a village's that films its dam and has a link to the county.
const filmingSite = `version: 1
site: {id: "330483105204", name: {zh: 黄渡村, en: Huangdu}, datum: 1985, languages: [cmn]}
plan: flash-flood-village
page: {listen: "PAGE"}
county: {number: 18, root: box.root}
links:
  fibre: {kind: nats, servers: ["NATS"], ca: ca.pem, certificate: box.pem, certificate_key: box.key, seed: box.seed}
video:
  listen: "127.0.0.1:0"
  rtsp: "RTSP"
  streams:
    dam: {name: {zh: 大坝, en: dam}, key: dam.key}
  record: {quota: 256 MiB, clips: 128 MiB, before: 1m, after: 2s, page: true}
`

// TestChromiumPlaysAnAlarmsClipAtTheCountyAndAtTheBox has the real box and the real hub: a level that a person raises
// keeps what was seen, the county asks for it, and both pages play it and name one hash.
func TestChromiumPlaysAnAlarmsClipAtTheCountyAndAtTheBox(t *testing.T) {
	w, h, _, page := picturedWorld(t, "127.0.0.1", "  clips: {quota: 64 MiB, keep: 30d, reserve: 1 MiB}\n")
	dir, err := os.MkdirTemp("", "box") // a test's own name would be too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	edged := filepath.Join(dir, "edged")
	built.Into(t, dir, "edged", "edged-desk", "edged-video")
	at, rtsp := freeAt(t), freeAt(t)
	o := w.natsOpts(lower, h.engine.Addr().String())
	for name, b := range map[string][]byte{"box.root": []byte(strings.Repeat("ab", 32)), "box.pem": o.Certificate, "box.key": o.Key, "box.seed": o.Seed, "dam.key": []byte("a-key-of-the-dam\n")} {
		w.write(name, b)
	}
	site := w.write("site.yaml", []byte(strings.NewReplacer("PAGE", at, "RTSP", rtsp, "NATS", h.engine.Addr().String()).Replace(filmingSite)))
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	box := exec.Command(edged, "run", "-c", site, "--data", filepath.Join(dir, "data"), "--socket", socket)
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
	film, err := relay.Open("testdata/clip.h264")
	if err != nil {
		t.Fatal(err)
	}
	table, err := relay.NewTable(filepath.Join(dir, "table"), len(film.Pictures))
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.Cleanup(func() { end(); <-done })
	go func() {
		defer close(done)
		for ctx.Err() == nil { // the box may not listen yet
			_ = film.Publish(ctx, "rtsp://"+rtsp+"/dam?key=a-key-of-the-dam", 15, table)
			time.Sleep(100 * time.Millisecond)
		}
	}()
	until(t, "the box records", func() bool {
		a, err := http.Get("http://" + at + "/api/v1/video")
		if err != nil {
			return false
		}
		defer a.Body.Close()
		var s struct {
			Streams []struct{ Record struct{ Bytes int64 } }
		}
		return json.NewDecoder(a.Body).Decode(&s) == nil && len(s.Streams) == 1 && s.Streams[0].Record.Bytes > 40<<10
	})
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(edged, append(args, "--socket", socket)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	run("raise", "evacuate", "--who", "王芳", "--reason", "水库漫坝")

	b := chromium.New(t, "--autoplay-policy=no-user-gesture-required")
	shot := func(name string) {
		if d := os.Getenv("SHOTS"); d != "" {
			if err := os.WriteFile(filepath.Join(d, name+".png"), b.Shot(), 0o644); err != nil {
				t.Error(err)
			}
		}
	}
	fits := func(wide string) {
		t.Helper()
		b.Until(`document.documentElement.scrollWidth <= ` + wide)
		var small int
		b.JS(`[...document.querySelectorAll("button, a:not(.skip)")].filter(e => e.offsetParent && e.getBoundingClientRect().height < 44).length`, &small)
		if small > 0 {
			t.Errorf("%d things to press are lower than 44 px", small)
		}
	}
	row := `document.querySelector("#clips tbody tr")`
	var sum string
	for _, c := range []struct {
		lang, wide string
		w          int
	}{{"zh", "1280", 1280}, {"en", "390", 390}} {
		b.Size(c.w, 900, c.lang == "en")
		visit(t, b, page, "?lang="+c.lang+"#/live")
		b.Until(row + ` && !` + row + `.querySelector("button").disabled`)
		b.JS(row+`.querySelector("code").textContent`, &sum)
		fits(c.wide)
		shot("clips-list-" + c.lang)
		// Without a reason nothing is shown.
		b.JS(row+`.querySelector("button").click()`, nil)
		b.Until(`document.getElementById("why").classList.contains("missing") && !document.querySelector("dialog[open] video")`)
		b.JS(because("复盘：水库漫坝")+row+`.querySelector("button").click()`, nil)
		video := `document.querySelector("dialog[open] video")`
		b.Until(video + `?.videoWidth === 320`)
		b.JS(`(async () => { const v = `+video+`; v.muted = true; await v.play(); })()`, nil)
		b.Until(video + `.currentTime > 1`)
		b.JS(video+`.currentTime = 2.5`, nil) // it can be sought in
		b.Until(video + `.currentTime > 2.5 && ` + video + `.readyState >= 2`)
		fits(c.wide)
		shot("clips-film-" + c.lang)
		b.JS(`document.querySelector("dialog[open] header button").click()`, nil)
		b.Until(`!document.querySelector("dialog[open]") && document.getElementById("seen").textContent.includes("复盘：水库漫坝")`)
	}
	if len(sum) != 64 {
		t.Errorf("the page names the hash %q", sum)
	}
	kept := `document.querySelector('[data-stream="dam"] [data-is="kept"]')`
	for _, c := range []struct {
		lang, wide, sent string
		w                int
	}{{"zh", "1280", "已送达县里", 1280}, {"en", "320", "at the county", 320}} {
		b.Size(c.w, 900, c.lang == "en")
		b.Open("http://" + at + "/video?lang=" + c.lang)
		b.Until(kept + ` && !` + kept + `.hidden`)
		b.JS(kept+`.open = true`, nil)
		b.Until(kept + `.querySelector(".clips").textContent.includes("` + c.sent + `")`)
		b.Until(kept + `.querySelector(".clips").textContent.includes("` + sum + `")`)
		b.JS(kept+`.querySelector(".clips button").click()`, nil)
		b.Until(kept + `.querySelector("video").videoWidth === 320 && ` + kept + `.querySelector("video").currentTime > 0.5`)
		fits(c.wide)
		shot("clips-box-" + c.lang)
		// Cameras are searched for by the real program; whether there are any is this network's matter.
		if c.lang == "zh" {
			b.JS(`document.querySelector("#search button").click()`, nil)
			b.Until(`!document.querySelector("#search button").disabled && /问过的网络|没有可以搜索/.test(document.querySelector("#search .why").textContent)`)
			shot("cameras-" + c.lang)
		}
	}
	journal := run("journal", "--lang", "zh")
	for _, want := range []string{"已固定", "已送达县里，县里报回的 SHA-256 与本站一致：" + sum, "回放了 dam 的录像"} {
		if !strings.Contains(journal, want) {
			t.Errorf("the box's journal has no %q:\n%s", want, journal)
		}
	}
	for _, l := range b.Logs {
		if !strings.Contains(l, "favicon") {
			t.Errorf("a page logged %s", l)
		}
	}
}
