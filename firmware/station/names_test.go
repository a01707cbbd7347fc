package station

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/phrase"
)

// village gives the house's view of the example site.
func village(t *testing.T) shown {
	t.Helper()
	b, err := os.ReadFile("../../configs/sites/huangdu.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "site.yaml")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	bp, problems := Load(file)
	if bp == nil {
		t.Fatal(problems)
	}
	return shown{bp: bp}
}

func TestPeopleReadNamesAndWordsForTimes(t *testing.T) {
	s := village(t)
	for _, c := range []struct {
		m      phrase.Message
		zh, en string
	}{
		{phrase.M("rule.sum_over", "point", "rain.total", "value", 45.1000000001, "unit", "mm", "window", "1h", "threshold", 45.0),
			"雨量计·累计雨量在 1 小时内增加 45.1 mm（阈值 45.0 mm）", "rain gauge, rain total gained 45.1 mm in 1 h (threshold 45.0 mm)"},
		{phrase.M("rule.value_over", "point", "river.level", "value", 101.2, "unit", "m", "threshold", 100.90000000000001),
			"河道水位计·水位实测 101.20 m（阈值 100.90 m）", "river radar, water level reads 101.20 m (threshold 100.90 m)"},
		{phrase.M("station.blind", "hazard", "flash-flood"), "山洪：全部测点失去数据，无法自动监测，请立即派人值守", "flash flood: no gauge is good any more; send somebody to watch"},
		{phrase.M("station.fault_cleared", "thing", "output siren no_current"), "故障消除：村部警报器", "fault cleared: siren at the village hall"},
		{phrase.M("station.fault_cleared", "thing", "nothing known"), "故障消除：nothing known", "fault cleared: nothing known"},
	} {
		if got := s.text(c.m); got.ZH != c.zh || got.EN != c.en {
			t.Errorf("%s is read as\n%s\n%s", c.m.Code, got.ZH, got.EN)
		}
	}
	for d, want := range map[time.Duration]string{time.Minute: "1 分钟", 90 * time.Second: "90 秒", 90 * time.Minute: "1.5 小时", 0: "0 秒"} {
		if got := spanText(d).ZH; got != want {
			t.Errorf("%v is read as %s", d, got)
		}
	}
}

func TestADeadPortIsOneFault(t *testing.T) {
	s := village(t)
	all := map[string]fault{}
	for _, thing := range []string{"line relay", "device relay", "device rain", "output siren no_answer", "output siren sense_lost", "output siren cut_failed", "output horn sense_lost"} {
		all[thing] = fault{}
	}
	var left []string
	for thing := range all {
		if !s.told(thing, all) {
			left = append(left, thing)
		}
	}
	if got := strings.Join(left, "|"); len(left) != 4 || strings.Contains(got, "device relay") || strings.Contains(got, "siren sense_lost") || strings.Contains(got, "siren cut_failed") {
		t.Errorf("what is called: %s", got)
	}
}
