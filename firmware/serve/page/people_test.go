package page_test

import (
	"strings"
	"testing"

	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/api/apitest"
)

func (lonely) People(bool) api.People { return api.People{} }

func TestThePeoplePanelSaysWhoConfirmedAndShowsNoNumber(t *testing.T) {
	for lang, want := range map[string][]string{
		"zh": {"叫应", "山洪 立即转移", "正在叫应", "陈志强 138****0001", "已按键 1 确认", "李桂芳", "还没有联系", "只能发短信"},
		"en": {"People told by telephone", "flash flood Move now", "confirmed by key 1", "not told yet", "messages only"},
	} {
		page := tag.ReplaceAllString(send(handler(t, apitest.New(apitest.Alarm)), viewer, "GET", "/?lang="+lang, nil).Body.String(), "")
		for _, s := range want {
			if !strings.Contains(page, s) {
				t.Errorf("%s: no %q", lang, s)
			}
		}
		if strings.Contains(page, "13800000001") {
			t.Errorf("%s: a number is shown in full", lang)
		}
	}
	if alone := send(handler(t, lonely{apitest.New(apitest.Calm)}), viewer, "GET", "/?lang=zh", nil).Body.String(); strings.Contains(alone, "id=\"people\"") {
		t.Error("a box that tells nobody shows the panel")
	}
}
