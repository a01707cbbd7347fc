package sdi12

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// announced is the answer to a command that starts a measurement.
type announced struct {
	ready  time.Duration // how long until the values are ready at the latest
	values int
}

// parseStart reads "atttn" (M) or "atttnn" (C): sections 4.4.6 and 4.4.7.
func parseStart(line string, concurrent bool) (announced, error) {
	want := 5
	if concurrent {
		want = 6
	}
	if len(line) != want {
		return announced{}, fmt.Errorf("%q is not %d characters", line, want)
	}
	for _, c := range []byte(line[1:]) {
		if c < '0' || c > '9' {
			return announced{}, fmt.Errorf("%q is not all digits", line)
		}
	}
	s, _ := strconv.Atoi(line[1:4])
	n, _ := strconv.Atoi(line[4:])
	return announced{time.Duration(s) * time.Second, n}, nil
}

// Values cuts the values of a data answer without its address: each has its sign,
// at most seven digits and at most one point (section 4.4.8, table 5). none is
// no error here.
func Values(s string) ([]float64, error) {
	var out []float64
	for s != "" {
		if s[0] != '+' && s[0] != '-' {
			return nil, fmt.Errorf("%.20q begins with no sign", s)
		}
		end := strings.IndexAny(s[1:], "+-") + 1
		if end == 0 {
			end = len(s)
		}
		v := s[:end]
		digits, points := 0, 0
		for _, c := range []byte(v[1:]) {
			switch {
			case c >= '0' && c <= '9':
				digits++
			case c == '.':
				points++
			default:
				return nil, fmt.Errorf("%.20q is no value", v)
			}
		}
		f, err := strconv.ParseFloat(v, 64)
		if digits < 1 || digits > 7 || points > 1 || err != nil {
			return nil, fmt.Errorf("%.20q is no value", v)
		}
		out = append(out, f)
		s = s[end:]
	}
	return out, nil
}

// CRC gives the three characters that end an answer with CRC (section 4.4.12):
// CRC-16 with the polynomial 0xA001, begun at 0, six bits a character.
func CRC(s string) string {
	c := uint16(0)
	for _, b := range []byte(s) {
		c ^= uint16(b)
		for range 8 {
			if c&1 == 1 {
				c = c>>1 ^ 0xA001
			} else {
				c >>= 1
			}
		}
	}
	return string([]byte{0x40 | byte(c>>12), 0x40 | byte(c>>6&0x3F), 0x40 | byte(c&0x3F)})
}

// checked takes the CRC off a data answer.
func checked(line string) (string, error) {
	if len(line) < 4 {
		return "", fmt.Errorf("%q has no CRC", line)
	}
	body, crc := line[:len(line)-3], line[len(line)-3:]
	if want := CRC(body); crc != want {
		return "", fmt.Errorf("%q has the CRC %q, reckoned %q", line, crc, want)
	}
	return body, nil
}

// Identity is what a probe says of itself (aI!, section 4.4.4).
type Identity struct {
	// Version is the SDI-12 version, e.g. "14" for 1.4.
	Version, Vendor, Model, Firmware, Serial string
}

func parseIdentity(line string) (Identity, error) {
	if len(line) < 20 || len(line) > 33 {
		return Identity{}, fmt.Errorf("%q is not 20 to 33 characters", line)
	}
	cut := func(a, b int) string { return strings.TrimSpace(line[a:b]) }
	return Identity{cut(1, 3), cut(3, 11), cut(11, 17), cut(17, 20), cut(20, len(line))}, nil
}

// Address tells whether a character may be a probe's address (section 4.3.1, and
// the software-changeable ones).
func Address(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z'
}

// command is a parsed measurement command: M, M1, MC, MC1, C, CC, R0, RC0.
type command struct {
	word       string
	letter     byte // M, C or R
	crc        bool
	concurrent bool
}

func parseCommand(s string) (command, error) {
	c := command{word: s}
	rest := s
	if rest == "" || !strings.ContainsRune("MCR", rune(rest[0])) {
		return c, fmt.Errorf("%q is no command that measures", s)
	}
	c.letter, rest = rest[0], rest[1:]
	c.concurrent = c.letter == 'C'
	if strings.HasPrefix(rest, "C") {
		c.crc, rest = true, rest[1:]
	}
	switch {
	case rest == "" && c.letter != 'R':
	case len(rest) == 1 && rest[0] >= '1' && rest[0] <= '9', rest == "0" && c.letter == 'R':
	default:
		return c, fmt.Errorf("%q is no command that measures", s)
	}
	return c, nil
}
