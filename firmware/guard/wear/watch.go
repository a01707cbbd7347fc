package wear

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// Kind is what is wrong.
type Kind string

// The kinds.
const (
	ChipWarm    Kind = "chip_warm"
	ChipHot     Kind = "chip_hot"
	ChipCold    Kind = "chip_cold"
	ChipUnread  Kind = "chip_unread"
	CabinetWarm Kind = "cabinet_warm"
	CabinetHot  Kind = "cabinet_hot"
	CabinetCold Kind = "cabinet_cold"
	FlashUsed   Kind = "flash_used"
	FlashWorn   Kind = "flash_worn"
	FlashShort  Kind = "flash_short"
	FlashUnread Kind = "flash_unread"
)

// Finding is one thing that is wrong.
type Finding struct {
	// Thing is heat, cabinet, or a disk's name.
	Thing string
	Kind  Kind
	// Value is °C, percent of a life used, or years that are left; PerDay the bytes written a day.
	Value, PerDay float64
	Name          string // of a thermal zone
}

// Watch says what is wrong. It is not safe for concurrent use.
type Watch struct {
	rules *Rules
	chip  band
	cab   band
	blind steady
	disks map[string]*disk
}

// disk is what is counted of a flash, over restarts.
type disk struct {
	Bytes   float64 `json:"bytes"`   // written,
	Seconds float64 `json:"seconds"` // in so long
	Boot    string  `json:"boot"`
	Last    uint64  `json:"last"`
	At      float64 `json:"at"` // seconds of that boot

	short steady
}

// windowMost is over how long writing is averaged: older than that counts half.
const windowMost = 60 * 24 * time.Hour

// New makes a Watch of proved rules.
func New(r *Rules) *Watch { return &Watch{rules: r, disks: map[string]*disk{}} }

// Set takes over other rules.
func (w *Watch) Set(r *Rules) { w.rules = r }

// Kept gives what a later run must know.
func (w *Watch) Kept() []byte {
	b, _ := json.Marshal(w.disks) // plain numbers
	return b
}

// Restore takes back what an earlier run kept.
func (w *Watch) Restore(b []byte) error {
	all := map[string]*disk{}
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	for name, d := range all {
		if d == nil || !diskName.MatchString(name) || len(w.disks) >= disksMost || !(d.Bytes >= 0 && d.Bytes < 1e18 && d.Seconds >= 0 && d.Seconds < 1e10 && d.At >= 0 && d.At < 1e10) {
			return fmt.Errorf("what is kept of %q is no such thing", name)
		}
		w.disks[name] = d
	}
	return nil
}

// steady is true once something held for a while, and false once it did not for as long.
type steady struct {
	on, turning bool
	since       time.Duration
}

func (s *steady) see(now time.Duration, on bool, dwell time.Duration) bool {
	if on == s.on {
		s.turning = false
		return s.on
	}
	if !s.turning {
		s.turning, s.since = true, now
	}
	if now-s.since >= dwell {
		s.on, s.turning = on, false
	}
	return s.on
}

// band is a temperature's place: each bound holds with its own dwell.
type band struct{ warm, hot, cold steady }

func (b *band) see(now time.Duration, c float64, h Heat, dwell time.Duration) {
	past := func(s *steady, over, easedOver bool) {
		if s.on {
			over = easedOver
		}
		s.see(now, over, dwell)
	}
	past(&b.warm, c >= h.Warm, c > h.Warm-h.Hysteresis)
	past(&b.hot, c >= h.Hot, c > h.Hot-h.Hysteresis)
	past(&b.cold, c <= h.Cold, c < h.Cold+h.Hysteresis)
}

// Look takes what was read at a time since boot, and the cabinet's temperature where it is measured and good. A
// cabinet whose gauge has no good value keeps what stood: that the gauge is at fault is told elsewhere.
func (w *Watch) Look(now time.Duration, boot string, r Reading, cabinet *float64) (out []Finding) {
	worst, unread, name := math.Inf(-1), "", ""
	for _, z := range r.Zones {
		switch {
		case !z.OK:
			unread = z.Name
		case z.Celsius > worst:
			worst, name = z.Celsius, z.Name
		}
	}
	if !math.IsInf(worst, -1) {
		w.chip.see(now, worst, w.rules.Chip, w.rules.Dwell)
	}
	switch {
	case w.chip.hot.on:
		out = append(out, Finding{Thing: "heat", Kind: ChipHot, Value: worst, Name: name})
	case w.chip.warm.on:
		out = append(out, Finding{Thing: "heat", Kind: ChipWarm, Value: worst, Name: name})
	case w.chip.cold.on:
		out = append(out, Finding{Thing: "heat", Kind: ChipCold, Value: worst, Name: name})
	case w.blind.see(now, unread != "", w.rules.Dwell):
		out = append(out, Finding{Thing: "heat", Kind: ChipUnread, Name: unread})
	}
	if cabinet != nil {
		w.cab.see(now, *cabinet, w.rules.Cabinet, w.rules.Dwell)
	}
	if c := w.cab; cabinet != nil || c.hot.on || c.warm.on || c.cold.on {
		v := math.NaN()
		if cabinet != nil {
			v = *cabinet
		}
		switch {
		case c.hot.on:
			out = append(out, Finding{Thing: "cabinet", Kind: CabinetHot, Value: v})
		case c.warm.on:
			out = append(out, Finding{Thing: "cabinet", Kind: CabinetWarm, Value: v})
		case c.cold.on:
			out = append(out, Finding{Thing: "cabinet", Kind: CabinetCold, Value: v})
		}
	}
	for _, d := range r.Disks {
		if f, ok := w.flash(now, boot, d); ok {
			out = append(out, f)
		}
	}
	return out
}

// flash looks at one flash.
func (w *Watch) flash(now time.Duration, boot string, d Disk) (Finding, bool) {
	x := w.disks[d.Name]
	if x == nil {
		if len(w.disks) >= disksMost {
			return Finding{}, false
		}
		x = &disk{}
		w.disks[d.Name] = x
	}
	if d.Counted {
		at := now.Seconds()
		switch {
		case x.Boot == boot && d.Written >= x.Last && at >= x.At:
			x.Bytes += float64(d.Written - x.Last)
			x.Seconds += at - x.At
		case x.Boot != boot: // what was written since the board booted
			x.Bytes += float64(d.Written)
			x.Seconds += at
		}
		x.Boot, x.Last, x.At = boot, d.Written, at
		if x.Seconds > windowMost.Seconds() {
			x.Bytes, x.Seconds = x.Bytes/2, x.Seconds/2
		}
	}
	f, r := Finding{Thing: d.Name}, w.rules.Flash
	if x.Seconds > 0 {
		f.PerDay = x.Bytes / x.Seconds * 86400
	}
	f.Value = float64(d.Life)
	switch {
	case d.EOL == 3 || d.Life > 0 && d.Life > r.Worn:
		f.Kind = FlashWorn
	case d.EOL == 2 || d.Life > r.Used:
		f.Kind = FlashUsed
	case d.Unread:
		f.Kind = FlashUnread
	case d.Life == 0 && d.Bytes > 0 && f.PerDay > 0 && x.Seconds >= r.After.Seconds():
		f.Value = float64(d.Bytes) * r.Cycles / r.Amplification / f.PerDay / 365.25
		least := r.Years
		if x.short.on {
			least *= 1.25
		}
		if !x.short.see(now, f.Value < least, w.rules.Dwell) {
			return Finding{}, false
		}
		f.Kind = FlashShort
	default:
		return Finding{}, false
	}
	return f, true
}

// Rate gives the bytes written to a flash a day, and over how long that was counted.
func (w *Watch) Rate(name string) (perDay float64, over time.Duration) {
	x := w.disks[name]
	if x == nil || x.Seconds <= 0 {
		return 0, 0
	}
	return x.Bytes / x.Seconds * 86400, time.Duration(x.Seconds * float64(time.Second))
}
