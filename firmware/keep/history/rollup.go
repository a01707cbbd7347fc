package history

import (
	"context"
	"database/sql"
	"errors"
	"slices"
)

// hoursAtOnce is how many hours are rolled up after one write.
const hoursAtOnce = 6

// rollUp makes the hourly values of the hours that are over: all that have
// batches and are not the newest one's.
func (f *file) rollUp(newest *batch) error {
	now := []int64{hourOf(newest.t0), hourOf(newest.t1)}
	if f.rolledAt == now[0] && f.rolledAt == now[1] {
		return nil
	}
	upto, hours, all, err := f.unrolled(now)
	if err != nil {
		return err
	}
	for _, hour := range hours {
		if err := f.rollHour(hour); err != nil {
			return err
		}
	}
	if upto > f.rolled {
		if _, err := f.w.Exec(`INSERT OR REPLACE INTO meta (key, value) VALUES ('rolled', ?)`, upto); err != nil {
			return err
		}
		f.rolled = upto
	}
	if all {
		f.rolledAt = now[0]
	}
	return nil
}

func hourOf(ms int64) int64 { return ms / hourMS }

// unrolled lists the hours to roll up and the last batch that lies in them.
func (f *file) unrolled(now []int64) (upto int64, hours []int64, all bool, err error) {
	upto = f.rolled
	rows, err := f.w.Query(`SELECT seq, t0, t1 FROM batch WHERE seq > ? ORDER BY seq`, f.rolled)
	if err != nil {
		return upto, nil, false, err
	}
	defer rows.Close()
	for rows.Next() {
		var seq, t0, t1 int64
		if err := rows.Scan(&seq, &t0, &t1); err != nil {
			return upto, nil, false, err
		}
		for _, hour := range []int64{hourOf(t0), hourOf(t1)} {
			if slices.Contains(now, hour) {
				return upto, hours, true, nil
			}
			if !slices.Contains(hours, hour) {
				if len(hours) == hoursAtOnce {
					return upto, hours, false, nil
				}
				hours = append(hours, hour)
			}
		}
		upto = seq
	}
	return upto, hours, true, rows.Err()
}

// rollHour makes the values of one hour for all points.
func (f *file) rollHour(hour int64) error {
	from, to := hour*hourMS, (hour+1)*hourMS
	var oldest int64
	if err := f.w.QueryRow(`SELECT t0 FROM batch ORDER BY seq LIMIT 1`).Scan(&oldest); err != nil {
		return err
	}
	series, err := metas(context.Background(), f.w, "")
	if err != nil {
		return err
	}
	type fold struct {
		s stitcher
		b bucket
		n int
	}
	folds := map[int64]*fold{}
	look := lookMin
	for id, m := range series {
		x := &fold{}
		x.s.emit = func(sp span) {
			if a, b := max(sp.from, from), min(sp.to, to); a < b || sp.from == sp.to && a == b && a < to {
				x.b.add(sp, b-a)
			}
		}
		folds[id] = x
		look = max(look, lookOf(m))
	}
	var last key2
	err = scan(context.Background(), f.w, nil, from-look, to+look, func(b *batch, id int64, data []byte) error {
		x, m := folds[id], series[id]
		if x == nil || (key2{b.run, b.mono, id}) == last {
			return nil
		}
		last = key2{b.run, b.mono, id}
		if b.t1 >= from && b.t0 < to {
			x.n++
		}
		x.s.chunk(b, m, data) // damage is a gap
		return nil
	})
	if err != nil {
		return err
	}
	return within(f.w, func(tx *sql.Tx) error {
		for id, x := range folds {
			if x.n == 0 {
				continue
			}
			x.s.end(to, x.s.run)
			verb := `INSERT OR REPLACE`
			if oldest > from {
				verb = `INSERT OR IGNORE` // a part of the hour is no more; what was made of all of it stays
			}
			if _, err := tx.Exec(verb+` INTO hour (point, hour, data) VALUES (?,?,?)`, id, hour, x.b.pack()); err != nil {
				return err
			}
		}
		return nil
	})
}

type key2 struct{ run, mono, point int64 }

// dropHours deletes the oldest roll-ups, one part of parts of their time.
func (f *file) dropHours(parts int64) (int64, error) {
	var first, last sql.NullInt64
	if err := f.w.QueryRow(`SELECT min(hour), max(hour) FROM hour`).Scan(&first, &last); err != nil || !first.Valid {
		return 0, err
	}
	r, err := f.w.Exec(`DELETE FROM hour WHERE hour <= ?`, first.Int64+(last.Int64-first.Int64)/parts)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// ageHours deletes roll-ups from before an hour, a day's worth of what is there
// at a time, once a day.
func (f *file) ageHours(before int64) error {
	if before/24 == f.agedDay {
		return nil
	}
	f.agedDay = before / 24
	var first sql.NullInt64
	if err := f.w.QueryRow(`SELECT min(hour) FROM hour`).Scan(&first); err != nil || !first.Valid || first.Int64 >= before {
		return err
	}
	_, err := f.w.Exec(`DELETE FROM hour WHERE hour < ?`, min(before, first.Int64+48))
	return err
}

// metas reads the series of a point, or all; at most mostSeries of them, the
// newest first.
func metas(ctx context.Context, db *sql.DB, name string) (map[int64]meta, error) {
	q, args := `SELECT id, name, unit, resolution, period, stale FROM point`, []any{}
	if name != "" {
		q, args = q+` WHERE name = ?`, append(args, name)
	}
	rows, err := db.QueryContext(ctx, q+` ORDER BY id DESC LIMIT ?`, append(args, mostSeries)...)
	if err != nil {
		return nil, err
	}
	out := map[int64]meta{}
	for rows.Next() {
		var id int64
		var m meta
		if err := rows.Scan(&id, &m.key.id, &m.key.unit, &m.key.resolution, &m.period, &m.limit); err != nil {
			rows.Close()
			return nil, err
		}
		m.period, m.limit = min(max(m.period, 0), hourMS), min(max(m.limit, 0), 24*hourMS)
		out[id] = m
	}
	return out, errors.Join(rows.Err(), rows.Close())
}
