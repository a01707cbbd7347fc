package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const siteHead = `version: 1
site: {id: "441882103201", name: {zh: 台架, en: Bench}, languages: [cmn]}
`

// deadUnit measures answered requests a second on a line with four units of ten
// registers and a dead one, over the rate without the dead one, after three
// rounds.
func deadUnit(b *bench) error {
	window := choose(b.long, time.Minute, 25*time.Second)
	defer b.besideAll("acquire.dead_unit_share", func(who string) (float64, int, error) { return b.peerDead(who, window/2) })()
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
	l, err := b.fiveUnits("tty", false)
	if err != nil {
		return 0, err
	}
	defer l.Close()
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
