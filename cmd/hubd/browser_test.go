//go:build browser

package main

import (
	"bytes"
	"fmt"
	"image/png"
	"net"
	"net/url"
	"strings"
	"testing"

	"tocsin/hwtest/chromium"
)

// decoded sums what all of the page's peer connections have decoded, by getStats; the page keeps them to
// itself, so their constructor is watched before it runs.
const watchPeers = `window.peers = []; const Real = RTCPeerConnection; window.RTCPeerConnection = class extends Real { constructor(...a) { super(...a); peers.push(this); } };`

// visit opens a view of the console as whom the page's address names.
func visit(t *testing.T, b *chromium.Tab, page, view string) {
	t.Helper()
	u, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	token, _ := u.User.Password()
	u.User = nil
	b.Call("Network.setCookie", map[string]any{"name": "county", "value": token, "url": u.String(), "httpOnly": true}, nil)
	b.Open(u.String() + "/console/" + view)
}

// because writes why one looks.
func because(why string) string {
	return `document.getElementById("why").value = "` + why + `"; document.getElementById("why").dispatchEvent(new Event("input"));`
}

const decoded = `(async () => { let n = 0; for (const p of peers) (await p.getStats()).forEach(s => { if (s.type === "inbound-rtp" && s.kind === "video") n += s.framesDecoded; }); return n; })()`

func TestChromiumShowsThePictureOnTheCountysPage(t *testing.T) {
	_, h, d, page := picturedWorld(t, "0.0.0.0", "")
	b := chromium.New(t)
	b.Call("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": watchPeers}, nil)
	b.Size(1280, 900, false)
	visit(t, b, page, "?lang=zh#/live")
	b.Until(`document.querySelector('[data-key="` + string(upper) + `/dock-1"]')`)
	// Without a reason nothing is asked for.
	b.JS(`document.querySelector('[data-key="`+string(upper)+`/dock-1"]').click()`, nil)
	b.Until(`document.getElementById("why").classList.contains("missing")`)
	if d.count() != 0 {
		t.Fatal("the station was asked without a reason")
	}
	b.JS(because("鸡笼山火情侦察")+`document.querySelector('[data-key="`+string(upper)+`/dock-1"]').click()`, nil)
	frames(t, b, 30)
	b.Until(`document.querySelector("video").videoWidth === 320`)
	b.Until(`document.querySelector(".over").textContent.includes("秒前")`)
	b.Until(`document.getElementById("seen").textContent.includes("鸡笼山火情侦察")`)
	colours(t, b)

	// The second officer's picture is of the same push.
	two := chromium.New(t)
	two.Call("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": watchPeers}, nil)
	two.Size(390, 844, true)
	visit(t, two, page, "?lang=en#/live")
	two.Until(`document.querySelector('[data-key="` + string(upper) + `/dock-1"]')`)
	two.JS(because("flood")+`document.querySelector('[data-key="`+string(upper)+`/dock-1"]').click()`, nil)
	frames(t, two, 15)
	if d.count() != 1 {
		t.Errorf("two browsers took %d pushes", d.count())
	}
	two.Until(`document.documentElement.scrollWidth <= 390`)
	two.Shot()
	b.JS(`document.querySelector("figcaption button:last-child").click()`, nil)
	two.JS(`document.querySelector("figcaption button:last-child").click()`, nil)
	until(t, "the push ends", func() bool { return len(h.pictured.media.Sessions()) == 0 })
	for _, tab := range []*chromium.Tab{b, two} {
		for _, l := range tab.Logs {
			if !strings.Contains(l, "favicon") {
				t.Errorf("the page logged %s", l)
			}
		}
		for _, u := range tab.URLs {
			if !strings.HasPrefix(u, "http://"+h.console.PageAddr().String()) && !strings.HasPrefix(u, "blob:") && u != "about:blank" {
				t.Errorf("the page asked for %s", u)
			}
		}
	}
}

// frames waits until a browser has decoded so many pictures.
func frames(t *testing.T, b *chromium.Tab, want int) {
	t.Helper()
	until(t, "the browser decodes pictures", func() bool {
		var n int
		b.JS(decoded, &n)
		return n >= want
	})
}

// colours looks whether the video's part of the screen holds a picture: many colours, not one.
func colours(t *testing.T, b *chromium.Tab) {
	t.Helper()
	shot, err := png.Decode(bytes.NewReader(b.Shot()))
	if err != nil {
		t.Fatal(err)
	}
	var box struct{ X, Y, W, H int }
	b.JS(`(() => { const r = document.querySelector("video").getBoundingClientRect(); return { X: Math.round(r.x), Y: Math.round(r.y), W: Math.round(r.width), H: Math.round(r.height) }; })()`, &box)
	seen := map[[3]uint32]bool{}
	for y := box.Y + 4; y < box.Y+box.H-40; y += 4 {
		for x := box.X + 4; x < box.X+box.W-4; x += 4 {
			r, g, bl, _ := shot.At(x, y).RGBA()
			seen[[3]uint32{r >> 13, g >> 13, bl >> 13}] = true
		}
	}
	if len(seen) < 12 {
		t.Errorf("the video shows %d colours", len(seen))
	}
}

func TestChromiumCoversWhatTheCountyMasks(t *testing.T) {
	_, _, _, page := picturedWorld(t, "0.0.0.0", masked)
	b := chromium.New(t)
	b.Call("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": watchPeers}, nil)
	b.Size(1280, 900, false)
	visit(t, b, page, "?lang=zh#/live")
	button := `document.querySelector('[data-key="` + string(upper) + `/square"]')`
	b.Until(button)
	b.JS(because("广场秩序")+button+`.click()`, nil)
	// The mask is there before any picture is.
	b.Until(`document.querySelectorAll(".mask").length === 1`)
	frames(t, b, 20)
	shot, err := png.Decode(bytes.NewReader(b.Shot()))
	if err != nil {
		t.Fatal(err)
	}
	var box struct{ X, Y, W, H int }
	b.JS(`(() => { const r = document.querySelector("video").getBoundingClientRect(); return { X: Math.round(r.x), Y: Math.round(r.y), W: Math.round(r.width), H: Math.round(r.height) }; })()`, &box)
	bright := func(from, to int) (n int) {
		for y := box.Y + 4; y < box.Y+box.H-40; y += 4 {
			for x := from; x < to; x += 4 {
				if r, g, bl, _ := shot.At(x, y).RGBA(); r+g+bl > 0x6000 {
					n++
				}
			}
		}
		return n
	}
	if left, right := bright(box.X+4, box.X+box.W/2-4), bright(box.X+box.W/2+4, box.X+box.W-4); left > 0 || right < 100 {
		t.Errorf("%d bright points under the mask, %d beside it", left, right)
	}
}

// ownAddress is one of this machine that is not the loopback: browsers look for ways there alone.
func ownAddress(t *testing.T) string {
	t.Helper()
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has no address but the loopback")
	return ""
}

func TestChromiumSeesThroughTheRelayAloneAndSaysWhichLegPasses(t *testing.T) {
	own := ownAddress(t)
	_, _, _, page := picturedWorld(t, "0.0.0.0", fmt.Sprintf("  turn: {listen: \"%s:0\", address: %s, ports: 40000-49999}\n", own, own))
	b := chromium.New(t)
	b.Call("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": watchPeers + `window.RTCPeerConnection = class extends window.RTCPeerConnection { constructor(c) { super({ ...c, iceTransportPolicy: "relay" }); } };`}, nil)
	visit(t, b, page, "?lang=en#/live")
	button := `document.querySelector('[data-key="` + string(upper) + `/dock-1"]')`
	b.Until(button)
	b.JS(because("fire")+button+`.click()`, nil)
	frames(t, b, 20)
	var kind string
	b.JS(`(async () => { const all = new Map(); (await peers[0].getStats()).forEach(s => all.set(s.id, s)); for (const s of all.values()) if (s.type === "candidate-pair" && s.nominated) return all.get(s.localCandidateId).candidateType; return "none"; })()`, &kind)
	if kind != "relay" {
		t.Errorf("the picture came by %q", kind)
	}
	b.JS(`document.getElementById("check").click()`, nil)
	b.Until(`document.querySelectorAll("#mine li").length === 2 && document.querySelectorAll("#mine .good").length === 2`)
	b.Until(`document.querySelectorAll("#legs .good").length === 2`)
}
