// Package apitest has a Box for the tests of whatever is served: a village in
// one of three states, which remembers what was asked of it. Nothing but tests
// imports it.
package apitest

import (
	"context"
	"encoding/binary"
	"io"
	"math"
	"strconv"
	"sync"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

// At is when everything in the fake village happens.
var At = time.Date(2026, 6, 14, 22, 40, 8, 0, time.FixedZone("CST", 8*3600))

// Act is one thing that was asked of the box.
type Act struct {
	What, ID, Level, Reason string
	Who                     api.Who
	By                      api.Actor
}

// Box is a fake box. Its fields may be changed before it is served; use New.
type Box struct {
	mu       sync.Mutex
	acts     []Act
	status   api.Status
	readings []api.Reading
	lines    []api.Line
	alarms   []api.Alarm
	sounds   api.Soundings
	faults   []api.Fault
	records  []api.Record

	// Err, where set, is what every act and the journal answer.
	Err error
	// Sound tells whether something has sounded.
	Sound bool
	// Feed carries what FollowReadings gives; Committed what FollowJournal
	// gives after the records at hand.
	Feed      chan api.Reading
	Committed chan api.Record
}

// States of the village.
const (
	Calm  = "calm"
	Alarm = "alarm"
	Blind = "blind"
)

func text(code, zh, en string) api.Text { return api.Text{Code: code, ZH: zh, EN: en} }

// New makes a village in a state.
func New(state string) *Box {
	b := &Box{Feed: make(chan api.Reading), Committed: make(chan api.Record), Sound: state == Alarm}
	b.status = api.Status{
		Version: "0.1.0", Site: "441882103201", Name: phrase.Text{ZH: "黄渡村", EN: "Huangdu"},
		Armed: true, ArmedAfter: 1840 * time.Millisecond, FirstRound: 1200 * time.Millisecond,
		Started: At.Add(-26 * time.Hour), Boot: "b0a1", Now: At, Trust: "set",
		LevelText: text("level.calm", "平安", "calm"),
		Journal:   text("journal.disk", "日志写入磁盘", "journal on disk"), JournalOK: true,
	}
	v := func(f float64) *float64 { return &f }
	b.readings = []api.Reading{
		{Point: "rain.total", Name: phrase.Text{ZH: "累计雨量", EN: "Rain total"}, Value: v(12.5), Unit: "mm", Quality: point.Good, At: At, Age: 900 * time.Millisecond},
		{Point: "river.level", Name: phrase.Text{ZH: "河道水位", EN: "River level"}, Value: v(98.34), Unit: "m", Quality: point.Good, At: At, Age: 2100 * time.Millisecond},
		{Point: "kiln.gas", Name: phrase.Text{ZH: "井口甲烷", EN: "Methane at the pithead"}, Value: v(0.2), Unit: "%CH4", Quality: point.Good, At: At, Age: 400 * time.Millisecond},
		{Point: "battery.voltage", Name: phrase.Text{ZH: "蓄电池电压", EN: "Battery voltage"}, Value: v(12.93), Unit: "V", Quality: point.Good, At: At, Age: 5 * time.Second},
	}
	b.lines = []api.Line{
		{Name: "west", Port: "/dev/ttyUSB0", Up: true, Asked: 48213, Opened: 1, Units: []api.Unit{
			{Device: "rain", Unit: 1, Asked: 20110, Good: 20108, Faults: map[string]int64{"timeout": 2}},
			{Device: "river", Unit: 2, Asked: 20110, Good: 20110},
			{Device: "relay", Unit: 10, Asked: 7993, Good: 7993},
		}},
		{Name: "dam", Port: "192.168.8.20:502", Up: true, Asked: 9120, Opened: 3, Units: []api.Unit{{Device: "kiln", Unit: 1, Asked: 9120, Good: 9118, Faults: map[string]int64{"garbled": 2}}}},
	}
	b.records = []api.Record{
		{Seq: 1, Kind: "start", Text: text("journal.start", "盒子启动", "the box started"), At: At.Add(-26 * time.Hour), Boot: "b0a1", Trust: "set"},
		{Seq: 2, Kind: "armed", Text: text("journal.armed", "开始值守", "armed"), At: At.Add(-26 * time.Hour), Boot: "b0a1", Trust: "set"},
		{Seq: 3, Kind: "test", Text: text("journal.test", "试响", "test sounding"), At: At.Add(-time.Hour), Boot: "b0a1", Trust: "set"},
	}
	switch state {
	case Alarm:
		b.alarm()
	case Blind:
		b.blind()
	}
	return b
}

func (b *Box) alarm() {
	*b.readings[0].Value, *b.readings[1].Value = 63.5, 102.46
	b.readings[2].Quality = point.Suspect
	w := text("why.jump", "跳变过大：0.2 → 9.9 %CH4，不参与判断", "impossible jump: 0.2 → 9.9 %CH4; it decides nothing")
	b.readings[2].Why = &w
	b.status.Level, b.status.LevelText = "evacuate", text("level.evacuate", "立即转移", "evacuate now")
	b.alarms = []api.Alarm{
		{ID: "a-7f3c", Hazard: "flash-flood", HazardText: text("hazard.flash_flood", "山洪", "Flash flood"), Level: "evacuate", LevelText: b.status.LevelText, Peak: "evacuate", State: "raised",
			Because: []api.Text{
				text("b.1", "河道水位 102.46 m，超过 102.40 m（立即转移）", "River level 102.46 m is above 102.40 m (evacuate now)"),
				text("b.2", "1 小时雨量 63.5 mm，超过 60 mm（立即转移）", "Rain in 1 h 63.5 mm is above 60 mm (evacuate now)"),
			}, Raised: At.Add(-4 * time.Minute), Changed: At.Add(-40 * time.Second), County: county},
		{ID: "a-7e10", Hazard: "gas", HazardText: text("hazard.gas", "瓦斯", "Mine gas"), Level: "prepare", LevelText: text("level.prepare", "准备转移", "get ready to leave"), Peak: "prepare", State: "acknowledged",
			Because: []api.Text{text("b.3", "井口甲烷读数可疑，等级保持", "Methane at the pithead is suspect; the level is held")},
			Raised:  At.Add(-50 * time.Minute), Changed: At.Add(-30 * time.Minute), By: &api.Who{Name: "陈志强", Via: "key"}},
	}
	b.sounds = api.Soundings{
		Now: []api.Sounding{{Cause: "a-7f3c", Hazard: "flash-flood", HazardText: text("hazard.flash_flood", "山洪", "Flash flood"), Level: "evacuate", LevelText: b.status.LevelText, Kind: "real",
			Why: text("s.1", "河道水位超过 102.40 m", "River level above 102.40 m"), Outputs: []string{"siren", "horn"}, Since: At.Add(-40 * time.Second)}},
		Last: []api.Receipt{
			{Cause: "a-7f3c", Order: "o-2", Output: "siren", Kind: "real", State: "heard", Measured: "current", Started: At.Add(-40 * time.Second)},
			{Cause: "a-7f3c", Order: "o-3", Output: "horn", Kind: "real", State: "started", Started: At.Add(-40 * time.Second)},
			{Cause: "a-7f3c", Order: "o-1", Output: "horn", Kind: "real", State: "failed", Why: &api.Text{Code: "r.1", ZH: "声卡被拔出", EN: "sound card unplugged"}, Started: At.Add(-4 * time.Minute), Ended: At.Add(-3 * time.Minute)},
		},
	}
	b.faults = []api.Fault{{Thing: "kiln.gas", Why: w, Since: At.Add(-30 * time.Minute)}}
}

func (b *Box) blind() {
	b.status.Blind, b.status.Armed = true, false
	b.status.Trust = "free"
	b.status.JournalOK, b.status.Journal = false, text("journal.ram", "日志只在内存里：磁盘写满", "journal in RAM only: the disk is full")
	b.status.NotArmed = []api.Text{text("n.1", "线路 west 一次也没有问通", "line west has never answered")}
	timeout := text("why.timeout", "没有应答，请检查接线和供电", "no answer: check wiring and supply")
	for i := range 2 {
		b.readings[i].Value, b.readings[i].Quality, b.readings[i].Why = nil, point.CommFault, &timeout
		b.readings[i].Age = 14 * time.Minute
	}
	b.readings[2].Quality = point.Stale
	b.readings[2].Age = 2*time.Hour + 5*time.Minute
	b.readings[2].Why = &api.Text{Code: "why.stale", ZH: "超过 10 分钟没有新值", EN: "no new value for over 10 min"}
	b.readings[3].Quality, b.readings[3].Value = point.SensorFault, nil
	b.readings[3].Why = &api.Text{Code: "why.sensor", ZH: "传感器自报故障", EN: "the sensor reports a fault of its own"}
	gone := text("l.1", "串口 /dev/ttyUSB0 不见了，请插回转换器", "port /dev/ttyUSB0 is gone: plug the adapter back in")
	b.lines[0].Up, b.lines[0].Fault = false, &gone
	b.lines[1].Units[0].Quarantined, b.lines[1].Units[0].Cost = true, 300*time.Millisecond
	b.faults = []api.Fault{
		{Thing: "west", Why: gone, Since: At.Add(-14 * time.Minute)},
		{Thing: "river.level", Why: timeout, Since: At.Add(-14 * time.Minute)},
		{Thing: "journal", Why: b.status.Journal, Since: At.Add(-3 * time.Minute)},
	}
	b.alarms = []api.Alarm{{ID: "a-8001", Hazard: "flash-flood", HazardText: text("hazard.flash_flood", "山洪", "Flash flood"), Level: "prepare", LevelText: text("level.prepare", "准备转移", "get ready to leave"), Peak: "prepare",
		State: "raised", Blind: true, Because: []api.Text{text("b.9", "没有一个水位或雨量可信，无法判断水情", "no good rain or level gauge is left; the water cannot be judged")},
		Raised: At.Add(-2 * time.Minute), Changed: At.Add(-2 * time.Minute)}}
	b.status.Level, b.status.LevelText = "prepare", b.alarms[0].LevelText
}

// Acts gives what was asked so far.
func (b *Box) Acts() []Act {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Act(nil), b.acts...)
}

func (b *Box) act(a Act) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.acts = append(b.acts, a)
	return b.Err
}

// Edit changes the status.
func (b *Box) Edit(f func(*api.Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.status)
}

// Status is api.Box's, as are the rest.
func (b *Box) Status() api.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status
}

// Readings gives the points.
func (b *Box) Readings() []api.Reading { return b.readings }

// Identity gives a made-up key.
func (b *Box) Identity() api.Identity {
	return api.Identity{Station: "330483105203", Number: 17, Key: "5a234bba976977b2912b4a0dc4e337fd", PEM: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}
}

// Lines gives the lines.
func (b *Box) Lines() []api.Line { return b.lines }

// Profiles gives one kind of device.
func (b *Box) Profiles() []api.ProfileInfo {
	return []api.ProfileInfo{{Profile: "generic-rain-rs485", Name: phrase.Text{ZH: "翻斗雨量计", EN: "Tipping-bucket rain gauge"}, Via: "modbus", Generic: true}}
}

// Profile gives its form.
func (b *Box) Profile(string) (api.ProfileForm, error) {
	return api.ProfileForm{ProfileInfo: b.Profiles()[0], Fields: []api.FormField{{Key: "devices.unit", Type: "whole", Label: text("form.unit", "站号", "unit number"), Required: true}}}, nil
}

// Revisions gives a file by hand and a change that is on trial.
func (b *Box) Revisions() ([]api.Revision, error) {
	return []api.Revision{
		{Number: 1, At: At, By: "hand", ByText: text("revision.by_hand", "手工改文件", "the file was edited"), Size: 812, SHA256: "2f"},
		{Number: 2, At: At, By: "page", ByText: text("revision.by_page", "本机网页或命令", "at the box"), Who: "李梅", Why: "新雨量计", Size: 840, SHA256: "30", Trial: &api.Trial{Left: 90 * time.Second, Before: 1}},
	}, nil
}

// Revision gives one with a document.
func (b *Box) Revision(n int) (api.RevisionText, error) {
	all, _ := b.Revisions()
	if n > len(all) {
		return api.RevisionText{}, api.ErrUnknown
	}
	return api.RevisionText{Revision: all[max(n, 1)-1], Document: "version: 1\n"}, nil
}

// Judge finds nothing wrong.
func (b *Box) Judge(_ context.Context, document string) (api.Judgement, error) {
	return api.Judgement{Good: true}, b.act(Act{What: "judge", Reason: document})
}

// Propose puts a document on trial.
func (b *Box) Propose(_ context.Context, p api.Proposal, who api.Who) (api.Revision, error) {
	all, _ := b.Revisions()
	return all[1], b.act(Act{What: "propose", ID: p.Session, Reason: p.Why, Who: who})
}

// Confirm lets it stay.
func (b *Box) Confirm(_ int, session string, who api.Who) error {
	return b.act(Act{What: "confirm", ID: session, Who: who})
}

// TakeBack brings the one before back.
func (b *Box) TakeBack(_ int, who api.Who) (api.Revision, error) {
	all, _ := b.Revisions()
	return all[0], b.act(Act{What: "back", Who: who})
}

// Setpoints gives a gate that may be set and a siren that may not.
func (b *Box) Setpoints() []api.Setpoint {
	no := text("setpoint.sounds", "relay.1 是发声输出的继电器", "relay.1 is an output's relay")
	safe := 0.0
	return []api.Setpoint{
		{ID: "gate.opening", Name: phrase.Text{ZH: "闸门·开度", EN: "Gate, opening"}, Unit: "%", Max: 100, Step: 0.1, FailSafe: &safe, After: 10 * time.Minute,
			Asked: &api.Asked{Value: 20, Who: api.Who{Name: "李梅", Via: "socket"}, At: At}},
		{ID: "relay.1", Name: phrase.Text{ZH: "继电器 1", EN: "relay 1"}, Unit: "on/off", Max: 1, Step: 1, Refused: &no},
	}
}

// Set remembers the act.
func (b *Box) Set(_ context.Context, id string, a api.Asking, who api.Who) (api.Set, error) {
	if err := b.act(Act{What: "set", ID: id, Reason: strconv.FormatFloat(a.Value, 'f', -1, 64) + a.Unit, Who: who}); err != nil {
		return api.Set{}, err
	}
	old := 20.0
	return api.Set{ID: id, Old: &old, New: a.Value, Unit: "%", At: At}, nil
}

// Alarms gives the alarms.
func (b *Box) Alarms() []api.Alarm { return b.alarms }

// Times gives a receiver that holds the clock, a server that stands by, and a chip that is refused.
func (b *Box) Times() api.Times {
	bound := 600 * time.Millisecond
	why := text("time.disagrees", "时钟芯片差得太远", "the chip is too far off")
	return api.Times{Source: "sky", Kind: "gnss", KindText: text("time.kind_gnss", "卫星接收机", "satellite receiver"), Trust: b.status.Trust, Bound: &bound, Sure: true, Sources: []api.TimeSource{
		{Name: "sky", Kind: "gnss", KindText: text("time.kind_gnss", "卫星接收机", "satellite receiver"), Live: true, Holds: true, Heard: time.Second, Bound: bound},
		{Name: "ntp", Kind: "ntp", KindText: text("time.kind_ntp", "网络对时", "network time"), Live: true, Heard: 9 * time.Minute, Bound: 40 * time.Millisecond, Ahead: 12 * time.Millisecond},
		{Name: "/dev/rtc0", Kind: "rtc", KindText: text("time.kind_rtc", "时钟芯片", "clock chip"), Live: true, Heard: time.Hour, Bound: 2 * time.Minute, Ahead: 90 * time.Minute, Why: &why},
	}}
}

// Platforms gives one that is told and one that is not reached.
func (b *Box) Platforms() []api.Platform {
	why := text("mqtt.down", "连不上", "not reached")
	return []api.Platform{{Name: "home", Up: true, Since: At.Add(-time.Hour), Told: 512, Waiting: 1}, {Name: "province", Waiting: 24, Dropped: 3, Why: &why}}
}

// Links gives three links, of which one is down in an alarm, and what the county has.
func (b *Box) Links() api.Links {
	quiet := 3 * time.Second
	up, down := text("serve.link_up", "通", "up"), text("serve.link_down", "不通", "down")
	x := api.Links{County: true, Kept: true, Channels: 4, NarrowChannels: 4, Points: 4, Links: []api.Link{
		{Name: "fibre", NameText: text("serve.link_fibre", "光纤", "Fibre"), Kind: "nats", State: "up", StateText: up, Why: up, For: 26 * time.Hour, Quiet: &quiet, Delivery: 0.998, Latency: 42 * time.Millisecond, Parcels: 812, Bytes: 120431, Acked: 811, Lost: 1, Probes: 18720},
		{Name: "beidou", NameText: text("serve.link_beidou", "北斗短报文", "BeiDou"), Kind: "beidou", State: "up", StateText: up, Why: up, For: 25 * time.Hour, Delivery: 0.82, Latency: 12 * time.Second, Slot: 41 * time.Second},
		{Name: "sms", NameText: text("serve.link_sms", "短信", "SMS"), Kind: "modem", State: "up", StateText: up, Why: up, For: 25 * time.Hour, Delivery: 0.9, Latency: 15 * time.Second, Balance: 12.4, Full: 15, Reserve: 4.5, Spent: 2.6},
		{Name: "mesh", NameText: text("serve.link_mesh", "LoRa 自组网", "LoRa mesh"), Kind: "meshtastic", State: "listening", StateText: text("serve.link_listening", "只收不发", "listens only"), Why: text("station.link_listens", "没有填写电台执照或入网登记，只收不发", "no licence or registration is entered, so it only listens")},
	}}
	for _, c := range []string{"warning", "command", "receipt", "alarm", "telemetry", "bulk"} {
		x.Classes = append(x.Classes, api.OutboxClass{Class: c})
	}
	if b.status.Level == "" {
		return x
	}
	x.Links[0].State, x.Links[0].StateText, x.Links[0].Why, x.Links[0].For = "down", down, text("courier.missed", "对方没有应答（连续 3 次）", "the far end does not answer (3 times in a row)"), 4*time.Minute
	x.Links[1].Quiet, x.Links[1].Out = &quiet, 1
	x.Classes[0] = api.OutboxClass{Class: "warning", ClassText: text("courier.class_warning", "红色、橙色警报", "red and orange alarms"), Waiting: 1, Oldest: 8 * time.Second, Posted: 2, Delivered: 1}
	x.Classes[4] = api.OutboxClass{Class: "telemetry", ClassText: text("courier.class_telemetry", "测值和状态", "readings and state"), Waiting: 3, Late: 1, Oldest: 70 * time.Minute, Posted: 300, Delivered: 297}
	x.Receipts = county
	return x
}

// county is what it has of the alarm.
var county = []api.CountyReceipt{
	{Message: "a1b2c3-18", Class: "warning", Cause: "a-7f3c", What: text("station.own_sent", "已发出 Update：山洪", "sent Update: Flash flood"), Link: "beidou", LinkText: text("serve.link_beidou", "北斗短报文", "BeiDou"), After: 6400 * time.Millisecond, At: At.Add(-30 * time.Second)},
	{Message: "a1b2c3-17", Class: "warning", Cause: "a-7f3c", What: text("station.own_sent", "已发出 Alert：山洪", "sent Alert: Flash flood"), Link: "sms", LinkText: text("serve.link_sms", "短信", "SMS"), After: 31 * time.Minute, Late: true, At: At.Add(-time.Minute)},
}

// People gives a secretary who confirmed and a deputy who waits.
func (b *Box) People(full bool) api.People {
	number := "138****0001"
	if full {
		number = "+8613800000001"
	}
	no := text("people.bar_no_voice", "没有通话声音（profile、sound）", "it has no way for sound (profile, sound)")
	return api.People{
		Modem: &api.Phone{Link: "sms", Up: true, Bars: 3, Mute: &no},
		People: []api.Person{
			{ID: "chen", Name: phrase.Text{ZH: "陈志强", EN: "Chen Zhiqiang"}, Role: phrase.Text{ZH: "村支书", EN: "Village secretary"}, Numbers: []string{number}, Language: "yue", SMS: "prepare", Call: "evacuate", Deputies: []string{"li"}},
			{ID: "li", Name: phrase.Text{ZH: "李桂芳", EN: "Li Guifang"}, Numbers: []string{"139****9000"}, Language: "cmn", Call: "evacuate"},
		},
		Rounds: []api.Round{{Alarm: "a-1", Hazard: text("flood", "山洪", "flash flood"), Level: "evacuate", LevelText: text("evacuate", "立即转移", "Move now"), Phase: "calling", PhaseText: text("people.phase_calling", "正在叫应", "people are being told"), People: []api.Reach{
			{Person: "chen", Name: phrase.Text{ZH: "陈志强", EN: "Chen Zhiqiang"}, Wrote: true, Known: "confirmed", Text: text("station.call_confirmed", "已按键 1 确认", "confirmed by key 1"), Calls: 1, Key: "1", Turn: true},
			{Person: "li", Name: phrase.Text{ZH: "李桂芳", EN: "Li Guifang"}, Text: text("people.not_yet", "还没有联系", "not told yet")},
		}}},
	}
}

// Soundings gives what sounds.
func (b *Box) Soundings() api.Soundings { return b.sounds }

// Faults gives the faults.
func (b *Box) Faults() []api.Fault { return b.faults }

// Journal gives the records.
func (b *Box) Journal(_ context.Context, after int64, limit int) ([]api.Record, error) {
	if b.Err != nil {
		return nil, b.Err
	}
	var out []api.Record
	for _, r := range b.records {
		if r.Seq > after && len(out) < limit {
			out = append(out, r)
		}
	}
	return out, nil
}

// History gives an hour in minutes with a gap of ten of them.
func (b *Box) History(_ context.Context, q api.HistoryQuery) (api.History, error) {
	if b.Err != nil {
		return api.History{}, b.Err
	}
	h := api.History{Point: q.Point, Name: phrase.Text{ZH: "河道水位", EN: "River level"}, Unit: "m", Period: 10 * time.Second, From: q.From, To: q.To, Source: "buckets", Step: time.Minute}
	why := text("why.timeout", "没有应答，请检查接线和供电", "no answer: check wiring and supply")
	for i := range 60 {
		r := api.HistoryRow{At: At.Add(time.Duration(i-60) * time.Minute), Until: At.Add(time.Duration(i-59) * time.Minute), Quality: point.Good, Trust: "set"}
		switch {
		case i == 20:
			r.Until, r.Quality, r.Why = r.At.Add(10*time.Minute), point.CommFault, &why
		case i > 20 && i < 30:
			continue
		default:
			v, low, high := 98+0.01*float64(i), 97.99+0.01*float64(i), 98.02+0.01*float64(i)
			r.Value, r.Min, r.Max, r.Good = &v, &low, &high, 1
		}
		h.Rows = append(h.Rows, r)
	}
	return h, nil
}

// FollowReadings gives the readings at hand, then what comes by Feed.
func (b *Box) FollowReadings(ctx context.Context, f func(api.Reading, int) error) error {
	for _, r := range b.readings {
		if err := f(r, 0); err != nil {
			return err
		}
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r := <-b.Feed:
			if err := f(r, 0); err != nil {
				return err
			}
		}
	}
}

// FollowJournal gives the records at hand, then what comes by Committed.
func (b *Box) FollowJournal(ctx context.Context, after int64, f func(api.Record) error) error {
	l, err := b.Journal(ctx, after, 1000)
	if err != nil {
		return err
	}
	for _, r := range l {
		if err := f(r); err != nil {
			return err
		}
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r := <-b.Committed:
			if err := f(r); err != nil {
				return err
			}
		}
	}
}

// LastSound writes a second of a 1 kHz tone.
func (b *Box) LastSound(w io.Writer) (bool, error) {
	if !b.Sound {
		return false, nil
	}
	const rate, n = 8000, 8000
	data := make([]byte, 0, 44+2*n)
	data = append(data, "RIFF"...)
	data = binary.LittleEndian.AppendUint32(data, 36+2*n)
	data = append(data, "WAVEfmt "...)
	data = binary.LittleEndian.AppendUint32(data, 16)
	for _, v := range []uint16{1, 1} {
		data = binary.LittleEndian.AppendUint16(data, v)
	}
	data = binary.LittleEndian.AppendUint32(data, rate)
	data = binary.LittleEndian.AppendUint32(data, 2*rate)
	for _, v := range []uint16{2, 16} {
		data = binary.LittleEndian.AppendUint16(data, v)
	}
	data = append(data, "data"...)
	data = binary.LittleEndian.AppendUint32(data, 2*n)
	for i := range n {
		data = binary.LittleEndian.AppendUint16(data, uint16(int16(8000*math.Sin(2*math.Pi*1000*float64(i)/rate))))
	}
	_, err := w.Write(data)
	return true, err
}

// Stop remembers who stopped.
func (b *Box) Stop(who api.Who) (api.Receipt, error) {
	return api.Receipt{Order: "o-9", State: "stopped", Kind: "real", Output: "siren", Ended: At}, b.act(Act{What: "stop", Who: who})
}

// Acknowledge remembers who acknowledged.
func (b *Box) Acknowledge(id string, who api.Who) error {
	return b.act(Act{What: "acknowledge", ID: id, Who: who})
}

// Release remembers who released.
func (b *Box) Release(id string, who api.Who, reason string) error {
	return b.act(Act{What: "release", ID: id, Who: who, Reason: reason})
}

// Raise remembers who raised.
func (b *Box) Raise(level string, who api.Who, reason string) (string, error) {
	return "a-9000", b.act(Act{What: "raise", Level: level, Who: who, Reason: reason})
}

var _ api.Box = (*Box)(nil)
