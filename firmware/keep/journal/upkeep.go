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

// checkAfter leaves the disk to the start of the box first; checkAgain is the
// least time between two checks.
const (
	checkAfter = 10 * time.Second
	checkAgain = time.Minute
)

var errDamaged = errors.New("the check found damage")

// check has SQLite look through the whole file in the background, once after the
// start and whenever a reader has met damage; see sqlite.org/pragma.html#pragma_quick_check.
func (j *Journal) check(ctx context.Context) error {
	wait := time.After(checkAfter)
	var suspect <-chan struct{} = j.suspect
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-j.done:
			<-ctx.Done()
			return ctx.Err()
		case <-suspect:
		case <-wait:
			if suspect == nil { // the pause after a check is over
				suspect, wait = j.suspect, nil
				continue
			}
		}
		if f := j.damaged(ctx); f != nil {
			select {
			case j.condemned <- f:
			case <-j.done:
			}
		}
		suspect, wait = nil, time.After(checkAgain)
	}
}

// damaged gives the open file where SQLite finds it damaged.
func (j *Journal) damaged(ctx context.Context) *file {
	j.fmu.RLock()
	f := j.file
	j.fmu.RUnlock()
	if f == nil {
		return nil
	}
	var said string
	err := f.r.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&said)
	if classify(err) == corrupt || err == nil && said != "ok" {
		return f
	}
	return nil
}
