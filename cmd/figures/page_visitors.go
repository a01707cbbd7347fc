package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// visitorsEnv makes a process of the bench's own that is many people at one page. They are no part of the bench's
// process, so that they delay nothing that it measures but by the machine that all share.
const visitorsEnv = "FIGURES_VISITORS"

// visitors are who comes to the page, each from an address of its own.
type visitors struct {
	Addr string `json:"addr"`
	// Listeners follow what changes, Slow of them read a byte a second.
	Listeners int `json:"listeners"`
	Slow      int `json:"slow"`
	// Askers ask again as soon as they were answered, all of them on one core.
	Askers int `json:"askers"`
	// Loads: each listener loads the pages once, and asks for what they show every few seconds.
	Loads bool `json:"loads"`
}

// visitorsSeen is what they had of it.
type visitorsSeen struct {
	Listening int64 `json:"listening"` // have had an event and are there
	Slow      int64 `json:"slow"`      // slow ones that are there
	Events    int64 `json:"events"`
	Answers   int64 `json:"answers"`
	Refused   int64 `json:"refused"`
}

// asked are the pages and what they show.
var asked = []string{"/", "/api/v1/status", "/api/v1/readings", "/api/v1/readiness", "/?lang=en", "/api/v1/alarms", "/api/v1/journal?limit=100", "/api/v1/soundings",
	"/console/", "/sign-in", "/api/v1/faults", "/api/v1/lines"}

// visitIfAsked is that process: it tells twice a second what it has seen.
func visitIfAsked() {
	text := os.Getenv(visitorsEnv)
	if text == "" {
		return
	}
	var c visitors
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		fmt.Fprintln(os.Stderr, "visitors:", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	var seen visitorsSeen
	n := 0
	from := func() netip.Addr { n++; return netip.AddrFrom4([4]byte{127, 1, byte(n / 200), byte(n%200 + 1)}) }
	var wg sync.WaitGroup
	for i := range c.Listeners {
		a, slow := from(), i < c.Slow
		wg.Go(func() {
			for ctx.Err() == nil {
				c.listen(ctx, a, slow, &seen)
				rest(ctx, time.Second)
			}
		})
		if c.Loads {
			wg.Go(func() { c.ask(ctx, a, 3*time.Second, i, &seen) })
		}
	}
	for i := range c.Askers {
		a := from()
		wg.Go(func() {
			for ctx.Err() == nil {
				c.ask(ctx, a, 0, i, &seen)
				rest(ctx, 100*time.Millisecond)
			}
		})
	}
	enc := json.NewEncoder(os.Stdout)
	for ctx.Err() == nil {
		rest(ctx, 500*time.Millisecond)
		enc.Encode(visitorsSeen{atomic.LoadInt64(&seen.Listening), atomic.LoadInt64(&seen.Slow), atomic.LoadInt64(&seen.Events), atomic.LoadInt64(&seen.Answers), atomic.LoadInt64(&seen.Refused)})
	}
	wg.Wait()
	os.Exit(0)
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (c *visitors) dial(ctx context.Context, from netip.Addr, buffer int) (net.Conn, error) {
	d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	if buffer > 0 {
		d.Control = func(_, _ string, rc syscall.RawConn) (err error) {
			rc.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, buffer) })
			return err
		}
	}
	conn, err := d.DialContext(ctx, "tcp", c.Addr)
	if err == nil {
		context.AfterFunc(ctx, func() { conn.Close() })
	}
	return conn, err
}

// listen follows the events until they end.
func (c *visitors) listen(ctx context.Context, from netip.Addr, slow bool, seen *visitorsSeen) {
	conn, err := c.dial(ctx, from, choose(slow, 4096, 0))
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /api/v1/events HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n\r\n", c.Addr)
	if slow {
		atomic.AddInt64(&seen.Slow, 1)
		defer atomic.AddInt64(&seen.Slow, -1)
		for b := make([]byte, 1); ctx.Err() == nil; rest(ctx, time.Second) {
			if _, err := conn.Read(b); err != nil {
				return
			}
		}
		return
	}
	there := false
	defer func() {
		if there {
			atomic.AddInt64(&seen.Listening, -1)
		}
	}()
	for r := bufio.NewReader(conn); ; {
		l, err := r.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
		switch {
		case strings.HasPrefix(string(l), "HTTP/1.1 5"):
			atomic.AddInt64(&seen.Refused, 1)
			return
		case strings.HasPrefix(string(l), "event: "):
			atomic.AddInt64(&seen.Events, 1)
			if !there {
				there = true
				atomic.AddInt64(&seen.Listening, 1)
			}
		}
	}
}

// ask asks for one thing after another on one connection.
func (c *visitors) ask(ctx context.Context, from netip.Addr, every time.Duration, at int, seen *visitorsSeen) {
	conn, err := c.dial(ctx, from, 0)
	if err != nil {
		return
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for i := at; ctx.Err() == nil; i++ {
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept-Encoding: gzip\r\n\r\n", asked[i%len(asked)], c.Addr)
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			atomic.AddInt64(&seen.Refused, 1)
			return
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.StatusCode >= 500 {
			atomic.AddInt64(&seen.Refused, 1)
		} else {
			atomic.AddInt64(&seen.Answers, 1)
		}
		if every > 0 {
			rest(ctx, every)
		}
	}
}

// visit is visitors who are there.
type visit struct {
	cmd *exec.Cmd
	mu  sync.Mutex
	was visitorsSeen
	end chan struct{}
}

// come starts one; one core is all that its askers have.
func (b *bench) come(c visitors) (*visit, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	x := &visit{cmd: exec.CommandContext(b.ctx, self), end: make(chan struct{})}
	x.cmd.Env = append(slices.Clone(os.Environ()), visitorsEnv+"="+string(text), "GOMAXPROCS=1")
	x.cmd.Stderr = os.Stderr
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := x.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := x.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(x.end)
		for d := json.NewDecoder(out); ; {
			var s visitorsSeen
			if d.Decode(&s) != nil {
				return
			}
			x.mu.Lock()
			x.was = s
			x.mu.Unlock()
		}
	}()
	return x, nil
}

func (x *visit) seen() visitorsSeen {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.was
}

// leave ends it; nil is none.
func (x *visit) leave() {
	if x == nil {
		return
	}
	x.cmd.Process.Signal(syscall.SIGTERM)
	<-x.end
	x.cmd.Wait()
}

// lan gives the next box an address of its own on the network.
func (b *bench) lan() (err error) {
	b.listen, err = freeTCP()
	return err
}

func (b *bench) listens() string { return cmp.Or(b.listen, "127.0.0.1:0") }
