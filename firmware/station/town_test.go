package station

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tocsin/configs"
	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
	"tocsin/hwtest/storm"
)

// patience is how long a test waits for what should come at once: a machine may
// be busy, and nothing here measures speed.
const patience = 25 * time.Second

// ending is what a house of a test has for its outputs, and for its journal, to end.
const ending = time.Minute

// resound of the town's plan, and the gas levels of its rule in %LEL.
const (
	resound                          = 4 * time.Second
	gasCalm, gasPrepare, gasEvacuate = 2.0, 30.0, 60.0
)

// town is a simulated village with a house of the real composition on its
// lines. What it did is judged by the village's sirens, and by what its socket
// and its journal say.
type town struct {
	t      *testing.T
	v      *storm.Village
	dir    string
	data   string
	memory string // what was kept in memory; "" for none
	listen string
	bench  string
	text   string // the site's file
	log    *notebook

	// notify takes what the house tells its service manager, which wants to be fed in watchdog.
	notify   func(string)
	watchdog time.Duration
	proof    time.Duration

	reload chan os.Signal
	stop   func()
	house  atomic.Pointer[House]
}

const townSite = `version: 1
site: {id: "441882103201", name: {zh: 黄渡村, en: Huangdu}, datum: 1985, languages: [cmn]}
lines:
  field: {port: FIELD, baud: 9600}
  out:   {port: OUT, baud: 9600}
  text:  {port: TEXT, baud: 9600}
  gate:  {tcp: "GATE"}
devices:
  rain-a:   {profile: generic-rain-rs485, line: field, unit: 1, every: 1s}
  rain-b:   {profile: generic-rain-rs485, line: field, unit: 2, every: 1s}
  river:    {profile: generic-radar-level-rs485, line: field, unit: 3, every: 500ms, zero: 96.20 m}
  gas:      {profile: generic-ch4-rs485, line: field, unit: 4, every: 300ms}
  relay:    {profile: generic-relay-8in-8out, line: out, unit: 11, every: 250ms}
  rain-c:   {profile: generic-rain-text, line: text}
  upstream: {profile: generic-radar-level-rs485, line: gate, unit: 1, every: 1s}
outputs:
  siren: {kind: electronic, relay: relay.1, sensed_by: relay.in5, sense: current, cut_by: relay.8, fail_safe: 30s}
inputs:
  key:    {input: relay.in2, means: evacuate, name: 村部钥匙}
  stop:   {input: relay.in3, means: stop, name: 停止按钮}
  answer: {input: relay.in4, means: answer, name: 值班村干部}
rules:
  gas:
    name: {zh: 甲烷, en: methane}
    set_by: {name: 台架, date: 2026-05-12}
    any_of: [{point: gas.ch4, prepare: 20 %LEL, evacuate: 40 %LEL, clear_below: 10 %LEL, for: 0s}]
plan: town
page: {listen: "off"}
`

const townPlan = `version: 1
plan: town
name: {zh: 台架预案, en: Bench}
levels:
  prepare:  {tone: prepare, clips: [prepare], clips_by: {hand: [by-village, get-ready]}, duty: {on: 8m, off: 10s}, resound: 4s}
  evacuate: {tone: evacuate, clips: [evacuate], clips_by: {hand: [by-village, move-now]}, duty: {on: 8m, off: 10s}, resound: 4s}
all_clear: {tone: chime, clips: [all-clear], for: 5s}
drill: {clips: [drill]}
test: {tone: chime, clips: [test], for: 5s}
`

// newTown builds a village; nothing of the house runs yet.
func newTown(t *testing.T) *town {
	t.Helper()
	dir, err := os.MkdirTemp("", "town") // a test's own name would be too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	v, err := storm.Build(storm.Config{Dir: filepath.Join(dir, "dev"), River: 3, Upstream: 3, Gas: gasCalm})
	if err != nil {
		t.Fatal(err)
	}
	w := &town{t: t, v: v, dir: dir, data: filepath.Join(dir, "data"), log: &notebook{}, reload: make(chan os.Signal)}
	w.text = strings.NewReplacer("FIELD", v.Port(storm.FieldPort), "OUT", v.Port(storm.OutPort),
		"TEXT", v.Port(storm.TextPort), "GATE", v.Gateway.Addr()).Replace(townSite)
	t.Cleanup(func() {
		if w.stop != nil {
			w.halt()
		}
		if err := v.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the house's log:\n%s", w.log)
		}
		os.RemoveAll(dir)
	})
	w.write("plans/town.yaml", townPlan)
	w.write("order-bounds.yaml", shipped(t, "order-bounds.yaml", `orders: \d+`, "orders: 500"))
	// A pulsed siren whose pauses are short: what is silent for a second was stopped.
	w.write("tones.yaml", shipped(t, "tones.yaml", `electronic: \[\{on: (1|2)s, off: (1|4)s\}\]`, "electronic: [{on: 800ms, off: 200ms}]"))
	w.write("site.yaml", w.text)
	if err := os.Mkdir(w.data, 0o755); err != nil {
		t.Fatal(err)
	}
	return w
}

// shipped gives a file of configs with something changed.
func shipped(t *testing.T, name, pattern, by string) string {
	t.Helper()
	b, err := configs.FS.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	out := regexp.MustCompile(pattern).ReplaceAllString(string(b), by)
	if out == string(b) {
		t.Fatalf("%s has no %s", name, pattern)
	}
	return out
}

func (w *town) write(name, text string) {
	w.t.Helper()
	f := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(f, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// edit changes the site's file; each old must be there.
func (w *town) edit(pairs ...string) {
	w.t.Helper()
	text := w.text
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			w.t.Fatalf("the site has no %q", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	w.write("site.yaml", text)
}

// editBy changes it in a person's name, as only a person may while a level stands.
func (w *town) editBy(who string, pairs ...string) {
	w.t.Helper()
	base, text := w.base(), w.text
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			w.t.Fatalf("the site has no %q", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	if code := w.asks("/config", api.Proposal{Base: base.Number, Document: text, Who: who, Why: "现场改"}, nil); code != "" {
		w.t.Fatal(code)
	}
}

func (w *town) socket() string { return filepath.Join(w.dir, "s") }

// start runs the house until halt, and waits until it is armed.
func (w *town) start() {
	w.t.Helper()
	bp, ps := Load(filepath.Join(w.dir, "site.yaml"))
	if config.Fatal(ps) {
		for _, p := range ps {
			w.t.Error(p.In(phrase.EN))
		}
		w.t.FailNow()
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, bp, Opts{Data: w.data, Memory: w.memory, Socket: w.socket(), Listen: w.listen, Bench: w.bench, Log: slog.New(slog.NewTextHandler(w.log, nil)), built: w.house.Store, ending: ending, Notify: w.notify, Watchdog: w.watchdog, proof: w.proof}, w.reload)
	}()
	w.stop = func() {
		w.t.Helper()
		w.stop = nil
		cancel()
		select {
		case err := <-ended: // nil only if every goroutine of the guard ended
			if err != nil {
				w.t.Errorf("the house ended with: %v", err)
			}
		case <-time.After(patience + 2*ending):
			w.t.Error("the house does not end")
		}
	}
	w.until("armed", func() bool { var s api.Status; return w.get("/status", &s) == nil && s.Armed })
}

// halt ends the house in good order: where the disk is well, nothing is lost.
func (w *town) halt() {
	w.t.Helper()
	w.stop()
	log := w.log.String()
	if _, end, _ := strings.Cut(log, "msg=stopping"); strings.Contains(end, "level=ERROR") && !strings.Contains(log, "thing=journal") {
		w.t.Errorf("it does not end cleanly:\n%s", end)
	}
}

func (w *town) until(what string, ok func() bool) {
	w.t.Helper()
	w.within(patience, what, ok)
}

func (w *town) within(most time.Duration, what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(most); !ok(); time.Sleep(40 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("not within %v: %s", most, what)
		}
	}
}

func (w *town) client() *http.Client {
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", w.socket())
		}}}
}

func (w *town) get(path string, into any) error {
	r, err := w.client().Get("http://edged/api/v1" + path)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, r.Status)
	}
	return json.NewDecoder(r.Body).Decode(into)
}

func (w *town) post(path string, body any) {
	w.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := w.client().Post("http://edged/api/v1"+path, "application/json", bytes.NewReader(b))
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	if said, _ := io.ReadAll(r.Body); r.StatusCode >= 300 {
		w.t.Fatalf("%s: %s: %s", path, r.Status, said)
	}
}

func (w *town) alarm(hazard string) (api.Alarm, bool) {
	var all []api.Alarm
	if w.get("/alarms", &all) == nil {
		for _, a := range all {
			if a.Hazard == hazard && a.State != "released" {
				return a, true
			}
		}
	}
	return api.Alarm{}, false
}

// raised waits for an alarm at a level and gives it.
func (w *town) raised(hazard, level string) (a api.Alarm) {
	w.t.Helper()
	w.until(hazard+" at "+level, func() bool {
		var ok bool
		a, ok = w.alarm(hazard)
		return ok && a.Level == level && a.State == "raised"
	})
	return a
}

func (w *town) reading(id point.ID) api.Reading {
	var all []api.Reading
	if w.get("/readings", &all) == nil {
		for _, r := range all {
			if r.Point == id {
				return r
			}
		}
	}
	return api.Reading{}
}

func (w *town) fault(thing string) (api.Fault, bool) {
	var all []api.Fault
	if w.get("/faults", &all) == nil {
		for _, f := range all {
			if f.Thing == thing {
				return f, true
			}
		}
	}
	return api.Fault{}, false
}

// faulty waits for a fault that says all of zh in Chinese and all of en in
// English.
func (w *town) faulty(thing string, zh, en []string) {
	w.t.Helper()
	var f api.Fault
	has := func(s string, parts []string) bool {
		for _, p := range parts {
			if !strings.Contains(s, p) {
				return false
			}
		}
		return true
	}
	end := time.Now().Add(patience)
	for there := false; !there || !has(f.Why.ZH, zh) || !has(f.Why.EN, en); time.Sleep(40 * time.Millisecond) {
		if f, there = w.fault(thing); time.Now().After(end) {
			w.t.Fatalf("fault of %q (there: %v) should say %q and %q, says\n\t%s\n\t%s", thing, there, zh, en, f.Why.ZH, f.Why.EN)
		}
	}
}

func (w *town) mended(thing string) {
	w.t.Helper()
	w.until(thing+" is mended", func() bool { _, there := w.fault(thing); return !there })
}

func (w *town) line(name string) api.Line {
	w.t.Helper()
	var all []api.Line
	if err := w.get("/lines", &all); err != nil {
		w.t.Fatal(err)
	}
	for _, l := range all {
		if l.Name == name {
			return l
		}
	}
	w.t.Fatalf("no line %s", name)
	return api.Line{}
}

// journal gives every record from the beginning.
func (w *town) journal() (all []api.Record) {
	w.t.Helper()
	for {
		var some []api.Record
		after := int64(0)
		if n := len(all); n > 0 {
			after = all[n-1].Seq
		}
		if err := w.get(fmt.Sprintf("/journal?limit=1000&after=%d", after), &some); err != nil {
			w.t.Fatal(err)
		}
		if len(some) == 0 {
			return all
		}
		all = append(all, some...)
	}
}

// recorded waits for a record of a kind and a cause.
func (w *town) recorded(kind, cause string) (r api.Record) {
	w.t.Helper()
	w.until("record "+kind+" of "+cause, func() bool {
		for _, r = range w.journal() {
			if r.Kind == kind && r.Cause == cause {
				return true
			}
		}
		return false
	})
	return r
}

// sounds waits until the siren had current after an instant.
func (w *town) sounds(after time.Time) {
	w.t.Helper()
	w.until("the siren sounds", func() bool { _, on := w.v.Horn.Current().FirstOn(after); return on })
}

// silent waits until the siren has had no current for longer than a pulse's
// pause and gives since when.
func (w *town) silent() (since time.Time) {
	w.t.Helper()
	w.until("the siren is silent", func() bool {
		now := time.Now()
		off := w.v.Horn.Current().Offs(now.Add(-time.Second), now)
		if len(off) != 1 || off[0].Long() < 990*time.Millisecond {
			return false
		}
		since = off[0].From
		return true
	})
	return since
}

// crosses proves that gauge, rule, order, relay and siren still work.
func (w *town) crosses() {
	w.t.Helper()
	began := time.Now()
	w.v.Gas.Set(gasPrepare)
	a := w.raised("gas", "prepare")
	w.sounds(began)
	w.recorded("receipt.heard", a.ID)
}

// remember changes what the journal of a house that has ended keeps.
func (w *town) remember(key string, change func([]byte) []byte) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	g := guard.New(ctx, slog.New(slog.DiscardHandler), nil)
	j, err := journal.Open(w.data, journal.Opts{Guard: g, Clock: clock.NewSystem(time.Time{}, clock.Set)})
	if err != nil {
		w.t.Fatal(err)
	}
	<-j.Loaded()
	b, ok := j.Get(key)
	if !ok {
		w.t.Fatalf("the journal keeps no %s", key)
	}
	j.Put(key, change(b))
	if err := j.Close(); err != nil {
		w.t.Fatal(err)
	}
	cancel()
	if left := g.Wait(patience); left != nil {
		w.t.Fatalf("the journal leaves %v", left)
	}
}

func (w *town) hangUp() { w.t.Helper(); w.send(syscall.SIGHUP) }

func (w *town) send(s os.Signal) {
	w.t.Helper()
	select {
	case w.reload <- s:
	case <-time.After(patience):
		w.t.Fatal("the house takes no signal")
	}
}

// notebook is a log that several goroutines write.
type notebook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write adds to it.
func (n *notebook) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.Write(p)
}

// String gives all of it.
func (n *notebook) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.String()
}
