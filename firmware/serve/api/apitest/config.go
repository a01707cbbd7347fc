package apitest

import (
	"context"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

var edited = api.Edited{Base: 2, Document: "version: 1\n", Diff: "--- 2\n+++ 3\n@@ -1 +1 @@\n-version: 0\n+version: 1\n", Judgement: api.Judgement{Good: true}}

// EditDocument makes a document whatever is asked.
func (b *Box) EditDocument(_ context.Context, q api.EditQuery) (api.Edited, error) {
	return edited, b.act(Act{What: "edit-config", Reason: q.Edits[0].Path})
}

// Compare gives one difference.
func (b *Box) Compare(context.Context, api.DiffQuery) (api.Diff, error) {
	return api.Diff{Diff: edited.Diff}, b.act(Act{What: "diff-config"})
}

// Import takes any document.
func (b *Box) Import(context.Context, api.ImportQuery) (api.Edited, error) {
	return edited, b.act(Act{What: "import-config"})
}

// TestDevice hears one value.
func (b *Box) TestDevice(_ context.Context, q api.DeviceTest, who api.Who) (api.DeviceTested, error) {
	v := 3.25
	return api.DeviceTested{Good: true, Took: 40 * time.Millisecond, Setting: "9600 8N1",
		Values: []api.TestedValue{{ID: "level", Name: phrase.Text{ZH: "水位", EN: "level"}, Value: &v, Unit: "m", Quality: point.Good}},
		Frames: []api.TestedFrame{{Sent: "02 03 00 00 00 02 C4 38", Heard: "02 03 04 40 50 00 00 5C 22"}}}, b.act(Act{What: "test-device", ID: q.Line, Who: who})
}

// Rules gives one.
func (b *Box) Rules() []api.RuleView {
	return []api.RuleView{{Hazard: "flash-flood", Name: phrase.Text{ZH: "山洪", EN: "flash flood"}, Plan: "village", PlanName: phrase.Text{ZH: "村级预案", EN: "village"}, Armed: true, SetBy: "县水利局", SetOn: "2026-05-12",
		Conditions: []api.RuleCondition{{Point: "river.level", Kind: "value", Unit: "m", Levels: []api.RuleThreshold{{Level: "evacuate", LevelText: text("", "立即转移", "evacuate now"), On: 102.4, Off: 100.9,
			Sentence: text("rules.value", "当河道水位达到 102.40 m，就立即转移", "when the river reaches 102.40 m, evacuate now")}}}}}}
}

// Plans gives one.
func (b *Box) Plans() []api.PlanView {
	return []api.PlanView{{Plan: "village", Name: phrase.Text{ZH: "村级预案", EN: "village"}, Hazards: []api.Text{text("", "山洪", "flash flood")},
		Steps: []api.PlanStep{{Step: "evacuate", Name: text("", "立即转移", "evacuate now"), Sentence: text("", "响 3 分钟，停 2 分钟", "sounds for 3 min, pauses for 2 min"), Outputs: []string{"siren"}}}}}
}

// DryRun finds that one would have sounded.
func (b *Box) DryRun(context.Context, api.DryRun) (api.DryRan, error) {
	return api.DryRan{From: At.Add(-24 * time.Hour), To: At, Readings: 100, Events: []api.DryEvent{{At: At.Add(-time.Hour), Hazard: "flash-flood", HazardText: text("", "山洪", "flash flood"), Kind: "rises", Level: "evacuate", LevelText: text("", "立即转移", "evacuate now")}}}, b.act(Act{What: "dry-run"})
}
