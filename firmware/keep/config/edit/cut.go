package edit

import (
	"bytes"
	"strings"

	"tocsin/firmware/phrase"
)

// found is how far a path leads into a document.
type found struct {
	at   *node    // the deepest part that is there
	in   *entry   // where it hangs; nil at the root
	path []string // what of the path is not there
}

func (d *document) find(path []string) found {
	f := found{at: d.root, path: path}
	for len(f.path) > 0 {
		e := f.at.entry(f.path[0])
		if e == nil {
			break
		}
		f.at, f.in, f.path = e.value, e, f.path[1:]
	}
	return f
}

func pointer(path []string) string { return "/" + strings.Join(path, "/") }

// set gives the text in which v stands at path.
func (d *document) set(path []string, v *value) ([]byte, error) {
	f := d.find(path)
	if len(f.path) == 0 {
		return d.replace(f.in, v), nil
	}
	rest := f.path
	if f.at.kind == none || f.at.kind == scalar && d.meaningAt(path[:len(path)-len(rest)]).empty() {
		v, _ = wrapped(rest, v)
		if f.in == nil {
			return d.first(v), nil
		}
		return d.replace(f.in, v), nil
	}
	v, _ = wrapped(rest[1:], v)
	if i, ok := index(rest[0]); f.at.kind == scalar || f.at.list && (!ok || i >= 0) {
		return nil, phrase.E("edit.no_place", "path", pointer(path))
	}
	return d.add(f.at, rest[0], v), nil
}

func (d *document) meaningAt(path []string) *value {
	v := d.meaning
	for _, p := range path {
		if v == nil {
			return nil
		}
		if v.kind == 'l' {
			i, ok := index(p)
			if !ok || i < 0 || i >= len(v.list) {
				return nil
			}
			v = v.list[i]
			continue
		}
		v = v.of[p]
	}
	return v
}

// first writes the first entries of a document that has none.
func (d *document) first(v *value) []byte {
	var b strings.Builder
	if n := len(d.text); n > 0 && d.text[n-1] != '\n' {
		b.WriteString("\n")
	}
	for _, k := range v.keys {
		b.WriteString(text(k) + ":" + v.of[k].after(0) + "\n")
	}
	return splice(d.text, len(d.text), len(d.text), b.String())
}

// replace puts v in the place of an entry's value.
func (d *document) replace(e *entry, v *value) []byte {
	n := e.value
	if d.inBrackets(e) {
		var b strings.Builder
		v.flow(&b)
		if n.kind == none {
			return splice(d.text, e.after, e.after, " "+b.String())
		}
		return splice(d.text, n.from, n.to, b.String())
	}
	with := v.after(e.col)
	one := !strings.Contains(with, "\n")
	switch {
	case n.kind == none && one:
		return splice(d.text, e.after, e.after, with)
	case (n.kind == scalar || n.kind == flow) && one && d.text[n.to-1] != '\n':
		return splice(d.text, n.from, n.to, strings.TrimPrefix(with, " "))
	case n.kind == block && one && d.lineStart(n.from) == d.lineStart(e.from):
		return splice(d.text, n.from, e.to, strings.TrimPrefix(with, " ")+d.ending(e.to)) // - key: value
	case n.kind == block && one:
		// What stands behind the key on its line is a comment, and stays.
		line := d.lineEnd(e.from, e.to)
		return bytes.Join([][]byte{d.text[:e.after], []byte(with), d.text[e.after:line], d.text[e.to:]}, nil)
	}
	return splice(d.text, e.after, e.to, with+d.ending(e.to))
}

// ending is what the last line of what was cut before i ended with.
func (d *document) ending(i int) string {
	if i > 0 && d.text[i-1] == '\n' {
		return "\n"
	}
	return ""
}

// inBrackets tells whether an entry stands in brackets: there it has no lines of its own.
func (d *document) inBrackets(e *entry) bool {
	var in func(n *node) bool
	in = func(n *node) bool {
		if n == nil {
			return false
		}
		for _, x := range n.entries {
			if x == e {
				return n.kind == flow
			}
			if in(x.value) {
				return true
			}
		}
		return false
	}
	return in(d.root)
}

// add puts a new entry at the end of a mapping or list.
func (d *document) add(n *node, key string, v *value) []byte {
	if n.kind == flow {
		var b strings.Builder
		if len(n.entries) > 0 {
			b.WriteString(", ")
		}
		if !n.list {
			b.WriteString(text(key) + ": ")
		}
		v.flow(&b)
		at := n.to - 1
		if len(n.entries) > 0 {
			at = n.entries[len(n.entries)-1].to
		}
		return splice(d.text, at, at, b.String())
	}
	last := n.entries[len(n.entries)-1]
	var b strings.Builder
	if last.to > 0 && d.text[last.to-1] != '\n' {
		b.WriteString("\n")
	}
	if n == d.root && bytes.Contains(d.text, []byte("\n\n")) {
		b.WriteString("\n") // sections stand apart
	}
	b.WriteString(strings.Repeat(" ", last.col))
	if n.list {
		b.WriteString("-")
		v.flowAfter(&b)
	} else {
		b.WriteString(text(key) + ":" + v.after(last.col))
	}
	b.WriteString("\n")
	return splice(d.text, last.to, last.to, b.String())
}

// remove gives the text without what stands at path.
func (d *document) remove(path []string) ([]byte, error) {
	f := d.find(path)
	if len(f.path) > 0 {
		return nil, phrase.E("edit.no_place", "path", pointer(path))
	}
	up := d.find(path[:len(path)-1])
	n, i := up.at, 0
	for n.entries[i] != f.in {
		i++
	}
	if len(n.entries) == 1 {
		if up.in == nil {
			return nil, phrase.E("edit.all")
		}
		empty := &value{kind: 'm'}
		if n.list {
			empty.kind = 'l'
		}
		return d.replace(up.in, empty), nil
	}
	e := f.in
	if n.kind == flow {
		if i+1 < len(n.entries) {
			return splice(d.text, e.from, n.entries[i+1].from, ""), nil
		}
		return splice(d.text, n.entries[i-1].to, e.to, ""), nil
	}
	if len(bytes.TrimSpace(d.text[d.lineStart(e.from):e.from])) > 0 { // the first behind a dash
		return splice(d.text, e.from, n.entries[i+1].from, ""), nil
	}
	return splice(d.text, d.lineStart(e.from), e.to, ""), nil
}
