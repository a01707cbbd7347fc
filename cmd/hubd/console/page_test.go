package console

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

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
	s := post.Station{ID: "330483105203", Name: phrase.Text{ZH: "环渡村<script>", EN: "Huandu"}, Seen: map[string]time.Time{"fibre": now.Add(-time.Hour), "tiantong": now.Add(-time.Minute)}, Twice: 2,
		Recent: []post.Kept{{ID: "b-1", Receipt: post.Receipt{Class: letter.Alarm, Link: "fibre", Bytes: 60, At: now.Add(-time.Hour)}}}}
	s.Letters[letter.Alarm] = 7
	tables, err := alert.LoadTables(configs.FS)
	if err != nil {
		panic(err)
	}
	return &Console{book: known{now}, terminals: terminals, file: &hubfile.File{Name: phrase.Text{ZH: "桐乡市", EN: "Tongxiang"}, Warnings: hubfile.Warnings{CAP: tables}, Stations: map[string]hubfile.Station{"330483105203": {Number: 17}}}, zone: time.UTC, log: slog.New(slog.DiscardHandler), now: func() time.Time { return now },
		office: office{post.State{Stations: []post.Station{s, {ID: "330483105204"}},
			Sent: []post.Sent{{ID: "c-1", With: "a-1", Names: "c0.9.5.3", About: "短", At: now, To: map[letter.Station]post.Took{"330483105203": {At: now.Add(-time.Second), Link: "bd"}}}, {ID: "a-1", Names: "dabc", About: "山洪红色预警", By: "王芳", At: now, To: map[letter.Station]post.Took{"330483105203": {At: now, Link: "tiantong"}, "330483105204": {}}}}}}}
}

func get(h http.Handler, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "http://127.0.0.1:8470"+path, nil)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestThePageShowsStationsByLinkAndWhoHasNotTakenWhat(t *testing.T) {
	h := console().Page()
	for lang, want := range map[string][]string{
		"": {"桐乡市 · 警钟中心", "环渡村&lt;script&gt;", "tiantong 2026-07-01 22:39:00", "fibre 2026-07-01 21:40:00", "从未收到", "1/2 站已收下", "1/2 站有回执", "尚未收下", "王芳 下发", "2 件重用了编号", "报警 7",
			"有险情无法判断 · 1 个故障", "测点全部失效，无法判断", "雨量筒 2 不动", "3 件可疑", "不经 sat 收发：防重放文件 upper.window 已损坏", "没有封印", "103.20 m", "没有可信读数", "站号 17",
			"达到“立即转移”条件", "报警中", "已解除", "演练", "第 2 级", "签名不是登记的盒子密钥", "站点密钥封印", "bd （短报文） 2026-07-01 22:39:00",
			"a-1 + c-1", "已播完（未测）", "监听未听到", "已播发 / played", "fibre 已核验", "尚无回执", "可发送，每条 78 字节", "封印不对 4 条", "终端没有应答", "1 条预警待回执"},
		"?lang=en": {"Tongxiang · Tocsin hub", "Huandu", "never", "taken by 1 of 2", "not taken yet", "2 letters used an id again", "blind to a hazard · faults: 1", "conditions for “Move now”", "played (not measured)", "listened and not heard", "kept and not acted on: 3", "12 taken, 5 sent"},
	} {
		w := get(h, "/"+lang, nil)
		for _, s := range want {
			if w.Code != 200 || !strings.Contains(w.Body.String(), s) {
				t.Errorf("%q: %d, without %q", lang, w.Code, s)
			}
		}
		if strings.Count(w.Body.String(), "a-1") != 1 {
			t.Errorf("%q: the two forms of a warning are not one", lang)
		}
		for _, s := range []string{"hubd.", "<script", "{count}", "http://", "https://"} {
			if strings.Contains(w.Body.String(), s) {
				t.Errorf("%q: has %q", lang, s)
			}
		}
	}
	for accept, want := range map[string]string{"": "zh-CN", "en-GB,en;q=0.9": `lang="en"`, "zh-CN,en;q=0.5": "zh-CN", "fr": "zh-CN"} {
		if w := get(h, "/", func(r *http.Request) { r.Header.Set("Accept-Language", accept) }); !strings.Contains(w.Body.String(), want) {
			t.Errorf("%q: not %s", accept, want)
		}
	}
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

func TestOnlyAnOfficerWithTheTokenSeesThePageFromElsewhere(t *testing.T) {
	d, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	h := newOfficers([]hubfile.Officer{{Name: "王芳", Token: string(d)}, {Name: "Li", Token: string(d[:59]) + "x"}}).only(console().Page())
	for name, c := range map[string]struct {
		user, token string
		want        int
	}{
		"nobody":            {"", "", 401},
		"right":             {"王芳", "right", 200},
		"wrong token":       {"王芳", "wrong", 401},
		"no token":          {"王芳", "", 401},
		"another's token":   {"Li", "right", 401},
		"an unknown person": {"X", "right", 401},
		"an endless token":  {"王芳", strings.Repeat("a", 10_000), 401},
	} {
		for range 2 { // the second time from memory
			w := get(h, "/", func(r *http.Request) {
				if c.user != "" {
					r.SetBasicAuth(c.user, c.token)
				}
			})
			if w.Code != c.want {
				t.Errorf("%s: %d", name, w.Code)
			}
			if c.want == 401 && strings.Contains(w.Body.String(), "桐乡") {
				t.Errorf("%s: sees the page", name)
			}
		}
	}
}

func TestOnLoopbackNoOtherSitesNameReadsThePage(t *testing.T) {
	h := local(console().Page())
	for host, want := range map[string]int{"127.0.0.1:8470": 200, "localhost": 200, "[::1]:8470": 200, "evil.example:8470": 403, "": 403} {
		if w := get(h, "/", func(r *http.Request) { r.Host = host }); w.Code != want {
			t.Errorf("%q: %d", host, w.Code)
		}
	}
}
