package impair

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// echoes answers datagrams and streams with themselves.
func echoes(t *testing.T) (udp, tcp string) {
	t.Helper()
	u, err := net.ListenUDP("udp", loopback())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close(); l.Close() })
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, from, err := u.ReadFromUDP(b)
			if err != nil {
				return
			}
			u.WriteToUDP(b[:n], from)
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); io.Copy(c, c) }()
		}
	}()
	return u.LocalAddr().String(), l.Addr().String()
}

func TestDatagramsMeetTheDelayTheLossAndTheMeter(t *testing.T) {
	t.Parallel()
	to, _ := echoes(t)
	s := Setting{Delay: 60 * time.Millisecond, Loss: 0.1}
	l := New(s, s, 4)
	defer l.Close()
	addr, err := l.UDP(to)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const n, ahead = 1000, 100 // no more at once than the sockets' buffers hold
	over := make(chan struct{})
	defer close(over)
	var read atomic.Int64
	began := time.Now()
	go func() {
		for i := range int64(n) {
			for {
				if up, down := l.Count(); i-up.Lost-down.Lost-read.Load() < ahead {
					break
				}
				select {
				case <-over:
					return
				case <-time.After(time.Millisecond):
				}
			}
			fmt.Fprintf(c, "%04d", i)
		}
	}()
	got, seen := 0, map[string]bool{}
	b := make([]byte, 100)
	var first time.Duration
	for {
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		k, err := c.Read(b)
		if err != nil {
			break
		}
		if got == 0 {
			first = time.Since(began)
		}
		if seen[string(b[:k])] = true; k == 4 {
			got++
		}
		read.Add(1)
	}
	near(t, "echoed", float64(got)/n, 0.81, 0.05)
	if first < 120*time.Millisecond {
		t.Errorf("the first echo came after %v", first)
	}
	up, down := l.Count()
	if up.Bytes != n*(4+udpHeaders) || down.Packets != up.Delivered || down.Delivered != int64(got) || len(seen) != got {
		t.Errorf("up %+v, down %+v, echoed %d", up, down, got)
	}
}

func TestACutTakesWhatIsUnderWayAndJoiningBringsItBack(t *testing.T) {
	t.Parallel()
	to, _ := echoes(t)
	s := Setting{Delay: 500 * time.Millisecond}
	l := New(s, s, 4)
	defer l.Close()
	addr, err := l.UDP(to)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := net.Dial("udp", addr)
	defer c.Close()
	// meet sends one and waits until the link has it.
	meet := func(what string) {
		t.Helper()
		was, _ := l.Count()
		fmt.Fprint(c, what)
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			if up, _ := l.Count(); up.Packets > was.Packets {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%q never came to the link", what)
			}
		}
	}
	meet("under way")
	l.Cut(true)
	meet("while it is cut")
	l.Cut(false)
	meet("joined")
	// The link keeps the order: an answer to what was sent before would come first.
	b := make([]byte, 100)
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if k, err := c.Read(b); err != nil || string(b[:k]) != "joined" {
		t.Errorf("%v, %q", err, b[:k])
	}
	up, down := l.Count()
	if up.Packets != 3 || up.Lost+down.Lost != 2 || down.Delivered != 1 {
		t.Errorf("up %+v, down %+v", up, down)
	}
}

func TestAStreamComesThroughWholeOverALossyLinkAndACut(t *testing.T) {
	t.Parallel()
	_, to := echoes(t)
	s := Setting{Rate: 4e6, Delay: 10 * time.Millisecond, Loss: 0.05}
	l := New(s, s, 5)
	defer l.Close()
	addr, err := l.TCP(to)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := make([]byte, 200_000)
	rnd := rand.New(rand.NewPCG(1, 1))
	for i := range want {
		want[i] = byte(rnd.Uint32())
	}
	go func() {
		c.Write(want[:100_000])
		l.Cut(true)
		time.Sleep(150 * time.Millisecond)
		l.Cut(false)
		c.Write(want[100_000:])
		c.(*net.TCPConn).CloseWrite()
	}()
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	got, err := io.ReadAll(c)
	if err != nil || sha256.Sum256(got) != sha256.Sum256(want) {
		t.Fatalf("%d of %d bytes, %v", len(got), len(want), err)
	}
	up, down := l.Count()
	if up.Lost == 0 || down.Lost == 0 || up.Bytes < int64(len(want)) {
		t.Errorf("up %+v, down %+v", up, down)
	}
}

func TestAStreamKeepsToTheRate(t *testing.T) {
	t.Parallel()
	_, to := echoes(t)
	l := New(Setting{Rate: 512e3, Delay: 20 * time.Millisecond}, Setting{}, 5)
	defer l.Close()
	addr, err := l.TCP(to)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := net.Dial("tcp", addr)
	defer c.Close()
	const n = 60_000 // 0.94 s at 64,000 B/s, and headers
	began := time.Now()
	go c.Write(bytes.Repeat([]byte{7}, n))
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(c, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 950*time.Millisecond || took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestNobodyBehindIsAReset(t *testing.T) {
	t.Parallel()
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	l := New(Setting{}, Setting{}, 1)
	defer l.Close()
	addr, err := l.TCP(dead.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return // reset at once
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("%v", err)
	}
}
