package bench

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"tocsin/hwtest/ear"
	"tocsin/hwtest/gauge"
	"tocsin/hwtest/line"
)

// Pole is a board with what hangs on it: a gas gauge and a relay board with a siren on an
// RS-485 line by USB, a radar on one at the board's own port, and a loudspeaker with an ear
// before it.
type Pole struct {
	*Board
	Line   *line.TCP // by USB
	Shore  *line.TCP // at the board's own port
	River  *gauge.Radar
	Gas    *gauge.Gas
	Relays *gauge.Board
	Siren  *gauge.Siren
	Ear    *ear.Ear
}

// Units, relays and inputs of the pole, and its threshold in %LEL.
const (
	unitRiver, unitGas, unitRelays        = 3, 4, 11
	relaySiren, relayCutter, inputCurrent = 0, 7, 4

	GasCalm, GasOn, GasHigh = 2.0, 20.0, 40.0
	// Tone is the pitch of what its plan sounds at its highest level (configs/tones.yaml).
	Tone = 960.0
	// Audible is how loud a sample is at least that is one of a tone, in dBFS.
	Audible = -40.0
)

// poleName is how the pole's site is called.
const poleName = "黄渡村"

var poleSite = `version: 1
site: {id: "441882103201", name: {zh: ` + poleName + `, en: Huangdu}, at: [24.7812, 112.3790], datum: 1985, languages: [cmn, yue]}
lines:
  field: {port: "` + Port(0) + `", baud: 19200, timeout: 1s}
  shore: {port: /dev/ttyS0, baud: 9600, timeout: 1s}
devices:
  river: {profile: generic-radar-level-rs485, line: shore, unit: 3, zero: 96.20 m, every: 1s}
  gas: {profile: generic-ch4-rs485, line: field, unit: 4, every: 270ms}
  relay: {profile: generic-relay-8in-8out, line: field, unit: 11, every: 250ms}
outputs:
  siren: {kind: electronic, relay: relay.1, sensed_by: relay.in5, sense: current, cut_by: relay.8, fail_safe: 1m}
  horn: {kind: loudspeaker, card: Audio}
rules:
  gas:
    name: {zh: 甲烷, en: methane}
    set_by: {name: 台架, date: 2026-05-12}
    any_of:
      - {point: gas.ch4, evacuate: 20 %LEL, clear_below: 10 %LEL, for: 0s}
  flash-flood:
    name: {zh: 山洪, en: flash flood}
    set_by: {name: 台架, date: 2026-05-12}
    any_of:
      - {point: river.level, prepare: 101.20 m, evacuate: 102.40 m, clear_below: 100.90 m, for: 10s}
plan: flash-flood-village
page: {listen: ":80"}
`

// NewPole puts up a pole with a copy of an image as its board's card.
func NewPole(dir, image string) (*Pole, error) {
	p := &Pole{Board: &Board{Dir: dir, Disk: filepath.Join(dir, "card.img"), Sound: true}, River: gauge.NewRadar(3), Gas: gauge.NewGas(GasCalm), Relays: gauge.NewBoard(8, 8)}
	if err := CopyDisk(p.Disk, image); err != nil {
		return nil, err
	}
	if err := p.Put(map[string][]byte{"/tocsin/site/site.yaml": []byte(poleSite)}); err != nil {
		return nil, err
	}
	p.Siren = gauge.NewSiren(gauge.SirenConfig{Feed: p.Relays.Contact(relaySiren), Contactor: p.Relays.Contact(relayCutter), Sense: p.Relays, SenseInput: inputCurrent})
	var err error
	if p.Line, err = line.NewRTUOverTCP("127.0.0.1:0"); err != nil {
		return nil, err
	}
	if p.Shore, err = line.NewRTUOverTCP("127.0.0.1:0"); err != nil {
		p.Line.Close()
		return nil, err
	}
	p.Line.Pace(19200)
	p.Shore.Pace(9600)
	p.Lines, p.Wire = []string{p.Line.Addr()}, p.Shore.Addr()
	p.Line.Attach(unitGas, p.Gas)
	p.Line.Attach(unitRelays, p.Relays)
	p.Shore.Attach(unitRiver, p.River)
	if p.Ear, err = ear.Open(filepath.Join(dir, "sound.wav")); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Close takes it down.
func (p *Pole) Close() {
	p.Cut()
	p.Line.Close()
	p.Shore.Close()
	if p.Ear != nil {
		p.Ear.Close()
	}
}

// Settled waits until the values of both lines are good.
func (p *Pole) Settled(most time.Duration) error {
	last := ""
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		t, err := p.Get("/api/v1/readings", time.Until(end))
		if err != nil {
			return err
		}
		var all []struct{ Point, Quality string }
		if err := json.Unmarshal(t, &all); err != nil {
			return err
		}
		good := 0
		for _, r := range all {
			if (r.Point == "gas.ch4" || r.Point == "river.level") && r.Quality == "good" {
				good++
			}
		}
		if good == 2 {
			return nil
		}
		last = string(t)
	}
	return fmt.Errorf("its gauges are not good in %v: %.2000s", most, last)
}

// Cross puts the gas over its threshold, and gives how long after that the siren had
// current and the ear heard the loudspeaker.
func (p *Pole) Cross(most time.Duration) (siren, tone time.Duration, err error) {
	at := time.Now()
	p.Gas.Set(GasHigh)
	for end := at.Add(most); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		on, ok := p.Siren.Sound().FirstOn(at)
		heard, loud := p.Ear.FirstAbove(at, Audible)
		if ok && loud {
			return on.Sub(at), heard.Sub(at), nil
		}
		siren, tone = -1, -1
		if ok {
			siren = on.Sub(at)
		}
		if loud {
			tone = heard.Sub(at)
		}
	}
	return siren, tone, fmt.Errorf("the siren after %v, the loudspeaker after %v (-1ns: never in %v): %v", siren, tone, most, p.Ear.Err())
}
