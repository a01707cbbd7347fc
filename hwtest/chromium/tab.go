package chromium

import (
	"bufio"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Failer is who a tab fails: a test, or whoever else ends what it does by Fatal, as a test does.
type Failer interface {
	Helper()
	Name() string
	Fatal(...any)
	Fatalf(string, ...any)
}

// ErrMissing is New's and Start's where there is no Chromium.
var ErrMissing = errors.New("chromium is not installed")

// Tab drives one tab of a real Chromium over its debugging pipe (DevTools
// protocol; messages end with a NUL byte).
type Tab struct {
	left bool // the last evaluation had no answer: its page was left
	// T is who it fails.
	T       Failer
	browser *browser
	session string
	// Patience is how long an answer of the browser is waited for; a minute where it is 0.
	Patience time.Duration
	// Logs and URLs are what the page logged and threw, and what it asked for.
	Logs, URLs []string
}

// browser is the process. One question at a time goes through its pipe.
type browser struct {
	mu   sync.Mutex
	to   *os.File
	in   chan message
	id   int64
	tabs map[string]*Tab // by session
}

type message struct {
	ID        int64           `json:"id"`
	SessionID string          `json:"sessionId"`
	Method    string          `json:"method"`
	Params    json.RawMessage `json:"params"`
	Result    json.RawMessage `json:"result"`
	Error     *struct{ Message string }
}

// New opens a tab, and closes the browser when the test ends; without Chromium the test is
// skipped. Flags are further ones of Chromium's command line.
func New(t *testing.T, flags ...string) *Tab {
	t.Helper()
	b, end, err := Start(t, flags...)
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	return b
}

// Start opens a tab of a new browser, which ends by the function that it gives.
func Start(t Failer, flags ...string) (_ *Tab, end func(), err error) {
	bin, err := exec.LookPath("chromium")
	if err != nil {
		return nil, nil, ErrMissing
	}
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(bin, append(flags, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
		"--user-data-dir="+profile, "--remote-debugging-pipe", "about:blank")...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.ExtraFiles = []*os.File{inR, outW}
	if err := cmd.Start(); err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(profile))
	}
	inR.Close()
	outW.Close()
	p := &browser{to: inW, in: make(chan message, 1024), tabs: map[string]*Tab{}}
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		r := bufio.NewReader(outR)
		for {
			s, err := r.ReadBytes(0)
			if err != nil {
				return
			}
			var m message
			if json.Unmarshal(s[:len(s)-1], &m) == nil {
				select {
				case p.in <- m:
				case <-over:
				}
			}
		}
	}()
	end = func() {
		close(over)
		inW.Close()
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
		outR.Close()
		<-done
		// Its children may still be writing as they die.
		for range 20 {
			if os.RemoveAll(profile) == nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	open := false
	defer func() { // also where t ends us
		if !open {
			end()
		}
	}()
	b := p.tab(t)
	open = true
	return b, end, nil
}

// Another opens a further tab of the same browser.
func (b *Tab) Another() *Tab {
	n := b.browser.tab(b.T)
	n.Patience = b.Patience
	return n
}

func (p *browser) tab(t Failer) *Tab {
	b := &Tab{T: t, browser: p}
	var made struct{ TargetID string }
	b.Call("Target.createTarget", map[string]any{"url": "about:blank"}, &made)
	var at struct{ SessionID string }
	b.Call("Target.attachToTarget", map[string]any{"targetId": made.TargetID, "flatten": true}, &at)
	p.mu.Lock()
	b.session = at.SessionID
	p.tabs[b.session] = b
	p.mu.Unlock()
	for _, d := range []string{"Page", "Runtime", "Log", "Network"} {
		b.Call(d+".enable", nil, nil)
	}
	return b
}

func (b *Tab) note(m message) {
	switch m.Method {
	case "Log.entryAdded", "Runtime.exceptionThrown":
		b.Logs = append(b.Logs, string(m.Params))
	case "Network.requestWillBeSent":
		var p struct{ Request struct{ URL string } }
		json.Unmarshal(m.Params, &p)
		b.URLs = append(b.URLs, p.Request.URL)
	}
}

// Call asks the browser something by its protocol. Tabs of one browser may be used by several goroutines, one
// tab by one at a time.
func (b *Tab) Call(method string, params, result any) {
	b.T.Helper()
	if err := b.call(method, params, result); err != nil {
		b.T.Fatalf("%s: %v", method, err)
	}
}

func (b *Tab) call(method string, params, result any) error {
	p := b.browser
	p.mu.Lock()
	defer p.mu.Unlock()
	p.id++
	m := map[string]any{"id": p.id, "method": method}
	if params != nil {
		m["params"] = params
	}
	if b.session != "" {
		m["sessionId"] = b.session
	}
	s, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if _, err := p.to.Write(append(s, 0)); err != nil {
		return err
	}
	limit := time.After(cmp.Or(b.Patience, time.Minute))
	for {
		select {
		case m := <-p.in:
			switch {
			case m.ID != p.id:
				if of := p.tabs[m.SessionID]; of != nil {
					of.note(m)
				}
				continue
			case m.Error != nil && method == "Runtime.evaluate" && strings.Contains(m.Error.Message, "navigated"):
				b.left = true // the page gave way to the next one while it was asked
				return nil
			case m.Error != nil:
				return errors.New(m.Error.Message)
			case result != nil:
				return json.Unmarshal(m.Result, result)
			}
			return nil
		case <-limit:
			return errors.New("no answer")
		}
	}
}

// Size sets the window in CSS pixels, dark or light.
func (b *Tab) Size(width, height int, dark bool) {
	b.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	b.Call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// Script lets pages run scripts, or not.
func (b *Tab) Script(on bool) {
	b.Call("Emulation.setScriptExecutionDisabled", map[string]any{"value": !on}, nil)
}

// Open goes to a page and waits until it is there.
func (b *Tab) Open(url string) {
	b.T.Helper()
	b.Call("Page.navigate", map[string]any{"url": url}, nil)
	b.Until(`document.readyState === "complete" && location.href !== "about:blank"`)
}

// JS evaluates an expression into v.
func (b *Tab) JS(expression string, v any) {
	b.T.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.left = false
	b.Call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &r)
	if r.ExceptionDetails != nil {
		b.T.Fatalf("%s: %s", expression, r.ExceptionDetails)
	}
	if v != nil && !b.left {
		if err := json.Unmarshal(r.Result.Value, v); err != nil {
			b.T.Fatalf("%s: %v in %s", expression, err, r.Result.Value)
		}
	}
}

// Until waits for a condition and gives how long it took.
func (b *Tab) Until(condition string) time.Duration {
	b.T.Helper()
	began := time.Now()
	for {
		var ok bool
		b.JS("!!("+condition+")", &ok)
		if ok {
			return time.Since(began)
		}
		if time.Since(began) > 30*time.Second {
			b.T.Fatalf("never: %s", condition)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Shot takes a picture of the whole page.
func (b *Tab) Shot() []byte {
	b.T.Helper()
	var r struct{ Data string }
	b.Call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true, "fromSurface": true}, &r)
	png, err := base64.StdEncoding.DecodeString(r.Data)
	if err != nil || len(png) < 1000 {
		b.T.Fatal(fmt.Errorf("no picture: %d bytes, %w", len(png), err))
	}
	if dir := os.Getenv("SHOTS"); dir != "" {
		name := filepath.Join(dir, filepath.Base(b.T.Name())+".png")
		if err := os.WriteFile(name, png, 0o644); err != nil {
			b.T.Fatal(err)
		}
	}
	return png
}
