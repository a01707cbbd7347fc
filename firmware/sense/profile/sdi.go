package profile

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"tocsin/drivers"
)

// The commands that measure (SDI-12 v1.4, section 4.4): M and C with their
// additional ones, with and without CRC, and continuous R0 to R9.
var (
	sdiCommand = regexp.MustCompile(`^(MC?[1-9]?|CC?[1-9]?|RC?[0-9])$`)
	sdiChannel = regexp.MustCompile(`^(MC?[1-9]?|CC?[1-9]?|RC?[0-9])\.[1-9][0-9]?$`)
	sdiValue   = regexp.MustCompile(`^[+-](\d{0,7}\.\d{0,7}|\d{1,7})`)
)

// commandOf gives the command of a channel such as "M1.2".
func commandOf(channel string) string {
	c, _, _ := strings.Cut(channel, ".")
	return c
}

// Commands are the SDI-12 commands that the points need, in order, each once.
func (p *Profile) Commands() []string {
	var out []string
	seen := map[string]bool{}
	for i := range p.Points {
		if c := commandOf(p.Points[i].Channel); !seen[c] {
			seen[c] = true
			out = append(out, c)
		}
	}
	return out
}

// cutAnswers gives the values of the answers to a command's D commands, written
// one after the other with blanks between: "0+3.14OqZ 0-2.5…". A driver must
// follow the same rules; the proof uses these.
func cutAnswers(command, text string) ([]drivers.Sample, error) {
	if len(text) > 1024 {
		return nil, errors.New("longer than 1024 bytes")
	}
	var out []drivers.Sample
	withCRC := strings.HasPrefix(command, "MC") || strings.HasPrefix(command, "CC") || strings.HasPrefix(command, "RC")
	address := byte(0)
	for _, a := range strings.Fields(text) {
		if withCRC {
			if len(a) < 4 {
				return nil, fmt.Errorf("%q has no CRC", a)
			}
			body, crc := a[:len(a)-3], a[len(a)-3:]
			if want := sdiCRC(body); crc != want {
				return nil, fmt.Errorf("the CRC of %q is %s, reckoned %s", a, crc, want)
			}
			a = body
		}
		if address == 0 {
			address = a[0]
		}
		if a[0] != address {
			return nil, fmt.Errorf("%q is of another address", a)
		}
		for rest := a[1:]; rest != ""; {
			v := sdiValue.FindString(rest)
			if digits := len(v) - strings.Count(v, ".") - 1; digits < 1 || digits > 7 {
				return nil, fmt.Errorf("%q is no value with its sign", rest)
			}
			f, err := strconv.ParseFloat(v, 64)
			if err != nil {
				return nil, err
			}
			out = append(out, drivers.Sample{Channel: fmt.Sprintf("%s.%d", command, len(out)+1), Value: f})
			rest = rest[len(v):]
		}
	}
	return out, nil
}

// sdiCRC is the CRC in its three printable characters (SDI-12 v1.4, sections
// 4.4.12.1 and 4.4.12.2).
func sdiCRC(s string) string {
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
