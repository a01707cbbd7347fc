package walk

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTheBookAgreesWithTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if err := One(func(n int, what string) int { return rapid.IntRange(0, n-1).Draw(t, what) }); err != nil {
			t.Fatal(err)
		}
	})
}

func TestManyHistoriesFromASeed(t *testing.T) {
	end := time.Now().Add(60 * time.Second)
	r := Run(1, 20_000, func() bool { return time.Now().After(end) })
	t.Logf("%d histories: %v", r.Done, r.Seen)
	if r.Violations > 0 {
		t.Errorf("%d of %d broke something; the first: %v", r.Violations, r.Done, r.First)
	}
	if r.Done < 100 {
		t.Errorf("only %d histories in 2 s", r.Done)
	}
	for _, must := range []string{"began in_force", "replaced in_force", "ended superseded", "ended cancelled", "ended expired", "kept waiting", "kept superseded",
		"kept cancelled", "kept expired", "kept noted", "duplicate in_force", "duplicate cancelled", "held held", "refused refused", "marked", "cut that lost something"} {
		if r.Seen[must] == 0 {
			t.Errorf("no history had %q", must)
		}
	}
}
