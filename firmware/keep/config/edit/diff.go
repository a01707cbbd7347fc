package edit

import (
	"fmt"
	"strings"

	"github.com/hexops/gotextdiff"
	"github.com/hexops/gotextdiff/myers"
	"github.com/hexops/gotextdiff/span"
)

// diffLines bounds what is compared line by line, since the work and the memory grow with
// the square; where more lines differ, the old ones go and the new ones come in one piece.
const diffLines = 1000

// Diff tells what makes one document into another, in the unified form; it is empty where
// nothing does.
func Diff(nameA, nameB, a, b string) string {
	a, b = ended(a), ended(b)
	if a == b {
		return ""
	}
	x, y := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
	head, tail := 0, 0
	for head < min(len(x), len(y)) && x[head] == y[head] {
		head++
	}
	for tail < min(len(x), len(y))-head && x[len(x)-1-tail] == y[len(y)-1-tail] {
		tail++
	}
	x, y = x[head:len(x)-tail], y[head:len(y)-tail]
	var edits []gotextdiff.TextEdit
	if len(x) > diffLines || len(y) > diffLines {
		edits = []gotextdiff.TextEdit{{Span: spanOf(head, head+len(x)), NewText: strings.Join(y, "")}}
	} else {
		for _, e := range myers.ComputeEdits("", strings.Join(x, ""), strings.Join(y, "")) {
			e.Span = spanOf(head+e.Span.Start().Line()-1, head+e.Span.End().Line()-1)
			edits = append(edits, e)
		}
	}
	return fmt.Sprint(gotextdiff.ToUnified(nameA, nameB, a, edits))
}

func ended(s string) string {
	if s != "" && !strings.HasSuffix(s, "\n") {
		return s + "\n"
	}
	return s
}

// spanOf is the span of lines from (counted from 0) to before to.
func spanOf(from, to int) span.Span {
	return span.New("", span.NewPoint(from+1, 1, 0), span.NewPoint(to+1, 1, 0))
}
