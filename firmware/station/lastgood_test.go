package station

import (
	"os"
	"path/filepath"
	"testing"

	"tocsin/firmware/keep/config"
)

func TestABrokenSiteFileFallsBackOnTheLastGoodOne(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	file := filepath.Join(dir, "s.yaml")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("version: 1\nlines: {west: {prot: x}}\n")
	if bp, ps, fallen := LoadLasting(file, data); bp != nil || fallen || !config.Fatal(ps) {
		t.Fatal("a box that never ran fell back on something")
	}
	write(whole)
	bp, _, fallen := LoadLasting(file, data)
	if bp == nil || fallen {
		t.Fatal("the whole file does not load")
	}
	if err := keepLastGood(data, bp.Doc); err != nil {
		t.Fatal(err)
	}
	write("version: 1\nlines: {west: {prot: x}}\n")
	bp, ps, fallen := LoadLasting(file, data)
	if bp == nil || !fallen || len(bp.Rules) != 1 || !config.Fatal(ps) {
		t.Fatalf("fallen %v, problems %d", fallen, len(ps))
	}
	if err := os.WriteFile(filepath.Join(data, lastGood), []byte("\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	if bp, _, fallen := LoadLasting(file, data); bp != nil || fallen {
		t.Error("a damaged copy was run")
	}
}
