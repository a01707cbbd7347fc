package courier

import (
	"testing"
	"time"
)

func TestWhatIsDoneWithoutToSavePowerWaitsAndNothingElseDoes(t *testing.T) {
	w := bench(t, shipped(t), 1, "fibre", "beidou")
	w.open("fibre", "beidou")
	w.m.Spare(Spare{Bulk: true, Probes: 6})
	w.post(Bulk, "picture", 5000)
	w.post(Telemetry, "t", 100)
	w.post(Alarm, "a", 50)
	w.run(time.Hour, all)
	w.want("picture", "")
	for _, id := range []string{"t", "a"} {
		if w.m.byID[id].tries["fibre"] == nil {
			t.Errorf("%s did not go out", id)
		}
	}
	if w.m.byID["picture"] == nil {
		t.Error("the picture was dropped, not held")
	}
	w.m.Spare(Spare{})
	w.run(time.Minute, all)
	if w.m.byID["picture"].tries["fibre"] == nil {
		t.Error("the picture still waits")
	}
}

func TestProbesAreRarerWhileALinkIsUpAndNotWhenItIsMissed(t *testing.T) {
	count := func(s Spare, answers func(string) bool) (n int) {
		w := bench(t, shipped(t), 1, "fibre")
		w.open("fibre")
		w.run(2*time.Minute, all)
		w.m.Spare(s)
		for range 600 {
			n += len(w.m.Turn(w.now).Probes)
			w.m.Probed(w.now, "fibre", answers("fibre"))
			w.now += time.Second
		}
		return n
	}
	usual, rare := count(Spare{}, all), count(Spare{Probes: 6}, all)
	if usual < 100 || rare > usual/5 || rare == 0 {
		t.Errorf("in ten minutes %d, and %d where power is saved", usual, rare)
	}
	if missed := count(Spare{Probes: 6}, none); missed < usual/2 {
		t.Errorf("a link that does not answer is asked for %d times, %d as ever", missed, usual)
	}
}

func TestTheLastWordTakesEveryLinkAtOnce(t *testing.T) {
	w := bench(t, shipped(t), 1, "fibre", "beidou", "cellular")
	w.open("fibre", "beidou", "cellular")
	w.post(Alarm, "usual", 50)
	w.post(Alarm, "last", 50, func(m *Message) { m.Urgent = true })
	w.turn()
	w.want("usual", "fibre ")
	for _, link := range []string{"fibre", "beidou", "cellular"} {
		if w.m.byID["last"].tries[link] == nil {
			t.Errorf("the last word did not go out by %s", link)
		}
	}
	// It is still one after a power cut.
	l := w.m.Changes().Letters["last"]
	if r, ok := rowOf(l); !ok || r == nil || !r.everywhere() || r.Class != Alarm {
		t.Errorf("%+v", r)
	}
}
