package station

import (
	"strings"
	"testing"
)

func TestAForeignDocumentIsReadOnlyWhereItIsWrittenOut(t *testing.T) {
	for text, ok := range map[string]bool{
		"version: 1\nsite: {id: a}\n":           true,
		"a: &a [x]\nb: [*a, *a]\n":              false,
		"a: &a {x: 1}\nb: {<<: *a}\n":           false,
		"a: 1\n---\nb: &b 1\n":                  false,
		"a: !!binary eA==\n":                    false,
		"a: " + strings.Repeat("[", 100) + "\n": false,
	} {
		if err := writtenOut([]byte(text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
