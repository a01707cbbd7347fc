package xmldsig

import (
	"bytes"
	"slices"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"tocsin/firmware/phrase"
)

// The canonicalisations that are taken, all without comments.
const (
	C14N10        = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
	C14N11        = "http://www.w3.org/2006/12/xml-c14n11"
	ExclusiveC14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
)

// form is a canonicalisation with its parameter.
type form struct {
	uri      string
	prefixes string // InclusiveNamespaces/@PrefixList of the exclusive one
}

func known(uri string) bool { return uri == C14N10 || uri == C14N11 || uri == ExclusiveC14N }

// of canonicalises an element that has no ancestors. It may change e, which must be
// the caller's own copy where the form is exclusive.
//
// Without ancestors the two inclusive forms are one: they differ in what an
// apex inherits of the xml: attributes (Canonical XML 1.1, 2.4).
func (f form) of(e *etree.Element) ([]byte, error) {
	c := dsig.MakeC14N11Canonicalizer()
	if f.uri == ExclusiveC14N {
		c = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(f.prefixes)
	}
	b, err := c.Canonicalize(e)
	if err != nil {
		return nil, phrase.Wrap(err, "trust.sig_canonical")
	}
	return b, nil
}

// Canonical gives the whole document in Canonical XML 1.0 without comments, its
// signatures included: what is read and shown where no signature holds.
func (d *Document) Canonical() ([]byte, error) { return d.without(nil, form{uri: C14N10}) }

// without gives the canonical form of the document without some Signatures:
// what a Reference with URI="" and the enveloped transform covers (XML Signature,
// 4.4.3.3 and 6.6.4).
func (d *Document) without(out []*etree.Element, f form) ([]byte, error) {
	view := &etree.Element{Space: d.root.Space, Tag: d.root.Tag, Attr: d.root.Attr, Child: make([]etree.Token, 0, len(d.root.Child))}
	for _, t := range d.root.Child {
		if c, ok := t.(*etree.Element); !ok || !slices.Contains(out, c) {
			view.Child = append(view.Child, t)
		}
	}
	if f.uri == ExclusiveC14N {
		view = view.Copy() // that canonicaliser works in place
	}
	b, err := f.of(view)
	if err != nil || len(d.before)+len(d.after) == 0 {
		return b, err
	}
	// Instructions beside the root belong to the document (Canonical XML 1.0, 2.3).
	var w bytes.Buffer
	for _, p := range d.before {
		p.WriteTo(&w, &etree.WriteSettings{})
		w.WriteByte('\n')
	}
	w.Write(b)
	for _, p := range d.after {
		w.WriteByte('\n')
		p.WriteTo(&w, &etree.WriteSettings{})
	}
	return w.Bytes(), nil
}

// inContext canonicalises an element where it stands: with the namespaces, and for the
// inclusive forms the xml: attributes, that it inherits.
func inContext(e *etree.Element, f form) ([]byte, error) {
	q := e.Copy()
	have := func(space, key string) bool {
		return slices.ContainsFunc(q.Attr, func(a etree.Attr) bool { return a.Space == space && a.Key == key })
	}
	for p := e.Parent(); p != nil; p = p.Parent() {
		for _, a := range p.Attr {
			switch {
			case a.Space == "" && a.Key == "xmlns", a.Space == "xmlns":
			case a.Space == "xml" && f.uri == C14N10:
			case a.Space == "xml" && f.uri == C14N11 && (a.Key == "lang" || a.Key == "space"):
			case a.Space == "xml" && f.uri == C14N11 && a.Key == "base":
				return nil, phrase.E("trust.sig_base")
			default:
				continue
			}
			if !have(a.Space, a.Key) {
				q.Attr = append(q.Attr, etree.Attr{Space: a.Space, Key: a.Key, Value: a.Value})
			}
		}
	}
	return f.of(q)
}
