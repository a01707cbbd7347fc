package drivertest_test

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

// Faults T11 and G12: a library that may have to be replaced is known to one
// file; of goburrow only the packagers and the Client over our own transports
// are used, never what opens ports and connections. Tests may show the naive
// way.
func TestOnlyOnePlaceKnowsEachLibrary(t *testing.T) {
	may := map[string]func(path string) bool{
		"github.com/tarm/serial":        func(p string) bool { return p == "drivers/serial/tarm.go" },
		"github.com/goburrow/serial":    func(string) bool { return false },
		"go.bug.st/serial":              func(p string) bool { return !strings.HasPrefix(p, "drivers/serial/") },
		"github.com/goburrow/modbus":    func(p string) bool { return strings.HasPrefix(p, "drivers/modbus/") },
		"periph.io/x/host/v3/sysfs":     func(string) bool { return false },
		"periph.io/x/conn/v3/gpio":      func(p string) bool { return strings.HasPrefix(p, "drivers/") },
		"tocsin/drivers/drivertest":     func(string) bool { return false },
		"periph.io/x/conn/v3/gpioreg":   func(string) bool { return false },
		"periph.io/x/host/v3/gpioioctl": func(p string) bool { return strings.HasPrefix(p, "drivers/gpio/") },
	}
	allowed := []string{"NewClient2", "NewRTUClientHandler", "NewTCPClientHandler", "Client", "Packager", "Transporter", "ProtocolDataUnit", "ModbusError"}
	root := "../.."
	seen := 0
	for _, top := range []string{"drivers", "firmware", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			if strings.Contains(filepath.ToSlash(path), "cmd/figures/") {
				return nil // measures other readers beside ours, in processes of their own
			}
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return nil // somebody is writing it; the compiler will say
			}
			for _, i := range f.Imports {
				name := strings.Trim(i.Path.Value, `"`)
				if ok := may[name]; ok != nil {
					seen++
					if !ok(filepath.ToSlash(rel)) {
						t.Errorf("%s imports %s", rel, name)
					}
				}
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := s.X.(*ast.Ident); ok && x.Name == "goburrow" && !slices.Contains(allowed, s.Sel.Name) {
						t.Errorf("%s uses goburrow.%s", rel, s.Sel.Name)
					}
				}
				if g, ok := n.(*ast.GoStmt); ok && strings.HasPrefix(filepath.ToSlash(rel), "drivers/") && !strings.HasPrefix(filepath.ToSlash(rel), "drivers/drivertest/") {
					t.Errorf("%s has a bare go statement (%v)", rel, g.Pos())
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 4 {
		t.Errorf("only %d imports looked at: is this the repository?", seen)
	}
}
