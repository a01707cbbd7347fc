package profile

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// reader collects the problems of one file while it is read. Each method
// notes what is wrong with its place and gives a zero value, so that one run
// finds every problem.
type reader struct {
	file     string
	problems []Problem
}

// mostProblems bounds what one file can make us say.
const mostProblems = 50

func (r *reader) note(line, col int, m phrase.Message) {
	if len(r.problems) < mostProblems {
		r.problems = append(r.problems, Problem{File: r.file, Line: line, Col: col, Message: m})
	}
}

func (r *reader) at(n ast.Node, m phrase.Message) {
	l, c := where(n)
	r.note(l, c, m)
}

func where(n ast.Node) (line, col int) {
	switch m := n.(type) {
	case nil:
		return 1, 1
	case *ast.MappingNode:
		if len(m.Values) > 0 {
			return where(m.Values[0])
		}
	case *ast.MappingValueNode:
		return where(m.Key)
	case *ast.SequenceNode:
		if len(m.Values) > 0 && !m.IsFlowStyle {
			return where(m.Values[0])
		}
	}
	t := n.GetToken()
	if t == nil || t.Position == nil {
		return 1, 1
	}
	return t.Position.Line, t.Position.Column
}

func place(file string, line, col int) string {
	if line == 0 {
		return file + ": "
	}
	return fmt.Sprintf("%s:%d:%d: ", file, line, col)
}

// entry is a key of a mapping with its value.
type entry struct {
	key   string
	at    ast.Node // the key, for its place
	value ast.Node
}

// entries reads any mapping in order.
func (r *reader) entries(n ast.Node, key string) []entry {
	m, ok := n.(ast.MapNode)
	if !ok {
		r.at(n, phrase.M("profile.not_mapping", "key", key))
		return nil
	}
	var out []entry
	for it := m.MapRange(); it.Next(); {
		k, ok := scalar(it.Key())
		if !ok {
			r.at(it.Key(), phrase.M("profile.not_plain", "key", key))
			continue
		}
		if slices.ContainsFunc(out, func(e entry) bool { return e.key == k }) {
			r.at(it.Key(), phrase.M("profile.twice", "key", k))
			continue
		}
		out = append(out, entry{k, it.Key(), it.Value()})
	}
	return out
}

// object reads a mapping whose keys are known; a required key begins with "!".
func (r *reader) object(n ast.Node, key string, keys ...string) map[string]ast.Node {
	known := make([]string, len(keys))
	for i, k := range keys {
		known[i] = strings.TrimPrefix(k, "!")
	}
	out := map[string]ast.Node{}
	before := len(r.problems)
	for _, e := range r.entries(n, key) {
		if !slices.Contains(known, e.key) {
			r.at(e.at, phrase.M("profile.unknown_key", "key", e.key, "in", key, "known", strings.Join(known, ", ")))
			continue
		}
		out[e.key] = e.value
	}
	if len(r.problems) > before {
		return out
	}
	for _, k := range keys {
		if name, must := strings.CutPrefix(k, "!"); must && out[name] == nil {
			r.at(n, phrase.M("profile.missing", "key", name, "in", key))
		}
	}
	return out
}

func (r *reader) list(n ast.Node, key string) []ast.Node {
	if n == nil {
		return nil
	}
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		r.at(n, phrase.M("profile.not_list", "key", key))
		return nil
	}
	return s.Values
}

// scalar gives the text of a plain value: a string without its quotes, a
// number as written.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		if n.Value == nil {
			return "", false
		}
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func (r *reader) text(n ast.Node, key string) string {
	if n == nil {
		return ""
	}
	s, ok := scalar(n)
	if !ok {
		r.at(n, phrase.M("profile.not_plain", "key", key))
	}
	return s
}

// choice reads one of a few words; the first is what stands where none is.
func (r *reader) choice(n ast.Node, key string, words ...string) string {
	if n == nil {
		return words[0]
	}
	s := r.text(n, key)
	if !slices.Contains(words, s) {
		r.at(n, phrase.M("profile.bad_choice", "key", key, "got", s, "known", strings.Join(words, ", ")))
		return words[0]
	}
	return s
}

func (r *reader) number(n ast.Node, key string, absent float64) float64 {
	if n == nil {
		return absent
	}
	s, ok := scalar(n)
	f, err := strconv.ParseFloat(s, 64)
	if !ok || err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		if u, err := parseUint(s); ok && err == nil {
			return float64(u)
		}
		r.at(n, phrase.M("profile.not_number", "key", key, "got", s))
		return absent
	}
	return f
}

// whole reads an integer between lo and hi, decimal or 0x….
func (r *reader) whole(n ast.Node, key string, absent, lo, hi uint64) uint64 {
	if n == nil {
		return absent
	}
	s, _ := scalar(n)
	u, err := parseUint(s)
	if err != nil || u < lo || u > hi {
		r.at(n, phrase.M("profile.not_whole", "key", key, "got", s, "min", lo, "max", hi))
		return absent
	}
	return u
}

func parseUint(s string) (uint64, error) {
	if h, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		return strconv.ParseUint(h, 16, 64)
	}
	return strconv.ParseUint(s, 10, 64)
}

func (r *reader) yes(n ast.Node, key string) bool {
	if n == nil {
		return false
	}
	if b, ok := n.(*ast.BoolNode); ok {
		return b.Value
	}
	r.at(n, phrase.M("profile.not_yes_no", "key", key))
	return false
}

// span reads a length of time, at most 30 days.
func (r *reader) span(n ast.Node, key string, absent time.Duration) time.Duration {
	if n == nil {
		return absent
	}
	s := r.text(n, key)
	v, err := point.ParseSpan(s)
	if err != nil || v.Duration() > 30*24*time.Hour {
		r.at(n, phrase.M("profile.not_span", "key", key, "got", s))
		return absent
	}
	return v.Duration()
}

// words reads {zh: …, en: …}; both must be there.
func (r *reader) words(n ast.Node, key string) phrase.Text {
	if n == nil {
		return phrase.Text{}
	}
	m := r.object(n, key, "!zh", "!en")
	return phrase.Text{ZH: r.text(m["zh"], key+".zh"), EN: r.text(m["en"], key+".en")}
}
