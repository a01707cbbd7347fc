package recorder

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestABrowserIsShownWhatItAsksFor(t *testing.T) {
	w := newWorld()
	hour := time.Date(2026, 7, 20, 22, 40, 0, 0, time.UTC)
	w.trust(hour)
	r := recordIn(t, w, t.TempDir(), func(o *Opts) { o.Segment = 2 * time.Second })
	us := numbered(t, 500, 25, 100, w.now.Mono)
	r.play(us[:250])
	now := w.Now().Mono
	c, err := r.Pin(t.Context(), Alarm{Cause: "x", From: now - 3*time.Second, To: now + time.Second})
	if err != nil {
		t.Fatal(err)
	}
	r.play(us[250:])
	r.finishedClips()
	s := httptest.NewServer(r.Handler())
	defer s.Close()
	get := func(path string) (int, http.Header, []byte) {
		t.Helper()
		a, err := s.Client().Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		b, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(path, err)
		}
		return a.StatusCode, a.Header, b
	}
	at := func(d time.Duration) string { return url.QueryEscape(hour.Add(d).Format(time.RFC3339)) }
	for _, x := range []struct {
		path        string
		first, last int // numbers of pictures, the last about
	}{
		{"/film?from=" + at(4*time.Second) + "&to=" + at(6*time.Second), 100, 150},
		{"/film?boot=" + w.Now().Boot + "&from=108.5&to=110", 200, 250},
		{"/clips/" + c.ID, 150, 275},
	} {
		code, h, b := get(x.path)
		if code != 200 || h.Get("Content-Type") != "video/mp4" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", x.path, code, h)
			continue
		}
		_, shots, err := readBack(b)
		if err != nil || shots[0].number() != x.first || shots[len(shots)-1].number() < x.last-2 || shots[len(shots)-1].number() > x.last+15 {
			t.Errorf("%s: %d to %d, %v", x.path, shots[0].number(), shots[len(shots)-1].number(), err)
		}
	}
	for path, want := range map[string]int{
		"/film?from=x&to=y": 400, "/film?boot=b&from=NaN&to=2": 400, "/film?boot=b&from=1&to=Inf": 400, "/film?boot=b&from=1&to=1e300": 400,
		"/film?boot=b&from=0&to=20000": 400, "/film?boot=b&from=1&to=2": 404, "/clips/none": 404, "/clips/..%2fring": 404,
		"/film?from=" + at(time.Hour) + "&to=" + at(2*time.Hour): 404, "/elsewhere": 404,
	} {
		if code, _, b := get(path); code != want || want == 400 && !strings.Contains(string(b), "回放") {
			t.Errorf("%s: %d %s", path, code, b)
		}
	}
	var spans []Span
	_, _, b := get("/spans")
	if err := json.Unmarshal(b, &spans); err != nil || len(spans) != 1 {
		t.Errorf("%s, %v", b, err)
	}
	var clips []Clip
	_, _, b = get("/clips")
	if err := json.Unmarshal(b, &clips); err != nil || len(clips) != 1 || clips[0].SHA256 == "" {
		t.Errorf("%s, %v", b, err)
	}
}
