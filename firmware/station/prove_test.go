package station

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tocsin/configs"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
)

// whole is a site that proves; each case below changes one thing.
const whole = `version: 1
site: {id: "441882103201", name: {zh: 黄渡村, en: Huangdu}, datum: 1985, languages: [cmn, yue]}
lines:
  west: {port: /dev/ttyS1, baud: 9600}
  out: {port: /dev/ttyS2, baud: 9600}
devices:
  rain: {profile: generic-rain-rs485, line: west, unit: 1}
  river: {profile: generic-radar-level-rs485, line: west, unit: 2, zero: 96.20 m}
  relay: {profile: generic-relay-8in-8out, line: out, unit: 10}
outputs:
  siren: {kind: electronic, relay: relay.1, sensed_by: relay.in1, cut_by: relay.4, next: horn}
  horn: {kind: loudspeaker, file: /tmp/horn}
inputs:
  stop: {input: relay.in3, means: stop}
rules:
  flood:
    set_by: {name: 县水利局, date: 2026-05-12}
    any_of:
      - {point: rain.total, over: 1h, prepare: 45 mm, evacuate: 60 mm}
      - {point: river.level, prepare: 101.20 m, evacuate: 102.40 m, clear_below: 100.90 m, for: 10m}
plan: flash-flood-village
`

func prove(t *testing.T, text string) (*Blueprint, []config.Problem) {
	t.Helper()
	f := filepath.Join(t.TempDir(), "s.yaml")
	if err := os.WriteFile(f, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	bp, ps := Load(f)
	for i := range ps {
		ps[i].File = "s.yaml"
	}
	return bp, ps
}

func TestAWholeSiteProves(t *testing.T) {
	bp, ps := prove(t, whole)
	if bp == nil || len(ps) != 0 {
		for _, p := range ps {
			t.Error(p.In(phrase.EN))
		}
		t.Fatal("it does not prove")
	}
	if len(bp.Rules) != 1 || len(bp.Rules[0].AnyOf) != 2 {
		t.Errorf("rules: %+v", bp.Rules)
	}
	c := bp.Rules[0].AnyOf[1]
	if l := c.Levels; l[0].On != 101.2 || l[0].Off != 100.9 || l[1].On != 102.4 || l[1].Off < 102.09 || l[1].Off > 102.11 {
		t.Errorf("thresholds: %+v", l)
	}
	if l := bp.Rules[0].AnyOf[0].Levels; l[0].Off != 36 {
		t.Errorf("a sum's default clearing: %+v", l)
	}
	for _, d := range bp.Delays() {
		if d.Worst() <= 0 {
			t.Errorf("delay of %s: %v", d.Point, d.Worst())
		}
		// Rain and river may jump, and then wait for others that jump with them.
		if d.Hold < bp.Doubts.Surge.Within || d.Hold == 0 {
			t.Errorf("%s: the surge check of %v is not in its worst delay: %v", d.Point, bp.Doubts.Surge.Within, d.Hold)
		}
	}
}

func TestTheShippedSitesProve(t *testing.T) {
	files, _ := filepath.Glob("../../configs/sites/*.yaml")
	if len(files) == 0 {
		t.Fatal("no example sites")
	}
	for _, f := range files {
		bp, ps := Load(f)
		for _, p := range ps {
			// A pond that is only watched has neither rules nor sirens, nor has a box that nobody has set up; both are told so.
			if n := filepath.Base(f); !p.Warning || n != "tailings.yaml" && n != "new.yaml" {
				t.Errorf("%s", p.In(phrase.EN))
			}
		}
		if bp == nil {
			t.Errorf("%s does not prove", f)
		}
	}
}

// TestCheckWarnsOfWordsThatNobodyMeasured holds what a level that a person raises would say.
func TestCheckWarnsOfWordsThatNobodyMeasured(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) {
		t.Helper()
		f := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(f), 0o755)
		if err := os.WriteFile(f, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	warned := func() (codes []string) {
		_, ps := Load(filepath.Join(dir, "s.yaml"))
		for _, p := range ps {
			if !p.Warning {
				t.Errorf("%s", p.In(phrase.EN))
			}
			codes = append(codes, p.Message.Code+" "+fmt.Sprint(p.Message.Params["step"]))
		}
		return codes
	}
	write("s.yaml", []byte(whole))
	if got := warned(); len(got) != 0 {
		t.Fatalf("the shipped plan: %v", got)
	}
	// The village recorded what is measured, and not what a person raises.
	voice, err := configs.FS.ReadFile("clips/evacuate.cmn.wav")
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range []string{"cmn", "yue"} {
		write("clips/evacuate."+lang+".wav", voice)
	}
	if got := warned(); len(got) == 0 || slices.ContainsFunc(got, func(s string) bool { return s != "site.clips_own evacuate" }) {
		t.Errorf("own words for the measured level alone: %v", got)
	}
	for _, id := range []string{"by-village", "move-now"} {
		for _, lang := range []string{"cmn", "yue"} {
			write("clips/"+id+"."+lang+".wav", voice)
		}
	}
	if got := warned(); len(got) != 0 {
		t.Errorf("all recorded: %v", got)
	}
	// A county's plan of before has no such words.
	old, err := configs.FS.ReadFile("plans/flash-flood-village.yaml")
	if err != nil {
		t.Fatal(err)
	}
	write("plans/flash-flood-village.yaml", regexp.MustCompile(`(?m)^ *clips_by.*\n`).ReplaceAll(old, nil))
	if got := warned(); fmt.Sprint(got) != "[site.clips_by prepare site.clips_by evacuate]" {
		t.Errorf("no words for a person's level: %v", got)
	}
}

// TestProblemsNameThingPlaceAndMend holds the messages that a technician sees.
func TestProblemsNameThingPlaceAndMend(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string
		at       string
		says     string
		warning  bool
	}{
		"unknown key":                {"baud: 9600}\n  out", "bauds: 9600}\n  out", "s.yaml:4:28: ", "不认识的项 “bauds”", false},
		"unknown point":              {"river.level, prepare", "river.lvl, prepare", "s.yaml:20:17: ", "测点 river：设备文件 generic-radar-level-rs485 没有 “lvl” 这个量（有 level、status）", false},
		"unknown device":             {"rain.total, over", "rian.total, over", "s.yaml:19:17: ", "没有设备 “rian”（有 rain、relay、river）", false},
		"wrong unit":                 {"prepare: 45 mm", "prepare: 45 kPa", "s.yaml:19:", "单位是 mm", false},
		"no unit":                    {"prepare: 45 mm", "prepare: 45", "s.yaml:19:", "no unit", false},
		"threshold order":            {"evacuate: 60 mm", "evacuate: 40 mm", "s.yaml:19:", "evacuate 的阈值必须比 prepare 更严重", false},
		"clearing on the wrong side": {"clear_below: 100.90 m", "clear_below: 101.90 m", "s.yaml:20:", "平安一侧", false},
		"no clearing":                {"clear_below: 100.90 m, ", "", "s.yaml:20:", "缺少 clear_below", false},
		"no such profile":            {"generic-rain-rs485", "generic-rian-rs485", "s.yaml:7:19: ", "generic-rian-rs485", false},
		"profile with a path":        {"generic-rain-rs485", "../../etc/passwd", "s.yaml:7:19: ", "../../etc/passwd", false},
		"no such line":               {"line: west, unit: 1", "line: wset, unit: 1", "s.yaml:7:", "没有线路 “wset”（有 out、west）", false},
		"unit twice":                 {"unit: 2", "unit: 1", "s.yaml:8:", "站号 1 已被 rain 使用", false},
		"unit out of range":          {"unit: 10", "unit: 300", "s.yaml:9:", "站号 300 不在 1 到 247", false},
		"port twice":                 {"/dev/ttyS2", "/dev/ttyS1", "s.yaml:4:", "用了同一个口", false},
		"relay twice":                {"cut_by: relay.4", "cut_by: relay.1", "s.yaml:11:", "继电器 relay.1 已被 siren 使用", false},
		"no such relay":              {"relay: relay.1", "relay: relay.9", "s.yaml:11:", "没有可控的 “9”", false},
		"no such input":              {"relay.in3", "relay.in9", "s.yaml:14:", "没有 “in9” 这个量", false},
		"not a contact":              {"sensed_by: relay.in1", "sensed_by: rain.total", "s.yaml:11:", "不是开关量", false},
		"next in a circle":           {"file: /tmp/horn", "file: /tmp/horn, next: siren", "s.yaml:11:", "循环", false},
		"no such plan":               {"plan: flash-flood-village", "plan: flood", "s.yaml:21:7: ", "预案 flood 用不了", false},
		"window too long":            {"over: 1h", "over: 80h", "s.yaml:19:", "时间窗应在", false},
		"sum of what does not count": {"{point: river.level, prepare", "{point: river.level, over: 1h, prepare", "s.yaml:20:", "不是累计值", false},
		"unknown condition key":      {"over: 1h", "ovr: 1h", "s.yaml:19:", "不认识 “ovr”", false},
		"division code":              {"\"441882103201\"", "\"4418\"", "s.yaml:2:12: ", "12 位行政区划代码", false},
		"a rule that nobody set":     {"    set_by: {name: 县水利局, date: 2026-05-12}\n", "", "s.yaml:16:3: ", "没有写明由谁何时核定", true},
		"unsensed siren":             {"sensed_by: relay.in1, cut_by: relay.4, ", "", "s.yaml:11:3: ", "没有回讯", true},
		"zero without a datum":       {"datum: 1985, ", "", "s.yaml:8:", "没有写基面", false},
		"zero of nothing":            {"unit: 1}", "unit: 1, zero: 3 m}", "s.yaml:7:", "没有水位测点", false},
		"unknown level on a key":     {"means: stop", "means: panic", "s.yaml:14:", "means “panic” 不认识", false},
	} {
		if !strings.Contains(whole, c.old) {
			t.Fatalf("%s: the whole site has no %q", name, c.old)
		}
		_, ps := prove(t, strings.Replace(whole, c.old, c.new, 1))
		found := false
		var all []string
		for _, p := range ps {
			s := p.In(phrase.ZH)
			all = append(all, s)
			if strings.HasPrefix(s, c.at) && strings.Contains(s, c.says) && p.Warning == c.warning {
				found = true
			}
			if p.In(phrase.EN) == s {
				t.Errorf("%s: %q has no English", name, s)
			}
		}
		if !found {
			t.Errorf("%s: want %s…%s…, got\n\t%s", name, c.at, c.says, strings.Join(all, "\n\t"))
		}
	}
}

func FuzzProve(f *testing.F) {
	f.Add([]byte(whole))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		doc, ps := config.Parse(filepath.Join(dir, "s.yaml"), b)
		if doc == nil {
			if len(ps) == 0 {
				t.Fatal("no document and no problem")
			}
			return
		}
		if bp, ps := Prove(doc); bp == nil && !config.Fatal(ps) {
			t.Fatal("refused without saying why")
		}
	})
}

// A box that does not start because a county's table is broken is a box without a siren.
func TestATableThatBreaksTheReaderIsAProblemAndNoPanic(t *testing.T) {
	for _, table := range []string{"levels", "tones", "links", "time", "order-bounds", "plausibility"} {
		dir := t.TempDir()
		site := filepath.Join(dir, "s.yaml")
		if err := os.WriteFile(site, []byte("version: 1\nsite: {id: \"441882103201\", name: {zh: 黄渡村}}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"levels", "tones", "words", "links", "sources", "rules", "bounds"} {
			if err := os.WriteFile(filepath.Join(dir, table+".yaml"), []byte("version: 1\n"+key+": ! \n"), 0o644); err != nil {
				t.Fatal(err)
			}
			Load(site) // it must come back
		}
		if err := os.WriteFile(filepath.Join(dir, table+".yaml"), []byte("version: 1\nlevels: ! \n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, ps := Load(site); table == "levels" && !config.Fatal(ps) {
			t.Errorf("%s: taken: %v", table, ps)
		}
	}
}
