//go:build peers

package impair

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func pair(t *testing.T, s Setting) *Pair {
	t.Helper()
	p, err := NewPair(s, s, 3)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES) {
		t.Skip("namespaces need root and /dev/net/tun:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// The kernel's own UDP meets what the link is set to: 64 kbit/s, 600 ms and 5 % each way.
func TestTheKernelsDatagramsMeetTheWorstLink(t *testing.T) {
	t.Parallel()
	p := pair(t, Worst)
	far, err := p.Far.ListenUDP("10.79.0.2:9000")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	go func() {
		b := make([]byte, 2000)
		for {
			n, from, err := far.ReadFrom(b)
			if err != nil {
				return
			}
			far.WriteTo(b[:n], from)
		}
	}()
	ctx, end := context.WithTimeout(context.Background(), 20*time.Second)
	defer end()
	c, err := p.Near.Dial(ctx, "udp", "10.79.0.2:9000")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const n = 200
	start := time.Now()
	began := make([]atomic.Int64, n) // since the start
	go func() {
		for i := range n {
			began[i].Store(int64(time.Since(start)))
			fmt.Fprintf(c, "%04d%46s", i, "")
			time.Sleep(20 * time.Millisecond) // 78 bytes: 31 kbit/s
		}
	}()
	var trips []time.Duration
	b := make([]byte, 2000)
	for {
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if k, err := c.Read(b); err != nil {
			break
		} else if k == 50 {
			var i int
			fmt.Sscanf(string(b[:4]), "%d", &i)
			trips = append(trips, time.Since(start)-time.Duration(began[i].Load()))
		}
	}
	got := len(trips)
	near(t, "echoed", float64(got)/n, 0.9025, 0.08)
	if got == 0 {
		return
	}
	// None is faster than the link; a machine that is busy makes some slower, and not half of them.
	slices.Sort(trips)
	if least, median := trips[0], trips[got/2]; least < 1219*time.Millisecond || median > 2*time.Second {
		t.Errorf("round trips: least %v, median %v", least, median)
	}
	up, down := p.Count()
	if up.Bytes != n*78 || down.Delivered != int64(got) {
		t.Errorf("up %+v, down %+v, %d echoed", up, down, got)
	}
}

// And its own TCP comes through whole, over a blackout too.
func TestTheKernelsStreamsComeThroughWhole(t *testing.T) {
	t.Parallel()
	p := pair(t, Setting{Rate: 1e6, Delay: 40 * time.Millisecond, Loss: 0.02})
	ln, err := p.Far.Listen("tcp4", "10.79.0.2:9001")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	sum := make(chan [32]byte, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		h := sha256.New()
		io.Copy(h, c)
		sum <- [32]byte(h.Sum(nil))
	}()
	ctx, end := context.WithTimeout(context.Background(), 30*time.Second)
	defer end()
	c, err := p.Near.Dial(ctx, "tcp", "10.79.0.2:9001")
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 120_000)
	for i := range b {
		b[i] = byte(i * i >> 7)
	}
	began := time.Now()
	c.Write(b[:60_000])
	p.Cut(true)
	time.Sleep(500 * time.Millisecond)
	p.Cut(false)
	c.Write(b[60_000:])
	c.(*net.TCPConn).CloseWrite()
	select {
	case got := <-sum:
		if got != sha256.Sum256(b) {
			t.Error("other bytes came out")
		}
		if took := time.Since(began); took < 960*time.Millisecond {
			t.Errorf("faster than the rate: %v", took)
		}
	case <-ctx.Done():
		t.Fatal("never came through")
	}
	c.Close()
}
