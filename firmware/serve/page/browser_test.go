//go:build browser

package page_test

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/guard"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/api/apitest"
	"tocsin/firmware/serve/page"
	"tocsin/hwtest/chromium"
)

// serveVillage serves a fake village on an address of this machine that is
// not the loopback where there is one: browsers trust the loopback more than
// they will trust the box.
func serveVillage(t *testing.T, box *apitest.Box) (url, token string, end func()) {
	t.Helper()
	tok, err := access.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := page.New(box, tok, page.Opts{Colours: map[string]string{"prepare": "orange", "evacuate": "red"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	g := guard.New(ctx, nil, nil)
	s, err := api.New(box, api.Opts{Guard: g, Token: tok, Pages: h})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ServeLAN(ctx, net.JoinHostPort(ownAddress(), "0")); err != nil || s.LANAddr() == "" {
		t.Fatal("not listening: ", err)
	}
	end = func() { cancel(); g.Wait(10 * time.Second) }
	t.Cleanup(end)
	return "http://" + s.LANAddr(), tok.String(), end
}

func ownAddress() string {
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String()
		}
	}
	return "127.0.0.1"
}

var code = regexp.MustCompile(`\b[a-z]+\.[a-z]+_[a-z_]+\b|\b(serve|quality|error)\.[a-z_]+`)

func TestThePageInABrowser(t *testing.T) {
	b := chromium.New(t)
	for _, state := range []string{apitest.Calm, apitest.Alarm, apitest.Blind} {
		url, _, _ := serveVillage(t, apitest.New(state))
		for _, lang := range []string{"zh", "en"} {
			for _, width := range []int{320, 390, 1280} {
				for _, dark := range []bool{false, true} {
					theme := map[bool]string{true: "dark", false: "light"}[dark]
					t.Run(fmt.Sprintf("%s-%s-%d-%s", state, lang, width, theme), func(t *testing.T) {
						outer := b.T
						b.T = t
						defer func() { b.T = outer }()
						b.Size(width, 844, dark)
						b.Open(url + "/?lang=" + lang)
						b.Until(`document.documentElement.classList.contains("scripted")`)
						look(t, b, lang, width)
					})
				}
			}
		}
		for _, u := range b.URLs {
			if !strings.HasPrefix(u, url) && !strings.HasPrefix(u, "about:") && !strings.HasPrefix(u, "data:") {
				t.Errorf("the page asked for %s", u)
			}
		}
		if len(b.Logs) > 0 {
			t.Errorf("the browser complains: %s", b.Logs)
		}
		// The old page must not go on asking its old box while the next begins.
		b.Call("Page.navigate", map[string]any{"url": "about:blank"}, nil)
		b.Until(`location.href === "about:blank"`)
		b.URLs, b.Logs = nil, nil
	}
}

func look(t *testing.T, b *chromium.Tab, lang string, width int) {
	var text string
	b.JS("document.body.innerText", &text)
	if m := code.FindString(text); m != "" {
		t.Errorf("an untranslated code is shown: %s", m)
	}
	if lang == "en" && regexp.MustCompile(`\p{Han}`).MatchString(strings.ReplaceAll(strings.ReplaceAll(text, "中文", ""), "陈志强", "")) {
		t.Errorf("Chinese on the English page:\n%s", text)
	}
	var small, wide []string
	b.JS(`[...document.querySelectorAll("a,button,input:not([type=hidden]),summary,audio")].filter(e => { const r = e.getBoundingClientRect(); return r.width && (r.height < 44 || r.width < 44) }).map(e => e.outerHTML)`, &small)
	if len(small) > 0 {
		t.Errorf("targets under 44 px: %v", small)
	}
	b.JS(`[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 120))`, &wide)
	var scroll int
	b.JS("document.documentElement.scrollWidth", &scroll)
	if scroll > width || len(wide) > 0 {
		t.Errorf("%d px wide in a window of %d: %v", scroll, width, wide)
	}
	var stop int
	b.JS(`document.querySelector(".stop button").getBoundingClientRect().height`, &stop)
	if stop < 64 {
		t.Errorf("STOP is %d px high", stop)
	}
	img, err := png.Decode(bytes.NewReader(b.Shot()))
	if err != nil {
		t.Fatal(err)
	}
	colours := map[any]bool{}
	r := img.Bounds()
	for y := r.Min.Y; y < r.Max.Y; y += 7 {
		for x := r.Min.X; x < r.Max.X; x += 7 {
			colours[img.At(x, y)] = true
		}
	}
	if len(colours) < 12 {
		t.Errorf("the picture has %d colours only", len(colours))
	}
}

func TestThePageFollowsTheBoxAndSaysWhenItCannot(t *testing.T) {
	b := chromium.New(t)
	box := apitest.New(apitest.Calm)
	url, _, end := serveVillage(t, box)
	b.Size(390, 844, false)
	b.Open(url + "/?lang=zh")
	b.Until(`document.querySelector(".headline").textContent === "平安"`)
	box.Edit(func(s *api.Status) {
		s.Level, s.LevelText = "evacuate", api.Text{ZH: "立即转移", EN: "evacuate now"}
	})
	b.Until(`document.querySelector(".headline").textContent === "立即转移"`)
	if d := b.Until(`document.getElementById("lost").hidden`); d > time.Second {
		t.Error("the page says that it is lost while it is not")
	}
	began := time.Now()
	end()
	b.Until(`!document.getElementById("lost").hidden`)
	// end itself may take a moment; the page counts from the last answer.
	if d := time.Since(began); d > 6*time.Second {
		t.Errorf("the page said that it is lost after %v", d)
	}
	b.Shot()
}

func TestStopWorksWithScriptAndWithout(t *testing.T) {
	for _, scripted := range []bool{true, false} {
		t.Run(fmt.Sprint("script ", scripted), func(t *testing.T) {
			b := chromium.New(t)
			box := apitest.New(apitest.Alarm)
			url, token, _ := serveVillage(t, box)
			b.Size(390, 844, false)
			b.Script(scripted)
			path := "/stop?lang=zh"
			if scripted {
				path = "/?lang=zh"
			}
			b.Open(url + path)
			send := func(token string) {
				b.Until(`document.querySelector(".stop") && document.readyState === "complete"`)
				b.JS(fmt.Sprintf(`(f => { f.token.value = %q; f.who.value = "陈志强"; f.requestSubmit() })(document.querySelector(".stop"))`, token), nil)
			}
			send("AAAAA-AAAAA")
			b.Until(`document.querySelector(".said.failed")`)
			if len(box.Acts()) != 0 {
				t.Fatalf("a wrong token stopped: %v", box.Acts())
			}
			send(strings.ToLower(token))
			b.Until(`document.querySelector(".said.done")`)
			acts := box.Acts()
			if len(acts) != 1 || acts[0].What != "stop" || acts[0].Who != (api.Who{Name: "陈志强", Via: "page"}) {
				t.Errorf("acts: %+v", acts)
			}
			b.Shot()
		})
	}
}

func TestMain(m *testing.M) {
	if d := os.Getenv("SHOTS"); d != "" {
		os.MkdirAll(d, 0o755)
	}
	os.Exit(m.Run())
}
