package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/hwtest/gauge"
	"tocsin/hwtest/storm"
)

// step is one thing that befalls the village and what must be seen of it.
type step struct {
	at time.Duration // after the box is armed
	// once, where it is there, has the step done as soon as it is closed, and at the latest at that time.
	once   <-chan struct{}
	zh, en string
	do     func() error
	// most is how long after do the box may take; check looks until it says
	// yes, from outside, and says by what.
	most  time.Duration
	check func() (ok bool, by string)
	// hold is looked at from do until most has passed: what must not happen.
	hold func() (ok bool, by string)
	name string
}

// play runs the storm and checks each step as it comes.
func (d *demo) play(ctx context.Context) {
	if err := d.box.start(); err != nil {
		d.sum.add(result{Name: "start", EN: "edged starts", ZH: "启动 edged", By: err.Error()})
		return
	}
	began := time.Now()
	fmt.Printf("本机网页 · the page:   %s\n", d.url)
	fmt.Printf("中心网页 · the hub:    %s\n", d.hub.signIn())
	ok, by := wait(ctx, 15*time.Second, func() (bool, string) {
		var s status
		if err := d.box.get("/status", &s); err != nil {
			return false, err.Error()
		}
		return s.Armed, fmt.Sprintf("armed %.2f s after its start, first round of the lines %.2f s", float64(s.ArmedAfter)/1e9, float64(s.FirstRound)/1e9)
	})
	d.sum.add(result{Name: "armed", ZH: "开机就绪：全部线路询测一轮", EN: "The box is armed: every line was asked", Seen: ok, By: by, Took: time.Since(began).Seconds()})
	if !ok {
		return
	}
	fmt.Printf("停止口令 · stop token: %s\n\n", d.token())
	d.begin = time.Now()
	plainCtx, endPlain := context.WithCancel(ctx)
	defer endPlain()
	go d.plain.watch(plainCtx, d.v)

	var wg sync.WaitGroup
	steps := d.steps()
	for _, s := range steps {
		if s.once == nil {
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			select {
			case <-ctx.Done():
			case <-s.once:
			case <-time.After(time.Until(d.begin.Add(s.at))):
			}
			d.act(ctx, s)()
		}()
	}
	for _, s := range steps {
		if s.once != nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(d.begin.Add(s.at))):
		}
		look := d.act(ctx, s)
		wg.Add(1)
		go func() { defer wg.Done(); look() }()
	}
	wg.Wait()
	d.sum.Receipts = d.receipts()
	if st, err := d.hub.state(); err == nil {
		d.sum.Links = st.byLink()
	}
	d.sum.Picture = d.drone.story()
	d.sum.Plain = d.plain.story(d.begin)
}

// act does a step, and gives what looks for what must be seen of it.
func (d *demo) act(ctx context.Context, s step) (look func()) {
	if ctx.Err() != nil {
		d.sum.add(result{Name: s.name, ZH: s.zh, EN: s.en, At: s.at.Seconds(), By: "the time was over before this step"})
		return func() {}
	}
	did := time.Now()
	if err := s.do(); err != nil {
		d.sum.add(result{Name: s.name, ZH: s.zh, EN: s.en, At: s.at.Seconds(), By: err.Error()})
		return func() {}
	}
	slot := d.sum.reserve(result{Name: s.name, ZH: s.zh, EN: s.en, At: did.Sub(d.begin).Seconds()})
	return func() {
		ok, by := d.look(ctx, s)
		d.sum.fill(slot, ok, by, time.Since(did))
	}
}

func (d *demo) look(ctx context.Context, s step) (bool, string) {
	if s.hold == nil {
		return wait(ctx, s.most, s.check)
	}
	end := time.Now().Add(s.most)
	said := ""
	for time.Now().Before(end) && ctx.Err() == nil {
		ok, by := s.hold()
		if !ok {
			return false, by
		}
		said = by
		time.Sleep(100 * time.Millisecond)
	}
	if s.check != nil {
		return s.check()
	}
	return ctx.Err() == nil, said
}

// sounds tells by the current in the siren itself.
func (d *demo) sirenOn() (bool, string) {
	if d.v.Horn.Sounding() {
		return true, "current flows in the siren"
	}
	return false, "no current in the siren"
}

func (d *demo) raised(hazard, level string) (bool, string) {
	a, ok := d.box.alarm(hazard)
	if !ok {
		return false, "no alarm of " + hazard
	}
	by := fmt.Sprintf("alarm %s: %s, %s", a.ID, a.Level, a.State)
	return a.Level == level && a.State != "released", by
}

// sounding tells whether an alarm stands, the siren has current and the
// loudspeaker is heard.
func (d *demo) sounding(hazard, level string, since func() time.Time) func() (bool, string) {
	return func() (bool, string) {
		ok, by := d.raised(hazard, level)
		if !ok {
			return false, by
		}
		at, power := d.firstPower(since())
		if !power {
			return false, by + "; no current in the siren yet"
		}
		heard, err := d.ears.first(since())
		if err != nil {
			return false, by + "; the loudspeaker is not heard yet"
		}
		return true, fmt.Sprintf("%s; siren has current after %.2f s, loudspeaker heard after %.2f s", by, at.Sub(since()).Seconds(), heard.Sub(since()).Seconds())
	}
}

func (d *demo) firstPower(t time.Time) (time.Time, bool) { return d.v.Horn.Current().FirstOn(t) }

// The all-clear comes when the rain is out of its window; allClear is how long
// its chime and words are listened to.
const (
	clearAt  = 78 * time.Second
	allClear = 5 * time.Second
	// The county warns when the all-clear has been said to its end.
	warnAt = 96 * time.Second
	// What it sends down by BeiDou follows when the drone has landed (fly.go).
	downAt = goneAt + 7*time.Second
)

// steps are the storm's and the drone's, in the order of their time.
func (d *demo) steps() []step {
	all := append(d.storm(), d.flight()...)
	slices.SortStableFunc(all, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	return all
}

func (d *demo) storm() []step {
	const s = time.Second
	v := d.v
	var id string
	var fibreAt, mobileAt, downed, rainAt, keyAt, cutAt, stopAt, weldAt, warnedAt, cancelledAt time.Time
	var red, orange sent
	var forged, stale verdict
	quiet := func(hazard string) func() (bool, string) {
		return func() (bool, string) {
			if a, ok := d.box.alarm(hazard); ok {
				return false, "alarm " + a.ID + " was raised"
			}
			return true, "no alarm of " + hazard
		}
	}
	suspect := false
	return []step{
		{name: "clogged", at: s / 2, zh: "落叶堵住后山雨量计：别处都在下，判为堵塞并报故障", en: "Leaves stop the hill gauge's funnel: its neighbours pour, so it is called", most: 26 * s,
			do: func() error { v.RainB.Clog(true); return nil },
			check: func() (bool, string) {
				r := d.box.reading("rain-b.total")
				f, there := d.box.fault("rain-b.total")
				return there && r.Quality == "suspect" && d.box.reading("rain.total").Quality == "good", say(r) + "; fault: " + f.Why.EN
			}},
		{name: "rain", at: 1 * s, zh: "暴雨开始，雨量计逐斗上报", en: "Rain sets in; the gauge counts each tip", most: 8 * s,
			do: func() error { rainAt = time.Now(); v.Pour(360); return nil },
			check: func() (bool, string) {
				r := d.box.reading("rain.total")
				return r.Quality == "good" && r.Value != nil && *r.Value > 0.1, say(r)
			}},
		{name: "surge", at: 4 * s, zh: "水位计受浪涌跳高 1.5 米：判为存疑，不报警", en: "A wave lifts the radar's level by 1.5 m: suspect, and nothing is raised", most: 6 * s,
			do: func() error { v.River.Surge(1.5, 1500*time.Millisecond); return nil },
			hold: func() (bool, string) {
				if d.box.reading("river.level").Quality == "suspect" {
					suspect = true
				}
				return quiet("flash-flood")()
			},
			check: func() (bool, string) {
				return suspect, fmt.Sprintf("reading was suspect: %v; no alarm of flash-flood", suspect)
			}},
		{name: "prepare", at: 12 * s, zh: "1 分钟累计雨量达标：准备转移，警报器和喇叭响", en: "Rain in the window reaches its threshold: prepare to move, siren and loudspeaker sound", most: 16 * s,
			do: func() error { v.River.Ramp(prepare-zero+0.04, 18*s); return nil },
			check: func() (bool, string) {
				return d.sounding("heavy-rain", "prepare", func() time.Time { return rainAt })()
			}},
		{name: "county hears", at: 13 * s, zh: "光纤、4G、北斗都在：县中心收到强降雨警报", en: "Fibre, 4G and BeiDou are up: the county's hub has the alarm of heavy rain", most: 16 * s,
			do:    func() error { return nil },
			check: func() (bool, string) { return d.came("heavy-rain", "短时强降雨", d.begin, "fibre") }},
		{name: "river", at: 22 * s, zh: "雨停；河水涨过准备转移水位", en: "The rain ends; the river passes its prepare level", most: 14 * s,
			do:    func() error { v.Pour(0); return nil },
			check: func() (bool, string) { return d.raised("flash-flood", "prepare") }},
		{name: "fibre cut", at: 23 * s, zh: "光纤悄悄断了：山洪警报走 4G 到县中心", en: "The fibre goes dead without a word: the alarm of the flood reaches the hub by 4G", most: 20 * s,
			do:    func() error { fibreAt = time.Now(); d.hub.fibre.Cut(true); return nil },
			check: func() (bool, string) { return d.came("flash-flood", "山洪", fibreAt, "cellular") }},
		{name: "drowned", at: 36 * s, zh: "雷达被淹失去回波：报故障，级别不降", en: "The radar loses its echo: a fault is called and the level is held", most: 8 * s,
			do:   func() error { v.River.LoseEcho(true); return nil },
			hold: func() (bool, string) { return d.raised("flash-flood", "prepare") },
			check: func() (bool, string) {
				f, there := d.box.fault("river.level")
				held, by := d.raised("flash-flood", "prepare")
				return held && there && d.box.reading("river.level").Quality == "sensor_fault", by + "; fault: " + f.Why.EN
			}},
		{name: "stranger", at: 38 * s, zh: "陌生人在网页上乱试停止口令：被拒，继续响", en: "A stranger tries STOP on the page with a made-up token: refused, it sounds on", most: 4 * s,
			do: func() error { return nil },
			check: func() (bool, string) {
				code, err := stopByPage(d.url, "AAAAA-AAAAA")
				if err != nil {
					return false, err.Error()
				}
				on, by := d.sirenOnWithin(s)
				return code == 401 && on, fmt.Sprintf("answered %d; %s", code, by)
			}},
		{name: "4G cut", at: 39 * s, zh: "4G 也断了：只剩北斗", en: "4G goes too: only BeiDou is left", most: 14 * s,
			do: func() error { mobileAt = time.Now(); d.hub.mobile.Cut(true); return nil },
			check: func() (bool, string) {
				states := d.box.links()
				down := func(name string) bool { return states[name] == "down" || states[name] == "suspect" }
				return down("fibre") && down("cellular") && states["beidou"] == "up", fmt.Sprintf("fibre %s, cellular %s, beidou %s", states["fibre"], states["cellular"], states["beidou"])
			}},
		{name: "key", at: 41 * s, zh: "副主任转动钥匙：立即转移", en: "The deputy turns the key: move now", most: 5 * s,
			do: func() error { keyAt = time.Now(); v.Board.Turn(storm.InputKeyEvacuate, true); return nil },
			check: func() (bool, string) {
				ok, by := d.raised("by-hand", "evacuate")
				if a, there := d.box.alarm("by-hand"); there {
					id = a.ID
				}
				return ok, fmt.Sprintf("%s, %.1f s after the turn", by, time.Since(keyAt).Seconds())
			}},
		{name: "power cut", at: 47 * s, zh: "整站断电", en: "The power of the whole station fails", most: 1 * s,
			do: func() error {
				cutAt = time.Now()
				v.Board.Turn(storm.InputKeyEvacuate, false)
				v.Board.Power(false)
				d.box.kill()
				return nil
			},
			check: func() (bool, string) { on := v.Horn.Sounding(); return !on, "the siren is silent" }},
		{name: "resumed", at: 49 * s, zh: "来电：同一警报编号，接着响", en: "Power is back: the same alarm, and it sounds on", most: 6 * s,
			do: func() error { v.Board.Power(true); return d.box.start() },
			check: func() (bool, string) {
				a, ok := d.box.alarm("by-hand")
				if !ok {
					return false, "no alarm after the start"
				}
				at, power := d.firstPower(cutAt.Add(time.Second))
				if !power {
					return false, "alarm " + a.ID + "; no current in the siren yet"
				}
				heard, err := d.ears.first(cutAt.Add(time.Second))
				if err != nil {
					return false, "the loudspeaker is not heard yet"
				}
				return a.ID == id && a.Level == "evacuate", fmt.Sprintf("alarm %s as before; siren %.2f s and loudspeaker %.2f s after the cut", a.ID, at.Sub(cutAt).Seconds(), heard.Sub(cutAt).Seconds())
			}},
		{name: "called", at: 50 * s, zh: "打电话叫应：支书听完按键确认，主任没有接，改叫他的替补；断电前确认过的不再打", en: "People are called: the secretary confirms by a key, the head does not answer, his deputy is called; nobody twice who confirmed before the cut", most: 26 * s,
			do: func() error { return nil },
			check: func() (bool, string) {
				n, long := d.phones.heard(secretary)
				m, _ := d.phones.heard(deputy)
				rang, spoken := d.phones.heard(head)
				known := d.box.people(id)
				return known["chen"] == "confirmed" && known["li"] == "confirmed" && known["wang"] == "rang" && n >= 1 && m >= 1 && rang >= 1 && spoken == 0,
					fmt.Sprintf("secretary %s (%d calls, heard %.1f s), head %s (%d calls), deputy %s (%d calls)", known["chen"], n, long.Seconds(), known["wang"], rang, known["li"], m)
			}},
		{name: "by BeiDou", at: 50 * s, zh: "钥匙启动的警报只靠北斗到了县中心，断电也没有丢", en: "The alarm of the key reached the hub by BeiDou alone, and no power cut lost it", most: 20 * s,
			do:    func() error { return nil },
			check: func() (bool, string) { return d.came("by-hand", "人工启动", mobileAt, "beidou") }},
		{name: "not heard", at: 56 * s, zh: "警报器断线：有令无电流，电动警报器接替", en: "The siren's wire breaks: on without current, the motor siren takes over", most: 5 * s,
			do: func() error { v.Horn.Break(true); return nil },
			check: func() (bool, string) {
				f, there := d.box.fault("siren no_current")
				return there && v.Motor.Current().On(), "fault: " + f.Why.EN + onOff("; motor siren", v.Motor.Current())
			}},
		{name: "mended", at: 62 * s, zh: "断线接好：警报器恢复", en: "The wire is mended: the siren sounds again", most: 6 * s,
			do:    func() error { v.Horn.Break(false); return nil },
			check: func() (bool, string) { return d.sirenOn() }},
		{name: "welded", at: 68 * s, zh: "触点粘连时按停止：接触器切断，5 秒内静音并报故障", en: "The contact welds and STOP is pressed: the contactor cuts it within 5 s, and a fault is called", most: 8 * s,
			do: func() error {
				weldAt = time.Now()
				v.Board.Weld(storm.RelayHorn)
				stopAt = weldAt
				v.Board.Hold(storm.InputStop, 1500*time.Millisecond)
				return nil
			},
			check: func() (bool, string) {
				f, there := d.box.fault("siren stuck")
				// A pulsed siren pauses by itself: it must be off, and stay so.
				last := lastOn(v.Horn.Current(), stopAt)
				silent := !v.Horn.Current().On() && time.Since(stopAt) > 5*s && last.Sub(stopAt) <= 5*s
				return there && silent, fmt.Sprintf("silent %.2f s after the press; fault: %s", last.Sub(stopAt).Seconds(), f.Why.EN)
			}},
		{name: "subsided", at: 70 * s, zh: "水退、雷达恢复：等待责任人解除，盒子自己不解除", en: "The water falls and the radar sees again: the alarm waits for a person, the box releases nothing", most: 12 * s,
			do: func() error { v.River.Set(calm - zero - 0.1); v.River.LoseEcho(false); return nil },
			check: func() (bool, string) {
				a, ok := d.box.alarm("flash-flood")
				return ok && a.State == "subsided", "flash-flood is " + a.State
			}},
		{name: "told", at: clearAt + s, zh: "解除也发了短信", en: "The all-clear was written to the people too", most: 12 * s,
			do: func() error { return nil },
			check: func() (bool, string) {
				ok := d.phones.wrote(secretary, "警报已解除（王建国）") && d.phones.wrote(head, "警报已解除（王建国）")
				return ok, fmt.Sprintf("the all-clear reached the secretary and the head: %v", ok)
			}},
		{name: "released", at: clearAt, zh: "责任人王建国宣布解除：钟声和话音，不用长鸣", en: "A named person gives the all-clear: a chime and words", most: 8 * s,
			do: func() error {
				v.Board.Free(storm.RelayHorn)
				for _, h := range []string{"heavy-rain", "flash-flood", "by-hand"} {
					a, ok := d.box.alarm(h)
					if !ok {
						return fmt.Errorf("no alarm of %s", h)
					}
					if err := d.box.post("/alarms/"+a.ID+"/release", map[string]any{"who": "王建国", "reason": "水位已回落，人员已清点"}); err != nil {
						return err
					}
				}
				return nil
			},
			check: func() (bool, string) {
				rs, err := d.box.journal()
				if err != nil {
					return false, err.Error()
				}
				clear, who := 0, ""
				for _, r := range rs {
					if r.Kind == "alarm.released" && r.Who != nil {
						clear++
						who = r.Who.Name
					}
				}
				began := d.begin.Add(clearAt)
				if _, err := d.ears.first(began); err != nil {
					return false, "the all-clear is not heard"
				}
				// The chime alone is not all: its words are let finish.
				words, err := d.ears.first(began.Add(allClear))
				if err != nil {
					return false, "the words of the all-clear are not heard"
				}
				return clear == 3, fmt.Sprintf("%d alarms released by %s; chime and words are heard, still %.1f s later", clear, who, words.Sub(began).Seconds())
			}},
		{name: "county warns", at: warnAt, zh: "县里签名的红色山洪预警放进收件夹：核验通过，立即转移", en: "The county's signed red warning comes into the folder: verified, move now", most: 6 * s,
			do: func() (err error) {
				warnedAt = time.Now()
				red, err = d.county.sign(warning{msgType: "Alert", colour: "红色", severity: "Extreme", headline: "山洪灾害红色预警", text: "黄渡村一带一小时内可能发生山洪，请立即转移。"})
				if err != nil {
					return err
				}
				return d.county.leave(red)
			},
			check: func() (bool, string) { return d.sounding(warned, "evacuate", func() time.Time { return warnedAt })() }},
		{name: "forged", at: warnAt + 7*s, zh: "改过一个字的预警、过期的旧预警：都不响，并说明为什么", en: "A warning with one word changed, and an old one: neither sounds, and each is told why", most: 3 * s,
			do: func() (err error) {
				if forged, err = d.county.hand(d.box, bytes.Replace(red.text, []byte("黄渡村一带"), []byte("全县各地区"), 1)); err != nil {
					return err
				}
				old, err := d.county.sign(warning{msgType: "Alert", colour: "红色", severity: "Extreme", headline: "旧预警", text: "去年的预警。",
					sent: time.Now().AddDate(-1, 0, 0), expires: time.Now().AddDate(-1, 0, 1)})
				if err == nil {
					stale, err = d.county.hand(d.box, old.text)
				}
				return err
			},
			check: func() (bool, string) {
				only := 0
				var all []alarmView
				if d.box.get("/alarms", &all) == nil {
					for _, a := range all {
						if strings.HasPrefix(a.Hazard, warned) {
							only++
						}
					}
				}
				return forged.WellFormed && !forged.Genuine && !stale.InForce && only == 1, "forged: " + forged.String() + "; old: " + stale.String()
			}},
		{name: "county updates", at: warnAt + 11*s, zh: "更新为橙色：同一警报降为准备转移", en: "Its update eases it to orange: the same alarm, prepare to move", most: 5 * s,
			do: func() (err error) {
				before, _ := d.box.alarm(warned)
				id = before.ID
				orange, err = d.county.sign(warning{msgType: "Update", colour: "橙色", severity: "Severe", headline: "山洪灾害橙色预警", text: "雨势减弱，请继续留意。", refers: []string{red.ref}})
				if err != nil {
					return err
				}
				_, err = d.county.hand(d.box, orange.text)
				return err
			},
			check: func() (bool, string) {
				ok, by := d.raised(warned, "prepare")
				a, _ := d.box.alarm(warned)
				return ok && a.ID == id, by
			}},
		{name: "county cancels", at: warnAt + 16*s, zh: "签名解除：停响，钟声和话音", en: "Its signed cancel: the sounding ends with a chime and words", most: 8 * s,
			do: func() error {
				cancel, err := d.county.sign(warning{msgType: "Cancel", colour: "橙色", severity: "Severe", headline: "解除山洪灾害橙色预警", text: "险情已过。", refers: []string{red.ref, orange.ref}})
				if err != nil {
					return err
				}
				cancelledAt = time.Now()
				_, err = d.county.hand(d.box, cancel.text)
				return err
			},
			check: func() (bool, string) {
				a, ok := d.box.alarm(warned)
				if !ok || a.State != "released" {
					return false, "the warning's alarm is " + a.State
				}
				heard, err := d.ears.first(cancelledAt.Add(allClear))
				if err != nil {
					return false, "the words of the all-clear are not heard"
				}
				return !d.v.Horn.Current().On(), fmt.Sprintf("alarm %s released by the county; words are heard still %.1f s later", a.ID, heard.Sub(cancelledAt).Seconds())
			}},
		{name: "warned by BeiDou", at: downAt, zh: "县中心下发红色预警：只有北斗通，78 字节签名短预警到站，核验后立即转移，用模板和数字片段播报", en: "The hub sends a red warning down: by BeiDou alone come 78 signed bytes, verified: move now, spoken from template and digits", most: 14 * s,
			do: func() error {
				w, err := d.county.sign(warning{msgType: "Alert", colour: "红色", severity: "Extreme", headline: "山洪灾害红色预警", text: "1小时雨量已达68毫米，请立即转移。"})
				if err != nil {
					return err
				}
				downed = time.Now()
				return d.hub.send(w, d.county.shortKey())
			},
			check: func() (bool, string) {
				ok, by := d.sounding(warned, "evacuate", func() time.Time { return downed })()
				if !ok {
					return false, by
				}
				said := d.said(warned)
				pieces := 0
				for _, c := range said {
					if strings.HasPrefix(c, "say-") {
						pieces++
					}
				}
				// 68: six, ten, eight.
				i := slices.Index(said, "say-6")
				number := i >= 0 && i+2 < len(said) && strings.Contains(said[i+2], "8")
				return pieces > 5 && number, fmt.Sprintf("%s; said: %s", by, strings.Join(said, " "))
			}},
		{name: "receipts", at: downAt + 2*s, zh: "回执逐条链路回到县中心：收到、核验、播发、实测听到", en: "Receipts come back to the hub, link by link: received, verified, sounding, heard as measured", most: 30 * s,
			do: func() error { return nil },
			check: func() (bool, string) {
				st, err := d.hub.state()
				if err != nil {
					return false, err.Error()
				}
				for _, x := range st.Sent {
					to := x.To[station]
					if to.Stage == "heard" && to.By["beidou"] == "heard" && to.By["fibre"] == "" && to.By["cellular"] == "" {
						return true, fmt.Sprintf("%s: taken by %s, %v", x.About, to.TakenBy, to.By)
					}
				}
				return false, fmt.Sprintf("%+v", st.Sent)
			}},
	}
}

// said gives the clips with which the last sounding of an alarm began on the loudspeaker.
func (d *demo) said(hazard string) (clips []string) {
	a, _ := d.box.alarm(hazard)
	rs, err := d.box.journal()
	if err != nil {
		return nil
	}
	for _, r := range rs {
		if all, ok := r.Body["said"].([]any); ok && r.Kind == "receipt.started" && r.Cause == a.ID && r.Body["output"] == "horn" {
			clips = nil
			for _, c := range all {
				if s, ok := c.(string); ok {
					clips = append(clips, s)
				}
			}
		}
	}
	return clips
}

// came tells whether an alarm came to the hub by a link after a moment, and by which others.
func (d *demo) came(hazard, name string, since time.Time, by string) (bool, string) {
	links, err := d.hub.came(hazard, name, since)
	if err != nil {
		return false, err.Error()
	}
	return slices.Contains(links, by), fmt.Sprintf("the hub has it by %s", strings.Join(links, ", "))
}

// sirenOnWithin waits out the pauses of a pulsed siren.
func (d *demo) sirenOnWithin(t time.Duration) (bool, string) {
	return wait(context.Background(), t, d.sirenOn)
}

func say(r reading) string {
	if r.Value == nil {
		return r.Point + " " + r.Quality
	}
	return fmt.Sprintf("%s %.2f %s", r.Point, *r.Value, r.Quality)
}

func onOff(what string, t *gauge.Trace) string {
	if t.On() {
		return what + " has current"
	}
	return what + " has no current"
}

// lastOn is when the trace was last on after t, t itself if it was not.
func lastOn(tr *gauge.Trace, t time.Time) time.Time {
	last := t
	for _, s := range tr.Ons(t, time.Now()) {
		last = s.To
	}
	return last
}

// receipts are the box's own, from its journal.
func (d *demo) receipts() []receipt {
	rs, err := d.box.journal()
	if err != nil {
		return nil
	}
	var out []receipt
	for _, r := range rs {
		if !strings.HasPrefix(r.Kind, "receipt.") {
			continue
		}
		str := func(k string) string { s, _ := r.Body[k].(string); return s }
		out = append(out, receipt{Cause: r.Cause, Order: str("order"), Output: str("output"), State: strings.TrimPrefix(r.Kind, "receipt."),
			Measured: str("measured"), Why: r.Text.EN, At: r.At})
	}
	return out
}
