package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/api/apitest"
)

var viewer = access.Grant{Role: access.Viewer, Via: api.ViaPage, Addr: "192.168.1.77"}
var owner = access.Grant{Role: access.Owner, Via: api.ViaSocket, Addr: "uid 0"}

func as(g access.Grant, r *http.Request) *http.Request {
	return r.WithContext(api.WithGrant(r.Context(), g))
}

func TestTheHostMustBeTheBoxItself(t *testing.T) {
	h := newServer(t, apitest.New(apitest.Calm), api.Opts{Names: []string{"tocsin.local", "Box-7"}}).Handler()
	for host, want := range map[string]int{
		"192.168.1.5": 200, "192.168.1.5:8080": 200, "[fd00::5]:8080": 200, "[fd00::5]": 200, "localhost:80": 200, "127.0.0.1": 200,
		"tocsin.local": 200, "TOCSIN.local.:8080": 200, "box-7": 200,
		"evil.example": 421, "evil.example:8080": 421, "192.168.1.5.evil.example": 421, "tocsin.local.evil.example": 421,
		"localhost.evil.example": 421, "": 421, "0x7f000001": 421, "2130706433": 421, "fe80::1%25eth0": 421,
	} {
		r := httptest.NewRequest("GET", "http://x/api/v1/status", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, as(viewer, r))
		if w.Code != want {
			t.Errorf("Host %q: %d, want %d", host, w.Code, want)
		}
	}
	for _, n := range []string{"*.local", "a:80", "", "http://x"} {
		if _, err := api.New(apitest.New(apitest.Calm), api.Opts{Names: []string{n}}); err == nil {
			t.Errorf("the name %q is taken", n)
		}
	}
}

func TestEveryAnswerCarriesTheHeadersThatProtect(t *testing.T) {
	h := newServer(t, apitest.New(apitest.Alarm), api.Opts{}).Handler()
	for _, p := range []string{"/api/v1/status", "/api/v1/nothing", "/metrics", "/", "/api/v1/soundings/last.wav", "/api/v1/openapi.json"} {
		w := call(h, viewer, operation{method: "GET", path: p}, "", "")
		for k, want := range map[string]string{
			"Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'", "X-Content-Type-Options": "nosniff",
			"Cache-Control": "no-store", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
		} {
			if !strings.HasPrefix(w.Header().Get(k), want) {
				t.Errorf("%s: %s is %q", p, k, w.Header().Get(k))
			}
		}
		if w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s sets a cookie", p)
		}
	}
}

func TestAnotherSiteCannotAct(t *testing.T) {
	box := apitest.New(apitest.Alarm)
	h := newServer(t, box, api.Opts{Token: verifier("GOOD")}).Handler()
	for _, head := range []map[string]string{
		{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://evil.example"}, {"Origin": "null"},
		{"Origin": "http://192.168.1.5:9999"},
	} {
		r := httptest.NewRequest("POST", "http://192.168.1.5/api/v1/stop", strings.NewReader(`{}`))
		r.Header.Set("Authorization", "Bearer GOOD")
		for k, v := range head {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, as(viewer, r))
		if w.Code != http.StatusForbidden {
			t.Errorf("%v: %d", head, w.Code)
		}
	}
	if len(box.Acts()) != 0 {
		t.Errorf("the box acted: %v", box.Acts())
	}
	r := httptest.NewRequest("POST", "http://192.168.1.5/api/v1/stop", strings.NewReader(`{}`))
	r.Header.Set("Authorization", "bearer GOOD")
	r.Header.Set("Origin", "http://192.168.1.5")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, as(viewer, r))
	if acts := box.Acts(); w.Code != 200 || len(acts) != 1 || acts[0].Who != (api.Who{Name: viewer.Addr, Via: "page"}) {
		t.Errorf("the page itself: %d %s, %v", w.Code, w.Body, acts)
	}
}

func TestRefusalsSpeakBothLanguagesWithACode(t *testing.T) {
	box := apitest.New(apitest.Calm)
	h := newServer(t, box, api.Opts{Token: verifier("GOOD"), Limits: api.Limits{Body: 512}}).Handler()
	big := `{"who":"` + strings.Repeat("x", 2000) + `"}`
	for name, c := range map[string]struct {
		g                         access.Grant
		method, path, body, token string
		status                    int
		code                      string
	}{
		"nobody":          {access.Grant{}, "GET", "/api/v1/status", "", "", 403, "serve.nobody"},
		"no token":        {viewer, "POST", "/api/v1/stop", "{}", "", 401, "serve.needs_token"},
		"wrong token":     {viewer, "POST", "/api/v1/stop", "{}", "BAD", 401, "serve.wrong_token"},
		"read only":       {viewer, "POST", "/api/v1/raise", bodies["raise"], "GOOD", 403, "serve.forbidden"},
		"no path":         {viewer, "GET", "/api/v1/no", "", "", 404, "serve.no_path"},
		"no sound":        {viewer, "GET", "/api/v1/soundings/last.wav", "", "", 404, "serve.no_sound"},
		"no name":         {owner, "POST", "/api/v1/stop", "{}", "", 422, "serve.needs_name"},
		"blank name":      {owner, "POST", "/api/v1/stop", `{"who":" \u202e\u0007 "}`, "", 422, "serve.needs_name"},
		"blank reason":    {owner, "POST", "/api/v1/raise", `{"level":"x","who":"a","reason":"  "}`, "", 422, "serve.needs_reason"},
		"unknown key":     {owner, "POST", "/api/v1/stop", `{"who":"a","force":true}`, "", 422, "serve.bad_request"},
		"not JSON":        {owner, "POST", "/api/v1/stop", `{`, "", 400, "serve.bad_request"},
		"too large":       {owner, "POST", "/api/v1/stop", big, "", 413, "serve.too_large"},
		"unknown query":   {viewer, "GET", "/api/v1/status?x=1", "", "", 422, "serve.bad_request"},
		"limit too high":  {viewer, "GET", "/api/v1/journal?limit=100000", "", "", 422, "serve.bad_request"},
		"negative after":  {viewer, "GET", "/api/v1/journal?after=-1", "", "", 422, "serve.bad_request"},
		"after no number": {viewer, "GET", "/api/v1/journal/stream?after=x", "", "", 422, "serve.bad_request"},
	} {
		w := call(h, c.g, operation{method: c.method, path: c.path}, c.body, c.token)
		var p api.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Errorf("%s: %v in %s", name, err, w.Body)
			continue
		}
		if w.Code != c.status || p.Status != c.status || p.Code != c.code {
			t.Errorf("%s: %d %s, want %d %s (%s)", name, w.Code, p.Code, c.status, c.code, w.Body)
		}
		if !strings.ContainsFunc(p.ZH, func(r rune) bool { return unicode.Is(unicode.Han, r) }) || p.EN == "" || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %s %+v", name, w.Header().Get("Content-Type"), p)
		}
	}
	if len(box.Acts()) != 0 {
		t.Errorf("the box acted: %v", box.Acts())
	}
}

func TestWhatTheBoxSaysPassesAndWhatIsInsideDoesNot(t *testing.T) {
	box := apitest.New(apitest.Calm)
	h := newServer(t, box, api.Opts{}).Handler()
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{phrase.E("serve.no_sound"), 409, "serve.no_sound"},
		{phrase.Wrap(api.ErrUnknown, "serve.not_found"), 404, "serve.not_found"},
		{api.ErrUnknown, 404, "serve.not_found"},
		{secretError{}, 500, "serve.internal"},
	} {
		box.Err = c.err
		w := call(h, owner, operation{method: "POST", path: "/api/v1/alarms/{id}/acknowledge"}, `{"who":"a"}`, "")
		var p api.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != c.status || p.Code != c.code || strings.Contains(w.Body.String(), "/var/lib") {
			t.Errorf("%v: %d %s", c.err, w.Code, w.Body)
		}
	}
}

type secretError struct{}

func (secretError) Error() string { return "open /var/lib/tocsin/secret: no" }

func FuzzBodiesNeverBreakTheServer(f *testing.F) {
	for id, b := range bodies {
		f.Add(id, b)
	}
	f.Add("raise", `{"level":"\u0000","who":"\ud800","reason":"`+strings.Repeat("深", 600)+`"}`)
	f.Add("stop", `[[[[[[[[[[`)
	f.Add("stop", `{"who":1e999}`)
	paths := map[string]string{"stop": "/stop", "acknowledge": "/alarms/{id}/acknowledge", "release": "/alarms/{id}/release", "raise": "/raise", "set": "/setpoints/{id}"}
	box := apitest.New(apitest.Alarm)
	s, err := api.New(box, api.Opts{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id, body string) {
		path, ok := paths[id]
		if !ok {
			t.Skip()
		}
		before := len(box.Acts())
		w := call(s.Handler(), owner, operation{method: "POST", path: "/api/v1" + path}, body, "")
		if w.Code >= 500 {
			t.Fatalf("%s %q: %d %s", id, body, w.Code, w.Body)
		}
		acts := box.Acts()
		if (len(acts) > before) != (w.Code < 300) {
			t.Fatalf("%s %q: %d, and acted: %v", id, body, w.Code, len(acts) > before)
		}
		for _, a := range acts[before:] {
			for _, s := range []string{a.Who.Name, a.Reason} {
				if strings.ContainsFunc(s, unicode.IsControl) || len([]rune(s)) > 500 || a.Who.Name == "" {
					t.Fatalf("%q got through as %+v", body, a)
				}
			}
		}
	})
}

func TestADocumentHasRoomForWhoMayChangeItAlone(t *testing.T) {
	h := newServer(t, apitest.New(apitest.Calm), api.Opts{}).Handler()
	body := `{"document":"` + strings.Repeat("# a comment\\n", 60_000) + `"}`
	op := operation{method: "POST", path: "/api/v1/config/check"}
	if w := call(h, access.Grant{Role: access.Technician, Via: api.ViaSocket}, op, body, ""); w.Code != http.StatusOK {
		t.Errorf("a technician: %d %s", w.Code, w.Body)
	}
	if w := call(h, access.Grant{Role: access.Operator, Via: api.ViaSocket}, op, body, ""); w.Code < 400 {
		t.Errorf("an operator: %d", w.Code)
	}
}

// The gate and an operation each bound a body: whichever is met first, the answer is that
// the body is too large, and what to do.
func TestABodyAboveItsBoundIsSaidToBeTooLarge(t *testing.T) {
	h := newServer(t, apitest.New(apitest.Calm), api.Opts{}).Handler()
	said := func(path string, body io.Reader) {
		t.Helper()
		r := httptest.NewRequest("POST", "http://192.168.1.5/api/v1"+path, body)
		r.Header.Set("Content-Type", "application/json")
		ctx, cancel := shortContext(api.WithGrant(r.Context(), owner))
		defer cancel()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(ctx))
		if w.Code != http.StatusRequestEntityTooLarge || !strings.Contains(w.Body.String(), "smaller") || !strings.Contains(w.Body.String(), "小一些") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	large := strings.Repeat("x", api.LargestPhoto+1)
	tried := 0
	for _, op := range operations(t) {
		if op.method == http.MethodPost && op.Body != nil && op.ID != "stage-release" && op.ID != "speak" {
			said(strings.NewReplacer("/api/v1", "", "{id}", "a-1", "{number}", "1").Replace(op.path), strings.NewReader(large))
			tried++
		}
	}
	if tried < 20 {
		t.Errorf("%d operations were tried", tried)
	}
	// A release is read as it comes, and whoever reads it calls it cut short.
	said("/update/file", io.LimitReader(zeros{}, api.LargestRelease+1))
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestASealedExportHasRoomForAnOwner(t *testing.T) {
	h := newServer(t, apitest.New(apitest.Calm), api.Opts{}).Handler()
	body := `{"passphrase":"x","who":"王工","sealed":"` + strings.Repeat("A", 5_000_000) + `"}`
	if w := call(h, owner, operation{method: "POST", path: "/api/v1/config/sealed"}, body, ""); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
