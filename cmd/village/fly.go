package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"tocsin/hwtest/flight"
	"tocsin/hwtest/impair"
)

// When the drone flies: between the all-clear and what the county sends down by BeiDou alone. The fibre is mended for
// it, and goes again in time to be known as dead.
const (
	mendAt    = 63 * time.Second
	takeOffAt = 80 * time.Second
	countyAt  = takeOffAt + 4*time.Second
	squeezeAt = takeOffAt + 18*time.Second
	// The fibre is whole again as soon as the lower rung was seen, and at the latest then. A probe that the thin link
	// refused is not made anew before 10 s, then 20 s (configs/video.yaml).
	widenAt = squeezeAt + 13*time.Second
	goneAt  = widenAt + 32*time.Second
)

// squeezed is what is left of the fibre, in kbit/s: less than half of what the drone sends.
const squeezed = 120

// full is what the pages say of a picture of which nothing is left out, coming what the county's says of one that comes.
const (
	full   = "全质量"
	coming = "H.264"
)

// watching is one page's eye on the picture, opened at its first look.
type watching struct {
	open func() (eye, error)
	mu   sync.Mutex
	e    eye
	err  error
	from glance
}

// glance is what was seen at a moment.
type glance struct {
	at             time.Time
	frames, stills int
	says           string
}

// news are how many pictures are new since another one, of either kind. Stills begin anew where there were none.
func (g glance) news(was glance) (n int) {
	n = max(0, g.frames-was.frames)
	if was.stills > 0 {
		n += max(0, g.stills-was.stills)
	}
	return n
}

// look gives the eye and what it sees.
func (w *watching) look() (eye, glance, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	time.Sleep(150 * time.Millisecond) // looking costs the browser something
	if w.e == nil && w.err == nil {
		w.e, w.err = w.open()
	}
	if w.err != nil {
		return nil, glance{}, w.err
	}
	g := glance{at: time.Now()}
	var err error
	if g.frames, err = w.e.frames(); err != nil {
		return w.e, g, err
	}
	if g.stills, err = w.e.stills(); err != nil {
		return w.e, g, err
	}
	g.says, err = w.e.says()
	return w.e, g, err
}

// since counts from a glance on.
func (w *watching) since(g glance) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.from = g
}

func (w *watching) begun() glance {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.from
}

func (w *watching) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.e != nil {
		w.e.close()
	}
}

// flight are the drone's steps.
func (d *demo) flight() []step {
	const s = time.Second
	here, there := &watching{open: d.sight.stationEye}, &watching{open: d.sight.countyEye}
	zhHow, enHow := d.sight.how()
	endFollow := func() {}
	seen := make(chan struct{}) // the picture on a lower rung
	// live has a page show two seconds of the picture, and say so.
	live := func(w *watching, word, shot string) func() (bool, string) {
		return func() (bool, string) {
			e, g, err := w.look()
			if err != nil {
				return false, err.Error() + d.drone.how()
			}
			if g.frames < 2*flight.PerSecond || d.sight.browser() && !strings.Contains(g.says, word) {
				return false, fmt.Sprintf("%d pictures %s; the page says: %s%s", g.frames, d.sight.counted(), g.says, d.drone.how())
			}
			ok, where := d.snap(e, shot)
			return ok, fmt.Sprintf("%d pictures %s; the page says: %s%s", g.frames, d.sight.counted(), g.says, where)
		}
	}
	// less has the county's page say that less than all comes, and why, while new pictures come all the same.
	less := func() (bool, string) {
		e, g, err := there.look()
		if err != nil {
			return false, err.Error()
		}
		if rung := rungIn(g.says); rung == "" || rung == full {
			return false, g.says
		}
		from := there.begun()
		if from.at.IsZero() || g.stills > 0 && from.stills == 0 {
			there.since(g) // what comes from here on has come over the thin link
			return false, g.says
		}
		n, took := g.news(from), g.at.Sub(from.at).Seconds()
		if n < 2 {
			return false, g.says
		}
		ok, where := d.snap(e, "drone-squeezed")
		if ok {
			close(seen)
		}
		return ok, fmt.Sprintf("%d new pictures in %.1f s; the county's page says: %s%s", n, took, g.says, where)
	}
	return []step{
		{name: "fibre mended", at: mendAt, zh: "光纤抢通，站点观察一阵后重新启用", en: "The fibre is mended, and trusted again when it has held for a while", most: takeOffAt - mendAt + 4*s,
			do:    func() error { d.hub.fibre.Cut(false); return nil },
			check: func() (bool, string) { st := d.box.links()["fibre"]; return st == "up", "fibre " + st }},
		{name: "drone", at: takeOffAt, zh: "无人机起飞，RTMP 推流到站点：本机网页上有实时画面" + zhHow, en: "The drone takes off and publishes by RTMP: its picture is live on the station's page" + enHow, most: 30 * s,
			do: func() error {
				d.drone.start()
				var ctx context.Context
				ctx, endFollow = context.WithCancel(context.Background())
				go d.drone.follow(ctx, d.url, d.begin)
				return nil
			},
			check: live(here, "直播", "drone-station")},
		{name: "county sees", at: countyAt, zh: "县中心的网页上也看到无人机的实时画面" + zhHow, en: "The picture is live on the county's page too" + enHow, most: 30 * s,
			do:    func() error { return nil },
			check: live(there, coming, "drone-county")},
		{name: "squeezed", at: squeezeAt, zh: fmt.Sprintf("光纤只剩 %d kbit/s：画面降档，网页写明降到哪一档、为什么，仍有新画面", squeezed), en: fmt.Sprintf("Only %d kbit/s are left of the fibre: the picture goes down the ladder, the page says which rung and why, and new pictures still come", squeezed), most: widenAt - squeezeAt - s/2,
			do: func() error {
				d.hub.fibre.Set(thin(squeezed), impair.Fibre)
				there.since(glance{})
				return nil
			},
			check: less},
		{name: "widened", at: widenAt, once: seen, zh: "光纤恢复：画面自己回到全质量", en: "The fibre is whole again: the picture comes back to full by itself", most: goneAt - squeezeAt,
			do: func() error { d.hub.fibre.Set(impair.Fibre, impair.Fibre); return nil },
			check: func() (bool, string) {
				e, g, err := there.look()
				if err != nil {
					return false, err.Error()
				}
				if !strings.Contains(g.says, full) || !strings.Contains(g.says, coming) {
					there.since(g)
					return false, g.says
				}
				// At its own pace again: two seconds of it.
				from := there.begun()
				n, took := g.frames-from.frames, g.at.Sub(from.at).Seconds()
				if took < 2 || float64(n) < 0.8*flight.PerSecond*took {
					return false, fmt.Sprintf("%d pictures in %.1f s; %s", n, took, g.says)
				}
				ok, where := d.snap(e, "drone-back")
				return ok, fmt.Sprintf("%d pictures in %.1f s; the county's page says: %s%s", n, took, g.says, where)
			}},
		{name: "gone again", at: goneAt, zh: "塌方又压断光纤，无人机返航：又只剩北斗", en: "A slide takes the fibre again and the drone flies home: only BeiDou is left", most: 14 * s,
			do: func() error {
				endFollow()
				d.hub.fibre.Cut(true)
				d.drone.stop()
				go func() {
					here.close()
					there.close()
					time.Sleep(s) // the pages say goodbye: who watched until when is kept
					d.sight.close()
				}()
				return nil
			},
			check: func() (bool, string) {
				states := d.box.links()
				return states["fibre"] != "up" && states["beidou"] == "up", fmt.Sprintf("fibre %s, cellular %s, beidou %s", states["fibre"], states["cellular"], states["beidou"])
			}},
	}
}

// rungs are what the county's page calls how much of a picture comes.
var rungs = []string{full, "摄像机低档", "帧数减少", "只有关键帧", "只有静态图"}

// rungIn finds one in what the page says.
func rungIn(says string) string {
	for _, r := range rungs {
		if strings.Contains(says, r) {
			return r
		}
	}
	return ""
}
