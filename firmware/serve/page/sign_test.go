package page_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/api/apitest"
	"tocsin/firmware/serve/certificate"
	"tocsin/firmware/serve/page"
)

const password = "稻田 山路 水车 board"

// house is a served box with sign-in and TLS.
type house struct {
	*api.Server
	door  *access.Door
	box   *apitest.Box
	https string
	http  string
	pool  *x509.CertPool
	kept  chan api.Audited
}

func serveHouse(t *testing.T, at string, strangers access.Role) *house {
	t.Helper()
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	door, err := access.OpenDoor(access.DoorOpts{Dir: dir, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ca, err := certificate.Open(certificate.Opts{Dir: dir, Station: "441882103201", Hosts: func() []string { return nil }, Addrs: func() []netip.Addr { return nil }, Log: log,
		Now: func() clock.Stamp { return clock.Stamp{Wall: time.Now(), Trust: clock.Set} }, Floor: func() time.Time { return time.Time{} }})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{door: door, box: apitest.New(apitest.Alarm), pool: x509.NewCertPool(), kept: make(chan api.Audited, 100)}
	x, _ := x509.ParseCertificate(ca.DER())
	h.pool.AddCert(x)
	pages, err := page.New(h.box, verifier("GOOD"), page.Opts{Log: log, Door: door, Authority: ca})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	g := guard.New(ctx, nil, nil)
	h.Server, err = api.New(h.box, api.Opts{Guard: g, Log: log, Token: verifier("GOOD"), Pages: pages, Door: door, TLS: ca.Config(),
		Strangers: func() access.Role { return strangers }, Audit: func(a api.Audited) { h.kept <- a }})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.ServeLAN(ctx, net.JoinHostPort(at, "0")); err != nil || h.LANAddr() == "" {
		t.Fatal("not listening: ", err)
	}
	t.Cleanup(func() {
		cancel()
		if left := g.Wait(10 * time.Second); left != nil {
			t.Errorf("still running: %v", left)
		}
	})
	h.https, h.http = "https://"+h.LANAddr(), "http://"+h.LANAddr()
	return h
}

// away is an address of this machine that is not the loopback.
func away(t *testing.T) string {
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() && n.IP.IsPrivate() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has no private address but the loopback")
	return ""
}

func (h *house) browser() *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{Jar: jar, Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: h.pool}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func do(t *testing.T, c *http.Client, method, u string, form url.Values, head ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, u, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp, string(b)
}

func TestFromTheLabelToSignedOut(t *testing.T) {
	h := serveHouse(t, "127.0.0.1", access.Viewer)
	c := h.browser()
	secret := h.door.SetupSecret()
	if _, body := do(t, c, "GET", h.https+"/setup?lang=zh", nil); !strings.Contains(body, "标签上的开通码") || strings.Contains(body, secret) {
		t.Error(body)
	}
	form := url.Values{"secret": {secret}, "account": {"chen"}, "name": {"陈志强"}, "password": {password}, "again": {password}, "lang": {"zh"}}
	resp, body := do(t, c, "POST", h.https+"/setup", form)
	if resp.StatusCode != 303 || resp.Header.Get("Location") != "/console/#/wizard" {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	k := resp.Cookies()[0]
	if k.Name != "__Host-tocsin" || !k.HttpOnly || !k.Secure || k.SameSite != http.SameSiteLaxMode || k.Path != "/" || k.Domain != "" || k.MaxAge != 0 {
		t.Errorf("cookie %+v", k)
	}
	if resp, body := do(t, h.browser(), "POST", h.https+"/setup", form); resp.StatusCode != 409 || !strings.Contains(body, "开通已关闭") {
		t.Errorf("the same label again: %d", resp.StatusCode)
	}
	if _, body := do(t, c, "GET", h.https+"/api/v1/session", nil); !strings.Contains(body, `"role":"owner"`) || !strings.Contains(body, `"陈志强"`) {
		t.Error(body)
	}
	if resp, _ := do(t, c, "GET", h.https+"/api/v1/users", nil); resp.StatusCode != 200 {
		t.Errorf("the owner sees no users: %d", resp.StatusCode)
	}
	if resp, _ := do(t, c, "POST", h.https+"/sign-out", url.Values{}); resp.StatusCode != 303 {
		t.Errorf("%d", resp.StatusCode)
	}
	if resp, _ := do(t, c, "GET", h.https+"/api/v1/users", nil, "Cookie", k.Name+"="+k.Value); resp.StatusCode != 403 {
		t.Errorf("the session goes on after signing out: %d", resp.StatusCode)
	}
	resp, body = do(t, c, "POST", h.https+"/sign-in", url.Values{"account": {"chen"}, "password": {"wrong"}, "to": {"/console/#/alarms"}, "lang": {"zh"}})
	if resp.StatusCode != 401 || !strings.Contains(body, "账号或密码不对") || strings.Contains(body, "wrong") || !strings.Contains(body, `value="chen"`) || len(resp.Cookies()) != 0 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	resp, _ = do(t, c, "POST", h.https+"/sign-in", url.Values{"account": {"chen"}, "password": {password}, "to": {"/console/#/alarms"}})
	if resp.StatusCode != 303 || resp.Header.Get("Location") != "/console/#/alarms" || len(resp.Cookies()) != 1 || resp.Cookies()[0].Value == k.Value {
		t.Errorf("%d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	if resp, body := do(t, c, "POST", h.https+"/api/v1/stop", nil, "Content-Type", "application/json"); resp.StatusCode < 400 {
		t.Errorf("an empty STOP: %d %s", resp.StatusCode, body)
	}
	// What was kept of it: who and what, and no secret.
	close(h.kept)
	ops := ""
	for a := range h.kept {
		ops += a.Path + " " + a.Account + ";"
		for _, s := range []string{a.Path, a.Account, a.Name, a.Target, a.Old, a.New} {
			if strings.Contains(s, secret) || strings.Contains(s, password) {
				t.Errorf("a secret is kept: %+v", a)
			}
		}
	}
	if !strings.HasPrefix(ops, "/setup chen;/setup ;/sign-out chen;/sign-in ;/sign-in chen;") {
		t.Error(ops)
	}
}

// guarded is a door whose line is as the test says.
type guarded struct {
	page.Door
	err error
}

func (g guarded) SignIn(context.Context, string, string, string, string, string) (access.Entry, error) {
	return access.Entry{}, g.err
}

func TestWhoMustWaitIsToldHowLong(t *testing.T) {
	door, err := access.OpenDoor(access.DoorOpts{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for code, c := range map[string]struct {
		err    error
		status int
		retry  string
	}{
		"wrong": {phrase.E("access.wrong"), http.StatusUnauthorized, ""},
		"slow":  {phrase.E("access.slow", "seconds", 5), http.StatusTooManyRequests, "5"},
		"busy":  {phrase.E("access.busy"), http.StatusServiceUnavailable, "5"},
	} {
		pages, err := page.New(apitest.New(apitest.Alarm), nil, page.Opts{Door: guarded{door, c.err}})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, api.SignInPath, strings.NewReader("account=chen&password=x"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		pages.ServeHTTP(w, r.WithContext(api.WithGrant(r.Context(), access.Grant{Role: access.Viewer, Via: api.ViaPage, Addr: "127.0.0.1"})))
		if w.Code != c.status || w.Header().Get("Retry-After") != c.retry || !strings.Contains(w.Body.String(), phrase.Of(c.err).In(phrase.ZH)) {
			t.Errorf("%s: %d, Retry-After %q", code, w.Code, w.Header().Get("Retry-After"))
		}
	}
}

func TestAPasswordTypedAsAnAccountIsKeptNowhere(t *testing.T) {
	h := serveHouse(t, "127.0.0.1", access.Viewer)
	if _, err := h.door.Add(t.Context(), "", "chen", "", access.Owner, password); err != nil {
		t.Fatal(err)
	}
	noted := func(account string) string {
		_, body := do(t, h.browser(), http.MethodPost, h.https+api.SignInPath, url.Values{"account": {account}, "password": {"wrong"}})
		_ = body
		return (<-h.kept).Target
	}
	if got := noted(" ＣＨＥＮ"); got != "chen" {
		t.Errorf("an account that there is: %q", got)
	}
	typed := noted(password)
	if strings.Contains(typed, "稻田") || !strings.HasPrefix(typed, "unknown #") || noted(password) != typed || noted(password+"2") == typed {
		t.Errorf("a password typed as an account is noted as %q", typed)
	}
}

func TestOtherSitesCannotSignAnybodyInOrOut(t *testing.T) {
	h := serveHouse(t, "127.0.0.1", access.Viewer)
	if _, err := h.door.Add(t.Context(), "", "chen", "", access.Owner, password); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/sign-in", "/setup", "/account", "/sign-out"} {
		for _, head := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
			resp, _ := do(t, h.browser(), "POST", h.https+path, url.Values{"account": {"chen"}, "password": {password}}, head...)
			if resp.StatusCode != 403 || len(resp.Cookies()) != 0 {
				t.Errorf("%s with %v: %d", path, head, resp.StatusCode)
			}
		}
	}
	resp, _ := do(t, h.browser(), "POST", h.https+"/sign-in", url.Values{"account": {"chen"}, "password": {password}}, "Content-Type", "application/json")
	if resp.StatusCode != 415 {
		t.Errorf("as JSON: %d", resp.StatusCode)
	}
	r, body := do(t, h.browser(), "GET", h.https+"/sign-in?account=chen&password="+url.QueryEscape(password), nil)
	if len(r.Cookies()) != 0 || strings.Contains(body, password) {
		t.Error("a GET signs in, or writes a password back")
	}
}

func TestNobodyIsSentElsewhereAfterSigningIn(t *testing.T) {
	h := serveHouse(t, "127.0.0.1", access.Viewer)
	if _, err := h.door.Add(t.Context(), "", "chen", "", access.Owner, password); err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]string{
		"": "/", "/console/": "/console/", "/video?lang=en": "/video?lang=en", "//evil.example": "/", "/\\evil.example": "/", "https://evil.example": "/",
		"/\t/evil.example": "/", "javascript:alert(1)": "/", "/%2f/evil": "/", "/ok\r\nSet-Cookie: a=b": "/", "evil": "/", "/sign-in": "/", "/.//evil.example": "/",
		strings.Repeat("/a", 600): "/",
	} {
		resp, _ := do(t, h.browser(), "POST", h.https+"/sign-in", url.Values{"account": {"chen"}, "password": {password}, "to": {to}})
		got := resp.Header.Get("Location")
		u, err := resp.Request.URL.Parse(got)
		if err != nil || u.Host != resp.Request.URL.Host || (want != "/" && got != want) {
			t.Errorf("%.40q leads to %q", to, got)
		}
	}
}

func TestWithoutTLSThereIsNothingToStealButStopWorks(t *testing.T) {
	h := serveHouse(t, away(t), access.Viewer)
	if _, err := h.door.Add(t.Context(), "", "chen", "", access.Owner, password); err != nil {
		t.Fatal(err)
	}
	c := h.browser()
	for _, p := range []string{"/", "/console/?a=b", "/api/v1/status", "/sign-in", "/metrics", "/setup"} {
		resp, _ := do(t, c, "GET", h.http+p, nil)
		if resp.StatusCode != 307 || resp.Header.Get("Location") != h.https+p {
			t.Errorf("%s: %d to %q", p, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
	if resp, _ := do(t, c, "GET", h.http+"/", nil, "Host", "evil.example"); strings.Contains(resp.Header.Get("Location"), "evil") {
		t.Error("sent elsewhere")
	}
	for _, p := range []string{"/sign-in", "/api/v1/raise", "/setup"} {
		if resp, _ := do(t, c, "POST", h.http+p, url.Values{"account": {"chen"}, "password": {password}}); resp.StatusCode != 426 || len(resp.Cookies()) != 0 {
			t.Errorf("POST %s: %d", p, resp.StatusCode)
		}
	}
	for p, want := range map[string]string{"/stop": "停止口令", "/certificate": "SHA-256", "/page/style.css": "--paper", "/page/sign.css": "--paper"} {
		if resp, body := do(t, c, "GET", h.http+p, nil, "Accept-Language", "zh"); resp.StatusCode != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d", p, resp.StatusCode)
		}
	}
	if resp, _ := do(t, c, "GET", h.http+"/api/v1/cap", nil); resp.StatusCode != 200 {
		t.Errorf("the signed feed: %d", resp.StatusCode)
	}
	if resp, _ := do(t, c, "POST", h.http+"/stop", url.Values{"token": {"GOOD"}}); resp.StatusCode != 200 || len(h.box.Acts()) != 1 {
		t.Errorf("STOP without TLS: %d", resp.StatusCode)
	}
	// A session's cookie that travels in the clear opens nothing.
	e, err := h.door.SignIn(t.Context(), "10.0.0.1:1", "", "", "chen", password)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"__Host-tocsin", "tocsin"} {
		resp, _ := do(t, c, "POST", h.http+"/stop", url.Values{}, "Cookie", name+"="+e.Token)
		if resp.StatusCode != 401 {
			t.Errorf("%s in the clear: %d", name, resp.StatusCode)
		}
	}
	if resp, _ := do(t, c, "GET", h.https+"/api/v1/users", nil, "Cookie", "tocsin="+e.Token); resp.StatusCode != 403 {
		t.Errorf("a cookie that was planted in the clear: %d", resp.StatusCode)
	}
	if resp, _ := do(t, c, "GET", h.https+"/api/v1/users", nil, "Cookie", "__Host-tocsin="+e.Token); resp.StatusCode != 200 {
		t.Errorf("the right cookie: %d", resp.StatusCode)
	}
	if _, err := tls.Dial("tcp", h.LANAddr(), &tls.Config{RootCAs: h.pool, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
}

func TestWhereViewersSignInStrangersSeeNothingAndStillStop(t *testing.T) {
	h := serveHouse(t, "127.0.0.1", access.Nobody)
	c := h.browser()
	for _, p := range []string{"/", "/live", "/video", "/no-such-page"} {
		if resp, _ := do(t, c, "GET", h.https+p, nil, "Accept", "text/html"); resp.StatusCode != 303 || !strings.HasPrefix(resp.Header.Get("Location"), "/sign-in?to=") {
			t.Errorf("%s: %d", p, resp.StatusCode)
		}
	}
	for _, p := range []string{"/api/v1/status", "/metrics", "/api/v1/openapi.json", "/api/v1/session", "/live"} {
		if resp, _ := do(t, c, "GET", h.https+p, nil); resp.StatusCode != 403 {
			t.Errorf("%s: %d", p, resp.StatusCode)
		}
	}
	resp, body := do(t, c, "GET", h.https+"/stop?lang=zh", nil)
	if resp.StatusCode != 200 || strings.Contains(body, "立即转移") || strings.Contains(body, "没有在响") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	for want, token := range map[int]string{401: "BAD", 200: "GOOD"} {
		if resp, _ := do(t, c, "POST", h.https+"/stop", url.Values{"token": {token}}); resp.StatusCode != want {
			t.Errorf("STOP with %s: %d", token, resp.StatusCode)
		}
	}
}

func TestAStreamEndsWithItsSession(t *testing.T) {
	h := serveHouse(t, "127.0.0.1", access.Viewer)
	if _, err := h.door.Add(t.Context(), "", "chen", "", access.Owner, password); err != nil {
		t.Fatal(err)
	}
	e, err := h.door.SignIn(t.Context(), "10.0.0.1:1", "", "", "chen", password)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequest("GET", h.https+"/api/v1/journal/stream", nil)
	r.Header.Set("Cookie", "__Host-tocsin="+e.Token)
	resp, err := h.browser().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	ended := make(chan struct{})
	go func() { io.Copy(io.Discard, resp.Body); close(ended) }()
	h.door.EndSession(e.Session)
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("it goes on")
	}
}

func TestThePagesOfSignInAreSmallAndNeedNoScript(t *testing.T) {
	h := serveHouse(t, "127.0.0.1", access.Viewer)
	css, _ := os.ReadFile("web/sign.css")
	js, _ := os.ReadFile("web/setup.js")
	for _, p := range []string{"/sign-in", "/setup", "/account", "/certificate"} {
		for _, lang := range []string{"zh", "en"} {
			_, body := do(t, h.browser(), "GET", h.https+p+"?lang="+lang, nil)
			if n := len(body) + len(css) + len(js); n > 10_000 {
				t.Errorf("%s %s: %d bytes", p, lang, n)
			}
			if m := codeShown.FindString(tag.ReplaceAllString(body, " ")); m != "" || outside.MatchString(body) || inline.MatchString(body) {
				t.Errorf("%s %s: %q or something from outside", p, lang, m)
			}
			if lang == "en" && han.MatchString(strings.ReplaceAll(strings.ReplaceAll(tag.ReplaceAllString(body, " "), "中文", ""), "黄渡村", "")) {
				t.Errorf("%s: Chinese on the English page", p)
			}
		}
	}
}

func FuzzLocalPaths(f *testing.F) {
	for _, s := range []string{"/", "//evil", "/\\evil", "/a?b#c", "https://e", "/%2f%2fevil", "/\x00"} {
		f.Add(s)
	}
	d, err := access.OpenDoor(access.DoorOpts{Dir: f.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	h, err := page.New(apitest.New(apitest.Calm), nil, page.Opts{Door: d})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, to string) {
		r := httptest.NewRequest("GET", "https://192.168.1.5/sign-in?to="+url.QueryEscape(to), nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(api.WithGrant(r.Context(), viewer)))
		if w.Code != 200 || w.Header().Get("Location") != "" {
			t.Fatalf("%q: %d", to, w.Code)
		}
		_, rest, _ := strings.Cut(w.Body.String(), `name="to" value="`)
		got, _, _ := strings.Cut(rest, `"`)
		base, _ := url.Parse("https://192.168.1.5/sign-in")
		u, err := base.Parse(strings.ReplaceAll(got, "&amp;", "&"))
		if err != nil || u.Host != "192.168.1.5" || u.Scheme != "https" || !strings.HasPrefix(got, "/") {
			t.Errorf("%q leads to %q", to, got)
		}
	})
}
