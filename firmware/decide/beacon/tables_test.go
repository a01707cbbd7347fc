package beacon

import (
	"os"
	"testing"
	"testing/fstest"
)

func TestTheShippedHazardsAreProved(t *testing.T) {
	tab, err := LoadTables(os.DirFS("../../../configs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range tab.Codes() {
		r, ok := tab.ByCode(c)
		if back, there := tab.ByNumber(uint8(r.Number)); !ok || !there || back != r {
			t.Errorf("%s is %+v and %+v", c, r, back)
		}
	}
	if r, ok := tab.ByNumber(1); !ok || r.Code != "flash-flood" {
		t.Errorf("number 1 has changed its meaning: %+v", r)
	}
	for _, s := range []string{"", "version: 2", "version: 1\nhazards: [{number: 0, code: a, name: {zh: a, en: a}}]",
		"version: 1\nhazards: [{number: 1, code: a, name: {zh: a, en: a}}, {number: 1, code: b, name: {zh: a, en: a}}]",
		"version: 1\nhazards: [{number: 1, code: a}]", "version: 1\nmore: 1", "!!x ~"} {
		if _, err := LoadTables(fstest.MapFS{TablesName: {Data: []byte(s)}}); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
}
