package station

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/firmware/reach/wire"
)

// disk keeps one value, and loses in a power cut what was not synced.
type disk struct {
	mu            sync.Mutex
	fresh, synced []byte
	dead          bool
	loaded        chan struct{}
}

func newDisk() *disk {
	d := &disk{loaded: make(chan struct{})}
	close(d.loaded)
	return d
}

func (d *disk) Get(string) ([]byte, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fresh, d.fresh != nil
}

func (d *disk) Put(_ string, b []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fresh = b
}

func (d *disk) Sync(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return errors.New("no disk")
	}
	d.synced = d.fresh
	return nil
}

func (d *disk) Loaded() <-chan struct{} { return d.loaded }

func (d *disk) dies(dead bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = dead
}

func (d *disk) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fresh = d.synced
}

// No power cut and no dead disk may let one name be given to two messages.
func TestANameIsNeverGivenTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, seen := newDisk(), map[wire.Name]bool{}
		give := func(n *names, count int) (last wire.Name) {
			t.Helper()
			for range count {
				x, ok := n.give()
				if !ok || !x.Valid() || seen[x] {
					t.Fatalf("given: %v, valid %v, twice %v", x, ok, seen[x])
				}
				seen[x], last = true, x
				synctest.Wait()
			}
			return last
		}
		boot := func(before bool, count int) (last wire.Name) {
			t.Helper()
			ctx, cancel := context.WithCancel(t.Context())
			defer func() { cancel(); synctest.Wait() }() // the life has ended before the next begins
			n := newNames()
			if before {
				give(n, 3) // before the disk is read
			}
			go func() { _ = n.run(ctx, d) }()
			synctest.Wait()
			last = give(n, count)
			d.cut()
			return last
		}
		first := boot(false, 2500)
		second := boot(true, 10)
		if first.Outbox != second.Outbox || second.Seq <= first.Seq {
			t.Errorf("after a cut %v goes on as %v", first, second)
		}
		d.dies(true)
		dead := boot(false, 1500)
		if dead.Outbox == first.Outbox {
			t.Errorf("with the disk dead %v names as %v did", dead, first)
		}
		d.dies(false)
		if third := boot(false, 10); third.Outbox != first.Outbox || third.Seq <= second.Seq {
			t.Errorf("%v goes on as %v", second, third)
		}
	})
}

func TestNamesGoOnWithTheDiskOnceItKeepsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		d, n := newDisk(), newNames()
		d.dies(true)
		go func() { _ = n.run(ctx, d) }()
		synctest.Wait()
		a, _ := n.give()
		d.dies(false)
		time.Sleep(3 * namesAgain)
		synctest.Wait()
		if b, _ := n.give(); b.Outbox == a.Outbox {
			t.Errorf("%v, then %v", a, b)
		}
	})
}
