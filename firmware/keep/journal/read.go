package journal

import (
	"context"
	"database/sql"
	"time"

	"tocsin/firmware/phrase"
)

const columns = `seq, kind, cause, who, via, code, params, body, mono, wall, wall_nanos, boot, trust, sum`

// damagedKind is the kind that Read gives in place of a record whose checksum does
// not hold: only its number can be told.
const damagedKind = "journal.damaged"

// MaxRead is the most records that one Read gives.
const MaxRead = 1000

// readBytes bounds one Read; it gives fewer records, at least one, where they are long.
const readBytes = 4 << 20

// Read gives durable records numbered above after, oldest first, at most limit and
// at most MaxRead. Where there is no disk the error is a *phrase.Error that says
// why; Recent still answers then.
func (j *Journal) Read(ctx context.Context, after int64, limit int) ([]Record, error) {
	limit = min(limit, MaxRead)
	if limit <= 0 {
		return nil, nil
	}
	j.fmu.RLock()
	f := j.file
	j.fmu.RUnlock()
	if f == nil {
		select {
		case <-j.closing:
			return nil, ErrClosed
		default:
		}
		_, why := j.State()
		if why.IsZero() {
			why = phrase.M("journal.opening")
		}
		return nil, &phrase.Error{Message: why}
	}
	recs, damaged, err := query(ctx, f.r, readBytes, `SELECT `+columns+` FROM record WHERE seq > ? ORDER BY seq LIMIT ?`, after, limit)
	if e := f.there(); err == nil && e != nil {
		// A connection opens by the path, so this may have been another file.
		j.stir()
		err = e
	}
	if damaged > 0 {
		j.mu.Lock()
		j.stats.Damaged += damaged
		j.mu.Unlock()
	}
	if classify(err) == corrupt {
		select {
		case j.suspect <- struct{}{}:
		default:
		}
	}
	if err != nil {
		return nil, phrase.Wrap(err, "journal.read")
	}
	return recs, nil
}

// query gives the records of a selection of columns, at most size bytes of them.
func query(ctx context.Context, db *sql.DB, size int, q string, args ...any) (recs []Record, damaged int64, err error) {
	rows, err := db.QueryContext(ctx, q, args...)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for size > 0 && rows.Next() {
		var w row
		if err := rows.Scan(&w.seq, &w.kind, &w.cause, &w.who, &w.via, &w.code, &w.params, &w.body,
			&w.mono, &w.wallSeconds, &w.wallNanos, &w.boot, &w.trust, &w.sum); err != nil {
			return recs, damaged, err
		}
		r, ok := unpack(&w)
		if !ok {
			damaged++
			r = Record{Seq: w.seq, Kind: damagedKind, Message: phrase.M("journal.damaged", "seq", w.seq)}
		}
		recs = append(recs, r)
		size -= r.size()
	}
	return recs, damaged, rows.Err()
}

// followPause is how soon a follower looks again when the disk does not answer.
const followPause = time.Second

// Follow gives each durable record numbered above after, in order, once, until ctx
// ends or fn returns an error, which it returns. A record is given only after its
// transaction is on the disk. While there is no disk it waits.
func (j *Journal) Follow(ctx context.Context, after int64, fn func(Record) error) error {
	for {
		j.mu.Lock()
		changed := j.changed
		j.mu.Unlock()
		recs, err := j.Read(ctx, after, 256)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, r := range recs {
			if err := fn(r); err != nil {
				return err
			}
			after = r.Seq
		}
		if len(recs) > 0 {
			continue
		}
		var again <-chan time.Time
		if err != nil {
			again = time.After(followPause)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-j.done:
			return ErrClosed
		case <-changed:
		case <-again:
		}
	}
}
