package edit

import (
	"fmt"
	"strings"
	"testing"
)

func TestDiffShowsWhatChanged(t *testing.T) {
	many := func(n int, what string) (s string) {
		for i := range n {
			s += fmt.Sprintf("%s: %d\n", what, i)
		}
		return s
	}
	for name, c := range map[string]struct{ a, b, want string }{
		"nothing":          {"a: 1\n", "a: 1", ""},
		"one line":         {many(9, "x") + "雨: 1\n" + many(9, "y"), many(9, "x") + "雨: 2\n" + many(9, "y"), "--- 1\n+++ 2\n@@ -7,7 +7,7 @@\n x: 6\n x: 7\n x: 8\n-雨: 1\n+雨: 2\n y: 0\n y: 1\n y: 2\n"},
		"at the end":       {"a: 1\n", "a: 1\nb: 2\n", "--- 1\n+++ 2\n@@ -1 +1,2 @@\n a: 1\n+b: 2\n"},
		"at the top":       {"b: 2\n", "a: 1\nb: 2\n", "--- 1\n+++ 2\n@@ -1 +1,2 @@\n+a: 1\n b: 2\n"},
		"two places":       {"a: 1\n" + many(20, "x") + "b: 1\n", "a: 2\n" + many(20, "x") + "b: 2\n", "--- 1\n+++ 2\n@@ -1,4 +1,4 @@\n-a: 1\n+a: 2\n x: 0\n x: 1\n x: 2\n@@ -19,4 +19,4 @@\n x: 17\n x: 18\n x: 19\n-b: 1\n+b: 2\n"},
		"a line that went": {"a: 1\nb: 2\n", "a: 1\n", "--- 1\n+++ 2\n@@ -1,2 +1 @@\n a: 1\n-b: 2\n"},
	} {
		if got := Diff("1", "2", c.a, c.b); got != c.want {
			t.Errorf("%s:\n%s\nnot\n%s", name, got, c.want)
		}
	}
	// All of two big documents differs.
	got := Diff("1", "2", "same: 1\n"+many(3_000, "x"), "same: 1\n"+many(3_000, "y"))
	if n := strings.Count(got, "\n-x: "); n != 3_000 || strings.Count(got, "\n+y: ") != n {
		t.Errorf("%d lines went", n)
	}
}
