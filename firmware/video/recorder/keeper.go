package recorder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// keeper is the goroutine that owns the segments: it alone writes, links and removes
// them. What a clip's list says is written beside it, so that pictures wait for no flush
// but their own.
type keeper struct {
	r     *Recorder
	seg   *segment
	began time.Duration // of the segment, monotonic
	order uint64
	buf   []byte
	gap   bool // something was lost since the last fragment

	tries   int
	retryAt time.Duration
	asked   time.Duration
}

const (
	houseEvery = 5 * time.Second // between two looks at ages and clips
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
	lateKey    = 10 * time.Second // that a full segment waits for a key picture before one is asked for
)

func (k *keeper) run(ctx context.Context) error {
	tick := time.NewTicker(houseEvery)
	defer tick.Stop()
	k.house()
	for {
		select {
		case <-ctx.Done():
			k.r.pumps.Wait() // Run ends with the same context and leaves what it had open
			k.drain()
			k.shut()
			return nil
		case fn := <-k.r.asks:
			fn()
		case <-k.r.wake:
			k.drain()
		case <-tick.C:
			k.house()
		}
	}
}

func (k *keeper) drain() {
	for {
		fs := k.r.pop()
		if len(fs) == 0 {
			return
		}
		k.keep(fs)
		k.r.popped(fs)
	}
}

// keep writes fragments, or counts them as lost.
func (k *keeper) keep(fs []*fragment) {
	now := k.r.now()
	k.r.mu.Lock()
	k.r.writing = max(1, now.Mono)
	k.r.mu.Unlock()
	err := k.write(fs, now)
	took := k.r.now().Mono - now.Mono
	k.r.mu.Lock()
	k.r.writing = 0
	if err != nil {
		for _, f := range fs {
			k.r.lost(f)
		}
		k.gap = true
	}
	k.r.state.Slowest = max(k.r.state.Slowest, took)
	k.r.state.Recording = k.seg != nil
	k.r.mu.Unlock()
	switch {
	case err == nil:
		k.tries = 0
		k.tell(phrase.Message{})
	case errors.Is(err, errWaits):
	default:
		k.failed(now, err)
	}
}

// errWaits says that a fragment is lost to what has been told already.
var errWaits = errors.New("recorder: waits")

var errFull = errors.New("recorder: no room")

// failed gives up the segment that is open and waits, ever longer, before the next try.
func (k *keeper) failed(now clock.Stamp, err error) {
	if k.seg != nil {
		k.seg.abandon()
		k.seg = nil
	}
	pause := min(firstRetry<<min(k.tries, 10), lastRetry)
	k.tries++
	k.retryAt = now.Mono + pause
	k.r.o.Log.Warn("recorder: a fragment could not be kept", "err", err, "again_in", pause)
	k.tell(k.why(err))
}

func (k *keeper) why(err error) phrase.Message {
	s := k.r.o.Stream
	switch {
	case errors.Is(err, errFull) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return phrase.M("recorder.full", "stream", s)
	case errors.Is(err, syscall.EROFS):
		return phrase.M("recorder.read_only", "stream", s)
	case errors.Is(err, fs.ErrPermission):
		return phrase.M("recorder.no_right", "stream", s, "dir", k.r.o.Dir)
	}
	return phrase.M("recorder.failed", "stream", s, "err", cause(err))
}

// cause is the system's own word for what failed.
func cause(err error) string {
	var no syscall.Errno
	if errors.As(err, &no) {
		return no.Error()
	}
	return err.Error()
}

func (k *keeper) tell(m phrase.Message) {
	k.r.mu.Lock()
	was := k.r.state.Fault
	k.r.state.Fault = m
	k.r.mu.Unlock()
	if was.Code != m.Code {
		k.r.o.Fault(m)
	}
}

// write puts fragments into the segment that is open, or into a new one.
func (k *keeper) write(fs []*fragment, now clock.Stamp) error {
	f := fs[0]
	if now.Mono < k.retryAt {
		return errWaits
	}
	if err := k.recover(); err != nil {
		return err
	}
	f.gap = f.gap || k.gap
	if k.seg != nil {
		if why := k.full(f, now); why {
			k.shut()
		}
	}
	if k.seg == nil && !f.key && k.order == 0 {
		return errWaits // nothing can be shown without a key picture before it
	}
	if k.seg == nil && !f.key && k.gap {
		k.r.o.AskKey()
		return errWaits
	}
	k.note(now)
	if k.seg == nil {
		return k.open(fs, now)
	}
	return k.add(fs, now)
}

// full says that the open segment must end before f.
func (k *keeper) full(f *fragment, now clock.Stamp) bool {
	x := k.seg
	if x.format != f.format && !x.format.equal(f.format) {
		return true
	}
	old, size := f.from-k.began, x.kept.size+int64(f.room())
	due := old >= k.r.o.Segment || size > k.r.o.SegmentBytes
	if !due || f.key {
		return due
	}
	if old >= k.r.o.Segment+lateKey && now.Mono-k.asked >= lateKey {
		k.asked = now.Mono
		k.r.o.AskKey()
	}
	// A source that never gives a key again is cut all the same.
	return old >= 2*k.r.o.Segment || size > 2*k.r.o.SegmentBytes
}

func (k *keeper) open(fs []*fragment, now clock.Stamp) error {
	f := fs[0]
	room := int64(rooms(fs)) + mostHeadUsual
	need := max(k.expected(), room)
	if err := k.makeRoom(need); err != nil {
		return err
	}
	k.order++
	l := label{stream: k.r.o.Stream, boot: now.Boot, order: k.order, from: f.from, wall: hour(now, f.from), trust: now.Trust, follows: !f.key}
	x, buf, err := create(k.r.ring(), k.r.o.disk, l, fs, now, need, k.buf)
	k.buf = spare(buf)
	if errors.Is(err, syscall.ENOSPC) && k.freeOldest() {
		x, buf, err = create(k.r.ring(), k.r.o.disk, l, fs, now, room, k.buf)
		k.buf = spare(buf)
	}
	if err != nil {
		return err
	}
	k.seg, k.began, k.gap = x, f.from, false
	k.r.mu.Lock()
	k.r.segs = append(k.r.segs, x.kept)
	k.r.mu.Unlock()
	k.link()
	return nil
}

func (k *keeper) add(fs []*fragment, now clock.Stamp) error {
	if err := k.makeRoom(int64(rooms(fs))); err != nil {
		return err
	}
	b, err := k.seg.add(fs, now, k.buf)
	if errors.Is(err, syscall.ENOSPC) && k.freeOldest() {
		b, err = k.seg.add(fs, now, k.buf)
	}
	k.buf = spare(b)
	if err != nil {
		return err
	}
	k.gap = false
	k.r.mu.Lock()
	k.seg.added(fs, len(b))
	k.r.mu.Unlock()
	return nil
}

// spare keeps a buffer of usual size for the next fragment.
func spare(b []byte) []byte {
	if cap(b) > 2<<20 {
		return nil
	}
	return b[:0]
}

// mostHeadUsual is more than a usual head has.
const mostHeadUsual = 8 << 10

// expected is what a segment will need, by the last one.
func (k *keeper) expected() int64 {
	k.r.mu.Lock()
	defer k.r.mu.Unlock()
	if n := len(k.r.segs); n > 0 {
		return min(k.r.segs[n-1].size*5/4, k.r.o.SegmentBytes)
	}
	return min(8<<20, k.r.o.SegmentBytes)
}

// shut ends the open segment in order.
func (k *keeper) shut() {
	if k.seg == nil {
		return
	}
	size, err := k.seg.close()
	k.r.mu.Lock()
	if err == nil {
		k.seg.kept.size, k.seg.kept.ended = size, true
	}
	k.seg = nil
	k.r.state.Recording = false
	k.r.mu.Unlock()
	if err != nil {
		k.r.o.Log.Warn("recorder: a segment could not be closed in order", "err", err)
	}
}

// makeRoom frees the oldest segments until so many bytes fit into the ring and the file
// system keeps its reserve.
func (k *keeper) makeRoom(need int64) error {
	for {
		free, whole, err := k.r.o.disk.space(k.r.ring())
		if err != nil {
			return fmt.Errorf("recorder: how much room there is: %w", err)
		}
		reserve := int64(float64(whole) * k.r.o.Reserve)
		k.r.mu.Lock()
		fits := k.r.bytes()+need <= k.r.o.Quota
		k.r.mu.Unlock()
		if fits && free-need >= reserve {
			return nil
		}
		if !k.freeOldest() {
			if fits && free-need >= 0 && k.seg != nil && free >= reserve {
				return nil
			}
			return errFull
		}
	}
}

// freeOldest removes the oldest segment that is not open; false where there is none or
// it cannot be removed.
func (k *keeper) freeOldest() bool {
	k.r.mu.Lock()
	var old *kept
	if len(k.r.segs) > 0 && (k.seg == nil || k.r.segs[0] != k.seg.kept) {
		old = k.r.segs[0]
	}
	k.r.mu.Unlock()
	return old != nil && k.remove(old) == nil
}

// remove takes a segment out of the ring.
func (k *keeper) remove(old *kept) error {
	if err := os.Remove(filepath.Join(k.r.ring(), old.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.r.o.Log.Warn("recorder: a segment cannot be removed", "segment", old.name, "err", err)
		return err
	}
	k.r.mu.Lock()
	defer k.r.mu.Unlock()
	for i, s := range k.r.segs {
		if s == old {
			k.r.segs = append(k.r.segs[:i], k.r.segs[i+1:]...)
			break
		}
	}
	return nil
}

// recover reads the ring after a start, once.
func (k *keeper) recover() error {
	if k.r.State().Ready {
		return nil
	}
	for _, dir := range []string{k.r.ring(), k.r.kept()} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return err
		}
	}
	if err := errors.Join(syncDir(k.r.o.Dir), syncDir(filepath.Dir(k.r.o.Dir))); err != nil {
		return err
	}
	segs, cut, err := mend(k.r.ring(), k.r.o.disk)
	if err != nil {
		return err
	}
	t := loadTimes(k.r.o.Dir)
	held, clips, n, err := mendClips(k.r.kept(), k.r.o.disk)
	if err != nil {
		return err
	}
	k.r.mu.Lock()
	for _, s := range segs {
		if held[s.name] != nil { // one file, one account of it
			held[s.name] = s
			for _, c := range clips {
				if c.links[s.name] != nil {
					c.links[s.name] = s
				}
			}
		}
		t.learn(s.label)
		k.order = max(k.order, s.label.order)
	}
	for _, s := range held {
		t.learn(s.label)
		k.order = max(k.order, s.label.order)
	}
	k.r.segs, k.r.held, k.r.clips, k.r.times = segs, held, clips, t
	k.r.state.Cut += cut + n
	k.r.state.Ready = true
	k.r.mu.Unlock()
	k.link() // what a cut kept a clip from
	return nil
}

// house looks at ages and clips.
func (k *keeper) house() {
	now := k.r.now()
	if now.Mono < k.retryAt {
		return
	}
	if err := k.recover(); err != nil {
		k.failed(now, err)
		return
	}
	k.note(now)
	k.forget(now)
	k.ripen(now)
}
