package cell

import (
	"encoding/hex"
	"errors"
	"strings"
	"time"
	"unicode/utf16"
)

// SMS is one message, or one part of a longer one.
type SMS struct {
	Number   string
	Data     []byte // 8-bit data
	Text     string // instead of Data
	Ref      byte   // of a part: the reference, how many parts, which (from 1)
	Of, Part byte
}

var errPDU = errors.New("no SMS-SUBMIT")

func swap(digits string) []byte {
	if len(digits)%2 == 1 {
		digits += "F"
	}
	var b []byte
	for i := 0; i < len(digits); i += 2 {
		x, _ := hex.DecodeString(string([]byte{digits[i+1], digits[i]}))
		b = append(b, x...)
	}
	return b
}

func unswap(b []byte, n int) string {
	var s strings.Builder
	for _, x := range b {
		s.WriteByte("0123456789*#abcF"[x&15])
		s.WriteByte("0123456789*#abcF"[x>>4])
	}
	return s.String()[:n]
}

// deliver writes SMS-DELIVER (3GPP TS 23.040, section 9.2.2.1) with an empty
// service centre before it.
func deliver(m SMS, at time.Time) string {
	first := byte(0x04)
	var header []byte
	if m.Of > 1 {
		first |= 0x40
		header = []byte{5, 0, 3, m.Ref, m.Of, m.Part}
	}
	digits := strings.TrimPrefix(m.Number, "+")
	b := append([]byte{0, first, byte(len(digits)), 0x91}, swap(digits)...)
	dcs, ud := byte(0x04), m.Data
	septets, plain := pack(m.Text)
	switch {
	case m.Text != "" && plain && m.Of < 2:
		u := at.UTC()
		b = append(append(b, 0, 0), swap(u.Format("060102150405")+"00")...)
		return strings.ToUpper(hex.EncodeToString(append(append(b, byte(len(m.Text))), septets...)))
	case m.Text != "":
		dcs, ud = 0x08, nil
		for _, u := range utf16.Encode([]rune(m.Text)) {
			ud = append(ud, byte(u>>8), byte(u))
		}
	}
	u := at.UTC()
	stamp := swap(u.Format("060102150405") + "00")
	b = append(append(b, 0, dcs), stamp...)
	b = append(b, byte(len(header)+len(ud)))
	return strings.ToUpper(hex.EncodeToString(append(append(b, header...), ud...)))
}

// gsm7 is the default alphabet as far as it is needed here: what stands at its
// ASCII place. @ is 0, $ is 2, _ is 17.
func gsm7(x byte) byte {
	switch x {
	case 0:
		return '@'
	case 2:
		return '$'
	case 17:
		return '_'
	}
	return x
}

// pack makes septets of letters, digits and the signs that stand at their ASCII
// place; false where there are others.
func pack(s string) (out []byte, ok bool) {
	out = make([]byte, (7*len(s)+7)/8)
	for i := range len(s) {
		x := s[i]
		if x > 'z' || x < ' ' || x == '$' || x == '@' || x == '`' || x >= '[' && x <= '_' {
			return nil, false
		}
		w := uint16(x) << (7 * i % 8)
		out[7*i/8] |= byte(w)
		if w > 0xFF {
			out[7*i/8+1] |= byte(w >> 8)
		}
	}
	return out, true
}

// submit reads SMS-SUBMIT (section 9.2.2.2) of n octets after the service centre.
func submit(s string, n int) (m SMS, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) < 1 || len(b) < 1+int(b[0]) {
		return m, errPDU
	}
	if b = b[1+b[0]:]; len(b) != n || n < 8 || b[0]&3 != 1 {
		return m, errPDU
	}
	first := b[0]
	digits := int(b[2])
	international := b[3]&0x70 == 0x10
	b = b[4:]
	if len(b) < (digits+1)/2+3 {
		return m, errPDU
	}
	m.Number = unswap(b[:(digits+1)/2], digits)
	if international {
		m.Number = "+" + m.Number
	}
	b = b[(digits+1)/2:]
	dcs := b[1]
	b = b[2:]
	switch first & 0x18 {
	case 0x10:
		b = b[1:]
	case 0x08, 0x18:
		if len(b) < 8 {
			return m, errPDU
		}
		b = b[7:]
	}
	if len(b) < 1 {
		return m, errPDU
	}
	length, ud := int(b[0]), b[1:]
	skip := 0
	if first&0x40 != 0 {
		if len(ud) < 6 || ud[0] != 5 || ud[1] != 0 || ud[2] != 3 {
			return m, errPDU
		}
		m.Ref, m.Of, m.Part, skip = ud[3], ud[4], ud[5], 6
	}
	switch dcs & 0x0C {
	case 0x04, 0x08:
		if len(ud) != length || length > 140 {
			return m, errPDU
		}
		ud = ud[skip:]
		if dcs&0x0C == 0x04 {
			m.Data = append([]byte(nil), ud...)
			return m, nil
		}
		var u []uint16
		for i := 0; i+1 < len(ud); i += 2 {
			u = append(u, uint16(ud[i])<<8|uint16(ud[i+1]))
		}
		m.Text = string(utf16.Decode(u))
	default: // septets, after the header and its fill bits
		if length > 160 || len(ud) != (7*length+7)/8 {
			return m, errPDU
		}
		var text []byte
		for i := (skip*8 + 6) / 7; i < length; i++ {
			at := 7 * i
			x := uint16(ud[at/8]) >> (at % 8)
			if at/8+1 < len(ud) {
				x |= uint16(ud[at/8+1]) << (8 - at%8)
			}
			text = append(text, gsm7(byte(x&0x7F)))
		}
		m.Text = string(text)
	}
	return m, nil
}
