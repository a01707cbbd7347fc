package config

// Bounds of nesting: the reader takes minutes for what nests without an end, and a site's
// file has some eight levels.
const (
	deepest  = 64  // brackets, or dashes on one line
	farthest = 256 // columns of indentation
)

// TooDeep gives the line in which a document nests deeper than any site's, 0 for none. It
// looks at the bytes alone, before anything reads them, and passes over quotes and comments.
func TooDeep(b []byte) int {
	line, depth, dashes, column := 1, 0, 0, 0
	begins := true // nothing but blanks and dashes yet on this line
	for i := 0; i < len(b); i++ {
		c := b[i]
		column++
		switch c {
		case '\n':
			line, dashes, column, begins = line+1, 0, 0, true
			continue
		case ' ', '\t', '\r':
			continue
		case '#':
			if i == 0 || b[i-1] == ' ' || b[i-1] == '\t' || b[i-1] == '\n' {
				for i+1 < len(b) && b[i+1] != '\n' {
					i++
				}
				continue
			}
		case '"', '\'':
			// A quoted text ends on its line; what does not is read on as if it were none.
			for j := i + 1; j < len(b) && b[j] != '\n'; j++ {
				if b[j] == '\\' && c == '"' {
					j++
				} else if b[j] == c {
					i = j
					break
				}
			}
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(depth-1, 0)
		}
		if (c == '-' || c == '?') && begins && i+1 < len(b) && b[i+1] == ' ' {
			dashes++
		} else if begins {
			begins = false
			if column > farthest {
				return line
			}
		}
		if depth > deepest || dashes > deepest {
			return line
		}
	}
	return 0
}
