package station

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/firmware/serve/api"
	"tocsin/hwtest/built"
	"tocsin/hwtest/storm"
)

// process is a real edged.
type process struct {
	t                *testing.T
	bin, dir, socket string
	log              notebook
	args, env        []string
	cmd              *exec.Cmd
	ended            chan error
}

// newEdged writes a site with a plain relay board, one that counts no time by itself, for
// an edged that again starts.
func newEdged(t *testing.T, site string, env ...string) *process {
	t.Helper()
	dir, err := os.MkdirTemp("", "edged")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "edged")
	built.Into(t, dir, "edged", "edged-desk")
	p := &process{t: t, bin: bin, dir: dir, socket: filepath.Join(dir, "s"), env: env}
	p.args = []string{"--socket", p.socket, "run", "-c", filepath.Join(dir, "site.yaml"), "--data", filepath.Join(dir, "data"), "--listen", "off"}
	board := shipped(t, "profiles/generic-relay-8in-8out.yaml", `(?m)^    timed: .*\n`, "")
	board = strings.Replace(board, "profile: generic-relay-8in-8out", "profile: plain-board", 1)
	board = regexp.MustCompile(`(?s)  - sent: 01 05 02 00.*$`).ReplaceAllString(board, "")
	for name, text := range map[string]string{
		"site.yaml": site, "plans/town.yaml": townPlan, "profiles/plain-board.yaml": board,
		"tones.yaml": shipped(t, "tones.yaml", `electronic: \[\{on: 2s, off: 4s\}\]`, "electronic: [{on: 800ms, off: 200ms}]"),
	} {
		f := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if p.cmd != nil && p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			<-p.ended
		}
		if t.Failed() {
			t.Logf("edged's log:\n%s", &p.log)
		}
		os.RemoveAll(dir)
	})
	return p
}

// startEdged runs edged on a site.
func startEdged(t *testing.T, site string, env ...string) *process {
	t.Helper()
	p := newEdged(t, site, env...)
	p.again()
	return p
}

// again runs it, anew after its end.
func (p *process) again() {
	p.t.Helper()
	c, ended := exec.Command(p.bin, p.args...), make(chan error, 1)
	c.Env, c.Stdout, c.Stderr = append(os.Environ(), p.env...), &p.log, &p.log
	p.cmd, p.ended = c, ended
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() { ended <- c.Wait() }()
}

// edged runs a client command of the same program.
func (p *process) edged(args ...string) ([]byte, error) {
	return exec.Command(p.bin, append([]string{"--socket", p.socket}, args...)...).Output()
}

func (p *process) records() (all []api.Record) {
	p.t.Helper()
	out, err := p.edged("journal", "--json", "--limit", "1000")
	if err != nil {
		return nil
	}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var r api.Record
		if err := d.Decode(&r); err != nil {
			p.t.Fatalf("%v in\n%s", err, out)
		}
		all = append(all, r)
	}
	return all
}

func (p *process) record(kind, cause string) (r api.Record) {
	p.t.Helper()
	p.until("record "+kind+" of "+cause, func() bool {
		for _, r = range p.records() {
			if r.Kind == kind && (cause == "" || r.Cause == cause) {
				return true
			}
		}
		return false
	})
	return r
}

func (p *process) until(what string, ok func() bool) {
	p.t.Helper()
	for end := time.Now().Add(40 * time.Second); !ok(); time.Sleep(100 * time.Millisecond) {
		select {
		case err := <-p.ended:
			p.ended <- err
			p.t.Fatalf("edged ended: %v", err)
		default:
		}
		if time.Now().After(end) {
			p.t.Fatalf("not seen: %s", what)
		}
	}
}

// stop ends edged as a service manager does, and wants it gone in time.
func (p *process) stop(most time.Duration) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case err := <-p.ended:
		p.ended <- err
		if err != nil {
			p.t.Errorf("edged ended with %v", err)
		}
	case <-time.After(most):
		p.t.Fatalf("edged does not end within %v", most)
	}
}

// TestEdgedTellsTheServiceManager runs the program itself: what is below it is
// tested elsewhere.
func TestEdgedTellsTheServiceManager(t *testing.T) {
	if testing.Short() {
		t.Skip("builds edged")
	}
	t.Parallel()
	w := newTown(t) // for its village
	sock := filepath.Join(w.dir, "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: sock, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	said := make(chan string, 100)
	go func() {
		buf := make([]byte, 1024)
		for {
			n, err := l.Read(buf)
			if err != nil {
				close(said)
				return
			}
			said <- string(buf[:n])
		}
	}()
	hears := func(want string) {
		t.Helper()
		end := time.After(patience)
		for {
			select {
			case s := <-said:
				if s == want {
					return
				}
			case <-end:
				t.Fatalf("%s is not said", want)
			}
		}
	}
	// The period is a second: it is fed twice in it.
	p := startEdged(t, w.text, "NOTIFY_SOCKET="+sock, "WATCHDOG_USEC=1000000", "WATCHDOG_PID=")
	hears("READY=1")
	for range 3 {
		hears("WATCHDOG=1")
	}
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.record("system.reloaded", "")
	began := time.Now()
	w.v.Gas.Set(gasPrepare)
	w.sounds(began)
	p.stop(3 * time.Second) // while it sounds
	hears("STOPPING=1")
	w.silent()
	if on := w.v.Board.Contact(storm.RelayHorn).Closed(); on {
		t.Error("the relay is left on")
	}
}
