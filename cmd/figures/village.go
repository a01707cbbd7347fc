package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tocsin/hwtest/ear"
	"tocsin/hwtest/gauge"
	"tocsin/hwtest/line"
	"tocsin/hwtest/nmea"
	"tocsin/hwtest/storm"
)

// The gas threshold of the bench's sites and what lies on either side, in %LEL.
const (
	gasCalm, gasClear, gasOn, gasHigh = 2.0, 10.0, 20.0, 40.0
)

// wired says which outputs a site has.
type wired struct {
	shared                bool
	siren, motor, speaker bool
	others                bool // the talking gauge and the unit behind the gateway too
	sky                   bool // a GNSS receiver that sets the box's clock
}

// village is the simulated village with the ear that listens to its horn.
type village struct {
	*storm.Village
	b     *bench
	w     wired
	ear   *ear.Ear
	horn  string
	cross *crossing
	sky   *line.Line
	quiet chan struct{} // closed: the receiver says nothing more
	more  string        // further sections of the site's file
}

// crossing notes the last bit of the first answer that carries a value over the
// threshold.
type crossing struct {
	mu    sync.Mutex
	armed bool
	at    time.Time
}

func (c *crossing) arm() {
	c.mu.Lock()
	c.armed, c.at = true, time.Time{}
	c.mu.Unlock()
}

func (c *crossing) seen() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at, !c.at.IsZero()
}

// onAnswer is a line.Hook: the gas transmitter's register 0 counts 0.01 %LEL.
func (c *crossing) onAnswer(unit byte, pdu []byte, lastBitAt time.Time) {
	if unit != storm.UnitGas || len(pdu) < 4 || pdu[0] != 3 || int(pdu[2])<<8|int(pdu[3]) < gasOn*100 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.armed {
		c.armed, c.at = false, lastBitAt
	}
}

func (b *bench) village(w wired) (*village, error) {
	v := &village{b: b, w: w, horn: filepath.Join(b.dir, "horn"), cross: &crossing{}}
	var err error
	if v.Village, err = storm.Build(storm.Config{Dir: filepath.Join(b.dir, "port"), Shared: w.shared, River: 3, Upstream: 2, Gas: gasCalm}); err != nil {
		return nil, err
	}
	v.Field.OnAnswer(v.cross.onAnswer)
	if w.speaker {
		if v.ear, err = ear.Open(filepath.Join(v.horn, "latest.wav")); err != nil {
			v.Close()
			return nil, err
		}
	}
	if w.sky {
		if v.sky, err = line.New(line.Config{Baud: 9600, Path: filepath.Join(b.dir, "sky")}); err != nil {
			v.Close()
			return nil, err
		}
		v.quiet = make(chan struct{})
		var receiver nmea.Station
		receiver.Set(func(s *nmea.Sky, _ *nmea.Air) { s.Fix, s.Mode = 1, "A" })
		go receiver.Talk(v.sky.Say, time.Second, v.quiet)
	}
	return v, nil
}

// Close takes it down.
func (v *village) Close() {
	if v.sky != nil {
		close(v.quiet)
		v.sky.Close()
	}
	if v.ear != nil {
		v.ear.Close()
	}
	v.Village.Close()
}

// site is the village's site file: a gas rule whose level is "evacuate", all
// outputs at every level, and the rest of the village's gauges beside it.
func (v *village) site() (string, error) {
	var s strings.Builder
	p := func(format string, a ...any) { fmt.Fprintf(&s, format+"\n", a...) }
	out := "out"
	p("version: 1")
	p(`site: {id: "441882103201", name: {zh: 黄渡村, en: Huangdu}, at: [24.7812, 112.3790], datum: 1985, languages: [cmn, yue]}`)
	p("lines:\n  field: {port: %s, baud: 9600}", v.Port(storm.FieldPort))
	if v.w.shared {
		out = "field"
	} else {
		p("  out: {port: %s, baud: 9600}", v.Port(storm.OutPort))
	}
	if v.w.others {
		p("  text: {port: %s, baud: 9600}\n  up: {tcp: %q}", v.Port(storm.TextPort), v.Gateway.Addr())
	}
	if v.w.sky {
		p("  sky: {port: %s, baud: 9600}", v.sky.Path())
	}
	p("devices:")
	if v.w.sky {
		p("  sky: {profile: generic-gnss-nmea, line: sky}")
	}
	p("  rain-a: {profile: generic-rain-rs485, line: field, unit: %d, every: 1s}", storm.UnitRainA)
	p("  rain-b: {profile: generic-rain-rs485, line: field, unit: %d, every: 1s}", storm.UnitRainB)
	p("  river: {profile: generic-radar-level-rs485, line: field, unit: %d, zero: 96.20 m, every: 500ms}", storm.UnitRiver)
	p("  gas: {profile: generic-ch4-rs485, line: field, unit: %d, every: 270ms}", storm.UnitGas)
	p("  relay: {profile: generic-relay-8in-8out, line: %s, unit: %d, every: 250ms}", out, storm.UnitBoard)
	if v.w.others {
		p("  rain-c: {profile: generic-rain-text, line: text}")
		p("  upstream: {profile: generic-radar-level-rs485, line: up, unit: %d, zero: 110 m, every: 1s}", storm.UnitUp)
	}
	p("outputs:")
	if v.w.siren {
		p("  siren: {kind: electronic, relay: relay.1, sensed_by: relay.in5, sense: current, cut_by: relay.8, fail_safe: 1m}")
	}
	if v.w.motor {
		// A minimum on time that no STOP of the bench outlives.
		p("  motor: {kind: motor, relay: relay.2, sensed_by: relay.in6, sense: current, cut_by: relay.7, min_on: 30s, min_off: 1s, fail_safe: 1m}")
	}
	if v.w.speaker {
		p("  horn: {kind: loudspeaker, file: %s}", v.horn)
	}
	p("inputs:\n  stop: {input: relay.in3, means: stop}")
	p("rules:")
	p("  gas:\n    name: {zh: 甲烷, en: methane}\n    set_by: {name: 台架, date: 2026-05-12}")
	p("    any_of:\n      - {point: gas.ch4, evacuate: %v %%LEL, clear_below: %v %%LEL, for: 0s}", gasOn, gasClear)
	p("  flash-flood:\n    name: {zh: 山洪, en: flash flood}\n    set_by: {name: 台架, date: 2026-05-12}")
	p("    any_of:\n      - {point: rain-a.total, over: 5m, prepare: 20 mm, evacuate: 40 mm}")
	p("      - {point: river.level, prepare: 101.20 m, evacuate: 102.40 m, clear_below: 100.90 m, for: 10s}")
	p("plan: bench\n%s", v.more)
	return v.b.site(s.String())
}

// load is the first of the site's loads that sounds while its contact is
// closed: the siren, or else the motor.
func (v *village) load() (*gauge.Siren, int) {
	if v.w.siren {
		return v.Horn, storm.RelayHorn
	}
	return v.Motor, storm.RelayMotor
}

// crossed puts the gas over the threshold and gives the last bit of the answer
// that tells it.
func (v *village) crossed() (time.Time, error) {
	v.cross.arm()
	v.Gas.Set(gasHigh)
	err := v.b.until("the answer that carries the crossing", 10*time.Second, func() bool { _, ok := v.cross.seen(); return ok })
	at, _ := v.cross.seen()
	return at, err
}

// calm brings the village back to rest: the gas falls, the alarm subsides, a
// named person releases it, the all-clear is cut short, and every load is off.
func (v *village) calm(x *box) error {
	v.Gas.Set(gasCalm)
	var open []alarm
	err := v.b.until("subsided", 10*time.Second, func() bool {
		var err error
		open, err = x.open()
		if err != nil {
			return false
		}
		for _, a := range open {
			if a.State != "subsided" {
				return false
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	for _, a := range open {
		if err := x.release(a.ID); err != nil {
			return err
		}
	}
	if err := x.stop(); err != nil {
		return err
	}
	err = v.b.until("silent", 10*time.Second, func() bool {
		var s soundings
		return x.get("/soundings", &s) == nil && len(s.Now) == 0 && !v.Horn.Current().On() && !v.Motor.Current().On()
	})
	if err != nil {
		return err
	}
	return v.b.pause(300 * time.Millisecond)
}
