//go:build peers

package station

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/drivers/drivertest"
)

const peers = "../../hwtest/peers/"

// instruments is a peer's process: it prints what its coils do and takes what its
// gauges shall say.
type instruments struct {
	in io.Writer

	mu    sync.Mutex
	coils []string // "0 on", in order
}

func startInstruments(t *testing.T, name string, args ...string) *instruments {
	t.Helper()
	c := exec.Command(name, args...)
	var complaint bytes.Buffer
	c.Stderr = &complaint
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	x := &instruments{in: in}
	ready, ended := make(chan bool), make(chan bool)
	go func() {
		defer close(ended)
		for s := bufio.NewScanner(out); s.Scan(); {
			if s.Text() == "ready" {
				close(ready)
			} else if what, ok := strings.CutPrefix(s.Text(), "coil "); ok {
				x.mu.Lock()
				x.coils = append(x.coils, what)
				x.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() {
		c.Process.Kill()
		<-ended
		c.Wait()
		if t.Failed() {
			t.Logf("the peer says:\n%s", complaint.String())
		}
	})
	select {
	case <-ready:
	case <-ended:
		t.Fatalf("%s ended: %s", name, complaint.String())
	case <-time.After(60 * time.Second):
		t.Fatalf("%s is not ready", name)
	}
	return x
}

func (x *instruments) say(t *testing.T, what string, value float64) {
	t.Helper()
	if _, err := fmt.Fprintf(x.in, "%s %.3f\n", what, value); err != nil {
		t.Fatal(err)
	}
}

func (x *instruments) did() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.coils)
}

const peerSite = `version: 1
site: {id: "441882103201", name: {zh: 黄渡村, en: Huangdu}, datum: 1985, languages: [cmn]}
lines:
  field: {WAY}
devices:
  rain:  {profile: generic-rain-rs485, line: field, unit: 1, every: 1s}
  river: {profile: generic-radar-level-rs485, line: field, unit: 3, every: 500ms, zero: 96.20 m}
  relay: {profile: plain-board, line: field, unit: 11, every: 500ms}
outputs:
  siren: {kind: electronic, relay: relay.1, sensed_by: relay.in5, sense: current}
rules:
  heavy-rain:
    set_by: {name: 台架, date: 2026-05-12}
    any_of: [{point: rain.total, over: 1m, prepare: 1 mm}]
  flash-flood:
    set_by: {name: 台架, date: 2026-05-12}
    any_of: [{point: river.level, prepare: 99.50 m, clear_below: 99.30 m, for: 1s}]
plan: town
`

// crossing walks from a gauge at the peer to a coil at the peer and to the
// receipts in the journal.
func crossing(t *testing.T, p *process, x *instruments, hazard string, cross func()) {
	t.Helper()
	p.record("system.armed", "")
	if on := x.did(); slices.Contains(on, "0 on") {
		t.Fatalf("the coil went on before: %v", on)
	}
	cross()
	raised := p.record("alarm.raised", "")
	if raised.Body["hazard"] != hazard || raised.Cause == "" {
		t.Fatalf("raised: %+v", raised)
	}
	p.until("the coil goes on at the peer", func() bool { return slices.Contains(x.did(), "0 on") })
	for _, kind := range []string{"receipt.ordered", "receipt.started", "receipt.heard"} {
		r := p.record(kind, raised.Cause)
		if r.Body["output"] != "siren" || r.Body["kind"] != "real" {
			t.Errorf("%s: %+v", kind, r.Body)
		}
		if kind == "receipt.heard" && r.Body["measured"] != "current" {
			t.Errorf("measured by %v", r.Body["measured"])
		}
	}
	if out, err := p.edged("stop", "--who", "王建国"); err != nil {
		t.Fatalf("stop: %v %s", err, out)
	}
	p.until("the coil goes off at the peer", func() bool { c := x.did(); return len(c) > 0 && c[len(c)-1] == "0 off" })
	if r := p.record("operator.stop", ""); r.Who == nil || r.Who.Name != "王建国" {
		t.Errorf("stop by %+v", r.Who)
	}
	p.record("receipt.stopped", raised.Cause)
	p.stop(10 * time.Second)
}

func TestAGaugeOfPymodbusSwitchesACoilOfPymodbus(t *testing.T) {
	near, far := joined(t)
	x := startInstruments(t, "/usr/bin/python3", peers+"pymodbus_village.py", far, "9600")
	p := startEdged(t, strings.Replace(peerSite, "WAY", "port: "+near+", baud: 9600", 1))
	crossing(t, p, x, "flash-flood", func() { x.say(t, "level", 3.4) })
}

// The other master polls all the time, as a county's gateway does.
func TestAGaugeOfLibmodbusSwitchesACoilBesideASecondMaster(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "village")
	if b, err := exec.Command("cc", "-O1", "-o", bin, peers+"libmodbus_village.c", "-I/usr/include/modbus", "-lmodbus").CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, b)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	x := startInstruments(t, bin, "127.0.0.1", port)
	var polled notebook
	mb := exec.Command("mbpoll", "-m", "tcp", "-p", port, "-a", "3", "-0", "-r", "0", "-c", "3", "-t", "4", "-l", "50", "127.0.0.1")
	mb.Stdout = &polled
	if err := mb.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mb.Process.Kill(); mb.Wait() })
	p := startEdged(t, strings.Replace(peerSite, "WAY", "tcp: \"127.0.0.1:"+port+"\"", 1))
	crossing(t, p, x, "heavy-rain", func() {
		for mm := 0.2; mm < 1.7; mm += 0.2 {
			x.say(t, "rain", mm)
			time.Sleep(1300 * time.Millisecond)
		}
	})
	// 3.0 m as float32 is 0x4040 0000.
	if n := strings.Count(polled.String(), "16448"); n < 20 {
		t.Errorf("the other master read %d times:\n%.2000s", n, polled.String())
	}
}

// joined joins two pseudo terminals: a program at each end.
func joined(t *testing.T) (near, far string) {
	a, b := drivertest.OpenPTY(t), drivertest.OpenPTY(t)
	var wg sync.WaitGroup
	t.Cleanup(func() { a.Pull(); b.Pull(); wg.Wait() })
	move := func(from, to *os.File) {
		buf := make([]byte, 512)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	wg.Go(func() { move(a.Far, b.Far) })
	wg.Go(func() { move(b.Far, a.Far) })
	return a.Path, b.Path
}
