//go:build browser

package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/cmd/hubd/console"
	"tocsin/cmd/hubd/hubfile"
	"tocsin/cmd/hubd/logbook"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
)

// boxes are the stations' own side of the county's night: what they seal and send up.
type boxes struct {
	t    *testing.T
	h    *hub
	keys map[letter.Station]*wire.Keys
	seq  uint32
}

func (b *boxes) say(s letter.Station, class letter.Class, id func(wire.Name) string, kind uint8, content []byte) {
	b.t.Helper()
	b.seq++
	n := wire.Name{Outbox: 0xa1b2c3, Seq: b.seq}
	e := wire.Envelope{ID: wire.ID{Station: string(s), Boot: uint64(n.Outbox), Sequence: uint64(n.Seq)}, Class: wire.Alarm, Type: kind, Content: content}
	body, err := e.Append(nil, b.keys[s], wire.Up)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.h.post.Up(within(20*time.Second), s, &letter.Letter{ID: id(n), Class: class, Link: "fibre", Body: body}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *boxes) state(s letter.Station, c wire.StateContent) {
	j, err := json.Marshal(c)
	if err != nil {
		b.t.Fatal(err)
	}
	b.say(s, letter.Telemetry, wire.Name.String, wire.TypeState, j)
}

func (b *boxes) alarm(s letter.Station, event wire.AlarmEvent) {
	n := wire.Name{Outbox: 0xa1b2c3, Seq: b.seq + 1}
	item, err := wire.AlarmItem{Name: n, At: uint32(time.Now().Unix()), Event: event, Rank: 2, Cause: 77, Hazard: "flash-flood", Text: "river 103.2 m"}.Append(nil, 60)
	if err != nil {
		b.t.Fatal(err)
	}
	b.say(s, letter.Alarm, logbook.ShortID, uint8(wire.ItemAlarm), item)
}

func (b *boxes) receipt(s letter.Station, number uint16, about wire.About, p wire.Progress) {
	packet, err := wire.AppendReceipts(nil, about, []wire.ReceiptOf{{Station: number, Progress: p}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.say(s, letter.Receipt, wire.Name.String, wire.TypeReceipts, packet)
}

// TestChromiumSpendsADutyOnTheCountysConsole sets the console up as a new county does, then lives a warning: a file is
// checked and sent to a town, one village takes it and is heard, one is silent. Then every view is looked at in both
// languages, all looks and two widths.
func TestChromiumSpendsADutyOnTheCountysConsole(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("no node")
	}
	w, h, _ := drones(t, "0.0.0.0", "  views: [{streams: [square], roles: [chief]}]\n# wired")
	at := "http://" + h.console.PageAddr().String()
	b := &boxes{t: t, h: h, keys: map[letter.Station]*wire.Keys{}}
	file, ps := hubfile.Load(w.file)
	if file == nil {
		t.Fatal(ps)
	}
	for s := range file.Stations {
		b.keys[letter.Station(s)] = file.Stations[s].Keys[0]
	}
	raw := signed(t, 7)
	_, _, about, _, err := console.Alert(raw, file.Warnings.CAP)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "warning.xml"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	b.state(upper, wire.StateContent{Version: "1.2", Ready: true, Faults: []wire.FaultContent{}, Links: []wire.LinkContent{}})
	b.state(lower, wire.StateContent{Version: "1.2", Blind: []string{"flash-flood"}, Faults: []wire.FaultContent{{ZH: "雨量筒 2 不动", EN: "gauge 2 does not move"}}, Links: []wire.LinkContent{}})
	b.alarm(lower, wire.AlarmRaised)
	// What happens outside of the console when the flow says so.
	outside := http.NewServeMux()
	for path, do := range map[string]func(){
		"/sounding": func() { b.receipt(upper, numberOf(upper), about[0], wire.Progress{Stage: wire.Sounding}) },
		"/heard":    func() { b.receipt(upper, numberOf(upper), about[0], wire.Progress{Stage: wire.Heard}) },
		"/released": func() { b.alarm(lower, wire.AlarmReleased) },
	} {
		outside.HandleFunc("POST "+path, func(http.ResponseWriter, *http.Request) { do() })
	}
	bench := httptest.NewServer(outside)
	defer bench.Close()
	secret, err := os.ReadFile(filepath.Join(file.Data, "setup-secret"))
	if err != nil {
		t.Fatal(err)
	}
	ui, err := filepath.Abs("../../firmware/serve/page/ui")
	if err != nil {
		t.Fatal(err)
	}
	for _, flow := range []string{"county", "crawl"} {
		ok := t.Run(flow, func(t *testing.T) {
			ctx, end := context.WithTimeout(context.Background(), 6*time.Minute)
			defer end()
			cmd := exec.CommandContext(ctx, "node", filepath.Join("e2e", flow+".mjs"))
			cmd.Dir = ui
			cmd.Env = append(os.Environ(), "CHROMIUM="+chromium, "CONSOLE=county", "BOX="+at, "BENCH="+bench.URL, "PASSWORD="+benchPassword, "OWNER=zhang", "SECRET="+strings.TrimSpace(string(secret)),
				"WARNING="+filepath.Join(dir, "warning.xml"), "STATION="+string(upper), "CRAWL=full", "WIDTHS=320,1280")
			out, err := cmd.CombinedOutput()
			t.Logf("%s", out)
			if err != nil {
				t.Error(err)
			}
		})
		if !ok {
			return
		}
	}
}
