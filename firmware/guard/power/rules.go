package power

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/goccy/go-yaml"

	"tocsin/firmware/phrase"
)

// RulesName is the rules' file in configs/.
const RulesName = "power.yaml"

const (
	rulesVersion = 1
	rulesBytes   = 64 << 10
	rowsMost     = 64
)

// Rules is power.yaml; the comments there say what each number means.
type Rules struct {
	Version     int                  `yaml:"version"`
	Reserve     Reserve              `yaml:"reserve"`
	Dwell       Dwell                `yaml:"dwell"`
	Runtime     Times                `yaml:"runtime"`
	Sun         Sun                  `yaml:"sun"`
	Outputs     map[string]float64   `yaml:"outputs"`
	Chemistries map[string]Chemistry `yaml:"chemistries"`
	Order       []Step               `yaml:"order"`
}

// Reserve is what is kept for sounding.
type Reserve struct {
	For time.Duration `yaml:"for"`
	// Margin is added, in percent of it, OfCapacity in percent of the battery: whichever is more.
	Margin     float64 `yaml:"margin"`
	OfCapacity float64 `yaml:"of_capacity"`
}

// Dwell is how long something must hold before it counts.
type Dwell struct {
	Lost   time.Duration `yaml:"lost"`
	Back   time.Duration `yaml:"back"`
	Worse  time.Duration `yaml:"worse"`
	Better time.Duration `yaml:"better"`
	Dead   time.Duration `yaml:"dead"`
	Rest   time.Duration `yaml:"rest"`
	Full   time.Duration `yaml:"full"`
	Charge time.Duration `yaml:"charge"`
	// Step is the pause between two that are shed, Restore between two that are restored.
	Step    time.Duration `yaml:"step"`
	Restore time.Duration `yaml:"restore"`
}

// Times judge a supply that only says how long it lasts.
type Times struct {
	Low, Critical, Dead time.Duration
}

// Sun is how a night is reckoned.
type Sun struct {
	// Charges is how long after sunrise the panel gives more than the box draws.
	Charges time.Duration `yaml:"charges"`
	// Margin is what the forecast must have beyond that before anything is restored.
	Margin time.Duration `yaml:"margin"`
	// Night is taken where the site's position is not known.
	Night time.Duration `yaml:"night"`
}

// Chemistry is a kind of battery, per block: twelve volts of lead, four cells of LiFePO4.
type Chemistry struct {
	Name   phrase.Text `yaml:"name"`
	Source string      `yaml:"source"`
	// Rest gives the charge in percent by the voltage at rest: pairs that rise.
	Rest [][2]float64 `yaml:"rest"`
	// Full is the voltage at which a charger that holds it has filled the block.
	Full float64 `yaml:"full"`
	// Dead is the voltage at which the box is about to go off; Collapse the same while something sounds.
	Dead     float64 `yaml:"dead"`
	Collapse float64 `yaml:"collapse"`
	// Low, Critical, Empty are percent of charge, Hysteresis what must be gained before one is over.
	Low        float64 `yaml:"low"`
	Critical   float64 `yaml:"critical"`
	Empty      float64 `yaml:"empty"`
	Hysteresis float64 `yaml:"hysteresis"`
}

// Step is one thing that is shed.
type Step struct {
	What Load  `yaml:"what"`
	At   State `yaml:"at"`
	// Saves is what is drawn less without it, in watts, for the forecast with it on again.
	Saves float64 `yaml:"saves"`
	// Factor is how much rarer it is, where it is not switched off.
	Factor int `yaml:"factor"`
}

// Load is a thing that can be shed. There is no name for what guards life.
type Load string

// The loads.
const (
	Bulk      Load = "bulk"      // pictures and logs to the county
	Recording Load = "recording" // the recorder of pictures
	Video     Load = "video"     // pictures altogether
	Telemetry Load = "telemetry" // rows of readings to the county: rarer
	Probes    Load = "probes"    // keep-alives of wide links: rarer, where another link listens
)

// Loads are all of them.
var Loads = []Load{Bulk, Recording, Video, Telemetry, Probes}

// State is how the supply stands, the better first.
type State uint8

// The states.
const (
	Unknown  State = iota // nothing that is measured is good
	Mains                 // mains is there
	Battery               // the battery bears it
	Prepare               // it will not last until the sun charges
	Low                   // the battery is low
	Critical              // little more than the reserve is left
	BrownOut              // the power is about to go
)

var stateNames = []string{"unknown", "mains", "battery", "prepare", "low", "critical", "brown-out"}

// String gives the state's code.
func (s State) String() string { return stateNames[min(int(s), len(stateNames)-1)] }

// UnmarshalText reads a code.
func (s *State) UnmarshalText(b []byte) error {
	i := slices.Index(stateNames, string(b))
	if i < 0 {
		return fmt.Errorf("%q is none of %v", string(b), stateNames[1:])
	}
	*s = State(i)
	return nil
}

// MarshalText writes the code.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LoadRules reads and proves power.yaml.
func LoadRules(fsys fs.FS) (*Rules, error) {
	b, err := fs.ReadFile(fsys, RulesName)
	if err != nil {
		return nil, phrase.Wrap(err, "power.no_rules", "file", RulesName)
	}
	return ParseRules(b)
}

// ParseRules reads and proves the text. Its error names every fault.
func ParseRules(b []byte) (*Rules, error) {
	if len(b) > rulesBytes {
		return nil, phrase.E("power.long", "file", RulesName, "most", rulesBytes)
	}
	var r Rules
	if err := yaml.UnmarshalWithOptions(b, &r, yaml.Strict()); err != nil {
		return nil, phrase.E("power.rules", "file", RulesName, "why", yaml.FormatError(err, false, false))
	}
	if r.Version != rulesVersion {
		return nil, phrase.E("power.version", "file", RulesName, "version", r.Version, "reads", rulesVersion)
	}
	return &r, errors.Join(r.prove()...)
}

func (r *Rules) prove() (faults []error) {
	bad := func(place string, least, most any) {
		faults = append(faults, phrase.E("power.value", "file", RulesName, "place", place, "least", fmt.Sprint(least), "most", fmt.Sprint(most)))
	}
	number := func(place string, v, least, most float64) {
		if !(v >= least && v <= most) { // NaN is neither
			bad(place, least, most)
		}
	}
	span := func(place string, d, least, most time.Duration) {
		if d < least || d > most {
			bad(place, least, most)
		}
	}
	span("reserve.for", r.Reserve.For, ReserveLeast, ReserveMost)
	number("reserve.margin", r.Reserve.Margin, 5, 200)
	number("reserve.of_capacity", r.Reserve.OfCapacity, 0, 50)
	span("dwell.lost", r.Dwell.Lost, time.Second, time.Minute)
	span("dwell.back", r.Dwell.Back, time.Second, 2*time.Hour)
	span("dwell.worse", r.Dwell.Worse, time.Second, 10*time.Minute)
	span("dwell.better", r.Dwell.Better, time.Second, 6*time.Hour)
	span("dwell.dead", r.Dwell.Dead, time.Second, time.Minute)
	span("dwell.rest", r.Dwell.Rest, time.Second, time.Hour)
	span("dwell.full", r.Dwell.Full, time.Minute, 12*time.Hour)
	span("dwell.charge", r.Dwell.Charge, time.Hour, 72*time.Hour)
	span("dwell.step", r.Dwell.Step, time.Second, 10*time.Minute)
	span("dwell.restore", r.Dwell.Restore, time.Second, time.Hour)
	span("runtime.low", r.Runtime.Low, r.Runtime.Critical, 24*time.Hour)
	span("runtime.critical", r.Runtime.Critical, r.Runtime.Dead, 24*time.Hour)
	span("runtime.dead", r.Runtime.Dead, 10*time.Second, time.Hour)
	span("sun.charges", r.Sun.Charges, 0, 12*time.Hour)
	span("sun.margin", r.Sun.Margin, 10*time.Minute, 24*time.Hour)
	span("sun.night", r.Sun.Night, 8*time.Hour, 24*time.Hour)
	for kind, w := range r.Outputs {
		number("outputs."+kind, w, 0, 1e5)
	}
	for name, c := range r.Chemistries {
		at := "chemistries." + name + "."
		if c.Source == "" || c.Name.ZH == "" || c.Name.EN == "" {
			faults = append(faults, phrase.E("power.unsourced", "file", RulesName, "name", name))
		}
		if len(c.Rest) < 2 || len(c.Rest) > rowsMost {
			bad(at+"rest", 2, rowsMost)
			continue
		}
		for i, p := range c.Rest {
			rises := i == 0 || p[0] > c.Rest[i-1][0] && p[1] > c.Rest[i-1][1]
			if !rises || !(p[0] > 0 && p[0] < 100 && p[1] >= 0 && p[1] <= 100) {
				faults = append(faults, phrase.E("power.table", "file", RulesName, "name", name, "row", i+1))
				break
			}
		}
		last := c.Rest[len(c.Rest)-1]
		number(at+"full", c.Full, last[0], 2*last[0])
		number(at+"dead", c.Dead, 1, c.Rest[len(c.Rest)-1][0])
		number(at+"collapse", c.Collapse, 1, c.Dead)
		number(at+"empty", c.Empty, 0, c.Critical)
		number(at+"critical", c.Critical, 1, c.Low)
		number(at+"low", c.Low, 1, 90)
		number(at+"hysteresis", c.Hysteresis, 1, 50)
	}
	seen := map[Load]bool{}
	for i, s := range r.Order {
		place := "order." + strconv.Itoa(i+1)
		switch {
		case !slices.Contains(Loads, s.What):
			faults = append(faults, phrase.E("power.load", "file", RulesName, "place", place, "what", string(s.What), "loads", fmt.Sprint(Loads)))
		case seen[s.What]:
			faults = append(faults, phrase.E("power.twice", "file", RulesName, "place", place, "what", string(s.What)))
		}
		seen[s.What] = true
		// All must be off before the reserve is reached, each no sooner than what stands before it.
		if s.At < Battery || s.At > Critical || i > 0 && s.At < r.Order[i-1].At {
			faults = append(faults, phrase.E("power.order", "file", RulesName, "place", place))
		}
		number(place+".saves", s.Saves, 0, 1000)
		if s.What == Telemetry || s.What == Probes {
			number(place+".factor", float64(s.Factor), 2, 100)
		} else if s.Factor != 0 {
			bad(place+".factor", 0, 0)
		}
	}
	return faults
}

// The bounds of the reserve.
const (
	ReserveLeast = 5 * time.Minute
	ReserveMost  = 4 * time.Hour
)

// Charge gives the charge, 0 to 1, of a block that rests at a voltage.
func (c *Chemistry) Charge(volts float64) float64 {
	t := c.Rest
	if volts <= t[0][0] {
		return t[0][1] / 100
	}
	for i := 1; i < len(t); i++ {
		if volts <= t[i][0] {
			a, b := t[i-1], t[i]
			return (a[1] + (b[1]-a[1])*(volts-a[0])/(b[0]-a[0])) / 100
		}
	}
	return t[len(t)-1][1] / 100
}

// plausible tells whether a voltage can be that of a block of this kind on which a box still runs: one of another
// number of blocks is not.
func (c *Chemistry) plausible(volts float64) bool {
	return volts >= 0.7*c.Collapse && volts <= 1.25*c.Full
}

// margin is what is added to a reserve, in Wh.
func (r *Reserve) margin(reserve, capacity float64) float64 {
	return math.Max(reserve*r.Margin/100, capacity*r.OfCapacity/100)
}
