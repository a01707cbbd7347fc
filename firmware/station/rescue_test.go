package station

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/hwtest/release"
)

// browser is somebody signed in at a box who has plain forms alone.
type browser struct {
	t    *testing.T
	url  string
	http http.Client
}

// do sends a form and gives the answer's status and text.
func (b *browser) do(path, media string, body io.Reader) (int, string) {
	b.t.Helper()
	r, err := b.http.Post(b.url+path, media, body)
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return r.StatusCode, html.UnescapeString(string(text))
}

func (b *browser) form(path string, pairs ...string) (int, string) {
	b.t.Helper()
	v := url.Values{"lang": {"zh"}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return b.do(path, "application/x-www-form-urlencoded", strings.NewReader(v.Encode()))
}

// file sends a file by a plain form.
func (b *browser) file(path string, content []byte) (int, string) {
	b.t.Helper()
	var buf bytes.Buffer
	m := multipart.NewWriter(&buf)
	w, _ := m.CreateFormFile("file", "release.tar")
	w.Write(content)
	m.Close()
	return b.do(path, m.FormDataContentType(), &buf)
}

func (b *browser) page(path string) string {
	b.t.Helper()
	r, err := b.http.Get(b.url + path)
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(r.Body)
	return html.UnescapeString(string(text))
}

// newTried is a real edged on a town's lines, with a page, on a bench that has an installer and a
// network, and a technician who is signed in.
func newTried(t *testing.T) (*town, *process, *browser) {
	t.Helper()
	w := newTown(t)
	p := newEdged(t, w.text)
	p.listen("--listen", freePort(t), "--bench", filepath.Join(p.dir, "bench"))
	if err := release.New(1).Trusted(filepath.Join(p.dir, "bench")); err != nil {
		t.Fatal(err)
	}
	p.again()
	p.record("system.armed", "")
	for _, role := range []string{"owner", "technician"} {
		if code, b := p.ask("POST", "/users", "application/json", fmt.Appendf(nil, `{"account":%q,"name":"林工","role":%q,"password":"river-stone-lamp-42","who":"test"}`, role, role)); code >= 300 {
			t.Fatalf("account: %d %s", code, b)
		}
	}
	b := &browser{t: t, url: "http://" + p.args[len(p.args)-3]}
	b.http.Timeout = 20 * time.Second
	b.http.Jar, _ = cookiejar.New(nil)
	b.signIn()
	return w, p, b
}

func (b *browser) signIn() {
	b.t.Helper()
	if code, text := b.form("/sign-in", "account", "technician", "password", "river-stone-lamp-42", "to", "/rescue"); code != http.StatusOK || !strings.Contains(text, "/rescue/restart") {
		b.t.Fatalf("sign-in: %d %.2000s", code, text)
	}
}

// listen changes how it is started.
func (p *process) listen(args ...string) { p.args = append(p.args[:len(p.args)-2], args...) }

// inChinese gives a message as the page says it.
func inChinese(code string, pairs ...any) string { return phrase.M(code, pairs...).In(phrase.ZH) }

func (p *process) get(path string, into any) {
	p.t.Helper()
	p.until(path, func() bool {
		code, b := p.ask("GET", path, "", nil)
		return code == http.StatusOK && json.Unmarshal(b, into) == nil
	})
}

func TestNothingThatPausesTheAlarmIsDoneWhileALevelStands(t *testing.T) {
	if testing.Short() {
		t.Skip("builds edged")
	}
	t.Parallel()
	w, p, b := newTried(t)
	if code, text := b.file("/rescue/update?lang=zh", release.New(1).File(2, "2.0")); code != http.StatusOK || !strings.Contains(text, inChinese("hand.staged", "version", "2.0")) {
		t.Fatalf("a good release: %d %.2000s", code, text)
	}
	began := time.Now()
	w.v.Gas.Set(gasPrepare)
	w.sounds(began)
	cause := p.record("alarm.raised", "").Cause
	started := 0
	for _, r := range p.records() {
		if r.Kind == "system.started" {
			started++
		}
	}
	now := api.Revision{}
	p.get("/config/revisions/0", &now)
	network := fmt.Sprintf(`{"base":%d,"interface":"eth0","address":"192.168.8.20/24","why":"x","session":"12345678","within_ns":60000000000,"who":"W"}`, now.Number)
	asked := func(path, body, code string) {
		t.Helper()
		status, got := p.ask("POST", path, "application/json", []byte(body))
		var x api.Problem
		if json.Unmarshal(got, &x) != nil || status != http.StatusConflict || x.Code != code || x.ZH != inChinese(code) || !strings.Contains(x.ZH, "解除") || !strings.Contains(x.EN, "all-clear") {
			t.Errorf("%s while a level stands: %d %s", path, status, got)
		}
	}
	asked("/update/activate", `{"who":"W"}`, "update.level")
	asked("/network", network, "network.level")
	for path, code := range map[string]string{"/rescue/activate": "update.level", "/rescue/restart": "station.restart_level"} {
		if status, text := b.form(path); status != http.StatusConflict || !strings.Contains(text, inChinese(code)) {
			t.Errorf("%s while a level stands: %d %.2000s", path, status, text)
		}
	}
	// STOP silences, and the level bars as before.
	if status, text := b.form("/rescue/stop"); status != http.StatusOK || !strings.Contains(text, `class="said" role="alert"`) {
		t.Fatalf("STOP: %d %.2000s", status, text)
	}
	w.silent()
	asked("/update/activate", `{"who":"W"}`, "update.level")
	asked("/network", network, "network.level")
	var u api.Update
	if p.get("/update", &u); u.Phase != "staged" || u.Barred == nil || u.Barred.Code != "update.level" {
		t.Errorf("update: %+v", u)
	}
	// The all-clear ends it, once nothing sounds.
	w.v.Gas.Set(gasCalm)
	p.until("it can be released", func() bool {
		code, _ := p.ask("POST", "/alarms/"+cause+"/release", "application/json", []byte(`{"who":"W","reason":"calm"}`))
		return code < 300
	})
	p.until("the release is activated", func() bool {
		code, got := p.ask("POST", "/update/activate", "application/json", []byte(`{"who":"W"}`))
		if code >= 300 && !bytes.Contains(got, []byte("update.sounding")) {
			t.Fatalf("activate after the all-clear: %d %s", code, got)
		}
		return code < 300
	})
	p.get("/config/revisions/0", &now)
	if status, got := p.ask("POST", "/network", "application/json", []byte(network)); status != http.StatusOK {
		t.Errorf("a calm box's network: %d %s", status, got)
	}
	for _, r := range p.records() {
		if r.Kind == "system.started" {
			started--
		}
	}
	if started != 0 {
		t.Error("it has begun anew")
	}
}

func TestTheRescuePageMendsABoxWithABrokenSiteFile(t *testing.T) {
	if testing.Short() {
		t.Skip("builds edged")
	}
	t.Parallel()
	w, p, b := newTried(t)
	file := filepath.Join(p.dir, "site.yaml")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Process.Kill()
	<-p.ended
	broken := strings.Replace(string(good), "devices:", "devcies:", 1)
	if err := os.WriteFile(file, []byte(broken), 0o644); err != nil {
		t.Fatal(err)
	}
	p.again()
	armed := func() bool {
		var s struct{ Armed bool }
		code, got := p.ask("GET", "/status", "", nil)
		return code == http.StatusOK && json.Unmarshal(got, &s) == nil && s.Armed
	}
	p.until("armed with the last good file", armed)
	b.signIn()
	text := b.page("/rescue?lang=zh")
	for _, want := range []string{"devcies", "/api/v1/support-bundle", `thing="site file"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the rescue page of a box with a broken file lacks %q:\n%s", want, text)
		}
	}
	// It warns as before, and STOP is heard.
	began := time.Now()
	w.v.Gas.Set(gasPrepare)
	w.sounds(began)
	if status, text := b.form("/rescue/stop"); status != http.StatusOK || !strings.Contains(text, `class="said" role="alert"`) {
		t.Fatalf("STOP: %d %.2000s", status, text)
	}
	w.silent()
	w.v.Gas.Set(gasCalm)
	cause := p.record("alarm.raised", "").Cause
	p.until("it can be released", func() bool {
		code, _ := p.ask("POST", "/alarms/"+cause+"/release", "application/json", []byte(`{"who":"W","reason":"calm"}`))
		return code < 300
	})
	// A release of somebody else's, and a good one.
	if status, text := b.file("/rescue/update?lang=zh", release.New(2).File(2, "2.0")); status != http.StatusConflict || !strings.Contains(text, inChinese("update.bad_signature")) {
		t.Errorf("another desk's release: %d %.2000s", status, text)
	}
	if status, text := b.file("/rescue/update?lang=zh", release.New(1).File(2, "2.0")); status != http.StatusOK || !strings.Contains(text, inChinese("hand.activate", "version", "2.0")) {
		t.Errorf("a good release: %d %.2000s", status, text)
	}
	p.until("it is activated", func() bool {
		status, text := b.form("/rescue/activate")
		if status == http.StatusConflict && strings.Contains(text, inChinese("update.sounding")) {
			return false // the all-clear is spoken
		}
		if status != http.StatusOK {
			t.Fatalf("activate: %d %.2000s", status, text)
		}
		return true
	})
	var u api.Update
	if p.get("/update", &u); u.Phase != "trial" || u.Running.Version != "2.0" {
		t.Errorf("update: %+v", u)
	}
	// The file of before comes back, and what was wrong is gone.
	base := regexp.MustCompile(`name="base" value="(\d+)"`).FindStringSubmatch(b.page("/rescue?lang=zh"))
	if base == nil {
		t.Fatalf("nothing to go back to:\n%s", b.page("/rescue?lang=zh"))
	}
	if status, text := b.form("/rescue/back", "base", base[1]); status != http.StatusOK || strings.Contains(text, `class="said bad">`+inChinese("hand.revision_moved")) {
		t.Fatalf("back: %d %.2000s", status, text)
	}
	if now, _ := os.ReadFile(file); !bytes.Equal(now, good) {
		t.Errorf("the site file is\n%s", now)
	}
	p.until("nothing is wrong with the file", func() bool { return !strings.Contains(b.page("/rescue?lang=zh"), "devcies") })
	if status, text := b.form("/rescue/restart"); status != http.StatusOK || !strings.Contains(text, inChinese("hand.restarting")) {
		t.Fatalf("restart: %d %.2000s", status, text)
	}
	p.until("it has begun anew with the good file", func() bool {
		n := 0
		for _, r := range p.records() {
			if r.Kind == "system.started" {
				n++
			}
		}
		return n >= 3 && armed()
	})
}
