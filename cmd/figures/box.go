package main

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// bench is one measure's surroundings.
type bench struct {
	edged string
	long  bool
	seed  int64
	keep  bool
	name  string
	out   *printer
	goals []goal

	ctx   context.Context
	dir   string
	begun time.Time
	boxes int
	// listen is where boxes serve the network; "" is anywhere.
	listen string
}

func (b *bench) rng() *rand.Rand { return rand.New(rand.NewPCG(uint64(b.seed), 20261)) }

func (b *bench) rngOf(n uint64) *rand.Rand { return rand.New(rand.NewPCG(uint64(b.seed), n)) }

func (b *bench) n(short, long int) int { return choose(b.long, long, short) }

// under makes a folder of the bench's own.
func (b *bench) under(name string) (string, error) {
	dir := filepath.Join(b.dir, name)
	return dir, os.MkdirAll(dir, 0o755)
}

// pause waits, or gives the context's error.
func (b *bench) pause(d time.Duration) error {
	select {
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	case <-time.After(d):
		return nil
	}
}

// until looks again and again until f is true.
func (b *bench) until(what string, most time.Duration, f func() bool) error {
	for end := time.Now().Add(most); !f(); {
		if time.Now().After(end) {
			return fmt.Errorf("%s: not within %v", what, most)
		}
		if err := b.pause(5 * time.Millisecond); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

// beside is what lies beside every site's file on the bench.
//
//go:embed bench
var beside embed.FS

// site writes a site's file with the bench's own bounds, plan and profiles
// beside it and gives its path.
func (b *bench) site(text string) (string, error) {
	dir := filepath.Join(b.dir, "site")
	sub, err := fs.Sub(beside, "bench")
	if err != nil {
		return "", err
	}
	os.RemoveAll(dir)
	if err := os.CopyFS(dir, sub); err != nil {
		return "", err
	}
	file := filepath.Join(dir, "site.yaml")
	return file, os.WriteFile(file, []byte(text), 0o644)
}

// box is one edged that runs.
type box struct {
	b     *bench
	cmd   *exec.Cmd
	sock  string
	began time.Time
	done  chan struct{}
	logs  string
	http  *http.Client
}

// start runs edged on a site with a data directory, its page somewhere on the loopback.
func (b *bench) start(site, data string) (*box, error) { return b.startOn(site, data, b.listens()) }

// startOn is start with the page's address.
func (b *bench) startOn(site, data, listen string) (*box, error) {
	b.boxes++
	x := &box{b: b, sock: filepath.Join(b.dir, "s"), done: make(chan struct{}), logs: filepath.Join(b.dir, fmt.Sprintf("edged-%d.log", b.boxes))}
	x.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: socketCallers,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, "unix", x.sock)
		},
	}}
	log, err := os.Create(x.logs)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	os.Remove(x.sock)
	x.cmd = exec.Command(b.edged, "--lang", "en", "--socket", x.sock, "run", "-c", site, "--data", data, "--listen", listen)
	x.cmd.Stdout, x.cmd.Stderr = log, log
	x.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET=", "WATCHDOG_USEC=")
	// A bench that is killed takes its boxes with it.
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	x.began = time.Now()
	if err := x.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		x.cmd.Wait()
		close(x.done)
	}()
	return x, nil
}

// armed waits until the box says that the first crossing would sound.
func (x *box) armed() (st status, err error) {
	err = x.b.until("armed", 30*time.Second, func() bool {
		select {
		case <-x.done:
			return true
		default:
		}
		return x.get("/status", &st) == nil && st.Armed
	})
	if err == nil && !st.Armed {
		err = errors.New("edged ended: " + x.tail(5))
	}
	return st, err
}

// startArmed is both.
func (b *bench) startArmed(site, data string) (*box, error) {
	x, err := b.start(site, data)
	if err != nil {
		return nil, err
	}
	if _, err := x.armed(); err != nil {
		x.end()
		return nil, err
	}
	return x, nil
}

// tail is the last n lines of the box's log.
func (x *box) tail(n int) string {
	p, _ := os.ReadFile(x.logs)
	l := strings.Split(strings.TrimSpace(string(p)), "\n")
	return strings.Join(l[max(0, len(l)-n):], " | ")
}

func (x *box) kill(sig syscall.Signal) { x.cmd.Process.Signal(sig) }

// end kills the box and waits for its end; nil is none.
func (x *box) end() {
	if x == nil {
		return
	}
	x.cmd.Process.Kill()
	<-x.done
	x.http.CloseIdleConnections()
}

// status is what the bench reads of /status.
type status struct {
	Armed      bool          `json:"armed"`
	ArmedAfter time.Duration `json:"armed_after_ns"`
	FirstRound time.Duration `json:"first_round_ns"`
	JournalOK  bool          `json:"journal_ok"`
	Journal    text          `json:"journal"`
}

type text struct {
	Code string `json:"code"`
	EN   string `json:"en"`
}

type alarm struct {
	ID     string `json:"id"`
	Hazard string `json:"hazard"`
	Level  string `json:"level"`
	State  string `json:"state"`
}

type soundings struct {
	Now []struct {
		Cause   string   `json:"cause"`
		Level   string   `json:"level"`
		Outputs []string `json:"outputs"`
	} `json:"now"`
	Last []receipt `json:"last"`
}

type receipt struct {
	Cause  string `json:"cause"`
	Output string `json:"output"`
	State  string `json:"state"`
	Why    *text  `json:"why"`
}

type fault struct {
	Thing string `json:"thing"`
	Why   text   `json:"why"`
}

type record struct {
	Seq   int64           `json:"seq"`
	Kind  string          `json:"kind"`
	Cause string          `json:"cause"`
	Body  json.RawMessage `json:"body"`
	Mono  int64           `json:"mono_ns"`
	Boot  string          `json:"boot"`
}

func (x *box) ask(method, path string, body any) (*http.Response, error) {
	var rd io.Reader
	if body != nil {
		p, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		rd = bytes.NewReader(p)
	}
	r, err := http.NewRequestWithContext(x.b.ctx, method, "http://edged/api/v1"+path, rd)
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := x.http.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		p, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		resp.Body.Close()
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(p))
	}
	return resp, nil
}

func (x *box) get(path string, v any) error { return x.into(http.MethodGet, path, nil, v) }

func (x *box) post(path string, body, v any) error { return x.into(http.MethodPost, path, body, v) }

func (x *box) into(method, path string, body, v any) error {
	resp, err := x.ask(method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if v == nil || resp.StatusCode == http.StatusNoContent {
		_, err := io.Copy(io.Discard, resp.Body)
		return err
	}
	return json.NewDecoder(resp.Body).Decode(v)
}

// follow calls f with each whole line of a stream until it ends; what was cut
// off within a line was not said.
func (x *box) follow(path string, f func(line []byte)) error {
	resp, err := x.ask(http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	r := bufio.NewReaderSize(resp.Body, 1<<16)
	for {
		l, err := r.ReadBytes('\n')
		if err != nil {
			return err
		}
		if l = bytes.TrimSpace(l); len(l) > 0 {
			f(l)
		}
	}
}

var who = map[string]string{"who": "bench"}

func (x *box) stop() error { return x.post("/stop", who, nil) }

func (x *box) release(id string) error {
	return x.post("/alarms/"+id+"/release", map[string]string{"who": "bench", "reason": "the next crossing"}, nil)
}

// open are the alarms that are not released.
func (x *box) open() (all []alarm, err error) {
	var l []alarm
	if err := x.get("/alarms", &l); err != nil {
		return nil, err
	}
	for _, a := range l {
		if a.State != "released" {
			all = append(all, a)
		}
	}
	return all, nil
}
