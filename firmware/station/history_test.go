package station

import (
	"strings"
	"testing"
	"time"

	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

func TestWhatTheHouseMeasuresIsKeptOverARestart(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.start()
	w.until("good values of the river", func() bool {
		var h api.History
		if w.get("/history/river.level?raw=true", &h) != nil || h.Unit != "m" || h.Name.ZH == "" {
			return false
		}
		for _, r := range h.Rows {
			if r.Quality == point.Good && r.Value != nil && r.Good == 1 {
				return true
			}
		}
		return false
	})
	w.halt()
	stopped := time.Now()
	time.Sleep(1500 * time.Millisecond) // longer than the gauge's period: a box that is back sooner has missed nothing
	w.start()
	var h api.History
	w.until("a gap between two runs", func() bool {
		if w.get("/history/river.level?raw=true", &h) != nil {
			return false
		}
		good, gap := 0, false
		for _, r := range h.Rows {
			if r.Quality == point.Good && r.Value != nil && r.At.Before(stopped) {
				good++
			}
			gap = gap || good > 0 && r.Why != nil && r.Why.Code == "history.off_then"
		}
		return good > 0 && gap && h.Rows[len(h.Rows)-1].Quality == point.Good
	})
	if err := w.get("/history/no.such", &h); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("of a point that is not there: %v", err)
	}
}

func TestHistoryMayBeOff(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.text += "history: {off: true}\n"
	w.write("site.yaml", w.text)
	w.start()
	var h api.History
	if err := w.get("/history/river.level", &h); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("%v", err)
	}
}

func TestASiteThatAsksTooMuchOfItsHistoryIsRefused(t *testing.T) {
	for _, bad := range []string{"{every: 5s}", "{every: 2m}", "{most: 1 MiB}"} {
		w := newTown(t)
		w.text += "history: " + bad + "\n"
		w.write("site.yaml", w.text)
		if bp, ps := Load(w.dir + "/site.yaml"); bp != nil || len(ps) != 1 {
			t.Errorf("%s: %v", bad, ps)
		}
	}
}
