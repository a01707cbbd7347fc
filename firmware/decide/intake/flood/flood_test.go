package flood

import (
	"context"
	"testing"
	"time"

	"tocsin/firmware/decide/intake"
)

func TestAFloodLosesNoRedAndKeepsTheOrder(t *testing.T) {
	io := intake.DefaultOpts(intake.Way{Name: "radio", Rank: 3, Entries: 128, Bytes: 1 << 20}, intake.Way{Name: "feed", Rank: 2, Entries: 128, Bytes: 1 << 20},
		intake.Way{Name: "api", Rank: 1, Entries: 128, Bytes: 1 << 20})
	if err := io.Validate(); err != nil {
		t.Fatal(err)
	}
	q := intake.New(io, Clock)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	// More callers than a way has room for, and a verifier that is slower than the flood.
	rep, err := Run(ctx, q, io, Opts{Alerts: 2000, Within: time.Second, Callers: 200, Reds: 10, Forged: 20, Seed: 1,
		Text: func(i, level int) []byte { return make([]byte, 2000) },
		Verify: func(_ []byte, forged bool) bool {
			if forged {
				return false
			}
			time.Sleep(300 * time.Microsecond)
			return true
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", rep)
	if rep.RedsLost != 0 || rep.Violations != 0 {
		t.Errorf("%d reds lost, %d violations", rep.RedsLost, rep.Violations)
	}
	if rep.Reds < 100 || rep.Counts.Busy == 0 || rep.Counts.Displaced == 0 {
		t.Errorf("the flood was none: %+v", rep)
	}
	if rep.HeapGrowth > 16<<20 {
		t.Errorf("the heap grew by %d MiB", rep.HeapGrowth>>20)
	}
}
