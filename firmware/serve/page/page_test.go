package page_test

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/api/apitest"
	"tocsin/firmware/serve/page"
)

type verifier string

func (v verifier) Verify(_ context.Context, _, given string) bool { return given == string(v) }

var viewer = access.Grant{Role: access.Viewer, Via: api.ViaPage, Addr: "192.168.1.77"}

func handler(t testing.TB, box api.Box) http.Handler {
	t.Helper()
	h, err := page.New(box, verifier("GOOD"), page.Opts{Colours: map[string]string{"prepare": "orange"}})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func send(h http.Handler, g access.Grant, method, target string, form url.Values, head ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(api.WithGrant(r.Context(), g)))
	return w
}

var (
	tag       = regexp.MustCompile(`(?s)<[^>]*>`)
	codeShown = regexp.MustCompile(`\b(serve|quality|error)\.[a-z_]+|\b[a-z]+_fault\b|<no value>`)
	han       = regexp.MustCompile(`\p{Han}`)
	outside   = regexp.MustCompile(`(?:src|href|action|url)\s*[=(]\s*["']?(?:https?:)?//`)
	inline    = regexp.MustCompile(`(?i)\s(style|on[a-z]+)\s*=|<script[^>]*>[^<]`)
)

func TestEveryPageSpeaksOneLanguageAndAsksForNothingOutside(t *testing.T) {
	for _, state := range []string{apitest.Calm, apitest.Alarm, apitest.Blind} {
		h := handler(t, apitest.New(state))
		for _, path := range []string{"/", "/live", "/stop", "/no-such-page"} {
			for _, lang := range []string{"zh", "en"} {
				w := send(h, viewer, "GET", path+"?lang="+lang, nil)
				body := w.Body.String()
				if want := map[bool]int{true: 404, false: 200}[path == "/no-such-page"]; w.Code != want {
					t.Errorf("%s %s: %d", state, path, w.Code)
				}
				words := tag.ReplaceAllString(body, " ")
				if m := codeShown.FindString(words); m != "" {
					t.Errorf("%s %s %s shows %q", state, path, lang, m)
				}
				if rest := strings.NewReplacer("中文", "", "陈志强", "").Replace(words); lang == "en" && han.MatchString(rest) {
					t.Errorf("%s %s: Chinese on the English page: %q", state, path, han.FindString(rest))
				}
				if lang == "zh" && !han.MatchString(words) {
					t.Errorf("%s %s: no Chinese", state, path)
				}
				if m := outside.FindString(body); m != "" {
					t.Errorf("%s %s asks outside: %s", state, path, m)
				}
				if m := inline.FindString(body); m != "" {
					t.Errorf("%s %s: %q is refused by the content policy", state, path, m)
				}
			}
		}
	}
}

func TestTheStatesThatMustNotBeMissedAreSaid(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*api.Status)
		want []string
	}{
		{"calm", func(*api.Status) {}, []string{"平安", "tone-calm"}},
		{"not armed", func(s *api.Status) { s.Armed = false; s.NotArmed = []api.Text{{ZH: "线路 west 还没问"}} }, []string{"还没进入值守", "线路 west 还没问", "tone-unsure"}},
		{"blind", func(s *api.Status) { s.Blind = true }, []string{"无法判断险情", "tone-unsure"}},
		{"level", func(s *api.Status) { s.Level, s.LevelText = "prepare", api.Text{ZH: "准备转移"} }, []string{"准备转移", "tone-orange"}},
		{"level without a colour", func(s *api.Status) { s.Level, s.LevelText = "x", api.Text{ZH: "某级"} }, []string{"某级", "tone-red"}},
		{"level and blind", func(s *api.Status) { s.Level, s.LevelText, s.Blind = "prepare", api.Text{ZH: "准备转移"}, true }, []string{"tone-orange", "无法判断险情"}},
		{"clock", func(s *api.Status) { s.Trust = "free" }, []string{"时钟没有校准"}},
		{"journal", func(s *api.Status) { s.JournalOK, s.Journal = false, api.Text{ZH: "磁盘写满"} }, []string{"日志没有写进磁盘", "磁盘写满"}},
	} {
		box := apitest.New(apitest.Calm)
		box.Edit(c.edit)
		body := send(handler(t, box), viewer, "GET", "/?lang=zh", nil).Body.String()
		for _, want := range c.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s: %q is missing", c.name, want)
			}
		}
		if c.name != "calm" && strings.Contains(body, "平安") != (c.name == "clock" || c.name == "journal") {
			t.Errorf("%s: calm is said wrongly", c.name)
		}
	}
}

func TestStopOfThePageNeedsTheTokenAndAPost(t *testing.T) {
	stop := func(form url.Values, g access.Grant, head ...string) (*httptest.ResponseRecorder, []apitest.Act) {
		box := apitest.New(apitest.Alarm)
		w := send(handler(t, box), g, "POST", "/stop", form, head...)
		return w, box.Acts()
	}
	for name, c := range map[string]struct {
		token  string
		g      access.Grant
		status int
		acted  bool
	}{
		"right": {"GOOD", viewer, 200, true}, "wrong": {"BAD", viewer, 401, false}, "none": {"", viewer, 401, false},
		"nobody": {"GOOD", access.Grant{}, 403, false},
		"owner":  {"", access.Grant{Role: access.Owner, Via: api.ViaSocket}, 200, true},
	} {
		w, acts := stop(url.Values{"token": {c.token}, "who": {"陈志强"}, "lang": {"zh"}}, c.g)
		if w.Code != c.status || (len(acts) == 1) != c.acted {
			t.Errorf("%s: %d, acts %v", name, w.Code, acts)
		}
		if c.acted && (acts[0].Who != api.Who{Name: "陈志强", Via: c.g.Via}) {
			t.Errorf("%s: by %v", name, acts[0].Who)
		}
		if strings.Contains(w.Body.String(), "GOOD") {
			t.Errorf("%s: the token is written back", name)
		}
	}
	if _, acts := stop(url.Values{"token": {"GOOD"}}, viewer); len(acts) != 1 || acts[0].Who.Name != viewer.Addr {
		t.Errorf("without a name: %v", acts)
	}
	if w, acts := stop(url.Values{"token": {"GOOD"}}, viewer, "Content-Type", "text/plain"); len(acts) != 0 || w.Code != 415 {
		t.Errorf("as plain text: %d %v", w.Code, acts)
	}
	w, _ := stop(url.Values{"token": {"BAD"}, "lang": {"en"}}, viewer, "Accept", "application/json")
	if s := w.Body.String(); !strings.Contains(s, `"done":false`) || !strings.Contains(s, "wrong stop token") {
		t.Errorf("for the script: %s", s)
	}
	box := apitest.New(apitest.Alarm)
	for _, p := range []string{"/stop?token=GOOD", "/?token=GOOD", "/live"} {
		send(handler(t, box), viewer, "GET", p, nil)
	}
	if len(box.Acts()) != 0 {
		t.Errorf("a GET acted: %v", box.Acts())
	}
}

func TestAStopThatFailedIsNotSaidToHaveWorked(t *testing.T) {
	box := apitest.New(apitest.Alarm)
	box.Err = phrase.E("serve.no_sound")
	w := send(handler(t, box), viewer, "POST", "/stop", url.Values{"token": {"GOOD"}, "lang": {"zh"}})
	if w.Code != 409 || !strings.Contains(w.Body.String(), "said failed") || strings.Contains(w.Body.String(), "已停止鸣响") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestChineseComesFirst(t *testing.T) {
	h := handler(t, apitest.New(apitest.Calm))
	for header, want := range map[string]string{
		"": "zh-CN", "zh-CN,zh;q=0.9,en;q=0.8": "zh-CN", "en-GB,en;q=0.9": "en", "en;q=0.5,zh;q=0.6": "zh-CN", "fr-FR": "zh-CN",
		"en;q=2": "zh-CN", ";;;,,,": "zh-CN", "EN": "en", "zh-Hant-HK": "zh-CN", strings.Repeat("en,", 5000): "en",
	} {
		body := send(h, viewer, "GET", "/", nil, "Accept-Language", header).Body.String()
		if !strings.Contains(body, `<html lang="`+want+`">`) {
			t.Errorf("%.40q: want %s", header, want)
		}
	}
}

func TestNamesFromOutsideAreOnlyText(t *testing.T) {
	box := apitest.New(apitest.Calm)
	box.Edit(func(s *api.Status) {
		s.Name = phrase.Text{ZH: `<script>x</script>`}
		s.Level, s.LevelText = "x", api.Text{ZH: `"><img src=//evil>`}
	})
	body := send(handler(t, box), viewer, "GET", "/?lang=zh", nil).Body.String()
	if strings.Contains(body, "<script>x") || strings.Contains(body, "<img") {
		t.Error("markup from a name reaches the page")
	}
}

func TestTheScriptStaysSmall(t *testing.T) {
	b, err := os.ReadFile("web/page.js")
	if err != nil {
		t.Fatal(err)
	}
	if len(b) >= 5000 {
		t.Errorf("page.js has %d bytes, 5000 allowed", len(b))
	}
	for _, word := range []string{"eval(", "innerHTML +=", "document.write", "http://", "https://"} {
		if strings.Contains(string(b), word) {
			t.Errorf("page.js has %s", word)
		}
	}
}

// TestContrastHoldsInSunlightAndAtNight computes the contrast (WCAG 2.2) of
// every pair of colours that the style sheet promises.
func TestContrastHoldsInSunlightAndAtNight(t *testing.T) {
	b, err := os.ReadFile("web/style.css")
	if err != nil {
		t.Fatal(err)
	}
	themes := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(string(b), -1)
	if len(themes) != 2 {
		t.Fatalf("%d themes", len(themes))
	}
	for i, theme := range themes {
		c := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6})`).FindAllStringSubmatch(theme[1], -1) {
			c[m[1]] = m[2]
		}
		pairs := [][2]string{{"ink", "paper"}, {"ink", "card"}, {"muted", "paper"}, {"muted", "card"}, {"on-calm", "card"}, {"on-fault", "card"}, {"ink", "rule"}}
		for k := range c {
			if c["on-"+k] != "" {
				pairs = append(pairs, [2]string{"on-" + k, k})
			}
		}
		if len(pairs) < 16 {
			t.Fatalf("theme %d: only %d pairs", i, len(pairs))
		}
		for _, p := range pairs {
			if r := contrast(c[p[0]], c[p[1]]); r < 7 {
				t.Errorf("theme %d: %s on %s is %.2f:1", i, p[0], p[1], r)
			}
		}
	}
}

func contrast(a, b string) float64 {
	x, y := luminance(a)+0.05, luminance(b)+0.05
	return math.Max(x, y) / math.Min(x, y)
}

func luminance(hex string) float64 {
	if len(hex) != 7 {
		return math.NaN()
	}
	l := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, _ := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		v := float64(n) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		l += weight * v
	}
	return l
}

func FuzzWhatIsAskedOfThePageNeverBreaksIt(f *testing.F) {
	f.Add("lang=zh", "en;q=0.5,zh", "token=GOOD&who=%E9%99%88")
	f.Add("lang=%zz&lang=en", ";q=,;q=NaN", "token=%zz&&;")
	f.Add("", "en;q=Inf", "who="+strings.Repeat("%00", 100)+"&token=GOOD")
	box := apitest.New(apitest.Blind)
	h := handler(f, box)
	f.Fuzz(func(t *testing.T, query, accept, form string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = query
		r.Header.Set("Accept-Language", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(api.WithGrant(r.Context(), viewer)))
		if w.Code != 200 {
			t.Fatalf("GET: %d", w.Code)
		}
		before := len(box.Acts())
		r = httptest.NewRequest("POST", "/stop", strings.NewReader(form))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w = httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(api.WithGrant(r.Context(), viewer)))
		acts := box.Acts()
		if w.Code >= 500 || (len(acts) > before) != (w.Code == 200) {
			t.Fatalf("POST %q: %d, %d acts", form, w.Code, len(acts)-before)
		}
		for _, a := range acts[before:] {
			if a.Who.Name == "" || len([]rune(a.Who.Name)) > 64 {
				t.Fatalf("%q stopped as %q", form, a.Who.Name)
			}
		}
	})
}

func TestTheLinksPanelSaysWhatIsDownWhatItCostsAndWhatTheCountyHas(t *testing.T) {
	for lang, want := range map[string][]string{
		"zh": {"通往县里的链路", "光纤", "不通", "对方没有应答（连续 3 次）", "送达率 82%", "回执约 12 秒", "41 秒后可发下一条", "在途 1 批", "可用 12.40 元（最多 15.00 元，其中 4.50 元留给预警、指令和回执）", "只收不发", "红色、橙色警报",
			"上报 4 个测点", "短信，用时 31 分钟，超时", "县里已收到：短信，用时 31 分钟；北斗短报文，用时 6.4 秒"},
		"en": {"Links to the county", "Fibre", "the far end does not answer (3 times in a row)", "82% arrive", "receipt in about 12 s", "next message in 41 s", "¥12.40 of ¥15.00 left", "listens only", "red and orange alarms",
			"4 points are told", "by SMS in 31 min, late", "the county has it: by SMS in 31 min; by BeiDou in 6.4 s"},
	} {
		text := tag.ReplaceAllString(send(handler(t, apitest.New(apitest.Alarm)), viewer, "GET", "/?lang="+lang, nil).Body.String(), " ")
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: no %q", lang, w)
			}
		}
	}
	calm := send(handler(t, apitest.New(apitest.Calm)), viewer, "GET", "/?lang=en", nil).Body.String()
	if !strings.Contains(calm, "none: the county has all of them") || strings.Contains(calm, "the county has it:") {
		t.Error("in calm weather nothing waits and no alarm was heard of")
	}
	alone := send(handler(t, lonely{apitest.New(apitest.Calm)}), viewer, "GET", "/?lang=en", nil).Body.String()
	if strings.Contains(alone, "Links to the county") {
		t.Error("a box without a county shows links")
	}
}

func TestTheTimesPanelSaysWhatHoldsTheClockAndWhoIsTold(t *testing.T) {
	for lang, want := range map[string][]string{
		"zh": {"时间来源和第三方平台", "时钟以 sky（卫星接收机）为准", "误差不超过 600ms", "网络对时", "备用", "时钟芯片差得太远", "MQTT province", "未连接", "已推送 512 条"},
		"en": {"Time and other platforms", "The clock goes by sky (satellite receiver)", "within 600ms", "stands by", "the chip is too far off", "not connected", "512 told"},
	} {
		text := tag.ReplaceAllString(send(handler(t, apitest.New(apitest.Calm)), viewer, "GET", "/?lang="+lang, nil).Body.String(), " ")
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: no %q", lang, w)
			}
		}
	}
}

// lonely is a box that tells nobody.
type lonely struct{ api.Box }

func (lonely) Links() api.Links { return api.Links{} }
