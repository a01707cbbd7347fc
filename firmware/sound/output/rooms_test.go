package output

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestOnlyThisRoomTouchesWhatSounds walks every source of the firmware. The
// station hands the devices over, and a line makes outputs of its coils; no
// other room may so much as name them.
func TestOnlyThisRoomTouchesWhatSounds(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{"sound/output", "station", "sense/line"}
	guarded := []string{"Output", "Timed", "Player", "Stream"}
	files, found := 0, false
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(p))
		if err != nil {
			return err
		}
		room := filepath.ToSlash(rel)
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, 0)
		if err != nil {
			return nil // the compiler tells
		}
		files++
		name := ""
		for _, im := range f.Imports {
			if im.Path.Value == `"tocsin/drivers"` {
				if name = "drivers"; im.Name != nil {
					name = im.Name.Name
				}
			}
		}
		if name == "" {
			return nil
		}
		if name == "." {
			t.Errorf("%s/%s imports the drivers without their name", room, filepath.Base(p))
		}
		ast.Inspect(f, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if !ok || x.Name != name || !slices.Contains(guarded, sel.Sel.Name) {
				return true
			}
			if room == "sound/output" {
				found = true
			}
			if !slices.ContainsFunc(allowed, func(a string) bool { return room == a || strings.HasPrefix(room, a+"/") }) {
				t.Errorf("firmware/%s/%s names drivers.%s: only sound/output may, and everybody else orders it", room, filepath.Base(p), sel.Sel.Name)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 || !found {
		t.Errorf("looked at %d files and found this room's own use: %v; the walk is broken", files, found)
	}
}
