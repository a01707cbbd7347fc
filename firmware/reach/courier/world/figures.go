package world

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"tocsin/firmware/reach/courier"
)

// Good gives five ways of a well-equipped box, all good.
func Good() (fibre, cellular, satellite, mesh, beidou *Path) {
	return &Path{Name: "fibre", Delay: 20 * time.Millisecond},
		&Path{Name: "cellular", Delay: 60 * time.Millisecond, Loss: 0.01},
		&Path{Name: "satellite", Delay: 600 * time.Millisecond, Loss: 0.05, Rate: 8000, Frame: 42},
		&Path{Name: "mesh", Delay: 5 * time.Second, Loss: 0.3},
		&Path{Name: "beidou", Delay: 4 * time.Second, Loss: 0.2}
}

// Fate is what became of many warnings.
type Fate struct {
	Posted int
	// InTime arrived within their deadline. Unkept of the others were lost with a commit that
	// was not yet durable, so that nobody was told that they are kept.
	InTime, Late, Lost, Unkept int
	// Twice arrived under one ID with two contents: what de-duplication cannot see.
	Twice int
	// Copies the county knew by their ID.
	Copies, Cuts int
	Worst        time.Duration
	Faults       []string
}

// Deliver posts n warnings, each of which must arrive within its deadline, with fibre and
// 4G silently dead, BeiDou losing a fifth and a mesh of two hops that each lose 30 %; the power
// is cut at random instants, also while they are being posted, and telemetry goes on all the
// while. A warning whose commit was lost is posted again by its maker, as after any restart
// that finds its level standing and no word of it.
func Deliver(rules *courier.Rules, n int, seed uint64) (Fate, error) {
	fibre, cellular, _, mesh, beidou := Good()
	fibre.Cut, cellular.Cut = true, true
	mesh.Loss = 1 - 0.7*0.7
	w, err := New(rules, seed, fibre, cellular, mesh, beidou)
	if err != nil {
		return Fate{}, err
	}
	r := rand.New(rand.NewPCG(seed, 11))
	var told time.Duration
	standing := map[string]courier.Message{} // posted, and their makers not yet told that they are kept
	made := map[string]time.Duration{}
	for i := range n {
		m := courier.Message{ID: fmt.Sprintf("box/w/%d", i), Class: courier.Warning, Payload: fmt.Appendf(nil, "%05d warning, forty bytes of it or there.", i)}
		made[m.ID] = w.Now
		standing[m.ID] = m
		if err := w.Post(m); err != nil {
			return Fate{}, err
		}
		for pause := time.Duration(r.ExpFloat64() * float64(5*time.Minute)); pause > 0; {
			step := min(pause, time.Duration(r.ExpFloat64()*float64(10*time.Minute)))
			if r.IntN(4) == 0 { // and cut right after a post
				step = min(pause, time.Duration(r.IntN(200))*time.Millisecond)
			}
			w.Run(step)
			pause -= step
			if w.Now-told > 5*time.Minute {
				told = w.Now
				w.Post(courier.Message{ID: fmt.Sprintf("box/t/%d", w.Now), Class: courier.Telemetry, Kind: courier.NewestWins, Key: "day", Payload: make([]byte, 300), Short: make([]byte, 60)})
			}
			if pause > 0 {
				w.Cut()
				w.Run(time.Duration(5+r.IntN(60)) * time.Second)
				if err := w.Power(); err != nil {
					return Fate{}, err
				}
				for _, id := range slices.Sorted(maps.Keys(standing)) {
					if _, there := w.Arrived[id]; !w.Kept[id] && !there {
						if err := w.Post(standing[id]); err != nil {
							return Fate{}, err
						}
					}
				}
			}
			maps.DeleteFunc(standing, func(id string, _ courier.Message) bool { return w.Kept[id] })
		}
	}
	w.Run(2 * time.Hour)
	f := w.fate()
	f.Posted, f.InTime, f.Late, f.Lost, f.Worst = n, 0, 0, 0, 0
	for id, at := range made {
		a, ok := w.Arrived[id]
		switch took := a.At - at; {
		case !ok:
			f.Lost++
		case took > rules.Classes["warning"].Deadline:
			f.Late++
			f.Worst = max(f.Worst, took)
		default:
			f.InTime++
			f.Worst = max(f.Worst, took)
		}
	}
	return f, nil
}

// fate tells what became of all of classes 0 to 3 that was kept.
func (w *World) fate() Fate {
	f := Fate{Twice: w.Twisted, Copies: w.Twice, Cuts: w.Cuts, Faults: w.Faults}
	for id, p := range w.Posted {
		if p.Class > courier.Alarm {
			continue
		}
		f.Posted++
		a, ok := w.Arrived[id]
		switch {
		case ok && a.At-p.At <= w.deadline(p):
			f.InTime++
		case ok:
			f.Late++
		case w.Kept[id]:
			f.Lost++
		default:
			f.Unkept++
		}
		if ok {
			f.Worst = max(f.Worst, a.At-p.At)
		}
	}
	return f
}

func (w *World) deadline(p Post) time.Duration {
	if p.Deadline > 0 {
		return p.Deadline
	}
	return w.rules.Classes[p.Class.String()].Deadline
}

// PowerCuts cuts the power n times at random instants under a load of all classes over links
// that come and go, and tells what of that which was acknowledged (durable, and its maker told)
// was lost in the end, or acted on twice.
func PowerCuts(rules *courier.Rules, n int, seed uint64) (Fate, error) {
	fibre, cellular, satellite, mesh, beidou := Good()
	all := []*Path{fibre, cellular, satellite, mesh, beidou}
	w, err := New(rules, seed, all...)
	if err != nil {
		return Fate{}, err
	}
	r := rand.New(rand.NewPCG(seed, 13))
	for i := 0; w.Cuts < n; i++ {
		c := courier.Class(r.IntN(5))
		m := courier.Message{ID: fmt.Sprintf("box/%d", i), Class: c, Payload: fmt.Appendf(nil, "%d %0*d", i, 1+r.IntN(90), 0)}
		if c == courier.Telemetry {
			m.Key, m.Short = "k", m.Payload[:min(len(m.Payload), 20)]
		}
		if err := w.Post(m); err != nil {
			return Fate{}, err
		}
		w.Run(time.Duration(r.ExpFloat64() * float64(20*time.Second)))
		p := all[r.IntN(len(all))]
		switch r.IntN(8) {
		case 0:
			p.Cut = !p.Cut
		case 1:
			p.Gone = !p.Gone
		case 2:
			p.Off = !p.Off
		case 3, 4, 5:
			// While a commit is under way, or while a parcel or its receipt is.
			w.Run([]time.Duration{time.Duration(r.IntN(60)) * time.Millisecond, time.Duration(r.IntN(2000)) * time.Millisecond}[r.IntN(2)])
			w.Cut()
			w.Run(time.Duration(r.IntN(20_000)) * time.Millisecond)
			if err := w.Power(); err != nil {
				return Fate{}, err
			}
		}
	}
	for _, p := range all {
		p.Cut, p.Gone, p.Off = false, false, false
	}
	w.Run(24 * time.Hour)
	f := w.fate()
	for id, p := range w.Posted {
		if _, ok := w.Arrived[id]; p.Class == courier.Telemetry && w.Kept[id] && !ok {
			f.Lost++
		}
	}
	return f, nil
}

// Failover gives how long it takes from raising a warning and an alarm, with the fibre
// silently dead since a random moment before, until the first byte on a second link.
func Failover(rules *courier.Rules, runs int, seed uint64) (red, alarm time.Duration, err error) {
	r := rand.New(rand.NewPCG(seed, 17))
	second := func(w *World, id string, than string) func() bool {
		return func() bool {
			for link := range w.FirstByte[id] {
				if link != than {
					return true
				}
			}
			return false
		}
	}
	for i := range runs {
		for _, c := range []courier.Class{courier.Warning, courier.Alarm} {
			fibre, cellular, satellite, mesh, beidou := Good()
			w, err := New(rules, seed+uint64(i), fibre, cellular, satellite, mesh, beidou)
			if err != nil {
				return 0, 0, err
			}
			w.Run(time.Minute + time.Duration(r.IntN(60_000))*time.Millisecond)
			fibre.Cut = true
			w.Run(time.Duration(r.IntN(20_000)) * time.Millisecond)
			at := w.Now
			if err := w.Post(courier.Message{ID: "x", Class: c, Payload: []byte("x")}); err != nil {
				return 0, 0, err
			}
			if !w.Until(time.Hour, second(w, "x", "fibre")) {
				return 0, 0, fmt.Errorf("run %d: a message of class %s never left by a second link", i, c)
			}
			if c == courier.Warning {
				red = max(red, w.Now-at)
			} else {
				alarm = max(alarm, w.Now-at)
			}
		}
	}
	return red, alarm, nil
}

// Recovery gives how long it takes, from the first sign of life that the box has (a good probe or a
// receipt) after 24 h dark, until the newest alarm and all 2,880 readings (each a message
// of its own) are at the county, over a satellite of 64 kbit/s, 600 ms and 5 % loss.
func Recovery(rules *courier.Rules, seed uint64) (newest, backlog time.Duration, err error) {
	_, _, sat, _, _ := Good()
	w, err := New(rules, seed, sat)
	if err != nil {
		return 0, 0, err
	}
	w.Run(10 * time.Minute)
	sat.Cut = true
	readings := 0
	for step := range 288 {
		for range 10 {
			if err := w.Post(courier.Message{ID: fmt.Sprintf("b/%d", readings), Class: courier.Telemetry, Key: "k", Payload: fmt.Appendf(nil, "%04d a reading of 16 B", readings)}); err != nil {
				return 0, 0, err
			}
			readings++
		}
		if step%24 == 23 {
			if err := w.Post(courier.Message{ID: fmt.Sprintf("a/%d", step/24), Class: courier.Alarm, Payload: make([]byte, 60)}); err != nil {
				return 0, 0, err
			}
		}
		w.Run(5 * time.Minute)
	}
	sat.Cut = false
	good := w.Status().Links[0].Probes - w.Status().Links[0].Missed
	alarms := func() int64 { return w.Status().Classes[courier.Alarm].Delivered }
	had := alarms()
	if !w.Until(10*time.Minute, func() bool {
		l := w.Status().Links[0]
		return l.Probes-l.Missed > good || alarms() > had
	}) {
		return 0, 0, fmt.Errorf("no sign of life")
	}
	from := w.Now
	if !w.Until(10*time.Minute, func() bool { _, ok := w.Arrived["a/11"]; return ok }) {
		return 0, 0, fmt.Errorf("the newest alarm never arrived")
	}
	newest = max(0, w.Arrived["a/11"].At-from)
	if !w.Until(time.Hour, func() bool { return len(w.Arrived) == readings+12 }) {
		return 0, 0, fmt.Errorf("%d of %d arrived; %+v", len(w.Arrived), readings+12, w.Status().Links[0])
	}
	return newest, w.Now - from, nil
}
