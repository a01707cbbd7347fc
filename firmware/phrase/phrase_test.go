package phrase

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
)

var hole = regexp.MustCompile(`\{([a-z_0-9]+)\}`)

func holes(s string) []string {
	var h []string
	for _, m := range hole.FindAllStringSubmatch(s, -1) {
		if !slices.Contains(h, m[1]) {
			h = append(h, m[1])
		}
	}
	sort.Strings(h)
	return h
}

func TestEveryCodeSpeaksBothLanguagesWithTheSameParameters(t *testing.T) {
	all, err := load(files)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("the catalogue is empty")
	}
	for code, text := range all {
		if text.ZH == "" || text.EN == "" {
			t.Errorf("%s: a language is missing", code)
		}
		if zh, en := holes(text.ZH), holes(text.EN); !slices.Equal(zh, en) {
			t.Errorf("%s: parameters differ: zh %v, en %v", code, zh, en)
		}
	}
}

// TestEveryCodeInTheSourceIsInTheCatalogue walks the whole repository for
// calls of phrase.M, phrase.E and phrase.Wrap, holds their codes and their
// parameters against the catalogue, and finds entries that nothing uses.
func TestEveryCodeInTheSourceIsInTheCatalogue(t *testing.T) {
	all, err := load(files)
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	fset := token.NewFileSet()
	root := "../.."
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); strings.HasPrefix(n, ".") && p != root || n == "out" || n == "node_modules" || n == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(p, ".html") || strings.HasSuffix(p, ".yaml") && !strings.Contains(p, "catalogue") {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			for _, m := range regexp.MustCompile(`[a-z_]+(\.[a-z_0-9]+)+`).FindAllString(string(b), -1) {
				used[m] = true
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(fset, p, nil, 0)
		if err != nil {
			return nil // the compiler tells
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil {
					used[s] = true
				}
			}
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name, first := "", 0
			switch fn := call.Fun.(type) {
			case *ast.SelectorExpr:
				if x, ok := fn.X.(*ast.Ident); ok && x.Name == "phrase" {
					name = fn.Sel.Name
				}
			case *ast.Ident:
				if f.Name.Name == "phrase" {
					name = fn.Name
				}
			}
			switch name {
			case "M", "E":
			case "Wrap":
				first = 1
			default:
				return true
			}
			if len(call.Args) <= first {
				return true
			}
			lit, ok := call.Args[first].(*ast.BasicLit)
			if !ok {
				if f.Name.Name != "phrase" {
					t.Errorf("%s: the code of a message must be a literal", fset.Position(call.Pos()))
				}
				return true
			}
			code, _ := strconv.Unquote(lit.Value)
			text, ok := all[code]
			if !ok {
				t.Errorf("%s: %q is not in the catalogue", fset.Position(call.Pos()), code)
				return true
			}
			given := map[string]bool{}
			if call.Ellipsis.IsValid() {
				return true
			}
			rest := call.Args[first+1:]
			if len(rest)%2 != 0 {
				t.Errorf("%s: parameters of %q come in pairs", fset.Position(call.Pos()), code)
			}
			for i := 0; i < len(rest); i += 2 {
				if lit, ok := rest[i].(*ast.BasicLit); ok {
					s, _ := strconv.Unquote(lit.Value)
					given[s] = true
				}
			}
			for _, h := range holes(text.ZH) {
				if !given[h] {
					t.Errorf("%s: %q needs the parameter %q", fset.Position(call.Pos()), code, h)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for code := range all {
		// A code may be put together from a literal beginning: "quality." + q.
		begun := false
		for i, r := range code {
			begun = begun || (r == '.' || r == '_') && used[code[:i+1]]
		}
		if !used[code] && !begun {
			t.Errorf("%s is in the catalogue and nothing uses it", code)
		}
	}
}

func TestAnUnknownCodeIsNeverSilent(t *testing.T) {
	m := Message{Code: "no.such", Params: map[string]any{"a": 1}}
	if s := m.In(ZH); !strings.Contains(s, "no.such") || !strings.Contains(s, "1") {
		t.Errorf("got %q", s)
	}
}

func TestErrorsRenderTheirCauseInTheReadersLanguage(t *testing.T) {
	inner := E("quality.stale")
	err := Wrap(inner, "error.plain", "text", "x")
	if got := In(err, ZH); got != "x：过期" {
		t.Errorf("zh: %q", got)
	}
	if got := In(err, EN); got != "x: stale" {
		t.Errorf("en: %q", got)
	}
}

func TestAMessageWithMessagesInItSurvivesJSON(t *testing.T) {
	m := M("alarm.by_hand", "who", "李梅", "via", M("via.key"), "reason", Text{ZH: "试", EN: "try"}, "n", 1.5)
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back Message
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	for _, l := range Languages {
		if back.In(l) != m.In(l) {
			t.Errorf("%s: %q became %q", l, m.In(l), back.In(l))
		}
	}
}
