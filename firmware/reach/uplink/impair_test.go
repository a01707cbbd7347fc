package uplink

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/firmware/reach/letter"
	"tocsin/hwtest/impair"
)

// keeper is a hub's end on a real socket: it keeps each letter once and says so each time.
type keeper struct {
	conn net.PacketConn
	key  *letter.Key
	mu   sync.Mutex
	kept map[string]int
	next uint64
}

func (k *keeper) run() {
	b := make([]byte, letter.DatagramMost+1)
	for {
		n, from, err := k.conn.ReadFrom(b)
		if err != nil {
			return
		}
		g, err := k.key.Open(letter.FromStation, b[:n])
		if err != nil {
			continue
		}
		k.mu.Lock()
		a := letter.Datagram{Kind: letter.KindAnswer, Of: g.Counter, Word: letter.Kept}
		switch g.Kind {
		case letter.KindProbe:
			a = letter.Datagram{Kind: letter.KindEcho, Of: uint64(uint16(g.Counter))}
		case letter.KindLetter:
			k.kept[g.Letter.ID]++
		}
		k.next++
		a.Counter = k.next
		if out, err := k.key.Seal(letter.FromHub, &a); err == nil {
			k.conn.WriteTo(out, from)
		}
		k.mu.Unlock()
	}
}

// 64 kbit/s, 600 ms and 5 % each way, in real time: every letter is kept, within its deadline, for few bytes.
func TestLettersAreKeptOverTheWorstLinkForFewBytes(t *testing.T) {
	t.Parallel()
	root := bytes.Repeat([]byte{9}, letter.KeySize)
	key, err := letter.NewKey(root)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	hub := &keeper{conn: c, key: key, kept: map[string]int{}}
	go hub.run()
	l := impair.New(impair.Worst, impair.Worst, 21)
	defer l.Close()
	at, err := l.UDP(c.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	var counter atomic.Uint64
	d, err := NewDatagrams(DatagramOpts{Name: "sat", Station: "330483105203", Server: at, Root: root,
		Counter: func() (uint64, error) { return counter.Add(1), nil }, Start: func(_ string, run func()) { go run() }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	for {
		trip, err := d.Probe(ctx)
		if err == nil {
			if trip < 1200*time.Millisecond {
				t.Errorf("the probe took %v", trip)
			}
			break
		}
		time.Sleep(5 * time.Millisecond) // the socket is not open yet
	}
	const n, body = 20, 60
	began := time.Now()
	var wg sync.WaitGroup
	for i := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := d.Send(ctx, fmt.Sprintf("a1b2c3-%d", i), letter.Telemetry, bytes.Repeat([]byte{byte(i)}, body)); err != nil {
				t.Errorf("letter %d: %v", i, err)
			}
		}()
	}
	wg.Wait()
	took := time.Since(began)
	up, down := l.Count()
	hub.mu.Lock()
	kept := len(hub.kept)
	hub.mu.Unlock()
	if kept != n {
		t.Errorf("%d of %d kept", kept, n)
	}
	if took < 1200*time.Millisecond || took > 25*time.Second {
		t.Errorf("it took %v", took)
	}
	if up.Lost+down.Lost == 0 {
		t.Error("the link lost nothing: the test shows nothing")
	}
	if each := (up.Bytes + down.Bytes) / n; each > 600 { // both ways, headers, repetitions and the probe
		t.Errorf("%d bytes a letter", each)
	}
	t.Logf("%d letters in %v, %d bytes up, %d down, %d lost", n, took, up.Bytes, down.Bytes, up.Lost+down.Lost)
	cancel()
	<-done
}
