//go:build browser

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/hwtest/built"
	"tocsin/hwtest/release"
	"tocsin/hwtest/storm"
)

// console is a real edged on the storm's village, for a browser.
type console struct {
	t                *testing.T
	v                *storm.Village
	dir, page, owner string
	client           *http.Client
	run              []string
	log              *os.File
	box              *exec.Cmd
	desk             *release.Desk
}

// consoleAccounts are those that flows sign in by; one password for all.
var consoleAccounts = map[string]string{"gan": "cadre", "zhi": "operator", "ji": "technician"}

const consolePassword = "river-stone-lamp-42"

// newConsole builds the village and a box as it comes, of which nobody is owner yet.
func newConsole(t *testing.T) *console {
	t.Helper()
	dir, err := os.MkdirTemp("", "console")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	built.Into(t, dir, "edged", "edged-desk")
	c := &console{t: t, dir: dir, page: free(t), owner: "zhang"}
	if c.v, err = storm.Build(storm.Config{Dir: filepath.Join(dir, "dev"), River: 2.1, Upstream: 2, Gas: 2}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.v.Close() })
	site := filepath.Join(dir, "site.yaml")
	if err := os.WriteFile(site, []byte(c.site()), 0o600); err != nil {
		t.Fatal(err)
	}
	// The bench's river may leap: how the box looks at a value that does is tried elsewhere, and takes its time.
	profile, err := os.ReadFile("../../configs/profiles/generic-radar-level-rs485.yaml")
	if err != nil || !bytes.Contains(profile, []byte("rate: 1/min")) {
		t.Fatal("the radar's profile: ", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "profiles"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "profiles/generic-radar-level-rs485.yaml"), bytes.Replace(profile, []byte("rate: 1/min"), []byte("rate: 1000/min"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	sock := filepath.Join(dir, "s")
	c.run = []string{"run", "-c", site, "--data", filepath.Join(dir, "data"), "--socket", sock, "--bench", filepath.Join(dir, "bench")}
	c.log = log
	t.Cleanup(func() {
		_ = c.box.Process.Signal(syscall.SIGCONT)
		_ = c.box.Process.Signal(syscall.SIGTERM)
		_ = c.box.Wait()
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			for line := range strings.Lines(string(b)) {
				if strings.Contains(line, "level=ERROR") {
					t.Log(line)
				}
			}
			t.Logf("%s", b[max(0, len(b)-6000):])
		}
	})
	c.desk = release.New(1)
	if err := c.desk.Trusted(filepath.Join(dir, "bench")); err != nil {
		t.Fatal(err)
	}
	c.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", sock)
	}}}
	c.start()
	return c
}

// start runs the box, anew after its end, and waits until it is armed.
func (c *console) start() {
	t := c.t
	t.Helper()
	c.box = exec.Command(filepath.Join(c.dir, "edged"), c.run...)
	c.box.Stdout, c.box.Stderr = c.log, c.log
	if err := c.box.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(40 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		var s struct{ Armed bool }
		if r, err := c.client.Get("http://edged/api/v1/status"); err == nil {
			_ = json.NewDecoder(r.Body).Decode(&s)
			r.Body.Close()
		}
		if s.Armed {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the box was not armed")
		}
	}
}

// setUp makes the first owner by the label's secret, and the other accounts.
func (c *console) setUp() {
	t := c.t
	secret, err := os.ReadFile(filepath.Join(c.dir, "data", "setup-secret"))
	if err != nil {
		t.Fatal(err)
	}
	form := strings.NewReader(fmt.Sprintf("secret=%s&account=%s&name=%s&password=%s&again=%[4]s", strings.TrimSpace(string(secret)), c.owner, "Zhang+Wei", consolePassword))
	r, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Post("http://"+c.page+"/setup", "application/x-www-form-urlencoded", form)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusSeeOther {
		t.Fatal("set-up: ", r.Status)
	}
	for account, role := range consoleAccounts {
		c.post("/users", map[string]any{"account": account, "name": strings.ToUpper(account[:1]) + account[1:], "role": role, "password": consolePassword, "who": "test"})
	}
}

func (c *console) post(path string, body any) {
	c.t.Helper()
	j, _ := json.Marshal(body)
	r, err := c.client.Post("http://edged/api/v1"+path, "application/json", bytes.NewReader(j))
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode >= 300 {
		var b bytes.Buffer
		b.ReadFrom(r.Body)
		c.t.Fatalf("%s: %s %s", path, r.Status, b.String())
	}
}

func (c *console) site() string {
	v := c.v
	return fmt.Sprintf(`version: 1
site: {id: "441882103201", name: {zh: 黄渡村, en: Huangdu}, at: [24.7812, 112.3790], datum: 1985, languages: [cmn, yue]}
lines:
  field: {port: %s, baud: 9600}
  out: {port: %s, baud: 9600}
  up: {tcp: %q}
devices:
  rain: {name: {zh: 雨量计, en: rain gauge}, profile: generic-rain-rs485, line: field, unit: %d, every: 1s}
  river: {name: {zh: 河道水位计, en: river radar}, profile: generic-radar-level-rs485, line: field, unit: %d, zero: 96.20 m, every: 1s}
  gas: {name: {zh: 井口甲烷, en: methane at the pithead}, profile: generic-ch4-rs485, line: field, unit: %d, every: 1s}
  relay: {name: {zh: 继电器板, en: relay board}, profile: generic-relay-8in-8out, line: out, unit: %d, every: 250ms}
  upstream: {name: {zh: 上游水位计, en: upstream radar}, profile: generic-radar-level-rs485, line: up, unit: %d, zero: 110 m, every: 1s}
outputs:
  siren: {name: {zh: 村部警报器, en: siren at the village hall}, kind: electronic, relay: relay.1, sensed_by: relay.in5, sense: current, cut_by: relay.8, fail_safe: 1m}
  horn: {name: {zh: 村部喇叭, en: horn at the village hall}, kind: loudspeaker, file: %s}
inputs:
  stop: {input: relay.in3, means: stop}
rules:
  flash-flood:
    name: {zh: 山洪, en: flash flood}
    set_by: {name: 县水利局, date: 2026-05-12}
    any_of:
      - {point: rain.total, over: 1h, prepare: 45 mm, evacuate: 60 mm}
      - {point: river.level, prepare: 101.20 m, evacuate: 102.40 m, clear_below: 100.90 m, for: 2s}
plan: flash-flood-village
managed: {by: {zh: 县防汛指挥部, en: county flood control}, since: "2026-05-12", paths: [/site/soil]}
page: {listen: %q}
`, v.Port(storm.FieldPort), v.Port(storm.OutPort), v.Gateway.Addr(), storm.UnitRainA, storm.UnitRiver, storm.UnitGas, storm.UnitBoard, storm.UnitUp, filepath.Join(c.dir, "horn"), c.page)
}

// bench lets a flow act on the world outside the box: the river rises, a gauge falls silent.
func (c *console) bench() *httptest.Server {
	m := http.NewServeMux()
	set := func(path string, f func(v float64)) {
		m.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			v, err := strconv.ParseFloat(r.URL.Query().Get("v"), 64)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			f(v)
		})
	}
	set("/river", func(v float64) { c.v.River.Set(v) })
	set("/upstream", func(v float64) { c.v.Upstream.Set(v) })
	set("/tips", func(v float64) { c.v.RainA.Tip(int(v)) })
	set("/gas", func(v float64) { c.v.Gas.Set(v) })
	set("/mute-river", func(v float64) { c.v.River.LoseEcho(v != 0) })
	// A box that is out of reach: connections stand and nothing comes.
	set("/away", func(v float64) {
		sig := syscall.SIGCONT
		if v != 0 {
			sig = syscall.SIGSTOP
		}
		_ = c.box.Process.Signal(sig)
	})
	set("/pour", func(v float64) { c.v.Pour(v) })
	set("/input", func(v float64) { c.v.Board.Turn(int(v), true) })
	set("/input-off", func(v float64) { c.v.Board.Turn(int(v), false) })
	// A release of a number, by the desk that the box believes or by another one (by=other).
	m.HandleFunc("GET /release", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Query().Get("n"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		desk := c.desk
		if r.URL.Query().Get("by") == "other" {
			desk = release.New(2)
		}
		w.Write(desk.File(n, fmt.Sprint(n, ".0")))
	})
	// The power goes, and somebody has spoilt the site's file when it comes back.
	set("/break-file", func(float64) {
		_ = c.box.Process.Kill()
		_ = c.box.Wait()
		file := filepath.Join(c.dir, "site.yaml")
		b, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(file, bytes.Replace(b, []byte("devices:"), []byte("devcies:"), 1), 0o600)
		}
		if err != nil {
			c.t.Error(err)
		}
		c.start()
	})
	m.HandleFunc("GET /sounding", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, c.v.Horn.Current().On())
	})
	s := httptest.NewServer(m)
	c.t.Cleanup(s.Close)
	return s
}

// lanes are the flows of the console's e2e folder by the box that they share, in their order: on one
// box a flow leaves everything as it found it. Boxes are tried side by side, since flows wait for
// the world more than they work; what is measured against the clock, a thin line or a hand that lets go, comes first, alone.
var lanes = []struct {
	name  string
	flows []string
	alone bool
}{
	{"first", []string{"firstload", "hand"}, true},
	{"night", []string{"storm"}, false},
	{"office", []string{"config", "device", "scanner", "rule"}, false},
	{"care", []string{"network", "update", "backup", "rescue"}, false},
	{"views", []string{"crawl", "users", "sign"}, false},
}

// notLanes are no flows, or begin with a box of their own.
var notLanes = []string{"county", "lib", "pictures", "wizard"}

func browserHere(t *testing.T) (chromium, ui string) {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	if ui, err = filepath.Abs("../../firmware/serve/page/ui"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(ui, "dist/station/index.html.gz")); err != nil {
		t.Fatal("the console was not built: run make ui")
	}
	return chromium, ui
}

// TestTheConsoleInABrowser runs every flow of the console's e2e folder in a real browser at a
// real box: each is a program that ends with 0 where it saw what it should.
func TestTheConsoleInABrowser(t *testing.T) {
	chromium, ui := browserHere(t)
	files, err := filepath.Glob(filepath.Join(ui, "e2e", "*.mjs"))
	if err != nil || len(files) == 0 {
		t.Fatal("no flows: ", err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".mjs")
		n := 0
		for _, l := range lanes {
			for _, x := range l.flows {
				if x == name {
					n++
				}
			}
		}
		if n != 1 && !slices.Contains(notLanes, name) {
			t.Errorf("the flow %s is in %d lanes", name, n)
		}
	}
	for _, l := range lanes {
		t.Run(l.name, func(t *testing.T) {
			if !l.alone {
				t.Parallel()
			}
			c := newConsole(t)
			c.setUp()
			bench := c.bench()
			for _, name := range l.flows {
				t.Run(name, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
					defer cancel()
					cmd := exec.CommandContext(ctx, "node", filepath.Join("e2e", name+".mjs"))
					cmd.Dir = ui
					cmd.Env = append(os.Environ(), "BOX=http://"+c.page, "BENCH="+bench.URL, "CHROMIUM="+chromium, "OWNER="+c.owner, "PASSWORD="+consolePassword, "BOX_DATA="+filepath.Join(c.dir, "data"))
					out, err := cmd.CombinedOutput()
					if err != nil {
						t.Fatalf("%v\n%s", err, out)
					}
					t.Logf("%s", out)
				})
			}
		})
	}
}
