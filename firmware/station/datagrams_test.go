package station

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
)

const townPSK = "7171717171717171717171717171717171717171717171717171717171717171"

// gateway is the hub's end of datagrams.
type gateway struct {
	t    *testing.T
	conn net.PacketConn
	key  *letter.Key

	mu       sync.Mutex
	next     uint64
	from     net.Addr
	counters map[uint64]bool
	twice    int
	letters  map[string]letter.Letter
	answers  map[uint64]letter.Word
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	root, _ := hex.DecodeString(townPSK)
	key, err := letter.NewKey(root)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{t: t, conn: c, key: key, counters: map[uint64]bool{}, letters: map[string]letter.Letter{}, answers: map[uint64]letter.Word{}}
	done := make(chan struct{})
	go func() { defer close(done); g.serve() }()
	t.Cleanup(func() { c.Close(); <-done })
	return g
}

func (g *gateway) serve() {
	b := make([]byte, letter.DatagramMost+1)
	for {
		n, from, err := g.conn.ReadFrom(b)
		if err != nil {
			return
		}
		d, err := g.key.Open(letter.FromStation, b[:n])
		if err != nil {
			continue
		}
		g.mu.Lock()
		if g.counters[d.Counter] {
			g.twice++
		}
		g.counters[d.Counter], g.from = true, from
		switch d.Kind {
		case letter.KindLetter:
			d.Letter.Body = append([]byte(nil), d.Letter.Body...)
			g.letters[d.Letter.ID] = d.Letter
			g.put(letter.Datagram{Kind: letter.KindAnswer, Of: d.Counter, Word: letter.Kept})
		case letter.KindProbe:
			g.put(letter.Datagram{Kind: letter.KindEcho, Of: d.Counter})
		case letter.KindAnswer:
			g.answers[d.Of] = d.Word
		}
		g.mu.Unlock()
	}
}

// put sends one and gives its counter. The lock is held.
func (g *gateway) put(d letter.Datagram) uint64 {
	g.next++
	d.Counter = g.next
	if b, err := g.key.Seal(letter.FromHub, &d); err == nil {
		_, _ = g.conn.WriteTo(b, g.from)
	}
	return g.next
}

func (g *gateway) give(id string, body []byte) uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.put(letter.Datagram{Kind: letter.KindLetter, Letter: letter.Letter{ID: id, Class: letter.Warning, Body: body}})
}

func (g *gateway) got(id string) (letter.Letter, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l, ok := g.letters[id]
	return l, ok
}

func (g *gateway) answered(n uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	w, ok := g.answers[n]
	return ok && w == letter.Kept
}

// Over satellite IP alone a box tells and is warned, what is too long goes short, and no
// restart uses a number of the key twice.
func TestOverDatagramsABoxTellsAndIsWarned(t *testing.T) {
	t.Parallel()
	w := &linkedTown{town: newTown(t)}
	newOffice(t, w.town)
	condensed := newCondenser(t, w.town)
	g := newGateway(t)
	w.secret("county.key", townRoot)
	w.secret("psk", townPSK)
	w.text = strings.Replace(w.text, "page:", fmt.Sprintf("county: {number: 17, root: secrets/county.key}\nlinks: {satellite: {kind: datagrams, servers: [%q], psk: secrets/psk}}\npage:", g.conn.LocalAddr()), 1)
	w.write("site.yaml", w.text)
	w.start()
	w.up("satellite")
	short := w.tell(courier.Alarm)
	w.until("there", func() bool { _, ok := g.got(short.String()); return ok })

	p := w.house.Load().post
	n, _ := p.name()
	item, err := wire.AlarmItem{Name: n, Hazard: "flood", Text: "水"}.Append(nil, 60)
	if err != nil {
		t.Fatal(err)
	}
	p.send(courier.Message{ID: n.String(), Class: courier.Alarm, Payload: make([]byte, 4000), Short: item}, journal.Batch{})
	w.until("its short form", func() bool { l, ok := g.got(n.String() + "s"); return ok && string(l.Body) == string(item) })
	w.until("all receipts", func() bool { return w.waits() == 0 })

	red := condensed(5, false)
	began := time.Now()
	first := g.give("red", red)
	a := w.warning("evacuate", "raised")
	w.sounds(began)
	w.until("told to the hub", func() bool { return g.answered(first) })
	again := g.give("red", red) // the answer was lost, say
	w.until("answered again", func() bool { return g.answered(again) })
	g.give("lift", condensed(5, true))
	if b := w.warning("", "released"); b.ID != a.ID {
		t.Errorf("%+v", b)
	}

	w.halt()
	w.start()
	w.up("satellite")
	last := w.tell(courier.Alarm)
	w.until("there after a restart", func() bool { _, ok := g.got(last.String()); return ok })
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.twice > 0 {
		t.Errorf("%d numbers were used twice", g.twice)
	}
}

// deadDisk keeps nothing.
type deadDisk struct{}

func (deadDisk) Get(string) ([]byte, bool) { return nil, false }

func (deadDisk) Put(ctx context.Context, _ string, _ []byte) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestCountersOfDatagramsNeverBeginAnew(t *testing.T) {
	psk, now := []byte("a key"), time.Unix(1_800_000_000, 0)
	disk := &ram{}
	at := func(t time.Time, trust clock.Trust) func() clock.Stamp {
		return func() clock.Stamp { return clock.Stamp{Wall: t, Trust: trust} }
	}
	next := counterOf(disk, psk, at(now, clock.Held))
	a, err := next()
	if err != nil {
		t.Fatal(err)
	}
	if a < uint64(now.Unix()-year2020)<<16 {
		t.Errorf("begins at %d, where an earlier disk's may have been", a)
	}
	b, err := counterOf(disk, psk, at(now.AddDate(-9, 0, 0), clock.Free))() // after a cut, with the clock lost
	if err != nil || b <= a {
		t.Errorf("%d after %d: %v", b, a, err)
	}
	for key := range disk.m {
		disk.m[key] = []byte("damaged")
	}
	if c, err := counterOf(disk, psk, at(now, clock.Set))(); err == nil {
		t.Errorf("what was used cannot be read, and %d is given", c)
	}
	dead := counterOf(deadDisk{}, psk, at(now, clock.Set))
	began := time.Now()
	for range 50 {
		if c, err := dead(); err == nil {
			t.Fatalf("%d is given that no disk keeps", c)
		}
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("a dead disk held up 50 sends for %v", d)
	}
}

func TestCountersOfDatagramsThatBeginByAFreeClockComeOnceAndGoOnFromTheRightTime(t *testing.T) {
	psk, build := []byte("a key"), time.Unix(1_790_000_000, 0)
	used := map[uint64]bool{}
	for life := range 20 { // each loses what it kept, and begins at the same second of a board without a clock
		disk, now := &ram{}, clock.Stamp{Wall: build}
		next := counterOf(disk, psk, func() clock.Stamp { return now })
		last := uint64(0)
		for i := range 100 {
			n, err := next()
			if err != nil || used[n] || n <= last {
				t.Fatalf("life %d, %d: %d comes twice (%v)", life, i, n, err)
			}
			used[n], last = true, n
		}
		now = clock.Stamp{Wall: build.AddDate(0, 1, life), Trust: clock.Set}
		n, err := next()
		if err != nil || n <= last || n < countersFrom(now.Wall) {
			t.Errorf("life %d goes on at %d, where the hub may have taken more: %v", life, n, err)
		}
		if m, err := next(); err != nil || m != n+1 {
			t.Errorf("%d after %d: %v", m, n, err)
		}
		if m, err := counterOf(disk, psk, func() clock.Stamp { return clock.Stamp{Wall: build} })(); err != nil || m <= n+1 {
			t.Errorf("%d after a cut at %d: %v", m, n+1, err)
		}
	}
}
