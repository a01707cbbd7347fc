package station

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

func played(t *testing.T, task dryTask) (out struct {
	api.DryRan
	Why *struct{ ZH, EN string }
}) {
	t.Helper()
	b, err := os.ReadFile("../../configs/sites/huangdu.yaml")
	if err != nil {
		t.Fatal(err)
	}
	task.File = filepath.Join(t.TempDir(), "s.yaml")
	if task.Document == "" {
		task.Document = string(b)
	}
	in, err := json.Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	var w bytes.Buffer
	if err := PlayRules(bytes.NewReader(in), &w); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(w.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestADrawnFloodWouldSoundWhenItCrosses(t *testing.T) {
	from := time.Date(2026, 7, 1, 20, 0, 0, 0, time.UTC)
	out := played(t, dryTask{FromMS: from.UnixMilli(), ToMS: from.Add(4 * time.Hour).UnixMilli(), Curve: []api.DrawnCurve{{Point: "river.level",
		Steps: []api.DrawnPlace{{After: 0, Value: 98}, {After: time.Hour, Value: 98}, {After: 2 * time.Hour, Value: 103}, {After: 3 * time.Hour, Value: 98}, {After: 4 * time.Hour, Value: 98}}}}})
	var rises []api.DryEvent
	for _, e := range out.Events {
		if e.Kind == "rises" {
			rises = append(rises, e)
		}
	}
	// 0.8 m in 30 min is reached after 9.6 min of the rise, 102.40 m after 52.8 min; 20 s of dwell.
	if len(rises) != 2 || rises[0].Level != "prepare" || rises[1].Level != "evacuate" {
		t.Fatalf("%+v", out.Events)
	}
	for i, want := range []time.Duration{69*time.Minute + 36*time.Second, 112*time.Minute + 48*time.Second + 20*time.Second} {
		if d := rises[i].At.Sub(from) - want; d < -5*time.Second || d > 15*time.Second {
			t.Errorf("%s at %v, not %v", rises[i].Level, rises[i].At.Sub(from), want)
		}
	}
	if rises[1].Does == nil || !strings.Contains(rises[1].Does.ZH, "村部警报器") || len(rises[1].Because) == 0 || !strings.Contains(rises[1].Because[0].ZH, "102.40") {
		t.Errorf("%+v", rises[1])
	}
	if last := out.Events[len(out.Events)-1]; last.Kind != "falls" || last.Level != "" && last.Level != "calm" {
		t.Errorf("%+v", last)
	}
}

func TestHistoryIsPlayedWithItsGapsAndFaultsCrossNothing(t *testing.T) {
	from := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	v := func(f float64) *float64 { return &f }
	at := func(m int) int64 { return from.Add(time.Duration(m) * time.Minute).UnixMilli() }
	rows := []dryRow{{at(0), at(30), v(98), point.Good}, {at(30), at(60), v(104), point.SensorFault}, {at(60), at(90), v(98.1), point.Good}, {at(90), at(120), v(102.6), point.Good}}
	out := played(t, dryTask{FromMS: at(0), ToMS: at(120), Series: []drySeries{{"river.level", rows}}})
	for _, e := range out.Events {
		// The site has it raised after 20 minutes without a good gauge, and says so.
		if e.Kind == "rises" && e.At.Before(from.Add(90*time.Minute)) && (len(e.Because) != 1 || e.Because[0].Code != "rule.blind_raises") {
			t.Errorf("a fault sounded: %+v", e)
		}
	}
	if n := len(out.Events); n == 0 || out.Events[n-1].Level != "evacuate" {
		t.Errorf("%+v", out.Events)
	}
}

func TestADraftThatIsNotGoodIsSaid(t *testing.T) {
	out := played(t, dryTask{Document: "version: 1\nrulez: {}\n"})
	if out.Why == nil || !strings.Contains(out.Why.ZH, "rulez") {
		t.Errorf("%+v", out)
	}
}
