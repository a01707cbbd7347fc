package forge

import (
	"math/rand/v2"
	"os"
	"testing"
)

func TestNoForgedMessageIsAcceptedAndNoGenuineOneRefusedOnAnyLink(t *testing.T) {
	n := 3000
	if os.Getenv("LONG") != "" {
		n = 100_000
	}
	if testing.Short() {
		n = 1000
	}
	all, err := All(20, n)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 6 {
		t.Errorf("%d links", len(all))
	}
	for _, c := range all {
		if c.Accepted > 0 || c.Refused > 0 || c.Forged != n || c.Genuine < n/genuineEach {
			t.Errorf("%+v", c)
		}
		for kind, tried := range c.Kinds {
			if tried < n/40 {
				t.Errorf("%s: only %d of %s", c.Link, tried, kind)
			}
		}
		if len(c.Kinds) < 9 {
			t.Errorf("%s: %v", c.Link, c.Kinds)
		}
	}
}

// A receiver that takes anything, one that takes nothing, one without a window: the count finds each.
func TestTheCountFindsWhatIsWrong(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for name, c := range map[string]struct {
		change func(*receiver)
		ok     func(Count) bool
	}{
		"anything": {func(x *receiver) { x.take = func([]byte) bool { return true } }, func(c Count) bool { return c.Accepted == c.Forged && c.Refused == 0 && c.First != "" }},
		"nothing":  {func(x *receiver) { x.take = func([]byte) bool { return false } }, func(c Count) bool { return c.Accepted == 0 && c.Refused == c.Genuine && c.Genuine > 10 }},
		"no window": {func(x *receiver) {
			take := x.take
			x.take = func(b []byte) bool {
				fresh, _ := datagrams(r)
				return take(b) || fresh.take(b)
			}
		}, func(c Count) bool { return c.Accepted == c.Kinds[replay] && c.Accepted > 10 }},
	} {
		x, err := datagrams(r)
		if err != nil {
			t.Fatal(err)
		}
		c.change(x)
		got, err := x.try(r, 500)
		if err != nil || !c.ok(got) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
}
