package beidou

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	// longestContent is the hex digits of a message of 14,000 bits.
	longestContent = 3500
	// longestSentence is that and the fields around it.
	longestSentence = longestContent + 256
)

// reader cuts what comes into sentences. It holds no more than the longest one.
type reader struct {
	line []byte
	in   bool
}

// next takes bytes up to the end of a sentence. whole is the sentence from its $,
// without its end, or empty; lost tells that one was given up: too long, or cut
// short by the next.
func (r *reader) next(b []byte) (whole string, rest []byte, lost bool) {
	for i, c := range b {
		switch {
		case c == '$':
			lost = r.in && len(r.line) > 1
			r.line, r.in = append(r.line[:0], c), true
			if lost {
				return "", b[i+1:], true
			}
		case !r.in:
		case c == '\r' || c == '\n':
			r.in = false
			return string(r.line), b[i+1:], false
		case len(r.line) >= longestSentence:
			r.in = false
			return "", b[i+1:], true
		default:
			r.line = append(r.line, c)
			// Some terminals leave the end of the line out: a right checksum ends it
			// too. A wrong one may be a star in a text.
			if n := len(r.line); n >= 3 && r.line[n-3] == '*' && hexDigit(c) && hexDigit(r.line[n-2]) {
				if _, _, err := cut(string(r.line)); err == nil {
					r.in = false
					return string(r.line), b[i+1:], false
				}
			}
		}
	}
	return "", nil, false
}

func hexDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' || c >= 'a' && c <= 'f'
}

// cut checks a sentence and gives its address and fields. Bytes above 0x7F are
// allowed, since Chinese text stands in a sentence as it is.
func cut(s string) (address string, fields []string, err error) {
	i := strings.LastIndexByte(s, '*')
	if len(s) > longestSentence+3 || i < 6 || len(s) != i+3 || s[0] != '$' {
		return "", nil, fmt.Errorf("it has no checksum at its end")
	}
	for _, c := range []byte(s) {
		if c < 0x20 || c == 0x7F {
			return "", nil, fmt.Errorf("it holds the byte %#02x", c)
		}
	}
	want, err := strconv.ParseUint(s[i+1:], 16, 8)
	if got := checksum(s[1:i]); err != nil || byte(want) != got {
		return "", nil, fmt.Errorf("its checksum is %s, reckoned %02X", s[i+1:], got)
	}
	f := strings.Split(s[1:i], ",")
	return f[0], f[1:], nil
}

// frame puts $, the checksum and the end around a body.
func frame(body string) string { return fmt.Sprintf("$%s*%02X\r\n", body, checksum(body)) }

func checksum(s string) (x byte) {
	for i := range len(s) {
		x ^= s[i]
	}
	return x
}
