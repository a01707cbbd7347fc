package feed

import (
	"bufio"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"

	"tocsin/firmware/phrase"
)

// source counts the bytes that the XML decoder takes, keeps those of the token
// that is being read (and of an alert that is being cut out), and bounds both.
type source struct {
	r    *bufio.Reader
	off  int64 // bytes read so far
	buf  []byte
	base int64 // where buf begins
	from int64 // where the token begins
	tag  int
	text int
}

// ReadByte makes the decoder take single bytes, so that off is exact.
func (s *source) ReadByte() (byte, error) {
	b, err := s.r.ReadByte()
	if err != nil {
		return 0, err
	}
	s.off++
	s.buf = append(s.buf, b)
	token := s.buf[s.from-s.base:]
	most := s.text
	if token[0] == '<' && !(len(token) > 2 && token[1] == '!' && (token[2] == '[' || token[2] == '-')) {
		most = s.tag
	}
	if len(token) > most {
		return 0, phrase.E("feed.token", "kib", most>>10)
	}
	return b, nil
}

// Read is what xml.NewDecoder asks for by its type; it uses ReadByte.
func (s *source) Read(p []byte) (int, error) { return s.r.Read(p) }

// begin starts a token at off; bytes before hold (or off) are let go.
func (s *source) begin(off, hold int64) {
	s.from = off
	if hold < 0 {
		hold = off
	}
	if n := hold - s.base; n > 0 {
		s.buf = s.buf[:copy(s.buf, s.buf[n:])]
		s.base = hold
	}
}

// scope is the namespaces that an element declares, within those above.
type scope struct {
	up   *scope
	decl map[string]string
}

// look gives what a prefix stands for, looking no higher than stop.
func (s *scope) look(prefix string, stop *scope) (string, bool) {
	for ; s != stop; s = s.up {
		if v, ok := s.decl[prefix]; ok {
			return v, true
		}
	}
	return "", false
}

// element is a start tag that was read.
type element struct {
	space, local string
	raw          xml.Name // Space is the prefix
	attr         []xml.Attr
	base         *url.URL
	start        int64 // where its tag begins
	scope        *scope
}

// get gives an attribute without a namespace.
func (e *element) get(name string) string {
	for _, a := range e.attr {
		if a.Name.Space == "" && a.Name.Local == name {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

// reader walks the elements of a document within bounds.
type reader struct {
	src   *source
	d     *xml.Decoder
	l     Limits
	stack []*element
	hold  int64 // where an alert that is being cut out begins, -1
	base  *url.URL
}

func newReader(r io.Reader, base *url.URL, l Limits) *reader {
	b := bufio.NewReaderSize(r, 16<<10)
	if mark, err := b.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		b.Discard(3)
	}
	src := &source{r: b, tag: l.Tag, text: int(l.Document)}
	return &reader{src: src, d: xml.NewDecoder(src), l: l, hold: -1, base: base}
}

// next gives a start tag, an end tag (nil, nil), or text.
func (r *reader) next() (*element, []byte, error) {
	for {
		start := r.d.InputOffset()
		r.src.begin(start, r.hold)
		t, err := r.d.RawToken()
		if err != nil {
			if err == io.EOF && len(r.stack) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, nil, err
		}
		switch t := t.(type) {
		case xml.Directive:
			return nil, nil, phrase.E("feed.dtd")
		case xml.CharData:
			if len(t) > 0 {
				return nil, t, nil
			}
		case xml.StartElement:
			e, err := r.push(t, start)
			return e, nil, err
		case xml.EndElement:
			n := len(r.stack) - 1
			if n < 0 || r.stack[n].raw != t.Name {
				return nil, nil, phrase.E("feed.nesting", "element", cut(t.Name.Local, 40))
			}
			r.stack = r.stack[:n]
			return nil, nil, nil
		}
	}
}

func (r *reader) push(t xml.StartElement, start int64) (*element, error) {
	if len(r.stack) >= r.l.Depth {
		return nil, phrase.E("feed.depth", "most", r.l.Depth)
	}
	e := &element{raw: t.Name, local: t.Name.Local, attr: t.Attr, base: r.base, start: start}
	var up *scope
	if n := len(r.stack); n > 0 {
		up, e.base = r.stack[n-1].scope, r.stack[n-1].base
	}
	e.scope = up
	for _, a := range t.Attr {
		prefix, ok := "", a.Name == (xml.Name{Local: "xmlns"})
		if a.Name.Space == "xmlns" {
			prefix, ok = a.Name.Local, true
		}
		if ok {
			if e.scope == up {
				e.scope = &scope{up: up, decl: map[string]string{}}
			}
			e.scope.decl[prefix] = a.Value
		}
		if a.Name == (xml.Name{Space: "xml", Local: "base"}) {
			if u, err := e.base.Parse(strings.TrimSpace(a.Value)); err == nil {
				e.base = u
			}
		}
	}
	e.space, _ = e.scope.look(t.Name.Space, nil)
	r.stack = append(r.stack, e)
	return e, nil
}

// each calls do for every child of the element that was read last, up to its
// end. do reads the child to its end and says true, or leaves it to be skipped.
func (r *reader) each(do func(*element) (bool, error)) error {
	for {
		c, text, err := r.next()
		switch {
		case err != nil:
			return err
		case text != nil:
		case c == nil:
			return nil
		default:
			done, err := do(c)
			if err == nil && !done {
				err = r.skip()
			}
			if err != nil {
				return err
			}
		}
	}
}

// skip reads to the end of the element that was read last.
func (r *reader) skip() error {
	for depth := len(r.stack); len(r.stack) >= depth; {
		if _, _, err := r.next(); err != nil {
			return err
		}
	}
	return nil
}

// text gives the text of the element that was read last, at most so many bytes
// of it; more says false.
func (r *reader) text(most int) (string, bool, error) {
	var b []byte
	whole := true
	for depth := len(r.stack); len(r.stack) >= depth; {
		_, t, err := r.next()
		if err != nil {
			return "", false, err
		}
		if len(b)+len(t) > most {
			whole = false
			continue
		}
		b = append(b, t...)
	}
	return strings.TrimSpace(string(b)), whole, nil
}

// errLarge: an alert within the feed is larger than a document may be.
var errLarge = errors.New("larger than a document may be")

// cutOut gives the bytes of the element that was read last, as they came. A
// namespace that the feed declared above it and that it uses is declared on its
// tag, so that it stands alone (as Exclusive XML Canonicalization, section 3,
// names them: those visibly used).
func (r *reader) cutOut(e *element) ([]byte, error) {
	var above *scope
	if n := len(r.stack); n > 1 {
		above = r.stack[n-2].scope
	}
	r.hold = e.start
	defer func() { r.hold = -1 }()
	need := map[string]string{}
	use := func(c *element) {
		note := func(prefix string) {
			if _, ok := c.scope.look(prefix, above); ok || prefix == "xml" || prefix == "xmlns" {
				return
			}
			if v, ok := above.look(prefix, nil); ok {
				need[prefix] = v
			}
		}
		note(c.raw.Space)
		for _, a := range c.attr {
			if a.Name.Space != "" {
				note(a.Name.Space)
			}
		}
	}
	use(e)
	large := false
	for depth := len(r.stack); len(r.stack) >= depth; {
		c, _, err := r.next()
		if err != nil {
			return nil, err
		}
		if c != nil {
			use(c)
		}
		if r.d.InputOffset()-e.start > r.l.Document {
			large, r.hold = true, -1
		}
	}
	if large {
		return nil, errLarge
	}
	raw := r.src.buf[e.start-r.src.base : r.d.InputOffset()-r.src.base]
	head := 1 + len(e.raw.Local)
	if e.raw.Space != "" {
		head += len(e.raw.Space) + 1
	}
	out := append(make([]byte, 0, len(raw)+64*len(need)), raw[:head]...)
	for _, prefix := range sorted(need) {
		out = append(out, " xmlns"...)
		if prefix != "" {
			out = append(append(out, ':'), prefix...)
		}
		var v strings.Builder
		xml.EscapeText(&v, []byte(need[prefix]))
		out = append(append(append(out, `="`...), v.String()...), '"')
	}
	return append(out, raw[head:]...), nil
}

func sorted(m map[string]string) []string {
	k := make([]string, 0, len(m))
	for s := range m {
		k = append(k, s)
	}
	slices.Sort(k)
	return k
}
