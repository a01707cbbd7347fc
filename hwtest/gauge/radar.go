package gauge

import (
	"math"
	"sync"
	"time"

	"tocsin/hwtest/line"
)

// Radar is a level gauge over a river (generic-radar-level-rs485).
type Radar struct {
	mu     sync.Mutex
	level  curve
	surge  float64
	until  time.Time
	lost   bool
	fault  bool
	frozen bool
	held   float32
}

// NewRadar makes a gauge over water that stands so many metres above gauge
// zero.
func NewRadar(level float64) *Radar { return &Radar{level: flat(level), held: float32(level)} }

// Set puts the water at a level, in metres, at once.
func (r *Radar) Set(level float64) {
	r.mu.Lock()
	r.level = flat(level)
	r.mu.Unlock()
}

// Ramp lets the water go straight from where it is to a level within over.
func (r *Radar) Ramp(level float64, over time.Duration) {
	r.mu.Lock()
	r.level = r.level.ramp(time.Now(), level, over)
	r.mu.Unlock()
}

// Surge lifts what the gauge sees by so many metres for a while: a wave, a
// branch, a boat.
func (r *Radar) Surge(metres float64, d time.Duration) {
	r.mu.Lock()
	r.surge, r.until = metres, time.Now().Add(d)
	r.mu.Unlock()
}

// LoseEcho true: the gauge holds its last level and sets status bit 0, as when
// it is drowned or iced.
func (r *Radar) LoseEcho(on bool) {
	r.mu.Lock()
	r.see(time.Now())
	r.lost = on
	r.mu.Unlock()
}

// Fault sets status bit 1; the level is then NaN.
func (r *Radar) Fault(on bool) {
	r.mu.Lock()
	r.fault = on
	r.mu.Unlock()
}

// Freeze true: the gauge says its last level for ever and calls it good.
func (r *Radar) Freeze(on bool) {
	r.mu.Lock()
	r.see(time.Now())
	r.frozen = on
	r.mu.Unlock()
}

// Level is where the water really stands, without the surge, in metres.
func (r *Radar) Level() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.level.at(time.Now())
}

// Says is the level that the gauge would answer with now.
func (r *Radar) Says() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.see(time.Now())
	return float64(r.held)
}

// see brings the held level up to an instant, if the gauge can see.
func (r *Radar) see(now time.Time) {
	if r.lost || r.frozen {
		return
	}
	v := r.level.at(now)
	if now.Before(r.until) {
		v += r.surge
	}
	r.held = float32(v)
}

// Answer is the register map.
func (r *Radar) Answer(pdu []byte, at time.Time) ([]byte, line.Exception) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.see(at)
	v, status := r.held, uint16(0)
	if r.lost {
		status |= 1
	}
	if r.fault {
		status |= 2
		v = float32(math.NaN())
	}
	bits := math.Float32bits(v)
	return line.Map{Holding: cells(uint16(bits>>16), uint16(bits), status)}.Answer(pdu)
}

var _ line.Unit = (*Radar)(nil)
