package station

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/firmware/serve/api"
)

// ask calls the API by the socket.
func (p *process) ask(method, path, media string, body []byte) (int, []byte) {
	p.t.Helper()
	c := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", p.socket)
	}}}
	r, _ := http.NewRequest(method, "http://edged/api/v1"+path, bytes.NewReader(body))
	r.Header.Set("Content-Type", media)
	resp, err := c.Do(r)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, b
}

func (p *process) does(path string, body string) {
	p.t.Helper()
	if code, b := p.ask("POST", "/commissioning"+path, "application/json", []byte(body)); code >= 300 {
		p.t.Fatalf("%s: %d %s", path, code, b)
	}
}

func (p *process) sheet() (c api.Commissioning) {
	p.t.Helper()
	p.until("the sheet", func() bool {
		code, b := p.ask("GET", "/commissioning", "", nil)
		return code == 200 && json.Unmarshal(b, &c) == nil
	})
	return c
}

func (c sheetNow) step(id string) api.CommissioningStep {
	return c.Steps[slices.IndexFunc(c.Steps, func(s api.CommissioningStep) bool { return s.ID == id })]
}

type sheetNow struct{ api.Commissioning }

// TestCommissioningGoesOnAfterThePowerIsCut pours water into a gauge, cuts the program
// off in the middle, and goes on with the same sheet.
func TestCommissioningGoesOnAfterThePowerIsCut(t *testing.T) {
	if testing.Short() {
		t.Skip("builds edged")
	}
	t.Parallel()
	w := newTown(t)
	p := newEdged(t, w.text)
	// Ten millimetres in a moment: no real gauge would be believed.
	f := filepath.Join(p.dir, "profiles/generic-rain-rs485.yaml")
	if err := os.WriteFile(f, []byte(shipped(t, "profiles/generic-rain-rs485.yaml", "rate: 8/min", "rate: 8000/min")), 0o644); err != nil {
		t.Fatal(err)
	}
	p.again()
	c := sheetNow{p.sheet()}
	if c.Commissioned || c.Left < 10 || !c.step("rain").Applies || len(c.step("rain").Things) != 3 {
		t.Fatalf("a new box: %+v", c.Commissioning)
	}
	p.until("the gauge has been read", func() bool { return sheetNow{p.sheet()}.step("rain").Things[0].Quality == "good" })
	p.does("/rain/measure", `{"who":"王工","act":"begin","thing":"rain-a.total"}`)
	p.does("/power/measure", `{"who":"王工","act":"begin","thing":"box"}`)
	p.does("/earth/answers", `{"who":"王工","answers":{"ohms":"3.8","instrument":"ZC-8 0417"}}`)
	p.does("/earth/settle", `{"who":"王工","state":"passed"}`)
	var photo bytes.Buffer
	jpeg.Encode(&photo, image.NewGray(image.Rect(0, 0, 64, 48)), nil)
	if code, b := p.ask("POST", "/commissioning/antenna/photos?who=W", "image/jpeg", photo.Bytes()); code != 200 {
		t.Fatalf("photo: %d %s", code, b)
	}
	w.v.RainA.Tip(20)
	p.until("4 mm are counted", func() bool {
		r := sheetNow{p.sheet()}.step("rain").Things[0].Run
		return r != nil && r.Now != nil && *r.Now-r.Base > 3.9
	})
	p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.ended
	p.again()
	c = sheetNow{p.sheet()}
	if e := c.step("earth"); e.State != "passed" || e.Who != "王工" {
		t.Errorf("after the cut: %+v", e)
	}
	if len(c.step("antenna").Photos) != 1 || c.step("rain").Things[0].Run == nil {
		t.Errorf("after the cut: %+v", c.step("rain"))
	}
	w.v.RainA.Tip(30)
	p.until("10 mm are counted", func() bool {
		r := sheetNow{p.sheet()}.step("rain").Things[0].Run
		return r.Now != nil && *r.Now-r.Base > 9.9
	})
	p.does("/rain/measure", `{"who":"王工","act":"end","thing":"rain-a.total"}`)
	if k := (sheetNow{p.sheet()}).step("rain").Things[0].Take; k == nil || !k.Good {
		t.Errorf("10 mm were poured: %+v", k)
	}
	p.until("the restart is read from the journal", func() bool {
		code, _ := p.ask("POST", "/commissioning/power/measure", "application/json", []byte(`{"who":"王工","act":"end","thing":"box"}`))
		return code < 300
	})
	k := (sheetNow{p.sheet()}).step("power").Things[0].Take
	if k.Good || !strings.Contains(fmt.Sprint(k.More), "commission.only_process") || !strings.Contains(fmt.Sprint(k.More), "commission.away") {
		t.Errorf("the board was not without power, and the box says %+v", k)
	}
	p.does("/lines/measure", `{"who":"王工","act":"look"}`)
	if n := len(sheetNow{p.sheet()}.step("lines").Things); n != 4 {
		t.Errorf("%d lines", n)
	}
	code, page := p.ask("GET", "/commissioning/report?lang=zh", "", nil)
	if code != 200 || !strings.Contains(string(page), "未开通，还差：") || !strings.Contains(string(page), "3.8 Ω") || !strings.Contains(string(page), "注水 314 mL") {
		t.Errorf("report: %d\n%s", code, page)
	}
	if _, err := os.Stat("/usr/share/fonts/truetype/arphic-gbsn00lp/gbsn00lp.ttf"); err == nil {
		if code, pdf := p.ask("GET", "/commissioning/report?as=pdf", "", nil); code != 200 || !bytes.HasPrefix(pdf, []byte("%PDF-")) {
			t.Errorf("PDF: %d %.300s", code, pdf)
		}
	}
	for _, what := range []string{"labels", "card"} {
		if code, b := p.ask("GET", "/commissioning/"+what+"?lang=en", "", nil); code != 200 || !bytes.Contains(b, []byte("<h1>")) {
			t.Errorf("%s: %d", what, code)
		}
	}
}

// TestTheSupportBundleHasNoSecret seeds every secret that a box has, has each of them
// said where it must not be, and looks for them in the bundle and the log.
func TestTheSupportBundleHasNoSecret(t *testing.T) {
	if testing.Short() {
		t.Skip("builds edged")
	}
	t.Parallel()
	w := newTown(t)
	seed := map[string]string{
		"secrets/county.key": hex.EncodeToString(bytes.Repeat([]byte{0xA7, 0x31}, 16)), "secrets/mqtt.pw": "mqtt-Pa55-word", "secrets/drone.key": "drone-stream-key-9", "secrets/dam.pw": "dam-c4mera-pw",
		"secrets/datagrams.psk": hex.EncodeToString(bytes.Repeat([]byte{0x5B, 0x02}, 16)),
	}
	site := strings.Replace(w.text, "page:", `county: {number: 17, root: secrets/county.key}
links: {satellite: {kind: datagrams, servers: ["127.0.0.1:9"], psk: secrets/datagrams.psk}}
mqtt: {province: {server: "127.0.0.1:1", user: u, password: secrets/mqtt.pw, plain: true}}
video: {streams: {drone: {key: secrets/drone.key}, dam: {pull: "rtsp://127.0.0.1:1/main", user: view, password: secrets/dam.pw}}}
page:`, 1)
	dir, err := os.MkdirTemp("", "edged")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, s := range seed {
		f := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(f), 0o700)
		if err := os.WriteFile(f, []byte(s+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		site = strings.ReplaceAll(site, name, f)
	}
	p := startEdged(t, site)
	p.record("system.armed", "")
	data := filepath.Join(p.dir, "data")
	all, _ := os.ReadDir(data)
	for _, f := range all {
		st, _ := f.Info()
		if st.Mode().IsRegular() && st.Mode().Perm()&0o077 == 0 && st.Size() < 4096 && !strings.Contains(f.Name(), ".db") && !strings.HasSuffix(f.Name(), ".yaml") {
			b, _ := os.ReadFile(filepath.Join(data, f.Name()))
			for line := range strings.Lines(string(b)) {
				if line = strings.TrimSpace(line); len(line) >= 8 && !strings.HasPrefix(line, "-----") {
					seed[f.Name()+" "+line[:4]] = line
				}
			}
		}
	}
	for _, must := range []string{"stop-token", "box.key"} {
		if !slices.ContainsFunc(all, func(f os.DirEntry) bool { return f.Name() == must }) {
			t.Errorf("the data directory has no %s", must)
		}
	}
	// Whoever writes a reason may write anything.
	for _, s := range seed {
		body, _ := json.Marshal(map[string]any{"who": "W", "state": "failed", "reason": "key is " + s})
		p.does("/network/settle", string(body))
	}
	file := filepath.Join(p.dir, "b.tar.gz")
	if out, err := p.edged("bundle", "-o", file); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r)
		texts[filepath.Base(h.Name)] = string(b)
	}
	_, b := p.ask("GET", "/logs?level=debug", "", nil)
	texts["the log by the API"] = string(b)
	for _, must := range []string{"site.yaml", "log.txt", "journal.ndjson", "status.json", "version.json", "commissioning.json"} {
		if len(texts[must]) < 20 {
			t.Errorf("no %s", must)
		}
	}
	if !strings.Contains(texts["journal.ndjson"], "commission.settled") {
		t.Error("the journal has no record of the steps")
	}
	for where, text := range texts {
		for name, s := range seed {
			if strings.Contains(text, s) || strings.Contains(text, strings.ToUpper(s)) {
				t.Errorf("%s has %s", where, name)
			}
		}
	}
}
