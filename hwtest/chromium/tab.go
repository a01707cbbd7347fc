package chromium

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Tab drives one tab of a real Chromium over its debugging pipe (DevTools
// protocol; messages end with a NUL byte).
type Tab struct {
	left bool // the last evaluation had no answer: its page was left
	// T is the test that it fails.
	T       *testing.T
	to      *os.File
	in      chan message
	id      atomic.Int64
	session string
	// Logs and URLs are what the page logged and threw, and what it asked for.
	Logs, URLs []string
}

type message struct {
	ID     int64           `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct{ Message string }
}

// New opens a tab, and closes the browser when the test ends; without Chromium the test is
// skipped. Flags are further ones of Chromium's command line.
func New(t *testing.T, flags ...string) *Tab {
	t.Helper()
	bin, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, append(flags, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
		"--user-data-dir="+profile, "--remote-debugging-pipe", "about:blank")...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.ExtraFiles = []*os.File{inR, outW}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	inR.Close()
	outW.Close()
	b := &Tab{T: t, to: inW, in: make(chan message, 1024)}
	done := make(chan struct{})
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
				b.in <- m
			}
		}
	}()
	t.Cleanup(func() {
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
	})
	var made struct{ TargetID string }
	b.Call("Target.createTarget", map[string]any{"url": "about:blank"}, &made)
	var at struct{ SessionID string }
	b.Call("Target.attachToTarget", map[string]any{"targetId": made.TargetID, "flatten": true}, &at)
	b.session = at.SessionID
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

// Call asks the browser something by its protocol.
func (b *Tab) Call(method string, params, result any) {
	b.T.Helper()
	id := b.id.Add(1)
	m := map[string]any{"id": id, "method": method}
	if params != nil {
		m["params"] = params
	}
	if b.session != "" {
		m["sessionId"] = b.session
	}
	s, err := json.Marshal(m)
	if err != nil {
		b.T.Fatal(err)
	}
	if _, err := b.to.Write(append(s, 0)); err != nil {
		b.T.Fatal(err)
	}
	limit := time.After(60 * time.Second)
	for {
		select {
		case m := <-b.in:
			if m.ID != id {
				b.note(m)
				continue
			}
			if m.Error != nil && method == "Runtime.evaluate" && strings.Contains(m.Error.Message, "navigated") {
				b.left = true // the page gave way to the next one while it was asked
				return
			}
			if m.Error != nil {
				b.T.Fatalf("%s: %s", method, m.Error.Message)
			}
			if result != nil {
				if err := json.Unmarshal(m.Result, result); err != nil {
					b.T.Fatal(err)
				}
			}
			return
		case <-limit:
			b.T.Fatalf("%s: no answer", method)
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
