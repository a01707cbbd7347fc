package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/api/apitest"
)

// clientLine has the client commands as main has them.
type clientLine struct {
	Globals
	Read    ReadCmd    `cmd:""`
	Stop    StopCmd    `cmd:""`
	Status  StatusCmd  `cmd:""`
	People  PeopleCmd  `cmd:""`
	Alarms  AlarmsCmd  `cmd:""`
	Ack     AckCmd     `cmd:""`
	Release ReleaseCmd `cmd:""`
	Raise   RaiseCmd   `cmd:""`
	Talk    TalkCmd    `cmd:""`
	Set     SetCmd     `cmd:""`
	Journal JournalCmd `cmd:""`
	Links   LinksCmd   `cmd:""`
	Key     KeyCmd     `cmd:""`
	User    UserCmd    `cmd:""`
	Label   LabelCmd   `cmd:""`
	Audit   AuditCmd   `cmd:""`
	Update  UpdateCmd  `cmd:""`
	Version VersionCmd `cmd:""`
}

// startBox serves a fake box on a socket of its own.
func startBox(t *testing.T, box *apitest.Box) (path string, end func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "edged") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	g := guard.New(ctx, nil, nil)
	s, err := api.New(box, api.Opts{Guard: g})
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "s")
	if err := s.ServeUnix(ctx, path); err != nil {
		t.Fatal(err)
	}
	end = func() {
		cancel()
		if left := g.Wait(10 * time.Second); left != nil {
			t.Errorf("still running: %v", left)
		}
	}
	t.Cleanup(func() { end(); os.RemoveAll(dir) })
	return path, end
}

// edged runs one command line and gives what it printed.
func edged(t *testing.T, ctx context.Context, out io.Writer, args ...string) error {
	t.Helper()
	var c clientLine
	k, err := kong.New(&c, kong.Exit(func(int) { panic("exit") }))
	if err != nil {
		t.Fatal(err)
	}
	run, err := k.Parse(args)
	if err != nil {
		return err
	}
	c.Out, c.Ctx = out, ctx
	return run.Run(&c.Globals)
}

func TestReadPrintsAnAlignedTableInBothLanguages(t *testing.T) {
	path, _ := startBox(t, apitest.New(apitest.Blind))
	for lang, want := range map[string]string{"zh": "通信故障", "en": "communication fault"} {
		var out bytes.Buffer
		if err := edged(t, t.Context(), &out, "read", "--socket", path, "--lang", lang); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
		if len(lines) != 5 || !strings.Contains(out.String(), want) {
			t.Fatalf("%s:\n%s", lang, out.String())
		}
		// The column of quality begins at the same place in each row.
		at := -1
		for _, l := range lines[1:] {
			for _, q := range []string{want, "过期", "stale", "传感器故障", "sensor fault"} {
				if i := strings.Index(l, "  "+q); i >= 0 {
					if w := width(l[:i]); at >= 0 && w != at {
						t.Errorf("%s: quality at %d and %d:\n%s", lang, at, w, out.String())
					} else {
						at = w
					}
					break
				}
			}
		}
		if at < 0 {
			t.Errorf("no quality found:\n%s", out.String())
		}
	}
}

func TestReadFollowPrintsOneJSONLineAReading(t *testing.T) {
	box := apitest.New(apitest.Alarm)
	path, _ := startBox(t, box)
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- edged(t, ctx, w, "read", "--follow", "--json", "--socket", path)
		w.Close()
	}()
	go func() {
		select {
		case box.Feed <- api.Reading{Point: "river.level", Unit: "m", Quality: point.CommFault, Why: &api.Text{ZH: "无应答", EN: "no answer"}, At: apitest.At}:
		case <-ctx.Done():
		}
	}()
	d := json.NewDecoder(r)
	var got map[string]any
	for range 5 {
		got = nil
		if err := d.Decode(&got); err != nil {
			t.Fatal(err)
		}
		for _, k := range []string{"point", "value", "unit", "quality", "why", "at"} {
			if _, ok := got[k]; !ok {
				t.Errorf("%q is missing in %v", k, got)
			}
		}
	}
	if got["value"] != nil || got["quality"] != "comm_fault" || got["why"].(map[string]any)["zh"] != "无应答" {
		t.Errorf("a fault came as %v", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("an interrupt is no error: %v", err)
	}
}

func TestTheBoxesKeyIsGivenForOthersToPin(t *testing.T) {
	path, end := startBox(t, apitest.New(apitest.Calm))
	defer end()
	var out bytes.Buffer
	if err := edged(t, t.Context(), &out, "key", "--socket", path); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"330483105203", "17", "5a234bba976977b2912b4a0dc4e337fd", "-----BEGIN PUBLIC KEY-----\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	out.Reset()
	if err := edged(t, t.Context(), &out, "key", "--pem", "--socket", path); err != nil || !strings.HasPrefix(out.String(), "-----BEGIN PUBLIC KEY-----\n") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestAStreamThatTheBoxEndsIsAnError(t *testing.T) {
	box := apitest.New(apitest.Calm)
	path, end := startBox(t, box)
	var out bytes.Buffer
	done := make(chan error, 1)
	go func() {
		done <- edged(t, t.Context(), &out, "journal", "--follow", "--json", "--after", "2", "--socket", path)
	}()
	box.Committed <- api.Record{Seq: 4, Kind: "raise"}
	end()
	err := <-done
	var c *clientError
	if !errors.As(err, &c) || c.ExitCode() != exitUnreachable {
		t.Errorf("got %v", err)
	}
	var seqs []int64
	for d := json.NewDecoder(&out); d.More(); {
		var r api.Record
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, r.Seq)
	}
	if len(seqs) != 2 || seqs[0] != 3 || seqs[1] != 4 {
		t.Errorf("records %v", seqs)
	}
}

func TestActsReachTheBoxWithTheNameOfWhoActs(t *testing.T) {
	box := apitest.New(apitest.Alarm)
	path, _ := startBox(t, box)
	for _, args := range [][]string{
		{"stop", "--who", "陈志强"},
		{"ack", "a-7f3c", "--who", "陈志强"},
		{"release", "a-7f3c", "--who", "陈志强", "--reason", "水退了"},
		{"raise", "prepare", "--who", "陈志强", "--reason", "塘坝渗水"},
		{"set", "gate.opening", "12.5", "--who", "陈志强"},
		{"set", "gate.opening", "45 %", "--who", "陈志强"},
		{"set", "lamp.1", "off", "--who", "陈志强"},
	} {
		var out bytes.Buffer
		if err := edged(t, t.Context(), &out, append(args, "--socket", path)...); err != nil || out.Len() == 0 {
			t.Errorf("%v: %v %q", args, err, out.String())
		}
	}
	who := api.Who{Name: "陈志强", Via: "socket"}
	want := []apitest.Act{
		{What: "stop", Who: who}, {What: "acknowledge", ID: "a-7f3c", Who: who},
		{What: "release", ID: "a-7f3c", Who: who, Reason: "水退了"}, {What: "raise", Level: "prepare", Who: who, Reason: "塘坝渗水"},
		{What: "set", ID: "gate.opening", Who: who, Reason: "12.5"}, {What: "set", ID: "gate.opening", Who: who, Reason: "45%"}, {What: "set", ID: "lamp.1", Who: who, Reason: "0on/off"},
	}
	got := box.Acts()
	if len(got) != len(want) {
		t.Fatalf("acts %+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("act %d: %+v, want %+v", i, got[i], want[i])
		}
	}
}

func TestSetShowsWhatMayBeSetAndWhatMayNot(t *testing.T) {
	path, _ := startBox(t, apitest.New(apitest.Calm))
	var out bytes.Buffer
	if err := edged(t, t.Context(), &out, "set", "--lang", "zh", "--socket", path); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"gate.opening", "0～100 %", "20 %", "李梅", "10m 无人续期则恢复 0 %", "relay.1", "发声输出"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	for _, args := range [][]string{{"set", "gate.opening", "12.5"}, {"set", "gate.opening", "much", "--who", "a"}, {"set", "gate.none"}} {
		if err := edged(t, t.Context(), &bytes.Buffer{}, append(args, "--socket", path)...); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}

func TestARefusalIsSaidInTheReadersLanguage(t *testing.T) {
	box := apitest.New(apitest.Calm)
	box.Err = phrase.E("serve.not_found")
	path, _ := startBox(t, box)
	for lang, want := range map[string]string{"zh": "没有这一项", "en": "no such thing"} {
		var said bytes.Buffer
		err := edged(t, t.Context(), io.Discard, "ack", "x", "--who", "a", "--socket", path)
		if n := fail(&Globals{Lang: lang}, &said, err); n != exitRefused || !strings.Contains(said.String(), want) {
			t.Errorf("%s: exit %d, %q", lang, n, said.String())
		}
	}
	if err := edged(t, t.Context(), io.Discard, "stop", "--socket", path); err == nil {
		t.Error("an act without a name went through")
	}
}

func TestABoxThatIsNotThereIsSaidWithTheMend(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead")
	l, err := net.Listen("unix", dead)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	for _, path := range []string{filepath.Join(dir, "none"), dead} {
		for _, args := range [][]string{{"read"}, {"read", "--follow", "--json"}, {"stop", "--who", "a"}, {"status"}, {"alarms"}, {"journal"}} {
			var said bytes.Buffer
			err := edged(t, t.Context(), io.Discard, append(args, "--socket", path)...)
			if n := fail(&Globals{Lang: "zh"}, &said, err); n != exitUnreachable || !strings.Contains(said.String(), path) || !strings.Contains(said.String(), "edged run -c") {
				t.Errorf("%v: exit %d, %q", args, n, said.String())
			}
		}
	}
	var out bytes.Buffer
	if err := edged(t, t.Context(), &out, "version", "--socket", dead); err != nil || !strings.Contains(out.String(), "edged ") {
		t.Errorf("version without a box: %v %q", err, out.String())
	}
}

func TestWhatIsNoBoxIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) })}
	go srv.Serve(l)
	defer srv.Close()
	var c *clientError
	if err := edged(t, t.Context(), io.Discard, "alarms", "--socket", path); !errors.As(err, &c) || c.code != exitRefused {
		t.Errorf("got %v", err)
	}
}

func TestStatusAndAlarmsSpeakBothLanguages(t *testing.T) {
	for _, state := range []string{apitest.Calm, apitest.Alarm, apitest.Blind} {
		path, _ := startBox(t, apitest.New(state))
		for _, args := range [][]string{{"status"}, {"alarms"}, {"journal"}, {"read"}, {"links"}} {
			for _, lang := range []string{"zh", "en"} {
				var out bytes.Buffer
				if err := edged(t, t.Context(), &out, append(args, "--socket", path, "--lang", lang)...); err != nil {
					t.Fatal(err)
				}
				if s := out.String(); s == "" || strings.Contains(s, "serve.") || strings.Contains(s, "quality.") {
					t.Errorf("%s %v %s:\n%s", state, args, lang, s)
				}
			}
			var out bytes.Buffer
			if err := edged(t, t.Context(), &out, append(args, "--json", "--socket", path)...); err != nil {
				t.Fatal(err)
			}
			for l := range strings.Lines(out.String()) {
				if !json.Valid([]byte(l)) {
					t.Errorf("%v --json: %q", args, l)
				}
			}
		}
	}
}

func TestLinksAreListedWithWhatWaitsAndWhatTheCountyHas(t *testing.T) {
	for lang, want := range map[string][]string{
		"zh": {"链路", "光纤 (fibre)", "不通", "82%", "12.40/15.00", "只收不发", "红色、橙色警报", "1h10m0s", "已发出 Update：山洪", "超时"},
		"en": {"LINK", "Fibre (fibre)", "down", "the far end does not answer", "3s ago", "listens only", "red and orange alarms", "sent Alert: Flash flood", "31m0s"},
	} {
		path, _ := startBox(t, apitest.New(apitest.Alarm))
		var out bytes.Buffer
		if err := edged(t, t.Context(), &out, "links", "--socket", path, "--lang", lang); err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s: no %q in\n%s", lang, w, out.String())
			}
		}
	}
}

func TestTheLanguageFollowsTheEnvironment(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want phrase.Lang
	}{
		{nil, phrase.ZH},
		{map[string]string{"LANG": "en_GB.UTF-8"}, phrase.EN},
		{map[string]string{"LANG": "C.UTF-8"}, phrase.ZH},
		{map[string]string{"LANG": "en_US", "LC_ALL": "zh_CN.UTF-8"}, phrase.ZH},
	} {
		if got := phrase.OfEnvironment(func(k string) string { return c.env[k] }); got != c.want {
			t.Errorf("%v: %s", c.env, got)
		}
	}
}

func TestChineseTakesTwoPlaces(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "水位": 4, "水位 m": 6, "（）": 4, "m³/s": 4, "%LEL": 4, "e\u0301": 1} {
		if got := width(s); got != want {
			t.Errorf("%q is %d wide, not %d", s, got, want)
		}
	}
}
