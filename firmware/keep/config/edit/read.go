package edit

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
)

// document is a text with the places of its parts.
type document struct {
	text    []byte
	lines   []int // where each line begins
	root    *node
	meaning *value
}

// The kinds of a node.
const (
	none   = iota // nothing stands there: “key:”
	scalar        // a text, a number; also one of several lines
	block         // a mapping or list of lines
	flow          // one in brackets
)

// node is a value with its place.
type node struct {
	kind int
	list bool
	// from and to are what is written: for a block from its first entry on. end is where
	// the lines of it end, comments behind it not counted.
	from, to, end int
	entries       []*entry
}

// entry is a key with its value, or an item of a list.
type entry struct {
	key string // "" of a list's item
	// from is where its key or dash begins; to is where it ends (in brackets before the
	// comma, else the end of its lines); after is behind the colon or dash.
	from, to, after int
	col             int // of its key or dash, from 0
	value           *node
}

var errUnknown = errors.New("written in a way that is not known here")

func read(text []byte) (*document, error) {
	d := &document{text: text}
	d.lines = []int{0}
	for i, c := range text {
		if c == '\n' && i+1 <= len(text) {
			d.lines = append(d.lines, i+1)
		}
	}
	if line := config.TooDeep(text); line > 0 {
		return nil, phrase.E("edit.unreadable", "line", line, "detail", "[[[…")
	}
	f, err := parser.ParseBytes(text, 0)
	if err == nil {
		for _, x := range f.Docs {
			if x.Body == nil {
				continue
			}
			if a := config.Aliased(x.Body); a != nil {
				return nil, phrase.E("edit.by_hand", "path", "/", "line", a.GetToken().Position.Line)
			}
		}
		d.meaning, err = mean(text)
	}
	if err != nil {
		line, detail := 1, err.Error()
		var e yaml.Error
		if errors.As(err, &e) {
			detail = e.GetMessage()
			if t := e.GetToken(); t != nil && t.Position != nil {
				line = t.Position.Line
			}
		}
		detail, _, _ = strings.Cut(detail, "\n")
		return nil, phrase.E("edit.unreadable", "line", line, "detail", detail)
	}
	if len(f.Docs) > 1 {
		return nil, phrase.E("edit.unreadable", "line", 1, "detail", "---")
	}
	if len(f.Docs) == 0 || f.Docs[0].Body == nil || f.Docs[0].Body.Type() == ast.NullType {
		d.meaning = nil
		return d, nil
	}
	if d.root, err = d.node(f.Docs[0].Body, 0, len(text), -1); err != nil {
		return nil, phrase.E("edit.by_hand", "path", "/", "line", 1)
	}
	return d, nil
}

// at gives the place of a token, whose column counts characters.
func (d *document) at(t *token.Token) (int, int, error) {
	if t == nil || t.Position == nil || t.Position.Line < 1 || t.Position.Line > len(d.lines) || t.Position.Column < 1 {
		return 0, 0, errUnknown
	}
	from := d.lines[t.Position.Line-1]
	i := from
	for range t.Position.Column - 1 {
		if i >= len(d.text) || d.text[i] == '\n' {
			return 0, 0, errUnknown
		}
		_, n := utf8.DecodeRune(d.text[i:])
		i += n
	}
	return i, t.Position.Column - 1, nil
}

// node places a value that begins at from or behind it, and whose lines end before
// limit. indent is the column of what it belongs to.
func (d *document) node(n ast.Node, from, limit, indent int) (*node, error) {
	i := d.space(from, limit)
	out := &node{from: i, to: i, end: i}
	switch x := n.(type) {
	case *ast.MappingNode:
		if x.IsFlowStyle {
			return d.flow(n, i)
		}
		return d.mapping(x.Values, limit)
	case *ast.MappingValueNode:
		return d.mapping([]*ast.MappingValueNode{x}, limit)
	case *ast.SequenceNode:
		if x.IsFlowStyle {
			return d.flow(n, i)
		}
		return d.sequence(x, limit)
	case *ast.NullNode:
		if i < limit && d.text[i] != '#' && d.text[i] != '\n' {
			out.kind = scalar // written out: null, ~
			out.to = d.plainEnd(i, limit)
			return out, nil
		}
		out.from, out.to, out.end = from, from, from
		return out, nil
	case *ast.AliasNode, *ast.AnchorNode, *ast.TagNode, *ast.MergeKeyNode:
		return nil, errUnknown
	}
	out.kind = scalar
	if i >= limit {
		return nil, errUnknown
	}
	switch c := d.text[i]; {
	case c == '"' || c == '\'':
		to, ok := quoted(d.text[:limit], i)
		if !ok {
			return nil, errUnknown
		}
		out.to = to
	case c == '|' || c == '>':
		out.to = d.linesEnd(i, limit, indent)
	default:
		out.to = d.plainEnd(i, limit)
		if lit, ok := n.(*ast.StringNode); ok && strings.TrimSpace(lit.Value) != strings.TrimSpace(string(d.text[i:out.to])) {
			out.to = d.linesEnd(i, limit, indent) // it goes on in the next line
		}
	}
	out.end = out.to
	return out, nil
}

func (d *document) mapping(values []*ast.MappingValueNode, limit int) (*node, error) {
	out := &node{kind: block}
	if len(values) == 0 {
		return nil, errUnknown
	}
	for i, v := range values {
		from, col, err := d.at(v.Key.GetToken())
		if err != nil {
			return nil, err
		}
		next := limit
		if i+1 < len(values) {
			if next, _, err = d.at(values[i+1].Key.GetToken()); err != nil {
				return nil, err
			}
			next = d.lineStart(next)
		}
		e := &entry{key: v.Key.GetToken().Value, from: from, col: col}
		if e.after, err = d.keyEnd(from, next); err != nil {
			return nil, err
		}
		if e.value, err = d.node(v.Value, e.after, next, col); err != nil {
			return nil, err
		}
		e.to = d.linesEnd(from, next, col)
		out.entries = append(out.entries, e)
	}
	return out.bounds(), nil
}

func (d *document) sequence(n *ast.SequenceNode, limit int) (*node, error) {
	out := &node{kind: block, list: true}
	if len(n.Entries) == 0 || len(n.Entries) != len(n.Values) {
		return nil, errUnknown
	}
	for i, v := range n.Entries {
		from, col, err := d.at(v.Start)
		if err != nil || d.text[from] != '-' {
			return nil, errUnknown
		}
		next := limit
		if i+1 < len(n.Entries) {
			if next, _, err = d.at(n.Entries[i+1].Start); err != nil {
				return nil, err
			}
			next = d.lineStart(next)
		}
		e := &entry{from: from, col: col, after: from + 1}
		if e.value, err = d.node(n.Values[i], e.after, next, col); err != nil {
			return nil, err
		}
		e.to = d.linesEnd(from, next, col)
		out.entries = append(out.entries, e)
	}
	return out.bounds(), nil
}

func (n *node) bounds() *node {
	last := n.entries[len(n.entries)-1]
	n.from, n.to, n.end = n.entries[0].from, last.to, last.to
	return n
}

// keyEnd gives the place behind the colon of a key.
func (d *document) keyEnd(i, limit int) (int, error) {
	if i < limit && (d.text[i] == '"' || d.text[i] == '\'') {
		to, ok := quoted(d.text[:limit], i)
		if !ok {
			return 0, errUnknown
		}
		i = to
	}
	for ; i < limit && d.text[i] != '\n'; i++ {
		if d.text[i] == ':' && (i+1 >= len(d.text) || strings.IndexByte(" \t\n,}]", d.text[i+1]) >= 0) {
			return i + 1, nil
		}
	}
	return 0, errUnknown
}

// space gives the first place from i on that is no blank, in the same line.
func (d *document) space(i, limit int) int {
	for i < limit && (d.text[i] == ' ' || d.text[i] == '\t') {
		i++
	}
	return i
}

// plainEnd gives the end of a plain text on its line.
func (d *document) plainEnd(i, limit int) int {
	end := i
	for ; i < limit && d.text[i] != '\n'; i++ {
		if d.text[i] == '#' && i > 0 && (d.text[i-1] == ' ' || d.text[i-1] == '\t') {
			break
		}
		if d.text[i] != ' ' && d.text[i] != '\t' {
			end = i + 1
		}
	}
	return end
}

func (d *document) lineStart(i int) int { return bytes.LastIndexByte(d.text[:i], '\n') + 1 }

// lineEnd gives the place behind the line of i.
func (d *document) lineEnd(i, limit int) int {
	if n := bytes.IndexByte(d.text[i:limit], '\n'); n >= 0 {
		return i + n + 1
	}
	return limit
}

// linesEnd gives where the lines of what begins at from end: before limit, and before
// blank lines and comments that no longer stand deeper than it.
func (d *document) linesEnd(from, limit, indent int) int {
	end := d.lineEnd(from, limit)
	for i := end; i < limit; {
		next := d.lineEnd(i, limit)
		s := d.text[i:next]
		body := bytes.TrimLeft(s, " ")
		if t := bytes.TrimSpace(s); len(t) > 0 && (t[0] != '#' || len(s)-len(body) > indent) {
			end = next
		}
		i = next
	}
	return end
}

func (d *document) line(i int) int {
	return 1 + bytes.Count(d.text[:min(i, len(d.text))], []byte("\n"))
}

// lineOf gives the line of the nearest part of a path that is there.
func (d *document) lineOf(path []string) int {
	line, n := 1, d.root
	for _, p := range path {
		e := n.entry(p)
		if e == nil {
			break
		}
		line, n = d.line(e.from), e.value
	}
	return line
}

// entry finds a part; nil where it is not there.
func (n *node) entry(part string) *entry {
	if n == nil {
		return nil
	}
	if n.list {
		if i, ok := index(part); ok && i >= 0 && i < len(n.entries) {
			return n.entries[i]
		}
		return nil
	}
	for _, e := range n.entries {
		if e.key == part {
			return e
		}
	}
	return nil
}
