//go:build peers

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/uplink"
	"tocsin/hwtest/impair"
)

// The kernel's own TCP with TLS over 64 kbit/s, 600 ms and 5 % each way, cut for ten seconds with letters under
// way: the session stands at last, and every letter is kept once.
func TestNATSOverTheWorstLinkKeepsEveryLetterOnce(t *testing.T) {
	t.Parallel()
	p, err := impair.NewPair(impair.Worst, impair.Worst, 11)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES) {
		t.Skip("namespaces need root and /dev/net/tun:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	w := newWorld(t)
	h, _ := w.hub()
	at, err := p.Forward(h.engine.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	o := w.natsOpts(upper, h.engine.Addr().String())
	o.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) { return p.Near.Dial(ctx, network, at) }
	n, err := uplink.NewNATS(o)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	run(t, n.Run)
	for !n.Up() {
		if time.Since(began) > 2*time.Minute {
			t.Fatal("never up")
		}
		time.Sleep(50 * time.Millisecond)
	}
	up := time.Since(began)
	const letters = 40
	began = time.Now()
	var wg sync.WaitGroup
	for i := range letters {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for ctx := within(2 * time.Minute); ; {
				err := n.Send(ctx, fmt.Sprintf("a1b2c3-%d", i+1), letter.Telemetry, bytes.Repeat([]byte{byte(i)}, 60))
				if err == nil {
					return
				}
				if ctx.Err() != nil {
					t.Errorf("letter %d: %v", i, err)
					return
				}
				time.Sleep(time.Second) // the link is down: the courier would ask again
			}
		}()
	}
	time.Sleep(700 * time.Millisecond)
	p.Cut(true)
	time.Sleep(10 * time.Second)
	p.Cut(false)
	back := time.Now()
	wg.Wait()
	recovered := time.Since(back)
	s, err := h.engine.JS.Stream(within(10*time.Second), letter.StreamUp)
	if err != nil {
		t.Fatal(err)
	}
	if m := s.CachedInfo().State.Msgs; m != letters {
		t.Errorf("the hub keeps %d letters of %d", m, letters)
	}
	a, b := p.Count()
	t.Logf("up after %v; 40 letters %v after the cut ended; %d bytes up, %d down, %d lost", up, recovered, a.Bytes, b.Bytes, a.Lost+b.Lost)
	if up > time.Minute || recovered > 90*time.Second {
		t.Errorf("up after %v, recovered after %v", up, recovered)
	}
}
