package main

import "testing"

func TestLinesOfAProfileAreCountedWithoutItsProof(t *testing.T) {
	for text, want := range map[string]int{
		"": 0,
		"# why\na: 1\n\nb:\n  - c\nproof:\n  # how\n- x\n\n  - y\n": 4,
		"a: 1\nproof:\n  - x\nholes: [1]\n  \nb: 2":                 3,
	} {
		if got := linesWithoutProof([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
