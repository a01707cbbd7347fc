package edit

import (
	"bytes"

	"github.com/goccy/go-yaml/ast"
)

// quoted gives the place behind a quoted text that begins at i.
func quoted(b []byte, i int) (int, bool) {
	q := b[i]
	for i++; i < len(b); i++ {
		switch {
		case b[i] == '\\' && q == '"':
			i++
		case b[i] == q && q == '\'' && i+1 < len(b) && b[i+1] == q:
			i++
		case b[i] == q:
			return i + 1, true
		}
	}
	return i, false
}

// flow places what stands in brackets at i, by its own text: commas and brackets outside
// of quotes and comments.
func (d *document) flow(n ast.Node, i int) (*node, error) {
	if i >= len(d.text) || d.text[i] != '{' && d.text[i] != '[' {
		return nil, errUnknown
	}
	out := &node{kind: flow, list: d.text[i] == '[', from: i}
	items, to, ok := items(d.text, i)
	if !ok {
		return nil, errUnknown
	}
	out.to, out.end = to, to
	var keys []*ast.MappingValueNode
	var values []ast.Node
	switch x := n.(type) {
	case *ast.MappingNode:
		keys = x.Values
		for _, v := range x.Values {
			values = append(values, v.Value)
		}
	case *ast.SequenceNode:
		values = x.Values
	}
	if len(values) != len(items) || out.list != (keys == nil && n.Type() == ast.SequenceType) {
		return nil, errUnknown
	}
	for k, it := range items {
		e := &entry{from: it[0], to: it[1], after: it[0]}
		if !out.list {
			e.key = keys[k].Key.GetToken().Value
			var err error
			if e.after, err = d.keyEnd(it[0], it[1]); err != nil {
				return nil, err
			}
		}
		v, err := d.inside(values[k], e.after, it[1])
		if err != nil {
			return nil, err
		}
		e.value = v
		out.entries = append(out.entries, e)
	}
	return out, nil
}

// inside places a value within brackets, between two places.
func (d *document) inside(n ast.Node, from, to int) (*node, error) {
	i := from
	for i < to && bytes.IndexByte([]byte(" \t\r\n"), d.text[i]) >= 0 {
		i++
	}
	switch x := n.(type) {
	case *ast.MappingNode:
		if x.IsFlowStyle {
			return d.flow(n, i)
		}
		return nil, errUnknown
	case *ast.SequenceNode:
		return d.flow(n, i)
	case *ast.NullNode:
		if i == to {
			return &node{from: from, to: from, end: from}, nil
		}
	case *ast.AliasNode, *ast.AnchorNode, *ast.TagNode, *ast.MergeKeyNode, *ast.MappingValueNode:
		return nil, errUnknown
	}
	return &node{kind: scalar, from: i, to: to, end: to}, nil
}

// items gives where the items in brackets stand, without blanks and comments around them, and
// the place behind the closing bracket.
func items(b []byte, i int) (out [][2]int, end int, ok bool) {
	depth, from, to := 0, -1, -1
	fresh := true // a quote here begins a quoted text
	take := func(at, behind int) {
		if from < 0 {
			from = at
		}
		to = behind
	}
	for ; i < len(b); i++ {
		c := b[i]
		switch {
		case c == '{' || c == '[':
			if depth > 0 {
				take(i, i+1)
			}
			depth++
			fresh = true
			if depth > mostDepth {
				return nil, 0, false
			}
		case c == '}' || c == ']':
			depth--
			if depth == 0 {
				if from >= 0 {
					out = append(out, [2]int{from, to})
				}
				return out, i + 1, true
			}
			take(i, i+1)
			fresh = false
		case c == ',' && depth == 1:
			if from < 0 {
				return nil, 0, false
			}
			out = append(out, [2]int{from, to})
			from, fresh = -1, true
		case c == ',':
			take(i, i+1)
			fresh = true
		case c == '#' && (b[i-1] == ' ' || b[i-1] == '\t' || b[i-1] == '\n'):
			for i+1 < len(b) && b[i+1] != '\n' {
				i++
			}
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
		case (c == '"' || c == '\'') && fresh:
			j, closed := quoted(b, i)
			if !closed {
				return nil, 0, false
			}
			take(i, j)
			i, fresh = j-1, false
		case c == ':':
			take(i, i+1)
			fresh = true
		default:
			take(i, i+1)
			fresh = false
		}
	}
	return nil, 0, false
}
