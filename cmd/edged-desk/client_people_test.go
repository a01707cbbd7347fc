package main

import (
	"bytes"
	"strings"
	"testing"

	"tocsin/firmware/serve/api/apitest"
)

func TestPeopleAreShownWithHowFarTheyWereReached(t *testing.T) {
	path, end := startBox(t, apitest.New(apitest.Alarm))
	defer end()
	for lang, want := range map[string][]string{
		"zh": {"陈志强", "村支书", "+8613800000001", "prepare", "没有通话声音", "山洪 立即转移：正在叫应", "已按键 1 确认", "还没有联系"},
		"en": {"deputies", "—", "messages only", "flash flood, Move now", "confirmed by key 1", "not told yet"},
	} {
		var out bytes.Buffer
		if err := edged(t, t.Context(), &out, "people", "--lang", lang, "--socket", path); err != nil {
			t.Fatal(err)
		}
		for _, s := range want {
			if !strings.Contains(out.String(), s) {
				t.Errorf("%s: no %q in\n%s", lang, s, out.String())
			}
		}
	}
	var out bytes.Buffer
	if err := edged(t, t.Context(), &out, "people", "--json", "--socket", path); err != nil || !strings.Contains(out.String(), `"known":"confirmed"`) {
		t.Errorf("%v, %s", err, out.String())
	}
}
