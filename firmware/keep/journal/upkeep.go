package journal

import (
	"context"
	"errors"
	"time"
)

// pruneEvery is how many commits pass between two looks at the cap; pruneChunk is
// how many records go in one transaction, so that a commit that follows does not
// wait long.
const (
	pruneEvery = 64
	pruneChunk = 500
)

// prune removes the oldest records above the cap, never one numbered hold or above
// where hold is set. It gives how many went.
func (f *file) prune(maxRows, maxBytes, hold int64) (int64, error) {
	if f.commits++; f.commits%pruneEvery != 0 {
		return 0, nil
	}
	var lo, hi, pages, free, size int64
	if err := f.w.QueryRow(`SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) FROM record`).Scan(&lo, &hi); err != nil {
		return 0, err
	}
	for _, p := range []struct {
		pragma string
		into   *int64
	}{{"page_count", &pages}, {"freelist_count", &free}, {"page_size", &size}} {
		if err := f.w.QueryRow("PRAGMA " + p.pragma).Scan(p.into); err != nil {
			return 0, err
		}
	}
	below := hi - maxRows + 1
	if (pages-free)*size > maxBytes {
		below = max(below, lo+pruneChunk)
	}
	if hold > 0 {
		below = min(below, hold)
	}
	below = min(below, lo+pruneChunk, hi)
	if below <= lo {
		return 0, nil
	}
	f.commits-- // look again at the next commit
	res, err := f.w.Exec(`DELETE FROM record WHERE seq < ?`, below)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// checkAfter leaves the disk to the start of the box first.
const checkAfter = 10 * time.Second

// check has SQLite look through the whole file once, in the background; see
// sqlite.org/pragma.html#pragma_quick_check.
func (j *Journal) check(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-j.done:
		return nil
	case <-time.After(checkAfter):
	}
	if j.damaged(ctx) {
		j.suspicion()
	}
	return nil
}

// suspicion asks the writer to examine the file.
func (j *Journal) suspicion() {
	select {
	case j.suspect <- struct{}{}:
	default:
	}
}

// damaged tells whether SQLite finds the file damaged.
func (j *Journal) damaged(ctx context.Context) bool {
	j.fmu.RLock()
	f := j.file
	j.fmu.RUnlock()
	if f == nil {
		return false
	}
	var said string
	err := f.r.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&said)
	return classify(err) == corrupt || err == nil && said != "ok"
}

var errDamaged = errors.New("the check found damage")

// examine looks through the file and sets it aside where it is damaged. It
// runs in the writer, bounded.
func (j *Journal) examine(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if !j.damaged(ctx) {
		return
	}
	if err := j.setAside(errDamaged); err != nil {
		j.fail(err)
	}
}
