// Package clock tells the time in a box that boots without one.
//
// Three clocks are kept apart. The monotonic clock (CLOCK_BOOTTIME, counting
// through suspend) measures every interval; it is right from the first
// instant and starts again at each boot, so every stamp carries the boot's id.
// The wall clock is what people read; until something has set it, its Trust
// says so. The floor is the latest wall time that this box has ever known to be
// past; it is persisted, the wall clock never reads below it, and what expired
// before it has truly expired.
//
// An untrusted clock never makes a red warning too old or too early: Expired
// answers yes only on the strength of the floor or of a trusted clock.
//
// The time-zone data is compiled in; the board's file system may have none.
package clock

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // a board's own file system may hold no zones

	"golang.org/x/sys/unix"
)

// Trust says where the wall clock's time comes from, better last.
type Trust uint8

// The trusts. Free runs from the floor or a build time; Held was set once in
// an earlier boot and kept by a battery; Set was set in this boot by a source.
const (
	Free Trust = iota
	Held
	Set
)

var trustNames = [...]string{"free", "held", "set"}

// String gives the trust's code.
func (t Trust) String() string { return trustNames[min(int(t), 2)] }

// MarshalText writes the code.
func (t Trust) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads a code; an unknown one is Free.
func (t *Trust) UnmarshalText(b []byte) error {
	*t = Free
	for i, n := range trustNames {
		if n == string(b) {
			*t = Trust(i)
		}
	}
	return nil
}

// Stamp is one instant on all clocks.
type Stamp struct {
	// Mono is the time since this boot, counting through suspend.
	Mono time.Duration `json:"mono"`
	// Wall is the civil time as far as it is known.
	Wall time.Time `json:"wall"`
	// Boot is the id of the boot that Mono counts from.
	Boot string `json:"boot"`
	// Trust says how far Wall may be believed.
	Trust Trust `json:"trust"`
}

// IsZero tells whether the stamp was never taken.
func (s Stamp) IsZero() bool { return s.Boot == "" && s.Mono == 0 && s.Wall.IsZero() }

// Since gives the time from an earlier stamp to s: by the monotonic clock within
// one boot; across boots by the wall clock, never less than zero. The second
// result is false where it had to use a wall clock that was not trusted at both
// ends.
func (s Stamp) Since(earlier Stamp) (time.Duration, bool) {
	if s.Boot == earlier.Boot {
		return max(0, s.Mono-earlier.Mono), true
	}
	return max(0, s.Wall.Sub(earlier.Wall)), s.Trust > Free && earlier.Trust > Free
}

// Add gives the stamp d later (or earlier) on the same boot.
func (s Stamp) Add(d time.Duration) Stamp {
	s.Mono += d
	s.Wall = s.Wall.Add(d)
	return s
}

// Clock gives stamps.
type Clock interface {
	Now() Stamp
}

// Func makes a Clock of a function: tests and simulations.
type Func func() Stamp

// Now calls f.
func (f Func) Now() Stamp { return f() }

// System is the board's clock. Use NewSystem.
type System struct {
	boot string

	mu    sync.Mutex
	floor time.Time
	trust Trust
	shift time.Duration // added to the kernel's wall clock
	shown time.Time     // the latest that was given since the clock was last stepped back
}

// stepBack is how far the clock may be ahead of the truth and wait for it instead of going back.
const stepBack = 10 * time.Second

// NewSystem reads the boot's id and starts from a floor: the latest of the
// build time and what was persisted. trust is what is known of the kernel's
// clock at start, Held where a battery-backed clock kept it.
func NewSystem(floor time.Time, trust Trust) *System {
	c := &System{boot: bootID(), trust: trust}
	c.RaiseFloor(floor)
	return c
}

func bootID() string {
	if b, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil && len(b) >= 8 {
		return strings.TrimSpace(string(b))
	}
	var r [8]byte
	rand.Read(r[:]) // never fails (crypto/rand, Go 1.24)
	return hex.EncodeToString(r[:])
}

// Mono gives the time since boot.
func Mono() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	}
	return time.Duration(ts.Nano())
}

// Now gives the present on all clocks. The wall clock never reads below the
// floor: where the kernel's does, it runs on from the floor instead.
func (c *System) Now() Stamp {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := time.Now().Round(0).Add(c.shift)
	if w.Before(c.floor) {
		c.shift += c.floor.Sub(w)
		w = c.floor
		c.trust = Free
	}
	if w.Before(c.shown) && c.shown.Sub(w) <= stepBack {
		w = c.shown
	}
	c.shown = w
	return Stamp{Mono: Mono(), Wall: w, Boot: c.boot, Trust: c.trust}
}

// StampAt gives the stamp of an instant that a driver took with time.Now in
// this process.
func (c *System) StampAt(t time.Time) Stamp { return c.Now().Add(-time.Since(t)) }

// Floor gives the latest wall time that is known to be past.
func (c *System) Floor() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.floor
}

// RaiseFloor moves the floor forward; it never goes back.
func (c *System) RaiseFloor(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.floor) {
		c.floor = t.Round(0)
	}
}

// Discipline takes the time of a source that is believed (an administrator,
// NTP, a satellite). A time below the floor is refused, since the floor is
// certainly past.
func (c *System) Discipline(t time.Time, trust Trust) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.Before(c.floor) {
		return false
	}
	c.shift = t.Round(0).Sub(time.Now().Round(0))
	c.trust = trust
	return true
}

// Doubt lowers what the clock is worth: no source has been heard for too long.
func (c *System) Doubt(trust Trust) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trust = min(c.trust, trust)
}

// kernelWithin is how far the kernel's clock may be from this one untouched.
const kernelWithin = 100 * time.Millisecond

// MoveKernel gives the kernel this clock's time, so that what else runs on the board has it too.
func (c *System) MoveKernel(set func(time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trust < Set || c.shift.Abs() <= kernelWithin {
		return nil
	}
	at, w := Mono(), time.Now().Round(0).Add(c.shift)
	if err := set(w); err != nil {
		return err
	}
	c.shift = w.Add(Mono() - at).Sub(time.Now().Round(0))
	return nil
}

// SetKernel sets the kernel's wall clock (clock_settime(2), which needs CAP_SYS_TIME). The kernel then calls its
// clock unsynchronised, so it is no witness for who set it.
func SetKernel(t time.Time) error {
	ts := unix.NsecToTimespec(t.UnixNano())
	return unix.ClockSettime(unix.CLOCK_REALTIME, &ts)
}

// Synchronised asks the kernel whether something (NTP, a satellite receiver's
// daemon) keeps its clock disciplined: STA_UNSYNC of adjtimex(2) is clear.
func Synchronised() bool {
	_, ok := KernelBound()
	return ok
}

// KernelBound is how far the kernel's clock may be off, as whoever disciplines it told it (maxerror);
// false where nobody does.
func KernelBound() (time.Duration, bool) {
	var tx unix.Timex
	if _, err := unix.Adjtimex(&tx); err != nil {
		return 0, false
	}
	const staUnsync = 0x0040
	return time.Duration(tx.Maxerror) * time.Microsecond, tx.Status&staUnsync == 0
}

// Expired tells whether what ends at t has certainly ended: by a trusted clock,
// or because t lies before the floor. With an untrusted clock it is never yes
// otherwise, so that a red is never dropped for a wrong clock.
func Expired(t time.Time, now Stamp, floor time.Time) bool {
	if t.IsZero() {
		return false
	}
	if t.Before(floor) {
		return true
	}
	return now.Trust > Free && !t.After(now.Wall)
}
