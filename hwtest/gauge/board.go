package gauge

import (
	"sync"
	"time"

	"tocsin/hwtest/line"
)

// Board is a relay board with inputs, after Waveshare's Modbus RTU Relay and
// Modbus RTU Relay (D):
//
//	function 1   coils 0x0000-0x0007: what each coil is told to be
//	function 2   inputs 0x0000-0x0007
//	function 3   holding 0x8000: software version, 200 is V2.00
//	function 5   0x0000+n, 0x00FF (all): 0xFF00 on, 0x0000 off, 0x5500 toggle
//	             0x0200+n: on for value × 100 ms, then off ("flash on")
//	             0x0400+n: off for value × 100 ms, then on ("flash off")
//	function 15  coils, several at once
//
// Sources: https://www.waveshare.com/wiki/Modbus_RTU_Relay and
// …/Modbus_RTU_Relay_(D), development protocol V3. The inputs are the (D)'s; the
// flash is documented for the board without inputs ("01 05 02 00 00 07 8D B0":
// relay 0 on for 700 ms), and that the (D) has it too is not shown. Supposed,
// not documented: any later command to a relay ends its flash, a new flash
// begins its time anew, and 0 or a value beyond 0x7FFF is an illegal value.
//
// The contact is apart from the coil: reading the coil back proves nothing
// about it. Relays take no time to move.
type Board struct {
	mu     sync.Mutex
	relays []*relay
	inputs []*input
	dark   bool
	hooks  []RelayHook
}

// RelayHook is told when a coil changes. It must be quick and must not call
// the board.
type RelayHook func(relay int, on bool, at time.Time)

type relay struct {
	coil, contact Trace
	on, closed    bool
	weld, open    bool
	flash         time.Time // when the flash ends; zero is none
	timer         *time.Timer
	watch         []func(closed bool, at time.Time)
}

type input struct {
	on    bool
	until time.Time
	wired func(at time.Time) bool
}

// NewBoard makes a board; 8 relays and 8 inputs is the one on the market.
func NewBoard(relays, inputs int) *Board {
	b := &Board{}
	for range relays {
		b.relays = append(b.relays, &relay{})
	}
	for range inputs {
		b.inputs = append(b.inputs, &input{})
	}
	return b
}

// OnRelay adds a hook for coils.
func (b *Board) OnRelay(h RelayHook) {
	b.mu.Lock()
	b.hooks = append(b.hooks, h)
	b.mu.Unlock()
}

// Coil is the history of a relay's coil.
func (b *Board) Coil(relay int) *Trace {
	b.settle()
	return &b.relays[relay].coil
}

// Contact is one relay's contact, to which a load can be wired.
func (b *Board) Contact(relay int) Contact { return Contact{b, relay} }

// Contact is the switching side of one relay.
type Contact struct {
	board *Board
	relay int
}

// Trace is the contact's history: on is closed.
func (c Contact) Trace() *Trace {
	c.board.settle()
	return &c.board.relays[c.relay].contact
}

// Closed tells whether current can pass now.
func (c Contact) Closed() bool { return c.Trace().On() }

// follow calls f at once and at each change, under the board's lock.
func (c Contact) follow(f func(closed bool, at time.Time)) {
	if c.board == nil {
		return
	}
	c.board.mu.Lock()
	defer c.board.mu.Unlock()
	r := c.board.relays[c.relay]
	r.watch = append(r.watch, f)
	f(r.closed, time.Now())
}

// Weld makes a contact that is closed, or closes next, stay so whatever the
// coil does.
func (b *Board) Weld(relay int) { b.spoil(relay, true, false) }

// StickOpen makes a contact never close.
func (b *Board) StickOpen(relay int) { b.spoil(relay, false, true) }

// Free mends a contact.
func (b *Board) Free(relay int) { b.spoil(relay, false, false) }

func (b *Board) spoil(i int, weld, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.settleAt(now)
	r := b.relays[i]
	r.weld, r.open = weld, open
	b.move(r, now)
}

// Power false takes the board's supply: coils drop, welded contacts do not,
// and nobody answers.
func (b *Board) Power(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.settleAt(now)
	b.dark = !on
	if b.dark {
		for i := range b.relays {
			b.drive(i, false, now)
		}
	}
}

// Turn puts an input on or off: a key switch.
func (b *Board) Turn(input int, on bool) {
	b.mu.Lock()
	b.inputs[input].on = on
	b.mu.Unlock()
}

// Press presses a button on an input for half a second.
func (b *Board) Press(input int) { b.Hold(input, 500*time.Millisecond) }

// Hold presses a button on an input for d.
func (b *Board) Hold(input int, d time.Duration) {
	b.mu.Lock()
	b.inputs[input].until = time.Now().Add(d)
	b.mu.Unlock()
}

// Wire has an input follow f, beside what hands do to it. f is called under the
// board's lock.
func (b *Board) Wire(input int, f func(at time.Time) bool) {
	b.mu.Lock()
	b.inputs[input].wired = f
	b.mu.Unlock()
}

// Input tells an input's state now.
func (b *Board) Input(input int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.settleAt(now)
	return b.inputs[input].at(now)
}

func (in *input) at(t time.Time) bool {
	return in.on || t.Before(in.until) || in.wired != nil && in.wired(t)
}

// drive puts a coil to a state and ends its flash.
func (b *Board) drive(i int, on bool, at time.Time) {
	r := b.relays[i]
	r.flash = time.Time{}
	if r.timer != nil {
		r.timer.Stop()
	}
	if r.on != on {
		r.on = on
		r.coil.set(at, on)
		for _, h := range b.hooks {
			h(i, on, at)
		}
	}
	b.move(r, at)
}

// move has the contact follow its coil, as far as it can.
func (b *Board) move(r *relay, at time.Time) {
	closed := r.on && !r.open || r.weld && r.closed
	if closed == r.closed {
		return
	}
	r.closed = closed
	r.contact.set(at, closed)
	for _, f := range r.watch {
		f(closed, at)
	}
}

// pulse puts a coil to a state for d, then to the other.
func (b *Board) pulse(i int, on bool, d time.Duration, at time.Time) {
	b.drive(i, on, at)
	r := b.relays[i]
	r.flash = at.Add(d)
	r.timer = time.AfterFunc(time.Until(r.flash), b.settle)
}

// settle ends the flashes that are over. It is called by each flash's timer and
// before anybody looks, so that nobody sees a relay on that should be off.
func (b *Board) settle() {
	b.mu.Lock()
	b.settleAt(time.Now())
	b.mu.Unlock()
}

func (b *Board) settleAt(now time.Time) {
	for {
		first := -1
		for i, r := range b.relays {
			if !r.flash.IsZero() && !now.Before(r.flash) && (first < 0 || r.flash.Before(b.relays[first].flash)) {
				first = i
			}
		}
		if first < 0 {
			return
		}
		r := b.relays[first]
		b.drive(first, !r.on, r.flash)
	}
}

// Answer is the command table.
func (b *Board) Answer(pdu []byte, at time.Time) ([]byte, line.Exception) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dark {
		return nil, 0
	}
	b.settleAt(at)
	return line.Map{
		Coil: func(a uint16) (bool, line.Exception) {
			if int(a) >= len(b.relays) {
				return false, line.IllegalAddress
			}
			return b.relays[a].on, 0
		},
		Discrete: func(a uint16) (bool, line.Exception) {
			if int(a) >= len(b.inputs) {
				return false, line.IllegalAddress
			}
			return b.inputs[a].at(at), 0
		},
		Holding: func(a uint16) (uint16, line.Exception) {
			if a == 0x8000 {
				return 200, 0
			}
			return 0, line.IllegalAddress
		},
		SetCoil: func(a, v uint16) line.Exception { return b.command(a, v, at) },
		Check: func(fn byte, a, n int) line.Exception {
			if fn != 15 || a+n > len(b.relays) {
				return line.IllegalAddress
			}
			return 0
		},
	}.Answer(pdu)
}

// command is function 5.
func (b *Board) command(addr, value uint16, at time.Time) line.Exception {
	n := int(addr & 0xFF)
	switch addr >> 8 {
	case 0x00:
		from, to := n, n+1
		if n == 0xFF {
			from, to = 0, len(b.relays)
		}
		if to > len(b.relays) {
			return line.IllegalAddress
		}
		if value != 0xFF00 && value != 0 && value != 0x5500 {
			return line.IllegalValue
		}
		for i := from; i < to; i++ {
			b.drive(i, value == 0xFF00 || value == 0x5500 && !b.relays[i].on, at)
		}
		return 0
	case 0x02, 0x04:
		if n >= len(b.relays) {
			return line.IllegalAddress
		}
		if value == 0 || value > 0x7FFF {
			return line.IllegalValue
		}
		b.pulse(n, addr>>8 == 0x02, time.Duration(value)*100*time.Millisecond, at)
		return 0
	}
	return line.IllegalAddress
}

var _ line.Unit = (*Board)(nil)
