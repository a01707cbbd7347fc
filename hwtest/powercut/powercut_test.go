package powercut

import (
	"bytes"
	"testing"
	"time"
)

func TestTornAndReorderedWritesAreAmongWhatIsLeft(t *testing.T) {
	var torn, reordered, all, nothing int
	for seed := range uint64(200) {
		d := newDisk(make([]byte, 64*sector))
		for i := range 8 {
			if errno := d.write(int64(i)*8*sector, bytes.Repeat([]byte{1}, 4*sector)); errno != 0 {
				t.Fatal(errno)
			}
			if i == 1 {
				d.flush()
			}
		}
		d.set(frozen)
		r := &Rig{rng: newRand(seed)}
		image := d.fall(r.rng)
		kept := make([]int, 8)
		for i := range kept {
			for s := range 4 {
				if image[(i*8+s)*sector] == 1 {
					kept[i]++
				}
			}
		}
		if kept[0] != 4 || kept[1] != 4 {
			t.Fatalf("seed %d: what was flushed is lost: %v", seed, kept)
		}
		gap, sum := false, 0
		for i := 2; i < 8; i++ {
			sum += kept[i]
			if kept[i] > 0 && kept[i] < 4 {
				torn++
			}
			if kept[i] == 0 {
				gap = true
			} else if gap {
				reordered++
			}
		}
		switch sum {
		case 0:
			nothing++
		case 24:
			all++
		}
	}
	if torn == 0 || reordered == 0 || all == 0 || nothing == 0 {
		t.Errorf("torn %d, reordered %d, all %d, nothing %d: the adversary is too kind", torn, reordered, all, nothing)
	}
}

// A disk that is flushed after every write has something to lose at one instant in thousands: that is the one.
func TestADiskThatIsFrozenAmidWritesHasThemPending(t *testing.T) {
	for n := 1; n <= 4; n++ {
		d := newDisk(make([]byte, 64*sector))
		go func() {
			for i := 0; ; i++ {
				if d.write(int64(i%64)*sector, make([]byte, sector)) != 0 {
					return
				}
				if i%n == n-1 && d.flush() != 0 {
					return
				}
			}
		}()
		d.freezeAmid(n, time.Minute)
		d.mu.Lock()
		if len(d.pending) != n || d.state != frozen {
			t.Errorf("%d pending, state %d; want %d, frozen", len(d.pending), d.state, n)
		}
		d.mu.Unlock()
		d.set(dead)
	}
	d := newDisk(make([]byte, sector))
	if d.freezeAmid(1, 10*time.Millisecond); d.state != frozen {
		t.Error("a disk to which nobody writes is never cut")
	}
	d.set(dead)
	if d.freeze(); d.state != dead {
		t.Error("a dead disk is frozen again, and who asks it waits for ever")
	}
}
