package line

import (
	"encoding/binary"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// heard takes bytes from the port. They came at once; on the wire the last of
// them ends len × character time after the first.
func (l *Line) heard(p []byte, now time.Time) {
	if len(l.rx) == 0 {
		start := now
		switch {
		case start.Before(l.busyUntil) || l.tx != nil && !l.tx.echo:
			l.count.with(func(c *Counters) { c.Collisions++ })
			if l.cfg.Garble {
				l.rxGarbled = true
				if l.tx != nil {
					l.tx.garbled = true
				}
			} else {
				start = later(start, l.busyUntil)
			}
		case !l.busyUntil.IsZero() && start.Sub(l.busyUntil) < l.Silence():
			l.count.with(func(c *Counters) { c.ShortGaps++ })
		}
		l.rxEnd = start
	}
	if l.cfg.CheckBaud && !l.sameSpeed() {
		l.rxGarbled = true
	}
	begin := later(l.rxEnd, now)
	l.rxEnd = begin.Add(time.Duration(len(p)) * l.Char())
	l.busyUntil = later(l.busyUntil, l.rxEnd)
	l.rx = append(l.rx, p...)
	if l.cfg.Echo {
		l.queue(&sending{bytes: append([]byte(nil), p...), ready: begin, echo: true})
	}
	if l.cfg.ASCII {
		l.heardASCII()
	}
	for !l.rxGarbled && !l.cfg.ASCII {
		n := requestLen(l.rx)
		if n <= 0 || len(l.rx) < n || !whole(l.rx[:n]) {
			break
		}
		rest := len(l.rx) - n
		l.accept(l.rx[:n], l.rxEnd.Add(-time.Duration(rest)*l.Char()))
		l.rx = l.rx[n:]
		if rest > 0 {
			l.count.with(func(c *Counters) { c.ShortGaps++ })
		}
	}
	if len(l.rx) > 1024 { // no silence for so long: not a frame
		l.rx = nil
		l.count.with(func(c *Counters) { c.BadFrames++ })
	}
}

// silence ends a frame whose length its bytes did not tell.
func (l *Line) silence() {
	if whole(l.rx) && !l.rxGarbled && !l.cfg.ASCII {
		l.accept(l.rx, l.rxEnd)
	} else {
		l.count.with(func(c *Counters) { c.BadFrames++ })
	}
	l.rx, l.rxGarbled = nil, false
}

func (l *Line) accept(frame []byte, end time.Time) {
	f := append([]byte(nil), frame...)
	l.acts = append(l.acts, acting{frame: f, end: end, at: end.Add(l.Silence())})
	l.count.with(func(c *Counters) { c.RequestWire += time.Duration(len(f)) * l.Char() })
}

// sameSpeed tells whether the reader has set the speed of this line.
func (l *Line) sameSpeed() bool {
	t, err := unix.IoctlGetTermios(l.fd, unix.TCGETS2)
	return err == nil && int(t.Ospeed) == l.cfg.Baud
}

// act gives a request to its unit and readies the answer.
func (l *Line) act(a acting) {
	id, pdu := a.frame[0], a.frame[1:len(a.frame)-2]
	l.mu.Lock()
	hooks, u, f, hit := l.onRequest, l.units[id], Fault{}, false
	if s := l.faults[id]; s != nil && u != nil {
		var over bool
		if f, hit, over = s.next(); over {
			delete(l.faults, id)
		}
	}
	l.mu.Unlock()
	l.count.with(func(c *Counters) { c.Requests++ })
	for _, h := range hooks {
		h(id, pdu, a.end)
	}
	if id == 0 {
		l.broadcast(pdu)
		return
	}
	if u != nil {
		l.count.unit(id, func(c *UnitCounters) {
			c.Requests++
			if hit {
				c.Faults++
			}
		})
	}
	if u == nil || f.Dead {
		l.count.with(func(c *Counters) { c.Unanswered++ })
		return
	}
	now := time.Now()
	reply := l.ask(id, u, f, pdu, now)
	if reply == nil || f.Drop {
		l.count.with(func(c *Counters) { c.Unanswered++ })
		return
	}
	ready := now.Add(l.cfg.Turnaround + f.Late)
	if t := l.last[id]; ready.Before(t) {
		ready = t
	}
	l.last[id] = ready
	s := &sending{unit: id, pdu: reply, bytes: dress(id, reply, f, l.cfg.ASCII), ready: ready, answer: f.clean()}
	if l.cfg.CheckBaud && !l.sameSpeed() {
		s.garbled = true
	}
	l.queue(s)
	if f.Duplicate {
		again := *s
		l.queue(&again)
	}
}

// ask has the unit act; nil is no answer.
func (l *Line) ask(id byte, u Unit, f Fault, pdu []byte, at time.Time) []byte {
	var reply []byte
	x := f.Exception
	switch {
	case x != 0:
	case pdu[0] == 8:
		reply, x = l.diagnose(id, pdu)
	default:
		reply, x = u.Answer(pdu, at)
	}
	if x != 0 {
		return []byte{pdu[0] | 0x80, byte(x)}
	}
	if len(reply) == 0 {
		return nil
	}
	return reply
}

// dress makes the answer's frame, as the fault will have it.
func dress(id byte, reply []byte, f Fault, ascii bool) []byte {
	if f.WrongUnit != 0 {
		id = f.WrongUnit
	}
	b := Frame(id, reply)
	if ascii {
		b = ASCIIFrame(id, reply)
	}
	switch {
	case f.BadCRC && ascii: // another digit in the check's place
		b[len(b)-3] = "123456789ABCDEF0"[strings.IndexByte("0123456789ABCDEF", b[len(b)-3])]
	case f.BadCRC:
		b[len(b)-1] ^= 0x5A
	}
	if f.HalfFrame {
		b = b[:len(b)/2]
	}
	if f.InPlace {
		return append([]byte(nil), f.Garbage...)
	}
	return append(append([]byte(nil), f.Garbage...), b...)
}

// broadcast lets every unit act on a write; nobody answers (V1.02, 2.1).
func (l *Line) broadcast(pdu []byte) {
	switch pdu[0] {
	case 5, 6, 15, 16:
	default:
		return
	}
	l.mu.Lock()
	all := make(map[byte]Unit, len(l.units))
	for id, u := range l.units {
		if s := l.faults[id]; s == nil || !s.Dead {
			all[id] = u
		}
	}
	l.mu.Unlock()
	now := time.Now()
	for _, u := range all {
		u.Answer(pdu, now)
	}
}

// diagnose is function 8 (Application Protocol V1.1b3, 6.8): the echo, and the
// counters that a technician reads to find a bad line.
func (l *Line) diagnose(id byte, pdu []byte) ([]byte, Exception) {
	if len(pdu) < 5 {
		return nil, IllegalValue
	}
	c := l.count.copy()
	var v int
	switch be16(pdu[1:]) {
	case 0x00:
		return append([]byte(nil), pdu...), 0
	case 0x0A:
		l.count.reset()
		return append([]byte(nil), pdu...), 0
	case 0x0B:
		v = c.Requests
	case 0x0C:
		v = c.BadFrames
	case 0x0D:
		v = c.Units[id].Exceptions
	case 0x0E:
		v = c.Units[id].Requests
	case 0x0F:
		v = c.Units[id].Requests - c.Units[id].Answers
	default:
		return nil, IllegalFunction
	}
	return binary.BigEndian.AppendUint16(append([]byte(nil), pdu[:3]...), uint16(v)), 0
}
