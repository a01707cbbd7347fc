package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tocsin/hwtest/gauge"
	"tocsin/hwtest/line"
)

// deadUnitBack measures how long after its return a unit that was dead for half
// a minute, so that it is probed as seldom as ever, answers a read of the box.
func deadUnitBack(b *bench) error {
	const units, away = 5, 5
	l, err := b.fiveUnits("tty", true)
	if err != nil {
		return err
	}
	defer l.Close()
	defer b.besideAll("acquire.dead_unit_back_s", func(who string) (float64, int, error) { return b.peerBack(who, b.n(2, 5)) })()
	var mu sync.Mutex
	var answered time.Time
	l.OnAnswer(func(unit byte, _ []byte, at time.Time) {
		if unit == away {
			mu.Lock()
			answered = at
			mu.Unlock()
		}
	})
	last := func() time.Time { mu.Lock(); defer mu.Unlock(); return answered }
	var s strings.Builder
	fmt.Fprintf(&s, "%shistory: {off: true}\nlines: {bus: {port: %s, baud: 9600}}\ndevices:\n", siteHead, l.Path())
	for u := 1; u <= units; u++ {
		fmt.Fprintf(&s, "  unit-%d: {profile: bench-ten, line: bus, unit: %d, every: 0s}\n", u, u)
	}
	site, err := b.site(s.String())
	if err != nil {
		return err
	}
	x, err := b.startArmed(site, filepath.Join(b.dir, "data"))
	if err != nil {
		return err
	}
	defer x.end()
	var all []float64
	r := b.rng()
	for range b.n(2, 10) {
		l.SetFault(away, line.Fault{Dead: true})
		if err := b.pause(25*time.Second + time.Duration(r.Int64N(int64(8*time.Second)))); err != nil {
			return err
		}
		l.ClearFault(away)
		back := time.Now()
		if err := b.until("the unit's answer", time.Minute, func() bool { return last().After(back) }); err != nil {
			return err
		}
		all = append(all, last().Sub(back).Seconds())
	}
	b.log("seconds until a unit that is back was read: %s", spread(all))
	b.tell("acquire.dead_unit_back_s", rank(all, 1), len(all))
	return nil
}

// requestsSaved reads the tailings pond of configs/sites on the bench and counts
// the requests of whole rounds. Without coalescing each point would be one.
func requestsSaved(b *bench) error {
	pond, err := os.ReadFile(filepath.Join("configs", "sites", "tailings.yaml"))
	if err != nil {
		return fmt.Errorf("run it within the module: it reads the tailings pond's site (%w)", err)
	}
	l, err := line.New(line.Config{Baud: 9600, Turnaround: 5 * time.Millisecond, Path: filepath.Join(b.dir, "tty")})
	if err != nil {
		return err
	}
	defer l.Close()
	for u := byte(1); u <= 12; u++ {
		p := gauge.NewPattern(u, 64, time.Now(), 0)
		if u > 10 { // those that the profile says refuse registers in their midst
			p.Hole(0x0C, 0x1F)
		}
		l.Attach(u, p)
	}
	var site []string
	for s := range strings.Lines(string(pond)) {
		switch at := strings.Index(s, "port: "); {
		case at >= 0:
			s = fmt.Sprintf("%sport: %s, baud: 9600}\n", s[:at], l.Path())
		case strings.Contains(s, "line: dam, unit:"):
			s = strings.Replace(s, "line: dam,", "line: dam, every: 5s,", 1)
		}
		site = append(site, s)
	}
	file, err := b.site(strings.Join(site, ""))
	if err != nil {
		return err
	}
	x, err := b.startArmed(file, filepath.Join(b.dir, "data"))
	if err != nil {
		return err
	}
	defer x.end()
	var points []struct{ Point string }
	if err := x.get("/readings", &points); err != nil {
		return err
	}
	if len(points) != 200 {
		return fmt.Errorf("the pond has %d points, not 200", len(points))
	}
	l.Reset()
	const rounds = 4
	if err := b.pause(rounds * 5 * time.Second); err != nil {
		return err
	}
	c := l.Counters()
	perRound := float64(c.Requests) / rounds
	b.log("%.1f requests a round for %d points, %d refused", perRound, len(points), c.Exceptions)
	if c.Exceptions > 0 || c.Requests == 0 {
		return errors.New("the pond's units refuse reads: nothing is saved that way")
	}
	b.tell("acquire.requests_saved", float64(len(points))/perRound, c.Requests)
	return nil
}

// unplugReplug pulls the adapters of two lines at random instants and counts
// the lines that did not come back, and what the box kept open.
func unplugReplug(b *bench) error {
	var ls []*line.Line
	var s strings.Builder
	fmt.Fprintf(&s, "%shistory: {off: true}\nlines:\n", siteHead)
	answers := make([]int, 2)
	var mu sync.Mutex
	for i := range answers {
		l, err := line.New(line.Config{Baud: 38400, Turnaround: 2 * time.Millisecond, Path: filepath.Join(b.dir, fmt.Sprintf("tty%d", i))})
		if err != nil {
			return err
		}
		defer l.Close()
		l.Attach(1, gauge.NewPattern(1, 16, time.Now(), 0))
		l.OnAnswer(func(byte, []byte, time.Time) { mu.Lock(); answers[i]++; mu.Unlock() })
		ls = append(ls, l)
		fmt.Fprintf(&s, "  bus-%d: {port: %s, baud: 38400}\n", i, l.Path())
	}
	s.WriteString("devices:\n")
	for i := range ls {
		fmt.Fprintf(&s, "  unit-%d: {profile: bench-ten, line: bus-%d, unit: 1, every: 20ms}\n", i, i)
	}
	site, err := b.site(s.String())
	if err != nil {
		return err
	}
	x, err := b.startArmed(site, filepath.Join(b.dir, "data"))
	if err != nil {
		return err
	}
	defer x.end()
	defer b.besideAll("acquire.unplug_replug", func(who string) (float64, int, error) { return b.peerPulls(who, b.n(3, 10)) })()
	if err := b.pause(2 * time.Second); err != nil {
		return err
	}
	pid := x.cmd.Process.Pid
	r := b.rng()
	lost := 0
	pull := func() error {
		i := r.IntN(len(ls))
		if err := b.pause(time.Duration(r.Int64N(int64(300 * time.Millisecond)))); err != nil {
			return err
		}
		if err := ls[i].Unplug(); err != nil {
			return err
		}
		if err := b.pause(time.Duration(r.Int64N(int64(700 * time.Millisecond)))); err != nil {
			return err
		}
		if err := ls[i].Replug(); err != nil {
			return err
		}
		mu.Lock()
		was := answers[i]
		mu.Unlock()
		err := b.until("the line", 15*time.Second, func() bool { mu.Lock(); defer mu.Unlock(); return answers[i] > was+3 })
		if err != nil {
			lost++
			b.log("line %d did not come back: %v", i, err)
		}
		return b.ctx.Err()
	}
	// The first pulls open what the box then keeps: the way into its journal.
	for range 5 {
		if err := pull(); err != nil {
			return err
		}
	}
	var files, routines int
	for range 20 {
		f, g, err := x.holds(pid)
		if err != nil {
			return err
		}
		files, routines = max(files, f), max(routines, g)
		if err := b.pause(100 * time.Millisecond); err != nil {
			return err
		}
	}
	pulls := b.n(20, 100)
	for range pulls {
		if err := pull(); err != nil {
			return err
		}
	}
	// What ends late is given time to end.
	var leaked int
	b.until("what was opened to be closed", 10*time.Second, func() bool {
		f, g, e := x.holds(pid)
		leaked, err = max(0, f-files)+max(0, g-routines), e
		if leaked > 0 {
			b.log("it holds %d descriptors of %d and %d goroutines of %d", f, files, g, routines)
		}
		return e != nil || leaked == 0
	})
	if err != nil {
		return err
	}
	b.log("%d pulls, %d lines did not come back, %d descriptors and goroutines leaked (of %d and %d)", pulls, lost, leaked, files, routines)
	b.tell("acquire.unplug_replug", float64(lost+leaked), pulls)
	return nil
}

// holds counts a box's descriptors that are not of the bench's own asking, and
// its goroutines as it tells them itself.
func (x *box) holds(pid int) (files, routines int, err error) {
	routines, err = x.metric("go_goroutines")
	if err != nil {
		return 0, 0, err
	}
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	list, err := os.ReadDir(dir)
	if err != nil {
		return 0, 0, err
	}
	for _, e := range list {
		// A connection that asks is the bench's own.
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && !strings.HasPrefix(to, "socket:") {
			files++
		}
	}
	return files, routines, nil
}

// metric gives a figure of the box's own page for collectors.
func (x *box) metric(name string) (int, error) {
	resp, err := x.http.Get("http://edged/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var v float64
	found := false
	err = eachLine(resp.Body, func(s string) {
		if f := strings.Fields(s); len(f) == 2 && f[0] == name {
			found = json.Unmarshal([]byte(f[1]), &v) == nil
		}
	})
	if err == nil && !found {
		err = fmt.Errorf("the box does not tell %s", name)
	}
	return int(v), err
}
