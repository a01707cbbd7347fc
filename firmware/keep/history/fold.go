package history

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"math"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// span is a time on the wall clock, in milliseconds, in which one thing held.
type span struct {
	from, to int64
	value    float64 // NaN where there is none
	quality  point.Quality
	why      string // a phrase.Message as JSON, or a bare code
	trust    clock.Trust
	unit     point.Unit
}

// The reasons for gaps, as spans carry them.
var (
	whySilent  = bare(phrase.M("history.silent"))
	whyOff     = bare(phrase.M("history.off_then"))
	whyNothing = bare(phrase.M("history.nothing"))
	whyDamaged = bare(phrase.M("history.damaged"))
)

func bare(m phrase.Message) string {
	b, _ := json.Marshal(m)
	return string(b)
}

// whyOf reads a reason back. What cannot be read is said by the quality alone.
func whyOf(s string, q point.Quality) phrase.Message {
	var m phrase.Message
	if s == "" {
		if q == point.Good {
			return m
		}
		return q.Message()
	}
	if json.Unmarshal([]byte(s), &m) != nil || m.Code == "" {
		return q.Message()
	}
	return m
}

// meta is what is known of a series when it is read.
type meta struct {
	key           key
	period, limit int64 // milliseconds
}

// stitcher joins the samples of one point to spans without holes.
type stitcher struct {
	emit func(span)

	last   span
	any    bool
	run    int64
	silent bool
	meta   meta
}

// chunk takes a point's part of a batch. Batches come in the order of their time.
func (s *stitcher) chunk(b *batch, m meta, data []byte) error {
	samples, err := open(data, m.key.resolution, msec(m.period))
	if err != nil {
		s.put(span{from: b.t0, to: b.t1, value: math.NaN(), quality: point.Unknown, why: whyDamaged, trust: b.trust, unit: m.key.unit}, b.run, false, m)
		return err
	}
	for _, x := range samples {
		s.put(span{b.t0 + x.at, b.t0 + x.until, x.value, x.quality, x.why, b.trust, m.key.unit}, b.run, x.silent, m)
	}
	return nil
}

func (s *stitcher) put(x span, run int64, silent bool, m meta) {
	if s.any {
		s.end(x.from, run)
	}
	s.last, s.any, s.run, s.silent, s.meta = x, true, run, silent, m
}

// end gives the last span, which held until t where the point was heard again in
// time by the same run, and after it the gap that there was else.
func (s *stitcher) end(t, run int64) {
	x, gap := s.last, t-s.last.to
	switch {
	case gap <= 0:
		s.emit(x)
		return
	case run == s.run && !s.silent && gap <= holds(x.quality, msec(s.meta.limit)).Milliseconds():
		x.to = t
		s.emit(x)
		return
	}
	x.to += min(gap, s.meta.period)
	s.emit(x)
	if x.to < t {
		why := whyOff
		if run == s.run {
			why = whySilent
		}
		s.emit(span{x.to, t, math.NaN(), point.Unknown, why, x.trust, x.unit})
	}
}

// bucket sums up what held in a length of time.
type bucket struct {
	min, max, sum float64 // sum is of value times milliseconds
	good          int64   // milliseconds
	bad           [point.CommFault + 1]int64
	why           [point.CommFault + 1]string
	trust         clock.Trust
	any           bool
	unit          point.Unit
}

// add takes the part of a span that lies in the bucket, d milliseconds of it.
func (b *bucket) add(x span, d int64) {
	if !b.any || x.trust < b.trust {
		b.trust = x.trust
	}
	b.any = true
	if x.quality != point.Good || math.IsNaN(x.value) {
		q := min(x.quality, point.CommFault)
		if q == point.Good {
			q = point.Unknown
		}
		b.bad[q] += max(d, 1)
		if b.why[q] == "" {
			b.why[q] = x.why
		}
		return
	}
	b.unit = x.unit
	b.take(x.value, x.value, x.value*float64(max(d, 1)), max(d, 1))
}

func (b *bucket) take(low, high, sum float64, d int64) {
	if b.good == 0 {
		b.min, b.max = low, high
	}
	b.min, b.max = min(b.min, low), max(b.max, high)
	b.sum += sum
	b.good += d
}

// worst gives what lasted longest of all that was not good.
func (b *bucket) worst() (q point.Quality, why string) {
	q, why = point.Unknown, whyNothing
	most := int64(0)
	for i, d := range b.bad {
		if d > most {
			most, q, why = d, point.Quality(i), b.why[i]
		}
	}
	return q, why
}

// hourMS is an hour in milliseconds.
const hourMS = int64(3600_000)

// pack writes an hour's bucket: kind, the extremes and the mean, good
// milliseconds, what else there was for longest with its reason, trust, checksum.
func (b *bucket) pack() []byte {
	q, why := b.worst()
	d := int64(0)
	if b.bad[q] > 0 {
		d = b.bad[q]
	}
	out := []byte{1}
	for _, v := range []float64{b.min, b.max, b.mean()} {
		out = binary.LittleEndian.AppendUint64(out, math.Float64bits(v))
	}
	out = binary.AppendUvarint(out, uint64(b.good))
	out = append(out, byte(q), byte(b.trust))
	out = binary.AppendUvarint(out, uint64(d))
	out = binary.AppendUvarint(out, uint64(len(why)))
	out = append(out, why...)
	return binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(out))
}

func (b *bucket) mean() float64 {
	if b.good == 0 {
		return math.NaN()
	}
	// Rounding must not put a mean outside of what it is a mean of.
	return min(max(b.sum/float64(b.good), b.min), b.max)
}

// unpack adds a packed hour.
func (b *bucket) unpack(p []byte) error {
	if len(p) < 4 || len(p) > mostWhy+64 {
		return errDamaged
	}
	sum := binary.LittleEndian.Uint32(p[len(p)-4:])
	if p = p[:len(p)-4]; crc32.ChecksumIEEE(p) != sum {
		return errDamaged
	}
	r := &reader{b: p}
	kind := r.take(1)[0]
	var v [3]float64
	for i := range v {
		v[i] = math.Float64frombits(binary.LittleEndian.Uint64(r.take(8)))
	}
	good := r.uvarint()
	st := r.take(2)
	q, trust := point.Quality(st[0]), clock.Trust(st[min(1, len(st)-1)])
	d := r.uvarint()
	why := string(r.take(r.uvarint()))
	if r.bad || kind != 1 || good > uint64(2*hourMS) || d > uint64(24*hourMS) || q > point.CommFault || trust > clock.Set || len(r.b) > 0 {
		return errDamaged
	}
	if !b.any || trust < b.trust {
		b.trust = trust
	}
	b.any = true
	if good > 0 {
		b.take(v[0], v[1], v[2]*float64(good), int64(good))
	}
	if d > 0 {
		if b.bad[q] += int64(d); b.why[q] == "" {
			b.why[q] = why
		}
	}
	return nil
}
