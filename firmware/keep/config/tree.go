package config

import (
	"errors"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"tocsin/firmware/phrase"
)

// sizeMost bounds a document: a large site has some 500 lines.
const sizeMost = 1 << 20

// Tree is a document whose parts know their place, whatever it is about: the
// hub's file is read by the same rules as a site's.
type Tree struct {
	File string
	// Source is the document as it was read.
	Source []byte
	root   ast.Node
}

// Read reads a document's bytes within the bound.
func Read(file string) ([]byte, []Problem) {
	st, err := os.Stat(file)
	if err == nil && st.Size() > sizeMost {
		return nil, []Problem{{File: file, Message: phrase.M("config.too_large", "most", sizeMost)}}
	}
	b, err := os.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, []Problem{{File: file, Message: phrase.M("config.no_file")}}
	case err != nil:
		return nil, []Problem{{File: file, Message: phrase.M("config.unreadable", "err", err)}}
	}
	return b, nil
}

// ParseTree decodes a document strictly. file is its name for messages.
func ParseTree(file string, b []byte, into any) (*Tree, []Problem) {
	if len(b) > sizeMost {
		return nil, []Problem{{File: file, Message: phrase.M("config.too_large", "most", sizeMost)}}
	}
	if line := TooDeep(b); line > 0 {
		return nil, []Problem{{File: file, Line: line, Col: 1, Message: phrase.M("config.too_deep")}}
	}
	d := &Tree{File: file, Source: b}
	f, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, []Problem{d.syntax(err)}
	}
	if len(f.Docs) == 0 || f.Docs[0].Body == nil {
		return nil, []Problem{{File: file, Line: 1, Col: 1, Message: phrase.M("config.empty")}}
	}
	if len(f.Docs) > 1 {
		return nil, []Problem{{File: file, Message: phrase.M("config.many_documents")}}
	}
	d.root = f.Docs[0].Body
	if p, ok := d.alias(); ok {
		return nil, []Problem{p}
	}
	if err := yaml.NodeToValue(d.root, into, yaml.Strict()); err != nil {
		return nil, []Problem{d.syntax(err)}
	}
	return d, nil
}

// syntax gives the parser's or decoder's error its place and words.
func (d *Tree) syntax(err error) Problem {
	p := Problem{File: d.File, Message: phrase.M("config.syntax", "detail", firstLine(err.Error()))}
	var unknown *yaml.UnknownFieldError
	var kind *yaml.TypeError
	var e yaml.Error
	var at *placed
	if errors.As(err, &at) {
		p.Line, p.Col = at.line, at.col
		p.Message = phrase.M("config.syntax", "detail", at.err)
		return p
	}
	if errors.As(err, &e) {
		if t := e.GetToken(); t != nil && t.Position != nil {
			p.Line, p.Col = t.Position.Line, t.Position.Column
		}
		p.Message = phrase.M("config.syntax", "detail", firstLine(e.GetMessage()))
		switch {
		case errors.As(err, &unknown):
			p.Message = phrase.M("config.unknown_key", "key", e.GetToken().Value)
		case errors.As(err, &kind):
			p.Message = phrase.M("config.wrong_type", "value", e.GetToken().Value, "want", kind.DstType.String())
		}
	}
	return p
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if len(s) > 300 {
		s = s[:300]
	}
	return s
}

type finder struct {
	found ast.Node
}

func (f *finder) Visit(n ast.Node) ast.Visitor {
	switch n.Type() {
	case ast.AliasType, ast.AnchorType, ast.MergeKeyType, ast.TagType:
		if f.found == nil {
			f.found = n
		}
	}
	return f
}

// Aliased gives what in a tree stands for something else (an anchor, an alias, a merge key,
// a tag), nil for nothing. A few lines of these can mean more than any memory holds, so that
// it is looked for before anything asks what a document means.
func Aliased(root ast.Node) ast.Node {
	var f finder
	ast.Walk(&f, root)
	return f.found
}

func (d *Tree) alias() (Problem, bool) {
	found := Aliased(d.root)
	if found == nil {
		return Problem{}, false
	}
	t, m := found.GetToken(), phrase.M("config.alias")
	if found.Type() == ast.TagType { // the decoder falls over some of them
		m = phrase.M("config.tag", "tag", firstLine(t.Value))
	}
	return Problem{File: d.File, Line: t.Position.Line, Col: t.Position.Column, Message: m}, true
}

// At makes a problem at the place of a path: keys of mappings and, as numbers,
// indices of lists. Where the path does not exist, the place is that of its
// nearest part that does.
func (d *Tree) At(m phrase.Message, path ...any) Problem {
	n := d.root
	var key ast.Node
	for _, p := range path {
		next, k := child(n, p)
		if next == nil {
			break
		}
		n = next
		if k != nil {
			key = k
		}
	}
	p := Problem{File: d.File, Line: 1, Col: 1, Message: m}
	if key != nil {
		if t := key.GetToken(); t != nil && t.Position != nil {
			p.Line, p.Col = t.Position.Line, t.Position.Column
		}
	}
	return p
}

// Warn is At for a warning.
func (d *Tree) Warn(m phrase.Message, path ...any) Problem {
	p := d.At(m, path...)
	p.Warning = true
	return p
}

// child gives a part of a node, and the key by which it hangs there: a scalar
// value's own place where it has one on the key's line.
func child(n ast.Node, part any) (next, at ast.Node) {
	switch p := part.(type) {
	case string:
		var values []*ast.MappingValueNode
		switch m := n.(type) {
		case *ast.MappingNode:
			values = m.Values
		case *ast.MappingValueNode:
			values = []*ast.MappingValueNode{m}
		}
		for _, v := range values {
			if v.Key.GetToken().Value == p {
				if s, ok := v.Value.(ast.ScalarNode); ok {
					return v.Value, s
				}
				return v.Value, v.Key
			}
		}
	case int:
		if s, ok := n.(*ast.SequenceNode); ok && p >= 0 && p < len(s.Values) {
			return s.Values[p], nil
		}
	}
	return nil, nil
}
