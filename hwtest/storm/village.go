package storm

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"tocsin/hwtest/gauge"
	"tocsin/hwtest/line"
)

// The names of the ports in Config.Dir.
const (
	FieldPort = "ttyFIELD" // the gauges
	OutPort   = "ttyOUT"   // the relay board
	TextPort  = "ttyTEXT"  // the rain gauge that talks by itself
)

// Units on the lines.
const (
	UnitRainA = 1 // field
	UnitRainB = 2
	UnitRiver = 3
	UnitGas   = 4
	UnitBoard = 11 // its own line
	UnitUp    = 1  // upstream level, behind the TCP gateway
)

// Relays of the board, from 0. The contactors are in series with the sirens:
// energised they cut.
const (
	RelayHorn         = 0 // electronic siren
	RelayMotor        = 1 // motor siren
	RelayStrobe       = 2
	RelayMotorCutter  = 6
	RelayHornCutter   = 7
	InputKeyPrepare   = 0 // key switch 准备转移
	InputKeyEvacuate  = 1 // key switch 立即转移
	InputStop         = 2 // push button
	InputAnswer       = 3 // push button
	InputHornCurrent  = 4
	InputMotorCurrent = 5
)

// Config is how the village is built.
type Config struct {
	Dir  string // where the ports' names are put; made if missing
	Baud int    // of all lines; 9600 if 0
	// One line for gauges and board: the board is then UnitBoard on FieldPort and there is no OutPort.
	Shared bool
	// Start values; river and upstream in metres above gauge zero, gas in %LEL.
	River, Upstream, Gas float64
}

// Village is the bench.
type Village struct {
	Field, Out, Text       *line.Line // Out is Field if shared
	Gateway                *line.TCP  // upstream level at the next station
	RainA, RainB, RainText *gauge.Rain
	River, Upstream        *gauge.Radar
	Gas                    *gauge.Gas
	Board                  *gauge.Board
	Horn, Motor            *gauge.Siren
	Talker                 *gauge.Talker

	dir string
}

// Build sets the village up; Close takes it down.
func Build(cfg Config) (v *Village, err error) {
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, err
	}
	v = &Village{
		RainA: gauge.NewRain(), RainB: gauge.NewRain(), RainText: gauge.NewRain(),
		River: gauge.NewRadar(cfg.River), Upstream: gauge.NewRadar(cfg.Upstream),
		Gas: gauge.NewGas(cfg.Gas), Board: gauge.NewBoard(8, 8), dir: cfg.Dir,
	}
	defer func() {
		if err != nil {
			v.Close()
		}
	}()
	v.Horn = gauge.NewSiren(gauge.SirenConfig{
		Feed: v.Board.Contact(RelayHorn), Contactor: v.Board.Contact(RelayHornCutter),
		Sense: v.Board, SenseInput: InputHornCurrent,
	})
	v.Motor = gauge.NewSiren(gauge.SirenConfig{
		Feed: v.Board.Contact(RelayMotor), Contactor: v.Board.Contact(RelayMotorCutter), Motor: true,
		Sense: v.Board, SenseInput: InputMotorCurrent,
	})
	at := func(name string, turn time.Duration) line.Config {
		return line.Config{Baud: cfg.Baud, Turnaround: turn, Path: filepath.Join(cfg.Dir, name)}
	}
	if v.Field, err = line.New(at(FieldPort, 20*time.Millisecond)); err != nil {
		return nil, err
	}
	if v.Out = v.Field; !cfg.Shared {
		if v.Out, err = line.New(at(OutPort, 5*time.Millisecond)); err != nil {
			return nil, err
		}
	}
	if v.Text, err = line.New(at(TextPort, 0)); err != nil {
		return nil, err
	}
	if v.Gateway, err = line.NewTCP("127.0.0.1:0"); err != nil {
		return nil, err
	}
	v.Field.Attach(UnitRainA, v.RainA)
	v.Field.Attach(UnitRainB, v.RainB)
	v.Field.Attach(UnitRiver, v.River)
	v.Field.Attach(UnitGas, v.Gas)
	v.Out.Attach(UnitBoard, v.Board)
	v.Gateway.Attach(UnitUp, v.Upstream)
	v.Talker = gauge.NewTalker(v.Text, v.RainText, time.Second)
	return v, nil
}

// Port is the full path of a port's name.
func (v *Village) Port(name string) string { return filepath.Join(v.dir, name) }

// Pour lets it rain on all gauges, in millimetres an hour.
func (v *Village) Pour(mmPerHour float64) {
	for _, r := range []*gauge.Rain{v.RainA, v.RainB, v.RainText} {
		r.Pour(mmPerHour)
	}
}

// Strobe is when the strobe had current.
func (v *Village) Strobe() *gauge.Trace { return v.Board.Contact(RelayStrobe).Trace() }

// Close takes the village down. It may be called on one that is half built.
func (v *Village) Close() error {
	var errs []error
	if v.Talker != nil {
		errs = append(errs, v.Talker.Close())
	}
	for _, l := range []*line.Line{v.Field, v.Out, v.Text} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	if v.Gateway != nil {
		errs = append(errs, v.Gateway.Close())
	}
	return errors.Join(errs...)
}
