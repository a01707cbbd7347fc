//go:build browser

package page_test

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

// tab drives one tab of a real Chromium over its debugging pipe (DevTools
// protocol; messages end with a NUL byte).
type tab struct {
	left    bool // the last evaluation had no answer: its page was left
	t       *testing.T
	to      *os.File
	in      chan message
	id      atomic.Int64
	session string
	// events keeps what the page logged, threw and asked for.
	logs, urls []string
}

type message struct {
	ID     int64           `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct{ Message string }
}

func openTab(t *testing.T) *tab {
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
	cmd := exec.Command(bin, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
		"--user-data-dir="+profile, "--remote-debugging-pipe", "about:blank")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.ExtraFiles = []*os.File{inR, outW}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	inR.Close()
	outW.Close()
	b := &tab{t: t, to: inW, in: make(chan message, 1024)}
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
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &made)
	var at struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": made.TargetID, "flatten": true}, &at)
	b.session = at.SessionID
	for _, d := range []string{"Page", "Runtime", "Log", "Network"} {
		b.call(d+".enable", nil, nil)
	}
	return b
}

func (b *tab) note(m message) {
	switch m.Method {
	case "Log.entryAdded", "Runtime.exceptionThrown":
		b.logs = append(b.logs, string(m.Params))
	case "Network.requestWillBeSent":
		var p struct{ Request struct{ URL string } }
		json.Unmarshal(m.Params, &p)
		b.urls = append(b.urls, p.Request.URL)
	}
}

func (b *tab) call(method string, params, result any) {
	b.t.Helper()
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
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(s, 0)); err != nil {
		b.t.Fatal(err)
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
				b.t.Fatalf("%s: %s", method, m.Error.Message)
			}
			if result != nil {
				if err := json.Unmarshal(m.Result, result); err != nil {
					b.t.Fatal(err)
				}
			}
			return
		case <-limit:
			b.t.Fatalf("%s: no answer", method)
		}
	}
}

// size sets the window in CSS pixels, dark or light.
func (b *tab) size(width, height int, dark bool) {
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

func (b *tab) script(on bool) {
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": !on}, nil)
}

// open goes to a page and waits until it is there.
func (b *tab) open(url string) {
	b.t.Helper()
	b.call("Page.navigate", map[string]any{"url": url}, nil)
	b.until(`document.readyState === "complete" && location.href !== "about:blank"`)
}

// js evaluates an expression into v.
func (b *tab) js(expression string, v any) {
	b.t.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.left = false
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &r)
	if r.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, r.ExceptionDetails)
	}
	if v != nil && !b.left {
		if err := json.Unmarshal(r.Result.Value, v); err != nil {
			b.t.Fatalf("%s: %v in %s", expression, err, r.Result.Value)
		}
	}
}

// until waits for a condition and gives how long it took.
func (b *tab) until(condition string) time.Duration {
	b.t.Helper()
	began := time.Now()
	for {
		var ok bool
		b.js("!!("+condition+")", &ok)
		if ok {
			return time.Since(began)
		}
		if time.Since(began) > 30*time.Second {
			b.t.Fatalf("never: %s", condition)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// shot takes a picture of the whole page.
func (b *tab) shot() []byte {
	b.t.Helper()
	var r struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true, "fromSurface": true}, &r)
	png, err := base64.StdEncoding.DecodeString(r.Data)
	if err != nil || len(png) < 1000 {
		b.t.Fatal(fmt.Errorf("no picture: %d bytes, %w", len(png), err))
	}
	if dir := os.Getenv("SHOTS"); dir != "" {
		name := filepath.Join(dir, filepath.Base(b.t.Name())+".png")
		if err := os.WriteFile(name, png, 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	return png
}
