package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"tocsin/hwtest/storm"
)

// What the site's rules know; the storm passes through it.
const (
	zero     = 96.20 // of the river gauge, above datum
	calm     = 101.10
	prepare  = 101.30
	evacuate = 101.45
	clear    = 101.20
)

const site = `# The demonstration's site: windows of minutes, so that a storm fits into one.
version: 1
site: {id: "441882103201", name: {zh: 黄渡村（演示）, en: Huangdu (demonstration)}, at: [24.7812, 112.3790], datum: 1985, languages: [cmn, yue]}
lines:
  field: {port: {{.Field}}, baud: 9600}
  out:   {port: {{.Out}}, baud: 9600}
  text:  {port: {{.Text}}, baud: 9600}
  gate:  {tcp: "{{.TCP}}"}
devices:
  rain:     {name: {zh: 村部雨量计, en: hall rain gauge}, profile: generic-rain-rs485, line: field, unit: 1, every: 1s}
  rain-b:   {name: {zh: 后山雨量计, en: hill rain gauge}, profile: generic-rain-rs485, line: field, unit: 2, every: 1s}
  river:    {name: {zh: 河道雷达, en: river radar}, profile: generic-radar-level-rs485, line: field, unit: 3, every: 500ms, zero: 96.20 m}
  gas:      {name: {zh: 瓦斯探头, en: gas probe}, profile: generic-ch4-rs485, line: field, unit: 4, every: 2s}
  rain-c:   {name: {zh: 小学雨量计, en: school rain gauge}, profile: generic-rain-text, line: text}
  upstream: {name: {zh: 上游水位计, en: upstream radar}, profile: generic-radar-level-rs485, line: gate, unit: 1, every: 1s}
  relay:    {name: {zh: 继电器板, en: relay board}, profile: generic-relay-8in-8out, line: out, unit: 11, every: 250ms}
outputs:
  siren: {name: {zh: 村部警报器, en: hall siren}, kind: electronic, relay: relay.1, sensed_by: relay.in5, sense: current, cut_by: relay.8, fail_safe: 3m, next: motor}
  motor: {name: {zh: 电动警报器, en: motor siren}, kind: motor, relay: relay.2, sensed_by: relay.in6, sense: current, cut_by: relay.7, min_on: 4s, min_off: 2s, fail_safe: 3m}
  strobe: {name: {zh: 警灯, en: strobe}, kind: strobe, relay: relay.3}
  horn:  {name: {zh: 村部喇叭, en: hall loudspeaker}, kind: loudspeaker, file: {{.Sound}}}
inputs:
  key-prepare:  {input: relay.in1, means: prepare, name: 村部钥匙}
  key-evacuate: {input: relay.in2, means: evacuate, name: 副主任李梅}
  stop:         {input: relay.in3, means: stop, name: 村部停止按钮}
  answer:       {input: relay.in4, means: answer, name: 值班村干部}
rules:
  heavy-rain:
    name: {zh: 短时强降雨, en: heavy rain}
    set_by: {name: 演示, date: 2026-11-23}
    any_of:
      - {point: rain.total, over: 1m, prepare: 1.4 mm, evacuate: 40 mm}
  flash-flood:
    name: {zh: 山洪, en: flash flood}
    set_by: {name: 演示, date: 2026-11-23}
    any_of:
      - {point: river.level, after: 1s, prepare: {{.Prepare}} m, evacuate: {{.Evacuate}} m, clear_below: {{.Clear}} m, for: 2s}
    on_loss: {after: 20m, act: raise}
alerts:
  trust:
    issuers:
{{.Issuer}}  folders:
    drop: {path: {{.Drop}}, every: 500ms}
{{.Links}}{{.Phones}}{{.Video}}plan: flash-flood-village
page: {listen: "{{.Listen}}"}
`

// doubts are the demonstration's own: half an hour of rain is a few seconds of its.
const doubts = `version: 1
surge: {within: 800ms, inputs: 2, share: 0.9, settle: 10s}
clogged: {over: 1m, pour: 1 mm, share: 0.1, neighbours: 2}
`

// rows are the demonstration's links: they are looked after by the second instead of every five,
// and a message by BeiDou may go every two seconds instead of every minute.
const rows = `version: 1
reserve: 0.3
overdraft: 1.0
classes:
  warning: {deadline: 30m}
  command: {deadline: 5m}
  receipt: {deadline: 10m}
  alarm: {deadline: 5m}
  telemetry: {deadline: 1h}
  bulk: {deadline: 24h, expires: true}
outbox: {rows: 20000, bytes: 33554432, warnings: 0.25}
links:
  fibre: {wide: true, free: true, batch: 16384, window: 32, latency: 200ms, delivery: 0.99, send: 5s, ack: 3s, ack_slow: 5s, probe: {every: 1s, within: 800ms, misses: 3, good: 2}, hold_down: 10s, spread: 1s}
  cellular: {wide: true, cost: {kib: 0.0002}, budget: 20, batch: 8192, window: 16, latency: 500ms, delivery: 0.97, send: 5s, ack: 4s, ack_slow: 5s, probe: {every: 1s, within: 900ms, misses: 3, good: 2}, hold_down: 10s, spread: 1s}
  beidou: {bytes: 78, overhead: 11, part: 2, messages: 8, every: 2s, fill: 70, latency: 3s, delivery: 0.9, send: 10s, ack: 15s, ack_slow: 2m}
`

// demo is the village with its edged.
type demo struct {
	v      *storm.Village
	box    *box
	edged  string
	out    string
	dir    string // of ports, data, sounds; gone afterwards
	url    string
	ears   *ears
	county *county
	hub    *hub
	phones *phones
	drone  *drone
	sight  *sight
	sum    summary
	plain  plainBox
	begin  time.Time
}

func newDemo(edged, hubd, out string) (*demo, error) {
	for _, p := range []string{edged, hubd} {
		if _, err := os.Stat(p); err != nil {
			return nil, fmt.Errorf("%w: run make build first", err)
		}
	}
	dir, err := os.MkdirTemp("", "village")
	if err != nil {
		return nil, err
	}
	d := &demo{edged: edged, out: out, dir: dir}
	d.sight = &sight{d: d}
	d.v, err = storm.Build(storm.Config{Dir: filepath.Join(dir, "dev"), River: calm - zero, Upstream: 3})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	listen, err := freePort()
	if err != nil {
		d.close()
		return nil, err
	}
	d.url = "http://" + listen + "/"
	if d.county, err = newCounty(edged, dir); err != nil {
		d.close()
		return nil, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		d.close()
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "secrets"), 0o700); err != nil {
		d.close()
		return nil, err
	}
	if d.drone, err = newDrone(dir); err != nil {
		d.close()
		return nil, err
	}
	if d.hub, err = newHub(hubd, dir, filepath.Join(out, "hubd.log"), d.county, d.drone.media); err != nil {
		d.close()
		return nil, err
	}
	if d.phones, err = newPhones(); err != nil {
		d.close()
		return nil, err
	}
	var text strings.Builder
	err = template.Must(template.New("site").Parse(site)).Execute(&text, map[string]any{
		"Field": d.v.Port(storm.FieldPort), "Out": d.v.Port(storm.OutPort), "Text": d.v.Port(storm.TextPort), "TCP": d.v.Gateway.Addr(),
		"Sound": filepath.Join(dir, "horn"), "Listen": listen,
		"Issuer": d.county.issuer(), "Drop": d.county.drop(), "Links": d.hub.countyLinks(), "Phones": d.phones.site(), "Video": d.drone.site(),
		"Prepare": fmt.Sprintf("%.2f", prepare), "Evacuate": fmt.Sprintf("%.2f", evacuate), "Clear": fmt.Sprintf("%.2f", clear),
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "site.yaml"), []byte(text.String()), 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "plausibility.yaml"), []byte(doubts), 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "links.yaml"), []byte(rows), 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "rollcall.yaml"), []byte(calls), 0o644)
	}
	if err != nil {
		d.close()
		return nil, err
	}
	d.box = &box{edged: edged, dir: dir, log: filepath.Join(out, "edged.log")}
	if err := os.WriteFile(d.box.log, nil, 0o644); err != nil {
		d.close()
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "horn"), 0o755); err != nil {
		d.close()
		return nil, err
	}
	d.ears = newEars(filepath.Join(dir, "horn"))
	return d, nil
}

// freePort prefers 8088, so that a page that was open finds the village again.
func freePort() (string, error) {
	for _, addr := range []string{"127.0.0.1:8088", "127.0.0.1:0"} {
		l, err := net.Listen("tcp", addr)
		if err == nil {
			defer l.Close()
			return l.Addr().String(), nil
		}
	}
	return "", errors.New("no TCP port is free on 127.0.0.1")
}

func (d *demo) token() string { return d.letters("stop-token") }

// setUp is where whoever looks becomes the box's first owner, as by the code on its label.
func (d *demo) setUp() string {
	return d.url + "setup#s=" + d.letters("setup-secret")
}

// letters are those of a file of the box, as the page and the log write them.
func (d *demo) letters(file string) string {
	b, err := os.ReadFile(filepath.Join(d.dir, "data", file))
	if err != nil {
		return err.Error()
	}
	t := strings.TrimSpace(string(b))
	if len(t) == 10 {
		t = t[:5] + "-" + t[5:]
	}
	return t
}

func (d *demo) close() {
	d.sight.close()
	if d.drone != nil {
		d.drone.stop()
	}
	if d.box != nil {
		d.box.stop()
	}
	if d.hub != nil {
		d.hub.close()
	}
	if d.ears != nil {
		d.ears.close()
	}
	if d.phones != nil {
		if err := d.phones.close(); err != nil {
			fmt.Fprintln(os.Stderr, "village:", err)
		}
	}
	if err := d.v.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "village:", err)
	}
	os.RemoveAll(d.dir)
}

// save keeps the summary and the sounds.
func (d *demo) save() error {
	if err := d.sum.save(filepath.Join(d.out, "summary.json")); err != nil {
		return err
	}
	return keepSounds(filepath.Join(d.dir, "horn"), d.out)
}

// wait polls until ok says yes, at most for a while. It gives what ok said last.
func wait(ctx context.Context, most time.Duration, ok func() (bool, string)) (bool, string) {
	end := time.Now().Add(most)
	for {
		good, said := ok()
		if good || time.Now().After(end) || ctx.Err() != nil {
			return good, said
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}
