package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tocsin/hwtest/gauge"
	"tocsin/hwtest/line"
)

const siteHead = `version: 1
site: {id: "441882103201", name: {zh: 台架, en: Bench}, languages: [cmn]}
`

// lateAnswers asks one unit at 9600 Bd for four blocks of registers as fast as
// it goes while every seventh answer is late by half a timeout to five, and
// counts the readings called good whose value is another block's.
func lateAnswers(b *bench) error {
	const timeout = 200 * time.Millisecond
	l, err := line.New(line.Config{Baud: 9600, Turnaround: 20 * time.Millisecond, Path: filepath.Join(b.dir, "tty")})
	if err != nil {
		return err
	}
	defer l.Close()
	l.Attach(1, gauge.NewPattern(1, 64, time.Now(), 0))
	r := b.rng()
	l.SetFault(1, line.Fault{LateBy: func(nth int) time.Duration {
		if nth%7 != 0 {
			return 0
		}
		return time.Duration((0.5 + 4.5*r.Float64()) * float64(timeout))
	}})
	site, err := b.site(siteHead + fmt.Sprintf(`lines: {bus: {port: %s, baud: 9600, timeout: 200ms}}
devices: {unit: {profile: bench-blocks, line: bus, unit: 1, every: 0s}}
`, l.Path()))
	if err != nil {
		return err
	}
	x, err := b.start(site, filepath.Join(b.dir, "data"))
	if err != nil {
		return err
	}
	defer x.end()
	if _, err := x.armed(); err != nil {
		return err
	}
	want := map[string]float64{}
	for _, a := range []int{10, 20, 30, 40} {
		want[fmt.Sprintf("unit.b%d", a)] = float64((1000+a)<<16 | (1001 + a))
	}
	var mu sync.Mutex
	var good, other, wrong, lost int
	why := map[string]int{}
	// The same stream as `edged read --follow --json` prints.
	go x.follow("/readings/stream", func(p []byte) {
		var s struct {
			Point   string
			Value   *float64
			Quality string
			Lost    int
			Why     *text
		}
		if json.Unmarshal(p, &s) != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		lost += s.Lost
		switch {
		case s.Quality != "good":
			other++
			if s.Why != nil {
				why[s.Quality+" "+s.Why.Code]++
			}
		case s.Value == nil || *s.Value != want[s.Point]:
			wrong++
			b.log("WRONG AS GOOD: %s", p)
		default:
			good++
		}
	})
	l.Reset()
	if err := b.pause(choose(b.long, 10*time.Minute, time.Minute)); err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	c := l.Counters()
	b.log("good %d, not good %d (%v), wrong as good %d, lost to the follower %d; requests %d, answers %d, collisions %d",
		good, other, why, wrong, lost, c.Requests, c.Answers, c.Collisions)
	b.log("share of good readings %.3f", float64(good)/float64(max(1, good+other+wrong)))
	if good == 0 {
		return errors.New("no good reading at all: nothing was measured")
	}
	b.tell("acquire.wrong_as_good", float64(wrong), good+other+wrong)
	return nil
}

// deadUnit measures answered requests a second on a line with four units of ten
// registers and a dead one, over the rate without the dead one, after three
// rounds.
func deadUnit(b *bench) error {
	window := choose(b.long, time.Minute, 25*time.Second)
	healthy, err := b.rate(4, window/2)
	if err != nil {
		return err
	}
	withDead, err := b.rate(5, window)
	if err != nil {
		return err
	}
	b.log("healthy %.2f answers a second, with a dead unit %.2f", healthy, withDead)
	b.tell("acquire.dead_unit_share", withDead/healthy, int(withDead*window.Seconds()))
	return nil
}

// rate is the answered requests a second of so many units, of which the fifth
// is not there, after three rounds.
func (b *bench) rate(units int, window time.Duration) (float64, error) {
	l, err := line.New(line.Config{Baud: 9600, Turnaround: 5 * time.Millisecond, Path: filepath.Join(b.dir, "tty")})
	if err != nil {
		return 0, err
	}
	defer l.Close()
	for u := byte(1); u <= 4; u++ {
		l.Attach(u, gauge.NewPattern(u, 16, time.Now(), 0))
	}
	var mu sync.Mutex
	rounds := 0
	l.OnRequest(func(unit byte, _ []byte, _ time.Time) {
		mu.Lock()
		defer mu.Unlock()
		if unit == 1 {
			rounds++
		}
	})
	var s strings.Builder
	fmt.Fprintf(&s, "%slines: {bus: {port: %s, baud: 9600}}\ndevices:\n", siteHead, l.Path())
	for u := 1; u <= units; u++ {
		fmt.Fprintf(&s, "  unit-%d: {profile: bench-ten, line: bus, unit: %d, every: 0s}\n", u, u)
	}
	site, err := b.site(s.String())
	if err != nil {
		return 0, err
	}
	x, err := b.start(site, filepath.Join(b.dir, fmt.Sprintf("data-%d", units)))
	if err != nil {
		return 0, err
	}
	defer x.end()
	if err := b.until("three rounds", 30*time.Second, func() bool { mu.Lock(); defer mu.Unlock(); return rounds > 3 }); err != nil {
		return 0, err
	}
	l.Reset()
	begin := time.Now()
	if err := b.pause(window); err != nil {
		return 0, err
	}
	c := l.Counters()
	return float64(c.Answers) / time.Since(begin).Seconds(), nil
}
