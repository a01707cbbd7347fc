package ui_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"tocsin/firmware/serve/page/ui"
)

func packed(s string) *fstest.MapFile {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	z.Close()
	return &fstest.MapFile{Data: b.Bytes()}
}

func ask(h http.Handler, method, path string, head ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://192.168.1.5"+path, nil)
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestABuiltConsoleIsServedGzippedAndKept(t *testing.T) {
	h := ui.Serve("/console/", fstest.MapFS{"index.html.gz": packed("<p>here"), "assets/a-1.js.gz": packed("let a"), "placeholder.html": {Data: []byte("not built")}})
	for _, c := range []struct {
		path, accept, cache, body string
		status                    int
		gz                        bool
	}{
		{"/console/", "gzip, br", "no-cache", "<p>here", 200, true},
		{"/console/", "", "no-cache", "<p>here", 200, false},
		{"/console/", "gzip;q=0", "no-cache", "<p>here", 200, false},
		{"/console/", "gzip;q=0.5", "no-cache", "<p>here", 200, true},
		{"/console/assets/a-1.js", "gzip", "public, max-age=31536000, immutable", "let a", 200, true},
		{"/console/assets/gone.js", "gzip", "", "", 404, false},
		{"/console/../embed.go", "gzip", "", "", 404, false},
		{"/console/index.html.gz", "gzip", "", "", 404, false},
	} {
		w := ask(h, "GET", c.path, "Accept-Encoding", c.accept)
		if w.Code != c.status {
			t.Errorf("%s: %d", c.path, w.Code)
			continue
		}
		if c.status != 200 {
			continue
		}
		var body io.Reader = w.Body
		if c.gz != (w.Header().Get("Content-Encoding") == "gzip") {
			t.Errorf("%s with %q: %v", c.path, c.accept, w.Header())
			continue
		}
		if c.gz {
			body, _ = gzip.NewReader(body)
		}
		b, _ := io.ReadAll(body)
		if string(b) != c.body || w.Header().Get("Cache-Control") != c.cache {
			t.Errorf("%s: %q, %v", c.path, b, w.Header())
		}
		if again := ask(h, "GET", c.path, "Accept-Encoding", c.accept, "If-None-Match", w.Header().Get("ETag")); again.Code != http.StatusNotModified {
			t.Errorf("%s was sent again: %d", c.path, again.Code)
		}
	}
	if w := ask(h, "POST", "/console/"); w.Code != http.StatusMethodNotAllowed {
		t.Error("POST is answered: ", w.Code)
	}
}

func TestAConsoleThatWasNotBuiltSaysSo(t *testing.T) {
	w := ask(ui.Serve("/console/", fstest.MapFS{"placeholder.html": {Data: []byte("run make ui")}}), "GET", "/console/")
	if w.Code != 200 || !strings.Contains(w.Body.String(), "make ui") {
		t.Error(w.Code, w.Body)
	}
	if w := ask(ui.Station("/"), "GET", "/"); w.Code != 200 {
		t.Error("neither a console nor its placeholder: ", w.Code)
	}
}
