package phrase

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/goccy/go-yaml"
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

// load reads the whole catalogue as YAML.
func load(f fs.FS) (map[string]Text, error) {
	names, err := fs.Glob(f, "catalogue/*.yaml")
	if err != nil {
		return nil, err
	}
	all := map[string]Text{}
	var faults []error
	for _, name := range names {
		b, err := fs.ReadFile(f, name)
		if err != nil {
			return all, err
		}
		one := map[string]Text{}
		if err := yaml.UnmarshalWithOptions(b, &one, yaml.Strict()); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", path.Base(name), err))
		}
		for code, t := range one {
			if _, twice := all[code]; twice {
				faults = append(faults, fmt.Errorf("%s: %s is defined twice", path.Base(name), code))
			}
			all[code] = t
		}
	}
	return all, errors.Join(faults...)
}

func TestEveryEntryIsFoundAsTheCatalogueReadWholeHasIt(t *testing.T) {
	all, err := load(files)
	if err != nil {
		t.Fatal(err)
	}
	have, err := index(files)
	if err != nil {
		t.Fatal(err)
	}
	for code := range have {
		if _, ok := all[code]; !ok {
			t.Errorf("%q is no code of the catalogue", code)
		}
	}
	for code, want := range all {
		if got, ok := find(code); !ok || got != want {
			t.Errorf("%s: %+v, %v; want %+v", code, got, ok, want)
		}
	}
	if _, ok := find("no.such_code"); ok {
		t.Error("a code that is not there is found")
	}
	for text, bad := range map[string]bool{"a.b: {zh: 一, en: one}\n": false, "a.b: {zh: 一, en: one}\nc.d:\n  zh: 二\n  en: two\na.b: {zh: 一, en: one}": true} {
		if _, err := index(fstest.MapFS{"catalogue/x.yaml": {Data: []byte(text)}}); bad != (err != nil) {
			t.Errorf("%q: %v", text, err)
		}
	}
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
