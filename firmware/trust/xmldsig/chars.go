package xmldsig

import (
	"unicode/utf8"
)

// badChar finds the first byte that is not UTF-8 or not a character that XML 1.0 (2.2) allows,
// and -1 where there is none. Noncharacters and the byte order mark inside a text are
// refused too: nothing that is read aloud needs them, and parsers differ on them.
func badChar(b []byte) int {
	for i := 0; i < len(b); {
		c := b[i]
		if c < utf8.RuneSelf {
			if c < 0x20 && c != '\t' && c != '\n' && c != '\r' || c == 0x7f {
				return i
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 || !isChar(r) {
			return i
		}
		i += n
	}
	return -1
}

// isChar tells whether a character may stand in a text, written or by reference.
func isChar(r rune) bool {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return true
	case r < 0x20, r >= 0x7f && r <= 0x9f: // controls: C1 is discouraged by XML 1.0, 2.2
		return false
	case r >= 0xd800 && r <= 0xdfff, r > 0x10ffff, r == 0xfeff:
		return false
	case r&0xfffe == 0xfffe, r >= 0xfdd0 && r <= 0xfdef:
		return false
	}
	return true
}

// nameStarts are the ranges of NameStartChar without the colon, XML 1.0 (2.3).
var nameStarts = [...][2]rune{
	{'A', 'Z'}, {'_', '_'}, {'a', 'z'}, {0xc0, 0xd6}, {0xd8, 0xf6}, {0xf8, 0x2ff}, {0x370, 0x37d}, {0x37f, 0x1fff},
	{0x200c, 0x200d}, {0x2070, 0x218f}, {0x2c00, 0x2fef}, {0x3001, 0xd7ff}, {0xf900, 0xfdcf}, {0xfdf0, 0xfffd}, {0x10000, 0xeffff},
}

func isNameStart(r rune) bool {
	for _, p := range nameStarts {
		if r >= p[0] && r <= p[1] {
			return isChar(r)
		}
	}
	return false
}

func isName(r rune) bool {
	return isNameStart(r) || r == '-' || r == '.' || r >= '0' && r <= '9' || r == 0xb7 ||
		r >= 0x300 && r <= 0x36f || r >= 0x203f && r <= 0x2040
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// blank tells whether a text is white space only.
func blank(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isSpace(s[i]) {
			return false
		}
	}
	return true
}
