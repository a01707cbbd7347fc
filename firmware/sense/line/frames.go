package line

import (
	"bytes"
	"encoding/binary"
	"sync"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
)

// framesKept is how many frames of a line are kept.
const framesKept = 200

// Frame is one frame of a line, or the failure that came in place of one, with
// its meaning.
type Frame struct {
	// Seq counts the line's frames from 1: whoever follows asks for what came
	// after the last one seen.
	Seq uint64 `json:"seq"`
	// At is when its last byte was heard, or when it was sent.
	At time.Time `json:"at"`
	// Kind: asked (a request of ours), answer, late (the answer to an earlier
	// request), stray (what nobody asked for) or fault (no bytes: Fault says
	// what is missing).
	Kind string `json:"kind"`
	// Fault is a drivers.FaultKind's code, for kind fault.
	Fault string `json:"fault,omitempty"`
	// Device is the unit's name in the site file; empty where none is asked
	// under that number.
	Device string `json:"device,omitempty"`
	Unit   uint8  `json:"unit,omitempty"`
	// Function is Modbus's, without the bit that says that it is refused; 0
	// where no frame could be made of the bytes.
	Function uint8 `json:"function,omitempty"`
	// Addr and Count are the registers or bits asked, as far as it is known
	// whose answer this is.
	Addr  uint16 `json:"addr"`
	Count uint16 `json:"count,omitempty"`
	// Bytes are as on the wire.
	Bytes []byte `json:"bytes"`
	// Meaning says it in words.
	Meaning phrase.Message `json:"-"`
	// Values are what an answer says by the unit's profile, before any
	// judgement that needs more than one answer.
	Values []FrameValue `json:"values,omitempty"`
}

// FrameValue is what an answer says of one point.
type FrameValue struct {
	Point   point.ID      `json:"point"`
	Value   float64       `json:"-"` // NaN where there is none
	Unit    point.Unit    `json:"unit,omitempty"`
	Quality point.Quality `json:"quality"`
}

// slot is one frame as the ring holds it: the bytes' room is used again.
type slot struct {
	at    time.Time
	kind  drivers.FrameKind // 0: a fault
	fault drivers.FaultKind
	unit  uint8
	wire  int // so many of b are as on the wire
	from  int // where in b the PDU is
	to    int
	b     []byte
}

// ring holds the last frames. It allocates only while it fills for the first
// time, or where a frame is longer than any before in its slot.
type ring struct {
	mu    sync.Mutex
	slots []slot
	n     uint64 // frames so far
}

func (r *ring) next() *slot {
	if r.slots == nil {
		r.slots = make([]slot, framesKept)
	}
	s := &r.slots[r.n%framesKept]
	r.n++
	return s
}

// put copies a frame.
func (r *ring) put(f drivers.Frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.next()
	s.at, s.kind, s.fault, s.unit, s.wire = f.At, f.Kind, 0, f.Unit, len(f.Wire)
	s.b = append(s.b[:0], f.Wire...)
	// The PDU is part of the frame, but for ASCII.
	if s.from = bytes.Index(f.Wire, f.PDU); s.from < 0 {
		s.from = len(s.b)
		s.b = append(s.b, f.PDU...)
	}
	s.to = s.from + len(f.PDU)
}

// missing notes that an answer did not come, or not so that it could be used.
func (r *ring) missing(at time.Time, unit uint8, k drivers.FaultKind) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.next()
	*s = slot{at: at, fault: k, unit: unit, b: s.b[:0]}
}

// copied gives the slots in order and the number of the first.
func (r *ring) copied() (first uint64, out []slot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(r.n, framesKept)
	first = r.n - n
	for i := first; i < r.n; i++ {
		s := r.slots[i%framesKept]
		s.b = append([]byte(nil), s.b...)
		out = append(out, s)
	}
	return first + 1, out
}

// Frames gives the last 200 frames of the line, the oldest first. A bus that
// shows none gives only what failed.
func (l *Line) Frames() []Frame {
	first, slots := l.frames.copied()
	out := make([]Frame, 0, len(slots))
	open := map[uint8][]request{} // what each unit was asked and did not answer
	for i, s := range slots {
		f := Frame{Seq: first + uint64(i), At: s.at, Kind: s.kind.String(), Unit: s.unit, Bytes: s.b[:s.wire:s.wire]}
		u := l.unitAt(s.unit)
		if u != nil {
			f.Device = u.Device
		}
		pdu := s.b[s.from:s.to]
		switch {
		case s.kind == 0:
			f.Kind, f.Fault = "fault", s.fault.String()
			f.Meaning = l.missingMeans(u, s)
		case len(pdu) == 0:
			f.Meaning = phrase.M("line.frame_noise", "bytes", s.wire)
		case s.kind == drivers.FrameAsked:
			q := requestOf(pdu)
			f.Function, f.Addr, f.Count = q.fn, q.addr, q.count
			f.Meaning = q.means()
			if open[s.unit] = append(open[s.unit], q); len(open[s.unit]) > 2*framesKept {
				open[s.unit] = open[s.unit][1:]
			}
		default:
			l.answerMeans(&f, u, s, pdu, open)
		}
		out = append(out, f)
	}
	return out
}

func (l *Line) unitAt(n uint8) *unit {
	for _, u := range l.units {
		if u.Unit.Unit == n {
			return u
		}
	}
	return nil
}

// request is what a request's PDU says (Modbus Application Protocol v1.1b3,
// section 6).
type request struct {
	fn          uint8
	addr, count uint16
	value       uint16 // of a single write
}

func requestOf(pdu []byte) request {
	q := request{fn: pdu[0]}
	if len(pdu) < 5 {
		return q
	}
	q.addr, q.count = binary.BigEndian.Uint16(pdu[1:]), binary.BigEndian.Uint16(pdu[3:])
	if q.fn == 5 || q.fn == 6 {
		q.value, q.count = q.count, 1
	}
	return q
}

func (q request) table() drivers.Table {
	switch q.fn {
	case 1, 5, 15:
		return drivers.Coil
	case 2:
		return drivers.Discrete
	case 4:
		return drivers.Input
	}
	return drivers.Holding
}

func (q request) means() phrase.Message {
	switch q.fn {
	case 1, 2, 3, 4:
		return phrase.M("line.frame_read", "function", q.fn, "table", tableWord(q.table()), "addr", hex(q.addr), "count", q.count)
	case 5, 6:
		return phrase.M("line.frame_write", "function", q.fn, "table", tableWord(q.table()), "addr", hex(q.addr), "value", hex(q.value))
	case 15, 16:
		return phrase.M("line.frame_writes", "function", q.fn, "table", tableWord(q.table()), "addr", hex(q.addr), "count", q.count)
	}
	if q.identifies() {
		return phrase.M("line.frame_identify", "function", q.fn)
	}
	return phrase.M("line.frame_other", "function", q.fn)
}

// identifies tells the questions what a unit is (sections 6.13 and 6.21).
func (q request) identifies() bool { return q.fn == 17 || q.fn == 43 }

// answers tells whether a PDU may answer the request, by what it says.
func (q request) answers(pdu []byte) bool {
	if pdu[0]&0x7f != q.fn {
		return false
	}
	if pdu[0]&0x80 != 0 {
		return true
	}
	switch q.fn {
	case 1, 2:
		return len(pdu) == 2+(int(q.count)+7)/8
	case 3, 4:
		return len(pdu) == 2+2*int(q.count)
	case 17, 43:
		return true
	}
	return len(pdu) >= 3 && binary.BigEndian.Uint16(pdu[1:]) == q.addr
}

// answerMeans finds what an answer belongs to and says it.
func (l *Line) answerMeans(f *Frame, u *unit, s slot, pdu []byte, open map[uint8][]request) {
	f.Function = pdu[0] & 0x7f
	if s.kind == drivers.FrameStray {
		f.Meaning = phrase.M("line.frame_stray", "unit", s.unit, "function", f.Function)
		return
	}
	qs := open[s.unit]
	at := -1
	for i := range qs {
		// A late answer belongs to the oldest request that it fits, the answer
		// itself to the newest.
		if qs[i].answers(pdu) && (at < 0 || s.kind == drivers.FrameAnswer) {
			at = i
		}
	}
	var q request
	if at >= 0 {
		q = qs[at]
		open[s.unit] = append(qs[:at:at], qs[at+1:]...)
		f.Addr, f.Count = q.addr, q.count
	}
	switch {
	case pdu[0]&0x80 != 0:
		code := 0
		if len(pdu) > 1 {
			code = int(pdu[1])
		}
		f.Meaning = phrase.M("line.frame_refused", "function", f.Function, "code", code, "meaning", exception(code))
	case f.Function >= 1 && f.Function <= 4:
		if at >= 0 && u != nil {
			f.Values = u.valuesOf(q, pdu[2:])
		}
		if s.kind == drivers.FrameLate {
			f.Meaning = phrase.M("line.frame_late", "count", q.count)
		} else {
			f.Meaning = phrase.M("line.frame_answer", "count", q.count)
		}
	case f.Function == 17 || f.Function == 43:
		f.Meaning = phrase.M("line.frame_identified", "bytes", len(pdu))
	case s.kind == drivers.FrameLate:
		f.Meaning = phrase.M("line.frame_late_write")
	default:
		f.Meaning = phrase.M("line.frame_done")
	}
}

// valuesOf reads an answer by the unit's profile.
func (u *unit) valuesOf(q request, data []byte) []FrameValue {
	req := profile.Request{Table: q.table(), Addr: q.addr, Count: q.count}
	for i := range u.Profile.Points {
		pt := &u.Profile.Points[i]
		if pt.Table == req.Table && pt.Addr >= q.addr && int(pt.Addr) < int(q.addr)+int(q.count) {
			req.Points = append(req.Points, i)
		}
	}
	var out []FrameValue
	for _, v := range u.Profile.Decode(req, data) {
		if v.Quality == point.CommFault {
			continue // half of it lies beyond the answer
		}
		out = append(out, FrameValue{Point: u.points[v.Index].id, Value: v.Value, Unit: u.Profile.Points[v.Index].Unit, Quality: v.Quality})
	}
	return out
}

func (l *Line) missingMeans(u *unit, s slot) phrase.Message {
	if u == nil {
		return phrase.M("line.frame_no_answer", "unit", s.unit)
	}
	switch s.fault {
	case drivers.FaultTimeout:
		return phrase.M("line.frame_no_answer", "unit", s.unit)
	case drivers.FaultGone:
		return phrase.M("line.frame_gone")
	}
	return l.why(u, &drivers.Fault{Kind: s.fault})
}

func tableWord(t drivers.Table) phrase.Message {
	switch t {
	case drivers.Coil:
		return phrase.M("line.table_coil")
	case drivers.Discrete:
		return phrase.M("line.table_discrete")
	case drivers.Input:
		return phrase.M("line.table_input")
	}
	return phrase.M("line.table_holding")
}

func hex(n uint16) string {
	const digits = "0123456789ABCDEF"
	return string([]byte{'0', 'x', digits[n>>12], digits[n>>8&15], digits[n>>4&15], digits[n&15]})
}
