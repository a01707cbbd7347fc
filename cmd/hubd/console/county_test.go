package console

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/cmd/hubd/gateway"
	"tocsin/cmd/hubd/hubfile"
	"tocsin/cmd/hubd/logbook"
	"tocsin/cmd/hubd/post"
	"tocsin/configs"
	"tocsin/drivers"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
)

type office struct{ state post.State }

func (o office) Send(context.Context, post.Dispatch) ([]letter.Station, error) { return nil, nil }
func (o office) State() post.State                                             { return o.state }

// known is a logbook of one evening.
type known struct{ now time.Time }

func (k known) State() logbook.State {
	at := k.now.Add(-time.Minute)
	return logbook.State{
		Stations: map[letter.Station]logbook.Station{"330483105203": {Ready: true, StateAt: at, Version: "1.2", Blind: []string{"flash-flood"}, Faults: []wire.FaultContent{{ZH: "雨量筒 2 不动", EN: "gauge 2 does not move"}},
			Left:    []logbook.LeftOut{{Link: "sat", Why: phrase.M("hubd.window", "file", "upper.window")}},
			Strange: 3, Last: []logbook.Strange{{ID: "x-1", Link: "bd", At: at, Why: phrase.M("hubd.strange_unsealed")}},
			ValuesAt: at, Values: []logbook.Value{{Name: phrase.Text{ZH: "水位", EN: "level"}, Unit: "m", V: 103.2, Resolution: 0.01, Good: true}, {Name: phrase.Text{ZH: "雨量", EN: "rain"}}}}},
		Alarms: []logbook.Alarm{
			{Station: "330483105203", Title: phrase.Text{ZH: "环渡村监测：山洪，达到“立即转移”条件", EN: "Measured at Huandu: flash flood, conditions for “Move now”"}, Text: phrase.Text{ZH: "河道水位 103.2 米", EN: "river 103.2 m"}, Kind: "real", At: at,
				Messages: []logbook.Message{{Name: wire.Name{Outbox: 0xa1b2c3, Seq: 17}, At: at, Long: true, Signed: logbook.NotByBox, Ways: []logbook.Way{{Link: "bd", At: at, Short: true}, {Link: "fibre", At: k.now}}}}},
			{Station: "330483105204", Title: phrase.Text{ZH: "山洪灾害", EN: "flash flood"}, Rank: 2, Over: true, Kind: "drill", At: at, Messages: []logbook.Message{{Name: wire.Name{Outbox: 1, Seq: 2}, Event: wire.AlarmReleased, Ways: []logbook.Way{{Link: "mesh", At: at, Short: true}}}}},
		},
	}
}

func (k known) Reached(names []wire.About) map[letter.Station]logbook.Reached {
	if len(names) != 2 {
		return nil
	}
	return map[letter.Station]logbook.Reached{"330483105203": {Progress: wire.Progress{Stage: wire.Played, Why: wire.WhyNotHeard}, At: k.now, Note: "已播发 / played",
		By: map[string]logbook.Step{"bd": {Progress: wire.Progress{Stage: wire.Played}, At: k.now}, "fibre": {Progress: wire.Progress{Stage: wire.Verified}, At: k.now}}}}
}

func terminals() []gateway.NarrowState {
	return []gateway.NarrowState{{Name: "bd", Kind: "beidou", Terminal: drivers.TerminalState{Up: true, ID: "247718"}, Limits: drivers.TerminalLimits{Bytes: 78, Transmit: true}, Stations: 2, Waiting: 1,
		Counts: gateway.Counts{Taken: 12, Sent: 5, Alone: 3, Refused: 4}, LastFrom: "999"}, {Name: "mesh", Kind: "meshtastic"}}
}

func console() *Console {
	now := time.Date(2026, 7, 1, 22, 40, 0, 0, time.UTC)
	s := post.Station{ID: "330483105203", Name: phrase.Text{ZH: "环渡村", EN: "Huandu"}, Seen: map[string]time.Time{"fibre": now.Add(-time.Hour), "tiantong": now.Add(-time.Minute)}, Twice: 2,
		Recent: []post.Kept{{ID: "b-1", Receipt: post.Receipt{Class: letter.Alarm, Link: "fibre", Bytes: 60, At: now.Add(-time.Hour)}}}}
	s.Letters[letter.Alarm] = 7
	tables, err := alert.LoadTables(configs.FS)
	if err != nil {
		panic(err)
	}
	return &Console{book: known{now}, terminals: terminals, file: &hubfile.File{Name: phrase.Text{ZH: "桐乡市", EN: "Tongxiang"}, Warnings: hubfile.Warnings{CAP: tables}, Stations: map[string]hubfile.Station{"330483105203": {Name: phrase.Text{ZH: "环渡村", EN: "Huandu"}, Number: 17}}}, log: slog.New(slog.DiscardHandler), now: func() time.Time { return now },
		office: office{post.State{Stations: []post.Station{s, {ID: "330483105204"}},
			Sent: []post.Sent{{ID: "c-1", With: "a-1", Names: "c0.9.5.3", About: "短", At: now, To: map[letter.Station]post.Took{"330483105203": {At: now.Add(-time.Second), Link: "bd"}}}, {ID: "a-1", Names: "dabc", About: "山洪红色预警", By: "王芳", At: now, To: map[letter.Station]post.Took{"330483105203": {At: now, Link: "tiantong"}, "330483105204": {}}}}}}}
}

func TestTheCountyIsOneDocumentInBothLanguages(t *testing.T) {
	c := console()
	b, err := json.Marshal(c.county(c.now()))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"环渡村", `"tiantong"`, "有险情无法判断 · 1 个故障", "blind to a hazard · faults: 1", "3 件可疑", "kept and not acted on: 3", "2 件重用了编号", "2 letters used an id again",
		"不经 sat 收发：防重放文件 upper.window 已损坏", "达到“立即转移”条件", "conditions for “Move now”", "签名不是登记的盒子密钥", "站点密钥封印", `"kind":"drill"`, `"event":"released"`,
		"已播完（未测）", "played (not measured)", "监听未听到", "listened and not heard", "已播发 / played", "可发送，每条 78 字节", "封印不对 4 条", "终端没有应答", "1 条预警待回执", "12 taken, 5 sent"} {
		if !strings.Contains(string(b), strings.ReplaceAll(want, `"`, `"`)) {
			t.Errorf("the county's document has no %q", want)
		}
	}
	x := c.county(c.now())
	if s := x.Stations[0]; s.Late || s.Open != 1 || s.Tone != "fault" || s.Seen[0].Link != "tiantong" || s.Number != 17 {
		t.Errorf("%+v", s)
	}
	if s := x.Stations[1]; !s.Late || !s.StateAt.IsZero() || s.Tone != "unsure" || s.Name.ZH != "330483105204" {
		t.Errorf("a station that never spoke: %+v", s)
	}
	if x.Alarms[0].Over || !x.Alarms[1].Over || x.Alarms[1].Rank != 2 || x.Alarms[0].Rank != 0 || !x.Alarms[0].Messages[0].Bad {
		t.Errorf("%+v", x.Alarms)
	}
	// Both forms are one warning; who said nothing stands first and has no stage: nobody knows.
	if len(x.Sent) != 1 {
		t.Fatalf("%d warnings", len(x.Sent))
	}
	w := x.Sent[0]
	if !slices.Equal(w.Forms, []string{"a-1", "c-1"}) || w.Taken != 1 || w.Told != 1 || w.Heard != 0 || len(w.Villages) != 2 {
		t.Errorf("%+v", w)
	}
	if v := w.Villages[0]; v.ID != "330483105204" || v.Stage != "" || !v.Taken.IsZero() || v.Text != (phrase.Text{}) {
		t.Errorf("a silent village: %+v", v)
	}
	if v := w.Villages[1]; v.Stage != "played" || v.Link != "bd" || v.Why.EN == "" || len(v.Steps) != 2 {
		t.Errorf("%+v", v)
	}
}

func TestAVillageSoundsByItsNewestReceiptAlone(t *testing.T) {
	c := console()
	for _, x := range []struct {
		stage wire.Stage
		why   wire.Why
		want  string
	}{{wire.Received, wire.WhyNone, ""}, {wire.Sounding, wire.WhyNone, "山洪红色预警"}, {wire.Sounding, wire.WhySilent, ""}, {wire.Played, wire.WhyNone, ""}} {
		c.book = staged{known{c.now()}, wire.Progress{Stage: x.stage, Why: x.why}}
		if got := c.county(c.now()).Stations[0].Sounding; got != x.want {
			t.Errorf("%v, %v: %q", x.stage, x.why, got)
		}
	}
}

// staged is a logbook by which a warning got so far.
type staged struct {
	known
	p wire.Progress
}

func (s staged) Reached(names []wire.About) map[letter.Station]logbook.Reached {
	return map[letter.Station]logbook.Reached{"330483105203": {Progress: s.p, At: s.now}}
}

func TestProgramsReadWhatThePageShows(t *testing.T) {
	w := httptest.NewRecorder()
	console().state(w, httptest.NewRequest("GET", "/v1/state", nil))
	var s State
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%v: %s", err, w.Body)
	}
	if len(s.Stations) != 2 || !s.Stations[0].Ready || s.Stations[0].Faults != 1 || s.Stations[0].Strange != 3 || len(s.Stations[0].LeftOut) != 1 || s.Stations[0].LeftOut[0] != "sat" || s.Stations[0].Seen["tiantong"].IsZero() {
		t.Errorf("stations %+v", s.Stations)
	}
	if len(s.Alarms) != 2 || len(s.Alarms[0].Messages) != 1 || s.Alarms[0].Messages[0].Name != "a1b2c3-17" || s.Alarms[0].Messages[0].Event != "raised" || len(s.Alarms[0].Messages[0].Ways) != 2 || !s.Alarms[0].Messages[0].Ways[0].Short || !s.Alarms[1].Over || s.Alarms[1].Messages[0].Event != "released" {
		t.Errorf("alarms %+v", s.Alarms)
	}
	if len(s.Narrow) != 2 || !s.Narrow[0].Up || !s.Narrow[0].Transmit || s.Narrow[0].Taken != 12 || s.Narrow[0].Refused != 4 || s.Narrow[1].Up {
		t.Errorf("terminals %+v", s.Narrow)
	}
	if len(s.Sent) != 2 {
		t.Fatalf("sent %+v", s.Sent)
	}
	// Receipts of either form are of both.
	for _, d := range s.Sent {
		to := d.To["330483105203"]
		if to.Stage != "played" || to.By["bd"] != "played" || to.By["fibre"] != "verified" {
			t.Errorf("%s: %+v", d.ID, to)
		}
	}
	if d := s.Sent[1]; d.To["330483105203"].TakenBy != "tiantong" || d.To["330483105204"].Stage != "" {
		t.Errorf("%+v", d)
	}
}

// TestTheConsolesTypesAreTheHubs holds what the console in the browser believes to what is written here: each field of each
// document, by name.
func TestTheConsolesTypesAreTheHubs(t *testing.T) {
	b, err := os.ReadFile("../../../firmware/serve/page/ui/county/src/api.ts")
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{"Session": Session{}, "Seen": Seen{}, "Station": Station{}, "Way": WayState{}, "Told": Told{}, "Alarm": Alarm{}, "Step": Step{}, "Village": Village{}, "Warned": Warned{}, "Terminal": Terminal{},
		"County": County{}, "Measured": Measured{}, "Count": Count{}, "Strange": StrangeOne{}, "Kept": KeptOne{}, "StationDetail": StationDetail{}, "Place": Place{}, "Checked": Checked{}, "SentDown": SentDown{}, "Account": Account{},
		"Accounts": Accounts{}, "SignIn": SignIn{}, "Problem": Problem{}, "Text": phrase.Text{}} {
		m := regexp.MustCompile(`(?s)export type ` + name + ` = (?:\w+ & )?\{(.*?)\};`).FindSubmatch(b)
		if m == nil {
			t.Errorf("api.ts has no type %s", name)
			continue
		}
		var want, got []string
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); f.IsExported() && !f.Anonymous && len(f.Index) == 1 {
				want = append(want, tag)
			}
		}
		for _, f := range regexp.MustCompile(`(\w+)\??: `).FindAllSubmatch(m[1], -1) {
			got = append(got, string(f[1]))
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Errorf("%s is %v in api.ts and %v at the hub", name, got, want)
		}
	}
}
