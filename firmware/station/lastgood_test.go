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

// unset is a board's file before anybody has set it up.
func unset(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../configs/sites/new.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestABlankFileNeverTakesTheSitesPlace(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	file := filepath.Join(dir, "s.yaml")
	write := func(path, s string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	keep := func() {
		t.Helper()
		doc, _ := config.Load(file)
		if err := keepLastGood(data, doc); err != nil {
			t.Fatal(err)
		}
	}
	// A new board has it, and nothing is wrong.
	write(file, unset(t))
	bp, ps, fallen := LoadLasting(file, data)
	if bp == nil || fallen || config.Fatal(ps) || !blank(bp.Doc) {
		t.Fatalf("fallen %v, %v", fallen, ps)
	}
	keep()
	if _, err := os.Stat(filepath.Join(data, lastGood)); err == nil {
		t.Fatal("a blank file is kept as a good one")
	}
	write(file, whole)
	keep()
	// The file is lost: init gave the box the image's.
	write(file, unset(t))
	bp, ps, fallen = LoadLasting(file, data)
	if bp == nil || !fallen || len(bp.Rules) != 1 || ps[len(ps)-1].Message.Code != "station.site_lost" {
		t.Fatalf("fallen %v, %v", fallen, ps)
	}
	keep()
	if bp, _ := loadLastGood(file, data); bp == nil {
		t.Fatal("the blank file took the good one's place")
	}
	// And the good one with it: the box runs blank, and that is a fault.
	write(filepath.Join(data, lastGood), "\x00")
	if bp, ps, fallen := LoadLasting(file, data); bp == nil || !blank(bp.Doc) || !fallen || !config.Fatal(ps) {
		t.Fatalf("fallen %v, %v", fallen, ps)
	}
	if err := os.Remove(filepath.Join(data, lastGood)); err != nil {
		t.Fatal(err)
	}
	write(file+".refused-2", "x")
	if bp, ps, fallen := LoadLasting(file, data); bp == nil || !blank(bp.Doc) || !fallen || !config.Fatal(ps) {
		t.Fatalf("fallen %v, %v", fallen, ps)
	}
}
