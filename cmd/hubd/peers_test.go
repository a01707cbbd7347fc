//go:build peers

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/uplink"
)

// TestMain lets the test's program be a hub or a station of its own, so that one
// can be killed.
func TestMain(m *testing.M) {
	switch os.Getenv("HUBD_TEST_AS") {
	case "hub":
		os.Args = []string{"hubd", "run", "-c", os.Getenv("HUBD_TEST_FILE")}
		main()
		os.Exit(0)
	case "station":
		if err := stationProcess(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// stationProcess sends letters 1, 2, 3 … for ever, the next only when one was
// acknowledged, and writes each that was into a file. After a restart it goes on
// behind the last line: the letter in flight is sent again.
func stationProcess() error {
	read := func(name string) []byte { b, _ := os.ReadFile(os.Getenv(name)); return b }
	f, err := os.OpenFile(os.Getenv("HUBD_TEST_ACKED"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	next := 1
	for s := bufio.NewScanner(f); s.Scan(); next++ {
	}
	n, err := uplink.NewNATS(uplink.NATSOpts{Name: "fibre", Station: upper, Servers: []string{os.Getenv("HUBD_TEST_AT")},
		CA: read("HUBD_TEST_CA"), Certificate: read("HUBD_TEST_CERT"), Key: read("HUBD_TEST_KEY"), Seed: read("HUBD_TEST_SEED")})
	if err != nil {
		return err
	}
	go func() { _ = n.Run(context.Background()) }()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		err := n.Send(ctx, fmt.Sprintf("n-%d", next), letter.Alarm, fmt.Appendf(nil, "reading %d", next))
		cancel()
		if err != nil {
			time.Sleep(20 * time.Millisecond) // the real clock: this is a process of its own
			continue
		}
		if _, err := fmt.Fprintf(f, "n-%d\n", next); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		next++
	}
}

// process starts this program as something else, and kills it -9.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
}

func start(t *testing.T, as string, env ...string) *process {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), append(env, "HUBD_TEST_AS="+as)...)
	if testing.Verbose() {
		c.Stderr = os.Stderr
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t, c}
	t.Cleanup(p.kill)
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// cable is a TCP forwarder that can be cut: silently, as fibre is, or with the
// connections closed, as a modem does.
type cable struct {
	l    net.Listener
	to   string
	mu   sync.Mutex
	held *sync.Cond
	dead bool // nothing passes
	open map[net.Conn]bool
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{l: l, to: to, open: map[net.Conn]bool{}}
	c.held = sync.NewCond(&c.mu)
	t.Cleanup(func() { l.Close(); c.set(false, true) })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			c.mu.Lock()
			c.open[in], c.open[out] = true, true
			c.mu.Unlock()
			go c.pass(in, out)
			go c.pass(out, in)
		}
	}()
	return c
}

func (c *cable) pass(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		c.mu.Lock()
		for c.dead {
			c.held.Wait()
		}
		c.mu.Unlock()
		if _, e := to.Write(b[:n]); err != nil || e != nil {
			return
		}
	}
}

// set cuts or mends; with hang-up, the connections are closed.
func (c *cable) set(dead, hangUp bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = dead
	if hangUp {
		for k := range c.open {
			k.Close()
			delete(c.open, k)
		}
	}
	c.held.Broadcast()
}

// TestWhatWasAcknowledgedIsThereOnceWhateverIsKilledOrCut kills -9 the hub and the
// station in turn, and cuts the cable between them both ways, while the station
// sends. What the station was told is kept must be in the hub's store, once.
func TestWhatWasAcknowledgedIsThereOnceWhateverIsKilledOrCut(t *testing.T) {
	w := newWorld(t)
	at := freePort(t)
	b, err := os.ReadFile(w.file)
	if err != nil {
		t.Fatal(err)
	}
	w.write("hub.yaml", []byte(strings.Replace(string(b), `nats: {listen: "127.0.0.1:0"`, `nats: {listen: "`+at+`"`, 1)))
	c := newCable(t, at)
	cert, key := w.ca.issue(t, "station", nil)
	acked := filepath.Join(w.dir, "acked")
	station := []string{"HUBD_TEST_AT=" + c.l.Addr().String(), "HUBD_TEST_ACKED=" + acked, "HUBD_TEST_CA=" + filepath.Join(w.dir, "ca.pem"),
		"HUBD_TEST_CERT=" + w.write("s.pem", cert), "HUBD_TEST_KEY=" + w.write("s.key", key), "HUBD_TEST_SEED=" + w.write("s.seed", w.seed[upper])}
	hub := func() *process { return start(t, "hub", "HUBD_TEST_FILE="+w.file) }
	count := func() int {
		b, _ := os.ReadFile(acked)
		return strings.Count(string(b), "\n")
	}
	// moved waits until some letters more were acknowledged: what was broken works.
	moved := func(what string) {
		t.Helper()
		from := count()
		until(t, what, func() bool { return count() >= from+40 })
	}
	h, s := hub(), start(t, "station", station...)
	moved("letters pass")
	for range 2 {
		h.kill()
		h = hub()
		moved("letters pass after the hub was killed")
		s.kill()
		s = start(t, "station", station...)
		moved("letters pass after the station was killed")
		c.set(true, false)
		time.Sleep(1500 * time.Millisecond) // the real cut of a real connection
		c.set(false, false)
		moved("letters pass after a silent cut")
		c.set(false, true)
		moved("letters pass after the line was hung up")
	}
	s.kill()
	h.kill()
	text, err := os.ReadFile(acked)
	if err != nil {
		t.Fatal(err)
	}
	ids := strings.Fields(string(text))
	again, _ := w.hub()
	up, err := again.engine.JS.OrderedConsumer(within(10*time.Second), letter.StreamUp, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]int{}
	info, err := again.engine.JS.Stream(within(10*time.Second), letter.StreamUp)
	if err != nil {
		t.Fatal(err)
	}
	for range info.CachedInfo().State.Msgs {
		m, err := up.Next(jetstream.FetchMaxWait(5 * time.Second))
		if err != nil {
			t.Fatal(err)
		}
		kept[m.Headers().Get(letter.HeaderID)]++
	}
	lost, twice := 0, 0
	for _, id := range ids {
		switch kept[id] {
		case 0:
			lost++
		case 1:
		default:
			twice++
		}
	}
	t.Logf("%d acknowledged over 2 kills of each and 4 cuts: lost %d, twice %d", len(ids), lost, twice)
	if lost > 0 || twice > 0 {
		t.Fail()
	}
	until(t, "every letter has its receipt", func() bool { return stationOf(again.post, upper).Letters[letter.Alarm] == len(kept) })
}

// natsServer runs Debian's nats-server with JetStream.
func natsServer(t *testing.T, at, dir string) *process {
	t.Helper()
	bin, err := exec.LookPath("nats-server")
	if err != nil {
		t.Fatal("nats-server is missing; make peers installs it")
	}
	host, port, _ := net.SplitHostPort(at)
	c := exec.Command(bin, "-a", host, "-p", port, "-js", "-sd", dir)
	if testing.Verbose() {
		c.Stderr = os.Stderr
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t, c}
	t.Cleanup(p.kill)
	until(t, "nats-server listens", func() bool {
		n, err := net.Dial("tcp", at)
		if err == nil {
			_, err = io.ReadFull(n, make([]byte, 4))
			n.Close()
		}
		return err == nil
	})
	return p
}

// TestAnExistingServerServesAsWell runs the hub over Debian's nats-server, another
// program and an older release, and kills that.
func TestAnExistingServerServesAsWell(t *testing.T) {
	w := newWorld(t)
	at := freePort(t)
	dir := t.TempDir()
	server := natsServer(t, at, dir)
	w.write("hub.yaml", []byte(`version: 1
name: {zh: 桐乡市, en: Tongxiang}
data: data
nats: {servers: ["nats://`+at+`"]}
keep: {most: 64 MiB}
datagrams: [{name: tiantong, listen: "127.0.0.1:0"}]
stations: {330483105203: {psk: 330483105203.psk}}
`))
	h, _ := w.hub()
	n := w.link(uplink.NATSOpts{Name: "4g", Station: upper, Servers: []string{at}, Log: quiet()})
	send := func(id string) {
		t.Helper()
		until(t, "letter "+id+" is kept", func() bool {
			err := n.Send(within(2*time.Second), id, letter.Alarm, []byte(id))
			if err != nil && !errors.Is(err, uplink.ErrDown) && testing.Verbose() {
				t.Log(err)
			}
			return err == nil
		})
	}
	send("a")
	// One that was being entered when the server died comes again after half a minute: not what is asked here.
	until(t, "it is receipted", func() bool { return stationOf(h.post, upper).Letters[letter.Alarm] == 1 })
	server.kill()
	natsServer(t, at, dir)
	send("a") // a copy
	send("b")
	until(t, "both are receipted once", func() bool { return stationOf(h.post, upper).Letters[letter.Alarm] == 2 })
	if _, ok, err := n.Ask(within(5*time.Second), "a"); err != nil || !ok {
		t.Errorf("asked: %v %v", ok, err)
	}
	send2 := AlertSendCmd{File: w.write("alert.xml", signed(t, 7)), To: "330483", Config: w.file}
	if err := send2.Run(&Globals{Lang: "en", Out: io.Discard}); err != nil {
		t.Fatal(err)
	}
	select {
	case l := <-n.Received():
		l.Done(nil)
	case <-time.After(30 * time.Second):
		t.Fatal("nothing came down")
	}
	until(t, "that is noted", func() bool {
		s := h.post.State().Sent
		return len(s) == 1 && !s[0].To[upper].At.IsZero()
	})
}
