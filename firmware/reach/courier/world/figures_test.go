package world

import (
	"os"
	"testing"
	"time"

	"tocsin/configs"
	"tocsin/firmware/reach/courier"
)

func shipped(t testing.TB) *courier.Rules {
	t.Helper()
	r, err := courier.LoadRules(configs.FS)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// many is how often something is done: LONG=1 asks for all.
func many(short, long int) int {
	if os.Getenv("LONG") != "" {
		return long
	}
	return short
}

func TestWarningsArriveInTimeOverLossyLinksAndPowerCuts(t *testing.T) {
	n := many(400, 10_000)
	f, err := Deliver(shipped(t), n, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", f)
	if f.InTime < n-n/10_000 || f.Twice > 0 || f.Lost > 0 || len(f.Faults) > 0 || f.Cuts < n/10 {
		t.Errorf("%+v", f)
	}
}

func TestPowerCutsLoseNothingThatWasAcknowledged(t *testing.T) {
	f, err := PowerCuts(shipped(t), many(150, 1000), 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", f)
	if f.Lost > 0 || f.Twice > 0 || len(f.Faults) > 0 {
		t.Errorf("%+v", f)
	}
	if f.Unkept == 0 && f.Copies == 0 {
		t.Error("no cut met a commit or a receipt: the test proves nothing")
	}
}

func TestASecondLinkTakesOverWhenTheFibreDiesSilently(t *testing.T) {
	red, alarm, err := Failover(shipped(t), many(20, 200), 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("red %v, alarm %v", red, alarm)
	if red > 100*time.Millisecond || alarm > 20*time.Second {
		t.Errorf("red %v, alarm %v", red, alarm)
	}
}

func TestTheNewestAlarmAndThenTheBacklogAfterADayOfDark(t *testing.T) {
	// Of the seeds from 14 on one had its newest alarm wait for what it had sent into the dark.
	for seed := uint64(14 - many(2, 14)); seed < 21; seed++ {
		newest, backlog, err := Recovery(shipped(t), seed)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("newest %v, backlog %v", newest, backlog)
		if newest > 5*time.Second || backlog > 30*time.Second {
			t.Errorf("seed %d: newest %v, backlog %v", seed, newest, backlog)
		}
	}
}
