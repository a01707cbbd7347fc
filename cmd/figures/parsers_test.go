package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A function that takes bytes or lines from outside has a fuzz target of its room
// that reaches it, or says in the table why it parses nothing.
func TestEveryParserOfOutsideBytesHasAFuzzTarget(t *testing.T) {
	targets, bare, stale, err := parsersIn("../..", slices.Concat(parserRooms, videoRooms))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range bare {
		t.Errorf("%s takes bytes or lines, and no fuzz target of its room reaches it", p)
	}
	for _, p := range stale {
		t.Errorf("the table names %s", p)
	}
	for _, p := range withoutCorpus("../..", targets) {
		t.Errorf("%s keeps no corpus", p)
	}
	if len(targets) < 50 {
		t.Errorf("only %d targets", len(targets))
	}
}

func TestAParserWithoutATargetIsFound(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a.go", `package a
type d struct{}
func Line(s string) int { return inner([]byte(s)) }
func inner(b []byte) int { return len(b) }
func (d *d) hear(b []byte) { later(b) }
func later(b []byte) {}
func Bare(lines []string) {}
func ours(s string) {}
func Count(n int) {}
`)
	write("a_test.go", `package a
import "testing"
func helper(f *testing.F) { Line("") }
func FuzzLine(f *testing.F) { helper(f); f.Fuzz(func(t *testing.T, b []byte) {}) }
func TestBare(t *testing.T) { Bare(nil) }
`)
	r, err := readRoom(dir)
	if err != nil {
		t.Fatal(err)
	}
	reached := r.reached()
	var bare []string
	for _, f := range r.parsers {
		if !reached[f.name] {
			bare = append(bare, f.id)
		}
	}
	slices.Sort(bare)
	if want := []string{"(*d).hear", "Bare", "later"}; !slices.Equal(bare, want) {
		t.Errorf("%v, not %v", bare, want)
	}
}
