package config

import (
	"fmt"
	"time"

	"github.com/goccy/go-yaml/ast"

	"tocsin/firmware/point"
)

// placed is an error of a value with its place in the file.
type placed struct {
	line, col int
	err       error
}

func (p *placed) Error() string { return p.err.Error() }
func (p *placed) Unwrap() error { return p.err }

func place(n ast.Node, err error) error {
	if t := n.GetToken(); err != nil && t != nil && t.Position != nil {
		return &placed{t.Position.Line, t.Position.Column, err}
	}
	return err
}

// scalar gives a node's text, and refuses lists and mappings.
func scalar(n ast.Node) (string, error) {
	switch n.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.LiteralNode:
		return n.GetToken().Value, nil
	}
	return "", fmt.Errorf("a single value is needed here")
}

// Amount is a number with its unit.
type Amount struct{ point.Amount }

// UnmarshalYAML reads "96.20 m".
func (a *Amount) UnmarshalYAML(n ast.Node) error {
	s, err := scalar(n)
	if err == nil {
		a.Amount, err = point.ParseAmount(s)
	}
	return place(n, err)
}

// Span is a length of time.
type Span struct{ d time.Duration }

// UnmarshalYAML reads "30m".
func (s *Span) UnmarshalYAML(n ast.Node) error {
	t, err := scalar(n)
	if err == nil {
		var v point.Span
		v, err = point.ParseSpan(t)
		s.d = v.Duration()
	}
	return place(n, err)
}

// Duration gives the span as the standard library has it.
func (s Span) Duration() time.Duration { return s.d }

// String writes the span as a person would.
func (s Span) String() string { return point.Span(s.d).String() }
