package page_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api/apitest"
	"tocsin/firmware/serve/page"
)

func withCameras(t *testing.T, c ...page.Camera) http.Handler {
	t.Helper()
	h, err := page.New(apitest.New(apitest.Calm), verifier("GOOD"), page.Opts{Cameras: func() []page.Camera { return c }})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestLivePicturesAreLinkedAndNamedWhereTheSiteHasThem(t *testing.T) {
	h := withCameras(t, page.Camera{Name: "dam", Title: phrase.Text{ZH: "大坝<b>", EN: "dam"}}, page.Camera{Name: "drone"})
	for lang, want := range map[string][]string{"zh": {"大坝&lt;b&gt;", "打开画面", `data-stream="drone"`, `src="/page/video.js"`}, "en": {">dam<", "Open the picture"}} {
		if b := send(h, viewer, "GET", "/?lang="+lang, nil).Body.String(); !strings.Contains(b, `href="/video?lang=`+lang) {
			t.Errorf("%s: the front page has no link", lang)
		}
		w := send(h, viewer, "GET", "/video?lang="+lang, nil)
		b := w.Body.String()
		for _, s := range want {
			if !strings.Contains(b, s) {
				t.Errorf("%s: no %q", lang, s)
			}
		}
		if w.Code != 200 || regexp.MustCompile(`serve\.|<script>|style=|\son[a-z]+=`).MatchString(b) {
			t.Errorf("%s: %d, a bare code or something that the policy forbids:\n%s", lang, w.Code, b)
		}
	}
}

func TestASiteWithoutVideoSaysHowToHaveIt(t *testing.T) {
	for name, h := range map[string]http.Handler{"never": handler(t, apitest.New(apitest.Calm)), "none": withCameras(t)} {
		if b := send(h, viewer, "GET", "/", nil).Body.String(); strings.Contains(b, "/video") {
			t.Errorf("%s: the front page links to nothing", name)
		}
		if b := send(h, viewer, "GET", "/video?lang=zh", nil).Body.String(); !strings.Contains(b, "configs/README.md") || strings.Contains(b, "<script") != (name == "none") || strings.Contains(b, "搜索摄像机") != (name == "none") {
			t.Errorf("%s: %s", name, b)
		}
	}
}

// TestEveryWordOfTheScriptIsThere holds video.js to the words that come with the page.
func TestEveryWordOfTheScriptIsThere(t *testing.T) {
	h := withCameras(t, page.Camera{Name: "dam"})
	js := send(h, viewer, "GET", "/page/video.js", nil).Body.String()
	b := send(h, viewer, "GET", "/video?lang=en", nil).Body.String()
	said := regexp.MustCompile(`say\(([^()]*)\)`).FindAllStringSubmatch(js, -1)
	n := 0
	for _, m := range said {
		for _, w := range regexp.MustCompile(`"([a-z_]+)"`).FindAllStringSubmatch(m[1], -1) {
			n++
			if !strings.Contains(b, `data-word="`+w[1]+`"`) {
				t.Errorf("no word for %s", w[1])
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d words were found in the script", n)
	}
}
