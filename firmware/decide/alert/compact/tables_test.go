package compact

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"tocsin/configs"
)

func TestATableThatCannotBeMeantIsRefusedAndSaysWhere(t *testing.T) {
	good, err := fs.ReadFile(configs.FS, "alerts/compact.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{"version: 1\n", "version: 2\n", "version"},
		{"durations: [10m, 15m", "durations: [15m, 10m", "durations: row 2"},
		{"durations: [10m, ", "durations: [", "32 durations"},
		{"radii_km: [0.5, 1", "radii_km: [1, 0.5", "radii_km: row 2"},
		{"cell_degrees: 0.001", "cell_degrees: 0", "cell_degrees"},
		{"name: {zh: 台风, en: typhoon}", "name: {zh: 台风}", "events: 1"},
		{"  20: {name", "  256: {name", "events: 256"},
		{"立即转移到{q}，不要收拾财物，不要返回。", "立即转移，不要返回。", "differs between zh and en"},
		{"    q: {place: true}\n  3:", "  3:", "{q}"},
		{"q: {place: true}\n  5:", "q: {place: true, scale: 2}\n  5:", "templates: 4"},
		{"codes: [\"441882103201\", \"441882103202\"]", "codes: []", "areas: 1"},
		{"    1: {zh: 村小学, en: the village school", "    0: {zh: 村小学, en: the village school", "places"},
		{"{q} , say-no-return", "{r} , say-no-return", "templates: 2: speech"},
		{"{q} , say-no-return", "{q} , say_no return!", "templates: 2: speech"},
		{"unit: minutes}", "unit: decades}", "templates: 8: speech"},
		{"    speech_for: drill", "    speech_for: fun", "templates: 15: speech_for"},
		{"    speech: \"say-attention , say-urgent , {area} , {event}", "    speech: \"" + strings.Repeat("say-no-wait ", 61) + " {event}", "templates: 7: speech: "},
		{"digits: [say-0, ", "digits: [", "numbers: ten digits"},
		{"before: [hundred, thousand, unit]", "before: [hundred, million]", "numbers: languages: cmn"},
		{"generic_place: say-agreed-place", "generic_place: \"\"", "generic_place"},
		{"clip: say-hail", "clip: Say Hail", "clip's name"},
		{"area_code: areaCode", "area_kode: areaCode", "area_kode"},
	} {
		text := strings.Replace(string(good), c.old, c.new, 1)
		if text == string(good) {
			t.Fatalf("%q is not in the file", c.old)
		}
		if _, err := LoadTables(fstest.MapFS{"alerts/compact.yaml": {Data: []byte(text)}}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.new, err)
		}
	}
	if _, err := LoadTables(fstest.MapFS{}); err == nil {
		t.Error("no file is no fault")
	}
}
