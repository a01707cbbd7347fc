package history

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// Query asks for one point between two instants.
type Query struct {
	Point    point.ID
	From, To time.Time
	// Most bounds the rows, MostRows at most.
	Most int
	// Raw asks for each value as it was kept, else for buckets.
	Raw bool
}

// MostRows is the largest answer.
const MostRows = 5000

// Sources of an answer.
const (
	Raw     = "raw"
	Buckets = "buckets"
	Hours   = "hours"
)

// Answer is what was kept, oldest first. The rows follow one another without a
// hole (where the clock was set back they overlap); a gap is a row whose quality
// is not good.
type Answer struct {
	Unit   point.Unit
	Period time.Duration
	Source string
	Step   time.Duration
	Rows   []Row
	// Next is where the rest begins; the zero time where there is none.
	Next time.Time
}

// Row is a value that held, a bucket, or a gap. Value, Min and Max are NaN where
// there is none; Value is a bucket's mean over time.
type Row struct {
	At, Until       time.Time
	Value, Min, Max float64
	Good            float64 // share of the row's time
	Quality         point.Quality
	Why             phrase.Message
	Trust           clock.Trust
	Unit            point.Unit
}

// ErrUnknown says that nothing was ever kept of a point.
var ErrUnknown = errors.New("history: unknown point")

// queryTime bounds one query, openWait how long it waits for the first opening.
const (
	queryTime = 8 * time.Second
	openWait  = 2 * time.Second
)

func msec(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// lookMin is how far outside of its bounds a query looks for what held into them.
const lookMin = int64((holdsBad + 2*time.Minute) / time.Millisecond)

func lookOf(m meta) int64 { return max(lookMin, m.limit+2*60_000) }

// Query answers. It reads what is in the file and what still waits in RAM.
func (h *History) Query(ctx context.Context, q Query) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTime)
	defer cancel()
	q.Most = min(max(q.Most, 1), MostRows)
	if !q.From.Before(q.To) || q.From.Year() < 1970 || q.To.Year() > 9998 {
		return Answer{}, fmt.Errorf("history: no span from %v to %v", q.From, q.To)
	}
	// Just after the start the file is not open yet, and to answer from RAM alone
	// would say that nothing was kept.
	opening := time.NewTimer(openWait)
	defer opening.Stop()
	select {
	case <-h.tried:
	case <-opening.C:
	case <-ctx.Done():
		return Answer{}, ctx.Err()
	}
	ram := h.waiting(q.Point)
	h.fmu.RLock()
	defer h.fmu.RUnlock()
	v := view{f: h.file, ram: ram, run: h.run, now: h.o.Clock.Now().Wall.UnixMilli(), every: h.o.Every}
	a, err := v.answer(ctx, q)
	h.damaged.Add(int64(v.damaged))
	if v.f != nil && err != nil && ctx.Err() == nil && !errors.Is(err, ErrUnknown) {
		if c, _ := classify(err); c == anew {
			select {
			case h.condemned <- v.f:
			default:
			}
		}
	}
	return a, err
}

// waiting gives the batches in RAM that have something of a point.
func (h *History) waiting(id point.ID) []*batch {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []*batch
	for _, b := range h.pending {
		if x := b.only(id); x != nil {
			out = append(out, x)
		}
	}
	if h.now != nil {
		g := batch{run: h.now.run, mono: h.now.mono, t0: h.now.t0, t1: h.now.t1, trust: h.now.trust}
		for k, s := range h.now.series {
			if k.id == id {
				g.chunks = append(g.chunks, chunk{k, s.period, s.limit, s.seal()})
			}
		}
		if len(g.chunks) > 0 {
			out = append(out, &g)
		}
	}
	slices.SortStableFunc(out, func(a, b *batch) int { return cmp.Compare(a.t0, b.t0) })
	return out
}

// only gives the batch with one point alone, nil where it has nothing of it.
func (b *batch) only(id point.ID) *batch {
	var x *batch
	for _, c := range b.chunks {
		if c.key.id == id {
			if x == nil {
				y := *b
				y.chunks = nil
				x = &y
			}
			x.chunks = append(x.chunks, c)
		}
	}
	return x
}

// view is what one query sees.
type view struct {
	f       *file // nil where there is none
	ram     []*batch
	run     int64
	now     int64
	every   time.Duration
	series  map[int64]meta
	damaged int
}

func (v *view) answer(ctx context.Context, q Query) (Answer, error) {
	if v.f != nil {
		var err error
		if v.series, err = metas(ctx, v.f.r, string(q.Point)); err != nil {
			return Answer{}, err
		}
	}
	if len(v.series) == 0 && len(v.ram) == 0 {
		return Answer{}, ErrUnknown
	}
	a := Answer{Source: Raw}
	m := v.newest()
	a.Unit, a.Period = m.key.unit, msec(m.period)
	from, to := q.From.UnixMilli(), q.To.UnixMilli()
	if to == from {
		to++
	}
	if q.Raw {
		return a, v.raw(ctx, &a, from, to, q.Most)
	}
	a.Source = Buckets
	step := nice((to - from) / int64(q.Most))
	hours, err := v.needHours(ctx, from, to)
	if err != nil {
		return a, err
	}
	if hours {
		a.Source, step = Hours, max(step, hourMS)
	}
	// Buckets lie on whole steps, of which there may be one more than fits.
	for begin := from - from%step; (to-begin+step-1)/step > int64(q.Most) && step < math.MaxInt64/4; begin = from - from%step {
		step = nice(step + 1)
	}
	a.Step = msec(step)
	return a, v.buckets(ctx, &a, from, to, step, hours)
}

// newest gives the series that the point has now.
func (v *view) newest() meta {
	if n := len(v.ram); n > 0 {
		c := v.ram[n-1].chunks[0]
		return meta{c.key, c.period.Milliseconds(), c.limit.Milliseconds()}
	}
	best := int64(-1)
	for id := range v.series {
		best = max(best, id)
	}
	return v.series[best]
}

// steps are lengths that a person reads easily, in seconds.
var steps = []int64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400}

func nice(ms int64) int64 {
	for _, s := range steps {
		if s*1000 >= ms {
			return s * 1000
		}
	}
	const day = 86400_000
	return (ms + day - 1) / day * day
}

// rawBatches is how many batches a query reads value by value.
const rawBatches = 5760 // two days of 30 s

// needHours tells whether a span is too long for its values, or begins before
// the oldest of them where roll-ups reach further back.
func (v *view) needHours(ctx context.Context, from, to int64) (bool, error) {
	if v.f == nil {
		return false, nil
	}
	if to-from > rawBatches*v.every.Milliseconds() {
		return true, nil
	}
	var oldest sql.NullInt64
	err := v.f.r.QueryRowContext(ctx, `SELECT t0 FROM batch ORDER BY seq LIMIT 1`).Scan(&oldest)
	if errors.Is(err, sql.ErrNoRows) {
		oldest, err = sql.NullInt64{Int64: math.MaxInt64}, nil
	}
	if err != nil || from >= oldest.Int64 {
		return false, err
	}
	for id := range v.series {
		var first sql.NullInt64
		if err := v.f.r.QueryRowContext(ctx, `SELECT min(hour) FROM hour WHERE point = ? AND hour >= ?`, id, hourOf(from)).Scan(&first); err != nil {
			return false, err
		}
		if first.Valid && (first.Int64+1)*hourMS <= oldest.Int64 && first.Int64*hourMS < to {
			return true, nil
		}
	}
	return false, nil
}

var errEnough = errors.New("enough rows")

// spans gives all that held between two instants, cut to them, gaps included.
func (v *view) spans(ctx context.Context, from, to int64, emit func(span) error) error {
	look := lookMin
	for _, m := range v.series {
		look = max(look, lookOf(m))
	}
	for _, b := range v.ram {
		for _, c := range b.chunks {
			look = max(look, lookOf(meta{limit: c.limit.Milliseconds()}))
		}
	}
	var failed error
	at := from // up to here there is no hole
	unit := v.newest().key.unit
	gap := func(to int64) {
		if at < to && failed == nil {
			failed = emit(span{at, to, math.NaN(), point.Unknown, whyNothing, clock.Free, unit})
			at = to
		}
	}
	s := stitcher{emit: func(x span) {
		inside := x.from >= from && x.from < to
		x.from, x.to = max(x.from, from), min(x.to, to)
		if x.from > x.to || x.from == x.to && !inside || failed != nil {
			return
		}
		gap(x.from)
		if failed == nil {
			failed = emit(x)
			at = max(at, x.to)
		}
	}}
	err := v.chunks(ctx, from-look, to+look, func(b *batch, m meta, data []byte) error {
		if s.chunk(b, m, data) != nil {
			v.damaged++
		}
		return failed
	})
	if err != nil {
		return err
	}
	end := min(to, max(v.now, from))
	if s.any {
		s.end(max(end, s.last.to), v.run)
	}
	if failed == nil {
		gap(end)
	}
	return failed
}

// chunks gives what the file and RAM have of the point, in the order of time, each
// batch once.
func (v *view) chunks(ctx context.Context, lo, hi int64, take func(*batch, meta, []byte) error) error {
	type id struct{ run, mono int64 }
	ram, inRAM := v.ram, map[id]bool{}
	for _, b := range ram {
		inRAM[id{b.run, b.mono}] = true
	}
	upTo := func(t int64) error {
		for len(ram) > 0 && ram[0].t0 < t {
			b := ram[0]
			ram = ram[1:]
			if b.t1 < lo || b.t0 > hi {
				continue
			}
			for _, c := range b.chunks {
				if err := take(b, meta{c.key, c.period.Milliseconds(), c.limit.Milliseconds()}, c.data); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if v.f != nil && len(v.series) > 0 {
		var ids []int64
		for i := range v.series {
			ids = append(ids, i)
		}
		var last key2
		err := scan(ctx, v.f.r, ids, lo, hi, func(b *batch, p int64, data []byte) error {
			k := key2{b.run, b.mono, p}
			if inRAM[id{b.run, b.mono}] || k == last {
				return nil
			}
			last = k
			if err := upTo(b.t0); err != nil {
				return err
			}
			return take(b, v.series[p], data)
		})
		if err != nil {
			return err
		}
	}
	return upTo(math.MaxInt64)
}

// scan reads the chunks of batches that begin between two instants; of some
// points, or with nil of all.
func scan(ctx context.Context, db *sql.DB, ids []int64, lo, hi int64, take func(*batch, int64, []byte) error) error {
	q, args := `SELECT b.t0, b.t1, b.run, b.mono, b.trust, c.point, c.data
		FROM batch b INDEXED BY batch_t0 CROSS JOIN chunk c ON c.batch = b.seq`, []any{}
	if ids != nil {
		q += ` AND c.point IN (?` + strings.Repeat(",?", len(ids)-1) + `)`
		for _, i := range ids {
			args = append(args, i)
		}
	}
	rows, err := db.QueryContext(ctx, q+` WHERE b.t0 >= ? AND b.t0 <= ? ORDER BY b.t0, b.seq`, append(args, lo, hi)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var data sql.RawBytes
	for rows.Next() {
		var b batch
		var p int64
		if err := rows.Scan(&b.t0, &b.t1, &b.run, &b.mono, &b.trust, &p, &data); err != nil {
			return err
		}
		if err := take(&b, p, data); err != nil {
			return err
		}
	}
	return rows.Err()
}

func wall(ms int64) time.Time { return time.UnixMilli(ms) }

// raw gives each value as it was kept.
func (v *view) raw(ctx context.Context, a *Answer, from, to int64, most int) error {
	err := v.spans(ctx, from, to, func(x span) error {
		if len(a.Rows) == most {
			if a.Next = wall(x.from); x.from <= from {
				a.Next = wall(from + 1)
			}
			return errEnough
		}
		r := Row{At: wall(x.from), Until: wall(x.to), Value: x.value, Min: x.value, Max: x.value, Quality: x.quality, Trust: x.trust, Unit: x.unit}
		if x.quality == point.Good && !math.IsNaN(x.value) {
			r.Good = 1
		}
		r.Why = whyOf(x.why, x.quality)
		a.Rows = append(a.Rows, r)
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// buckets sums up, from values or from roll-ups and the values of the hours that
// are not rolled up yet.
func (v *view) buckets(ctx context.Context, a *Answer, from, to, step int64, hours bool) error {
	begin := from - from%step
	end := min(to, max(v.now+1, from+1))
	bs := make([]bucket, (to-begin+step-1)/step)
	last := -1
	put := func(x span) error {
		if x.quality == point.Unknown && x.why == whyNothing {
			return nil
		}
		for t := x.from; ; {
			i := (t - begin) / step
			if i >= int64(len(bs)) {
				return nil
			}
			cut := min(x.to, begin+(i+1)*step)
			bs[i].add(x, cut-t)
			last = max(last, int(i))
			if t = cut; t >= x.to {
				return nil
			}
		}
	}
	rawFrom := from
	if hours {
		tail, err := v.tail(ctx)
		if err != nil {
			return err
		}
		if err := v.rollups(ctx, from, min(to, tail), func(hour int64, data []byte) {
			i := (max(hour*hourMS, begin) - begin) / step
			if i < int64(len(bs)) {
				if bs[i].unpack(data) != nil {
					v.damaged++
					bs[i].add(span{value: math.NaN(), quality: point.Unknown, why: whyDamaged}, hourMS)
				}
				last = max(last, int(i))
			}
		}); err != nil {
			return err
		}
		rawFrom = max(from, tail)
	}
	if rawFrom < to {
		if err := v.spans(ctx, rawFrom, to, put); err != nil {
			return err
		}
	}
	for i := range bs {
		at, until := begin+int64(i)*step, begin+int64(i+1)*step
		if at >= end && i > last {
			break // nobody knows the future
		}
		if until > end && i >= last {
			until = max(end, at+1)
		}
		a.add(&bs[i], max(at, from), min(until, to))
	}
	return nil
}

// add appends a bucket; one that has nothing good joins the gap before it.
func (a *Answer) add(b *bucket, at, until int64) {
	r := Row{At: wall(at), Until: wall(until), Value: b.mean(), Min: math.NaN(), Max: math.NaN(), Quality: point.Good, Trust: b.trust, Unit: cmp.Or(b.unit, a.Unit)}
	if b.good > 0 {
		r.Min, r.Max = b.min, b.max
		r.Good = min(1, float64(b.good)/float64(max(until-at, 1)))
		a.Rows = append(a.Rows, r)
		return
	}
	q, why := b.worst()
	r.Quality, r.Why = q, whyOf(why, q)
	if n := len(a.Rows); n > 0 {
		p := &a.Rows[n-1]
		if p.Good == 0 && p.Quality == q && p.Why.Code == r.Why.Code && p.Trust == r.Trust {
			p.Until = r.Until
			return
		}
	}
	a.Rows = append(a.Rows, r)
}

// tail gives where the hours begin that are not rolled up.
func (v *view) tail(ctx context.Context) (int64, error) {
	t := int64(math.MaxInt64)
	for _, b := range v.ram {
		t = min(t, b.t0)
	}
	var oldest sql.NullInt64
	err := v.f.r.QueryRowContext(ctx, `SELECT min(t0) FROM batch WHERE seq > coalesce((SELECT value FROM meta WHERE key = 'rolled'), 0)`).Scan(&oldest)
	if oldest.Valid {
		t = min(t, oldest.Int64)
	}
	if t == math.MaxInt64 {
		return t, err
	}
	return t - t%hourMS, err
}

// rollups gives the hours that lie between two instants, at least in part.
func (v *view) rollups(ctx context.Context, from, to int64, take func(hour int64, data []byte)) error {
	for id := range v.series {
		rows, err := v.f.r.QueryContext(ctx, `SELECT hour, data FROM hour WHERE point = ? AND hour >= ? AND hour < ?`, id, hourOf(from), hourOf(to-1)+1)
		if err != nil {
			return err
		}
		var data sql.RawBytes
		for rows.Next() {
			var hour int64
			if err := rows.Scan(&hour, &data); err != nil {
				rows.Close()
				return err
			}
			take(hour, data)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
	}
	return nil
}
