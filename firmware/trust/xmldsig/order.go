package xmldsig

import (
	"bytes"
	"slices"
	"strings"

	"github.com/beevik/etree"
)

// mixed tells whether an element has attributes of different prefixes. goxmldsig
// orders those by their local names; Canonical XML (2.2) does so by namespace first.
func mixed(e *etree.Element) bool {
	first := ""
	for _, a := range e.Attr {
		switch {
		case a.Space == "" || a.Space == "xmlns" || a.Space == first:
		case first == "":
			first = a.Space
		default:
			return true
		}
	}
	return false
}

// firstMixed finds such an element.
func firstMixed(e *etree.Element) *etree.Element {
	if mixed(e) {
		return e
	}
	for _, t := range e.Child {
		if c, ok := t.(*etree.Element); ok {
			if m := firstMixed(c); m != nil {
				return m
			}
		}
	}
	return nil
}

// reorder puts the prefixed attributes of a canonical start tag into the standard's
// order, in place. In a canonical tag no value holds a quote.
func reorder(e *etree.Element, tag []byte) {
	type attr struct {
		uri, local string
		text       []byte
	}
	var attrs []attr
	begin := -1
	rest := bytes.IndexByte(tag, ' ')
	for rest >= 0 && rest < len(tag)-1 {
		name, _, _ := strings.Cut(string(tag[rest+1:]), "=")
		shut := rest + len(name) + 3
		end := shut + bytes.IndexByte(tag[shut:], '"') + 1
		if prefix, local, ok := strings.Cut(name, ":"); ok && prefix != "xmlns" {
			if begin < 0 {
				begin = rest
			}
			attrs = append(attrs, attr{bound(e, prefix), local, bytes.Clone(tag[rest:end])})
		}
		rest = end
	}
	if begin < 0 {
		return
	}
	slices.SortStableFunc(attrs, func(a, b attr) int {
		if c := strings.Compare(a.uri, b.uri); c != 0 {
			return c
		}
		return strings.Compare(a.local, b.local)
	})
	for _, a := range attrs {
		begin += copy(tag[begin:], a.text)
	}
}
