package station

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/firmware/serve/api"
)

// seeds are secrets that somebody typed into the site's file.
var seeds = []string{"Rtsp-Pass-9183", "tok55aasecret", "barePass7712"}

// said gives all that leaves the house about its document.
func (w *town) said() map[string]string {
	w.t.Helper()
	out := map[string]string{"the log": w.log.String()}
	for _, path := range []string{"/config/revisions", "/config/revisions/0", "/config/revisions/1", "/audit", "/logs?level=debug", "/faults", "/status", "/alerts", "/links", "/journal?limit=1000", "/support-bundle"} {
		r, err := w.client().Get("http://edged/api/v1" + path)
		if err != nil {
			w.t.Fatal(err)
		}
		b, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != http.StatusOK && r.StatusCode != http.StatusNotFound {
			w.t.Errorf("%s: %s %v", path, r.Status, err)
		}
		if path == "/support-bundle" {
			z, err := gzip.NewReader(bytes.NewReader(b))
			if err != nil {
				w.t.Fatal(err)
			}
			if b, err = io.ReadAll(z); err != nil || !bytes.Contains(b, []byte("site.yaml")) {
				w.t.Fatalf("the bundle: %v", err)
			}
		}
		out[path] = string(b)
	}
	return out
}

func (w *town) leaks(more map[string]string) {
	w.t.Helper()
	for place, text := range more {
		for _, s := range seeds {
			if i := strings.Index(text, s); i >= 0 {
				w.t.Errorf("%s leaks %s: …%s…", place, s, text[max(0, i-120):min(len(text), i+60)])
			}
		}
	}
}

func TestASecretThatSomebodyTypedIntoTheFileDoesNotLeaveTheBox(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.text = strings.Replace(w.text, "page:", `alerts: {feeds: {prov: {url: "https://127.0.0.1:9/cap?token=tok55aasecret", every: 10s}}}
mqtt: {platform: {server: "127.0.0.1:9", plain: true, user: box, password: barePass7712}}
page:`, 1)
	w.write("site.yaml", w.text)
	w.start()
	w.until("the revisions", func() bool { var r api.RevisionText; return w.get("/config/revisions/0", &r) == nil })
	w.until("the feed's silence or its error", func() bool {
		return strings.Contains(w.log.String(), "feed") || strings.Contains(w.log.String(), "mqtt")
	})
	w.leaks(w.said())

	// What goes out comes back with its place-holders, and means the secrets again.
	base := w.base()
	if !strings.Contains(base.Document, "hidden-") {
		t.Fatalf("no place-holder in\n%s", base.Document)
	}
	var e api.Edited
	if code := w.asks("/config/edit", map[string]any{"edits": []map[string]any{{"op": "set", "path": "/rules/gas/any_of/0/prepare", "value": "21 %LEL"}}}, &e); code != "" || !e.Judgement.Good {
		t.Fatalf("%s %+v", code, e.Judgement)
	}
	var d api.Diff
	w.asks("/config/diff", map[string]any{"from": 0, "document": e.Document}, &d)
	if d.Diff != e.Diff || !strings.Contains(d.Diff, "+") {
		t.Errorf("%q and %q", d.Diff, e.Diff)
	}
	if code := w.asks("/config", api.Proposal{Base: base.Number, Document: e.Document, Who: "王工", Why: "阈值"}, nil); code != "" {
		t.Fatal(code)
	}
	if got := w.inForce(); got != strings.Replace(w.text, "prepare: 20 %LEL", "prepare: 21 %LEL", 1) {
		t.Errorf("the file is now\n%s", got)
	}
	if code := w.asks("/config", api.Proposal{Base: base.Number + 1, Document: strings.Replace(e.Document, "hidden-", "hidden-0123456789abcdef", 1), Who: "王工", Why: "x"}, nil); code != "station.hidden_unknown" {
		t.Errorf("a place-holder that nobody knows: %q", code)
	}

	// What is refused is told without what was wrong in it: by a proposal, and by a hand at the file.
	bad := strings.Replace(w.text, "page:", "video: {streams: {gate: {name: {zh: 河口, en: gate}, pull: \"rtsp://admin:Rtsp-Pass-9183@10.0.0.9/1\"}}}\npage:", 1)
	var j api.Judgement
	if code := w.asks("/config/check", map[string]string{"document": bad}, &j); code != "" || j.Good {
		t.Fatalf("%s: a camera's password in its address passes", code)
	}
	w.leaks(map[string]string{"a judgement": fmt.Sprint(j)})
	w.asks("/config", api.Proposal{Base: base.Number + 1, Document: bad, Who: "王工", Why: "摄像头"}, nil)
	if err := os.WriteFile(filepath.Join(w.dir, "site.yaml"), []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	w.hangUp()
	w.faulty("site file", []string{"rtsp"}, []string{"rtsp"})
	w.until("the hand's revision", func() bool { return w.base().By == "hand" })
	w.leaks(w.said())
	var im api.Edited
	w.asks("/config/import", map[string]any{"document": bad}, &im)
	w.leaks(map[string]string{"an import": fmt.Sprintf("%+v", im)})
}

// What lets a stranger silence the box leaves it over its own socket alone: neither what the
// log holds nor a support bundle has it, even if it is only in RAM.
func TestTheStopTokenIsInNoLogAndNoBundle(t *testing.T) {
	for name, prepare := range map[string]func(data string) error{
		"at the first start": func(string) error { return nil },
		"held in RAM":        func(data string) error { return os.Symlink("/etc/hostname", filepath.Join(data, "stop-token")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t)
			data := filepath.Join(w.dir, "data")
			if err := os.MkdirAll(data, 0o750); err != nil {
				t.Fatal(err)
			}
			if err := prepare(data); err != nil {
				t.Fatal(err)
			}
			w.start()
			var l api.Label
			if err := w.get("/label", &l); err != nil || len(l.Stop) != 11 {
				t.Fatalf("at the box: %q, %v", l.Stop, err)
			}
			if !strings.Contains(w.log.String(), "stop token") {
				t.Error("the log does not say where the token is")
			}
			for place, text := range w.said() {
				for _, form := range []string{l.Stop, strings.ReplaceAll(l.Stop, "-", "")} {
					if i := strings.Index(text, form); i >= 0 {
						t.Errorf("%s: …%s…", place, text[max(0, i-120):min(len(text), i+40)])
					}
				}
			}
		})
	}
}
