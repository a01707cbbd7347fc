package station

import (
	"strings"
	"testing"

	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

// A town whose text gauge is wired and not in the file yet.
func TestADeviceIsTriedEditedAndImportedWithoutBeingUsed(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.text = strings.Replace(w.text, "  rain-c:   {profile: generic-rain-text, line: text}\n", "", 1)
	w.write("site.yaml", w.text)
	w.start()
	w.until("the revisions", func() bool { var r api.RevisionText; return w.get("/config/revisions/0", &r) == nil })

	for name, c := range map[string]struct {
		q    api.DeviceTest
		code string
		good bool
	}{
		"a gauge between the line's own reads": {api.DeviceTest{Line: "field", Profile: "generic-radar-level-rs485", Unit: 3}, "", true},
		"a unit that nobody has":               {api.DeviceTest{Line: "field", Profile: "generic-radar-level-rs485", Unit: 77}, "", false},
		"what sends by itself":                 {api.DeviceTest{Line: "text", Profile: "generic-rain-text"}, "", true},
		"without a unit":                       {api.DeviceTest{Line: "field", Profile: "generic-radar-level-rs485"}, "trial.unit", false},
		"no such line":                         {api.DeviceTest{Line: "west", Profile: "generic-radar-level-rs485", Unit: 1}, "scan.no_line", false},
		"no such profile":                      {api.DeviceTest{Line: "field", Profile: "none", Unit: 1}, "site.no_profile", false},
		"text on a port that is polled":        {api.DeviceTest{Line: "field", Profile: "generic-rain-text"}, "trial.port", false},
		"sdi-12 on a port that is polled":      {api.DeviceTest{Line: "field", Profile: "generic-level-sdi12", Address: "0"}, "trial.port", false},
		"a chip on a serial line":              {api.DeviceTest{Line: "text", Profile: "bosch-bme280", Address: "0x76"}, "trial.line", false},
		"a contact":                            {api.DeviceTest{Line: "text", Profile: "generic-rain-pulse", Address: "GPIO17"}, "trial.contact", false},
	} {
		var out api.DeviceTested
		c.q.Who = "王工"
		code := w.asks("/devices/test", c.q, &out)
		if code != c.code || out.Good != c.good {
			t.Errorf("%s: %q %+v", name, code, out)
		}
		if c.good && (len(out.Values) == 0 || out.Values[0].Value == nil || out.Values[0].Quality != point.Good || out.Frames[0].Heard == "") {
			t.Errorf("%s: %+v", name, out)
		}
		if code == "" && !c.good && (len(out.Values) == 0 || out.Values[0].Why == nil) {
			t.Errorf("%s: no word on why: %+v", name, out)
		}
	}

	// An edit keeps comments and is judged; nothing is used.
	var e api.Edited
	set := func(path string, value any) string {
		return w.asks("/config/edit", map[string]any{"edits": []map[string]any{{"op": "set", "path": path, "value": value}}}, &e)
	}
	if code := set("/devices/rain-c", map[string]any{"profile": "generic-rain-text", "line": "text"}); code != "" || !e.Judgement.Good || !strings.Contains(e.Diff, "+  rain-c:") || len(e.Judgement.Rules) != 1 || len(e.Judgement.Plans) == 0 {
		t.Errorf("%q %+v", code, e)
	}
	if code := set("/devices/rain-c", map[string]any{"profile": "none", "line": "text"}); code != "" || e.Judgement.Good || len(e.Judgement.Problems) == 0 || e.Judgement.Problems[0].Line == 0 {
		t.Errorf("%q %+v", code, e.Judgement)
	}
	if code := set("/rules/gas/any_of/9/prepare", "1 %LEL"); code != "edit.no_place" {
		t.Errorf("%q", code)
	}

	// Another box's document: this one stays who it is.
	other := strings.NewReplacer("441882103201", "441882103299", "黄渡村", "黄洞村", "prepare: 20 %LEL", "prepare: 22 %LEL").Replace(w.text)
	if code := w.asks("/config/import", api.ImportQuery{Document: other, Keep: []string{"identity", "network"}}, &e); code != "" || !e.Judgement.Good || len(e.Kept) != 2 || strings.Contains(e.Document, "黄洞村") || !strings.Contains(e.Document, "22 %LEL") {
		t.Errorf("%q %v %+v", code, e.Kept, e.Judgement)
	}
	for name, text := range map[string]string{"nested without an end": "a: " + strings.Repeat("[", 1000), "an anchor": "version: 1\na: &x [1]\nb: [*x, *x]\n"} {
		if code := w.asks("/config/import", api.ImportQuery{Document: text}, &e); code != "edit.unreadable" {
			t.Errorf("%s: %q", name, code)
		}
	}
	if w.inForce() != w.text {
		t.Error("something was used")
	}
}
