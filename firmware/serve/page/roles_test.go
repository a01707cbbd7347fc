package page_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"net/http"

	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/api/apitest"
	"tocsin/firmware/serve/page"
)

func TestEveryWayInIsHeldToItsRole(t *testing.T) {
	box := apitest.New(apitest.Alarm)
	pages, err := page.New(box, verifier("GOOD"), page.Opts{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := api.New(box, api.Opts{Token: verifier("GOOD"), Pages: pages, Video: http.NotFoundHandler()})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.Routes()); n < 50 {
		t.Fatalf("only %d ways in", n)
	}
	for _, u := range apitest.Unheld(box, s) {
		t.Error(u)
	}
}

func TestAWayInThatIsNotHeldIsFound(t *testing.T) {
	box := apitest.New(apitest.Alarm)
	r := api.NewRoutes()
	r.Handle(access.Nobody, "GET /forgotten", func(http.ResponseWriter, *http.Request) {})
	r.Handle(access.Technician, "POST /untried", func(http.ResponseWriter, *http.Request) {})
	r.Open("GET /acts", false, func(http.ResponseWriter, *http.Request) { box.Stop(api.Who{}) })
	r.Handle(access.Operator, "GET /broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	r.Handle(access.Operator, "GET /held", func(http.ResponseWriter, *http.Request) {})
	s, err := api.New(box, api.Opts{Pages: r})
	if err != nil {
		t.Fatal(err)
	}
	found := strings.Join(apitest.Unheld(box, s), "\n")
	for _, want := range []string{"GET /forgotten", "POST /untried", "GET /acts", "GET /broken"} {
		if !strings.Contains(found, want) {
			t.Errorf("%s is not found in:\n%s", want, found)
		}
	}
	if strings.Contains(found, "/held") {
		t.Error(found)
	}
}

// A path that is served beside the list would be tried by nobody.
func TestNothingIsServedBesideTheList(t *testing.T) {
	beside := regexp.MustCompile(`http\.NewServeMux\(`)
	for _, dir := range []string{".", "../api"} {
		files, _ := filepath.Glob(filepath.Join(dir, "*.go"))
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") || filepath.Base(f) == "routes.go" || filepath.Base(f) == "server.go" {
				continue
			}
			if b, _ := os.ReadFile(f); beside.Match(b) {
				t.Errorf("%s has a mux of its own; use api.Routes", f)
			}
		}
	}
}
