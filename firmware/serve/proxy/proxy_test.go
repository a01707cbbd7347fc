package proxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/guard"
)

// wire is a line with one kind of unit; it counts what it is asked.
type wire struct {
	mu    sync.Mutex
	asked []key
	wrote []key
	err   error
	hold  chan struct{}
}

func (w *wire) Guest(ctx context.Context, unit uint8, do func(context.Context, drivers.Registers) error) error {
	if w.hold != nil {
		select {
		case <-w.hold:
		case <-ctx.Done():
			return &drivers.Fault{Kind: drivers.FaultCancelled, Err: ctx.Err()}
		}
	}
	w.mu.Lock()
	err := w.err
	w.mu.Unlock()
	if err != nil {
		return err
	}
	return do(ctx, w)
}

func (w *wire) Read(_ context.Context, u uint8, t drivers.Table, addr, count uint16) (drivers.Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, key{u, t, addr, count})
	var a drivers.Answer
	if t.Bits() {
		a.Data = make([]byte, (count+7)/8)
		return a, nil
	}
	for i := range count {
		a.Data = binary.BigEndian.AppendUint16(a.Data, uint16(u)*1000+addr+i)
	}
	return a, nil
}

func (w *wire) note(k key) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrote = append(w.wrote, k)
	return nil
}
func (w *wire) WriteCoil(_ context.Context, u uint8, a uint16, _ bool) error {
	return w.note(key{u, drivers.Coil, a, 1})
}
func (w *wire) WriteSingle(_ context.Context, u uint8, t drivers.Table, a, _ uint16) error {
	return w.note(key{u, t, a, 1})
}
func (w *wire) WriteRegisters(_ context.Context, u uint8, a uint16, vs []uint16) error {
	return w.note(key{u, drivers.Holding, a, uint16(len(vs))})
}
func (w *wire) Cost(drivers.Table, uint16) time.Duration { return time.Millisecond }
func (w *wire) Close() error                             { return nil }
func (w *wire) String() string                           { return "wire" }

func (w *wire) counts() (asked, wrote int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked), len(w.wrote)
}

func serve(t *testing.T, c Config, w *wire) *Proxy {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	g := guard.New(ctx, nil, nil)
	c.Listen = "127.0.0.1:0"
	if c.Allow == nil {
		c.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}
	if c.Rate == 0 {
		c.Rate = 1000
	}
	p := New(c, Opts{Guard: g, Line: func() Line {
		if w == nil {
			return nil
		}
		return w
	}})
	g.Go("serve", "proxy", guard.Restart, p.Serve)
	t.Cleanup(func() {
		cancel()
		if left := g.Wait(10 * time.Second); left != nil {
			t.Errorf("still running: %v", left)
		}
	})
	for end := time.Now().Add(10 * time.Second); p.Addr() == ""; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not listen")
		}
	}
	return p
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// ask sends a request and gives the answer's PDU.
func ask(t *testing.T, c net.Conn, id uint16, unit uint8, pdu ...byte) []byte {
	t.Helper()
	q := request{id, unit, pdu}
	if _, err := c.Write(q.reply(pdu)); err != nil {
		t.Fatal(err)
	}
	a, err := readRequest(c)
	if err != nil {
		t.Fatal(err)
	}
	if a.transaction != id || a.unit != unit {
		t.Fatalf("asked %d of unit %d, answered %d of %d", id, unit, a.transaction, a.unit)
	}
	return a.pdu
}

func TestReadsAreAnsweredUnderTheirTransaction(t *testing.T) {
	w := &wire{}
	c := dial(t, serve(t, Config{}, w))
	for id, unit := range []uint8{3, 9, 247, 3} {
		want := []byte{3, 4, 0, 0, 0, 0}
		binary.BigEndian.PutUint16(want[2:], uint16(unit)*1000+5)
		binary.BigEndian.PutUint16(want[4:], uint16(unit)*1000+6)
		if got := ask(t, c, uint16(60000+id), unit, 3, 0, 5, 0, 2); !bytes.Equal(got, want) {
			t.Errorf("unit %d: % x, want % x", unit, got, want)
		}
	}
	if n, _ := w.counts(); n != 3 { // the last one was fresh
		t.Errorf("the line was asked %d times", n)
	}
	if got := ask(t, c, 1, 3, 1, 0, 0, 0, 9); !bytes.Equal(got, []byte{1, 2, 0, 0}) {
		t.Errorf("coils: % x", got)
	}
}

func TestWhatCannotBeAskedIsRefusedWithItsException(t *testing.T) {
	w := &wire{}
	c := dial(t, serve(t, Config{}, w))
	for _, x := range []struct {
		unit uint8
		pdu  []byte
		code byte
	}{
		{0, []byte{3, 0, 0, 0, 1}, noPath}, {248, []byte{3, 0, 0, 0, 1}, noPath}, {255, []byte{6, 0, 0, 0, 1}, noPath},
		{1, []byte{3, 0, 0, 0, 0}, illegalValue}, {1, []byte{3, 0, 0, 0, 126}, illegalValue}, {1, []byte{1, 0, 0, 8, 0}, illegalValue},
		{1, []byte{3, 0xFF, 0xFF, 0, 2}, illegalAddress}, {1, []byte{3, 0, 0}, illegalValue}, {1, []byte{3}, illegalValue},
		{1, []byte{7}, illegalFunction}, {1, []byte{0x2B, 14, 1, 0}, illegalFunction}, {1, []byte{0x83}, illegalFunction},
		{1, []byte{5, 0, 0, 0xFF, 0}, illegalFunction}, {1, []byte{6, 0, 0, 0, 1}, illegalFunction},
		{1, []byte{15, 0, 0, 0, 1, 1, 1}, illegalFunction}, {1, []byte{16, 0, 0, 0, 1, 2, 0, 1}, illegalFunction},
	} {
		if got := ask(t, c, 7, x.unit, x.pdu...); !bytes.Equal(got, []byte{x.pdu[0] | 0x80, x.code}) {
			t.Errorf("unit %d, % x: % x, want exception %d", x.unit, x.pdu, got, x.code)
		}
	}
	if a, wr := w.counts(); a+wr != 0 {
		t.Errorf("the line was asked %d and written %d times", a, wr)
	}
}

func TestTheLinesTroubleBecomesTheGatewaysException(t *testing.T) {
	for _, x := range []struct {
		err  error
		code byte
	}{
		{&drivers.Fault{Kind: drivers.FaultTimeout}, noAnswer}, {&drivers.Fault{Kind: drivers.FaultGarbled}, noAnswer},
		{&drivers.Fault{Kind: drivers.FaultGone}, noPath}, {&drivers.Fault{Kind: drivers.FaultRefused, Code: 2}, 2},
		{&drivers.Fault{Kind: drivers.FaultOwed}, busy}, {&drivers.Fault{Kind: drivers.FaultCancelled}, busy},
	} {
		c := dial(t, serve(t, Config{}, &wire{err: x.err}))
		if got := ask(t, c, 1, 1, 3, 0, 0, 0, 1); !bytes.Equal(got, []byte{0x83, x.code}) {
			t.Errorf("%v: % x", x.err, got)
		}
	}
	c := dial(t, serve(t, Config{}, nil))
	if got := ask(t, c, 1, 1, 4, 0, 0, 0, 1); !bytes.Equal(got, []byte{0x84, noPath}) {
		t.Errorf("without a line: % x", got)
	}
}

func TestWritesGoOnlyWhereTheyMay(t *testing.T) {
	w := &wire{}
	c := dial(t, serve(t, Config{Write: true, Fresh: time.Hour, Owned: func(u uint8) bool { return u == 10 }}, w))
	ask(t, c, 1, 4, 3, 0, 0, 0, 1)
	for _, pdu := range [][]byte{{5, 0, 1, 0xFF, 0}, {6, 0, 1, 0, 9}, {16, 0, 1, 0, 2, 4, 0, 1, 0, 2}} {
		if got := ask(t, c, 1, 4, pdu...); !bytes.Equal(got, pdu[:5]) {
			t.Errorf("% x: % x", pdu, got)
		}
		if got := ask(t, c, 1, 10, pdu...); got[0] != pdu[0]|0x80 {
			t.Errorf("to the siren's board % x: % x", pdu, got)
		}
	}
	for _, pdu := range [][]byte{{5, 0, 1, 0x12, 0}, {16, 0, 1, 0, 2, 4, 0, 1}, {16, 0, 1, 0, 2, 3, 0, 1, 0, 2}, {16, 0, 0, 0, 0, 0}, {5, 0}} {
		if got := ask(t, c, 1, 4, pdu...); !bytes.Equal(got, []byte{pdu[0] | 0x80, illegalValue}) {
			t.Errorf("% x: % x", pdu, got)
		}
	}
	w.mu.Lock()
	for _, k := range w.wrote {
		if k.unit != 4 {
			t.Errorf("wrote %+v", k)
		}
	}
	n := len(w.wrote)
	w.mu.Unlock()
	if n != 3 {
		t.Errorf("%d writes", n)
	}
	ask(t, c, 1, 4, 3, 0, 0, 0, 1)
	if a, _ := w.counts(); a != 2 {
		t.Error("what was known before a write was given after it")
	}
}

func TestStrangersAndTooManyAreTurnedAway(t *testing.T) {
	p := serve(t, Config{Allow: []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")}}, &wire{})
	if _, err := dial(t, p).Read(make([]byte, 1)); err == nil {
		t.Error("a stranger was answered")
	}
	p = serve(t, Config{Conns: 2}, &wire{})
	a, b := dial(t, p), dial(t, p)
	ask(t, a, 1, 1, 3, 0, 0, 0, 1)
	ask(t, b, 1, 1, 3, 0, 0, 0, 1)
	if _, err := dial(t, p).Read(make([]byte, 1)); err == nil {
		t.Error("a third was taken")
	}
	a.Close()
	for end := time.Now().Add(10 * time.Second); ; {
		c := dial(t, p)
		c.Write(request{1, 1, []byte{3, 0, 0, 0, 1}}.reply([]byte{3, 0, 0, 0, 1}))
		if _, err := readRequest(c); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a place that was left is not given again")
		}
	}
}

func TestManyWhoAskTheSameAskTheLineOnce(t *testing.T) {
	w := &wire{hold: make(chan struct{})}
	p := serve(t, Config{Fresh: time.Hour}, w)
	var got atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		c := dial(t, p)
		wg.Add(1)
		go func() {
			defer wg.Done()
			if a := ask(t, c, uint16(i), 2, 3, 0, 0, 0, 1); len(a) == 4 {
				got.Add(1)
			}
		}()
	}
	time.Sleep(20 * time.Millisecond)
	close(w.hold)
	wg.Wait()
	if n, _ := w.counts(); n != 1 || got.Load() != 8 {
		t.Errorf("%d answers of %d askings", got.Load(), n)
	}
}

func TestTheRateOfAllClientsIsBounded(t *testing.T) {
	w := &wire{}
	p := serve(t, Config{Rate: 50, Fresh: -1}, w)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range 4 {
		c := dial(t, p)
		wg.Add(1)
		go func() {
			defer wg.Done()
			for k := range 10 {
				ask(t, c, 1, 2, 3, byte(i), byte(k), 0, 1)
			}
		}()
	}
	wg.Wait()
	if took := time.Since(began); took < 39*time.Second/50 {
		t.Errorf("40 askings in %v", took)
	}
}

func FuzzAFrameIsAnsweredOrEndsTheConnection(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 2})
	f.Add([]byte{0, 1, 0, 0, 0, 11, 1, 16, 0, 0, 0, 2, 4, 0, 1, 0, 2})
	f.Add([]byte{0, 1, 0, 0, 0, 2, 1, 0x83})
	f.Add([]byte{0, 1, 0, 1, 0, 2, 1, 3})
	w := &wire{}
	p := New(Config{Write: true, Rate: 1e6, Fresh: -1}, Opts{Line: func() Line { return w }})
	f.Fuzz(func(t *testing.T, b []byte) {
		for r := bytes.NewReader(b); ; {
			q, err := readRequest(r)
			if err != nil {
				return
			}
			a := q.reply(p.answer(t.Context(), q))
			back, err := readRequest(bytes.NewReader(a))
			if err != nil || back.transaction != q.transaction || back.unit != q.unit || back.pdu[0]&0x7f != q.pdu[0]&0x7f {
				t.Fatalf("% x answered by % x: %v", b, a, err)
			}
			w.mu.Lock()
			w.asked, w.wrote = nil, nil
			w.mu.Unlock()
		}
	})
}
