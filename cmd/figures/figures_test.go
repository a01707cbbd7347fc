package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"
)

func TestEveryFigureOfTheTableIsMeasuredOnce(t *testing.T) {
	want := []string{
		"acquire.dead_unit_back_s", "acquire.dead_unit_share", "acquire.fuzz", "acquire.line_cpu_pct", "acquire.line_share_115200_4x10",
		"acquire.line_share_115200_over_best_peer", "acquire.line_share_9600_4x100", "acquire.new_sensor_lines", "acquire.requests_saved",
		"acquire.tcp_50x100_100ms_cpu_pct", "acquire.tcp_50x100_1s_cpu_pct", "acquire.tcp_50x100_rss_mib", "acquire.unplug_replug",
		"acquire.wrong_as_good", "alarm.cold_start_to_armed_ms", "alarm.cross_to_relay_ms_p99",
		"alarm.cross_to_relay_shared_ms_p99", "alarm.cross_to_tone_ms_p99", "alarm.fatal_elsewhere", "alarm.kill9_resume_lost",
		"alarm.powercut_lost", "alarm.stop_to_silence_ms_p99", "alarm.stuck_silenced_s", "alarm.without_disk",
		"alert.forged_accepted", "alert.fuzz_crashes", "alert.genuine_refused", "alert.lifecycle_violations", "alert.parse_peak_mib",
		"alert.queue_flood", "alert.queue_rss_mib", "alert.signed_cap_to_first_tone_ms_p99",
		"edged.binary_mib", "edged.rss_mib", "history.gb_written_year", "history.query_ms_p99",
		"image.alarm_rss_mib", "image.boot_to_armed_s", "image.data_partition", "image.delta_mib", "image.hil_cross_to_tone_s", "image.size_mib", "image.update_matrix", "image.usb_update", "image.watchdog_s",
		"links.day_bytes_calm", "links.day_bytes_storm", "links.day_messages_calm", "links.day_messages_storm",
		"links.delivered_of_10000", "links.failover_alarm_s", "links.failover_red_s", "links.forged_accepted", "links.idle_bytes_day_satellite", "links.powercut_lost",
		"links.recovery_backlog_s", "links.recovery_newest_s", "links.red_over_beidou_ms", "links.sounded_twice",
		"page.alarm_path_effect_ms", "page.axe_violations", "page.config_lost", "page.first_data_s", "page.first_load_kb_gz", "page.foreign_requests",
		"page.missing_strings", "page.routes_without_role_test", "page.rss_mib", "page.scroll_320", "page.targets_under_44px",
		"video.alarm_path_effect_ms", "video.cpu_ms_per_viewer_s_1080p", "video.cpu_ms_per_viewer_s_720p", "video.cpu_vs_best_peer", "video.fuzz_crashes", "video.ladder_gap_s", "video.latency_ms_p99",
		"video.live_edge_ms_median", "video.lost_1080p_default_buffers", "video.powercut_lost_s", "video.powercut_unreadable",
		"video.rss_mib_per_viewer", "video.talk_delay_ms_p99", "video.ttff_ms_median",
	}
	var have []string
	for _, m := range measures {
		for _, g := range m.goals {
			have = append(have, g.figure)
		}
		if m.most <= 0 || m.mostLong < m.most || m.run == nil {
			t.Errorf("%s is not bounded in time", m.goals[0].figure)
		}
	}
	if slices.Sort(have); !slices.Equal(have, want) {
		t.Errorf("measured: %v", have)
	}
}

func TestRanks(t *testing.T) {
	var hundred []float64
	for i := range 100 {
		hundred = append(hundred, float64(i+1))
	}
	for _, c := range []struct {
		all  []float64
		want float64
	}{{nil, math.NaN()}, {[]float64{7}, 7}, {[]float64{3, 1, 2}, 3}, {hundred, 99}, {append(slices.Clone(hundred), 1000), 100}} {
		if got := p99(c.all); got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("p99 of %d values is %v, want %v", len(c.all), got, c.want)
		}
	}
}

func TestAFigureIsPrintedOnceWithEveryKey(t *testing.T) {
	var out bytes.Buffer
	b := &bench{name: "x", out: &printer{enc: json.NewEncoder(&out), only: "alarm.", seed: 7},
		goals: []goal{{"alarm.a_ms_p99", atMost, 50}, {"alarm.b", atMost, 0}, {"other.c_share", atLeast, 0.9}}}
	b.tell("alarm.a_ms_p99", 50.0004, 30)
	b.tell("other.c_share", 0.1, 1)
	b.failed(fmt.Errorf("no rig"))
	want := `{"figure":"alarm.a_ms_p99","value":50,"unit":"ms","goal":"<= 50","holds":true,"n":30,"seconds":0,"seed":7,"scaled":true}
{"figure":"alarm.b","value":null,"unit":"count","goal":"<= 0","holds":false,"n":0,"seconds":0,"seed":7,"scaled":true,"why":"no rig"}
`
	var got bytes.Buffer
	for l := range bytes.Lines(out.Bytes()) {
		var m map[string]any
		if err := json.Unmarshal(l, &m); err != nil {
			t.Fatal(err)
		}
		got.Write(bytes.Replace(l, []byte(fmt.Sprintf(`"seconds":%v,`, m["seconds"])), []byte(`"seconds":0,`), 1))
	}
	// The begin of a bench that never ran is the zero time: its seconds are not looked at.
	if i := bytes.Count(got.Bytes(), []byte("\n")); i != 2 || b.out.unmeasured != 1 {
		t.Errorf("%d lines, %d unmeasured", i, b.out.unmeasured)
	}
	var a, w map[string]any
	first, _, _ := bytes.Cut(got.Bytes(), []byte("\n"))
	wantFirst, _, _ := bytes.Cut([]byte(want), []byte("\n"))
	if json.Unmarshal(first, &a) != nil || json.Unmarshal(wantFirst, &w) != nil {
		t.Fatal("no JSON")
	}
	delete(a, "seconds")
	delete(w, "seconds")
	if fmt.Sprint(a) != fmt.Sprint(w) {
		t.Errorf("got  %v\nwant %v", a, w)
	}
}

// fakeBox answers as a box would that came up with these records and alarms.
func fakeBox(t *testing.T, records []record, alarms []alarm) *box {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/api/v1/journal", func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(records) })
	mux.HandleFunc("/api/v1/alarms", func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(alarms) })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	ctx, stop := context.WithTimeoutCause(context.Background(), 20*time.Millisecond, fmt.Errorf("enough"))
	t.Cleanup(stop)
	return &box{b: &bench{ctx: ctx, name: t.Name()}, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", srv.Listener.Addr().String())
		},
	}}}
}

func TestTheLedgerFindsWhatIsWrong(t *testing.T) {
	rec := func(seq int64, kind, cause string) record {
		return record{Seq: seq, Kind: kind, Cause: cause, Body: json.RawMessage(`{"hazard":"gas"}`), Boot: "b"}
	}
	raised, released := rec(1, "alarm.raised", "a1"), rec(2, "alarm.released", "a1")
	stands := []alarm{{ID: "a1", Hazard: "gas", State: "raised"}}
	for name, c := range map[string]struct {
		acked     []record
		releasing string
		records   []record
		alarms    []alarm
		want      [3]int // lost, repeated, forgotten
	}{
		"all is there":                 {acked: []record{raised}, records: []record{raised}, alarms: stands},
		"more than was acknowledged":   {acked: []record{raised}, records: []record{raised, rec(2, "fault", "")}, alarms: stands},
		"a record is gone":             {acked: []record{raised, rec(2, "fault", "")}, records: []record{raised}, alarms: stands, want: [3]int{1, 0, 0}},
		"a record is another":          {acked: []record{raised}, records: []record{rec(1, "alarm.raised", "a9")}, alarms: stands, want: [3]int{1, 0, 0}},
		"an alarm is forgotten":        {acked: []record{raised}, records: []record{raised}, want: [3]int{0, 0, 1}},
		"an alarm has a new id":        {acked: []record{raised}, records: []record{raised}, alarms: []alarm{{ID: "a2", Hazard: "gas", State: "raised"}}, want: [3]int{0, 1, 0}},
		"a release was under way":      {acked: []record{raised}, releasing: "a1", records: []record{raised}},
		"a release was acknowledged":   {acked: []record{raised, released}, records: []record{raised, released}},
		"a released alarm stands":      {acked: []record{raised, released}, records: []record{raised, released}, alarms: stands, want: [3]int{1, 0, 0}},
		"a number was given twice":     {acked: []record{raised, rec(1, "fault", "")}, records: []record{rec(1, "fault", "")}, alarms: stands, want: [3]int{1, 0, 0}},
		"nothing was acknowledged yet": {records: []record{raised}, alarms: stands},
	} {
		t.Run(name, func(t *testing.T) {
			x := fakeBox(t, c.records, c.alarms)
			l := newLedger(x.b)
			l.quiet = true
			for _, r := range c.acked {
				p, _ := json.Marshal(r)
				l.take(p)
			}
			if c.releasing != "" {
				l.releasing(c.releasing)
			}
			if err := l.hold(x, 1, false); err != nil {
				t.Fatal(err)
			}
			if got := [3]int{l.lost, l.repeated, l.forgotten}; got != c.want {
				t.Errorf("lost, repeated, forgotten: %v, want %v", got, c.want)
			}
		})
	}
}

func TestOnlyACrossingIsTakenForOne(t *testing.T) {
	c := &crossing{}
	at := time.Now()
	over := []byte{3, 4, 0x0F, 0xA0, 0, 0} // 40.00 %LEL
	c.onAnswer(4, over, at)
	if _, ok := c.seen(); ok {
		t.Error("seen before it was armed")
	}
	c.arm()
	c.onAnswer(4, []byte{3, 4, 0x07, 0xCF, 0, 0}, at) // 19.99
	c.onAnswer(3, over, at)                           // another unit
	c.onAnswer(4, []byte{0x83, 2}, at)                // an exception
	if _, ok := c.seen(); ok {
		t.Error("no crossing was taken for one")
	}
	c.onAnswer(4, over, at.Add(1))
	c.onAnswer(4, over, at.Add(2))
	if got, ok := c.seen(); !ok || !got.Equal(at.Add(1)) {
		t.Errorf("%v %v", got, ok)
	}
}
