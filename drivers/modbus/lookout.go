package modbus

import (
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"tocsin/drivers"
)

// OtherFraming says that whoever answers at an address does not speak Modbus
// TCP but RTU over TCP: a serial server stands there, which carries bytes
// unchanged. It wraps what else went wrong.
type OtherFraming struct {
	Addr string
	Err  error
}

func (e *OtherFraming) Error() string {
	return fmt.Sprintf("%s answers in RTU frames: it is a serial server, not a Modbus TCP server (%v)", e.Addr, e.Err)
}

// Unwrap gives what else went wrong.
func (e *OtherFraming) Unwrap() error { return e.Err }

// Framing names what is spoken there, as a site file has it.
func (e *OtherFraming) Framing() string { return "rtu" }

// lookout finds out whether the server that answers nothing in Modbus TCP would
// answer in RTU. Units behind a serial server hear a Modbus TCP request as noise,
// so that silence is all that is heard; a read in an RTU frame tells.
type lookout struct {
	// tcp: a frame of Modbus TCP came at some time. Then nothing is tried any
	// more.
	tcp bool
	// rtu: the last trial was answered.
	rtu    bool
	misses int // failures in a row
}

const (
	// lookAfter is after how many failures the first trial is made, lookEach how
	// many more lie between two.
	lookAfter = 2
	lookEach  = 8
)

func (l *lookout) seen() { l.tcp, l.rtu, l.misses = true, false, 0 }

// due tells whether this read is made as a trial. Writes never are.
func (l *lookout) due(s shape) bool {
	return !l.tcp && s.read() && !s.open && l.misses >= lookAfter && (l.misses-lookAfter)%lookEach == 0
}

// missed counts a failure, and tells whether the last trial was answered.
func (l *lookout) missed(err error) bool {
	switch drivers.KindOf(err) {
	case drivers.FaultTimeout, drivers.FaultGarbled, drivers.FaultGone:
		l.misses++
		return l.rtu
	}
	return false
}

// heard looks at bytes that are no Modbus TCP for an RTU answer to the request.
func (l *lookout) heard(b []byte, s shape) bool {
	for i := range b {
		if f, _ := s.fit(b[i:]); f == fits {
			l.rtu = true
		}
		if f, _ := s.refusal(b[i:]); f == fits {
			l.rtu = true
		}
	}
	return l.rtu
}

// other makes a failure say what is spoken there.
func (t *tcp) other(err error) error {
	kind := drivers.KindOf(err)
	if kind == drivers.FaultOther {
		kind = drivers.FaultGarbled
	}
	return &drivers.Fault{Kind: kind, Detail: t.addr, Err: &OtherFraming{Addr: t.addr, Err: err}}
}

// rest reads what comes within a moment after bytes that were no frame, up to
// an RTU answer's length.
func (t *tcp) rest(c net.Conn, heard []byte, s shape) []byte {
	most := max(s.size, exceptionLen)
	buf := make([]byte, most)
	c.SetReadDeadline(time.Now().Add(min(t.o.Timeout, 200*time.Millisecond)))
	for len(heard) < most {
		n, err := t.in.Read(buf[:most-len(heard)])
		heard = append(heard, buf[:n]...)
		if err != nil {
			break
		}
		if f, _ := s.refusal(heard); f == fits {
			break
		}
	}
	return heard
}

// probe asks the same in an RTU frame and always gives an error: what is heard
// is evidence, never a value.
func (t *tcp) probe(x *exchange, s shape, adu []byte) error {
	t.look.misses++
	t.look.rtu = false
	conn := t.conn
	rtu := append([]byte(nil), adu[mbapLen-1:]...)
	rtu = binary.LittleEndian.AppendUint16(rtu, crc16(rtu))
	end := time.Now().Add(t.o.Timeout)
	conn.SetDeadline(end)
	unhook := contextDeadline(x.ctx, conn)
	defer unhook()
	// Whatever comes after it is out of step with Modbus TCP.
	defer t.drop()
	if _, err := conn.Write(rtu); err != nil {
		return t.fault(x.ctx, drivers.FaultGone, "writing", err)
	}
	t.seen.frame(time.Now(), drivers.FrameAsked, rtu)
	var heard []byte
	b := make([]byte, maxFrame)
	for len(heard) < 2*maxFrame {
		n, err := t.in.Read(b)
		heard = append(heard, b[:n]...)
		if t.look.heard(heard, s) {
			t.seen.stray(time.Now(), heard)
			return t.other(&drivers.Fault{Kind: drivers.FaultGarbled, Detail: t.addr})
		}
		if err != nil {
			break
		}
	}
	t.seen.stray(time.Now(), heard)
	return t.fault(x.ctx, drivers.FaultTimeout, fmt.Sprintf("%s unit %d, function %d", t.addr, s.unit, s.fn), nil)
}
