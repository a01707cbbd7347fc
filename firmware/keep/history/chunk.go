package history

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"math"
	"math/bits"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// The bits that a sample begins with.
const (
	bitState   = 1 << iota // quality and why follow
	bitNone                // there is no value
	bitSilence             // the point was silent before; when it fell silent follows
	bitExact               // the value follows in full: it is not on the grid
	bitsUsed   = 4
)

// The kinds of chunk: values on the grid of a resolution, or as they are.
const (
	kindGrid  = 1
	kindExact = 2
)

const (
	mostGrid   = 1 << 45 // steps of the grid; beyond it a value is written in full
	mostWhy    = 240     // bytes of a reason with its parameters
	mostChunk  = 1 << 20 // bytes that a chunk may have when it is read
	mostInCode = 64      // bytes of a code
)

// key names a series: a point whose unit or resolution changes begins a new one.
type key struct {
	id         point.ID
	unit       point.Unit
	resolution float64
}

// chunk is one point's part of a batch, sealed.
type chunk struct {
	key           key
	period, limit time.Duration
	data          []byte
}

// series is one point's part of the batch that is being gathered. Times are in
// milliseconds from the batch's beginning.
type series struct {
	key           key
	period, limit time.Duration
	body          []byte
	n             int
	first, kept   int64 // the first and the last sample
	step          int64 // between the last two
	seen          int64 // the last reading
	q             int64 // of the last sample, on the grid
	bits          uint64
	none, full    bool // it had no value, or one that is not on the grid
	quality       point.Quality
	code          string
}

// grid gives v in steps of a resolution, false where it does not fit.
func grid(v, resolution float64) (int64, bool) {
	q := math.Round(v / resolution)
	return int64(q), math.Abs(q) < mostGrid
}

// ungrid gives the value of a step. A resolution such as 0.001 is no binary
// fraction, so where its inverse is whole it divides: 98340 steps are 98.34.
func ungrid(q int64, resolution float64) float64 {
	inv := 1 / resolution
	if r := math.Round(inv); r >= 1 && math.Abs(inv-r) < 1e-9*r {
		return float64(q) / r
	}
	return float64(q) * resolution
}

// add takes a reading at a time; it keeps it only where it says something new.
func (s *series) add(at int64, r point.Reading) {
	none := math.IsNaN(r.Value) || math.IsInf(r.Value, 0)
	if s.n > 0 {
		at = max(at, s.seen)
	}
	var q int64
	var word uint64
	full := false
	if !none {
		word = math.Float64bits(r.Value)
		if s.key.resolution > 0 {
			var fits bool
			q, fits = grid(r.Value, s.key.resolution)
			full = !fits
		}
	}
	code := r.Why.Code
	if len(code) > mostInCode {
		code = code[:mostInCode]
	}
	state := r.Quality != s.quality || code != s.code
	if s.n == 0 {
		state = r.Quality != point.Good || code != ""
	}
	moved := none != s.none || !none && (full || s.full || s.key.resolution > 0 && q != s.q || s.key.resolution <= 0 && word != s.bits)
	silent := s.n > 0 && time.Duration(at-s.seen)*time.Millisecond > holds(s.quality, s.limit)
	if s.n > 0 && !state && !moved && !silent {
		s.seen = at
		return
	}

	flags := uint64(0)
	if state {
		flags |= bitState
	}
	if none {
		flags |= bitNone
	}
	if silent {
		flags |= bitSilence
	}
	if full {
		flags |= bitExact
	}
	if s.n == 0 {
		s.first, s.step = at, s.period.Milliseconds()
	} else {
		step := at - s.kept
		s.body = binary.AppendVarint(s.body, step-s.step)
		s.step = step
	}
	if s.key.resolution > 0 {
		d := int64(0)
		if !none && !full {
			d, s.q = q-s.q, q
		}
		s.body = binary.AppendUvarint(s.body, zigzag(d)<<bitsUsed|flags)
		if full {
			s.body = binary.LittleEndian.AppendUint64(s.body, word)
		}
	} else {
		s.body = append(s.body, byte(flags))
		if !none {
			s.body = binary.AppendUvarint(s.body, bits.ReverseBytes64(word^s.bits))
			s.bits = word
		}
	}
	if silent {
		s.body = binary.AppendUvarint(s.body, uint64(s.seen-s.kept))
	}
	if state {
		why := packWhy(r.Why, code)
		s.body = append(s.body, byte(r.Quality))
		s.body = binary.AppendUvarint(s.body, uint64(len(why)))
		s.body = append(s.body, why...)
	}
	s.kept, s.seen, s.none, s.full, s.quality, s.code = at, at, none, full, r.Quality, code
	s.n++
}

func packWhy(m phrase.Message, code string) []byte {
	if code == "" {
		return nil
	}
	if b, err := json.Marshal(m); err == nil && len(b) <= mostWhy {
		return b
	}
	b, _ := json.Marshal(phrase.Message{Code: code})
	return b
}

func zigzag(v int64) uint64   { return uint64(v<<1) ^ uint64(v>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// seal gives the chunk's bytes; the series may go on afterwards.
func (s *series) seal() []byte {
	kind := byte(kindExact)
	if s.key.resolution > 0 {
		kind = kindGrid
	}
	b := make([]byte, 0, len(s.body)+24)
	b = append(b, kind)
	b = binary.AppendUvarint(b, uint64(s.n))
	b = binary.AppendVarint(b, s.first)
	b = binary.AppendUvarint(b, uint64(s.seen-s.kept))
	b = append(b, s.body...)
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// sample is one reading that was kept. It held until the next, or until the point
// fell silent.
type sample struct {
	at, until int64
	value     float64 // NaN where there is none
	quality   point.Quality
	why       string
	// silent tells that the next sample comes after a silence.
	silent bool
}

var errDamaged = errors.New("what was kept is damaged")

// reader takes a chunk apart; after its first fault it gives zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 { return unzigzag(r.uvarint()) }

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return make([]byte, min(n, 8))
	}
	t := r.b[:n]
	r.b = r.b[n:]
	return t
}

// mostTime bounds times within a chunk, in milliseconds.
const mostTime = int64(24 * time.Hour / time.Millisecond)

// open gives a chunk's samples.
func open(b []byte, resolution float64, period time.Duration) ([]sample, error) {
	if len(b) < 8 || len(b) > mostChunk {
		return nil, errDamaged
	}
	sum := binary.LittleEndian.Uint32(b[len(b)-4:])
	if b = b[:len(b)-4]; crc32.ChecksumIEEE(b) != sum {
		return nil, errDamaged
	}
	kind := b[0]
	if kind != kindExact && kind != kindGrid || (kind == kindGrid) != (resolution > 0) {
		return nil, errDamaged
	}
	r := &reader{b: b[1:]}
	n, at, tail := r.uvarint(), r.varint(), r.uvarint()
	if n == 0 || n > uint64(len(b)) || tail > uint64(mostTime) {
		return nil, errDamaged
	}
	out := make([]sample, 0, n)
	var q int64
	var word uint64
	step := period.Milliseconds()
	quality, why := point.Good, ""
	for i := range n {
		if i > 0 {
			step += r.varint()
			at += step
		}
		if at < -mostTime || at > mostTime || step < -mostTime || step > mostTime || i > 0 && step < 0 {
			return nil, errDamaged
		}
		s := sample{value: math.NaN()}
		var flags uint64
		if kind == kindGrid {
			u := r.uvarint()
			flags = u & (1<<bitsUsed - 1)
			if q += unzigzag(u >> bitsUsed); q <= -mostGrid || q >= mostGrid {
				return nil, errDamaged
			}
			s.value = ungrid(q, resolution)
			if flags&bitExact != 0 {
				s.value = math.Float64frombits(binary.LittleEndian.Uint64(r.take(8)))
			}
		} else {
			flags = uint64(r.take(1)[0])
			if flags&bitNone == 0 {
				word ^= bits.ReverseBytes64(r.uvarint())
				s.value = math.Float64frombits(word)
			}
		}
		if flags&bitNone != 0 {
			s.value = math.NaN()
		}
		fell := int64(-1)
		if flags&bitSilence != 0 {
			v := r.uvarint()
			if v > uint64(mostTime) {
				return nil, errDamaged
			}
			fell = int64(v)
		}
		if flags&bitState != 0 {
			quality = point.Quality(r.take(1)[0])
			why = string(r.take(min(r.uvarint(), uint64(len(b)))))
		}
		if r.bad || flags>>bitsUsed != 0 || quality > point.CommFault {
			return nil, errDamaged
		}
		s.at, s.until, s.quality, s.why = at, at, quality, why
		if i > 0 {
			prev := &out[i-1]
			if prev.until = at; fell >= 0 {
				prev.until, prev.silent = min(prev.at+fell, at), true
			}
		}
		out = append(out, s)
	}
	if len(r.b) > 0 {
		return nil, errDamaged
	}
	out[n-1].until += int64(tail)
	return out, nil
}

// holdsBad is how long a fault is taken to stand with nobody saying so again: a
// unit in quarantine is asked seldom.
const holdsBad = 10 * time.Minute

// holds is how long a reading holds without another.
func holds(q point.Quality, limit time.Duration) time.Duration {
	if q != point.Good && q != point.Suspect {
		return max(limit, holdsBad)
	}
	return limit
}
