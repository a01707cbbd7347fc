package hypertext

import (
	"fmt"
	"slices"
	"strings"
)

// where is a place in a page, as far as escaping must know it.
type where uint8

const (
	inText    where = iota // between tags, in a title too
	inTag                  // in a tag, between attributes
	inName                 // in an attribute's name, or behind it
	inEquals               // behind an attribute's =
	inValue                // in a quoted value
	inMarkup               // in <!doctype …>
	inClosed               // in what a script or style holds
	inTagName              // in a tag's name
)

// part is how far an address has come.
type part uint8

const (
	atStart part = iota
	inPath
	inQuery
)

// place is where a template stands after some of its text.
type place struct {
	where where
	tag   string // its name, while in one; of a script or style while in what it holds
	name  string // the attribute's
	quote byte
	part  part
	tight bool // in a tag, right behind a name or a value
}

// escape is how a value is written.
type escape uint8

const (
	asText    escape = iota
	asAddress        // a whole address or its beginning
	asPath
	asQuery
	asContent
)

// addresses and plain are the attributes of which values may be written; data- and aria-
// ones are plain too.
var (
	addresses = []string{"href", "src", "action"}
	plain     = []string{"alt", "class", "height", "hreflang", "id", "lang", "name", "title", "value", "width"}
)

// here gives how a value that is written at a place is escaped, or that it may not be.
func (p *place) here() (escape, error) {
	switch {
	case p.where == inText:
		return asText, nil
	case p.where != inValue:
		return 0, fmt.Errorf("a value may stand in text and in quoted attributes alone, not in <%s %s", p.tag, p.name)
	case slices.Contains(addresses, p.name):
		// It may be empty: what comes behind it can yet be the beginning.
		return asAddress + escape(p.part), nil
	case slices.Contains(plain, p.name):
		return asText, nil
	case p.name == "content": // of a meta element that may send elsewhere
		return asContent, nil
	}
	for _, prefix := range []string{"data-", "aria-"} {
		if rest, ok := strings.CutPrefix(p.name, prefix); ok {
			// Scripts may take those for addresses, or for themselves.
			for _, no := range []string{"src", "uri", "url", "href", "action", "style", "srcset"} {
				if strings.Contains(rest, no) {
					ok = false
				}
			}
			if ok && !strings.HasPrefix(rest, "on") {
				return asText, nil
			}
		}
	}
	return 0, fmt.Errorf("no value may stand in the attribute %s", p.name)
}

func space(c byte) bool { return strings.IndexByte(" \t\r\n\f", c) >= 0 }
func letter(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z'
}

// pass goes over a template's own text.
func (p *place) pass(s string) error {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch p.where {
		case inText:
			if c != '<' {
				continue
			}
			rest := s[i+1:]
			switch {
			case strings.HasPrefix(rest, "!--"):
				return fmt.Errorf("a comment; those are for {{/* */}}")
			case len(rest) > 7 && strings.EqualFold(rest[:8], "!doctype"):
				p.where = inMarkup
			case rest == "":
				return fmt.Errorf("a < at the end of a text")
			case letter(rest[0]):
				p.where, p.tag = inTagName, ""
			case rest[0] == '/' && len(rest) > 1 && letter(rest[1]):
				p.where, p.tag, i = inTagName, "/", i+1
			default:
				return fmt.Errorf("a bare <")
			}
		case inMarkup:
			if c == '>' {
				p.where = inText
			}
		case inTagName:
			switch {
			case c == '>':
				p.opened()
			case space(c) || c == '/':
				p.where = inTag
			case !letter(c) && (c < '0' || c > '9') && c != '-':
				return fmt.Errorf("%q in the name of <%s", c, p.tag)
			default:
				p.tag += strings.ToLower(string(c))
			}
		case inTag:
			switch {
			case c == '>':
				p.opened()
			case space(c) || c == '/':
				p.tight = false
			case letter(c) && !p.tight:
				p.where, p.name = inName, strings.ToLower(string(c))
			default:
				return fmt.Errorf("%q in <%s", c, p.tag)
			}
		case inName:
			switch {
			case c == '>':
				p.opened()
			case c == '=':
				p.where = inEquals
			case space(c):
				p.where, p.name = inTag, ""
			case letter(c) || c == '-' || '0' <= c && c <= '9' || c == ':':
				p.name += strings.ToLower(string(c))
			default:
				return fmt.Errorf("%q in the name %s", c, p.name)
			}
		case inEquals:
			if c != '"' && c != '\'' {
				return fmt.Errorf("the value of %s has no quotes", p.name)
			}
			p.where, p.quote, p.part = inValue, c, atStart
		case inValue:
			switch {
			case c == p.quote:
				*p = place{where: inTag, tag: p.tag, tight: true}
			case !slices.Contains(addresses, p.name):
			case c == '&' && !strings.HasPrefix(s[i:], "&amp;"):
				return fmt.Errorf("an & in an address that is not written &amp;") // it may stand for a ?
			case c == '?' || c == '#':
				p.part = inQuery
			case p.part == atStart:
				p.part = inPath
			}
		case inClosed:
			if end := "</" + p.tag; len(s)-i >= len(end) && strings.EqualFold(s[i:i+len(end)], end) {
				p.where, p.tag, i = inTagName, "/"+p.tag, i+len(end)-1
			}
		}
	}
	return nil
}

// settle ends a name that a branch begins or ends behind: what follows must not go on with it.
func (p *place) settle() {
	switch p.where {
	case inTagName, inName, inTag:
		*p = place{where: inTag, tag: p.tag, tight: true}
	}
}

// opened goes on behind a tag.
func (p *place) opened() {
	p.where, p.name, p.tight = inText, "", false
	if p.tag == "script" || p.tag == "style" {
		p.where = inClosed
		return
	}
	p.tag = ""
}

// escaped writes a value as its place wants it.
func escaped(b *strings.Builder, e escape, s string) {
	switch e {
	case asAddress:
		s = address(defanged(s), true)
	case asContent:
		s = defanged(s)
	case asPath:
		s = address(s, true)
	case asQuery:
		s = address(s, false)
	}
	from := 0
	for i := range len(s) {
		to := ""
		switch s[i] {
		case 0:
			to = "\uFFFD"
		case '"':
			to = "&#34;"
		case '&':
			to = "&amp;"
		case '\'':
			to = "&#39;"
		case '+':
			to = "&#43;" // UTF-7
		case '<':
			to = "&lt;"
		case '>':
			to = "&gt;"
		default:
			continue
		}
		b.WriteString(s[from:i])
		b.WriteString(to)
		from = i + 1
	}
	b.WriteString(s[from:])
}

// defanged gives an address that is relative or of a scheme that runs nothing, and another
// one, which says where to look in the word of html/template, in the place of any other.
func defanged(s string) string {
	scheme, _, ok := strings.Cut(s, ":")
	if !ok || strings.Contains(scheme, "/") || slices.ContainsFunc([]string{"http", "https", "mailto"}, func(x string) bool { return strings.EqualFold(x, scheme) }) {
		return s
	}
	return "#ZgotmplZ"
}

// address escapes by percent: in a whole address what it cannot hold, in a part of a query
// all that is not unreserved (RFC 3986, 2.3).
func address(s string, whole bool) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case letter(c) || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0:
		case whole && strings.IndexByte("!#$&*+,/:;=?@[]", c) >= 0:
		case whole && c == '%' && i+2 < len(s) && hex(s[i+1]) && hex(s[i+2]):
		default:
			fmt.Fprintf(&b, "%%%02x", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

func hex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }
