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

// pieces are the canonical form of a document, cut beside its Signatures. What an
// element looks like depends on what is above it, never on its siblings: so one
// pass gives the form for every choice of Signatures that is taken out.
type pieces struct {
	form  form
	parts []piece
}

type piece struct {
	sig *etree.Element // nil for what lies outside Signatures
	b   []byte
}

// batch is how many nodes are canonicalised at once. The canonicaliser copies all
// below an element once for each level: by batches, what it copies stays small
// whatever the document is like.
const batch = 1000

// pieces gives the document in a form; the last form is kept.
func (d *Document) pieces(f form) (*pieces, error) {
	if d.cut != nil && d.cut.form == f {
		return d.cut, nil
	}
	d.cut = nil // not two at once
	c := &cutter{d: d, p: &pieces{form: f}}
	c.add(beside(d.before, "", "\n"))
	if err := c.element(d.root); err != nil {
		return nil, err
	}
	c.add(beside(d.after, "\n", ""))
	d.cut = c.p
	return c.p, nil
}

// cutter walks down to what fits into a batch.
type cutter struct {
	d     *Document
	p     *pieces
	above []*etree.Element // the open elements
	open  int              // length of their start tags
	shut  int              // and of their end tags
}

func (c *cutter) add(b []byte) {
	if len(b) > 0 {
		c.p.parts = append(c.p.parts, piece{b: b})
	}
}

// inside canonicalises tokens below the open elements.
func (c *cutter) inside(kids []etree.Token) ([]byte, error) {
	for i := len(c.above) - 1; i >= 0; i-- {
		e := c.above[i]
		kids = []etree.Token{&etree.Element{Space: e.Space, Tag: e.Tag, Attr: e.Attr, Child: kids}}
	}
	v := kids[0].(*etree.Element)
	if c.p.form.uri == ExclusiveC14N {
		v = v.Copy() // that canonicaliser works in place
	}
	b, err := c.p.form.of(v)
	if err != nil {
		return nil, err
	}
	return b[c.open : len(b)-c.shut], nil
}

// element gives an element that is larger than a batch, or that has attributes to reorder.
func (c *cutter) element(e *etree.Element) error {
	tags, err := c.inside([]etree.Token{&etree.Element{Space: e.Space, Tag: e.Tag, Attr: e.Attr}})
	if err != nil {
		return err
	}
	end := len(tags) - len("</>") - len(e.FullTag())
	if mixed(e) {
		reorder(e, tags[:end])
	}
	c.add(tags[:end])
	c.above, c.open, c.shut = append(c.above, e), c.open+end, c.shut+len(tags)-end
	from, weight := 0, 0
	flush := func(to int) error {
		if to > from {
			b, err := c.inside(e.Child[from:to])
			if err != nil {
				return err
			}
			c.add(b)
		}
		from, weight = to, 0
		return nil
	}
	for i, t := range e.Child {
		k, isElement := t.(*etree.Element)
		n := size(t)
		switch {
		case isElement && c.d.isSignature(k):
			if err := flush(i); err != nil {
				return err
			}
			b, err := c.inside(e.Child[i : i+1])
			if err != nil {
				return err
			}
			c.p.parts = append(c.p.parts, piece{k, b})
			from = i + 1
		case isElement && (n >= batch && len(k.Child) > 0 || firstMixed(k) != nil):
			if err := flush(i); err != nil {
				return err
			}
			if err := c.element(k); err != nil {
				return err
			}
			from = i + 1
		case weight+n >= batch:
			if err := flush(i + 1); err != nil {
				return err
			}
		default:
			weight += n
		}
	}
	if err := flush(len(e.Child)); err != nil {
		return err
	}
	c.above, c.open, c.shut = c.above[:len(c.above)-1], c.open-end, c.shut-(len(tags)-end)
	c.add(tags[end:])
	return nil
}

// size counts nodes, up to batch.
func size(t etree.Token) int {
	n := 1
	if e, ok := t.(*etree.Element); ok {
		n += len(e.Attr)
		for _, c := range e.Child {
			if n >= batch {
				break
			}
			n += size(c)
		}
	}
	return n
}

func (d *Document) isSignature(e *etree.Element) bool {
	return slices.ContainsFunc(d.signatures, func(p *placed) bool { return p.e == e })
}

// beside writes the instructions that stand beside the root: they belong to the
// document (Canonical XML 1.0, 2.3).
func beside(ps []*etree.ProcInst, before, after string) []byte {
	var w bytes.Buffer
	for _, p := range ps {
		w.WriteString(before)
		p.WriteTo(&w, &etree.WriteSettings{})
		w.WriteString(after)
	}
	return w.Bytes()
}

// each gives the parts in order, without some Signatures.
func (p *pieces) each(out []*etree.Element, give func([]byte)) {
	for _, c := range p.parts {
		if c.sig == nil || !slices.Contains(out, c.sig) {
			give(c.b)
		}
	}
}

// Canonical gives the whole document in Canonical XML 1.0 without comments, its
// signatures included: what is read and shown where no signature holds.
func (d *Document) Canonical() ([]byte, error) { return d.without(nil, form{uri: C14N10}) }

// without gives the canonical form of the document without some Signatures:
// what a Reference with URI="" and the enveloped transform covers (XML Signature,
// 4.4.3.3 and 6.6.4).
func (d *Document) without(out []*etree.Element, f form) ([]byte, error) {
	p, err := d.pieces(f)
	if err != nil {
		return nil, err
	}
	n := 0
	p.each(out, func(b []byte) { n += len(b) })
	all := make([]byte, 0, n)
	p.each(out, func(b []byte) { all = append(all, b...) })
	return all, nil
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
