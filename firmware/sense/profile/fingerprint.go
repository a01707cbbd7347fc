package profile

import (
	"fmt"
	"math"

	"github.com/goccy/go-yaml/ast"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
)

// mostPrints bounds what a scan reads to know one profile.
const mostPrints = 4

// fingerprint reads "{read: holding 0x07D0, is: 1}", whose is may be a range
// "[0x0200, 0x0264]", or a list of them.
func (r *reader) fingerprint(n ast.Node, p *Profile) []Print {
	if n == nil {
		return nil
	}
	if p.Via != Modbus {
		r.at(n, phrase.M("profile.only_modbus", "key", "fingerprint"))
		return nil
	}
	all := []ast.Node{n}
	if _, many := n.(*ast.SequenceNode); many {
		all = r.list(n, "fingerprint")
	}
	if len(all) == 0 || len(all) > mostPrints {
		r.at(n, phrase.M("profile.table_length", "key", "fingerprint", "min", 1, "max", mostPrints))
		return nil
	}
	var out []Print
	for _, e := range all {
		k := r.object(e, "fingerprint", "!read", "!is")
		if k["read"] == nil || k["is"] == nil {
			return nil // told
		}
		var f Print
		if f.Table, f.Addr = r.register(k["read"], "read"); f.Table.Bits() {
			r.at(k["read"], phrase.M("profile.print_register"))
		}
		least, most := k["is"], k["is"]
		if l, two := k["is"].(*ast.SequenceNode); two {
			if len(l.Values) != 2 {
				r.at(k["is"], phrase.M("profile.bad_range"))
				return nil
			}
			least, most = l.Values[0], l.Values[1]
		}
		f.Min, f.Max = uint16(r.whole(least, "is", 0, 0, math.MaxUint16)), uint16(r.whole(most, "is", 0, 0, math.MaxUint16))
		if f.Min > f.Max || f.Min == 0 && f.Max == math.MaxUint16 {
			r.at(k["is"], phrase.M("profile.bad_range"))
		}
		out = append(out, f)
	}
	return out
}

// String is a print as a profile has it: "holding 0x0000 = 0x0200…0x0264".
func (f Print) String() string {
	s := f.Table.String() + " " + hex4(f.Addr) + " = " + hex4(f.Min)
	if f.Max != f.Min {
		s += "…" + hex4(f.Max)
	}
	return s
}

// proveFingerprint holds what the proofs say against the fingerprint: each of its
// registers must be shown by one of them, and none may show it otherwise.
func (p *Profile) proveFingerprint() []Problem {
	var out []Problem
	for _, f := range p.Fingerprint {
		shown := false
		for _, d := range p.Proof {
			v, ok := d.register(f.Table, f.Addr)
			if !ok {
				continue
			}
			if shown = true; !f.Is(v) {
				out = append(out, Problem{File: p.Name + ".yaml", Line: d.line, Col: d.col, Message: phrase.M("profile.unproven", "why",
					phrase.M("profile.print_other", "print", f.String(), "got", fmt.Sprintf("0x%04X", v)))})
			}
		}
		if !shown {
			out = append(out, Problem{File: p.Name + ".yaml", Line: 1, Col: 1, Message: phrase.M("profile.no_proof", "point", "fingerprint ("+f.String()+")")})
		}
	}
	return out
}

// register gives what a recorded read of holding or input registers says of one.
func (d *Proof) register(t drivers.Table, addr uint16) (uint16, bool) {
	s, h := d.Sent, d.Heard
	if len(s) != 8 || len(h) < 5 || s[1] != map[drivers.Table]byte{drivers.Holding: 3, drivers.Input: 4}[t] || h[1] != s[1] || int(h[2]) != len(h)-5 {
		return 0, false
	}
	i := 3 + 2*(int(addr)-(int(s[2])<<8|int(s[3])))
	if i < 3 || i+2 > len(h)-2 {
		return 0, false
	}
	return uint16(h[i])<<8 | uint16(h[i+1]), true
}
