package config

import (
	"cmp"
	"fmt"
	"slices"

	"tocsin/firmware/phrase"
)

// Problem is one thing wrong in a document.
type Problem struct {
	File string
	Line int
	Col  int
	// Message names the thing, the cause and the mend.
	Message phrase.Message
	// Warning does not stop the document from being used.
	Warning bool
}

// In renders the problem as file:line:col: message.
func (p Problem) In(l phrase.Lang) string {
	s := Hide(p.Message.In(l)) // a message quotes what is wrong
	if p.Line > 0 {
		return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Col, s)
	}
	return fmt.Sprintf("%s: %s", p.File, s)
}

// Fatal tells whether any problem is more than a warning.
func Fatal(ps []Problem) bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return !p.Warning })
}

// Sort orders problems by their place.
func Sort(ps []Problem) {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
}

// Doc is a loaded site's document.
type Doc struct {
	Tree
	Site Site
}

// Load reads and decodes a site's file.
func Load(file string) (*Doc, []Problem) {
	b, ps := Read(file)
	if ps != nil {
		return nil, ps
	}
	return Parse(file, b)
}

// Parse decodes a site's document. file is its name for messages.
func Parse(file string, b []byte) (*Doc, []Problem) {
	d := &Doc{}
	t, ps := ParseTree(file, b, &d.Site)
	if ps != nil {
		return nil, ps
	}
	d.Tree = *t
	if d.Site.Version != 1 {
		return nil, []Problem{d.At(phrase.M("config.version", "version", d.Site.Version), "version")}
	}
	return d, nil
}
