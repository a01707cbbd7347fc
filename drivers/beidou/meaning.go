package beidou

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tocsin/drivers"
)

// card is what the card in the terminal says of itself.
type card struct {
	number, broadcast string
	frequency         time.Duration
	level             int
	bits              int
}

// field gives a named field, empty where the sentence ends before it.
func field(names, values []string, name string) string {
	for i, n := range names {
		if n == name && i < len(values) {
			return strings.TrimSpace(values[i])
		}
	}
	return ""
}

// cardOf reads the card's sentence. present is false where the terminal says that
// it holds none.
func (p *Profile) cardOf(v []string) (c card, present bool, err error) {
	get := func(n string) string { return field(p.Card.Fields, v, n) }
	if c.number, err = number(get("number")); err != nil {
		return card{}, false, err
	}
	if c.number == "0" {
		return card{}, false, nil
	}
	if b, err := number(get("broadcast")); err == nil && b != "0" {
		c.broadcast = b
	}
	// Some terminals write 60.0.
	seconds, err := strconv.ParseFloat(get("frequency"), 64)
	if err != nil || !(seconds >= 0) || seconds > mostFrequency.Seconds() {
		return card{}, false, fmt.Errorf("the card's frequency is %q", get("frequency"))
	}
	c.frequency = time.Duration(seconds * float64(time.Second))
	if c.level, err = strconv.Atoi(get("level")); err != nil {
		return card{}, false, fmt.Errorf("the card's level is %q", get("level"))
	}
	if c.level == 0 && p.Card.LevelZero > 0 {
		c.level = p.Card.LevelZero
	}
	e := p.Card.Encrypted
	c.bits = p.bits(c.level, e != "" && get("encryption") == e)
	return c, true, nil
}

// number gives a card's number without leading zeros.
func number(s string) (string, error) {
	if s == "" || len(s) > 12 || strings.Trim(s, "0123456789") != "" {
		return "", fmt.Errorf("%.20q is no card's number", s)
	}
	if s = strings.TrimLeft(s, "0"); s == "" {
		s = "0"
	}
	return s, nil
}

// barsOf gives the bars of the best beam; beams is false where none is heard.
func (p *Profile) barsOf(v []string) (bars int, err error) {
	best, heard := 0, false
	see := func(s string) {
		if n, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil && n > 0 {
			heard, best = true, max(best, int(n))
		}
	}
	for i, n := range p.Signal.Fields {
		if n == "power" && i < len(v) {
			see(v[i])
		}
	}
	rest := v[min(len(v), len(p.Signal.Fields)):]
	for gi, g := range p.Signal.Groups {
		if len(rest) == 0 {
			return 0, fmt.Errorf("it ends before the beams")
		}
		n, err := strconv.Atoi(strings.TrimSpace(rest[0]))
		if rest = rest[1:]; err != nil || n < 0 || n > 64 {
			return 0, fmt.Errorf("%q beams", err)
		}
		each := g.Each
		if last := gi == len(p.Signal.Groups)-1; last && g.Shortest > 0 && len(rest) < n*g.Each {
			each = g.Shortest
		}
		if len(rest) < n*each {
			return 0, fmt.Errorf("%d beams and %d fields", n, len(rest))
		}
		for i := range n {
			if g.Power > 0 {
				see(rest[i*each+g.Power])
			}
		}
		rest = rest[n*each:]
	}
	if !heard {
		return 0, nil
	}
	for i, b := range p.Signal.Bars {
		if best >= b {
			bars = i + 1
		}
	}
	return max(bars, 1), nil
}

// said is what an outcome means: done, early (with wait), one of means, or
// refused.
type said struct {
	of   string
	word string
	code int
	wait time.Duration
}

func (p *Profile) outcomeOf(v []string) said {
	get := func(n string) string { return field(p.Outcome.Fields, v, n) }
	reason := get("reason")
	s := said{of: get("of"), word: "refused", wait: p.wait(get("wait"))}
	s.code, _ = strconv.Atoi(reason)
	done := get("done") == "Y"
	switch {
	case done && has(p.Outcome.DoneWith, reason) && get("frequency_ok") != "N":
		s.word = "done"
	case get("frequency_ok") == "N":
		s.word = "early"
	case p.Outcome.Reasons[reason] != "":
		s.word = p.Outcome.Reasons[reason]
	case s.wait > 0:
		s.word = "early"
	}
	return s
}

func has(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func (p *Profile) wait(s string) time.Duration {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 99999 {
		return 0
	}
	switch p.Outcome.Wait {
	case "hhss":
		return time.Duration(n/100)*time.Hour + time.Duration(n%100)*time.Second
	case "mmss":
		return time.Duration(n/100)*time.Minute + time.Duration(n%100)*time.Second
	}
	return time.Duration(n) * time.Second
}

// messageOf reads a sentence with a message. own is the card's broadcast number.
func (p *Profile) messageOf(r *ReceivePlan, v []string, own string, at time.Time) (m drivers.Incoming, err error) {
	get := func(n string) string { return field(r.Fields, v, n) }
	if m.From, err = number(get("from")); err != nil {
		return m, err
	}
	if to := get("to"); to != "" {
		if m.To, err = number(to); err != nil {
			return m, err
		}
	}
	if f := get(r.Broadcast.Field); f != "" {
		for _, is := range r.Broadcast.Is {
			m.Broadcast = m.Broadcast || f == is
			if is == "broadcast" && own != "" {
				n, err := number(f)
				m.Broadcast = m.Broadcast || err == nil && n == own
			}
		}
	}
	content := get("content")
	coding := ""
	for name, is := range r.Codings {
		if is == get("coding") {
			coding = name
		}
	}
	switch coding {
	case codeCoding, mixedCoding:
		if m.Bytes, err = p.bytesOf(content, coding); err != nil {
			return m, err
		}
	case hanziCoding:
		m.Bytes, m.GB2312 = []byte(content), true
	default:
		return m, fmt.Errorf("coding %.8q", get("coding"))
	}
	if len(m.Bytes) == 0 {
		return m, fmt.Errorf("it is empty")
	}
	m.At, m.Sent = at, nearest(ofDay(get("time"), r.Time), at)
	return m, nil
}

// bytesOf reads hex digits. A single one at the end is what a level's odd number
// of bits leaves, and must be zero.
func (p *Profile) bytesOf(s, coding string) ([]byte, error) {
	if coding == mixedCoding && len(s) >= len(p.Send.Lead) && strings.EqualFold(s[:len(p.Send.Lead)], p.Send.Lead) {
		s = s[len(p.Send.Lead):]
	}
	if len(s)%2 == 1 {
		if s[len(s)-1] != '0' {
			return nil, fmt.Errorf("%d hex digits", len(s))
		}
		s = s[:len(s)-1]
	}
	return hex.DecodeString(s)
}

// compose writes the sentence that sends b.
func (p *Profile) compose(variant, to, coding string, b []byte) string {
	content := strings.ToUpper(hex.EncodeToString(b))
	if coding == mixedCoding {
		content = p.Send.Lead + content
	}
	out := make([]string, 0, len(p.Send.Fields))
	for _, f := range p.orders()[variant] {
		switch f {
		case "to":
			f = fmt.Sprintf("%0*s", p.Send.Digits, to)
		case "coding":
			f = p.Send.Codings[coding]
		case "content":
			f = content
		}
		out = append(out, f)
	}
	return strings.Join(out, ",")
}

// ofDay reads hhmm or hhmmss[.ss] as the time since midnight; -1 where it is none.
func ofDay(s, as string) time.Duration {
	whole, _, _ := strings.Cut(s, ".")
	if as == "" || len(whole) != len(as) || strings.Trim(whole, "0123456789") != "" {
		return -1
	}
	n, _ := strconv.Atoi(whole)
	if len(as) == 4 {
		n *= 100
	}
	h, m, sec := n/10000, n/100%100, n%100
	if h > 23 || m > 59 || sec > 60 {
		return -1
	}
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(sec)*time.Second
}

// nearest gives the instant of a time of day that is nearest to at.
func nearest(of time.Duration, at time.Time) time.Time {
	if of < 0 {
		return time.Time{}
	}
	u := at.UTC()
	t := time.Date(u.Year(), u.Month(), u.Day(), 0, 0, 0, 0, time.UTC).Add(of)
	switch d := t.Sub(u); {
	case d > 12*time.Hour:
		t = t.AddDate(0, 0, -1)
	case d < -12*time.Hour:
		t = t.AddDate(0, 0, 1)
	}
	return t
}
