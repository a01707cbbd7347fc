//go:build browser

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/hwtest/timeserver"
)

// TestANewBoxIsCommissionedFromItsLabel follows a new user from the link on the label to a
// commissioned box: it pours the water, moves the targets and lets in the gas as the page
// says, and cuts the program off in the middle. Ten millimetres are one here and a restart
// of the program does for one of the board, since the bench has neither time nor a plug.
func TestANewBoxIsCommissionedFromItsLabel(t *testing.T) {
	t.Parallel()
	chromium, ui := browserHere(t)
	table, err := os.ReadFile("../../configs/commissioning.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(table)
	for from, to := range map[string]string{"limits: {depth: 10,": "limits: {depth: 1,", "restart: board": "restart: process", "asked: 20": "asked: 1"} {
		if !strings.Contains(text, from) {
			t.Fatalf("commissioning.yaml has no %q", from)
		}
		text = strings.Replace(text, from, to, 1)
	}
	c := newConsole(t)
	c.box.Process.Kill()
	c.box.Wait()
	profile, err := os.ReadFile("../../configs/profiles/generic-rain-rs485.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// A site without time is not commissioned.
	var servers []string
	for range 3 {
		s, err := timeserver.Start(time.Now, timeserver.Manner{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		servers = append(servers, fmt.Sprintf("%q", s.Addr))
	}
	site := c.site() + "time: {ntp: [" + strings.Join(servers, ", ") + "]}\n"
	for name, b := range map[string]string{"site.yaml": site, "commissioning.yaml": text, "profiles/generic-rain-rs485.yaml": strings.Replace(string(profile), "rate: 8/min", "rate: 8000/min", 1)} {
		f := filepath.Join(c.dir, name)
		os.MkdirAll(filepath.Dir(f), 0o755)
		if err := os.WriteFile(f, []byte(b), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c.start()
	bench := c.bench()
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		_ = c.box.Process.Signal(syscall.SIGKILL)
		_ = c.box.Wait()
		c.start()
	}))
	t.Cleanup(cut.Close)
	log, err := os.ReadFile(c.log.Name())
	if err != nil {
		t.Fatal(err)
	}
	// The label has the link; the bench's printer is the file that it is printed from.
	secret, err := os.ReadFile(filepath.Join(c.dir, "data", "setup-secret"))
	if err != nil {
		t.Fatal(err, string(regexp.MustCompile("setup.*").Find(log)))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "e2e/wizard.mjs")
	cmd.Dir = ui
	cmd.Env = append(os.Environ(), "BOX=http://"+c.page, "BENCH="+bench.URL, "CUT="+cut.URL, "CHROMIUM="+chromium, "OWNER="+c.owner, "PASSWORD="+consolePassword, "SECRET="+strings.TrimSpace(string(secret)))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
