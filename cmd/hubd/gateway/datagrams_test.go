package gateway

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/guard"
	"tocsin/firmware/reach/letter"
)

// counter is a post office that counts, and whose disk hangs while hung is open.
type counter struct {
	mu    sync.Mutex
	heard map[letter.Station]int
	up    map[letter.Station]int
	hung  chan struct{}
}

func (c *counter) Up(ctx context.Context, s letter.Station, _ *letter.Letter) error {
	c.mu.Lock()
	c.up[s]++
	c.mu.Unlock()
	select {
	case <-c.hung:
	case <-ctx.Done():
	}
	return ctx.Err()
}
func (c *counter) Short(ctx context.Context, s letter.Station, l *letter.Letter) error {
	return c.Up(ctx, s, l)
}
func (c *counter) Down(ctx context.Context, _ letter.Station, _ func(letter.Letter)) error {
	<-ctx.Done()
	return ctx.Err()
}
func (c *counter) Taken(context.Context, letter.Station, string, string) error { return nil }
func (c *counter) HasTaken(context.Context, letter.Station, string) bool       { return false }
func (c *counter) Heard(s letter.Station, _ string, _ time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard[s]++
}

func (c *counter) of(m map[letter.Station]int, s letter.Station) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return m[s]
}

// sealed is a gateway for datagrams with two stations' keys.
type sealed struct {
	t    *testing.T
	d    *Datagrams
	post *counter
	keys map[letter.Station]*letter.Key
	next uint64
	now  atomic.Int64 // since the epoch
	from net.Addr
	ctx  context.Context
}

func datagramsFile(t *testing.T) (*hubfile.File, map[letter.Station]*letter.Key) {
	t.Helper()
	f := &hubfile.File{Data: t.TempDir(), Stations: map[string]hubfile.Station{}}
	keys := map[letter.Station]*letter.Key{}
	for i, s := range []letter.Station{upper, lower} {
		root := make([]byte, letter.KeySize)
		root[0] = byte(i + 1)
		k, err := letter.NewKey(root)
		if err != nil {
			t.Fatal(err)
		}
		f.Stations[string(s)], keys[s] = hubfile.Station{Key: k}, k
	}
	return f, keys
}

func newSealed(t *testing.T) *sealed {
	t.Helper()
	x := &sealed{t: t, post: &counter{heard: map[letter.Station]int{}, up: map[letter.Station]int{}, hung: make(chan struct{})}}
	f, keys := datagramsFile(t)
	x.keys = keys
	ctx, cancel := context.WithCancel(context.Background())
	x.ctx = ctx
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	g := guard.New(ctx, log, nil)
	var err error
	x.d, err = NewDatagrams(Opts{File: f, Link: hubfile.Datagrams{Name: "sat", Listen: "127.0.0.1:0"}, Post: x.post, Guard: g, Log: log,
		Now: func() time.Time { return epoch.Add(time.Duration(x.now.Load())) }, After: func(time.Duration) <-chan time.Time { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	x.from = x.d.Addr() // its own answers come back to it, and nobody reads them
	t.Cleanup(func() { cancel(); g.Wait(10 * time.Second); x.d.conn.Close() })
	return x
}

func (x *sealed) send(s letter.Station, k letter.Kind) {
	x.t.Helper()
	x.next++
	b, err := x.keys[s].Seal(letter.FromStation, &letter.Datagram{Kind: k, Counter: x.next, Letter: letter.Letter{ID: "a", Class: letter.Alarm, Body: []byte("wet")}})
	if err != nil {
		x.t.Fatal(err)
	}
	x.d.got(x.ctx, b, x.from)
}

func TestAStationThatSendsWithoutEndCostsTheDiskNoMoreThanItsShare(t *testing.T) {
	x := newSealed(t)
	for range 20 * burst {
		x.send(upper, letter.KindProbe)
	}
	if n := x.post.of(x.post.heard, upper); n != burst {
		t.Errorf("%d datagrams of one station were written at once, want %d", n, burst)
	}
	if x.send(lower, letter.KindProbe); x.post.of(x.post.heard, lower) != 1 {
		t.Error("another station is not heard")
	}
	x.now.Add(int64(10 * refill))
	for range burst {
		x.send(upper, letter.KindProbe)
	}
	if n := x.post.of(x.post.heard, upper); n != burst+10 {
		t.Errorf("%d later, want %d", n, burst+10)
	}
	x.now.Add(int64(-time.Hour)) // the clock is put back
	if x.send(upper, letter.KindProbe); x.post.of(x.post.heard, upper) != burst+11 {
		t.Error("a clock that was put back shuts a station out")
	}
}

func TestOneStationsLettersNeverTakeAllPlaces(t *testing.T) {
	x := newSealed(t)
	for range 2 * inFlight { // the disk is slow
		x.now.Add(int64(refill))
		x.send(upper, letter.KindLetter)
	}
	x.send(lower, letter.KindLetter)
	for end := time.Now().Add(10 * time.Second); x.post.of(x.post.up, lower) == 0 || x.post.of(x.post.up, upper) < atOnce; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%v letters are being kept; the other station's is not", x.post.of(x.post.up, upper))
		}
	}
	if n := x.post.of(x.post.up, upper); n != atOnce {
		t.Errorf("%d letters of one station at once, want %d", n, atOnce)
	}
	close(x.post.hung)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		x.d.mu.Lock()
		left := x.d.sessions[x.keys[upper].ID].keeping
		x.d.mu.Unlock()
		if left == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d places are not given back", left)
		}
	}
}

func TestADamagedWindowShutsOutItsStationAlone(t *testing.T) {
	f, _ := datagramsFile(t)
	dir := filepath.Join(f.Data, "datagrams")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(windowFile(dir, upper), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	d, err := NewDatagrams(Opts{File: f, Link: hubfile.Datagrams{Name: "sat", Listen: "127.0.0.1:0"}, Log: log, Now: func() time.Time { return epoch }})
	if err != nil {
		t.Fatalf("one station's file keeps the gateway from starting: %v", err)
	}
	defer d.conn.Close()
	if l := d.Left(); len(l) != 1 || l[0].Station != upper || l[0].Why == nil || len(d.sessions) != 1 {
		t.Errorf("%+v, %d sessions", l, len(d.sessions))
	}
}
