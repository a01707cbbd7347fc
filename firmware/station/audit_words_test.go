package station

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/audit"
)

// Both consoles know the lines that count refusals by what stands in the place of an act.
func TestRefusalsThatAreCountedTogetherAreSaidInTheReadersWords(t *testing.T) {
	src, err := os.ReadFile("../serve/page/ui/lib/counted.ts")
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range []string{audit.RefusedAccount, audit.RefusedStrangers} {
		m, ok := audit.Entry{Op: op}.Words()
		if !ok || m.In(phrase.ZH) == m.In(phrase.EN) || !strings.Contains(string(src), "op === "+strconv.Quote(op)) {
			t.Errorf("%q: %v", op, m)
		}
	}
	if m, ok := (audit.Entry{Op: "POST /api/v1/stop"}).Words(); ok {
		t.Errorf("an act of its own: %v", m)
	}
}
