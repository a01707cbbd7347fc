package station

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/config/edit"
)

func TestAnImportKeepsWhoThisBoxIsAndHowItIsReached(t *testing.T) {
	here, err := os.ReadFile("../../configs/sites/huangdu.yaml")
	if err != nil {
		t.Fatal(err)
	}
	theirs := strings.NewReplacer("441882103201", "330483105001", "黄渡村", "别的村", ":8080", ":9999", "prepare: 45 mm", "prepare: 41 mm").Replace(string(here)) +
		"county: {number: 17, root: secrets/county.key}\nmqtt: {p: {server: \"evil.example:1883\"}}\n"
	text := []byte(theirs)
	for _, k := range []string{"identity", "network"} {
		for _, path := range keeps[k] {
			if text, err = keepHere(text, here, path); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
	}
	for _, s := range []string{"441882103201", "黄渡村", ":8080", "prepare: 41 mm"} {
		if !bytes.Contains(text, []byte(s)) {
			t.Errorf("%q is missing", s)
		}
	}
	for _, s := range []string{`id: "330483105001"`, "别的村", ":9999", "\ncounty:", "\nmqtt:"} {
		if bytes.Contains(text, []byte(s)) {
			t.Errorf("%q came over", s)
		}
	}
	if doc, ps := config.Parse("s.yaml", text); doc == nil {
		t.Fatal(ps)
	}
	if n := strings.Count(edit.Diff("a", "b", theirs, string(text)), "\n-"); n > 10 {
		t.Errorf("%d lines were touched", n)
	}
}
