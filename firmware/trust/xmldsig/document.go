package xmldsig

import (
	"strconv"
	"strings"

	"github.com/beevik/etree"

	"tocsin/firmware/phrase"
)

// Namespace is that of XML Signature.
const Namespace = "http://www.w3.org/2000/09/xmldsig#"

// Document is a parsed text, used by one goroutine.
type Document struct {
	limits        Limits
	text          string
	rootEnd       int
	before, after []*etree.ProcInst
	root          *etree.Element
	signatures    []*placed
	cut           *pieces // the last canonical form
}

// placed is a Signature element and where it stands.
type placed struct {
	e      *etree.Element
	path   string
	direct bool // a child of the root
}

// Parse reads a text within limits (zero fields are those of DefaultLimits). The
// error is a *phrase.Error with the line.
func Parse(b []byte, l Limits) (*Document, error) {
	l = l.orDefault()
	if len(b) > l.Bytes {
		return nil, phrase.E("trust.xml_size", "bytes", len(b), "most", l.Bytes)
	}
	text, err := normal(b)
	if err != nil {
		return nil, err
	}
	s := &scanner{s: text, limits: l}
	if err := s.run(); err != nil {
		return nil, err
	}
	if n := len(text) + s.growth; n > l.Canonical {
		return nil, phrase.E("trust.xml_growth", "bytes", n, "most", l.Canonical)
	}
	d := &Document{limits: l, text: text, rootEnd: s.rootEnd, before: s.before, after: s.after, root: s.root}
	d.find(s.root, "/"+s.root.Tag, true)
	for _, p := range d.signatures {
		if e := firstMixed(p.e); e != nil {
			return nil, phrase.E("trust.xml_foreign", "name", e.FullTag())
		}
	}
	if n := len(d.signatures); n > l.Signatures {
		return nil, phrase.E("trust.sig_many", "count", n, "most", l.Signatures)
	}
	return d, nil
}

// find collects the Signature elements in document order. Those inside another Signature
// are part of it.
func (d *Document) find(e *etree.Element, path string, direct bool) {
	same := map[string]int{}
	for _, t := range e.Child {
		c, ok := t.(*etree.Element)
		if !ok {
			continue
		}
		same[c.Tag]++
		if c.Tag == "Signature" && d.uriOf(c) == Namespace {
			d.signatures = append(d.signatures, &placed{c, path + "/Signature[" + strconv.Itoa(same[c.Tag]) + "]", direct})
			continue
		}
		d.find(c, path+"/"+c.Tag+"["+strconv.Itoa(same[c.Tag])+"]", false)
	}
}

// uriOf gives the namespace of an element's own name.
func (d *Document) uriOf(e *etree.Element) string { return bound(e, e.Space) }

// bound gives the namespace that a prefix has at an element.
func bound(e *etree.Element, prefix string) string {
	if prefix == "xml" {
		return xmlNS
	}
	for p := e; p != nil; p = p.Parent() {
		for _, a := range p.Attr {
			if a.Space == "" && a.Key == "xmlns" && prefix == "" || a.Space == "xmlns" && a.Key == prefix && prefix != "" {
				return a.Value
			}
		}
	}
	return ""
}

// Root gives the name and namespace of the root.
func (d *Document) Root() (local, namespace string) { return d.root.Tag, d.uriOf(d.root) }

// Signatures tells how many Signature elements there are, wherever they stand.
func (d *Document) Signatures() int { return len(d.signatures) }

// Text gives the text of the first child of the root with a name and the root's own
// namespace, for finding out whose alert this claims to be before anything is
// verified. It is a claim: what holds is read from Signature.Signed.
func (d *Document) Text(local string) string {
	_, ns := d.Root()
	for _, t := range d.root.Child {
		if c, ok := t.(*etree.Element); ok && c.Tag == local && d.uriOf(c) == ns {
			return textOf(c)
		}
	}
	return ""
}

// textOf gives all text that stands directly in an element.
func textOf(e *etree.Element) string {
	first, more := "", []string(nil)
	for _, t := range e.Child {
		if c, ok := t.(*etree.CharData); ok {
			if first == "" {
				first = c.Data
			} else {
				more = append(more, c.Data)
			}
		}
	}
	if more == nil {
		return first
	}
	return first + strings.Join(more, "")
}

// stripped gives the document without processing instructions and without texts
// that are white space only: the declared second attempt (see Options.Lenient).
func (d *Document) stripped() *Document {
	q := &Document{limits: d.limits, root: strip(d.root)}
	q.find(q.root, "/"+q.root.Tag, true)
	return q
}

func strip(e *etree.Element) *etree.Element {
	n := &etree.Element{Space: e.Space, Tag: e.Tag, Attr: e.Attr}
	for _, t := range e.Child {
		switch c := t.(type) {
		case *etree.Element:
			n.AddChild(strip(c))
		case *etree.CharData:
			if !blank(c.Data) {
				n.AddChild(etree.NewText(c.Data))
			}
		}
	}
	return n
}
