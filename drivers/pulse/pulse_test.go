package pulse

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
)

// reed is a pin whose level a test sets.
type reed struct {
	mu      sync.Mutex
	closed  bool
	err     error
	changed chan struct{}
}

func newReed() *reed { return &reed{changed: make(chan struct{}, 64)} }

func (r *reed) set(closed bool) {
	r.mu.Lock()
	r.closed = closed
	r.mu.Unlock()
	r.changed <- struct{}{}
}

func (r *reed) tip() { r.set(true); time.Sleep(50 * time.Millisecond); r.set(false) }

func (r *reed) Read(context.Context) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed, r.err
}

func (r *reed) WaitEdge(ctx context.Context, poll time.Duration) error {
	t := time.NewTimer(poll)
	defer t.Stop()
	select {
	case <-r.changed:
	case <-t.C:
	case <-ctx.Done():
		return &drivers.Fault{Kind: drivers.FaultCancelled, Err: ctx.Err()}
	}
	return nil
}

func (r *reed) String() string { return "reed" }

// memory is a Keep that can fail.
type memory struct {
	m     map[string]State
	fail  error
	saves int
}

func (k *memory) Load() (map[string]State, error) { return k.m, nil }
func (k *memory) Save(m map[string]State) error {
	if k.fail != nil {
		return k.fail
	}
	k.saves++
	k.m = m
	return nil
}

func board(t *testing.T, k Keep) *Board {
	t.Helper()
	b, err := New(Opts{Start: func(_ string, run func()) { go run() }, Keep: k})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func add(b *Board, name string, r *reed) *Contact {
	c := b.Contact(name, 300*time.Millisecond, func() (drivers.Edges, error) { return r, nil })
	synctest.Wait()
	return c
}

func count(t *testing.T, c *Contact) (int, bool) {
	t.Helper()
	time.Sleep(100 * time.Millisecond)
	s, err := c.Measure(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return int(s[0].Value), s[0].Doubt
}

func TestEveryTipIsCountedOnceAndKeptOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, r := &memory{}, newReed()
		b := board(t, k)
		c := add(b, "rain", r)
		for range 7 {
			r.tip()
			time.Sleep(time.Second)
		}
		if n, doubt := count(t, c); n != 7 || doubt {
			t.Errorf("%d, doubt %v", n, doubt)
		}
		r.tip()
		b.Close() // at once: the tip still waits for its instant
		b = board(t, k)
		c = add(b, "rain", r)
		if n, _ := count(t, c); n != 8 {
			t.Errorf("%d after a restart", n)
		}
		b.Close()
		if _, err := c.Measure(context.Background()); drivers.KindOf(err) != drivers.FaultGone {
			t.Error(err)
		}
	})
}

func TestATipThatBeganWhileNothingRanIsFoundByItsLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, r := &memory{}, newReed()
		b := board(t, k)
		c := add(b, "rain", r)
		r.tip()
		count(t, c)
		b.Close()
		r.closed = true
		b = board(t, k)
		c = add(b, "rain", r)
		if n, _ := count(t, c); n != 2 {
			t.Errorf("%d, want the tip of the restart too", n)
		}
		b.Close() // closed, and counted
		b = board(t, k)
		c = add(b, "rain", r)
		if n, _ := count(t, c); n != 2 {
			t.Errorf("%d: one closing was counted twice", n)
		}
		b.Close()
	})
}

// A power cut takes what was not kept; what was given was kept.
func TestACountThatWasGivenNeverGoesBackAfterAPowerCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, r := &memory{}, newReed()
		b := board(t, k)
		c := add(b, "rain", r)
		for range 5 {
			r.tip()
			time.Sleep(time.Second)
		}
		given, _ := count(t, c)
		r.tip()
		onDisk := k.m // the cut: nothing is kept any more
		b.Close()
		b = board(t, &memory{m: onDisk})
		c = add(b, "rain", r)
		if n, _ := count(t, c); n < given {
			t.Errorf("%d after %d was given", n, given)
		}
		b.Close()
	})
}

func TestAnImpossibleTipRateIsASurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReed()
		b := board(t, &memory{})
		defer b.Close()
		c := add(b, "rain", r)
		r.tip()
		time.Sleep(time.Second)
		for range 10 {
			r.tip()
			time.Sleep(50 * time.Millisecond)
		}
		n, doubt := count(t, c)
		if n != 2 || !doubt {
			t.Errorf("%d, doubt %v: the first of a burst may be real, the rest is none", n, doubt)
		}
		time.Sleep(doubted)
		r.tip()
		if n, doubt := count(t, c); n != 3 || doubt {
			t.Errorf("%d, doubt %v after the surge", n, doubt)
		}
	})
}

func TestContactsThatCloseInOneInstantAreASurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := []*reed{newReed(), newReed(), newReed()}
		b := board(t, &memory{})
		defer b.Close()
		cs := []*Contact{add(b, "a", r[0]), add(b, "b", r[1]), add(b, "c", r[2])}
		for _, x := range r {
			x.set(true)
			time.Sleep(10 * time.Millisecond)
		}
		for _, x := range r {
			x.set(false)
		}
		for _, c := range cs {
			if n, doubt := count(t, c); n != 0 || !doubt {
				t.Errorf("%s: %d, doubt %v", c, n, doubt)
			}
		}
		time.Sleep(doubted)
		r[0].tip()
		time.Sleep(100 * time.Millisecond)
		r[1].tip()
		for i, want := range []int{1, 1, 0} {
			if n, doubt := count(t, cs[i]); n != want || doubt {
				t.Errorf("%s: %d, doubt %v", cs[i], n, doubt)
			}
		}
	})
}

func TestADeadDiskStopsNoCountingAndAPinThatFailsIsAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, r := &memory{fail: errors.New("no space")}, newReed()
		b := board(t, k)
		var told []error
		b.o.Failed = func(err error) { told = append(told, err) }
		c := add(b, "rain", r)
		r.tip()
		if n, _ := count(t, c); n != 1 {
			t.Errorf("%d", n)
		}
		k.fail = nil
		if n, _ := count(t, c); n != 1 || len(told) != 2 || told[1] != nil || k.m["rain"].Count != 1 {
			t.Errorf("%d, told %v, kept %v", n, told, k.m)
		}
		r.mu.Lock()
		r.err = &drivers.Fault{Kind: drivers.FaultGone, Err: os.ErrClosed}
		r.mu.Unlock()
		time.Sleep(2 * time.Second)
		if s, err := c.Measure(context.Background()); err == nil {
			t.Errorf("a pin that is gone gave %v", s)
		}
		r.mu.Lock()
		r.err, r.closed = nil, true // it closed meanwhile
		r.mu.Unlock()
		time.Sleep(2 * time.Second)
		if n, _ := count(t, c); n != 2 {
			t.Errorf("%d after the pin came back", n)
		}
		b.Close()
	})
}

func TestAFileOfCountsIsWholeOrRefused(t *testing.T) {
	f := File(filepath.Join(t.TempDir(), "pulses.json"))
	if m, err := f.Load(); err != nil || len(m) != 0 {
		t.Errorf("%v, %v", m, err)
	}
	if err := f.Save(map[string]State{"rain": {617, true}}); err != nil {
		t.Fatal(err)
	}
	if m, err := f.Load(); err != nil || m["rain"] != (State{617, true}) {
		t.Errorf("%v, %v", m, err)
	}
	for _, bad := range []string{"", "{", `{"version":2}`, `{"version":1,"contacts":{"a":{"count":-1}}}`, `{"version":1,"contacts":{"a":{"count":18446744073709551615}}}`} {
		if err := os.WriteFile(string(f), []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		if m, err := f.Load(); err == nil {
			t.Errorf("%q gave %v", bad, m)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add([]byte(`{"version":1,"contacts":{"rain":{"count":617,"closed":true}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parse(b)
		if err == nil && len(m) > contactsMost {
			t.Fatalf("%d contacts", len(m))
		}
	})
}
