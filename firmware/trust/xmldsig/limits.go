package xmldsig

// Limits bound a document. Any text within DefaultLimits is parsed and verified
// within 32 MiB of heap.
type Limits struct {
	Bytes          int // of the text
	Canonical      int // bytes of the canonical form, by an upper estimate
	Depth          int // of elements, the root being 1
	Elements       int
	Nodes          int // elements, texts, comments and instructions together
	Attributes     int // of the whole document, namespace declarations included
	AttributeBytes int // of one value
	NameBytes      int // of one name
	Namespaces     int // prefixes in scope at once
	Signatures     int
}

// DefaultLimits suit an alert of 1 MiB. The largest real alerts are long
// polygons: few elements, much text.
var DefaultLimits = Limits{
	Bytes: 1 << 20, Canonical: 2 << 20, Depth: 16, Elements: 12000, Nodes: 30000,
	Attributes: 8000, AttributeBytes: 4096, NameBytes: 128, Namespaces: 8, Signatures: 4,
}

// orDefault fills in what is not set.
func (l Limits) orDefault() Limits {
	for _, p := range []struct {
		have *int
		want int
	}{
		{&l.Bytes, DefaultLimits.Bytes}, {&l.Canonical, DefaultLimits.Canonical}, {&l.Depth, DefaultLimits.Depth},
		{&l.Elements, DefaultLimits.Elements}, {&l.Nodes, DefaultLimits.Nodes},
		{&l.Attributes, DefaultLimits.Attributes}, {&l.AttributeBytes, DefaultLimits.AttributeBytes},
		{&l.NameBytes, DefaultLimits.NameBytes}, {&l.Namespaces, DefaultLimits.Namespaces}, {&l.Signatures, DefaultLimits.Signatures},
	} {
		if *p.have <= 0 {
			*p.have = p.want
		}
	}
	return l
}
