package compact

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/goccy/go-yaml"

	"tocsin/configs"
)

type clipText struct {
	ZH  string `yaml:"zh"`
	Yue string `yaml:"yue"`
}

// pieceTexts is what the shipped pieces say.
func pieceTexts(t *testing.T) map[string]clipText {
	t.Helper()
	b, err := os.ReadFile("../../../../configs/clips/clips.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Pieces map[string]clipText `yaml:"pieces"`
	}
	if err := yaml.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	return f.Pieces
}

// sentence writes what is heard where the bank has all that is shipped.
func sentence(t *testing.T, pieces map[string]clipText, list []string, yue bool) string {
	t.Helper()
	var s strings.Builder
	for _, word := range list {
		if word == Comma {
			s.WriteString("，")
			continue
		}
		said := false
		for _, id := range strings.Split(word, Or) {
			if p, ok := pieces[id]; ok {
				said = true
				if yue {
					s.WriteString(p.Yue)
				} else {
					s.WriteString(p.ZH)
				}
				break
			}
		}
		if !said && !strings.HasSuffix(word, Or) {
			t.Errorf("no piece says %s", word)
		}
	}
	return regexp.MustCompile(`，+`).ReplaceAllString(s.String(), "，")
}

func TestEveryRowIsSpokenAsAPersonWouldSayIt(t *testing.T) {
	tables, pieces := shippedTables(t), pieceTexts(t)
	issued := DayOf(time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC))
	zone := time.FixedZone("CST", 8*3600)
	huangdu := Area{Mode: Division, Digits: 103201}
	for _, c := range []struct {
		w        Warning
		cmn, yue string
	}{
		{Warning{Template: 0, Event: 2, Severity: 2, Start: 7*60 + 30, Duration: 11, Area: Area{Mode: Region}},
			"请注意，上级发布暴雨橙色预警，连州市，有效至二十六日十八时三十分，请听从村干部安排", "請注意，上級發布暴雨橙色預警，連州市，有效至二十六日十八時三十分，請聽從村幹部安排"},
		{Warning{Template: 1, Event: 3, Severity: 2, Start: 7*60 + 5, P: 60, Area: huangdu},
			"请注意，上级发布山洪灾害橙色预警，黄渡村，预计二十六日十五时零五分起一小时内雨量将达六十毫米，可能发生山洪，沿河沿沟住户请马上做好转移准备，不要下河，不要过漫水桥",
			"請注意，上級發布山洪災害橙色預警，黃渡村，預計二十六日十五時零五分起一小時內雨量將達六十毫米，可能發生山洪，沿河沿溝住戶請即刻做好轉移準備，唔好落河，唔好過漫水橋"},
		{Warning{Template: 2, Event: 3, Severity: 3, P: 68, Q: 1, Area: huangdu},
			"请注意，上级发布山洪灾害红色预警，黄渡村，一小时雨量已达六十八毫米，山洪正在发生或即将发生，危险区人员请立即转移到村小学，不要收拾财物，不要返回",
			"請注意，上級發布山洪災害紅色預警，黃渡村，一小時雨量已達六十八毫米，山洪正在發生或者即將發生，危險區人員請立即轉移到村小學，唔好執拾財物，唔好返轉頭"},
		{Warning{Template: 2, Event: 3, Severity: 3, P: 105, Q: 99, Area: Area{Mode: Circle, North: 1, East: 1}},
			"请注意，上级发布山洪灾害红色预警，一小时雨量已达一百零五毫米，山洪正在发生或即将发生，危险区人员请立即转移到指定地点，不要收拾财物，不要返回", ""},
		{Warning{Template: 3, Event: 4, Severity: 1, Start: 18 * 60, P: 2, Q: 2, Area: Area{Mode: Listed, Row: 1}},
			"请注意，上级发布洪水黄色预警，黄渡河沿岸，预计二十七日两时起两小时内河道水位将超警戒水位零点二米，低洼处住户请马上做好转移准备，人畜远离河道",
			"請注意，上級發布洪水黃色預警，黃渡河沿岸，預計二十七日兩時起兩小時內河道水位將超過警戒水位零點二米，低窪處住戶請即刻做好轉移準備，人畜遠離河道"},
		{Warning{Template: 4, Event: 4, Severity: 3, P: 20, Q: 3},
			"请注意，上级发布洪水红色预警，连州市，河道水位已超警戒水位两米，仍在上涨，低洼处住户请立即转移到后山高地", ""},
		{Warning{Template: 5, Event: 2, Severity: 2, Start: 16 * 60, P: 100, Q: 3},
			"请注意，上级发布暴雨橙色预警，连州市，预计二十七日零时起三小时内雨量将达二百毫米以上，请尽量不要外出，远离河沟、陡坡和危房", ""},
		{Warning{Template: 6, Event: 5, Severity: 2, Start: 0, Duration: 6, P: 56},
			"请注意，上级发布地质灾害预警，连州市，二十六日九时前发生滑坡的可能性大，累计雨量已达一百一十二毫米，靠山住户夜间不要留宿，发现裂缝、浑水、异响，请马上离开并报告", ""},
		{Warning{Template: 7, Event: 6, Severity: 3, Q: 4},
			"请注意，上级紧急通知，连州市，泥石流已经发生或随时可能发生，请立即向两侧高处撤离，到镇中心学校集合，不要顺沟跑",
			"請注意，上級緊急通知，連州市，泥石流已經發生或者隨時可能發生，請立即向兩側高處撤離，到鎮中心學校集合，唔好順住條溝走"},
		{Warning{Template: 8, Event: 8, Severity: 3, P: 40, Q: 2},
			"请注意，上级紧急通知，连州市，上游水库出现险情，洪水预计四十分钟内到达，下游人员请立即转移到村委会，不要等待", ""},
		{Warning{Template: 9, Event: 1, Severity: 2, P: 12, Q: 24},
			"请注意，上级发布台风橙色预警，连州市，预计二十四小时内受台风影响，平均风力可达十二级以上，请关好门窗，加固棚架，船只回港，请尽量不要外出", ""},
		{Warning{Template: 10, Event: 10, Severity: 2, P: 10, Q: 1},
			"请注意，上级发布雷雨大风橙色预警，连州市，预计一小时内出现雷雨大风，阵风可达十级，请远离大树、广告牌和临时搭建物", ""},
		{Warning{Template: 11, Event: 13, Severity: 3, P: 158, Q: 5},
			"请注意，上级发布高温红色预警，连州市，最高气温将达三十九点五摄氏度，持续五小时以上，请避免午后户外劳作，照看好老人和孩子", ""},
		{Warning{Template: 12, Event: 17, Severity: 2, Start: 0, Duration: 6},
			"请注意，上级发布森林火险橙色预警，连州市，二十六日九时前森林火险等级高，严禁野外用火，发现火情请立即报告", ""},
		{Warning{Template: 13, Event: 20, Severity: 3, P: 15, Q: 1},
			"请注意，上级紧急通知，连州市，有毒气体泄漏，影响范围约一点五公里，请用湿毛巾捂住口鼻，向上风方向撤到村小学", ""},
		{Warning{Type: Drill, Template: 15, Event: 3, Q: 1},
			"请注意，连州市，现在进行山洪灾害防御演练，不是真实险情，请按预案到村小学集合",
			"請注意，連州市，現在進行山洪災害防禦演練，唔係真實險情，請按預案到村小學集合"},
	} {
		got := tables.Speech(c.w, issued, "441882", zone)
		if s := sentence(t, pieces, got["cmn"], false); s != c.cmn {
			t.Errorf("%d:\n%s, want\n%s", c.w.Template, s, c.cmn)
		}
		if s := sentence(t, pieces, got["yue"], true); c.yue != "" && s != c.yue {
			t.Errorf("%d:\n%s, want\n%s", c.w.Template, s, c.yue)
		}
	}
}

func TestWhatCannotBeSaidIsNotSaidOtherwise(t *testing.T) {
	tables := shippedTables(t)
	say := func(w Warning) map[string][]string { return tables.Speech(w, 20000, "441882", time.UTC) }
	for name, w := range map[string]Warning{
		"a cancel": {Type: Cancel, Template: 2}, "a test": {Type: Test, Template: 2}, "the cancel of a drill": {Type: DrillCancel, Template: 15},
		"all clear": {Template: 14, Event: 3}, "a drill's words in a real warning": {Template: 15, Event: 3}, "a test's words in a real warning": {Template: 16},
	} {
		if s := say(w); s != nil {
			t.Errorf("%s: %v", name, s)
		}
	}
	if s := say(Warning{Template: 0, Event: 99})["cmn"]; !slices.Contains(s, "say-event-99") {
		t.Errorf("an event that nobody knows: %v", s)
	}
	if s := say(Warning{Template: 900, Event: 2})["cmn"]; !slices.Contains(s, "say-obey") {
		t.Errorf("a template that nobody knows: %v", s)
	}
	// A site's own village and place: by the name that a clip of them would have, else left out, else the generic words.
	s := say(Warning{Template: 2, Event: 3, Q: 77, Area: Area{Mode: Division, Digits: 103202}})["yue"]
	if !slices.Contains(s, "say-area-441882103202|") || !slices.Contains(s, "say-agreed-place") {
		t.Errorf("%v", s)
	}
	raw, err := fs.ReadFile(configs.FS, "alerts/compact.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(raw), ", clip: say-town-school}", "}", 1)
	text = strings.Replace(text, "p: {scale: 0.25, digits: 1, unit: celsius}", "p: {scale: 0.25, offset: -20, digits: 1, unit: celsius}", 1)
	theirs, err := LoadTables(fstest.MapFS{"alerts/compact.yaml": {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	if s := theirs.Speech(Warning{Template: 4, Q: 4}, 20000, "441882", time.UTC)["cmn"]; !slices.Contains(s, "say-place-441882-4|say-agreed-place") {
		t.Errorf("%v", s)
	}
	if s := theirs.Speech(Warning{Template: 11, Event: 13, P: 4}, 20000, "441882", time.UTC); s != nil {
		t.Errorf("19 below zero is read %v", s)
	}
}

// What is spoken and what is shown come from two places and must say the same.
func TestClipsSayWhatTheTableWrites(t *testing.T) {
	tables, pieces := shippedTables(t), pieceTexts(t)
	is := func(what, clip, zh string) {
		t.Helper()
		if pieces[clip].ZH != zh {
			t.Errorf("%s: %s says %q and not %q", what, clip, pieces[clip].ZH, zh)
		}
	}
	for _, s := range tables.Severities {
		is(s.Severity, s.Clip, s.Word.ZH)
	}
	for _, e := range tables.Events {
		is("event", e.Clip, e.Name.ZH)
	}
	for _, a := range tables.Areas {
		is("area", a.Clip, a.Name.ZH)
	}
	for c, d := range tables.Divisions {
		is(c, d.Clip, d.ZH)
	}
	for _, list := range tables.Places {
		for _, p := range list {
			is("place", p.Clip, p.ZH)
		}
	}
	for n, u := range tables.Units {
		is(n, u.Clip, u.ZH)
	}
	for n, row := range tables.Templates {
		for hole, p := range map[string]*parameter{"{p}": row.P, "{q}": row.Q} {
			if p == nil || p.Place {
				continue
			}
			if unit := tables.Units[p.Unit].ZH; unit == "" || !strings.Contains(row.Description.ZH+row.Instruction.ZH, hole+unit) {
				t.Errorf("%d: %s is said in %q, and not written so", n, hole, unit)
			}
			if !strings.Contains(row.Speech, hole) {
				t.Errorf("%d: %s is not spoken", n, hole)
			}
		}
		if row.Speech == "" && n != 14 && n != 16 {
			t.Errorf("%d is not spoken", n)
		}
	}
	cmn, ok1 := tables.Needs("cmn")
	yue, ok2 := tables.Needs("yue")
	if _, ok := tables.Needs("hak"); !ok1 || !ok2 || ok {
		t.Error("the languages that numbers are read in")
	}
	all := slices.Concat(cmn, yue, tables.Names())
	for _, id := range all {
		if _, ok := pieces[id]; !ok {
			t.Errorf("no piece is called %s", id)
		}
	}
	for id := range pieces {
		if !slices.Contains(all, id) {
			t.Errorf("%s is said by nothing and takes room", id)
		}
	}
}
