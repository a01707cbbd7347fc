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
	done, broke, first := Run(1, 20_000, func() bool { return time.Now().After(end) })
	t.Logf("%d histories", done)
	if broke > 0 {
		t.Errorf("%d of %d broke something; the first: %v", broke, done, first)
	}
	if done < 200 {
		t.Errorf("only %d histories in 2 s", done)
	}
}
