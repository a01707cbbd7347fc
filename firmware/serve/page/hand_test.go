package page_test

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/api/apitest"
	"tocsin/firmware/serve/page"
)

func as(r access.Role) access.Grant {
	return access.Grant{Role: r, Via: api.ViaPage, Addr: "192.168.1.77", Account: "chen", Name: "陈志强"}
}

var loads = regexp.MustCompile(`(?:src|href)="(/page/[^"]+)"`)

func TestTheTwoPagesAreSmallInOneLanguageAndAskForNothingOutside(t *testing.T) {
	for _, state := range []string{apitest.Calm, apitest.Alarm, apitest.Blind} {
		h := handler(t, apitest.New(state))
		for path, role := range map[string]access.Role{"/cadre": access.Cadre, "/rescue": access.Technician, "/cadre/record": access.Cadre} {
			for _, lang := range []string{"zh", "en"} {
				for _, g := range []access.Grant{as(role), viewer, {Role: access.Nobody, Via: api.ViaPage}} {
					w := send(h, g, "GET", path+"?lang="+lang, nil)
					body := w.Body.String()
					if w.Code != http.StatusOK {
						t.Fatalf("%s as %s: %d", path, g.Role, w.Code)
					}
					all := len(body)
					for _, m := range loads.FindAllStringSubmatch(body, -1) {
						all += send(h, g, "GET", m[1], nil).Body.Len()
					}
					if all >= 10_000 {
						t.Errorf("%s in %s as %s loads %d bytes", path, lang, g.Role, all)
					}
					text := html.UnescapeString(tag.ReplaceAllString(body, " "))
					if m := codeShown.FindString(text); m != "" || strings.Contains(text, "hand.") {
						t.Errorf("%s: %q is shown", path, m)
					}
					if out := outside.FindString(body); out != "" || inline.MatchString(body) {
						t.Errorf("%s: outside %q or inline %q", path, out, inline.FindString(body))
					}
					for _, own := range []string{"中文", "陈志强", "李梅", "新雨量计", "黄渡", "停水", "收谷"} {
						text = strings.ReplaceAll(text, own, "")
					}
					if lang == "en" && han.MatchString(text) {
						t.Errorf("%s has Chinese in English: %s", path, strings.Join(strings.Fields(text), " "))
					}
					if !strings.Contains(body, `action="`+path+`/stop"`) {
						t.Errorf("%s as %s has no STOP", path, g.Role)
					}
					t.Logf("%s %s %s %s: %d bytes in all, %d of them the page", path, lang, state, g.Role, all, len(body))
				}
			}
		}
	}
}

func TestScriptsAreSentWithoutWhatNothingNeeds(t *testing.T) {
	h := handler(t, apitest.New(apitest.Calm))
	for _, name := range []string{"hand.js", "hand-record.js"} {
		sent := send(h, viewer, "GET", "/page/"+name, nil).Body.String()
		b, err := os.ReadFile("web/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if len(sent) > len(b)*9/10 {
			t.Errorf("%s: %d of %d bytes", name, len(sent), len(b))
		}
		quoted := regexp.MustCompile(`"[^"]*"`)
		if got, want := quoted.FindAllString(sent, -1), quoted.FindAllString(regexp.MustCompile(`(?m)^ *//.*$`).ReplaceAllString(string(b), ""), -1); !slices.Equal(got, want) {
			t.Errorf("%s: what it says changed: %q", name, got)
		}
		words := regexp.MustCompile(`[A-Za-z_$][\w$]*|[+-]+`)
		if !slices.Equal(words.FindAllString(sent, -1), words.FindAllString(regexp.MustCompile(`(?m)^ *//.*$`).ReplaceAllString(string(b), ""), -1)) {
			t.Errorf("%s: words run together", name)
		}
	}
}

func TestACadreWithoutScriptSaysEvacuatesAndStops(t *testing.T) {
	box := apitest.New(apitest.Calm)
	h := handler(t, box)
	page := send(h, as(access.Cadre), "GET", "/cadre?lang=zh", nil).Body.String()
	key := regexp.MustCompile(`name="key" value="([0-9a-f]+)"`).FindStringSubmatch(page)
	if key == nil || !strings.Contains(page, `name="message" value="river"`) || !strings.Contains(page, `value="evacuate"`) {
		t.Fatal(page)
	}
	w := send(h, as(access.Cadre), "POST", "/cadre/say", url.Values{"message": {"river"}, "key": {key[1]}, "lang": {"zh"}})
	if w.Code != http.StatusSeeOther {
		t.Fatal(w.Code, w.Body)
	}
	to := w.Header().Get("Location")
	if after := send(h, as(access.Cadre), "GET", to, nil).Body.String(); !strings.Contains(after, "已送到 1 个喇叭播报") {
		t.Error("it does not say that it was said")
	}
	w = send(h, as(access.Cadre), "POST", "/cadre/arm", url.Values{"level": {"evacuate"}, "lang": {"zh"}})
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `value="WORD23"`) || strings.Contains(w.Body.String(), "http-equiv") {
		t.Fatal(w.Code, w.Body)
	}
	w = send(h, as(access.Cadre), "POST", "/cadre/evacuate", url.Values{"word": {"WORD23"}, "lang": {"zh"}})
	if w.Code != http.StatusSeeOther {
		t.Fatal(w.Code, w.Body)
	}
	w = send(h, as(access.Cadre), "POST", "/cadre/stop", url.Values{"lang": {"zh"}})
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), phrase.M("serve.stopped").In(phrase.ZH)) {
		t.Fatal(w.Code, w.Body)
	}
	var did []string
	for _, a := range box.Acts() {
		did = append(did, a.What)
		if a.Who.Name != "陈志强" {
			t.Errorf("%+v", a)
		}
	}
	if strings.Join(did, " ") != "say arm evacuate stop" {
		t.Errorf("%v", did)
	}
}

func TestARecordingIsSentListenedToAndPutToUse(t *testing.T) {
	box := apitest.New(apitest.Calm)
	pages, err := page.New(box, verifier("GOOD"), page.Opts{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := api.New(box, api.Opts{Token: verifier("GOOD"), Pages: pages}) // with the gate, which bounds what comes in
	if err != nil {
		t.Fatal(err)
	}
	h := s.Handler()
	post := func(g access.Grant, path, kind, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "http://192.168.1.5"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(api.WithGrant(r.Context(), g)))
		return w
	}
	const form = "multipart/form-data; boundary=B"
	file := "--B\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\n停水\r\n--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFFsound\r\n--B--\r\n"
	if w := post(as(access.Cadre), "/cadre/record?lang=zh", form, file); w.Code != http.StatusSeeOther {
		t.Fatal(w.Code, w.Body)
	}
	for what, body := range map[string]string{"no file": "--B--\r\n", "not WAV": strings.Replace(file, "RIFFsound", "m4a", 1), "no end": file[:60]} {
		if w := post(as(access.Cadre), "/cadre/record?lang=zh", form, body); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "said bad") {
			t.Errorf("%s: %d", what, w.Code)
		}
	}
	if large := strings.Replace(file, "RIFFsound", "RIFF"+strings.Repeat("x", api.LargestRecording-1024), 1); post(as(access.Cadre), "/cadre/record", form, large).Code != http.StatusSeeOther {
		t.Error("half a minute of the best microphone is refused")
	}
	if large := strings.Replace(file, "RIFFsound", "RIFF"+strings.Repeat("x", api.LargestRecording), 1); !strings.Contains(post(as(access.Cadre), "/cadre/record?lang=en", form, large).Body.String(), "larger than 6 MiB") {
		t.Error("a file without bounds is taken")
	}
	if w := post(viewer, "/cadre/record?lang=zh", form, file); w.Code != http.StatusUnauthorized {
		t.Errorf("a viewer records: %d", w.Code)
	}
	w := send(h, as(access.Cadre), "GET", "http://192.168.1.5/cadre/record/rec-2", nil)
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "audio/wav" || w.Body.String() != "RIFF" {
		t.Error(w.Code, w.Header())
	}
	if w := send(h, viewer, "GET", "http://192.168.1.5/cadre/record/rec-2", nil); w.Code == http.StatusOK {
		t.Error("a viewer listens")
	}
	const plain = "application/x-www-form-urlencoded"
	if w := post(as(access.Cadre), "/cadre/record/use", plain, "id=rec-2"); w.Code != http.StatusSeeOther {
		t.Error(w.Code)
	}
	// One in use is an operator's to delete.
	for _, x := range []struct {
		role access.Role
		id   string
		want int
	}{{access.Cadre, "rec-1", http.StatusConflict}, {access.Cadre, "rec-2", http.StatusSeeOther}, {access.Operator, "rec-1", http.StatusSeeOther}} {
		if w := post(as(x.role), "/cadre/record/drop", plain, "id="+x.id); w.Code != x.want {
			t.Errorf("%s deletes %s: %d", x.role, x.id, w.Code)
		}
	}
	var did []string
	for _, a := range box.Acts() {
		did = append(did, a.What+" "+a.ID)
	}
	if got := strings.Join(did, ", "); got != "record 停水, record 停水, use-recording rec-2, drop-recording rec-2, drop-recording rec-1" {
		t.Error(got)
	}
}

func TestWhoMayNotIsToldToSignInAndTheTokenStops(t *testing.T) {
	box := apitest.New(apitest.Alarm)
	h := handler(t, box)
	for _, path := range []string{"/cadre/say", "/cadre/arm", "/cadre/evacuate", "/rescue/back", "/rescue/restart", "/rescue/update", "/rescue/activate"} {
		w := send(h, viewer, "POST", path, url.Values{"message": {"river"}, "word": {"WORD23"}, "base": {"2"}, "lang": {"en"}})
		if w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), "/sign-in?to=") {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := send(h, as(access.Cadre), "POST", "/rescue/restart", url.Values{}); w.Code != http.StatusUnauthorized {
		t.Errorf("a cadre restarts: %d", w.Code)
	}
	if n := len(box.Acts()); n != 0 {
		t.Errorf("the box acted: %v", box.Acts())
	}
	for token, want := range map[string]int{"WRONG": 401, "GOOD": 200} {
		if w := send(h, access.Grant{Role: access.Nobody, Via: api.ViaPage, Addr: "1"}, "POST", "/cadre/stop", url.Values{"token": {token}}); w.Code != want {
			t.Errorf("%s: %d", token, w.Code)
		}
	}
}

func TestTheRescuePageTakesBackWhatItShowedAndNothingNewer(t *testing.T) {
	box := apitest.New(apitest.Calm)
	h := handler(t, box)
	if body := send(h, as(access.Technician), "GET", "/rescue?lang=zh", nil).Body.String(); !strings.Contains(body, `name="base" value="2"`) || !strings.Contains(body, "退回第 1 版") || !strings.Contains(body, "/api/v1/support-bundle") {
		t.Fatal(body)
	}
	if w := send(h, as(access.Technician), "POST", "/rescue/back", url.Values{"base": {"1"}}); w.Code != http.StatusConflict || len(box.Acts()) != 0 {
		t.Errorf("an old page took back: %d", w.Code)
	}
	if w := send(h, as(access.Technician), "POST", "/rescue/back", url.Values{"base": {"2"}}); w.Code != http.StatusSeeOther || box.Acts()[0].What != "back" {
		t.Errorf("%d %v", w.Code, box.Acts())
	}
}

func TestTheRescuePageBringsAReleaseByAPlainForm(t *testing.T) {
	box := apitest.New(apitest.Calm)
	h := handler(t, box)
	post := func(g access.Grant, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/rescue/update?lang=en", strings.NewReader(body))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=B")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(api.WithGrant(r.Context(), g)))
		return w
	}
	file := "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\nrelease\r\n--B--\r\n"
	if w := post(as(access.Operator), file); w.Code != http.StatusUnauthorized || len(box.Acts()) != 0 {
		t.Errorf("an operator: %d %v", w.Code, box.Acts())
	}
	if w := post(as(access.Technician), "--B--\r\n"); w.Code != http.StatusConflict || len(box.Acts()) != 0 {
		t.Errorf("no file: %d %v", w.Code, box.Acts())
	}
	// What is larger than may be is not called a file that was cut short.
	r := httptest.NewRequest("POST", "/rescue/update?lang=en", strings.NewReader(strings.Replace(file, "release", strings.Repeat("x", 9000), 1)))
	r.Header.Set("Content-Type", "multipart/form-data; boundary=B")
	w := httptest.NewRecorder()
	r.Body = http.MaxBytesReader(w, r.Body, 5000)
	if h.ServeHTTP(w, r.WithContext(api.WithGrant(r.Context(), as(access.Technician)))); w.Code != http.StatusRequestEntityTooLarge || !strings.Contains(w.Body.String(), "bring a smaller one") || len(box.Acts()) != 0 {
		t.Errorf("a large file: %d %v %s", w.Code, box.Acts(), w.Body)
	}
	if w := post(as(access.Technician), file); w.Code != http.StatusSeeOther || len(box.Acts()) != 1 || box.Acts()[0].Who.Name != "陈志强" {
		t.Errorf("%d %v %s", w.Code, box.Acts(), w.Body)
	}
}
