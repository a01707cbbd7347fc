package onvif

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"

	"tocsin/firmware/phrase"
)

// Bounds of an answer.
const (
	maxAnswer   = 256 << 10
	maxDepth    = 32
	maxElements = 8192
	maxText     = 4096
	maxAttrs    = 16
)

// node is an element: its local name, its own text, its token attribute, its children.
// Namespaces are not judged: cameras err in them, and nothing here turns on them.
type node struct {
	name, text, token string
	children          []*node
}

// read parses a stranger's XML.
func read(b []byte) (*node, error) {
	bad := func(why string) (*node, error) { return nil, phrase.E("video-onvif.xml", "why", why) }
	if len(b) > maxAnswer {
		return bad("size")
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	d.Strict = true
	d.CharsetReader = func(label string, r io.Reader) (io.Reader, error) {
		switch strings.ToLower(label) {
		case "utf-8", "us-ascii", "ascii":
			return r, nil
		}
		return nil, phrase.E("video-onvif.xml", "why", "charset")
	}
	root := &node{}
	at := []*node{root}
	elements := 0
	for {
		t, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return bad("syntax")
		}
		top := at[len(at)-1]
		switch t := t.(type) {
		case xml.StartElement:
			if elements++; elements > maxElements || len(at) > maxDepth || len(t.Attr) > maxAttrs {
				return bad("depth")
			}
			n := &node{name: t.Name.Local}
			for _, a := range t.Attr {
				if a.Name.Local == "token" && a.Name.Space == "" && len(a.Value) <= maxText {
					n.token = a.Value
				}
			}
			top.children = append(top.children, n)
			at = append(at, n)
		case xml.EndElement:
			top.text = strings.TrimSpace(top.text)
			at = at[:len(at)-1]
		case xml.CharData:
			if len(top.text)+len(t) > maxText {
				return bad("text")
			}
			if len(at) > 1 {
				top.text += string(t)
			}
		case xml.Directive: // a DTD, and with it entities
			return bad("DTD")
		}
	}
	if len(root.children) != 1 {
		return bad("syntax")
	}
	return root.children[0], nil
}

// all gives the elements below n by a path of local names.
func (n *node) all(path ...string) []*node {
	if n == nil {
		return nil
	}
	if len(path) == 0 {
		return []*node{n}
	}
	var out []*node
	for _, c := range n.children {
		if c.name == path[0] {
			out = append(out, c.all(path[1:]...)...)
		}
	}
	return out
}

// one gives the first of all, or nil.
func (n *node) one(path ...string) *node {
	if a := n.all(path...); len(a) > 0 {
		return a[0]
	}
	return nil
}

// say gives the text of one.
func (n *node) say(path ...string) string {
	if c := n.one(path...); c != nil {
		return c.text
	}
	return ""
}

// escape writes a value into a request.
func escape(s string) string {
	var b strings.Builder
	if xml.EscapeText(&b, []byte(s)) != nil {
		return ""
	}
	return b.String()
}
