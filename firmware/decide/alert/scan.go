package alert

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"tocsin/firmware/phrase"
)

// Limits bound what is read from outside before anything is made of it. The
// zero Limits are the defaults.
type Limits struct {
	Bytes      int // of the whole text, media that came along included
	Depth      int
	Elements   int
	Attributes int // of one element
	Infos      int
	Areas      int // of all blocks together
	Resources  int // of all blocks together
	Findings   int // what is found beyond is counted in one last finding
}

// The defaults take the largest alert that was seen in the field (881 kB) with
// room to spare, and keep the heap below 32 MiB for any text of that size.
func (l Limits) filled() Limits {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&l.Bytes, 1<<20)
	set(&l.Depth, 32)
	set(&l.Elements, 100_000)
	set(&l.Attributes, 64)
	set(&l.Infos, 64)
	set(&l.Areas, 4096)
	set(&l.Resources, 256)
	set(&l.Findings, 64)
	return l
}

type kind int

const (
	done kind = iota
	start
	end
	text
)

type attr struct {
	prefix, name string
	value        string
}

type binding struct {
	prefix, uri string
	depth       int
}

// scanner is a pull parser of namespace-well-formed XML in UTF-8: no document
// type, so no entities but the five, and every bound is checked before anything
// is made of what was read. It reads canonical bytes and what people send alike.
type scanner struct {
	b        []byte
	pos      int
	limits   Limits
	elements int
	open     []string // qualified names
	bound    []binding
	attrs    []attr // of the last start
	space    string // namespace and local name of the last start
	local    string
	pending  bool // the last start was an empty element: its end comes next
	rooted   bool
	chars    []byte // of the last text; good until the next call
	owned    bool   // chars are in buf, not in b
	buf      []byte
}

const xmlNS = "http://www.w3.org/XML/1998/namespace"

func newScanner(b []byte, l Limits) *scanner {
	return &scanner{b: bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), limits: l, bound: []binding{{"xml", xmlNS, 0}}}
}

// line is where the scanner stands, for a reader with an editor.
func (s *scanner) line() int { return 1 + bytes.Count(s.b[:min(s.pos, len(s.b))], []byte("\n")) }

func (s *scanner) broken(what string) error {
	return phrase.E("alert.form.xml", "line", s.line(), "what", phrase.Message{Code: "alert.xml." + what})
}

// next gives the next piece. Comments and processing instructions are passed
// over; a document type is refused.
func (s *scanner) next() (kind, error) {
	if s.pending {
		s.pending = false
		return end, s.pop()
	}
	for s.pos < len(s.b) {
		rest := s.b[s.pos:]
		if rest[0] != '<' {
			return s.charData()
		}
		switch {
		case bytes.HasPrefix(rest, []byte("<!--")):
			i := bytes.Index(rest[4:], []byte("--"))
			if i < 0 || !bytes.HasPrefix(rest[4+i:], []byte("-->")) || !legal(rest[4:4+i]) {
				return done, s.broken("comment")
			}
			s.pos += 4 + i + 3
		case bytes.HasPrefix(rest, []byte("<?")):
			if err := s.instruction(); err != nil {
				return done, err
			}
		case bytes.HasPrefix(rest, []byte("<![CDATA[")):
			return s.charData()
		case bytes.HasPrefix(rest, []byte("<!")):
			return done, s.broken("doctype")
		case bytes.HasPrefix(rest, []byte("</")):
			return s.endTag()
		default:
			return s.startTag()
		}
	}
	if len(s.open) > 0 || !s.rooted {
		return done, s.broken("cut")
	}
	return done, nil
}

func (s *scanner) instruction() error {
	rest := s.b[s.pos:]
	i := bytes.Index(rest, []byte("?>"))
	if i < 0 || !legal(rest[:i]) {
		return s.broken("instruction")
	}
	n := nameLen(rest[2:])
	if n == 0 || bytes.IndexByte(rest[2:2+n], ':') >= 0 || 2+n < i && !isSpace(rest[2+n]) {
		return s.broken("instruction")
	}
	if target := rest[2 : 2+n]; bytes.EqualFold(target, []byte("xml")) {
		if s.pos != 0 || string(target) != "xml" {
			return s.broken("instruction")
		}
		if err := s.declaration(rest[5:i]); err != nil {
			return err
		}
	}
	s.pos += i + 2
	return nil
}

// declaration takes version 1.0 and UTF-8, and nothing else.
func (s *scanner) declaration(b []byte) error {
	want := []string{"version", "encoding", "standalone"}
	for i := 0; ; {
		t := bytes.TrimLeft(b, " \t\r\n")
		if len(t) == 0 {
			if i == 0 {
				return s.broken("instruction")
			}
			return nil
		}
		if len(t) == len(b) {
			return s.broken("instruction")
		}
		n := nameLen(t)
		name := string(t[:n])
		for i < len(want) && want[i] != name {
			if i == 0 {
				return s.broken("instruction")
			}
			i++
		}
		if i == len(want) {
			return s.broken("instruction")
		}
		i++
		t = bytes.TrimLeft(t[n:], " \t\r\n")
		if len(t) == 0 || t[0] != '=' {
			return s.broken("instruction")
		}
		t = bytes.TrimLeft(t[1:], " \t\r\n")
		if len(t) < 2 || t[0] != '"' && t[0] != '\'' {
			return s.broken("instruction")
		}
		e := bytes.IndexByte(t[1:], t[0])
		if e < 0 {
			return s.broken("instruction")
		}
		v := string(t[1 : 1+e])
		switch {
		case name == "version" && v != "1.0", name == "standalone" && v != "yes" && v != "no":
			return s.broken("instruction")
		case name == "encoding" && !bytes.EqualFold([]byte(v), []byte("utf-8")):
			return s.broken("encoding")
		}
		b = t[2+e:]
	}
}

func (s *scanner) startTag() (kind, error) {
	if s.rooted && len(s.open) == 0 {
		return done, s.broken("second_root")
	}
	s.elements++
	if s.elements > s.limits.Elements {
		return done, phrase.E("alert.form.too_many", "what", phrase.M("alert.what.elements"), "most", s.limits.Elements)
	}
	if len(s.open) >= s.limits.Depth {
		return done, phrase.E("alert.form.too_deep", "most", s.limits.Depth)
	}
	s.pos++
	n := nameLen(s.b[s.pos:])
	if n == 0 {
		return done, s.broken("name")
	}
	name := string(s.b[s.pos : s.pos+n])
	s.pos += n
	s.rooted = true
	s.open = append(s.open, name)
	s.attrs = s.attrs[:0]
	for {
		spaced := s.skipSpace()
		if s.pos >= len(s.b) {
			return done, s.broken("cut")
		}
		if s.b[s.pos] == '>' {
			s.pos++
			break
		}
		if s.b[s.pos] == '/' {
			if s.pos+1 >= len(s.b) || s.b[s.pos+1] != '>' {
				return done, s.broken("name")
			}
			s.pos += 2
			s.pending = true
			break
		}
		if !spaced {
			return done, s.broken("attribute")
		}
		if err := s.attribute(); err != nil {
			return done, err
		}
	}
	return start, s.resolve(name)
}

func (s *scanner) attribute() error {
	if len(s.attrs) >= s.limits.Attributes {
		return phrase.E("alert.form.too_many", "what", phrase.M("alert.what.attributes"), "most", s.limits.Attributes)
	}
	n := nameLen(s.b[s.pos:])
	if n == 0 {
		return s.broken("attribute")
	}
	prefix, local, ok := split(string(s.b[s.pos : s.pos+n]))
	if !ok {
		return s.broken("attribute")
	}
	s.pos += n
	s.skipSpace()
	if s.pos >= len(s.b) || s.b[s.pos] != '=' {
		return s.broken("attribute")
	}
	s.pos++
	s.skipSpace()
	if s.pos >= len(s.b) || s.b[s.pos] != '"' && s.b[s.pos] != '\'' {
		return s.broken("attribute")
	}
	q := s.b[s.pos]
	s.pos++
	i := bytes.IndexByte(s.b[s.pos:], q)
	if i < 0 {
		return s.broken("cut")
	}
	raw := s.b[s.pos : s.pos+i]
	if bytes.IndexByte(raw, '<') >= 0 || !legal(raw) {
		return s.broken("attribute")
	}
	v, err := s.expand(nil, raw, true)
	if err != nil {
		return err
	}
	s.pos += i + 1
	s.attrs = append(s.attrs, attr{prefix, local, string(v)})
	return nil
}

// resolve binds the prefixes of the element that has just begun.
func (s *scanner) resolve(name string) error {
	depth := len(s.open)
	for _, a := range s.attrs {
		switch {
		case a.prefix == "" && a.name == "xmlns":
			if a.value == xmlNS || a.value == xmlnsNS {
				return s.broken("prefix")
			}
			s.bound = append(s.bound, binding{"", a.value, depth})
		case a.prefix == "xmlns":
			if a.value == "" || a.value == xmlnsNS || a.name == "xmlns" || (a.name == "xml") != (a.value == xmlNS) {
				return s.broken("prefix")
			}
			s.bound = append(s.bound, binding{a.name, a.value, depth})
		}
	}
	for i, a := range s.attrs {
		space := ""
		if a.prefix != "" && a.prefix != "xmlns" {
			var ok bool
			if space, ok = s.uri(a.prefix); !ok {
				return s.broken("prefix")
			}
		}
		for _, o := range s.attrs[:i] {
			if o.name != a.name {
				continue
			}
			if o.prefix == a.prefix {
				return s.broken("twice")
			}
			if u, _ := s.uri(o.prefix); o.prefix != "" && a.prefix != "" && o.prefix != "xmlns" && u == space {
				return s.broken("twice")
			}
		}
	}
	prefix, local, ok := split(name)
	if !ok {
		return s.broken("name")
	}
	uri, ok := s.uri(prefix)
	if !ok && prefix != "" || prefix == "xmlns" {
		return s.broken("prefix")
	}
	s.space, s.local = uri, local
	return nil
}

const xmlnsNS = "http://www.w3.org/2000/xmlns/"

func (s *scanner) uri(prefix string) (string, bool) {
	for i := len(s.bound) - 1; i >= 0; i-- {
		if s.bound[i].prefix == prefix {
			return s.bound[i].uri, true
		}
	}
	return "", false
}

func (s *scanner) endTag() (kind, error) {
	s.pos += 2
	n := nameLen(s.b[s.pos:])
	if len(s.open) == 0 || string(s.b[s.pos:s.pos+n]) != s.open[len(s.open)-1] {
		return done, s.broken("unmatched")
	}
	s.pos += n
	s.skipSpace()
	if s.pos >= len(s.b) || s.b[s.pos] != '>' {
		return done, s.broken("cut")
	}
	s.pos++
	return end, s.pop()
}

func (s *scanner) pop() error {
	depth := len(s.open)
	s.open = s.open[:depth-1]
	for len(s.bound) > 0 && s.bound[len(s.bound)-1].depth == depth {
		s.bound = s.bound[:len(s.bound)-1]
	}
	return nil
}

// charData reads one run of text or one CDATA section. Text outside the root
// may only be blank.
func (s *scanner) charData() (kind, error) {
	rest := s.b[s.pos:]
	if bytes.HasPrefix(rest, []byte("<![CDATA[")) {
		i := bytes.Index(rest, []byte("]]>"))
		if i < 0 || len(s.open) == 0 || !legal(rest[9:i]) {
			return done, s.broken("cut")
		}
		s.pos += i + 3
		s.chars, s.owned = rest[9:i], false
		if bytes.IndexByte(s.chars, '\r') >= 0 {
			s.buf = ends(s.buf[:0], s.chars)
			s.chars, s.owned = s.buf, true
		}
		return text, nil
	}
	i := bytes.IndexByte(rest, '<')
	if i < 0 {
		i = len(rest)
	}
	raw := rest[:i]
	if !legal(raw) {
		return done, s.broken("character")
	}
	if len(s.open) == 0 {
		if len(bytes.Trim(raw, " \t\r\n")) > 0 {
			return done, s.broken("outside")
		}
		s.pos += i
		return s.next()
	}
	if bytes.Contains(raw, []byte("]]>")) {
		return done, s.broken("character")
	}
	s.chars, s.owned = raw, false
	if bytes.IndexByte(raw, '&') >= 0 || bytes.IndexByte(raw, '\r') >= 0 {
		var err error
		if s.buf, err = s.expand(s.buf[:0], raw, false); err != nil {
			return done, err
		}
		s.chars, s.owned = s.buf, true
	}
	s.pos += i
	return text, nil
}

// ends writes b with its line ends made one newline each (XML 1.0, section 2.11).
func ends(out, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		if b[i] == '\r' {
			if i+1 < len(b) && b[i+1] == '\n' {
				continue
			}
			out = append(out, '\n')
			continue
		}
		out = append(out, b[i])
	}
	return out
}

// expand resolves the five entities and character references.
func (s *scanner) expand(out, b []byte, attribute bool) ([]byte, error) {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '&')
		if i < 0 {
			i = len(b)
		}
		from := len(out)
		out = ends(out, b[:i])
		if attribute {
			for j := from; j < len(out); j++ {
				if isSpace(out[j]) {
					out[j] = ' '
				}
			}
		}
		b = b[i:]
		if len(b) == 0 {
			break
		}
		e := bytes.IndexByte(b[:min(len(b), 12)], ';')
		if e < 2 {
			return out, s.broken("entity")
		}
		ref := string(b[1:e])
		b = b[e+1:]
		if ref[0] == '#' {
			base, digits := 10, ref[1:]
			if len(digits) > 0 && digits[0] == 'x' {
				base, digits = 16, digits[1:]
			}
			n, err := strconv.ParseUint(digits, base, 32)
			if err != nil || !isChar(rune(n)) || n > utf8.MaxRune {
				return out, s.broken("entity")
			}
			out = utf8.AppendRune(out, rune(n))
			continue
		}
		c, ok := map[string]byte{"lt": '<', "gt": '>', "amp": '&', "apos": '\'', "quot": '"'}[ref]
		if !ok {
			return out, s.broken("entity")
		}
		out = append(out, c)
	}
	return out, nil
}

func (s *scanner) skipSpace() bool {
	from := s.pos
	for s.pos < len(s.b) && isSpace(s.b[s.pos]) {
		s.pos++
	}
	return s.pos > from
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func split(name string) (prefix, local string, ok bool) {
	for i := 0; i < len(name); i++ {
		if name[i] == ':' {
			p, l := name[:i], name[i+1:]
			return p, l, p != "" && nameLen([]byte(l)) == len(l) && l != "" && !bytes.ContainsRune([]byte(l), ':')
		}
	}
	return "", name, name != ""
}

// nameLen is how many bytes of b are a qualified name.
func nameLen(b []byte) int {
	i := 0
	for i < len(b) {
		c := b[i]
		switch {
		case c == '_' || c == ':' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			if i == 0 && c == ':' {
				return 0
			}
			i++
		case i > 0 && (c == '-' || c == '.' || c >= '0' && c <= '9'):
			i++
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n <= 1 || !nameRune(r, i == 0) {
				return i
			}
			i += n
		default:
			return i
		}
	}
	return i
}

// nameRune is NameStartChar and NameChar of XML 1.0, fifth edition, above ASCII.
func nameRune(r rune, first bool) bool {
	switch {
	case r == 0xB7, r >= 0x300 && r <= 0x36F, r >= 0x203F && r <= 0x2040:
		return !first
	case r >= 0xC0 && r <= 0x2FF:
		return r != 0xD7 && r != 0xF7
	case r >= 0x370 && r <= 0x1FFF:
		return r != 0x37E
	}
	return r == 0x200C || r == 0x200D || r >= 0x2070 && r <= 0x218F || r >= 0x2C00 && r <= 0x2FEF ||
		r >= 0x3001 && r <= 0xD7FF || r >= 0xF900 && r <= 0xFDCF || r >= 0xFDF0 && r <= 0xFFFD || r >= 0x10000 && r <= 0xEFFFF
}

func isChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= 0x10FFFF
}

// legal tells whether b is UTF-8 of characters that XML allows.
func legal(b []byte) bool {
	for i := 0; i < len(b); {
		c := b[i]
		if c < utf8.RuneSelf {
			if c < 0x20 && c != '\t' && c != '\n' && c != '\r' {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 || !isChar(r) {
			return false
		}
		i += n
	}
	return true
}
