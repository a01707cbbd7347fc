package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// Bounds on what one profile may ask for.
const (
	mostBytes  = 32 << 10
	mostDepth  = 16 // of brackets; the parser's time grows with its square
	mostPoints = 256
)

// Load reads profiles/<name>.yaml of a file system and parses it. A file that
// cannot be read is a Problem too.
func Load(fsys fs.FS, name string) (*Profile, []Problem) {
	file := path.Join("profiles", name+".yaml")
	b, err := fs.ReadFile(fsys, file)
	if err != nil {
		return nil, []Problem{{File: file, Message: phrase.M("profile.no_file", "name", name, "known", strings.Join(Names(fsys), ", "))}}
	}
	return Parse(file, b)
}

// Names lists the profiles of a file system, sorted.
func Names(fsys fs.FS) []string {
	files, _ := fs.Glob(fsys, "profiles/*.yaml")
	for i, f := range files {
		files[i] = strings.TrimSuffix(path.Base(f), ".yaml")
	}
	return files
}

// Parse reads a profile and checks all of it but its proof (see Prove). The
// profile is nil where there is any problem.
func Parse(file string, b []byte) (_ *Profile, problems []Problem) {
	r := &reader{file: file}
	// The YAML library has panicked on broken input before; a profile may be
	// uploaded, so its fault must stay a message.
	defer func() {
		if e := recover(); e != nil {
			problems = []Problem{{File: file, Line: 1, Col: 1, Message: phrase.M("profile.syntax", "text", fmt.Sprint(e))}}
		}
	}()
	if len(b) > mostBytes {
		r.note(1, 1, phrase.M("profile.too_big", "bytes", len(b), "most", mostBytes))
		return nil, r.problems
	}
	if depth(b) > mostDepth {
		r.note(1, 1, phrase.M("profile.too_deep", "most", mostDepth))
		return nil, r.problems
	}
	f, err := parser.ParseBytes(b, 0)
	if err != nil {
		r.syntax(err)
		return nil, r.problems
	}
	if len(f.Docs) != 1 || f.Docs[0].Body == nil {
		r.note(1, 1, phrase.M("profile.empty"))
		return nil, r.problems
	}
	p := r.profile(f.Docs[0].Body)
	if len(r.problems) == 0 {
		r.check(p)
	}
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return p, nil
}

// depth gives how many brackets are open at once at most, wherever they stand.
func depth(b []byte) int {
	open, most := 0, 0
	for _, c := range b {
		switch c {
		case '[', '{':
			open++
			most = max(most, open)
		case ']', '}':
			open = max(0, open-1)
		}
	}
	return most
}

func (r *reader) syntax(err error) {
	line, col, text := 1, 1, err.Error()
	var y yaml.Error
	if errors.As(err, &y) {
		text = y.GetMessage()
		if t := y.GetToken(); t != nil && t.Position != nil {
			line, col = t.Position.Line, t.Position.Column
		}
	}
	r.note(line, col, phrase.M("profile.syntax", "text", text))
}

func (r *reader) profile(n ast.Node) *Profile {
	m := r.object(n, "profile", "!version", "!profile", "!name", "!manual", "!via", "line", "record", "chip", "options", "fingerprint", "points", "writes", "holes", "!proof")
	r.whole(m["version"], "version", 1, 1, 1)
	p := &Profile{
		Name: r.text(m["profile"], "profile"), Title: r.words(m["name"], "name"), Manual: r.text(m["manual"], "manual"),
		Via: Via(r.choice(m["via"], "via", "modbus", "text", "gpio", "sdi12", "nmea", "i2c", "onewire", "pulse")),
	}
	if file := strings.TrimSuffix(path.Base(r.file), ".yaml"); p.Name != file && m["profile"] != nil {
		r.at(m["profile"], phrase.M("profile.other_name", "got", p.Name, "want", file))
	}
	p.Line = r.line(m["line"])
	switch {
	case p.Via == Text && m["record"] == nil:
		r.at(n, phrase.M("profile.missing", "key", "record", "in", "profile"))
	case p.Via == Text:
		p.Record = r.record(m["record"])
	case m["record"] != nil:
		r.at(m["record"], phrase.M("profile.only_text", "key", "record"))
	}
	r.chip(m["chip"], m["options"], n, p)
	for _, h := range r.list(m["holes"], "holes") {
		p.Holes = append(p.Holes, r.hole(h))
	}
	p.Fingerprint = r.fingerprint(m["fingerprint"], p)
	for _, n := range r.list(m["points"], "points") {
		p.Points = append(p.Points, r.points(n, p)...)
	}
	for _, n := range r.list(m["writes"], "writes") {
		p.Writes = append(p.Writes, r.writes(n)...)
	}
	for _, n := range r.list(m["proof"], "proof") {
		p.Proof = append(p.Proof, r.proof(n, p))
	}
	if len(p.Points)+len(p.Writes) > mostPoints {
		r.at(n, phrase.M("profile.too_many", "most", mostPoints))
	}
	if len(p.Points)+len(p.Writes) == 0 && len(r.problems) == 0 {
		r.at(n, phrase.M("profile.missing", "key", "points", "in", "profile"))
	}
	if len(p.Proof) == 0 && len(r.problems) == 0 {
		r.at(n, phrase.M("profile.missing", "key", "proof", "in", "profile"))
	}
	return p
}

var format = regexp.MustCompile(`^[78][NEO][12]$`)

func (r *reader) line(n ast.Node) Line {
	l := Line{Baud: 9600, Format: "8N1", Turnaround: 20 * time.Millisecond, MaxRegisters: 32}
	if n == nil {
		return l
	}
	m := r.object(n, "line", "baud", "format", "turnaround", "gap", "timeout", "max_registers")
	l.Baud = int(r.whole(m["baud"], "baud", 9600, 300, 4_000_000))
	if m["format"] != nil {
		l.Format = r.text(m["format"], "format")
		if !format.MatchString(l.Format) {
			r.at(m["format"], phrase.M("profile.bad_format", "got", l.Format))
		}
	}
	l.Turnaround = r.span(m["turnaround"], "turnaround", l.Turnaround)
	l.Gap = r.span(m["gap"], "gap", 0)
	l.Timeout = r.span(m["timeout"], "timeout", 0)
	l.MaxRegisters = int(r.whole(m["max_registers"], "max_registers", 32, 1, mostRegisters))
	return l
}

func (r *reader) record(n ast.Node) *Record {
	m := r.object(n, "record", "!start", "separator", "!checksum", "!fields")
	c := &Record{Start: r.text(m["start"], "start"), Separator: ",", Checksum: r.choice(m["checksum"], "checksum", "none", "xor", "sum"),
		Fields: int(r.whole(m["fields"], "fields", 1, 1, 64))}
	if m["separator"] != nil {
		c.Separator = r.text(m["separator"], "separator")
	}
	if len(c.Separator) != 1 {
		r.at(m["separator"], phrase.M("profile.one_character", "key", "separator"))
	}
	return c
}

// register reads "holding 0x0000".
func (r *reader) register(n ast.Node, key string) (drivers.Table, uint16) {
	s := r.text(n, key)
	word, addr, _ := strings.Cut(s, " ")
	t, err := drivers.ParseTable(word)
	a, err2 := parseUint(strings.TrimSpace(addr))
	if err != nil || err2 != nil || a > math.MaxUint16 {
		r.at(n, phrase.M("profile.bad_register", "key", key, "got", s))
		return 0, 0
	}
	return t, uint16(a)
}

// hole reads "0x0010-0x001F", "0x0010" or "holding 0x0010-0x001F".
func (r *reader) hole(n ast.Node) Hole {
	s := r.text(n, "holes")
	var h Hole
	if word, rest, ok := strings.Cut(s, " "); ok {
		if t, err := drivers.ParseTable(word); err == nil {
			h.Table, s = t, rest
		}
	}
	lo, hi, two := strings.Cut(s, "-")
	if !two {
		hi = lo
	}
	a, err := parseUint(strings.TrimSpace(lo))
	b, err2 := parseUint(strings.TrimSpace(hi))
	if err != nil || err2 != nil || a > b || b > math.MaxUint16 {
		r.at(n, phrase.M("profile.bad_hole", "got", s))
		return Hole{}
	}
	h.From, h.To = uint16(a), uint16(b)
	return h
}

var idShape = regexp.MustCompile(`^[a-z0-9][a-z0-9_]{0,31}$`)

// ids reads id or ids; a list of ids makes one entry each, on the addresses
// that follow.
func (r *reader) ids(n ast.Node, m map[string]ast.Node) []string {
	var out []string
	add := func(n ast.Node) {
		id := r.text(n, "id")
		if !idShape.MatchString(id) {
			r.at(n, phrase.M("profile.bad_id", "got", id))
			return
		}
		out = append(out, id)
	}
	switch {
	case m["id"] != nil && m["ids"] != nil:
		r.at(m["ids"], phrase.M("profile.one_of", "a", "id", "b", "ids"))
	case m["id"] != nil:
		add(m["id"])
	case m["ids"] != nil:
		for _, k := range r.list(m["ids"], "ids") {
			add(k)
		}
	default:
		r.at(n, phrase.M("profile.missing", "key", "id", "in", "points"))
	}
	return out
}

// numbered puts {n} into a name that stands for several.
func numbered(t phrase.Text, n int) phrase.Text {
	s := strconv.Itoa(n)
	return phrase.Text{ZH: strings.ReplaceAll(t.ZH, "{n}", s), EN: strings.ReplaceAll(t.EN, "{n}", s)}
}

func (r *reader) points(n ast.Node, p *Profile) []Point {
	m := r.object(n, "points", "id", "ids", "!name", "!read", "type", "order", "length", "scale", "offset", "table", "unit", "range", "clamp", "rate", "jump", "stuck",
		"absent", "states", "status_of", "every", "priority", "counter", "used_for", "role")
	ids := r.ids(n, m)
	pt := Point{Name: r.words(m["name"], "name"), Bit: -1}
	pt.line, pt.col = where(n)
	if m["read"] != nil {
		r.place(m["read"], p, &pt)
	}
	natural := Uint16
	switch {
	case pt.half:
		natural = Uint8
	case p.Via == Text || p.Via.Named():
		natural = Number
	case p.Via == GPIO || pt.Table.Bits() || pt.Bit >= 0:
		natural = Bool
	}
	pt.Type = Type(r.choice(m["type"], "type", string(natural), string(Bool), string(Bits), string(Enum), string(Int8), string(Uint8), string(Int16), string(Uint16), string(Int32),
		string(Uint32), string(Int64), string(Uint64), string(Float16), string(Float32), string(Float64), string(BCD16), string(BCD32), string(BCD64), string(String), string(Number)))
	if p.Via.Named() {
		r.channelType(m["type"], &pt)
	} else if pt.half && pt.Type != Int8 && pt.Type != Uint8 {
		r.at(m["type"], phrase.M("profile.half_type", "type", string(pt.Type)))
	} else if (natural == Bool) != (pt.Type == Bool) || (p.Via == Text) != (pt.Type == Number || pt.Type == Enum && p.Via == Text) {
		r.at(m["type"], phrase.M("profile.type_misfit", "type", string(pt.Type), "read", r.text(m["read"], "read")))
	}
	pt.Order = Order(r.choice(m["order"], "order", string(ABCD), string(DCBA), string(BADC), string(CDAB)))
	r.stringOf(m, n, &pt)
	pt.Scale, pt.Offset = r.number(m["scale"], "scale", 1), r.number(m["offset"], "offset", 0)
	if pt.Scale == 0 || math.Abs(pt.Scale) > 1e12 || math.Abs(pt.Offset) > 1e12 {
		r.at(m["scale"], phrase.M("profile.bad_scale"))
	}
	pt.decimal = decimalOf(pt.Scale, pt.Offset)
	pt.Unit = r.unit(m["unit"], n, pt.Type)
	if m["range"] != nil {
		pt.Range = r.rangeOf(m["range"])
	}
	r.tableOf(m, &pt)
	r.clampOf(m["clamp"], &pt)
	pt.Rate = r.rate(m["rate"])
	pt.Jump = r.amount(m["jump"], "jump", pt.Unit, 0)
	pt.Stuck = r.span(m["stuck"], "stuck", 0)
	for _, a := range r.list(m["absent"], "absent") {
		pt.Absent = append(pt.Absent, r.whole(a, "absent", 0, 0, math.MaxUint64))
	}
	pt.States = r.states(m["states"], n, pt.Type)
	for _, s := range r.list(m["status_of"], "status_of") {
		pt.StatusOf = append(pt.StatusOf, r.text(s, "status_of"))
	}
	pt.Every = r.span(m["every"], "every", 10*time.Second)
	pt.Alarm = r.choice(m["priority"], "priority", "normal", "alarm") == "alarm"
	pt.Role = Role(r.choice(m["role"], "role", append([]string{""}, roles...)...))
	if c := m["counter"]; c != nil {
		pt.Counter = r.counter(c, m, &pt)
	}
	if p.Via.Named() {
		r.channelUnit(n, p, &pt)
	}
	if len(pt.States) > 0 && (pt.Scale != 1 || pt.Offset != 0) {
		r.at(m["states"], phrase.M("profile.bad_scale"))
	}
	out := make([]Point, 0, len(ids))
	for i, id := range ids {
		q := pt
		q.ID, q.Name = id, numbered(pt.Name, i+1)
		switch {
		case p.Via.Named():
			if i > 0 {
				r.at(m["ids"], phrase.M("profile.one_of", "a", "id", "b", "ids"))
			}
		case p.Via == Text:
			q.Field += i
		case p.Via == GPIO:
			q.Pin += i
		case pt.Bit >= 0:
			q.Bit += i
			if q.Bit > 15 {
				r.at(m["ids"], phrase.M("profile.past_end"))
			}
		default:
			if int(q.Addr)+i*pt.words() > math.MaxUint16 {
				r.at(m["ids"], phrase.M("profile.past_end"))
			}
			q.Addr += uint16(i * pt.words())
		}
		out = append(out, q)
	}
	return out
}

// place reads where a point is read: "holding 0x0000", "holding 0x0002.1" (a
// bit), "field 2", "pin 0".
func (r *reader) place(n ast.Node, p *Profile, pt *Point) {
	s := r.text(n, "read")
	if p.Via.Named() {
		r.channel(n, s, p, pt)
		return
	}
	switch p.Via {
	case Text, GPIO:
		word := map[Via]string{Text: "field", GPIO: "pin"}[p.Via]
		rest, ok := strings.CutPrefix(s, word+" ")
		v, err := strconv.ParseUint(strings.TrimSpace(rest), 10, 8)
		if !ok || err != nil || p.Via == Text && (v == 0 || p.Record != nil && int(v) > p.Record.Fields) {
			r.at(n, phrase.M("profile.bad_place", "got", s, "want", word+" 1"))
			return
		}
		if p.Via == Text {
			pt.Field = int(v)
		} else {
			pt.Pin = int(v)
		}
	default:
		reg, bit, has := strings.Cut(s, ".")
		if has {
			if bit == "high" || bit == "low" {
				pt.half, pt.High, bit = true, bit == "high", "0"
			}
			b, err := strconv.ParseUint(bit, 10, 8)
			if err != nil || b > 15 {
				r.at(n, phrase.M("profile.bad_register", "key", "read", "got", s))
				return
			}
			if !pt.half {
				pt.Bit = int(b)
			}
		}
		word, addr, _ := strings.Cut(reg, " ")
		t, err := drivers.ParseTable(word)
		a, err2 := parseUint(strings.TrimSpace(addr))
		if err != nil || err2 != nil || a > math.MaxUint16 || has && t.Bits() {
			r.at(n, phrase.M("profile.bad_register", "key", "read", "got", s))
			return
		}
		pt.Table, pt.Addr = t, uint16(a)
	}
}

func (r *reader) unit(n, owner ast.Node, t Type) point.Unit {
	if n == nil {
		switch t {
		case Bool:
			return "on/off"
		case Bits, Enum, String:
			return "1"
		}
		r.at(owner, phrase.M("profile.missing", "key", "unit", "in", "points"))
		return ""
	}
	u := point.Unit(r.text(n, "unit"))
	if !u.Known() {
		r.at(n, phrase.M("profile.unit_unknown", "unit", string(u)))
	}
	return u
}

func (r *reader) rangeOf(n ast.Node) *Range {
	l := r.list(n, "range")
	if len(l) != 2 {
		r.at(n, phrase.M("profile.bad_range"))
		return nil
	}
	g := &Range{Min: r.number(l[0], "range", 0), Max: r.number(l[1], "range", 0)}
	if g.Min >= g.Max {
		r.at(n, phrase.M("profile.bad_range"))
	}
	return g
}

// rate reads "8/min", "0.5/10s".
func (r *reader) rate(n ast.Node) *Rate {
	if n == nil {
		return nil
	}
	s := r.text(n, "rate")
	most, per, ok := strings.Cut(s, "/")
	f, err := strconv.ParseFloat(strings.TrimSpace(most), 64)
	per = strings.TrimSpace(per)
	switch per {
	case "min":
		per = "1m"
	case "s", "h", "m":
		per = "1" + per
	}
	d, err2 := point.ParseSpan(per)
	if !ok || err != nil || err2 != nil || !(f > 0) || math.IsInf(f, 0) || d <= 0 {
		r.at(n, phrase.M("profile.bad_rate", "got", s))
		return nil
	}
	return &Rate{Most: f, Per: d.Duration()}
}

// amount reads "0.2 mm" and gives it in unit u.
func (r *reader) amount(n ast.Node, key string, u point.Unit, absent float64) float64 {
	if n == nil {
		return absent
	}
	a, err := point.ParseAmount(r.text(n, key))
	if err == nil {
		var v float64
		if v, err = a.In(u); err == nil && v > 0 {
			return v
		}
	}
	r.at(n, phrase.M("profile.bad_amount", "key", key, "unit", string(u)))
	return absent
}

func (r *reader) states(n, owner ast.Node, t Type) []State {
	wants := t == Enum || t == Bits
	if n == nil {
		if wants {
			r.at(owner, phrase.M("profile.missing", "key", "states", "in", "points"))
		}
		return nil
	}
	if !wants && t != Bool {
		r.at(n, phrase.M("profile.states_misfit", "type", string(t)))
	}
	most := uint64(math.MaxUint16)
	if t == Bits {
		most = 15
	}
	var out []State
	for _, e := range r.entries(n, "states") {
		m := r.object(e.value, "states", "!zh", "!en", "makes")
		code, err := parseUint(e.key)
		if err != nil || code > most {
			r.at(e.at, phrase.M("profile.not_whole", "key", "states", "got", e.key, "min", 0, "max", most))
		}
		s := State{Code: uint16(code), Name: phrase.Text{ZH: r.text(m["zh"], "zh"), EN: r.text(m["en"], "en")}}
		if err := s.Makes.UnmarshalText([]byte(r.choice(m["makes"], "makes", "good", "suspect", "out_of_range", "sensor_fault"))); err != nil {
			s.Makes = point.SensorFault
		}
		if slices.ContainsFunc(out, func(o State) bool { return o.Code == s.Code }) {
			r.at(e.at, phrase.M("profile.twice", "key", e.key))
		}
		out = append(out, s)
	}
	return out
}

func (r *reader) writes(n ast.Node) []Write {
	m := r.object(n, "writes", "id", "ids", "!name", "!write", "confirm", "timed", "type", "order", "scale", "offset", "unit", "range", "states", "function", "fail_safe")
	ids := r.ids(n, m)
	w := Write{Name: r.words(m["name"], "name")}
	w.line, w.col = where(n)
	if m["write"] != nil {
		w.Table, w.Addr = r.register(m["write"], "write")
		if w.Table != drivers.Coil && w.Table != drivers.Holding && w.Table != 0 {
			r.at(m["write"], phrase.M("profile.write_coil"))
			return nil
		}
	}
	r.setting(n, m, &w)
	r.confirm(m["confirm"], &w)
	r.failSafe(m["fail_safe"], &w)
	if m["timed"] != nil && w.Setting != nil {
		r.at(m["timed"], phrase.M("profile.one_of", "a", "timed", "b", "type"))
	}
	if t := m["timed"]; t != nil {
		k := r.object(t, "timed", "!write", "!unit", "!longest")
		w.Timed = &Timed{Unit: r.span(k["unit"], "unit", 0), Longest: r.span(k["longest"], "longest", 0)}
		if k["write"] != nil {
			w.Timed.Table, w.Timed.Addr = r.register(k["write"], "write")
			if w.Timed.Table != drivers.Coil && w.Timed.Table != drivers.Holding && w.Timed.Table != 0 {
				r.at(k["write"], phrase.M("profile.write_coil"))
			}
		}
		if w.Timed.Unit <= 0 || w.Timed.Longest < w.Timed.Unit || w.Timed.Longest/max(1, w.Timed.Unit) > math.MaxUint16 {
			r.at(t, phrase.M("profile.bad_timed"))
		}
	}
	out := make([]Write, 0, len(ids))
	step := 1
	if w.Setting != nil {
		step = w.Setting.Words()
	}
	for i, id := range ids {
		v, i := w, i*step
		if last := i + step - 1; int(w.Addr)+last > math.MaxUint16 || w.Confirm != nil && int(w.Confirm.Addr)+last > math.MaxUint16 {
			r.at(n, phrase.M("profile.past_end"))
			break
		}
		v.ID, v.Name = id, numbered(w.Name, i/step+1)
		v.Addr += uint16(i)
		if w.Confirm != nil {
			c := *w.Confirm
			c.Addr += uint16(i)
			v.Confirm = &c
		}
		if w.Timed != nil {
			t := *w.Timed
			t.Addr += uint16(i)
			v.Timed = &t
		}
		out = append(out, v)
	}
	return out
}
