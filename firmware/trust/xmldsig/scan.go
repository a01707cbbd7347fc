package xmldsig

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/beevik/etree"

	"tocsin/firmware/phrase"
)

// The two namespaces that every document has without declaring them.
const (
	xmlNS   = "http://www.w3.org/XML/1998/namespace"
	xmlnsNS = "http://www.w3.org/2000/xmlns/"
)

// scanner makes the tree. It is the only reader of the raw text: encoding/xml does not
// hold names, namespaces and references to the standard, and what two parsers read
// differently is how signatures are wrapped.
type scanner struct {
	s      string
	pos    int
	limits Limits

	before, after []*etree.ProcInst
	root          *etree.Element
	rootEnd       int // where the root's end tag begins

	open     []frame
	bound    []binding
	nodes    int
	elements int
	attrs    int
	growth   int // bytes by which the canonical form is at most longer than the text
}

// frame is an open element.
type frame struct {
	e     *etree.Element
	uri   string
	bound int // how many namespaces were bound outside it
	// prefixes is how many are in scope, the default one apart.
	prefixes int
}

type binding struct{ prefix, uri string }

// line gives the current line, from 1.
func (s *scanner) line() int { return 1 + strings.Count(s.s[:min(s.pos, len(s.s))], "\n") }

func (s *scanner) syntax() error {
	rest := s.s[min(s.pos, len(s.s)):]
	if rest == "" {
		return phrase.E("trust.xml_cut", "line", s.line())
	}
	at := 0
	for i := range rest {
		if at = i; i >= 24 {
			break
		}
	}
	if len(rest) <= 24 {
		at = len(rest)
	}
	return phrase.E("trust.xml_syntax", "line", s.line(), "at", strconv.Quote(rest[:at]))
}

// normal gives the text with its line ends as XML 1.0 (2.11) reads them, without
// a byte order mark, and holds it to UTF-8.
func normal(b []byte) (string, error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if i := badChar(b); i >= 0 {
		return "", phrase.E("trust.xml_char", "line", 1+bytes.Count(b[:i], []byte("\n")), "byte", strconv.FormatUint(uint64(b[i]), 16))
	}
	s := string(b)
	if strings.IndexByte(s, '\r') >= 0 {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	return s, nil
}

// run reads the whole document.
func (s *scanner) run() error {
	if err := s.declaration(); err != nil {
		return err
	}
	for {
		s.space()
		switch {
		case s.pos == len(s.s):
			if s.root == nil {
				return s.syntax()
			}
			return nil
		case s.has("<!--"):
			if err := s.comment(); err != nil {
				return err
			}
		case s.has("<?"):
			p, err := s.instruction()
			if err != nil {
				return err
			}
			if s.root == nil {
				s.before = append(s.before, p)
			} else {
				s.after = append(s.after, p)
			}
		case s.has("<!"):
			return phrase.E("trust.xml_dtd", "line", s.line())
		case s.root == nil && s.has("<"):
			if err := s.content(); err != nil {
				return err
			}
		default:
			return s.syntax()
		}
	}
}

// content reads the root with all below it.
func (s *scanner) content() error {
	if err := s.start(); err != nil {
		return err
	}
	for len(s.open) > 0 {
		top := &s.open[len(s.open)-1]
		var err error
		switch {
		case s.pos == len(s.s):
			return s.syntax()
		case s.has("</"):
			err = s.end()
		case s.has("<!--"):
			err = s.comment()
		case s.has("<![CDATA["):
			err = s.cdata(top)
		case s.has("<!"):
			return phrase.E("trust.xml_dtd", "line", s.line())
		case s.has("<?"):
			var p *etree.ProcInst
			if p, err = s.instruction(); err == nil {
				top.e.AddChild(p)
			}
		case s.s[s.pos] == '<':
			err = s.start()
		default:
			err = s.text(top)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) has(p string) bool { return strings.HasPrefix(s.s[s.pos:], p) }

func (s *scanner) space() bool {
	from := s.pos
	for s.pos < len(s.s) && isSpace(s.s[s.pos]) {
		s.pos++
	}
	return s.pos > from
}

// node counts one node.
func (s *scanner) node() error {
	if s.nodes++; s.nodes > s.limits.Nodes {
		return phrase.E("trust.xml_nodes", "line", s.line(), "most", s.limits.Nodes)
	}
	return nil
}

// declaration reads the XML declaration, where there is one.
func (s *scanner) declaration() error {
	if !s.has("<?xml") || len(s.s) > 5 && isNameByte(s.s[5]) {
		return nil
	}
	end := strings.Index(s.s, "?>")
	if end < 0 {
		return s.syntax()
	}
	d := &scanner{s: s.s[5:end], limits: s.limits}
	spaced := false
	for i, name := range []string{"version", "encoding", "standalone"} {
		spaced = d.space() || spaced
		if d.pos == len(d.s) && i > 0 {
			break
		}
		if !d.has(name) && i > 0 {
			continue
		}
		if !spaced || !d.has(name) {
			return s.syntax()
		}
		d.pos += len(name)
		v, err := d.quoted()
		if err != nil {
			return s.syntax()
		}
		spaced = false
		if i == 1 && !strings.EqualFold(v, "UTF-8") {
			return phrase.E("trust.xml_encoding", "encoding", v)
		}
		if i == 0 && v != "1.0" || i == 2 && v != "yes" && v != "no" {
			return s.syntax()
		}
	}
	if d.space(); d.pos != len(d.s) {
		return s.syntax()
	}
	s.pos = end + 2
	return nil
}

func isNameByte(c byte) bool { return c >= utf8.RuneSelf || isName(rune(c)) || c == ':' }

// quoted reads ="value" raw.
func (s *scanner) quoted() (string, error) {
	s.space()
	if !s.has("=") {
		return "", s.syntax()
	}
	s.pos++
	s.space()
	if s.pos == len(s.s) || s.s[s.pos] != '"' && s.s[s.pos] != '\'' {
		return "", s.syntax()
	}
	n := strings.IndexByte(s.s[s.pos+1:], s.s[s.pos])
	if n < 0 {
		return "", s.syntax()
	}
	v := s.s[s.pos+1 : s.pos+1+n]
	s.pos += n + 2
	return v, nil
}

func (s *scanner) comment() error {
	if err := s.node(); err != nil {
		return err
	}
	n := strings.Index(s.s[s.pos+4:], "--")
	if n < 0 {
		return s.syntax()
	}
	if at := s.pos + 4 + n + 2; at >= len(s.s) || s.s[at] != '>' {
		s.pos += 4 + n
		return s.syntax()
	}
	s.pos += 4 + n + 3
	return nil
}

func (s *scanner) instruction() (*etree.ProcInst, error) {
	if err := s.node(); err != nil {
		return nil, err
	}
	from := s.pos
	s.pos += 2
	target, err := s.part()
	if err != nil {
		return nil, err
	}
	n := strings.Index(s.s[s.pos:], "?>")
	if n < 0 || strings.EqualFold(target, "xml") {
		s.pos = from
		return nil, s.syntax()
	}
	data := s.s[s.pos : s.pos+n]
	if data != "" && !isSpace(data[0]) {
		return nil, s.syntax()
	}
	s.pos += n + 2
	return &etree.ProcInst{Target: target, Inst: strings.TrimLeft(data, " \t\n")}, nil
}

func (s *scanner) cdata(top *frame) error {
	if err := s.node(); err != nil {
		return err
	}
	n := strings.Index(s.s[s.pos+9:], "]]>")
	if n < 0 {
		return s.syntax()
	}
	data := s.s[s.pos+9 : s.pos+9+n]
	s.pos += 9 + n + 3
	if data == "" {
		return nil
	}
	s.growth += 4*strings.Count(data, "&") + 3*strings.Count(data, "<") + 3*strings.Count(data, ">")
	top.e.AddChild(etree.NewText(data))
	return nil
}

func (s *scanner) text(top *frame) error {
	if err := s.node(); err != nil {
		return err
	}
	n := strings.IndexByte(s.s[s.pos:], '<')
	if n < 0 {
		s.pos = len(s.s)
		return s.syntax()
	}
	raw := s.s[s.pos : s.pos+n]
	if i := strings.Index(raw, "]]>"); i >= 0 {
		s.pos += i
		return s.syntax()
	}
	data, err := s.decoded(raw)
	if err != nil {
		return err
	}
	s.growth += 3 * strings.Count(data, ">")
	s.pos += n
	top.e.AddChild(etree.NewText(data))
	return nil
}

// decoded gives raw with its references resolved. The scanner stands at raw's
// beginning; on an error it is moved to the place.
func (s *scanner) decoded(raw string) (string, error) {
	i := strings.IndexByte(raw, '&')
	if i < 0 {
		return raw, nil
	}
	begin := s.pos
	var b strings.Builder
	b.Grow(len(raw))
	for rest, at := raw, 0; ; {
		i := strings.IndexByte(rest, '&')
		if i < 0 {
			b.WriteString(rest)
			s.pos = begin
			return b.String(), nil
		}
		b.WriteString(rest[:i])
		s.pos = begin + at + i
		n := strings.IndexByte(rest[i:min(len(rest), i+12)], ';')
		if n < 0 {
			return "", s.syntax()
		}
		name := rest[i+1 : i+n]
		switch name {
		case "amp":
			b.WriteByte('&')
		case "lt":
			b.WriteByte('<')
		case "gt":
			b.WriteByte('>')
		case "quot":
			b.WriteByte('"')
		case "apos":
			b.WriteByte('\'')
		default:
			digits, isRef := strings.CutPrefix(name, "#")
			if !isRef {
				return "", phrase.E("trust.xml_entity", "line", s.line(), "name", name)
			}
			base := 10
			if hex, ok := strings.CutPrefix(digits, "x"); ok {
				digits, base = hex, 16
			}
			v, err := strconv.ParseUint(digits, base, 32)
			if err != nil || digits[0] == '+' || !isChar(rune(v)) {
				return "", s.syntax()
			}
			b.WriteRune(rune(v))
		}
		at += i + n + 1
		rest = rest[i+n+1:]
	}
}

// part reads a name without a colon.
func (s *scanner) part() (string, error) {
	from := s.pos
	for s.pos < len(s.s) {
		r, n := rune(s.s[s.pos]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s.s[s.pos:])
		}
		if s.pos == from && !isNameStart(r) || !isName(r) {
			break
		}
		s.pos += n
	}
	switch name := s.s[from:s.pos]; {
	case name == "":
		return "", s.syntax()
	case len(name) > s.limits.NameBytes:
		return "", phrase.E("trust.xml_name", "line", s.line(), "most", s.limits.NameBytes)
	default:
		return name, nil
	}
}

// name reads prefix:local.
func (s *scanner) name() (prefix, local string, err error) {
	if local, err = s.part(); err != nil || !s.has(":") {
		return "", local, err
	}
	s.pos++
	prefix = local
	local, err = s.part()
	return prefix, local, err
}
