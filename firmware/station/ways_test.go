package station

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/configs"
	"tocsin/drivers"
	"tocsin/drivers/drivertest"
	"tocsin/drivers/i2c"
	"tocsin/firmware/clock"
	"tocsin/firmware/clock/source"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
	simnmea "tocsin/hwtest/nmea"
	simsdi "tocsin/hwtest/sdi12"

	"periph.io/x/conn/v3/physic"
)

// walls is a house that has only lines, a clock and a journal.
func walls(t *testing.T, c *clock.System) (*House, context.Context) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	h := &House{o: Opts{Data: t.TempDir(), Log: log}, log: log, dog: &guard.Watchdog{}, clock: c, started: time.Now(), bp: &Blueprint{},
		readings: make(chan []point.Reading, 4096), noted: make(chan func(), 1024), faults: map[string]fault{}, lines: lineSet{lines: map[string]*running{}}}
	h.guard = guard.New(ctx, log, nil)
	rules, err := source.LoadRules(configs.FS)
	if err != nil {
		t.Fatal(err)
	}
	h.times = newTimes(h, rules)
	h.times.bound = func() (time.Duration, bool) { return 0, false } // this machine's own clock is no witness
	if h.journal, err = journal.Open(h.o.Data, journal.Opts{Guard: h.guard, Clock: h.clock, Log: log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		h.guard.Wait(5 * time.Second)
	})
	return h, ctx
}

func (h *House) hasFault(thing string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, there := h.faults[thing]
	return there
}

// eventually waits for what the lines' goroutines do.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatal("never: " + what)
}

// TestSentencesAndProbesReachTheRules: real ports, a real wiring, the simulators
// written from the public descriptions at the other end.
func TestSentencesAndProbesReachTheRules(t *testing.T) {
	t.Parallel()
	sky, sdi := drivertest.OpenPTY(t), drivertest.OpenPTY(t)
	bp, ps := prove(t, fmt.Sprintf(`version: 1
site: {id: "441882103201", name: {zh: 黄渡村, en: Huangdu}}
lines:
  sky: {port: %s}
  probes: {port: %s}
devices:
  weather: {profile: generic-weather-nmea, line: sky}
  river: {profile: generic-level-sdi12, line: probes, address: "0", every: 500ms}
`, sky.Path, sdi.Path))
	if bp == nil {
		t.Fatal(ps)
	}
	var station simnmea.Station
	station.Set(func(s *simnmea.Sky, a *simnmea.Air) {
		*s = simnmea.Sky{Fix: 1, Mode: "A"}
		*a = simnmea.Air{WindAngle: 214, WindSpeed: 7.5, Pressure: 1010.2, Temperature: 26.4, Humidity: 83.5}
	})
	stop := make(chan struct{})
	defer close(stop)
	go station.Talk(func(b []byte) error { _, err := sky.Far.Write(b); return err }, time.Second, stop)
	adapter := &simsdi.Adapter{Echo: true}
	adapter.Set('0', &simsdi.Probe{Values: map[string][]string{"M": {"+3.142", "+21.5"}}})
	go adapter.Serve(sdi.Far)

	c := clock.NewSystem(time.Now().Add(-time.Hour), clock.Free)
	h, ctx := walls(t, c)
	h.startLines(ctx, bp.Lines)
	latest := map[point.ID]point.Reading{}
	drain := func() {
		for {
			select {
			case rs := <-h.readings:
				for _, r := range rs {
					latest[r.Point] = r
				}
			default:
				return
			}
		}
	}
	good := func(id point.ID, v float64) bool {
		drain()
		r, ok := latest[id]
		return ok && r.IsGood() && math.Abs(r.Value-v) < 1e-6
	}
	eventually(t, "the weather", func() bool {
		return good("weather.wind_speed", 7.5) && good("weather.pressure", 1010.2) && good("weather.humidity", 83.5)
	})
	eventually(t, "the level", func() bool { return good("river.level", 3.142) && good("river.temperature", 21.5) })
	eventually(t, "the time of the sky", func() bool { return c.Now().Trust == clock.Set && h.times.state().Holder == "sky" })
	adapter.Change('0', func(p *simsdi.Probe) { p.BadCRC = true })
	eventually(t, "a wrong CRC as a fault", func() bool { drain(); return latest["river.level"].Quality == point.CommFault })
	adapter.Change('0', func(p *simsdi.Probe) { p.BadCRC = false })
	eventually(t, "the level again", func() bool { return good("river.level", 3.142) })
	station.Set(func(_ *simnmea.Sky, a *simnmea.Air) { a.WindFails = true })
	eventually(t, "the wind as the instrument's fault", func() bool { drain(); return latest["weather.wind_speed"].Quality == point.SensorFault })
}

// rtcChip is the registers of a DS3231.
type rtcChip struct{ mem [32]byte }

func (r *rtcChip) String() string                  { return "chip" }
func (r *rtcChip) SetSpeed(physic.Frequency) error { return nil }
func (r *rtcChip) Tx(_ uint16, w, b []byte) error {
	copy(r.mem[w[0]:], w[1:])
	copy(b, r.mem[w[0]:])
	return nil
}

func TestAClockChipGivesAndTakesTheTime(t *testing.T) {
	chip := &rtcChip{}
	chip.mem[0x0E], chip.mem[0x11] = 0x1C, 25
	ctx := context.Background()
	now := time.Now()
	box := clock.NewSystem(now.Add(-time.Hour), clock.Set)
	h, _ := walls(t, box)
	boots := func(c *clock.System) *timepiece {
		h.clock = c
		x := newTimes(h, h.times.rules)
		x.bound = h.times.bound
		h.times = x
		return newTimepiece(x, "board", i2c.NewDS3231(chip))
	}
	p := newTimepiece(h.times, "board", i2c.NewDS3231(chip))
	if s, err := p.Measure(ctx); err != nil || s[0].Value != 25 {
		t.Fatal(s, err)
	}
	if at, err := p.Time(ctx); err != nil || at.Sub(now).Abs() > 2*time.Second {
		t.Errorf("the chip was set to %v, %v", at, err)
	}
	// Another boot, whose kernel knows nothing: the chip's time is held.
	if err := p.SetTime(ctx, now.Add(90*time.Minute)); err != nil {
		t.Fatal(err)
	}
	box = clock.NewSystem(now.Add(-time.Hour), clock.Free)
	p = boots(box)
	if _, err := p.Measure(ctx); err != nil {
		t.Fatal(err)
	}
	if s := box.Now(); s.Trust != clock.Held || s.Wall.Sub(now.Add(90*time.Minute)).Abs() > 2*time.Second {
		t.Errorf("%+v", s)
	}
	chip.mem[0x0F] |= 0x80 // its cell was empty
	box = clock.NewSystem(now.Add(-time.Hour), clock.Free)
	p = boots(box)
	if _, err := p.Measure(ctx); err != nil || box.Now().Trust != clock.Free || !h.hasFault("clock board") {
		t.Errorf("%v %v", err, box.Now().Trust)
	}
}

// TestEveryChipOfAProfileHasItsDriver holds the profiles' table to the drivers.
func TestEveryChipOfAProfileHasItsDriver(t *testing.T) {
	h, _ := walls(t, clock.NewSystem(time.Now(), clock.Free))
	for _, via := range []profile.Via{profile.I2C, profile.OneWire} {
		for _, chip := range profile.Chips(via) {
			u := UnitPlan{Device: "x", Address: "0x40", Profile: &profile.Profile{Via: via, Chip: chip}}
			var b manyBus = &i2cBus{h: h, Bus: i2c.Open("/dev/i2c-none")}
			if via == profile.OneWire {
				b, u.Address = wireBus(t.TempDir()), "28-0316a2795ee4"
			}
			v, err := b.open(u)
			if err != nil {
				t.Errorf("%s: %v", chip, err)
				continue
			}
			if _, err := v.Measure(context.Background()); err == nil {
				t.Errorf("%s measured on a bus that is not there", chip)
			}
		}
	}
	// Every shipped profile names a way that a line can be opened for.
	files, _ := filepath.Glob("../../configs/profiles/*.yaml")
	ways := []string{"modbus", "text", "gpio", "sdi12", "nmea", "i2c", "onewire", "pulse"}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if p, _ := profile.Parse(f, b); p != nil && !slices.Contains(ways, string(p.Via)) {
			t.Errorf("%s is via %s", f, p.Via)
		}
	}
}

func TestWaysAreProvedWithTheirPlaceAndMend(t *testing.T) {
	const good = `version: 1
site: {id: "441882103201", name: {zh: 黄渡村, en: Huangdu}}
lines:
  board: {i2c: /dev/i2c-1}
  wire: {onewire: /sys/bus/w1/devices}
  pins: {pins: board}
  probes: {port: /dev/ttyS1}
devices:
  air: {profile: bosch-bme280, line: board, address: "0x76"}
  battery: {profile: ti-ina219, line: board, address: "0x40"}
  inside: {profile: maxim-ds18b20, line: wire, address: 28-0316a2795ee4}
  rain: {profile: generic-rain-pulse, line: pins, address: GPIO17}
  river: {profile: generic-level-sdi12, line: probes, address: "0"}
`
	bp, ps := prove(t, good)
	if bp == nil {
		t.Fatal(ps)
	}
	for name, c := range map[string][3]string{
		"another bus":       {"line: board, address: \"0x76\"", "line: wire, address: \"0x76\"", "i2c"},
		"no address":        {", address: \"0x40\"", "", "0x76"},
		"a wrong address":   {"0x76", "118", "0x76"},
		"an address twice":  {"0x40", "0x76", "已被"},
		"a wrong probe":     {"address: \"0\"", "address: \"10\"", "river"},
		"a wrong sensor":    {"28-0316a2795ee4", "../../etc", "28-"},
		"a wrong bus":       {"/dev/i2c-1", "/dev/sda", "/dev/i2c-1"},
		"a wrong pin":       {"GPIO17", "GPIO 17;", "GPIO17"},
		"two ways":          {"{i2c: /dev/i2c-1}", "{i2c: /dev/i2c-1, port: /dev/ttyS2}", "只能写一个"},
		"pins of something": {"pins: board}", "pins: hat}", "board"},
	} {
		bp, ps := prove(t, strings.Replace(good, c[0], c[1], 1))
		said := ""
		for _, p := range ps {
			said += p.In(phrase.ZH) + "\n"
		}
		if bp != nil || !strings.Contains(said, c[2]) {
			t.Errorf("%s: proved %v, said %s", name, bp != nil, said)
		}
	}
}

var _ drivers.Values = (*timepiece)(nil)
