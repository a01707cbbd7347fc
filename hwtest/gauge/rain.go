package gauge

import (
	"math"
	"sync"
	"time"

	"tocsin/hwtest/line"
)

// Rain is a tipping bucket with a Modbus counter (generic-rain-rs485).
type Rain struct {
	mu     sync.Mutex
	tipMM  float64
	rate   float64 // mm an hour, falling
	since  time.Time
	fell   float64 // mm that came down on the funnel
	bucket float64 // mm in the bucket, not yet a tip
	tips   int
	base   float64 // mm that the counter held at the start
	clog   bool
	tipped time.Time
}

// NewRain makes a gauge of 0.2 mm a tip that stands at zero.
func NewRain() *Rain { return &Rain{tipMM: 0.2, since: time.Now()} }

// TipMM sets how much a tip is, in millimetres.
func (r *Rain) TipMM(mm float64) {
	r.mu.Lock()
	r.flow(time.Now())
	r.base += float64(r.tips) * r.tipMM
	r.tips, r.tipMM = 0, mm
	r.mu.Unlock()
}

// Pour lets it rain so many millimetres an hour from now on; 0 ends it.
func (r *Rain) Pour(mmPerHour float64) {
	r.mu.Lock()
	r.flow(time.Now())
	r.rate = mmPerHour
	r.mu.Unlock()
}

// Tip tips the bucket n times at once.
func (r *Rain) Tip(n int) {
	r.mu.Lock()
	r.flow(time.Now())
	r.tips += n
	r.fell += float64(n) * r.tipMM
	if n > 0 {
		r.tipped = time.Now()
	}
	r.mu.Unlock()
}

// Clog stops the funnel (leaves, a nest): it rains, but nothing tips, and what
// falls runs over the rim. False clears it.
func (r *Rain) Clog(on bool) {
	r.mu.Lock()
	r.flow(time.Now())
	r.clog = on
	r.mu.Unlock()
}

// SetTotal sets the counter, in millimetres: to bring it near its roll-over
// (6553.6 mm), or to 0 as a power cut does in a gauge that forgets.
func (r *Rain) SetTotal(mm float64) {
	r.mu.Lock()
	r.flow(time.Now())
	r.base, r.tips = mm, 0
	r.mu.Unlock()
}

// Total is what the counter says, in millimetres, before it rolls over.
func (r *Rain) Total() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flow(time.Now())
	return r.total()
}

// Fell is what came down, counted or not, in millimetres.
func (r *Rain) Fell() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flow(time.Now())
	return r.fell
}

// Tips is how often the bucket has tipped since the counter was last set.
func (r *Rain) Tips() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flow(time.Now())
	return r.tips
}

// Tipped is when the bucket last tipped; zero if it never did.
func (r *Rain) Tipped() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flow(time.Now())
	return r.tipped
}

func (r *Rain) total() float64 { return r.base + float64(r.tips)*r.tipMM }

// flow brings the bucket up to an instant.
func (r *Rain) flow(now time.Time) {
	d := now.Sub(r.since)
	if d <= 0 {
		return
	}
	from := r.since
	r.since = now
	mm := r.rate * d.Hours()
	r.fell += mm
	if r.clog || mm <= 0 {
		return
	}
	before := r.bucket
	r.bucket += mm
	n := int(math.Floor(r.bucket/r.tipMM + 1e-9))
	if n == 0 {
		return
	}
	r.tips += n
	last := (float64(n)*r.tipMM - before) / mm
	r.tipped = from.Add(time.Duration(last * float64(d)))
	r.bucket = max(0, r.bucket-float64(n)*r.tipMM)
}

// Answer is the register map.
func (r *Rain) Answer(pdu []byte, at time.Time) ([]byte, line.Exception) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flow(at)
	raw := uint16(uint64(math.Round(r.total()*10)) & 0xFFFF)
	return line.Map{Holding: cells(raw)}.Answer(pdu)
}

// cells is a table of registers from 0 on; beyond is IllegalAddress.
func cells(v ...uint16) func(uint16) (uint16, line.Exception) {
	return func(a uint16) (uint16, line.Exception) {
		if int(a) >= len(v) {
			return 0, line.IllegalAddress
		}
		return v[a], 0
	}
}

var _ line.Unit = (*Rain)(nil)
