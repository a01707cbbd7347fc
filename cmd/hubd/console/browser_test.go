//go:build browser

package console

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"tocsin/hwtest/chromium"
)

// narrowest is what every page has to fit, without a side scroll and with targets that a thumb meets.
const narrowest = `(() => { const small = [...document.querySelectorAll("a, button, input:not([type=hidden]), summary")].filter(e => { const r = e.getBoundingClientRect(); return r.width > 0 && r.height < 43.5; }).map(e => e.outerHTML.slice(0, 80)); return { Wide: document.documentElement.scrollWidth - innerWidth, Small: small }; })()`

func TestChromiumSignsInAndSeesTheCounty(t *testing.T) {
	c, _ := manned(t)
	c.Handle("/pictures/", http.NotFoundHandler())
	s := httptest.NewServer(c.front())
	defer s.Close()
	b := chromium.New(t)
	for i, at := range []struct {
		lang  string
		width int
		dark  bool
	}{{"zh", 1280, false}, {"zh", 320, true}, {"en", 390, false}, {"en", 1280, true}} {
		looks := func(what string) {
			t.Run(fmt.Sprintf("%s-%s-%d", what, at.lang, at.width), func(t *testing.T) {
				old := b.T
				b.T = t
				defer func() { b.T = old }()
				var seen struct {
					Wide  int
					Small []string
				}
				b.JS(narrowest, &seen)
				if seen.Wide > 0 || len(seen.Small) > 0 {
					t.Errorf("%d px too wide, too small: %v", seen.Wide, seen.Small)
				}
				b.Shot()
			})
		}
		b.Size(at.width, 900, at.dark)
		if i == 0 {
			b.Open(s.URL + "/?lang=" + at.lang)
			b.Until(`document.querySelector("input[name=token]")`)
			looks("sign-in")
			b.JS(`document.querySelector("input[name=officer]").value = "王芳"; document.querySelector("input[name=token]").value = "right"; document.querySelector("main button").click()`, nil)
			b.Until(`document.querySelector(".tiles")`)
		}
		b.Open(s.URL + "/?lang=" + at.lang)
		b.Until(`document.querySelector(".tiles")`)
		looks("overview")
		b.Open(s.URL + "/send?lang=" + at.lang)
		b.Until(`document.querySelector("input[type=file]")`)
		looks("send")
	}
	b.Open(s.URL + "/?lang=zh")
	b.JS(`document.querySelector(".mast form button").click()`, nil)
	b.Until(`document.querySelector("input[name=token]")`)
}
