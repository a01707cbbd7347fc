package profile

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

func (r *reader) proof(n ast.Node, p *Profile) Proof {
	m := r.object(n, "proof", "sent", "heard", "level", "samples", "measure", "gives", "does", "note")
	var d Proof
	d.line, d.col = where(n)
	switch p.Via {
	case Modbus:
		d.Sent, d.Heard = r.frame(m["sent"], n, "sent"), r.frame(m["heard"], n, "heard")
	case Text:
		d.Text = r.text(m["heard"], "heard")
	case SDI12, NMEA, I2C, OneWire, Pulse:
		r.channelProof(m, n, p, &d)
	case GPIO:
		b := r.yes(m["level"], "level")
		d.Level = &b
	}
	if (m["gives"] == nil) == (m["does"] == nil) {
		r.at(n, phrase.M("profile.one_of", "a", "gives", "b", "does"))
	}
	if m["gives"] != nil {
		d.Gives = map[string]Given{}
		for _, e := range r.entries(m["gives"], "gives") {
			s := r.text(e.value, e.key)
			g := Given{Quality: point.Good}
			if pt, ok := p.Point(e.key); ok && pt.Type == String && g.Quality.UnmarshalText([]byte(s)) != nil {
				g.Text, g.Value = s, math.NaN()
			} else if g.Quality = point.Good; ok && pt.Type == String {
				r.given(e, s, &g)
			} else if f, err := strconv.ParseFloat(s, 64); err == nil {
				g.Value = f
			} else if s == "true" || s == "on" {
				g.Value = 1
			} else if s == "false" || s == "off" {
				g.Value = 0
			} else {
				r.given(e, s, &g)
			}
			d.Gives[e.key] = g
		}
	}
	if m["does"] != nil {
		k := r.object(m["does"], "does", "!write", "on", "value", "for")
		d.Does = &Does{Write: r.text(k["write"], "write"), For: r.span(k["for"], "for", 0)}
		d.Does.On, d.Does.Value = r.doesValue(k, m["does"])
	}
	return d
}

// given reads a quality's code.
func (r *reader) given(e entry, s string, g *Given) {
	if err := g.Quality.UnmarshalText([]byte(s)); err != nil || g.Quality == point.Good {
		r.at(e.value, phrase.M("profile.bad_given", "got", s))
	}
}

func (r *reader) frame(n, owner ast.Node, key string) []byte {
	if n == nil {
		r.at(owner, phrase.M("profile.missing", "key", key, "in", "proof"))
		return nil
	}
	s := r.text(n, key)
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil || len(b) < 4 || len(b) > 256 {
		r.at(n, phrase.M("profile.bad_frame", "key", key))
		return nil
	}
	if want := CRC(b[:len(b)-2]); b[len(b)-2] != byte(want) || b[len(b)-1] != byte(want>>8) {
		r.at(n, phrase.M("profile.bad_crc", "key", key, "want", fmt.Sprintf("%02X %02X", byte(want), byte(want>>8))))
	}
	return b
}

// CRC is the checksum of a Modbus RTU frame (Modbus over Serial Line v1.02,
// section 6.2.2); it is sent low byte first.
func CRC(b []byte) uint16 {
	c := uint16(0xFFFF)
	for _, x := range b {
		c ^= uint16(x)
		for range 8 {
			if c&1 == 1 {
				c = c>>1 ^ 0xA001
			} else {
				c >>= 1
			}
		}
	}
	return c
}

// Prove replays the profile's own recordings: each must give exactly what it
// says, every point must be shown good once, and every kind of write once.
func (p *Profile) Prove() []Problem {
	file := p.Name + ".yaml"
	var out []Problem
	fail := func(d Proof, err error) {
		out = append(out, Problem{File: file, Line: d.line, Col: d.col, Message: phrase.M("profile.unproven", "why", phrase.Text{ZH: phrase.In(err, phrase.ZH), EN: phrase.In(err, phrase.EN)})})
	}
	shown, done := map[string]bool{}, map[*Write]bool{}
	for _, d := range p.Proof {
		if d.Does != nil {
			w, err := p.proveWrite(d)
			if err != nil {
				fail(d, err)
			}
			if w != nil {
				done[w] = true
			}
			continue
		}
		vs, err := p.replay(d)
		if err == nil {
			err = p.same(vs, d.Gives)
		}
		if err != nil {
			fail(d, err)
			continue
		}
		for _, v := range vs {
			if v.Quality == point.Good {
				shown[v.Point] = true
			}
		}
	}
	for i := range p.Points {
		if pt := &p.Points[i]; !shown[pt.ID] {
			out = append(out, Problem{File: file, Line: pt.line, Col: pt.col, Message: phrase.M("profile.no_proof", "point", p.at(i))})
		}
	}
	out = append(out, p.proveFingerprint()...)
	for i := range p.Writes {
		w := &p.Writes[i]
		ok := false
		for o := range done { // entries made by one list of ids prove each other
			ok = ok || o.line == w.line
		}
		if !ok {
			out = append(out, Problem{File: file, Line: w.line, Col: w.col, Message: phrase.M("profile.no_proof", "point", w.ID)})
		}
	}
	return out
}

// replay decodes a recording as the line would.
func (p *Profile) replay(d Proof) ([]Value, error) {
	switch p.Via {
	case Text:
		f, err := p.Record.Cut(d.Text)
		if err != nil {
			return nil, err
		}
		return p.DecodeFields(f), nil
	case SDI12, NMEA, I2C, OneWire, Pulse:
		return p.replayChannels(d)
	case GPIO:
		return p.DecodePin(0, *d.Level), nil
	}
	s, h := d.Sent, d.Heard
	if len(s) != 8 || s[1] < 1 || s[1] > 4 {
		return nil, phrase.E("profile.proof_no_read")
	}
	// Function codes: Modbus Application Protocol v1.1b3, section 5.1.
	t := [...]drivers.Table{0, drivers.Coil, drivers.Discrete, drivers.Holding, drivers.Input}[s[1]]
	addr, count := uint16(s[2])<<8|uint16(s[3]), uint16(s[4])<<8|uint16(s[5])
	if h[0] != s[0] || h[1] != s[1] || int(h[2]) != len(h)-5 {
		return nil, phrase.E("profile.proof_no_answer")
	}
	req := Request{Table: t, Addr: addr, Count: count}
	for i := range p.Points {
		if pt := &p.Points[i]; pt.Table == t && pt.Addr >= addr && int(pt.Addr)+pt.words() <= int(addr)+int(count) {
			req.Points = append(req.Points, i)
		}
	}
	return p.Decode(req, h[3:len(h)-2]), nil
}

// same holds values against what the proof says they are.
func (p *Profile) same(vs []Value, want map[string]Given) error {
	if len(vs) != len(want) {
		return phrase.E("profile.proof_count", "got", len(vs), "want", len(want))
	}
	for _, v := range vs {
		g, ok := want[v.Point]
		if !ok {
			return phrase.E("profile.proof_unnamed", "point", p.at(v.Index))
		}
		if v.Quality != g.Quality {
			return phrase.E("profile.proof_other", "point", p.at(v.Index), "got", v.Quality.Message(), "want", g.Quality.Message())
		}
		if v.Text != g.Text {
			return phrase.E("profile.proof_other", "point", p.at(v.Index), "got", strconv.Quote(v.Text), "want", strconv.Quote(g.Text))
		}
		if g.Quality == point.Good && math.Abs(v.Value-g.Value) > 1e-9*max(1, math.Abs(g.Value)) {
			return phrase.E("profile.proof_other", "point", p.at(v.Index), "got", fmt.Sprint(v.Value), "want", fmt.Sprint(g.Value))
		}
	}
	return nil
}

// at names a point with the place that it is read from, as the maker's table
// has it: "level (holding 0x0015)".
func (p *Profile) at(i int) string { return p.Points[i].ID + " (" + p.Place(i) + ")" }

// Place is where a point is read: "holding 0x0015", "channel level", "field 2".
func (p *Profile) Place(i int) string {
	pt := &p.Points[i]
	place := ""
	switch {
	case pt.Channel != "":
		place = "channel " + pt.Channel
	case p.Via == Text:
		place = "field " + strconv.Itoa(pt.Field)
	case p.Via == GPIO:
		place = "pin " + strconv.Itoa(pt.Pin)
	default:
		place = pt.Table.String() + " " + hex4(pt.Addr)
		if pt.Bit >= 0 {
			place += "." + strconv.Itoa(pt.Bit)
		} else if pt.half {
			place += map[bool]string{true: ".high", false: ".low"}[pt.High]
		}
	}
	return place
}

func (p *Profile) proveWrite(d Proof) (*Write, error) {
	w, ok := p.Write(d.Does.Write)
	if !ok {
		return nil, phrase.E("profile.proof_no_write", "write", d.Does.Write)
	}
	if (w.Setting == nil) != (d.Does.Value == nil) || w.Setting != nil && d.Does.For > 0 {
		return w, phrase.E("profile.proof_set", "write", w.ID)
	}
	if w.Setting != nil {
		return w, w.proveSetting(d)
	}
	t, addr, value := w.Table, w.Addr, uint16(0)
	if d.Does.On {
		value = 0xFF00 // Modbus Application Protocol v1.1b3, section 6.5
	}
	if d.Does.For > 0 {
		if w.Timed == nil {
			return w, phrase.E("profile.proof_not_timed", "write", w.ID)
		}
		t, addr = w.Timed.Table, w.Timed.Addr
		value, _ = w.Timed.Value(d.Does.For)
	}
	fn := byte(5)
	if t == drivers.Holding {
		fn = 6
	}
	want := []byte{d.Sent[0], fn, byte(addr >> 8), byte(addr), byte(value >> 8), byte(value)}
	if !bytes.Equal(d.Sent[:len(d.Sent)-2], want) {
		return w, phrase.E("profile.proof_sends", "bytes", fmt.Sprintf("% X", want))
	}
	if !bytes.Equal(d.Sent, d.Heard) {
		return w, phrase.E("profile.proof_no_echo")
	}
	return w, nil
}

// proveSetting holds the frames of a set-point against what would be sent: by
// function 6, or by function 16 whose answer names address and count (Modbus
// Application Protocol v1.1b3, sections 6.6 and 6.12).
func (w *Write) proveSetting(d Proof) error {
	words, err := w.Setting.Encode(*d.Does.Value)
	if err != nil {
		return err
	}
	want := []byte{d.Sent[0], 6, byte(w.Addr >> 8), byte(w.Addr), byte(words[0] >> 8), byte(words[0])}
	echo := want
	if w.Setting.Multiple {
		want = []byte{d.Sent[0], 16, byte(w.Addr >> 8), byte(w.Addr), 0, byte(len(words)), byte(2 * len(words))}
		echo = bytes.Clone(want[:6])
		for _, x := range words {
			want = append(want, byte(x>>8), byte(x))
		}
	}
	if !bytes.Equal(d.Sent[:len(d.Sent)-2], want) {
		return phrase.E("profile.proof_sends", "bytes", fmt.Sprintf("% X", want))
	}
	if !bytes.Equal(d.Heard[:len(d.Heard)-2], echo) {
		return phrase.E("profile.proof_no_echo")
	}
	return nil
}

// Value gives what to write for a time, rounded up to the device's unit, and the
// time that the device will then count. Longer than Longest gives Longest.
func (t *Timed) Value(d time.Duration) (uint16, time.Duration) {
	d = min(max(d, t.Unit), t.Longest)
	n := (d + t.Unit - 1) / t.Unit
	n = min(n, t.Longest/t.Unit)
	return uint16(n), n * t.Unit
}

// Cut checks a line of text and cuts it into the fields after Start. It is the
// rule that a driver of text lines must follow too; the proof uses it.
func (c *Record) Cut(line string) ([]string, error) {
	line = strings.TrimRight(line, "\r\n")
	if len(line) > 512 {
		return nil, errors.New("longer than 512 bytes")
	}
	if c.Checksum != "none" {
		i := strings.LastIndexByte(line, '*')
		if i < 1 || len(line) != i+3 {
			return nil, errors.New("no checksum at its end")
		}
		want, err := strconv.ParseUint(line[i+1:], 16, 8)
		if err != nil {
			return nil, errors.New("its checksum is not two hex digits")
		}
		var got byte
		for _, b := range []byte(line[1:i]) {
			if c.Checksum == "xor" {
				got ^= b
			} else {
				got += b
			}
		}
		if got != byte(want) {
			return nil, fmt.Errorf("its checksum is %02X, reckoned %02X", want, got)
		}
		line = line[:i]
	}
	rest, ok := strings.CutPrefix(line, c.Start)
	if !ok {
		return nil, fmt.Errorf("it does not begin with %s", c.Start)
	}
	rest = strings.TrimPrefix(rest, c.Separator)
	f := strings.Split(rest, c.Separator)
	if len(f) != c.Fields {
		return nil, fmt.Errorf("it has %d fields, not %d", len(f), c.Fields)
	}
	return f, nil
}
