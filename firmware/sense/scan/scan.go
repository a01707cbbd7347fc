// Package scan finds unknown units on a line: it asks units, rates and parities
// in turn, tells which profiles fit what answers, and shows the registers of a
// unit in every type and order side by side.
//
// It only ever reads (functions 1 to 4, and 17 and 43/14 of what it has found). It owns no port: whoever composes the
// box lends it one, and it gives it back as soon as its context ends. It never
// says that a value is right: it says what would be plausible, and a person
// picks.
//
// Sources: Modbus Application Protocol v1.1b3, sections 6 and 7 (functions,
// exceptions); Modbus over Serial Line v1.02, sections 2.2 (addresses 1 to 247)
// and 2.5.1 (formats: 8E1 is the standard's own, 8N1 is what most gauges ship
// with).
package scan

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/sense/profile"
)

// Setting is how a serial line runs; the zero Setting is a line without a rate
// (Modbus TCP).
type Setting struct {
	Baud   int    `json:"baud,omitempty"`
	Format string `json:"format,omitempty"`
}

// String is "9600 8N1", or "tcp".
func (s Setting) String() string {
	if s.Baud == 0 {
		return "tcp"
	}
	return fmt.Sprintf("%d %s", s.Baud, s.Format)
}

// The rates and formats that are tried unless told otherwise, the commonest
// first.
var (
	rates   = []int{9600, 4800, 19200, 115200, 2400, 38400}
	formats = []string{"8N1", "8E1", "8O1", "8N2"}
)

// Settings gives every combination of rates and formats, the commonest first;
// nil stands for all that are common.
func Settings(bauds []int, forms []string) []Setting {
	if len(bauds) == 0 {
		bauds = rates
	}
	if len(forms) == 0 {
		forms = formats
	}
	var out []Setting
	for _, f := range forms {
		for _, b := range bauds {
			out = append(out, Setting{b, f})
		}
	}
	return out
}

// Plan says what is asked.
type Plan struct {
	Settings []Setting
	// Units are asked in this order; 1 to 247 unless told.
	Units []uint8
	// Wait is how long a unit may take to begin its answer: 150 ms unless told.
	Wait time.Duration
	// Tables are asked, one register each, until a unit answers: holding, input
	// and coil unless told.
	Tables []drivers.Table
	// Own is the line's own setting and Known the devices that the site has
	// there, by unit: they are named and not asked.
	Own   Setting
	Known map[uint8]string
	// Profiles are held against what answers.
	Profiles []*profile.Profile
	// Sweep reads the registers of what is found. Ranges are where; nil for the
	// usual places.
	Sweep  bool
	Ranges []Range
	// First ends the scan with the first unit that is found.
	First bool
}

// Range is some registers or bits of one table.
type Range struct {
	Table drivers.Table
	Addr  uint16
	Count int
}

// The kinds of event.
const (
	Progress = "progress"
	Hit      = "found"
	Done     = "done"
)

// Event is what a scan tells as it goes.
type Event struct {
	Kind    string
	Setting Setting
	Unit    uint8
	// Done of Total askings are behind; Left is how long the rest takes where
	// nothing more answers.
	Done, Total int
	Left        time.Duration
	Found       *Found
}

// How a unit was found.
const (
	Answers = "answers" // a value came
	Refuses = "refuses" // an exception came: it is alive
	Garbled = "garbled" // bytes came, twice, of which no frame can be made
	Foreign = "foreign" // another unit answers in its place
	Known   = "known"   // a device of the site, not asked
)

// Found is one unit.
type Found struct {
	Setting Setting
	Unit    uint8
	How     string
	// Device is its name in the site, for Known.
	Device string
	// Hint says what garbled and foreign answers may come of.
	Hint phrase.Message
	// Matches are the profiles that fit, the likeliest first.
	Matches []Match
	// Identity is what it says of itself; nil where it says nothing.
	Identity *Identity
	// Blocks are what a sweep read.
	Blocks []Block
}

// Open gives the line at a setting. The scan closes what it gets.
type Open func(context.Context, Setting) (drivers.Registers, error)

// likely is up to which unit every setting is tried before the rest: gauges ship
// with unit 1 or another small number.
const likely = 10

func (p *Plan) fill() {
	if len(p.Settings) == 0 {
		p.Settings = []Setting{{}}
	}
	if len(p.Units) == 0 {
		for u := 1; u <= 247; u++ {
			p.Units = append(p.Units, uint8(u))
		}
	}
	p.Units = slices.DeleteFunc(p.Units, func(u uint8) bool { return u < 1 || u > 247 })
	if p.Wait <= 0 {
		p.Wait = 150 * time.Millisecond
	}
	if len(p.Tables) == 0 {
		p.Tables = []drivers.Table{drivers.Holding, drivers.Input, drivers.Coil}
	}
}

// batch is some units at one setting.
type batch struct {
	setting Setting
	units   []uint8
}

// batches puts the small units of every setting before the rest.
func (p *Plan) batches() []batch {
	small, rest := []uint8{}, []uint8{}
	for _, u := range p.Units {
		if u <= likely {
			small = append(small, u)
		} else {
			rest = append(rest, u)
		}
	}
	var out []batch
	for _, us := range [][]uint8{small, rest} {
		for _, s := range p.Settings {
			if len(us) > 0 {
				out = append(out, batch{s, us})
			}
		}
	}
	return out
}

type scanner struct {
	Plan
	open        Open
	tell        func(Event) error
	done, total int
	perAsking   time.Duration
	told        time.Time
	found       []Found
}

// Run scans until everything was asked or ctx ends, which is its error then. tell
// is told of progress about five times a second, and of each find; its error
// ends the scan.
func Run(ctx context.Context, p Plan, open Open, tell func(Event) error) ([]Found, error) {
	p.fill()
	s := &scanner{Plan: p, open: open, tell: tell}
	bs := p.batches()
	for _, b := range bs {
		s.total += len(b.units)
	}
	for _, b := range bs {
		err := s.batch(ctx, b)
		if err != nil {
			return s.found, err
		}
		if p.First && s.any() {
			break
		}
	}
	return s.found, tell(Event{Kind: Done, Done: s.done, Total: s.total})
}

// any tells whether something was found that the site does not have.
func (s *scanner) any() bool {
	return slices.ContainsFunc(s.found, func(f Found) bool { return f.How == Answers || f.How == Refuses })
}

func (s *scanner) batch(ctx context.Context, b batch) error {
	bus, err := s.open(ctx, b.setting)
	if err != nil {
		return err
	}
	defer bus.Close()
	for _, u := range b.units {
		if err := s.progress(b.setting, u); err != nil {
			return err
		}
		s.done++
		if s.skip(b.setting, u) {
			continue
		}
		began := time.Now()
		f, err := s.unit(ctx, bus, b.setting, u)
		if err != nil {
			return err
		}
		if f == nil {
			s.perAsking = time.Since(began)
			continue
		}
		if err := s.hit(*f); err != nil {
			return err
		}
		if s.First && s.any() {
			break
		}
	}
	return settle(ctx, bus, s.Wait)
}

func (s *scanner) hit(f Found) error {
	s.found = append(s.found, f)
	return s.tell(Event{Kind: Hit, Setting: f.Setting, Unit: f.Unit, Done: s.done, Total: s.total, Found: &f})
}

func (s *scanner) progress(st Setting, u uint8) error {
	if time.Since(s.told) < 200*time.Millisecond {
		return nil
	}
	s.told = time.Now()
	return s.tell(Event{Kind: Progress, Setting: st, Unit: u, Done: s.done, Total: s.total, Left: time.Duration(s.total-s.done) * s.perAsking})
}

// skip tells whether a unit need not be asked: it is the site's, or it was found
// at this rate under another format already (a unit with 8N1 mostly understands
// 8N2 too).
func (s *scanner) skip(st Setting, u uint8) bool {
	if dev, ok := s.Known[u]; ok && st.Baud == s.Own.Baud {
		// Nor under another format: its late answer could be taken for that to
		// the site's own asking.
		if st == s.Own {
			s.hit(Found{Setting: st, Unit: u, How: Known, Device: dev})
		}
		return true
	}
	return slices.ContainsFunc(s.found, func(f Found) bool {
		return f.Unit == u && f.Setting.Baud == st.Baud && (f.How == Answers || f.How == Refuses || f.How == Known)
	})
}

// unit asks one unit; nil where nothing came.
func (s *scanner) unit(ctx context.Context, bus drivers.Registers, st Setting, u uint8) (*Found, error) {
	f := Found{Setting: st, Unit: u}
	for _, t := range s.Tables {
		how, hint, err := s.probe(ctx, bus, u, t)
		if err != nil {
			return nil, err
		}
		if how == "" {
			continue
		}
		f.How, f.Hint = how, hint
		if how != Answers && how != Refuses {
			return &f, nil
		}
		k := &reader{ctx: ctx, bus: bus, unit: u, wait: s.Wait, had: map[Range]result{}}
		if f.Matches, err = k.match(s.Profiles); err != nil {
			return nil, err
		}
		if s.Sweep {
			if f.Blocks, err = k.sweep(s.Ranges); err != nil {
				return &f, err
			}
			if len(f.Blocks) > 0 {
				f.How = Answers // it has registers, though it refused the first that it was asked for
			}
		}
		f.Identity, err = identify(ctx, bus, k)
		return &f, err
	}
	return nil, nil
}

// probe asks for the first entry of a table, and once more in another way where
// what came says nothing yet.
func (s *scanner) probe(ctx context.Context, bus drivers.Registers, u uint8, t drivers.Table) (how string, hint phrase.Message, err error) {
	first := ""
	for _, n := range []uint16{1, 2} { // another length: no owed answer fits it
		a, err := read(ctx, bus, s.Wait, u, t, 0, n)
		if ctx.Err() != nil {
			return "", hint, ctx.Err()
		}
		switch k := drivers.KindOf(err); {
		case err == nil && a.Doubt:
			continue // of an earlier asking, maybe
		case err == nil:
			return Answers, hint, nil
		case k == drivers.FaultRefused && behindGateway(err):
			return "", hint, nil
		case k == drivers.FaultRefused:
			return Refuses, hint, nil
		case k == drivers.FaultGone:
			return "", hint, err
		case k == drivers.FaultGarbled || k == drivers.FaultForeign:
			how, hint = Garbled, phrase.M("scan.garbled", "unit", u)
			if k == drivers.FaultForeign {
				how, hint = Foreign, phrase.M("scan.foreign", "unit", u)
			}
			if first == how {
				return how, hint, nil
			}
			first = how
		default:
			return "", phrase.Message{}, nil
		}
	}
	return "", phrase.Message{}, nil
}

// behindGateway tells the exceptions by which a gateway says that nobody is
// there (Modbus Application Protocol v1.1b3, section 7: codes 10 and 11).
func behindGateway(err error) bool {
	c := codeOf(err)
	return c == 10 || c == 11
}
