package powercut

import (
	"math/rand/v2"
	"sync"
	"syscall"
	"time"
)

const (
	sector = 512
	// cache bounds what the disk holds unflushed; beyond it the oldest
	// writes reach the medium by themselves, as in any disk.
	cache = 32 << 20
)

// write is one write that no flush has covered.
type write struct {
	off  int64
	data []byte
}

// disk is the block device: what is on the medium, and what only was promised.
type disk struct {
	mu      sync.Mutex
	thawed  *sync.Cond
	stopped *sync.Cond // no longer powered
	medium  []byte     // survives a cut
	view    []byte     // what reads give: medium and all writes
	pending []write
	held    int
	amid    int // so many pending writes freeze the disk; 0: none do
	state   state
	lying   bool
	stats   Stats
}

type state uint8

const (
	powered state = iota
	frozen        // the power has gone: nothing is answered any more
	dead          // what still asks gets an error, so that it can end
)

func newDisk(image []byte) *disk {
	d := &disk{medium: image, view: append([]byte(nil), image...)}
	d.thawed, d.stopped = sync.NewCond(&d.mu), sync.NewCond(&d.mu)
	return d
}

// ready waits while the disk is frozen; false says that it is dead. The lock is
// held on return.
func (d *disk) ready() bool {
	d.mu.Lock()
	for d.state == frozen {
		d.thawed.Wait()
	}
	return d.state == powered
}

func (d *disk) read(off int64, n int) ([]byte, syscall.Errno) {
	defer d.mu.Unlock()
	if !d.ready() {
		return nil, syscall.EIO
	}
	if off < 0 || off >= int64(len(d.view)) {
		return nil, 0
	}
	end := min(off+int64(n), int64(len(d.view)))
	return append([]byte(nil), d.view[off:end]...), 0
}

func (d *disk) write(off int64, data []byte) syscall.Errno {
	defer d.mu.Unlock()
	if !d.ready() {
		return syscall.EIO
	}
	if off < 0 || off+int64(len(data)) > int64(len(d.view)) {
		return syscall.ENOSPC
	}
	copy(d.view[off:], data)
	d.pending = append(d.pending, write{off, append([]byte(nil), data...)})
	d.held += len(data)
	d.stats.Writes++
	if d.amid > 0 && len(d.pending) >= d.amid && d.state == powered {
		d.state = frozen
		d.stopped.Broadcast()
	}
	for d.held > cache {
		d.settle(d.pending[0])
		d.held -= len(d.pending[0].data)
		d.pending = d.pending[1:]
	}
	return 0
}

func (d *disk) flush() syscall.Errno {
	defer d.mu.Unlock()
	if !d.ready() {
		return syscall.EIO
	}
	d.stats.Flushes++
	if d.lying {
		return 0
	}
	for _, w := range d.pending {
		d.settle(w)
	}
	d.pending, d.held = nil, 0
	return 0
}

func (d *disk) settle(w write) { copy(d.medium[w.off:], w.data) }

func (d *disk) set(s state) {
	d.mu.Lock()
	d.state = s
	d.mu.Unlock()
	d.thawed.Broadcast()
	d.stopped.Broadcast()
}

// freeze freezes a disk that is powered: one that is dead stays so.
func (d *disk) freeze() {
	d.mu.Lock()
	if d.state == powered {
		d.state = frozen
	}
	d.mu.Unlock()
	d.stopped.Broadcast()
}

// freezeAmid has the write that makes n pending ones freeze the disk, and waits for it. Where none does within the time it freezes
// the disk itself.
func (d *disk) freezeAmid(n int, within time.Duration) {
	end := time.AfterFunc(within, d.freeze)
	defer end.Stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.amid = n
	if len(d.pending) >= n {
		d.state = frozen
	}
	for d.state == powered {
		d.stopped.Wait()
	}
}

// fall gives the image after the cut, once the disk is frozen: the medium and the
// adversary's choice of what was pending.
func (d *disk) fall(r *rand.Rand) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	image := append([]byte(nil), d.medium...)
	keep := []float64{0, 0.1, 0.5, 0.9, 1}[r.IntN(5)]
	tear := []float64{0, 0.1, 0.5}[r.IntN(3)]
	upto := len(d.pending)
	if r.IntN(3) == 0 && upto > 0 {
		upto = r.IntN(upto + 1) // the disk has written in order and stopped
		keep = 1
	}
	for i, w := range d.pending {
		torn := r.Float64() < tear
		whole := i < upto && r.Float64() < keep
		for at := 0; at < len(w.data); at += sector {
			end := min(at+sector, len(w.data))
			kept := whole
			if torn {
				kept = r.IntN(2) == 0
			}
			d.stats.Pending++
			if !kept {
				d.stats.Lost++
				continue
			}
			copy(image[w.off+int64(at):], w.data[at:end])
		}
	}
	return image
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)) }
