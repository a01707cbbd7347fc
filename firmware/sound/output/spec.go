package output

import (
	"log/slog"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
)

// Spec is one output as it is wired.
type Spec struct {
	// Name is unique on the site, e.g. "siren-roof".
	Name string
	Kind Kind
	// Relay switches it; for a loudspeaker, its amplifier's mains, if any. A
	// drivers.Timed is used with FailSafe.
	Relay drivers.Output
	// Sensed tells independently of Relay whether it sounds; nil where nothing
	// does, and then receipts say that it was not measured.
	Sensed drivers.Sense
	// SensedBy is Current or Input.
	SensedBy Measure
	// Cut is a contactor in series: energised, it opens the circuit.
	Cut drivers.Output
	// FailSafe is after how long a Timed relay goes off by itself unless this
	// process refreshes it; it is refreshed every third of it. 0 takes 10 s.
	FailSafe time.Duration
	// MinOn and MinOff are a motor's least times. Silence overrides MinOn,
	// never MinOff.
	MinOn, MinOff time.Duration
	// Player and Format are a loudspeaker's.
	Player drivers.Player
	Format drivers.Format
	// Next is the output that takes over when this one fails; "" for none.
	Next string
	// Zones that it can be heard in.
	Zones []string
	// SettleOn and SettleOff are within what time Sensed must follow; 0 takes
	// 1 s and 2 s.
	SettleOn, SettleOff time.Duration
	// Retries is after how many failed commands in a row the output counts as
	// failed; 0 takes 3. It goes on trying as long as the order stands, and to
	// switch off until that is confirmed.
	Retries int
	// Patience is the deadline of one call of a device; 0 takes 1 s.
	Patience time.Duration
}

// Measure is what a sounding was measured by.
type Measure string

// The measures. Unmeasured is the truth where nothing measures.
const (
	Unmeasured Measure = ""
	Current    Measure = "current"
	Input      Measure = "input"
	Ear        Measure = "ear"
)

// The times that a Spec leaves open.
const (
	defaultFailSafe  = 10 * time.Second
	defaultSettleOn  = time.Second
	defaultSettleOff = 2 * time.Second
	defaultRetries   = 3
	defaultPatience  = time.Second
	mostMinimum      = 5 * time.Minute
)

func (s Spec) withDefaults() Spec {
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{{&s.FailSafe, defaultFailSafe}, {&s.SettleOn, defaultSettleOn}, {&s.SettleOff, defaultSettleOff}, {&s.Patience, defaultPatience}} {
		if *d.v == 0 {
			*d.v = d.d
		}
	}
	if s.Retries == 0 {
		s.Retries = defaultRetries
	}
	if t, ok := s.Relay.(drivers.Timed); ok {
		s.FailSafe = min(s.FailSafe, t.Longest())
	}
	return s
}

// Validate proves one output's wiring and names thing and mend.
func (s Spec) Validate() error {
	name := s.Name
	if name == "" {
		return phrase.E("sound.spec_name")
	}
	switch s.Kind {
	case Electronic, Motor, Strobe:
		if s.Relay == nil {
			return phrase.E("sound.spec_relay", "output", name)
		}
		if s.Player != nil {
			return phrase.E("sound.spec_player_unused", "output", name)
		}
	case Loudspeaker:
		if s.Player == nil {
			return phrase.E("sound.spec_player", "output", name)
		}
		if s.Format.Rate < 8000 || s.Format.Rate > 192000 || s.Format.Channels < 1 || s.Format.Channels > 8 {
			return phrase.E("sound.spec_format", "output", name, "rate", s.Format.Rate, "channels", s.Format.Channels)
		}
	default:
		return phrase.E("sound.spec_kind", "output", name, "kind", string(s.Kind))
	}
	if s.Sensed != nil && s.SensedBy != Current && s.SensedBy != Input {
		return phrase.E("sound.spec_sensed_by", "output", name)
	}
	if s.Kind != Motor && (s.MinOn != 0 || s.MinOff != 0) {
		return phrase.E("sound.spec_minimum_kind", "output", name)
	}
	if s.MinOn < 0 || s.MinOff < 0 || s.MinOn > mostMinimum || s.MinOff > mostMinimum {
		return phrase.E("sound.spec_minimum", "output", name, "most", mostMinimum.String())
	}
	if s.SettleOn < 0 || s.SettleOff < 0 || s.FailSafe < 0 || s.Patience < 0 || s.Retries < 0 || s.SettleOff > 4*time.Second || s.SettleOn > 10*time.Second {
		return phrase.E("sound.spec_times", "output", name)
	}
	if s.FailSafe > 0 && s.FailSafe < time.Second {
		return phrase.E("sound.spec_fail_safe", "output", name)
	}
	return nil
}

// Opts is what a House needs. Clock and Guard are needed; Event and Fault must
// not block and may be nil.
type Opts struct {
	Clock clock.Clock
	Guard *guard.Guard
	Event func(Event)
	Fault func(Fault)
	Log   *slog.Logger
	// Proof gives each output's owner what it proves its life to; nil is none.
	Proof func(output string) *guard.Proof
}
