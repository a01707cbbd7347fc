package profile

import (
	"slices"
	"strings"

	"tocsin/firmware/phrase"
)

// check holds the whole against itself: what one entry alone cannot show.
func (r *reader) check(p *Profile) {
	seen := map[string]bool{}
	for i := range p.Points {
		pt := &p.Points[i]
		if seen[pt.ID] {
			r.note(pt.line, pt.col, phrase.M("profile.twice", "key", pt.ID))
		}
		seen[pt.ID] = true
	}
	// Writes have names of their own: relay.1 is switched, and may be read too.
	wrote := map[string]bool{}
	for i := range p.Writes {
		w := &p.Writes[i]
		if wrote[w.ID] {
			r.note(w.line, w.col, phrase.M("profile.twice", "key", w.ID))
		}
		wrote[w.ID] = true
	}
	if p.Via != Modbus {
		for _, w := range p.Writes {
			r.note(w.line, w.col, phrase.M("profile.write_coil"))
		}
	}
	for i := range p.Points {
		pt := &p.Points[i]
		for _, id := range pt.StatusOf {
			o, ok := p.Point(id)
			switch {
			case !ok || id == pt.ID:
				r.note(pt.line, pt.col, phrase.M("profile.no_point", "point", id, "known", strings.Join(p.ids(), ", ")))
			case p.Via == Modbus && o.Table != pt.Table:
				r.note(pt.line, pt.col, phrase.M("profile.status_apart", "status", pt.ID, "point", id))
			}
		}
		if len(pt.StatusOf) > 0 && len(pt.States) == 0 {
			r.note(pt.line, pt.col, phrase.M("profile.missing", "key", "states", "in", pt.ID))
		}
	}
	if p.Via == Modbus {
		r.registers(p)
	}
	for _, d := range p.Proof {
		for id := range d.Gives {
			if _, ok := p.Point(id); !ok {
				r.note(d.line, d.col, phrase.M("profile.no_point", "point", id, "known", strings.Join(p.ids(), ", ")))
			}
		}
		if d.Does != nil {
			if _, ok := p.Write(d.Does.Write); !ok {
				r.note(d.line, d.col, phrase.M("profile.no_point", "point", d.Does.Write, "known", strings.Join(p.writeIDs(), ", ")))
			}
		}
	}
}

func (r *reader) registers(p *Profile) {
	for i := range p.Points {
		a := &p.Points[i]
		last := int(a.Addr) + a.words() - 1
		if last > 0xFFFF {
			r.note(a.line, a.col, phrase.M("profile.past_end"))
			continue
		}
		if p.inHole(a.Table, int(a.Addr), last) {
			r.note(a.line, a.col, phrase.M("profile.in_hole", "point", a.ID))
		}
		if a.words() > p.most(a.Table) {
			r.note(a.line, a.col, phrase.M("profile.too_long", "point", a.ID, "most", p.Line.MaxRegisters))
		}
		for j := range i {
			b := &p.Points[j]
			if a.Table != b.Table || int(a.Addr) >= int(b.Addr)+b.words() || int(b.Addr) >= int(a.Addr)+a.words() {
				continue
			}
			if !sharable(a, b) {
				r.note(a.line, a.col, phrase.M("profile.same_register", "a", b.ID, "b", a.ID, "register", a.Table.String()+" "+hex4(max(a.Addr, b.Addr)),
					"type_a", string(b.Type), "type_b", string(a.Type)))
			}
		}
	}
	if len(r.problems) > 0 {
		return
	}
	covered := map[int]bool{}
	for _, q := range p.Plan() {
		for _, i := range q.Points {
			covered[i] = true
		}
	}
	for i := range p.Points {
		if !covered[i] {
			r.note(p.Points[i].line, p.Points[i].col, phrase.M("profile.status_far", "point", p.Points[i].ID, "most", p.Line.MaxRegisters))
		}
	}
}

// sharable tells whether two points may read one register: the same value in
// the same type, or words whose bits are looked at one by one.
func sharable(a, b *Point) bool {
	bitwise := func(p *Point) bool {
		return !p.Table.Bits() && (p.Type == Bool || p.Type == Bits || p.Type == Enum || p.Type == Int8 || p.Type == Uint8)
	}
	if bitwise(a) && bitwise(b) {
		return true
	}
	return a.Addr == b.Addr && a.Type == b.Type && a.Order == b.Order && a.Length == b.Length
}

func hex4(a uint16) string {
	const d = "0123456789ABCDEF"
	return string([]byte{'0', 'x', d[a>>12], d[a>>8&15], d[a>>4&15], d[a&15]})
}

func (p *Profile) ids() []string {
	var s []string
	for i := range p.Points {
		s = append(s, p.Points[i].ID)
	}
	slices.Sort(s)
	return s
}

func (p *Profile) writeIDs() []string {
	var s []string
	for i := range p.Writes {
		s = append(s, p.Writes[i].ID)
	}
	slices.Sort(s)
	return s
}
