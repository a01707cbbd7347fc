package console

import (
	"bytes"
	"context"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/cmd/hubd/post"
	"tocsin/firmware/reach/letter"
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

// manned is a console with two officers, of whom one may send.
func manned(t testing.TB) (*Console, *sent) {
	t.Helper()
	d, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	c := console()
	s := &sent{office: c.office.(office)}
	c.office = s
	c.file.Page = hubfile.Page{Officers: []hubfile.Officer{{Name: "王芳", Token: string(d), Roles: []string{"chief"}}, {Name: "Li", Token: string(d)}}, Send: []string{"chief"}}
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

func form(path string, v url.Values) *http.Request {
	r := httptest.NewRequest("POST", "https://hub.example"+path, strings.NewReader(v.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func browse(path string) *http.Request {
	r := httptest.NewRequest("GET", "https://hub.example"+path, nil)
	r.Header.Set("Accept", "text/html")
	return r
}

func body(r *http.Response) string {
	var b bytes.Buffer
	b.ReadFrom(r.Body)
	return b.String()
}

func TestAnOfficerSignsInOnAPageAndOutAgain(t *testing.T) {
	c, _ := manned(t)
	now := c.now()
	c.now = func() time.Time { return now }
	h := c.front()
	if r := through(h, browse("/?lang=en"), nil); r.StatusCode != 303 || r.Header.Get("Location") != "/sign-in?lang=en&to=%2F%3Flang%3Den" {
		t.Fatalf("%d to %s", r.StatusCode, r.Header.Get("Location"))
	}
	if r := through(h, browse("/county.css"), nil); r.StatusCode != 200 {
		t.Errorf("the style: %d", r.StatusCode)
	}
	if r := through(h, browse("/sign-in?to=//evil.example&lang=zh"), nil); r.StatusCode != 200 || strings.Contains(body(r), "evil") {
		t.Errorf("%d", r.StatusCode)
	}
	for name, v := range map[string]url.Values{"wrong token": {"officer": {"王芳"}, "token": {"wrong"}}, "nobody": {}, "unknown": {"officer": {"X"}, "token": {"right"}}} {
		if r := through(h, form("/sign-in?lang=zh", v), nil); r.StatusCode != 401 || len(r.Cookies()) > 0 || !strings.Contains(body(r), "姓名或令牌不对") {
			t.Errorf("%s: %d", name, r.StatusCode)
		}
	}
	r := through(h, form("/sign-in", url.Values{"officer": {"王芳"}, "token": {"right"}, "to": {"/send"}}), nil)
	if r.StatusCode != 303 || r.Header.Get("Location") != "/send" || len(r.Cookies()) != 1 {
		t.Fatalf("%d, %v", r.StatusCode, r.Header)
	}
	in := r.Cookies()
	if k := in[0]; k.Name != "__Host-county" || !k.HttpOnly || !k.Secure || k.SameSite != http.SameSiteStrictMode {
		t.Errorf("%+v", k)
	}
	if b := body(through(h, browse("/?lang=zh"), in)); !strings.Contains(b, "王芳</span>") || !strings.Contains(b, "桐乡市 · 警钟中心") || !strings.Contains(b, "下发预警") {
		t.Error("who signed in does not see the page")
	}
	// From elsewhere nothing is done in an officer's name.
	x := form("/sign-out", nil)
	x.Header.Set("Sec-Fetch-Site", "cross-site")
	if r := through(h, x, in); r.StatusCode != 403 {
		t.Errorf("cross-site: %d", r.StatusCode)
	}
	other := through(h, form("/sign-in", url.Values{"officer": {"Li"}, "token": {"right"}}), nil).Cookies()
	if r := through(h, form("/sign-out", nil), in); r.StatusCode != 303 {
		t.Errorf("%d", r.StatusCode)
	}
	if r := through(h, browse("/"), in); r.StatusCode != 303 {
		t.Errorf("who signed out: %d", r.StatusCode)
	}
	if r := through(h, browse("/"), other); r.StatusCode != 200 {
		t.Errorf("another: %d", r.StatusCode)
	}
	now = now.Add(sessionFor)
	if r := through(h, browse("/"), other); r.StatusCode != 303 {
		t.Errorf("after a duty's length: %d", r.StatusCode)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	s := sessions{now: func() time.Time { now = now.Add(time.Second); return now }}
	first := s.begin("a")
	for range 2 * sessionMost {
		s.begin("b")
	}
	r := httptest.NewRequest("GET", "http://127.0.0.1/", nil)
	r.AddCookie(&http.Cookie{Name: "county", Value: first})
	if _, ok := s.of(r); ok || len(s.all) > sessionMost {
		t.Errorf("%d sessions, the oldest among them: %v", len(s.all), ok)
	}
}

// upload is a file that is sent down.
func upload(t testing.TB, area, token string, file []byte) *http.Request {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	f, err := m.CreateFormFile("file", "alert.xml")
	if err != nil {
		t.Fatal(err)
	}
	f.Write(file)
	m.WriteField("area", area)
	m.WriteField("token", token)
	m.Close()
	r := httptest.NewRequest("POST", "https://hub.example/send?lang=zh", &b)
	r.Header.Set("Content-Type", m.FormDataContentType())
	return r
}

func TestAnOfficerWhoMaySendsAFileDown(t *testing.T) {
	// Whether a signature counts is each station's to judge: here it is only looked for.
	signed := bytes.Replace(capgen.New(7).Next(capgen.Options{}).Text, []byte("</alert>"), []byte(`<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo/></Signature></alert>`), 1)
	c, s := manned(t)
	h := c.front()
	in := func(name string) []*http.Cookie {
		return through(h, form("/sign-in", url.Values{"officer": {name}, "token": {"right"}}), nil).Cookies()
	}
	chief, li := in("王芳"), in("Li")
	for name, x := range map[string]struct {
		who         []*http.Cookie
		area, token string
		file        []byte
		want        int
		said        string
	}{
		"nobody":           {nil, "330483", "right", signed, 401, ""},
		"without the role": {li, "330483", "right", signed, 403, "没有下发权限"},
		"a wrong token":    {chief, "330483", "wrong", signed, 401, "令牌不对，没有下发"},
		"no file":          {chief, "330483", "right", nil, 422, "没有收到文件"},
		"no alert":         {chief, "330483", "right", []byte("<a/>"), 422, "role=\"alert\""},
		"nobody's area":    {chief, "990000", "right", signed, 422, "990000"},
		"too large":        {chief, "330483", "right", make([]byte, alertMost+1), 422, "role=\"alert\""},
	} {
		r := through(h, upload(t, x.area, x.token, x.file), x.who)
		if b := body(r); r.StatusCode != x.want || !strings.Contains(b, x.said) {
			t.Errorf("%s: %d %s", name, r.StatusCode, b)
		}
		if len(s.all) > 0 {
			t.Fatalf("%s: something was sent", name)
		}
	}
	r := through(h, upload(t, "330483", "right", signed), chief)
	if b := body(r); r.StatusCode != 200 || !strings.Contains(b, "查看各站回执") || len(s.all) != 1 {
		t.Fatalf("%d, %d sent: %s", r.StatusCode, len(s.all), b)
	}
	if d := s.all[0]; d.By != "王芳" || !bytes.Equal(d.Letter.Body, signed) || d.Letter.Class != letter.Warning || len(d.To) != 1 || d.To[0] != "330483105203" {
		t.Errorf("%+v", d)
	}
	if !strings.Contains(body(through(h, browse("/send?lang=en"), li)), "you may not send") {
		t.Error("who may not send is not told")
	}
}

// Who is merely at the machine sends by the desk's socket, which is its owner's alone.
func TestOnLoopbackNobodySendsByThePage(t *testing.T) {
	c := console()
	s := &sent{office: c.office.(office)}
	c.office = s
	c.file.Page.Send = []string{"chief"}
	r := upload(t, "330483", "", []byte("x"))
	r.Host = "127.0.0.1"
	if got := through(c.front(), r, nil); got.StatusCode != 403 || len(s.all) > 0 {
		t.Errorf("%d", got.StatusCode)
	}
}

// The county wears what the station wears: one list of colours, held to its contrast there.
func TestTheCountysColoursAreTheStations(t *testing.T) {
	station, err := os.ReadFile("../../../firmware/serve/page/web/style.css")
	if err != nil {
		t.Fatal(err)
	}
	ours, _ := web.ReadFile("county.css")
	colours, _, ok := bytes.Cut(station, []byte("* { box-sizing"))
	if !ok || !bytes.HasPrefix(ours, colours) {
		t.Error("county.css does not begin with the colours of the station's style.css")
	}
}
