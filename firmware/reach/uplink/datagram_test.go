package uplink

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/firmware/reach/letter"
)

// far is the hub's end of a pipe, which keeps datagrams apart as a socket does:
// each write is one read. It answers as the test says.
type far struct {
	t    *testing.T
	c    net.Conn
	key  *letter.Key
	next uint64
}

func (f *far) read() *letter.Datagram {
	f.t.Helper()
	b := make([]byte, letter.DatagramMost)
	_ = f.c.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := f.c.Read(b)
	if err != nil {
		f.t.Fatal(err)
	}
	g, err := f.key.Open(letter.FromStation, b[:n])
	if err != nil {
		f.t.Fatal(err)
	}
	return g
}

func (f *far) write(g letter.Datagram) []byte {
	f.t.Helper()
	f.next++
	g.Counter = f.next
	b, err := f.key.Seal(letter.FromHub, &g)
	if err != nil {
		f.t.Fatal(err)
	}
	f.raw(b)
	return b
}

func (f *far) raw(b []byte) {
	f.t.Helper()
	if _, err := f.c.Write(b); err != nil {
		f.t.Fatal(err)
	}
}

// pair runs a link whose pauses the test lets pass by hand.
func pair(t *testing.T, take func(context.Context, letter.Letter) error) (*Datagrams, *far, chan<- time.Time) {
	t.Helper()
	root := bytes.Repeat([]byte{3}, letter.KeySize)
	here, there := net.Pipe()
	pauses := make(chan time.Time)
	var counter atomic.Uint64
	d, err := NewDatagrams(DatagramOpts{Name: "sat", Station: "330483105203", Server: "hub:1", Root: root, Take: take,
		Counter: func() (uint64, error) { return counter.Add(1), nil },
		Dial:    func(context.Context, string, string) (net.Conn, error) { return here, nil },
		Start:   func(_ string, run func()) { go run() },
		After:   func(time.Duration) <-chan time.Time { return pauses }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = d.Run(ctx) }()
	t.Cleanup(func() { cancel(); there.Close(); <-done })
	for {
		d.mu.Lock()
		up := d.conn != nil
		d.mu.Unlock()
		if up {
			break
		}
		time.Sleep(time.Millisecond)
	}
	k, err := letter.NewKey(root)
	if err != nil {
		t.Fatal(err)
	}
	return d, &far{t: t, c: there, key: k}, pauses
}

func send(d *Datagrams, id string) <-chan error {
	out := make(chan error, 1)
	go func() { out <- d.Send(context.Background(), id, letter.Alarm, []byte("wet")) }()
	return out
}

func TestASendEndsOnlyWithTheHubsWordAndNeverUsesACounterTwice(t *testing.T) {
	d, hub, pauses := pair(t, nil)
	out := send(d, "a")
	first := hub.read()
	pauses <- time.Time{} // lost on the way
	second := hub.read()
	if second.Counter == first.Counter || second.Letter.ID != "a" {
		t.Errorf("sent %+v, then %+v", first, second)
	}
	hub.write(letter.Datagram{Kind: letter.KindAnswer, Of: second.Counter, Word: letter.Later})
	pauses <- time.Time{}
	third := hub.read()
	hub.write(letter.Datagram{Kind: letter.KindAnswer, Of: 999, Word: letter.Kept}) // of nothing that was sent
	select {
	case err := <-out:
		t.Fatalf("ended by an answer to another: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	// An answer to an earlier copy will do.
	hub.write(letter.Datagram{Kind: letter.KindAnswer, Of: first.Counter, Word: letter.Kept})
	if err := <-out; err != nil {
		t.Error(err)
	}
	_ = third

	out = send(d, "b")
	hub.write(letter.Datagram{Kind: letter.KindAnswer, Of: hub.read().Counter, Word: letter.Refused})
	if err := <-out; !errors.Is(err, ErrRefused) {
		t.Errorf("refused: %v", err)
	}
}

func TestALaterThatNobodyReadShutsNoKeptOut(t *testing.T) {
	d, hub, _ := pair(t, nil)
	word := make(chan letter.Word, 1)
	d.mu.Lock()
	d.waiting[7] = word
	d.mu.Unlock()
	hub.write(letter.Datagram{Kind: letter.KindAnswer, Of: 7, Word: letter.Later})
	hub.write(letter.Datagram{Kind: letter.KindAnswer, Of: 7, Word: letter.Kept})
	hub.write(letter.Datagram{Kind: letter.KindProbe}) // read after both were acted on
	if w := <-word; w != letter.Kept {
		t.Errorf("the send reads %v", w)
	}
}

func TestAHubsLetterIsJudgedOnceAndAnsweredEachTime(t *testing.T) {
	judged := make(chan string, 8)
	later := true
	d, hub, _ := pair(t, func(_ context.Context, l letter.Letter) error {
		judged <- l.ID
		if later {
			later = false
			return ErrLater
		}
		return errors.New("not a warning for this place") // judged all the same
	})
	_ = d
	l := letter.Datagram{Kind: letter.KindLetter, Letter: letter.Letter{ID: "w", Body: []byte("78 bytes")}}
	hub.write(l)
	if g := hub.read(); g.Word != letter.Later {
		t.Errorf("answered %+v", g)
	}
	b := hub.write(l)
	if g := hub.read(); g.Word != letter.Kept || g.Of != hub.next {
		t.Errorf("answered %+v", g)
	}
	hub.raw(b)   // replayed: no answer
	hub.write(l) // the hub did not hear: answered, not judged
	if g := hub.read(); g.Word != letter.Kept || g.Of != hub.next {
		t.Errorf("answered %+v", g)
	}
	if n := len(judged); n != 2 {
		t.Errorf("judged %d times", n)
	}
}

func TestALinkThatIsDownTakesNothing(t *testing.T) {
	d, err := NewDatagrams(DatagramOpts{Name: "sat", Station: "330483105203", Server: "hub:1", Root: make([]byte, letter.KeySize),
		Counter: func() (uint64, error) { return 1, nil }, Start: func(_ string, run func()) { go run() }})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Send(context.Background(), "a", letter.Alarm, []byte("x")); !errors.Is(err, ErrDown) {
		t.Errorf("datagrams: %v", err)
	}
	n, err := NewNATS(NATSOpts{Name: "fibre", Station: "330483105203", Servers: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Send(context.Background(), "a", letter.Alarm, []byte("x")); !errors.Is(err, ErrDown) {
		t.Errorf("NATS: %v", err)
	}
	if _, err := NewNATS(NATSOpts{Name: "fibre", Station: "330483105203", Servers: []string{"hub.example:4222"}}); err == nil {
		t.Error("a link in plain text to elsewhere was made")
	}
}
