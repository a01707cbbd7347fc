package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/api/apitest"
)

func post(h http.Handler, path, body string, as1 ...func(*http.Request) *http.Request) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "http://192.168.1.5/api/v1"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/cap+xml")
	for _, f := range as1 {
		r = f(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func byOwner(r *http.Request) *http.Request  { return as(owner, r) }
func byViewer(r *http.Request) *http.Request { return as(viewer, r) }

func TestAnAlertIsHandedOverByteForByteAndAnsweredWithItsVerdict(t *testing.T) {
	box := apitest.New(apitest.Calm)
	h := newServer(t, box, api.Opts{}).Handler()
	alert := "<alert>" + strings.Repeat("预警 ", 200_000) + "</alert>"
	w := post(h, "/alerts", alert, byOwner)
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"well_formed":false`) {
		t.Fatalf("%d %.300s", w.Code, w.Body)
	}
	acts := box.Acts()
	if len(acts) != 1 || acts[0].ID != alert || acts[0].Who.Via != "socket" {
		t.Errorf("the box got %d acts", len(acts))
	}
	if w := post(h, "/alerts/check", "<alert/>", byOwner); w.Code != 200 || box.Acts()[1].What != "check-alert" {
		t.Errorf("check: %d, %d acts", w.Code, len(box.Acts()))
	}
}

func TestAnAlertTooLargeOrByAViewerIsRefused(t *testing.T) {
	box := apitest.New(apitest.Calm)
	h := newServer(t, box, api.Opts{}).Handler()
	if w := post(h, "/alerts", strings.Repeat("x", api.LargestMessage+1), byOwner); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d %.200s", w.Code, w.Body)
	}
	for _, p := range []string{"/alerts", "/alerts/check", "/commands"} {
		if w := post(h, p, "<alert/>", byViewer); w.Code != http.StatusForbidden {
			t.Errorf("%s by a viewer: %d", p, w.Code)
		}
	}
	if len(box.Acts()) != 0 {
		t.Errorf("%v", box.Acts())
	}
}

func TestAFullQueueSaysWhenToComeAgain(t *testing.T) {
	box := apitest.New(apitest.Calm)
	box.Err = api.ErrBusy
	h := newServer(t, box, api.Opts{}).Handler()
	w := post(h, "/alerts", "<alert/>", byOwner)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "预警太多") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestAnybodyMayFollowTheBoxByCAP(t *testing.T) {
	h := newServer(t, apitest.New(apitest.Calm), api.Opts{}).Handler()
	get := func(p string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, byViewer(httptest.NewRequest("GET", "http://192.168.1.5/api/v1"+p, nil)))
		return w
	}
	if w := get("/cap"); w.Code != 200 || w.Header().Get("Content-Type") != "application/atom+xml" || !strings.Contains(w.Body.String(), "http://192.168.1.5/api/v1/cap") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := get("/cap/a-1"); w.Code != 200 || w.Header().Get("Content-Type") != "application/cap+xml" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := get("/cap/m2"); w.Code != 404 {
		t.Errorf("%d", w.Code)
	}
}
