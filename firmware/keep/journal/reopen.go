package journal

import (
	"errors"
	"slices"
)

// reopen opens the file, takes over what it holds, settles whether the batch that
// was under way is durable, and brings over what RAM holds to a new file.
func (j *Journal) reopen() error {
	keep := 0
	if !j.knows {
		keep = j.o.Recent
	}
	f, l, err := openFile(j.dir, keep)
	if err != nil {
		switch classify(err) {
		case corrupt, newer, gone: // it is read when it is set aside
		case held: // it is somebody else's
		default:
			j.rescue()
		}
		return err
	}
	if err := j.resolve(f); err != nil {
		f.close()
		return err
	}
	if n := readFloor(j.dir); f.fresh || n > l.next+floorStep+int64(2*j.o.Waiting) {
		// A new file goes on above what an earlier one has given, and so does one
		// that is plainly older than the floor: a copy was put in its place.
		l.next = max(l.next, n)
	}
	j.adopt(l)
	if f.fresh || j.bring {
		if err := j.carry(f); err != nil {
			f.close()
			return err
		}
		j.bring = false
	}
	j.fmu.Lock()
	j.file = f
	j.fmu.Unlock()
	return nil
}

// resolve finds out whether the batch that was under way when the file was closed
// is in the file. A batch of values alone is written again: that changes nothing.
func (j *Journal) resolve(f *file) error {
	n := len(j.flight.records)
	if n == 0 {
		j.unfetch()
		return nil
	}
	landed, err := f.holds(&j.flight.records[n-1])
	if err != nil {
		return err
	}
	if !landed {
		j.unfetch()
		return nil
	}
	// A sync that failed may have left pages marked clean that never reached the
	// disk; writing them to their place and syncing that is certain.
	if err := f.checkpoint(); err != nil {
		return err
	}
	j.land(0)
	return nil
}

// carry writes to a new file, in one transaction, what RAM holds of the old one,
// what waits, and from which number it goes on.
func (j *Journal) carry(f *file) error {
	c, any := j.fetch(true)
	j.mu.Lock()
	c.records, c.whole, c.last = slices.Concat(j.recent, c.records), true, j.next-1
	j.mu.Unlock()
	if err := j.put(f, c); err != nil {
		return err
	}
	if any {
		j.land(0)
	}
	return nil
}

// put commits a change. Where it certainly failed, what was fetched goes back.
func (j *Journal) put(f *file, c change) error {
	err := j.reserve(c.records)
	if err == nil {
		err = f.commit(c)
	}
	if err != nil && !errors.As(err, new(errUnsure)) {
		j.unfetch()
	}
	return err
}
