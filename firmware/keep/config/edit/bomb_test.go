package edit

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// bomb is a document of a few lines that means 9^n texts.
func bomb(n int) []byte {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := range n {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 9), ", "))
	}
	return []byte(b.String())
}

// TestADocumentThatMeansMoreThanItSaysIsRefusedUnread: asked what it means, the reader would
// take the box's memory, and the alarm with it.
func TestADocumentThatMeansMoreThanItSaysIsRefusedUnread(t *testing.T) {
	for name, text := range map[string][]byte{
		"a bomb":        bomb(6),
		"in a list":     []byte("a: &a {x: 1}\nb: [*a]\n"),
		"merged":        []byte("a: &a {x: 1}\nb: {<<: *a}\n"),
		"two documents": append([]byte("b: 1\n---\n"), bomb(6)...),
	} {
		began := time.Now()
		if _, err := Apply(text, []Edit{{Op: Set, Path: "/b", Value: []byte(`1`)}}); err == nil {
			t.Errorf("%s is edited", name)
		}
		if d := time.Since(began); d > time.Second {
			t.Errorf("%s took %v", name, d)
		}
	}
}
