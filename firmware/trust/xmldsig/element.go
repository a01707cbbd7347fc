package xmldsig

import (
	"strings"

	"github.com/beevik/etree"

	"tocsin/firmware/phrase"
)

// lookup gives a prefix's namespace.
func (s *scanner) lookup(prefix string) (string, bool) {
	for i := len(s.bound) - 1; i >= 0; i-- {
		if s.bound[i].prefix == prefix {
			return s.bound[i].uri, true
		}
	}
	switch prefix {
	case "":
		return "", true
	case "xml":
		return xmlNS, true
	}
	return "", false
}

// start reads a start tag or an empty element.
func (s *scanner) start() error {
	if err := s.node(); err != nil {
		return err
	}
	if s.elements++; s.elements > s.limits.Elements {
		return phrase.E("trust.xml_elements", "line", s.line(), "most", s.limits.Elements)
	}
	if len(s.open) >= s.limits.Depth {
		return phrase.E("trust.xml_depth", "line", s.line(), "most", s.limits.Depth)
	}
	s.pos++
	prefix, local, err := s.name()
	if err != nil {
		return err
	}
	e := &etree.Element{Space: prefix, Tag: local}
	f := frame{e: e, bound: len(s.bound)}
	if n := len(s.open); n > 0 {
		f.prefixes = s.open[n-1].prefixes
	}
	closed := false
	for {
		spaced := s.space()
		if closed = s.has("/>"); closed || s.has(">") {
			break
		}
		if !spaced {
			return s.syntax()
		}
		if err := s.attribute(e); err != nil {
			return err
		}
	}
	if err := s.bind(&f); err != nil {
		return err
	}
	s.pos++
	if closed {
		s.pos++
		s.growth += len(e.Space) + len(e.Tag) + 4
	}
	if len(s.open) > 0 {
		s.open[len(s.open)-1].e.AddChild(e)
	} else {
		s.root = e
		s.rootEnd = -1
	}
	s.open = append(s.open, f)
	if closed {
		s.close()
	}
	return nil
}

// attribute reads one attribute.
func (s *scanner) attribute(e *etree.Element) error {
	if s.attrs++; s.attrs > s.limits.Attributes {
		return phrase.E("trust.xml_attributes", "line", s.line(), "most", s.limits.Attributes)
	}
	prefix, local, err := s.name()
	if err != nil {
		return err
	}
	from := s.pos
	raw, err := s.quoted()
	if err != nil {
		return err
	}
	end := s.pos
	s.pos = end - len(raw) - 1
	if len(raw) > s.limits.AttributeBytes {
		return phrase.E("trust.xml_attribute", "line", s.line(), "name", local, "most", s.limits.AttributeBytes)
	}
	if i := strings.IndexByte(raw, '<'); i >= 0 {
		s.pos = from
		return s.syntax()
	}
	// White space is read as blanks, that by reference is not (XML 1.0, 3.3.3).
	value, err := s.decoded(blanks.Replace(raw))
	if err != nil {
		return err
	}
	s.growth += 5*strings.Count(value, `"`) + 4*strings.Count(value, "\t") + 1
	s.pos = end
	e.Attr = append(e.Attr, etree.Attr{Space: prefix, Key: local, Value: value})
	return nil
}

// blanks turns white space into blanks, which attributes are read with.
var blanks = strings.NewReplacer("\t", " ", "\n", " ")

// bind takes an element's namespace declarations and holds its names to them.
func (s *scanner) bind(f *frame) error {
	e := f.e
	for _, a := range e.Attr {
		var prefix string
		switch {
		case a.Space == "" && a.Key == "xmlns":
		case a.Space == "xmlns":
			prefix = a.Key
		default:
			continue
		}
		reserved := prefix == "xmlns" || (prefix == "xml") != (a.Value == xmlNS) || a.Value == xmlnsNS
		if reserved || prefix != "" && a.Value == "" {
			return phrase.E("trust.xml_reserved", "line", s.line(), "prefix", prefix)
		}
		if _, ok := s.lookup(prefix); !ok {
			f.prefixes++
		}
		s.bound = append(s.bound, binding{prefix, a.Value})
		if f.prefixes > s.limits.Namespaces || len(s.bound) > s.limits.Namespaces*s.limits.Depth {
			return phrase.E("trust.xml_namespaces", "line", s.line(), "most", s.limits.Namespaces)
		}
	}
	uri, ok := s.lookup(e.Space)
	if !ok || e.Space == "xmlns" {
		return phrase.E("trust.xml_prefix", "line", s.line(), "prefix", e.Space)
	}
	f.uri = uri
	// Exclusive canonicalisation writes a declaration wherever the one above does not
	// use it: that is how a short text becomes a long one.
	if n := len(s.open); n == 0 || s.open[n-1].e.Space != e.Space || s.open[n-1].uri != uri {
		s.growth += len(uri) + len(e.Space) + 10
	}
	return s.distinct(e)
}

// distinct refuses an attribute that is given twice, by name or by namespace.
func (s *scanner) distinct(e *etree.Element) error {
	type name struct{ uri, local string }
	var seen map[name]bool
	if len(e.Attr) > 8 {
		seen = make(map[name]bool, len(e.Attr))
	}
	var names []name
	for _, a := range e.Attr {
		n := name{"", a.Key}
		switch a.Space {
		case "":
		case "xmlns":
			n.uri = xmlnsNS
		default:
			var ok bool
			if n.uri, ok = s.lookup(a.Space); !ok {
				return phrase.E("trust.xml_prefix", "line", s.line(), "prefix", a.Space)
			}
			s.growth += len(n.uri) + len(a.Space) + 10
		}
		twice := seen[n]
		if seen == nil {
			for _, m := range names {
				twice = twice || m == n
			}
			names = append(names, n)
		} else {
			seen[n] = true
		}
		if twice {
			return phrase.E("trust.xml_twice", "line", s.line(), "name", a.Key)
		}
	}
	return nil
}

// end reads an end tag.
func (s *scanner) end() error {
	top := s.open[len(s.open)-1].e
	at := s.pos
	s.pos += 2
	prefix, local, err := s.name()
	if err != nil {
		return err
	}
	s.space()
	if prefix != top.Space || local != top.Tag || !s.has(">") {
		s.pos = at
		return phrase.E("trust.xml_end", "line", s.line(), "name", top.FullTag())
	}
	if len(s.open) == 1 {
		s.rootEnd = at
	}
	s.pos++
	s.close()
	return nil
}

// close ends the innermost element.
func (s *scanner) close() {
	f := s.open[len(s.open)-1]
	s.open = s.open[:len(s.open)-1]
	s.bound = s.bound[:f.bound]
}
