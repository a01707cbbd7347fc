package ui_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestTheConsolesTypesNameEveryOperation: a type file that was not made anew after the
// API grew is caught without Node; make openapi mends it.
func TestTheConsolesTypesNameEveryOperation(t *testing.T) {
	types, err := os.ReadFile("lib/api/types.d.ts")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("../../api/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths      map[string]any `json:"paths"`
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any `json:"properties"`
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	for p := range doc.Paths {
		if !strings.Contains(string(types), `"`+p+`": {`) {
			t.Errorf("%s has no types: run make openapi", p)
		}
	}
	for name, s := range doc.Components.Schemas {
		if !strings.Contains(string(types), "        "+name+": ") && !strings.Contains(string(types), `"`+name+`": `) {
			t.Errorf("the schema %s has no type: run make openapi", name)
		}
		for f := range s.Properties {
			if !strings.Contains(string(types), " "+f+"?: ") && !strings.Contains(string(types), " "+f+": ") && !strings.Contains(string(types), `"`+f+`"`) {
				t.Errorf("%s.%s has no type: run make openapi", name, f)
			}
		}
	}
}

// TestThePinsAreExactAndNameNoRegistry holds the lock file to what any machine can use.
func TestThePinsAreExactAndNameNoRegistry(t *testing.T) {
	var pkg struct{ Dependencies, DevDependencies map[string]string }
	b, err := os.ReadFile("package.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &pkg); err != nil {
		t.Fatal(err)
	}
	for _, m := range []map[string]string{pkg.Dependencies, pkg.DevDependencies} {
		for n, v := range m {
			if strings.ContainsAny(v, "^~*<> ") {
				t.Errorf("%s is not pinned: %s", n, v)
			}
		}
	}
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(lock), `"resolved"`) {
		t.Error("package-lock.json names where packages came from: npm config set omit-lockfile-registry-resolved true")
	}
}
