package console

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/cmd/hubd/post"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

type office struct{ state post.State }

func (o office) Send(context.Context, post.Dispatch) ([]letter.Station, error) { return nil, nil }
func (o office) State() post.State                                             { return o.state }

func console() *Console {
	now := time.Date(2026, 7, 1, 22, 40, 0, 0, time.UTC)
	s := post.Station{ID: "330483105203", Name: phrase.Text{ZH: "环渡村<script>", EN: "Huandu"}, Seen: map[string]time.Time{"fibre": now.Add(-time.Hour), "tiantong": now.Add(-time.Minute)}, Twice: 2,
		Recent: []post.Kept{{ID: "b-1", Receipt: post.Receipt{Class: letter.Alarm, Link: "fibre", Bytes: 60, At: now.Add(-time.Hour)}}}}
	s.Letters[letter.Alarm] = 7
	return &Console{file: &hubfile.File{Name: phrase.Text{ZH: "桐乡市", EN: "Tongxiang"}}, zone: time.UTC, log: slog.New(slog.DiscardHandler), now: func() time.Time { return now },
		office: office{post.State{Stations: []post.Station{s, {ID: "330483105204"}},
			Sent: []post.Sent{{ID: "a-1", About: "山洪红色预警", By: "王芳", At: now, To: map[letter.Station]post.Took{"330483105203": {At: now, Link: "tiantong"}, "330483105204": {}}}}}}}
}

func get(h http.Handler, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "http://127.0.0.1:8470"+path, nil)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestThePageShowsStationsByLinkAndWhoHasNotTakenWhat(t *testing.T) {
	h := console().Page()
	for lang, want := range map[string][]string{
		"":         {"桐乡市 · 警钟中心", "环渡村&lt;script&gt;", "tiantong <small>2026-07-01 22:39:00", "fibre <small>2026-07-01 21:40:00", "从未收到", "1/2 站已收下", "尚未收下", "王芳 下发", "2 件重用了编号", "<td>7</td>"},
		"?lang=en": {"Tongxiang · Tocsin hub", "Huandu", "never", "taken by 1 of 2", "not taken yet", "2 letters used an id again"},
	} {
		w := get(h, "/"+lang, nil)
		for _, s := range want {
			if w.Code != 200 || !strings.Contains(w.Body.String(), s) {
				t.Errorf("%q: %d, without %q", lang, w.Code, s)
			}
		}
		for _, s := range []string{"hubd.", "<script", "{count}", "http://", "https://"} {
			if strings.Contains(w.Body.String(), s) {
				t.Errorf("%q: has %q", lang, s)
			}
		}
	}
	for accept, want := range map[string]string{"": "zh-CN", "en-GB,en;q=0.9": `lang="en"`, "zh-CN,en;q=0.5": "zh-CN", "fr": "zh-CN"} {
		if w := get(h, "/", func(r *http.Request) { r.Header.Set("Accept-Language", accept) }); !strings.Contains(w.Body.String(), want) {
			t.Errorf("%q: not %s", accept, want)
		}
	}
}

func TestOnlyAnOfficerWithTheTokenSeesThePageFromElsewhere(t *testing.T) {
	d, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	h := newOfficers([]hubfile.Officer{{Name: "王芳", Token: string(d)}, {Name: "Li", Token: string(d[:59]) + "x"}}).only(console().Page())
	for name, c := range map[string]struct {
		user, token string
		want        int
	}{
		"nobody":            {"", "", 401},
		"right":             {"王芳", "right", 200},
		"wrong token":       {"王芳", "wrong", 401},
		"no token":          {"王芳", "", 401},
		"another's token":   {"Li", "right", 401},
		"an unknown person": {"X", "right", 401},
		"an endless token":  {"王芳", strings.Repeat("a", 10_000), 401},
	} {
		for range 2 { // the second time from memory
			w := get(h, "/", func(r *http.Request) {
				if c.user != "" {
					r.SetBasicAuth(c.user, c.token)
				}
			})
			if w.Code != c.want {
				t.Errorf("%s: %d", name, w.Code)
			}
			if c.want == 401 && strings.Contains(w.Body.String(), "桐乡") {
				t.Errorf("%s: sees the page", name)
			}
		}
	}
}

func TestOnLoopbackNoOtherSitesNameReadsThePage(t *testing.T) {
	h := local(console().Page())
	for host, want := range map[string]int{"127.0.0.1:8470": 200, "localhost": 200, "[::1]:8470": 200, "evil.example:8470": 403, "": 403} {
		if w := get(h, "/", func(r *http.Request) { r.Host = host }); w.Code != want {
			t.Errorf("%q: %d", host, w.Code)
		}
	}
}
