package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// box is a real edged, seen as its neighbours see it: a process, a socket, a page.
type box struct {
	edged, dir, log string
	cmd             *exec.Cmd
	done            chan struct{}
}

func (b *box) start() error {
	f, err := os.OpenFile(b.log, os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	b.cmd = exec.Command(b.edged, "run", "-c", filepath.Join(b.dir, "site.yaml"), "--data", filepath.Join(b.dir, "data"), "--socket", b.socket())
	b.cmd.Stdout, b.cmd.Stderr = f, f
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.cmd.Start(); err != nil {
		return err
	}
	b.done = make(chan struct{})
	go func(c *exec.Cmd, done chan struct{}) { c.Wait(); close(done) }(b.cmd, b.done)
	return nil
}

func (b *box) socket() string { return filepath.Join(b.dir, "edged.sock") }

// kill takes the process away without a word to it.
func (b *box) kill() {
	if b.cmd != nil {
		b.cmd.Process.Kill()
		<-b.done
	}
}

func (b *box) stop() {
	if b.cmd == nil {
		return
	}
	b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.done:
	case <-time.After(7 * time.Second):
		b.kill()
	}
}

func (b *box) client() *http.Client {
	return &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", b.socket())
		},
	}}
}

// get reads a JSON answer of the API.
func (b *box) get(path string, into any) error {
	r, err := b.client().Get("http://edged/api/v1" + path)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, r.Status)
	}
	return json.NewDecoder(io.LimitReader(r.Body, 8<<20)).Decode(into)
}

func (b *box) post(path string, body any) error {
	j, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := b.client().Post("http://edged/api/v1"+path, "application/json", bytes.NewReader(j))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(r.Body, 4096))
	if r.StatusCode >= 300 {
		return errors.New(strings.TrimSpace(string(said)))
	}
	return nil
}

// What the village reads of the box's answers: only what it checks.
type (
	status struct {
		Armed      bool  `json:"armed"`
		ArmedAfter int64 `json:"armed_after_ns"`
		FirstRound int64 `json:"first_round_ns"`
	}
	alarmView struct {
		ID     string `json:"id"`
		Hazard string `json:"hazard"`
		Level  string `json:"level"`
		Peak   string `json:"peak"`
		State  string `json:"state"`
	}
	reading struct {
		Point   string   `json:"point"`
		Value   *float64 `json:"value"`
		Quality string   `json:"quality"`
	}
	fault struct {
		Thing string `json:"thing"`
		Why   words  `json:"why"`
	}
	record struct {
		Seq   int64          `json:"seq"`
		Kind  string         `json:"kind"`
		Cause string         `json:"cause"`
		Body  map[string]any `json:"body"`
		Who   *struct {
			Name string `json:"name"`
		} `json:"who"`
		Text words     `json:"text"`
		At   time.Time `json:"at"`
	}
	words struct {
		ZH string `json:"zh"`
		EN string `json:"en"`
	}
)

func (b *box) alarm(hazard string) (alarmView, bool) {
	var all []alarmView
	if b.get("/alarms", &all) != nil {
		return alarmView{}, false
	}
	var found alarmView
	for _, a := range all {
		if a.Hazard == hazard || hazard == warned && strings.HasPrefix(a.Hazard, warned) {
			if a.State != "released" {
				return a, true
			}
			found = a
		}
	}
	return found, found.ID != ""
}

// warned is the hazard of what the county warns of, whichever warning it is.
const warned = "warned:"

// links gives the state of each link.
func (b *box) links() map[string]string {
	var all struct {
		Links []struct {
			Name  string `json:"name"`
			State string `json:"state"`
		} `json:"links"`
	}
	out := map[string]string{}
	if b.get("/links", &all) == nil {
		for _, l := range all.Links {
			out[l.Name] = l.State
		}
	}
	return out
}

func (b *box) reading(point string) reading {
	var all []reading
	if b.get("/readings", &all) == nil {
		for _, r := range all {
			if r.Point == point {
				return r
			}
		}
	}
	return reading{Quality: "no answer"}
}

func (b *box) fault(part string) (fault, bool) {
	var all []fault
	if b.get("/faults", &all) == nil {
		for _, f := range all {
			if strings.Contains(f.Thing, part) {
				return f, true
			}
		}
	}
	return fault{}, false
}

// journal gives all records; limit is the API's own.
func (b *box) journal() ([]record, error) {
	var all []record
	for {
		var some []record
		after := int64(0)
		if n := len(all); n > 0 {
			after = all[n-1].Seq
		}
		q := url.Values{"after": {fmt.Sprint(after)}, "limit": {"500"}}
		if err := b.get("/journal?"+q.Encode(), &some); err != nil {
			return all, err
		}
		if len(some) == 0 {
			return all, nil
		}
		all = append(all, some...)
	}
}

// stopByPage presses STOP on the LAN page with a token.
func stopByPage(page, token string) (int, error) {
	c := &http.Client{Timeout: 5 * time.Second}
	j, _ := json.Marshal(map[string]string{"token": token, "who": "stranger"})
	req, err := http.NewRequest(http.MethodPost, page+"api/v1/stop", bytes.NewReader(j))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	r, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	r.Body.Close()
	return r.StatusCode, nil
}

// people gives how far each person was reached for an alarm.
func (b *box) people(alarm string) map[string]string {
	var x struct {
		Rounds []struct {
			Alarm  string
			People []struct{ Person, Known string }
		}
	}
	known := map[string]string{}
	if b.get("/people", &x) != nil {
		return known
	}
	for _, r := range x.Rounds {
		for _, p := range r.People {
			if r.Alarm == alarm {
				known[p.Person] = p.Known
			}
		}
	}
	return known
}
