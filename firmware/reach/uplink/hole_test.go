package uplink

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"tocsin/firmware/reach/letter"
)

// A link whose far end takes the connection again and says nothing must hold up neither
// whoever asks nor the end of Run.
func TestABlackHoleHoldsNobodyUp(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, Username: "441882103201", Password: "t"})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.Shutdown()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var hole, held atomic.Bool
	conns := make(chan net.Conn, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns <- c
			if hole.Load() {
				held.Store(true)
				continue
			}
			far, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				c.Close()
				continue
			}
			go func() { _, _ = io.Copy(c, far) }()
			go func() { _, _ = io.Copy(far, c); far.Close() }()
		}
	}()
	n, err := NewNATS(NATSOpts{Name: "fibre", Station: "441882103201", Servers: []string{l.Addr().String()}, Token: "t"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); _ = n.Run(ctx) }()
	wait := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("never: ", what)
			}
		}
	}
	wait("up", n.Up)
	hole.Store(true)
	(<-conns).Close()
	wait("connected again, to nobody", held.Load)
	began := time.Now()
	within, stop := context.WithTimeout(ctx, 500*time.Millisecond)
	defer stop()
	if _, err := n.Probe(within); err == nil {
		t.Error("a black hole answers")
	}
	if err := n.Send(within, "a", letter.Alarm, []byte("x")); !errors.Is(err, ErrDown) {
		t.Errorf("sent into a black hole: %v", err)
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("held up for %v", d)
	}
	began = time.Now()
	cancel()
	<-done
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("the link took %v to end", d)
	}
}
