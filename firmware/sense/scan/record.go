package scan

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
)

// Exchange is a read and its answer as RTU frames.
type Exchange struct{ Sent, Heard []byte }

// Entry is one entry of a profile's proof.
type Entry struct {
	Exchange
	Values []profile.Value
}

// Record makes proof of exchanges, the newest last: for each read the newest
// answer, decoded by the profile. It refuses values that are none, or that the
// profile itself calls implausible: a proof must not enshrine a mistake.
func Record(p *profile.Profile, xs []Exchange) ([]Entry, error) {
	var out []Entry
	seen := map[string]bool{}
	for _, x := range slices.Backward(xs) {
		if seen[string(x.Sent)] {
			continue
		}
		vs := decode(p, x)
		if len(vs) == 0 {
			continue
		}
		seen[string(x.Sent)] = true
		for _, v := range vs {
			if err := plausible(v); err != nil {
				return nil, err
			}
		}
		out = append(out, Entry{x, vs})
	}
	slices.Reverse(out)
	for i := range p.Points {
		shown := slices.ContainsFunc(out, func(e Entry) bool {
			return slices.ContainsFunc(e.Values, func(v profile.Value) bool { return v.Index == i })
		})
		if !shown {
			return nil, phrase.E("scan.not_heard", "point", p.Points[i].ID)
		}
	}
	return out, nil
}

func plausible(v profile.Value) error {
	if v.Quality != point.Good {
		return phrase.E("scan.implausible", "point", v.Point, "why", v.Why)
	}
	if a := math.Abs(v.Value); a > 1e12 || a != 0 && a < 1e-12 {
		return phrase.E("scan.implausible", "point", v.Point, "why", phrase.M("scan.absurd", "value", v.Value))
	}
	return nil
}

// decode gives the values of an exchange that is a good read; nil where it is
// none or says nothing of the profile's points.
func decode(p *profile.Profile, x Exchange) []profile.Value {
	s, h := x.Sent, x.Heard
	if len(s) != 8 || len(h) < 5 || s[1] < 1 || s[1] > 4 || h[0] != s[0] || h[1] != s[1] || int(h[2]) != len(h)-5 || !sealed(s) || !sealed(h) {
		return nil
	}
	t := [...]drivers.Table{0, drivers.Coil, drivers.Discrete, drivers.Holding, drivers.Input}[s[1]]
	q := profile.Request{Table: t, Addr: uint16(s[2])<<8 | uint16(s[3]), Count: uint16(s[4])<<8 | uint16(s[5])}
	for i := range p.Points {
		if pt := &p.Points[i]; pt.Table == t && pt.Addr >= q.Addr && int(pt.Addr) < int(q.Addr)+int(q.Count) {
			q.Points = append(q.Points, i)
		}
	}
	vs := p.Decode(q, h[3:len(h)-2])
	// What lies half beyond the answer is another read's.
	return slices.DeleteFunc(vs, func(v profile.Value) bool { return v.Quality == point.CommFault })
}

func sealed(b []byte) bool {
	n := len(b) - 2
	return n >= 2 && profile.CRC(b[:n]) == uint16(b[n])|uint16(b[n+1])<<8
}

// YAML writes entries as they stand under proof:.
func YAML(es []Entry, indent string) string {
	var b strings.Builder
	for _, e := range es {
		fmt.Fprintf(&b, "%s- sent: % X\n%s  heard: % X\n%s  gives: {", indent, e.Sent, indent, e.Heard, indent)
		for i, v := range e.Values {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(v.Point + ": " + strconv.FormatFloat(v.Value, 'g', -1, 64))
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// Add writes entries into a profile's text, at the end of its proof, and proves
// the whole again.
func Add(name string, text []byte, es []Entry) ([]byte, error) {
	lines := strings.SplitAfter(strings.TrimRight(string(text), "\n")+"\n", "\n")
	at := slices.IndexFunc(lines, func(l string) bool { return strings.TrimRight(l, " \r\n") == "proof:" })
	if at < 0 {
		return nil, phrase.E("scan.no_proof_key", "profile", name)
	}
	indent, end := "  ", at+1
	for ; end < len(lines); end++ {
		l := lines[end]
		if trimmed := strings.TrimLeft(l, " "); strings.HasPrefix(trimmed, "- ") && end == at+1 {
			indent = l[:len(l)-len(trimmed)]
		} else if l != "" && l[0] != ' ' && l[0] != '-' && l[0] != '#' && strings.TrimSpace(l) != "" {
			break // the next key
		}
	}
	for end > at+1 && strings.TrimSpace(lines[end-1]) == "" {
		end--
	}
	var b bytes.Buffer
	b.WriteString(strings.Join(lines[:end], ""))
	b.WriteString(YAML(es, indent))
	b.WriteString(strings.Join(lines[end:], ""))
	return b.Bytes(), proven(name, b.Bytes())
}

// proven holds a profile's text against all that a profile must be.
func proven(name string, text []byte) error {
	p, problems := profile.Parse(name+".yaml", text)
	if p != nil {
		problems = p.Prove()
	}
	for _, x := range problems {
		return phrase.E("scan.unproven", "problem", phrase.Text{ZH: x.In(phrase.ZH), EN: x.In(phrase.EN)})
	}
	return nil
}
