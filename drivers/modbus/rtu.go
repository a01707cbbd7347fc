package modbus

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	goburrow "github.com/goburrow/modbus"

	"tocsin/drivers"
)

// RTUOpts says how a serial line runs.
type RTUOpts struct {
	Baud int
	// CharBits is how long a character is on the wire: 10 for 8N1 (the
	// default), 11 for 8E1 and 8N2.
	CharBits int
	// Timeout is how long a unit may take until its answer begins, from the
	// request's last bit; the answer's own length is added. One deadline a
	// request. Default 500 ms.
	Timeout time.Duration
	// Turnaround is how long the units usually take to begin an answer. It is
	// used for Cost only.
	Turnaround time.Duration
	// Gap is the silence kept before each request, where the units want more
	// than the standard's 3.5 characters (1.75 ms above 19200 Bd).
	Gap time.Duration
	// Copies is how long after a late answer a copy of it may follow, as some
	// adapters and gateways send. For so long the same registers are not asked
	// again, while all others may be. Default: Timeout. Negative: never.
	Copies time.Duration

	ascii bool
}

// NewRTU makes a line over a serial port, which open gives; it is called when
// the first request is made and after the port was gone, once a request at
// most.
//
// A port that has no wire (a pseudo terminal) may say so by a method
// Instant() bool; then an answer may come sooner than the request could have
// travelled. One that does not say so is found out: see early.go.
func NewRTU(open func() (drivers.Port, error), o RTUOpts) *Line {
	if o.Baud <= 0 {
		o.Baud = 9600
	}
	if o.CharBits <= 0 {
		o.CharBits = 10 // 7E1 has as many
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Copies == 0 {
		o.Copies = o.Timeout
	}
	done := make(chan struct{})
	r := &rtu{open: open, o: o, done: done, led: newLedger(o.Timeout, o.Copies), char: time.Duration(o.CharBits) * time.Second / time.Duration(o.Baud)}
	// Serial Line V1.02, section 2.5.1.1.
	r.t35 = r.char * 7 / 2
	if o.Baud > 19200 {
		r.t35 = 1750 * time.Microsecond
	}
	r.gap = max(r.t35, o.Gap)
	if o.ascii {
		r.bare, r.seen.dress = &undress{}, true
	}
	return newLine(r, &r.seen, done)
}

// An adapter may hold bytes back for this long before it hands them over
// (16 ms is the usual latency timer of a USB adapter).
const adapterLatency = 25 * time.Millisecond

// echo says whether the adapter hears what it sends.
type echo uint8

const (
	echoUnknown echo = iota
	echoNo
	echoYes
)

type rtu struct {
	open           func() (drivers.Port, error)
	o              RTUOpts
	char, t35, gap time.Duration
	done           chan struct{}

	mu   sync.Mutex // port, for Close
	port drivers.Port

	seen    watch
	bare    *undress // nil unless the line speaks ASCII
	led     *ledger
	echo    echo
	instant bool
	early   []time.Time // answers that no wire could have brought so soon: see early.go
	hasty   bool        // so came an answer to a write
	quiet   time.Time   // when the line was last driven or heard
	buf     []byte      // heard, and maybe the beginning of a frame
	need    int         // bytes that the first such frame still misses, if known
}

// query is a request that waits for its answer.
type query struct {
	shape
	req     []byte
	sent    time.Time // when its last bit can have left
	old     int       // so many bytes of buf were heard before that
	heard   []byte    // all since, at most 2 frames, to say what came instead
	echoed  bool
	refused []byte // an exception that may be another request's
	copy    *heardFrame
}

func (r *rtu) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.port != nil {
		return r.mode() + " on " + r.port.String()
	}
	return r.mode()
}

func (r *rtu) mode() string {
	if r.bare != nil {
		return "modbus ascii"
	}
	return "modbus rtu"
}

func (r *rtu) packager(unit uint8) goburrow.Packager {
	h := goburrow.NewRTUClientHandler("") // only its packager
	h.SlaveId = unit
	return h
}

// wire gives how long an RTU frame of n bytes takes, in the line's own mode.
func (r *rtu) wire(n int) time.Duration { return time.Duration(r.chars(n)) * r.char }

func (r *rtu) chars(n int) int {
	if r.bare != nil && n > 0 {
		return asciiChars*n + 1
	}
	return n
}

func (r *rtu) cost(request, answer int) time.Duration {
	return r.wire(request) + r.wire(answer) + r.t35 + r.o.Turnaround + r.gap
}

func (r *rtu) owed(unit uint8) (time.Time, bool) {
	r.drain()
	r.led.expire(time.Now())
	return r.led.unit(unit)
}

// ready opens the port where there is none. fresh says that it did.
func (r *rtu) ready() (fresh bool, err error) {
	if r.port != nil {
		return false, nil
	}
	p, err := r.open()
	if err != nil {
		if drivers.KindOf(err) == drivers.FaultGone {
			return true, err
		}
		return true, &drivers.Fault{Kind: drivers.FaultGone, Detail: "the port does not open", Err: err}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.done:
		p.Close()
		return true, closed(p.String())
	default:
	}
	r.port, r.buf, r.need, r.echo, r.early, r.hasty = p, nil, 0, echoUnknown, nil, false
	if r.bare != nil {
		r.bare.begin(false)
	}
	i, ok := p.(interface{ Instant() bool })
	r.instant = ok && i.Instant()
	return true, nil
}

// gone closes the port and says why it went.
func (r *rtu) gone(cause error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.port == nil {
		return closed(r.mode())
	}
	if cause == nil {
		cause = r.port.Err()
	}
	name := r.port.String()
	r.port.Close()
	r.port, r.buf, r.need = nil, nil, 0
	select {
	case <-r.done:
		cause = os.ErrClosed
	default:
	}
	return &drivers.Fault{Kind: drivers.FaultGone, Detail: name, Err: cause}
}

func (r *rtu) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.port == nil {
		return nil
	}
	return r.port.Close()
}

func (r *rtu) send(x *exchange, adu []byte) ([]byte, error) {
	if len(adu) < minFrame || adu[0] == 0 || adu[0] > 247 {
		return nil, misused("unit 0 is a broadcast, which nobody confirms; units are 1 to 247")
	}
	s, err := shapeOf(adu[0], adu[1:len(adu)-2])
	if err != nil {
		return nil, misused("%w", err)
	}
	if err := r.clear(x.ctx); err != nil {
		return nil, err
	}
	if until, ok := r.led.owed(s, adu[:len(adu)-2]); ok {
		return nil, &drivers.Fault{Kind: drivers.FaultOwed, Until: until, Detail: fmt.Sprintf("unit %d may still send an answer that this one's could not be told from", s.unit)}
	}
	// The answer to a single write is the request itself. Where it is not
	// known whether the adapter echoes, a read tells, whatever comes of it.
	if (s.fn == writeCoil || s.fn == writeRegister) && (r.echo == echoUnknown || r.hasty) {
		if err := r.probe(x.ctx, s, adu); err != nil {
			return nil, err
		}
	}
	return r.exchange(x, s, adu)
}

func (r *rtu) probe(ctx context.Context, s shape, adu []byte) error {
	fn := byte(readCoils)
	if s.fn == writeRegister {
		fn = readHoldings
	}
	req := []byte{s.unit, fn, adu[2], adu[3], 0, 1}
	req = binary.LittleEndian.AppendUint16(req, crc16(req))
	ps, err := shapeOf(s.unit, req[1:6])
	if err != nil {
		return misused("%w", err)
	}
	if _, ok := r.led.owed(ps, req[:6]); !ok {
		_, err = r.exchange(&exchange{ctx: ctx}, ps, req)
	}
	switch drivers.KindOf(err) {
	case drivers.FaultGone, drivers.FaultCancelled:
		return err
	}
	return r.clear(ctx)
}

// clear opens the port if need be and waits for the silence that must precede
// a request, or for the end of a late frame that is just coming in.
func (r *rtu) clear(ctx context.Context) error {
	fresh, err := r.ready()
	if err != nil {
		return err
	}
	err = r.silence(ctx)
	if drivers.KindOf(err) == drivers.FaultGone && !fresh {
		// It went while nobody asked: this request may still try once.
		if _, err = r.ready(); err == nil {
			err = r.silence(ctx)
		}
	}
	r.led.expire(time.Now())
	return err
}

func (r *rtu) silence(ctx context.Context) error {
	giveUp := time.Now().Add(r.wire(maxFrame) + 2*adapterLatency)
	for {
		if err := r.drain(); err != nil {
			return err
		}
		now := time.Now()
		end := r.quiet.Add(r.gap)
		if r.need > 0 {
			if e := r.quiet.Add(time.Duration(r.need)*r.char + adapterLatency); e.After(end) {
				end = e
			}
		}
		if !now.Before(end) || now.After(giveUp) { // noise that never ends: ask into it
			return nil
		}
		if _, err := r.wait(ctx, end, nil); err != nil && err != errDue {
			return err
		}
	}
}

// errDue is wait's: nothing came by then.
var errDue = errors.New("due")

// wait takes the next bytes and searches them; answer is set where they
// complete q's.
func (r *rtu) wait(ctx context.Context, until time.Time, q *query) (answer *heardFrame, err error) {
	due := time.NewTimer(time.Until(until))
	defer due.Stop()
	rx := r.port.Received()
	select {
	case c, ok := <-rx:
		if !ok {
			return nil, r.gone(nil)
		}
		return r.hear(c, q), nil
	case <-due.C:
		return nil, errDue
	case <-ctx.Done():
		return nil, &drivers.Fault{Kind: drivers.FaultCancelled, Detail: "while waiting", Err: ctx.Err()}
	case <-r.done:
		return nil, r.gone(os.ErrClosed)
	}
}

// drain takes what lies ready.
func (r *rtu) drain() error {
	if r.port == nil {
		return nil
	}
	for {
		select {
		case c, ok := <-r.port.Received():
			if !ok {
				return r.gone(nil)
			}
			r.hear(c, nil)
		default:
			return nil
		}
	}
}

func (r *rtu) listen(ctx context.Context, until time.Time) error {
	if _, err := r.ready(); err != nil {
		return err
	}
	for {
		n := r.led.count()
		if err := r.drain(); err != nil {
			return err
		}
		r.led.expire(time.Now())
		if r.led.count() < n || !r.led.any() {
			return nil
		}
		n = r.led.count()
		_, err := r.wait(ctx, until, nil)
		switch {
		case err == errDue:
			return nil
		case err != nil:
			return err
		case r.led.count() < n:
			return nil
		}
	}
}

// exchange sends a request and waits for its answer, until one deadline.
func (r *rtu) exchange(x *exchange, s shape, adu []byte) ([]byte, error) {
	req := append([]byte(nil), adu[:len(adu)-2]...)
	r.led.sending(s, req)
	q := &query{shape: s, req: adu, old: len(r.buf)}
	due := min(s.size, 8)
	if s.read() {
		due = exceptionLen
	}
	if r.echo == echoYes {
		due += len(adu)
	}
	r.port.Expect(r.chars(due))
	start := time.Now()
	q.sent = start.Add(r.wire(len(adu)))
	out := adu
	if r.bare != nil {
		out = dress(nil, adu)
	}
	if _, err := r.port.Write(out); err != nil {
		return nil, r.gone(err)
	}
	r.quiet = q.sent
	r.seen.frame(start, drivers.FrameAsked, adu)
	wire := r.wire(s.size)
	deadline := q.sent.Add(r.o.Timeout + wire)
	owe := func() {
		// A broken answer is an answer: no other will come.
		if !q.broken() || r.led.unsure(s) {
			r.led.owe(s, req, q.sent, q.sent.Add(r.led.window+wire))
		}
	}
	for {
		a, err := r.wait(x.ctx, deadline, q)
		if err == nil && a == nil && time.Now().Before(deadline) {
			continue
		}
		if err == errDue || err == nil && a == nil {
			a, err = r.last(q)
		}
		if err != nil {
			owe()
			return nil, err
		}
		if r.echo != echoYes {
			r.echo = echoNo
		}
		switch {
		case a != nil:
			r.seen.frame(a.at, drivers.FrameAnswer, a.b)
			x.at, x.doubt = a.at, r.led.doubt(s)
			return a.b, nil
		case q.copy != nil:
			owe()
			x.at, x.doubt = q.copy.at, true
			return q.copy.b, nil
		case q.refused != nil:
			owe()
			r.seen.frame(time.Now(), drivers.FrameAnswer, q.refused)
			return q.refused, nil
		}
		soon := q.alone()
		early := soon && s.read() && !r.led.explains(s)
		owe()
		switch {
		case early:
			r.tooSoon(s, time.Now())
		case soon && !s.read():
			r.hasty = true
		}
		r.showStray(q)
		return nil, q.failure()
	}
}

// broken tells whether what was heard is the answer with some bits wrong: its
// head, its length and nothing else.
func (q *query) broken() bool {
	p := q.heard
	if q.echoed {
		p = bytes.TrimPrefix(p, q.req)
	}
	if len(p) == 0 {
		return false
	}
	f, size := q.fit(p)
	return f == broken && len(p) == size
}

// last takes what came by the deadline and was not yet looked at.
func (r *rtu) last(q *query) (*heardFrame, error) {
	for {
		select {
		case c, ok := <-r.port.Received():
			if !ok {
				return nil, r.gone(nil)
			}
			if a := r.hear(c, q); a != nil {
				return a, nil
			}
		default:
			return nil, nil
		}
	}
}

// showStray shows the watcher what came in place of an answer.
func (r *rtu) showStray(q *query) {
	p, now := q.unexpected(), time.Now()
	if f := anyFrame(p, nil); f != nil {
		r.seen.frame(now, drivers.FrameStray, f)
		return
	}
	r.seen.stray(now, p)
}

// unexpected gives what was heard beside the request's own echo.
func (q *query) unexpected() []byte {
	if q.echoed {
		return bytes.Replace(q.heard, q.req, nil, 1)
	}
	return q.heard
}

// failure says what was heard in place of the answer.
func (q *query) failure() error {
	if f := anyFrame(q.heard, q.req); f != nil {
		return &drivers.Fault{Kind: drivers.FaultForeign, Detail: fmt.Sprintf("asked unit %d for function %d, heard unit %d, function %d: % x", q.unit, q.fn, f[0], f[1], f[:min(len(f), 16)])}
	}
	if p := q.unexpected(); len(p) > 0 {
		return &drivers.Fault{Kind: drivers.FaultGarbled, Detail: fmt.Sprintf("unit %d, function %d: %d bytes and no valid frame: % x", q.unit, q.fn, len(p), p[:min(len(p), 16)])}
	}
	return &drivers.Fault{Kind: drivers.FaultTimeout, Detail: fmt.Sprintf("unit %d, function %d", q.unit, q.fn)}
}
