package station

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/firmware/serve/api"
)

func TestAFeedAFolderAndAStickEndInTheSameVerifier(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	county, second := newOffice(t, w)
	served := county.says(warning{headline: "源里的预警"})
	var down atomic.Bool
	var srv *httptest.Server
	srv = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case down.Load():
			http.Error(rw, "no", http.StatusInternalServerError)
		case r.URL.Path == "/1.xml":
			rw.Header().Set("Content-Type", "application/cap+xml")
			rw.Write(served.text)
		default:
			rw.Header().Set("Content-Type", "application/atom+xml")
			fmt.Fprintf(rw, `<feed xmlns="http://www.w3.org/2005/Atom"><id>f</id><title>f</title><updated>2026-11-26T00:00:00Z</updated><entry><id>1</id><title>1</title><updated>2026-11-26T00:00:00Z</updated><link type="application/cap+xml" href="%s/1.xml"/></entry></feed>`, srv.URL)
		}
	}))
	defer srv.Close()
	w.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})))
	stick := filepath.Join(w.dir, "stick")
	if err := os.Mkdir(stick, 0o755); err != nil {
		t.Fatal(err)
	}
	w.text = strings.Replace(w.text, "page:", fmt.Sprintf("  feeds: {province: {url: %q, every: 10s, silent_after: 20s, ca: ca.pem}}\n  sticks: {usb: {path: %q, every: 500ms}}\npage:", srv.URL+"/feed", stick), 1)
	w.write("site.yaml", w.text)
	w.start()

	a := w.warning("evacuate", "raised")
	if !strings.Contains(a.HazardText.ZH, "源里的预警") {
		t.Errorf("%+v", a.HazardText)
	}
	w.write("stick/2.xml", string(second.says(warning{headline: "盘里的预警", severity: "Moderate"}).text))
	w.warning("prepare", "raised")
	w.write("drop/3.xml", string(county.says(warning{status: "Draft"}).text))
	w.write("drop/4.xml", "no alert")
	w.until("why not, beside the file", func() bool {
		f, _ := filepath.Glob(filepath.Join(w.dir, "drop", "refused", "*.why.txt"))
		return len(f) == 1
	})
	var all []api.Alert
	if err := w.get("/alerts", &all); err != nil {
		t.Fatal(err)
	}
	ways := map[string]bool{}
	for _, x := range all {
		for _, way := range x.Ways {
			ways[way] = true
		}
	}
	for _, want := range []string{"feed province", "stick usb", "folder drop"} {
		if !ways[want] {
			t.Errorf("nothing came by %s: %v", want, ways)
		}
	}
	if n := len(w.warnings()); n != 2 {
		t.Errorf("%d warnings sound, a draft among them?", n)
	}
	down.Store(true)
	w.within(2*patience, "its silence called", func() bool { _, called := w.fault("feed province"); return called })
	// A way that the file does not name any more ends, and its fault with it.
	w.editBy("王", w.text[strings.Index(w.text, "  feeds:"):strings.Index(w.text, "  sticks:")], "")
	w.until("gone", func() bool { _, called := w.fault("feed province"); return !called })
}

func TestADrillAndANoticeAreSaidAndRaiseNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	county, _ := newOffice(t, w)
	w.write("plans/county-warning.yaml", shipped(t, "plans/county-warning.yaml", `for: 1m`, "for: 3s"))
	horn := filepath.Join(w.dir, "horn")
	if err := os.Mkdir(horn, 0o755); err != nil {
		t.Fatal(err)
	}
	w.text = strings.Replace(w.text, "inputs:", "  horn: {kind: loudspeaker, file: "+horn+"}\ninputs:", 1)
	w.write("site.yaml", w.text)
	w.start()
	for i, a := range []warning{{status: "Exercise", headline: "演练"}, {severity: "Severe", headline: "注意"}} {
		said := county.says(a)
		if i == 1 { // without a call to leave it is a notice
			said = county.saysPlain(a)
		}
		if v := w.warnedBy(said); !v.Trusted || !v.InForce {
			t.Fatalf("%s: %+v", a.headline, v)
		}
		kind := []string{"drill", "real"}[i]
		w.until(a.headline+" said", func() bool {
			for _, r := range w.journal() {
				if r.Kind == "receipt.started" && r.Body["output"] == "horn" && r.Body["kind"] == kind {
					return true
				}
			}
			return false
		})
		w.until("said to its end", func() bool { var s api.Soundings; return w.get("/soundings", &s) == nil && len(s.Now) == 0 })
	}
	if got := w.warnings(); len(got) != 0 {
		t.Errorf("an alarm was raised: %+v", got)
	}
	// A siren cannot say that it is a drill.
	if w.v.Horn.Current().OnBetween(time.Time{}, time.Now()) > 0 {
		t.Error("the siren sounded")
	}
	var st api.Status
	if err := w.get("/status", &st); err != nil || st.Level != "" {
		t.Errorf("%+v %v", st, err)
	}
}
