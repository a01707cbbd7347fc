package station

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tocsin/configs"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

const ownPlanText = `plans:
  night:
    name: {zh: 夜间预案, en: night}
    levels:
      prepare:  {tone: prepare, clips: [prepare], zones: [north], duty: {on: 1m, off: 4m}, resound: 5m}
      evacuate: {tone: evacuate, clips: [evacuate, prepare], clips_by: {hand: [notice]}, duty: {on: 3m, off: 1m}, resound: 2m}
    all_clear: {tone: chime, clips: [all-clear], for: 1m}
`

func TestAPlanOfTheDocumentsOwnIsProvedLikeAFile(t *testing.T) {
	t.Parallel()
	b, err := configs.FS.ReadFile("levels.yaml")
	if err != nil || !strings.Contains(string(b), "evacuate") {
		t.Fatal(err)
	}
	dir := t.TempDir()
	site := strings.NewReplacer("plan: town", "plan: night", "/dev/ttyS99", "/dev/ttyS99").Replace(`version: 1
site: {id: "441882103201", name: {zh: 黄渡村, en: Huangdu}, datum: 1985, languages: [cmn]}
lines: {field: {port: /dev/ttyS99}}
devices: {gas: {profile: generic-ch4-rs485, line: field, unit: 4}}
outputs:
  horn: {kind: loudspeaker, file: out, zones: [north]}
  far: {kind: loudspeaker, file: out2, zones: [south]}
rules:
  gas: {name: {zh: 甲烷, en: methane}, set_by: {name: 台架, date: 2026-05-12}, any_of: [{point: gas.ch4, prepare: 20 %LEL, evacuate: 40 %LEL, clear_below: 10 %LEL}]}
plan: town
page: {listen: "off"}
`) + ownPlanText
	for name, c := range map[string]struct {
		edits []string
		bad   string
	}{
		"good":              {nil, ""},
		"a zone of nobody":  {[]string{"[north], duty", "[west], duty"}, "no zone"},
		"an output of none": {[]string{"zones: [north], duty", "outputs: [siren], duty"}, "no output"},
		"a level less":      {[]string{"      prepare:  {tone: prepare, clips: [prepare], zones: [north], duty: {on: 1m, off: 4m}, resound: 5m}\n", ""}, "missing"},
		"a silent level":    {[]string{"tone: prepare, clips: [prepare], ", ""}, "says nothing"},
		"no such tone":      {[]string{"tone: prepare,", "tone: hum,"}, "hum"},
		"a name":            {[]string{"  night:\n", "  Night:\n", "plan: night", "plan: Night"}, "lower-case"},
		"an unknown key":    {[]string{"resound: 5m", "resound: 5m, volume: 3"}, "volume"},
	} {
		text := site
		for i := 0; i < len(c.edits); i += 2 {
			if !strings.Contains(text, c.edits[i]) {
				t.Fatal(c.edits[i])
			}
			text = strings.Replace(text, c.edits[i], c.edits[i+1], 1)
		}
		f := filepath.Join(dir, "site.yaml")
		if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		bp, ps := Load(f)
		var said []string
		for _, p := range ps {
			if !p.Warning {
				said = append(said, p.In(phrase.EN))
			}
		}
		if c.bad == "" {
			if bp == nil || config.Fatal(ps) {
				t.Errorf("%s: %v", name, said)
				continue
			}
			pl := bp.PlanOf["gas"]
			if pl == nil || pl.Plan != "night" || !slices.Equal(pl.Levels["prepare"].Outputs, []string{"horn"}) || len(pl.Levels["evacuate"].Outputs) != 0 || !slices.Equal(pl.Levels["evacuate"].Says("hand").Clips, []string{"notice"}) {
				t.Errorf("%+v", pl)
			}
			if ch := bp.planChoices(); len(ch.Tones) < 3 || len(ch.Outputs) != 2 || !slices.Equal(ch.Zones, []string{"north", "south"}) || !slices.ContainsFunc(ch.Clips, func(x api.PlanChoice) bool { return x.ID == "prepare" && x.Text.ZH != "" }) {
				t.Errorf("%+v", ch)
			}
			continue
		}
		if !strings.Contains(strings.Join(said, "\n"), c.bad) {
			t.Errorf("%s: %v", name, said)
		}
	}
}
