package trust

import (
	"errors"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"tocsin/firmware/phrase"
)

const documentMost = 1 << 20

func whole(n int) string { return strconv.Itoa(n) }

// ParseDocument reads a trust document that stands in a file of its own. Unknown
// keys, anchors, tags and a second document are errors; the error has the line. The
// library panics where a tag has no value.
func ParseDocument(b []byte) (Document, error) {
	var d Document
	if len(b) > documentMost {
		return d, phrase.E("trust.file_large", "file", "trust", "most", documentMost)
	}
	f, err := parser.ParseBytes(b, 0)
	if err != nil {
		return d, yamlError(err)
	}
	if len(f.Docs) != 1 || f.Docs[0].Body == nil {
		return d, phrase.E("trust.yaml", "line", 1, "detail", "1 ≠ "+whole(len(f.Docs)))
	}
	a := &anchors{}
	ast.Walk(a, f.Docs[0].Body)
	if a.line > 0 {
		return d, phrase.E("trust.yaml", "line", a.line, "detail", "& * << !")
	}
	if err := yaml.NodeToValue(f.Docs[0].Body, &d, yaml.Strict()); err != nil {
		return Document{}, yamlError(err)
	}
	return d, nil
}

type anchors struct{ line int }

func (a *anchors) Visit(n ast.Node) ast.Visitor {
	switch n.Type() {
	case ast.AliasType, ast.AnchorType, ast.MergeKeyType, ast.TagType:
		if a.line == 0 {
			a.line = max(1, n.GetToken().Position.Line)
		}
	}
	return a
}

func yamlError(err error) error {
	line, detail := 1, err.Error()
	var e yaml.Error
	if errors.As(err, &e) {
		detail = e.GetMessage()
		if t := e.GetToken(); t != nil && t.Position != nil {
			line = t.Position.Line
		}
	}
	detail, _, _ = strings.Cut(detail, "\n")
	if len(detail) > 200 {
		detail = strings.ToValidUTF8(detail[:200], "")
	}
	return phrase.E("trust.yaml", "line", line, "detail", detail)
}
