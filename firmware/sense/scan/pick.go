package scan

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
)

// Pick is a register that a person takes for a quantity.
type Pick struct {
	ID       string
	Table    drivers.Table
	Addr     uint16
	Type     profile.Type
	Order    profile.Order
	Scale    float64
	Unit     point.Unit
	Min, Max *float64
}

var (
	pickID   = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	pickMost = 300 // characters
)

// ParsePick reads a pick: "level=holding 0x0002 float32 CDAB x0.001 m 0..20".
// Table and address come first; type (uint16 unless told), order (ABCD), scale
// and range may be left out and may stand in any order. The unit must be there,
// except for single bits.
func ParsePick(s string) (Pick, error) {
	bad := phrase.E("scan.bad_pick", "pick", s)
	p := Pick{Type: profile.Uint16, Order: profile.ABCD, Scale: 1}
	id, rest, ok := strings.Cut(s, "=")
	w := strings.Fields(rest)
	p.ID = strings.TrimSpace(id)
	if !ok || len(s) > pickMost || len(w) < 2 || !pickID.MatchString(p.ID) {
		return p, bad
	}
	t, err := drivers.ParseTable(w[0])
	a, err2 := strconv.ParseUint(w[1], 0, 16)
	if err != nil || err2 != nil {
		return p, bad
	}
	p.Table, p.Addr = t, uint16(a)
	if t.Bits() {
		p.Type, p.Unit = profile.Bool, "on/off"
	}
	for _, x := range w[2:] {
		switch {
		case words(profile.Type(x)) > 0 && !t.Bits():
			p.Type = profile.Type(x)
		case slices.Contains(Orders[:], profile.Order(x)):
			p.Order = profile.Order(x)
		case point.Unit(x).Known():
			p.Unit = point.Unit(x)
		default:
			if err := p.rest(x); err != nil {
				return p, bad
			}
		}
	}
	if p.Unit == "" {
		return p, phrase.E("scan.pick_unit", "pick", s)
	}
	return p, nil
}

// rest reads "x0.001" or "0..20".
func (p *Pick) rest(x string) error {
	if s, ok := strings.CutPrefix(x, "x"); ok {
		f, err := strconv.ParseFloat(s, 64)
		if err == nil && f == 0 {
			err = strconv.ErrRange
		}
		p.Scale = f
		return err
	}
	lo, hi, ok := strings.Cut(x, "..")
	a, err := strconv.ParseFloat(lo, 64)
	b, err2 := strconv.ParseFloat(hi, 64)
	if !ok || err != nil || err2 != nil || a >= b {
		return strconv.ErrSyntax
	}
	p.Min, p.Max = &a, &b
	return nil
}

// words gives how many registers a type takes; 0 for what is not of registers.
func words(t profile.Type) int {
	switch t {
	case profile.Int16, profile.Uint16:
		return 1
	case profile.Int32, profile.Uint32, profile.Float32:
		return 2
	case profile.Int64, profile.Uint64, profile.Float64:
		return 4
	}
	return 0
}

// Range gives what to read for the pick.
func (p Pick) Range() Range { return Range{p.Table, p.Addr, max(1, words(p.Type))} }

// Skeleton writes a new profile of what was picked, with the sweep's own answers
// for its proof, and proves it. It refuses values that are not plausible. date is
// when it was read.
func Skeleton(name string, f Found, picks []Pick, date time.Time) ([]byte, []Entry, error) {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,60}$`).MatchString(name) {
		return nil, nil, phrase.E("scan.bad_name", "name", name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Found by a scan and picked by a person: compare it with the maker's table before\n# anything depends on it.\n"+
		"version: 1\nprofile: %s\nname: {zh: %s, en: %s}\nmanual: \"none; read from the device on %s\"\nvia: modbus\n", name, name, name, date.Format(time.DateOnly))
	if f.Setting.Baud > 0 {
		fmt.Fprintf(&b, "line: {baud: %d, format: %s}\n", f.Setting.Baud, f.Setting.Format)
	}
	b.WriteString("points:\n")
	var xs []Exchange
	for _, p := range picks {
		fmt.Fprintf(&b, "  - id: %s\n    name: {zh: %s, en: %s}\n    read: %s 0x%04X\n", p.ID, p.ID, p.ID, p.Table, p.Addr)
		if !p.Table.Bits() {
			fmt.Fprintf(&b, "    type: %s\n", p.Type)
			if words(p.Type) > 1 {
				fmt.Fprintf(&b, "    order: %s\n", p.Order)
			}
			if p.Scale != 1 {
				fmt.Fprintf(&b, "    scale: %s\n", number(p.Scale))
			}
			fmt.Fprintf(&b, "    unit: %q\n", string(p.Unit))
			if p.Min != nil {
				fmt.Fprintf(&b, "    range: [%s, %s]\n", number(*p.Min), number(*p.Max))
			}
		}
		b.WriteString("    every: 5s\n")
		i := slices.IndexFunc(f.Blocks, func(k Block) bool { return k.Table == p.Table && k.Addr == p.Addr && len(k.Words) == p.Range().Count })
		if i < 0 {
			return nil, nil, phrase.E("scan.not_heard", "point", p.ID)
		}
		xs = append(xs, Exchange{f.Blocks[i].Sent, f.Blocks[i].Heard})
	}
	// A profile without proof is none: the frames are decoded by a draft whose
	// proof is still to come.
	draft, err := Draft(name, b.String())
	if err != nil {
		return nil, nil, err
	}
	es, err := Record(draft, xs)
	if err != nil {
		return nil, nil, err
	}
	text := []byte(b.String() + "proof:\n" + YAML(es, "  "))
	return text, es, proven(name, text)
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// Draft parses a profile whose proof is not there yet. Nothing may run on it.
func Draft(name, text string) (*profile.Profile, error) {
	stand := "proof:\n  - {sent: \"01 03 00 00 00 01 84 0A\", heard: \"01 03 02 00 07 F9 86\", gives: {}}\n"
	p, problems := profile.Parse(name+".yaml", []byte(text+stand))
	for _, x := range problems {
		return nil, phrase.E("scan.unproven", "problem", phrase.Text{ZH: x.In(phrase.ZH), EN: x.In(phrase.EN)})
	}
	p.Proof = nil
	return p, nil
}
