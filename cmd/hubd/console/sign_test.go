package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/cmd/hubd/post"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/audit"
	"tocsin/hwtest/capgen"
)

// sent is an office that notes what it was given.
type sent struct {
	office
	all []post.Dispatch
}

func (s *sent) Send(_ context.Context, d post.Dispatch) ([]letter.Station, error) {
	s.all = append(s.all, d)
	return nil, nil
}

// certified is a certificate of hub.example.
type certified struct{}

func (certified) VerifyHostname(host string) error {
	if host != "hub.example" {
		return errors.New("another's")
	}
	return nil
}

const right = "river-stone-lamp-42"

// unowned is a console that nobody owns yet.
func unowned(t testing.TB) (*Console, *sent) {
	t.Helper()
	c := console()
	s := &sent{office: c.office.(office)}
	dir := t.TempDir()
	door, err := access.OpenDoor(access.DoorOpts{Dir: dir, Log: c.log})
	if err != nil {
		t.Fatal(err)
	}
	d, err := openDuties(filepath.Join(dir, dutiesFile))
	if err != nil {
		t.Fatal(err)
	}
	c.office, c.door, c.duties, c.leaf = s, door, d, certified{}
	c.file.Pictures = &hubfile.Pictures{Views: []hubfile.View{{Roles: []string{"chief", "fire"}}}}
	return c, s
}

// people are an account of each of the county's roles.
var people = map[string]access.Role{"li": access.Viewer, "wang": access.Operator, "zhang": access.Owner}

// manned is a console with its people.
func manned(t testing.TB) (*Console, *sent) {
	t.Helper()
	c, s := unowned(t)
	for id, role := range people {
		if _, err := c.door.Add(context.Background(), "", id, strings.ToUpper(id), role, right); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.duties.set("wang", []string{"chief"}); err != nil {
		t.Fatal(err)
	}
	return c, s
}

func through(h http.Handler, r *http.Request, cookies []*http.Cookie) *http.Response {
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// ask is a request of the console's, over TLS.
func ask(method, path string, v any) *http.Request {
	var b bytes.Buffer
	if v != nil {
		_ = json.NewEncoder(&b).Encode(v)
	}
	r := httptest.NewRequest(method, "https://hub.example"+path, &b)
	r.Header.Set("Content-Type", "application/json")
	return r
}

func body(r *http.Response) string {
	var b bytes.Buffer
	b.ReadFrom(r.Body)
	return b.String()
}

func enter(t testing.TB, h http.Handler, id string) []*http.Cookie {
	t.Helper()
	r := through(h, ask("POST", "/api/v1/sign-in", map[string]string{"account": id, "password": right}), nil)
	if r.StatusCode != 200 || len(r.Cookies()) != 1 {
		t.Fatalf("%s does not get in: %d %s", id, r.StatusCode, body(r))
	}
	return r.Cookies()
}

func TestTheFirstAccountIsMadeByTheSecretOfTheHubAlone(t *testing.T) {
	c, _ := unowned(t)
	h := c.front()
	if s := body(through(h, ask("GET", "/api/v1/session", nil), nil)); !strings.Contains(s, `"setup":true,"open":true`) {
		t.Error(s)
	}
	form := map[string]string{"secret": "AAAAA-AAAAA", "account": "zhang", "name": "Zhang", "password": right}
	if r := through(h, ask("POST", "/api/v1/set-up", form), nil); r.StatusCode != 401 || len(r.Cookies()) > 0 {
		t.Errorf("a guess: %d", r.StatusCode)
	}
	w := httptest.NewRecorder()
	c.page, _ = listenSocket(filepath.Join(t.TempDir(), "p"))
	defer c.page.Close()
	c.openSetup(w, httptest.NewRequest("POST", "/v1/set-up", nil))
	var a SetupAnswer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || a.Secret == "" || a.Owned || a.Left <= 0 {
		t.Fatalf("%v: %s", err, w.Body)
	}
	form["secret"], form["password"] = a.Secret, "12345678"
	if r := through(h, ask("POST", "/api/v1/set-up", form), nil); r.StatusCode != 422 {
		t.Errorf("a common password: %d", r.StatusCode)
	}
	form["password"] = right
	r := through(h, ask("POST", "/api/v1/set-up", form), nil)
	if b := body(r); r.StatusCode != 200 || !strings.Contains(b, `"role":"owner"`) || len(r.Cookies()) != 1 {
		t.Fatalf("%d %s", r.StatusCode, b)
	}
	form["account"] = "other"
	if r := through(h, ask("POST", "/api/v1/set-up", form), nil); r.StatusCode != 409 {
		t.Errorf("the secret opens twice: %d", r.StatusCode)
	}
	w = httptest.NewRecorder()
	c.openSetup(w, httptest.NewRequest("POST", "/v1/set-up", nil))
	if a = (SetupAnswer{}); json.Unmarshal(w.Body.Bytes(), &a) != nil || !a.Owned || a.Secret != "" {
		t.Errorf("%+v", a)
	}
	w = httptest.NewRecorder()
	c.openSetup(w, httptest.NewRequest("POST", "/v1/set-up?again=1", nil))
	if a = (SetupAnswer{}); json.Unmarshal(w.Body.Bytes(), &a) != nil || a.Secret == "" {
		t.Errorf("by hand: %+v", a)
	}
}

func TestSomebodySignsInAndOutAgain(t *testing.T) {
	c, _ := manned(t)
	h := c.front()
	for name, f := range map[string]map[string]string{"a wrong password": {"account": "wang", "password": "wrong"}, "nobody": {}, "an unknown account": {"account": "x", "password": right}} {
		if r := through(h, ask("POST", "/api/v1/sign-in", f), nil); r.StatusCode != 401 || len(r.Cookies()) > 0 || !strings.Contains(body(r), "access.wrong") {
			t.Errorf("%s: %d", name, r.StatusCode)
		}
	}
	in := enter(t, h, "wang")
	if k := in[0]; k.Name != "__Host-county" || !k.HttpOnly || !k.Secure || k.SameSite != http.SameSiteStrictMode {
		t.Errorf("%+v", k)
	}
	if s := body(through(h, ask("GET", "/api/v1/session", nil), in)); !strings.Contains(s, `"account":"wang","name":"WANG","role":"operator","duties":["chief"]`) {
		t.Error(s)
	}
	// From elsewhere nothing is done in somebody's name.
	x := ask("POST", "/api/v1/sign-out", nil)
	x.Header.Set("Sec-Fetch-Site", "cross-site")
	if r := through(h, x, in); r.StatusCode != 403 {
		t.Errorf("cross-site: %d", r.StatusCode)
	}
	x = ask("POST", "/api/v1/sign-in", map[string]string{"account": "wang", "password": right})
	x.Header.Set("Content-Type", "text/plain")
	if r := through(h, x, nil); r.StatusCode != 415 {
		t.Errorf("a form that another site can send: %d", r.StatusCode)
	}
	other := enter(t, h, "li")
	if r := through(h, ask("POST", "/api/v1/sign-out", nil), in); r.StatusCode != 200 || r.Cookies()[0].MaxAge >= 0 {
		t.Errorf("%d", r.StatusCode)
	}
	if r := through(h, ask("GET", "/api/v1/county", nil), in); r.StatusCode != 401 {
		t.Errorf("who signed out: %d", r.StatusCode)
	}
	if r := through(h, ask("GET", "/api/v1/county", nil), other); r.StatusCode != 200 {
		t.Errorf("another: %d", r.StatusCode)
	}
	r := through(h, ask("POST", "/api/v1/password", map[string]string{"old": "wrong", "password": "another-lamp-7-stone"}), other)
	if r.StatusCode != 422 {
		t.Errorf("a password is changed by who does not know it: %d", r.StatusCode)
	}
	r = through(h, ask("POST", "/api/v1/password", map[string]string{"old": right, "password": "another-lamp-7-stone"}), other)
	if r.StatusCode != 200 || len(r.Cookies()) != 1 {
		t.Errorf("%d %s", r.StatusCode, body(r))
	}
	if r := through(h, ask("GET", "/api/v1/county", nil), other); r.StatusCode != 401 {
		t.Errorf("the old sign-in goes on: %d", r.StatusCode)
	}
}

// TestEveryWayInIsHeldToItsRole tries each as everybody. A way in that needs no role is named here.
func TestEveryWayInIsHeldToItsRole(t *testing.T) {
	c, s := manned(t)
	c.Handle("/pictures/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	h := c.front()
	open := []string{"POST /api/v1/sign-in", "POST /api/v1/set-up", "GET /api/v1/session"}
	signed := map[string][]*http.Cookie{}
	all := append(c.routes(), route{"GET /pictures/state", access.Viewer, nil}, route{"POST /pictures/whep/a/b", access.Viewer, nil})
	for _, x := range all {
		if x.role == access.Nobody {
			if !slices.Contains(open, x.pattern) {
				t.Errorf("%s is open to everybody", x.pattern)
			}
			continue
		}
		method, path, _ := strings.Cut(x.pattern, " ")
		path = strings.ReplaceAll(path, "{id}", "nobody-of-that-name")
		for _, who := range []string{"", "li", "wang", "zhang"} {
			in := signed[who]
			if who != "" && in == nil {
				in = enter(t, h, who)
				signed[who] = in
			}
			if path == "/api/v1/sign-out" {
				delete(signed, who)
			}
			r := through(h, ask(method, path, map[string]string{}), in)
			want := people[who].Allows(x.role)
			if got := r.StatusCode != 401 && r.StatusCode != 403; got != want || who == "" && r.StatusCode != 401 {
				t.Errorf("%s as %q: %d", x.pattern, who, r.StatusCode)
			}
		}
	}
	if len(s.all) > 0 {
		t.Error("something was sent")
	}
}

func TestTheConsoleIsServedWithoutTheCountyInIt(t *testing.T) {
	c, _ := manned(t)
	h := c.front()
	if r := through(h, ask("GET", "/", nil), nil); r.StatusCode != 303 || r.Header.Get("Location") != "/console/" {
		t.Errorf("%d", r.StatusCode)
	}
	r := through(h, ask("GET", "/console/", nil), nil)
	if b := body(r); r.StatusCode != 200 || strings.Contains(b, "环渡村") || strings.Contains(b, "桐乡") {
		t.Errorf("%d %s", r.StatusCode, b)
	}
	for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy"} {
		if r.Header.Get(name) == "" {
			t.Errorf("no %s", name)
		}
	}
	if p := r.Header.Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'self'") || strings.Contains(p, "unsafe") || !strings.Contains(p, "frame-ancestors 'none'") {
		t.Error(p)
	}
}

func TestNoOtherSitesNameReadsThePage(t *testing.T) {
	c, _ := manned(t)
	c.file.Page.Names = []string{"county.proxy"}
	h := c.front()
	for host, want := range map[string]int{"hub.example": 200, "HUB.example:8470": 200, "localhost": 200, "[::1]:8470": 200, "10.1.2.3:8470": 200, "county.proxy": 200, "evil.example:8470": 421, "": 421} {
		r := ask("GET", "/api/v1/session", nil)
		r.Host = host
		if got := through(h, r, nil); got.StatusCode != want {
			t.Errorf("%q: %d", host, got.StatusCode)
		}
	}
	c.leaf = nil // without TLS this machine alone
	for host, want := range map[string]int{"127.0.0.1:8470": 200, "10.1.2.3:8470": 421, "hub.example": 421} {
		r := ask("GET", "/api/v1/session", nil)
		r.Host = host
		if got := through(h, r, nil); got.StatusCode != want {
			t.Errorf("without TLS, %q: %d", host, got.StatusCode)
		}
	}
	// A password never travels in the clear from elsewhere.
	r := httptest.NewRequest("POST", "http://localhost/api/v1/sign-in", strings.NewReader(`{"account":"wang","password":"`+right+`"}`))
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = "10.1.2.3:4000"
	if got := through(h, r, nil); got.StatusCode != 426 || len(got.Cookies()) > 0 {
		t.Errorf("in the clear: %d", got.StatusCode)
	}
}

func TestAnOwnerKeepsTheAccounts(t *testing.T) {
	c, _ := manned(t)
	h := c.front()
	in := enter(t, h, "zhang")
	do := func(path string, v any) (int, string) {
		r := through(h, ask("POST", "/api/v1"+path, v), in)
		return r.StatusCode, body(r)
	}
	type m = map[string]any
	if n, b := do("/accounts", m{"account": "mei", "name": "Mei", "role": "viewer", "duties": []string{"fire"}, "password": right}); n != 200 || !strings.Contains(b, `{"account":"mei","name":"Mei","role":"viewer","duties":["fire"],"own":false}`) {
		t.Errorf("%d %s", n, b)
	}
	for name, x := range map[string]struct {
		path string
		v    m
		want int
		code string
	}{
		"a station's role":     {"/accounts", m{"account": "a", "name": "A", "role": "cadre", "password": right}, 422, "county.no_role"},
		"no role":              {"/accounts", m{"account": "a", "name": "A", "password": right}, 422, "county.no_role"},
		"a common password":    {"/accounts", m{"account": "a", "name": "A", "role": "viewer", "password": "12345678"}, 422, "access."},
		"a duty of nobody's":   {"/accounts", m{"account": "a", "name": "A", "role": "viewer", "duties": []string{"king"}, "password": right}, 422, "county.no_duty"},
		"twice":                {"/accounts", m{"account": "mei", "name": "A", "role": "viewer", "password": right}, 422, "access.account_taken"},
		"nobody":               {"/accounts/x", m{"role": "viewer"}, 404, "access.no_account"},
		"the last owner":       {"/accounts/zhang", m{"role": "viewer"}, 422, "access.last_owner"},
		"one's own":            {"/accounts/zhang/remove", m{}, 422, "county.own_account"},
		"what it does not ask": {"/accounts/mei", m{"admin": true}, 400, "county.bad_form"},
	} {
		if n, b := do(x.path, x.v); n != x.want || !strings.Contains(b, x.code) {
			t.Errorf("%s: %d %s", name, n, b)
		}
	}
	// Another role signs out at once; another duty holds at once.
	mei := enter(t, h, "mei")
	if n, b := do("/accounts/mei", m{"duties": []string{"chief"}, "name": "Mei Lan"}); n != 200 {
		t.Errorf("%d %s", n, b)
	}
	if s := body(through(h, ask("GET", "/api/v1/session", nil), mei)); !strings.Contains(s, `"name":"Mei Lan","role":"viewer","duties":["chief"]`) {
		t.Error(s)
	}
	do("/accounts/mei", m{"role": "operator"})
	if s := body(through(h, ask("GET", "/api/v1/session", nil), mei)); !strings.Contains(s, `"account":""`) {
		t.Error(s)
	}
	mei = enter(t, h, "mei")
	var all []SignIn
	_ = json.Unmarshal([]byte(body(through(h, ask("GET", "/api/v1/sign-ins", nil), in))), &all)
	if i := slices.IndexFunc(all, func(s SignIn) bool { return s.Account == "mei" }); i < 0 {
		t.Errorf("%+v", all)
	} else if n, _ := do("/sign-ins/"+all[i].ID+"/end", m{}); n != 200 {
		t.Error(n)
	}
	if r := through(h, ask("GET", "/api/v1/county", nil), mei); r.StatusCode != 401 {
		t.Errorf("a sign-in that was ended goes on: %d", r.StatusCode)
	}
	if n, _ := do("/accounts/mei/remove", m{}); n != 200 {
		t.Error(n)
	}
	// Who comes by the same name takes over nothing.
	if n, b := do("/accounts", m{"account": "mei", "name": "Mei", "role": "viewer", "password": right}); n != 200 || !strings.Contains(b, `"name":"Mei","role":"viewer","duties":[]`) {
		t.Errorf("%d %s", n, b)
	}
}

func TestDutiesOutliveARestartAndDamage(t *testing.T) {
	name := filepath.Join(t.TempDir(), dutiesFile)
	d, err := openDuties(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.set("wang", []string{"fire", "chief", "fire"}); err != nil {
		t.Fatal(err)
	}
	if d, err = openDuties(name); err != nil || !slices.Equal(d.of("wang"), []string{"chief", "fire"}) || d.of("") != nil {
		t.Error(err, d.of("wang"))
	}
	for _, bad := range []string{"", "[]", `{"a":["x y"]}`, `{"a":["b"]} x`, "null", fmt.Sprintf(`{"a":["%s"]}`, strings.Repeat("x", 300<<10))} {
		if err := os.WriteFile(name, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if d, err := openDuties(name); err == nil || d.of("a") != nil {
			t.Errorf("%.20q is taken: %v", bad, d.of("a"))
		}
	}
	if err := d.set("wang", []string{"a b"}); err == nil {
		t.Error("a duty of two words")
	}
}

func FuzzDuties(f *testing.F) {
	f.Add([]byte(`{"wang":["chief"]}`))
	f.Add([]byte(`{"a":null,"b":[""]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := parseDuties(b)
		if err != nil {
			return
		}
		for a, l := range all {
			if !fitDuties(l) {
				t.Errorf("%q has %q", a, l)
			}
		}
	})
}

// upload is a file that is sent down.
func uploadOf(t testing.TB, path string, file []byte, fields map[string]string) *http.Request {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	if file != nil {
		f, err := m.CreateFormFile("file", "alert.xml")
		if err != nil {
			t.Fatal(err)
		}
		f.Write(file)
	}
	for k, v := range fields {
		m.WriteField(k, v)
	}
	m.Close()
	r := httptest.NewRequest("POST", "https://hub.example/api/v1"+path, &b)
	r.Header.Set("Content-Type", m.FormDataContentType())
	return r
}

func TestAnOperatorChecksAFileAndSendsIt(t *testing.T) {
	// Whether a signature counts is each station's to judge: here it is only looked for.
	signed := bytes.Replace(capgen.New(7).Next(capgen.Options{}).Text, []byte("</alert>"), []byte(`<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo/></Signature></alert>`), 1)
	c, s := manned(t)
	h := c.front()
	wang := enter(t, h, "wang")
	r := through(h, uploadOf(t, "/alerts/check", signed, map[string]string{"area": "330483"}), wang)
	var k Checked
	if b := body(r); r.StatusCode != 200 || json.Unmarshal([]byte(b), &k) != nil || k.Short || k.Bytes != len(signed) || len(k.Villages) != 1 || k.Villages[0].Name.ZH != "环渡村" || k.Before != nil {
		t.Fatalf("%d %s", r.StatusCode, b)
	}
	if len(s.all) > 0 {
		t.Fatal("a check sends")
	}
	for name, x := range map[string]struct {
		file                []byte
		area, password, sum string
		want                int
		code                string
	}{
		"a wrong password": {signed, "330483", "wrong", k.SHA256, 422, "county.wrong_password"},
		"no password":      {signed, "330483", "", k.SHA256, 422, "county.wrong_password"},
		"not checked":      {signed, "330483", right, "", 409, "county.other_file"},
		"another file":     {append(signed, '\n'), "330483", right, k.SHA256, 409, "county.other_file"},
		"no file":          {nil, "330483", right, k.SHA256, 422, "county.no_file"},
		"no alert":         {[]byte("<a/>"), "330483", right, k.SHA256, 422, ""},
		"nobody's area":    {signed, "990000", right, k.SHA256, 422, "990000"},
		"too large":        {make([]byte, alertMost+1), "330483", right, k.SHA256, 422, "hubd.alert_large"},
	} {
		r := through(h, uploadOf(t, "/alerts", x.file, map[string]string{"area": x.area, "password": x.password, "sha256": x.sum}), wang)
		if b := body(r); r.StatusCode != x.want || !strings.Contains(b, x.code) {
			t.Errorf("%s: %d %s", name, r.StatusCode, b)
		}
		if len(s.all) > 0 {
			t.Fatalf("%s: something was sent", name)
		}
	}
	r = through(h, uploadOf(t, "/alerts", signed, map[string]string{"area": "330483", "password": right, "sha256": k.SHA256}), wang)
	if b := body(r); r.StatusCode != 200 || !strings.Contains(b, `"sent":1`) || len(s.all) != 1 {
		t.Fatalf("%d, %d sent: %s", r.StatusCode, len(s.all), b)
	}
	if d := s.all[0]; d.By != "WANG（wang）" || !bytes.Equal(d.Letter.Body, signed) || d.Letter.Class != letter.Warning || len(d.To) != 1 || d.To[0] != "330483105203" || d.Letter.ID != k.ID {
		t.Errorf("%+v", d)
	}
	// The same file again is said to be the same.
	s.office.state.Sent = append(s.office.state.Sent, post.Sent{ID: k.ID, By: "WANG（wang）", At: c.now(), To: map[letter.Station]post.Took{}})
	if b := body(through(h, uploadOf(t, "/alerts/check", signed, map[string]string{"area": "330483"}), wang)); !strings.Contains(b, `"before":{`) {
		t.Error(b)
	}
	// Proving a password leaves nobody else signed in.
	if n := len(c.door.Sessions()); n != 1 {
		t.Errorf("%d sign-ins", n)
	}
}

func TestWhatDoesNotChangeIsNotSentAgain(t *testing.T) {
	c, _ := manned(t)
	h := c.front()
	in := enter(t, h, "li")
	r := through(h, ask("GET", "/api/v1/county", nil), in)
	tag := r.Header.Get("ETag")
	if r.StatusCode != 200 || tag == "" || r.Header.Get(nowHeader) == "" {
		t.Fatalf("%d %v", r.StatusCode, r.Header)
	}
	again := ask("GET", "/api/v1/county", nil)
	again.Header.Set("If-None-Match", tag)
	if r := through(h, again, in); r.StatusCode != 304 || body(r) != "" || r.Header.Get(nowHeader) == "" {
		t.Errorf("%d", r.StatusCode)
	}
	if r := through(h, ask("GET", "/api/v1/stations/330483105203", nil), in); r.StatusCode != 200 || !strings.Contains(body(r), "103.20 m") {
		t.Errorf("%d", r.StatusCode)
	}
	if r := through(h, ask("GET", "/api/v1/stations/x", nil), in); r.StatusCode != 404 {
		t.Errorf("%d", r.StatusCode)
	}
}

// People type their password where the account belongs. The audit is shown to every owner and
// exported: it has the account, or a word by which the same is known again.
func TestTheAuditHasNoWordThatSomebodyTypedAsAnAccount(t *testing.T) {
	c, _ := manned(t)
	for typed, want := range map[string]string{"wang": "wang", "ＷＡＮＧ": "wang", right: "unknown #"} {
		e := &audit.Entry{}
		r := ask("POST", "/api/v1/sign-in", map[string]string{"account": typed, "password": "x"})
		if err := c.signIn(httptest.NewRecorder(), r.WithContext(context.WithValue(r.Context(), auditKey{}, e))); err == nil || !strings.HasPrefix(e.Target, want) || strings.Contains(e.Target, right) {
			t.Errorf("%q: %q %v", typed, e.Target, err)
		}
	}
}
