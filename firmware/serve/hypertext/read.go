package hypertext

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"text/template/parse"
)

// Set is templates that were read and may be written. It never changes.
type Set struct{ bodies map[string][]step }

// step is one thing that a template does. The box keeps some two thousand of them for as
// long as it runs: they are small, and hold on to nothing of what they were read from.
type step struct {
	does   does
	escape escape
	text   string // what is written, or the template that is
	of     *expr
	more   *more
}

// more is what a step has that decides.
type more struct {
	slots []int // of variables: of a let one, of a range its key and value, as far as named
	yes   []step
	no    []step
}

type does uint8

const (
	write does = iota
	show
	let
	choose
	with
	each
	call
)

// expr is a value: a field's path from the dot or a variable, a word, or a function of others.
type expr struct {
	call string // the function, "" for none
	args []*expr
	from int // the variable's slot, or dot
	path []string
	word string // where from says so
}

// What is no variable's slot; that of $ is 0.
const (
	dot  = -1
	word = -2
)

// Read reads the templates of files, each {{define}}d by a name of its own.
func Read(files fs.FS, pattern string) (*Set, error) {
	names, err := fs.Glob(files, pattern)
	if err != nil {
		return nil, err
	}
	trees := map[string]*parse.Tree{}
	for _, n := range names {
		b, err := fs.ReadFile(files, n)
		if err != nil {
			return nil, err
		}
		if err := plant(trees, path.Base(n), string(b)); err != nil {
			return nil, err
		}
	}
	return grow(trees)
}

// Parse reads one template.
func Parse(name, text string) (*Set, error) {
	trees := map[string]*parse.Tree{}
	if err := plant(trees, name, text); err != nil {
		return nil, err
	}
	return grow(trees)
}

func plant(trees map[string]*parse.Tree, name, text string) error {
	t := parse.New(name)
	t.Mode = parse.SkipFuncCheck // read below
	_, err := t.Parse(text, "{{", "}}", trees)
	return err
}

func grow(trees map[string]*parse.Tree) (*Set, error) {
	s := &Set{bodies: map[string][]step{}}
	for name, t := range trees {
		r := &reader{trees: trees, names: []string{"$"}}
		body, err := r.list(t.Root)
		if err == nil && r.at.where != inText {
			err = fmt.Errorf("it ends within a tag")
		}
		if err != nil {
			return nil, fmt.Errorf("template %s: %w", name, err)
		}
		s.bodies[name] = body
	}
	return s, nil
}

type reader struct {
	trees map[string]*parse.Tree
	at    place
	names []string // of variables, by slot
}

func (r *reader) list(l *parse.ListNode) (all []step, err error) {
	if l == nil {
		return nil, nil
	}
	all = make([]step, 0, len(l.Nodes))
	for _, n := range l.Nodes {
		s, err := r.node(n)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func (r *reader) node(n parse.Node) (s step, err error) {
	switch n := n.(type) {
	case *parse.TextNode:
		return step{does: write, text: string(n.Text)}, r.at.pass(string(n.Text))
	case *parse.ActionNode:
		if s.of, err = r.pipe(n.Pipe); err != nil {
			return s, err
		}
		if len(n.Pipe.Decl) > 0 {
			s.does, s.more = let, &more{slots: r.declare(n.Pipe)}
			return s, nil
		}
		s.does = show
		s.escape, err = r.at.here()
		return s, err
	case *parse.IfNode:
		return r.branch(choose, n.Pipe, n.List, n.ElseList)
	case *parse.WithNode:
		return r.branch(with, n.Pipe, n.List, n.ElseList)
	case *parse.RangeNode:
		return r.branch(each, n.Pipe, n.List, n.ElseList)
	case *parse.TemplateNode:
		if r.at.where != inText || r.trees[n.Name] == nil {
			return s, fmt.Errorf("there is none, or not between tags")
		}
		s = step{does: call, text: strings.Clone(n.Name)}
		if n.Pipe == nil {
			return s, fmt.Errorf("it is given nothing")
		}
		s.of, err = r.pipe(n.Pipe)
		return s, err
	}
	return s, fmt.Errorf("that is not known here")
}

// branch reads a part that is or is not written: both ways must end in the same place.
func (r *reader) branch(d does, p *parse.PipeNode, yes, no *parse.ListNode) (s step, err error) {
	s.does = d
	if s.of, err = r.pipe(p); err != nil {
		return s, err
	}
	r.at.settle()
	known, begin := len(r.names), r.at
	s.more = &more{slots: r.declare(p)}
	if s.more.yes, err = r.list(yes); err != nil {
		return s, err
	}
	r.at.settle()
	end := r.at
	r.names, r.at = r.names[:known], begin
	if s.more.no, err = r.list(no); err != nil {
		return s, err
	}
	r.at.settle()
	r.names = r.names[:known]
	if d == each && end != begin || end != r.at {
		return s, fmt.Errorf("it ends in another place than it would without")
	}
	return s, nil
}

func (r *reader) declare(p *parse.PipeNode) (slots []int) {
	for _, v := range p.Decl {
		slots = append(slots, len(r.names))
		r.names = append(r.names, v.Ident[0])
	}
	return slots
}

func (r *reader) pipe(p *parse.PipeNode) (*expr, error) {
	if len(p.Cmds) != 1 || p.IsAssign {
		return nil, fmt.Errorf("one value is read here, no pipe and no assignment")
	}
	args := p.Cmds[0].Args
	f, ok := args[0].(*parse.IdentifierNode)
	if !ok {
		if len(args) != 1 {
			return nil, fmt.Errorf("a value takes no arguments")
		}
		return r.value(args[0])
	}
	most, ok := functions[f.Ident]
	if n := len(args) - 1; !ok || n < 1 || n > most {
		return nil, fmt.Errorf("the function %s with %d arguments is not known", f.Ident, n)
	}
	e := &expr{call: strings.Clone(f.Ident)}
	for _, a := range args[1:] {
		x, err := r.value(a)
		if err != nil {
			return e, err
		}
		e.args = append(e.args, x)
	}
	return e, nil
}

// functions and the most arguments that each takes; it takes one at the least.
var functions = map[string]int{"t": 1, "not": 1, "len": 1, "eq": 2, "ne": 2, "and": 8, "or": 8}

func (r *reader) value(n parse.Node) (*expr, error) {
	switch n := n.(type) {
	case *parse.DotNode:
		return &expr{from: dot}, nil
	case *parse.FieldNode:
		return &expr{from: dot, path: cloned(n.Ident)}, nil
	case *parse.VariableNode:
		for i, name := range slices.Backward(r.names) {
			if name == n.Ident[0] {
				return &expr{from: i, path: cloned(n.Ident[1:])}, nil
			}
		}
	case *parse.StringNode:
		return &expr{from: word, word: strings.Clone(n.Text)}, nil
	case *parse.PipeNode:
		if len(n.Decl) == 0 {
			return r.pipe(n)
		}
	}
	return nil, fmt.Errorf("%s is not known here", n)
}

func cloned(path []string) []string {
	own := make([]string, len(path))
	for i, n := range path {
		own[i] = strings.Clone(n)
	}
	return own
}
