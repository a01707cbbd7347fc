package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Who comes to the page on a bad night.
const (
	pageListeners = 200
	pageSlow      = 20
	pageAskers    = 8
	pageBlock     = 5 // crossings in one state, before the other
)

// alarmBesidePage measures the way from a crossing to the relay with nobody at the page, and with two hundred who
// follow it, slow ones among them, while others ask as fast as one core can: in turns in one life of a box, so that
// what the machine does besides meets both.
func alarmBesidePage(b *bench) error {
	if err := b.lan(); err != nil {
		return err
	}
	v, err := b.village(wired{siren: true})
	if err != nil {
		return err
	}
	defer v.Close()
	frames := watch(v.Out)
	x, err := v.begin()
	if err != nil {
		return err
	}
	defer x.end()
	r := b.rng()
	one := func() (float64, error) {
		if err := b.pause(time.Duration(r.IntN(500)) * time.Millisecond); err != nil {
			return 0, err
		}
		at, err := v.crossed()
		if err != nil {
			return 0, err
		}
		on, _, err := v.sounds(at, mostWait)
		if err != nil {
			if b.ctx.Err() != nil {
				return 0, err
			}
			on, _ = b.silent(x, frames, at, err)
		}
		return ms(on.Sub(at)), v.calm(x)
	}
	var calm, full []float64
	var answers, events int64
	var busy time.Duration
	for range b.n(8, 40) {
		for range pageBlock {
			d, err := one()
			if err != nil {
				return err
			}
			calm = append(calm, d)
		}
		err := func() error {
			follow, err := b.come(visitors{Addr: b.listen, Listeners: pageListeners, Slow: pageSlow})
			if err != nil {
				return err
			}
			defer follow.leave()
			if err := b.until("all who follow the page are there", 30*time.Second, func() bool {
				s := follow.seen()
				return s.Listening == pageListeners-pageSlow && s.Slow == pageSlow
			}); err != nil {
				return fmt.Errorf("%w: %+v; the box: %s", err, follow.seen(), x.tail(5))
			}
			asks, err := b.come(visitors{Addr: b.listen, Askers: pageAskers})
			if err != nil {
				return err
			}
			defer asks.leave()
			if err := b.until("answers", 10*time.Second, func() bool { return asks.seen().Answers > 100 }); err != nil {
				return fmt.Errorf("%w: %+v", err, asks.seen())
			}
			began := time.Now()
			for range pageBlock {
				d, err := one()
				if err != nil {
					return err
				}
				full = append(full, d)
			}
			busy += time.Since(began)
			if s := follow.seen(); s.Listening < pageListeners*8/10 {
				return fmt.Errorf("only %d still follow the page", s.Listening)
			}
			answers, events = answers+asks.seen().Answers, events+follow.seen().Events
			return nil
		}()
		if err != nil {
			return err
		}
		b.log("%d and %d crossings: nobody at the page %s; a crowd %s", len(calm), len(full), spread(calm), spread(full))
	}
	b.tellWhy("page.alarm_path_effect_ms", p99(full)-p99(calm), len(full),
		fmt.Sprintf("%d crossings each, ms: with nobody at the page %s; %s with %d who follow it (%d of them slow, %d events) and %.0f answers a second; load %s",
			len(full), spread(calm), spread(full), pageListeners, pageSlow, events, float64(answers)/busy.Seconds(), load()))
	return nil
}

// pageMemory measures all processes of a box in a village like the demo's, with every kind of link to the county up, while
// twenty people are at its page: each loads it, follows it and asks for what it shows.
func pageMemory(b *bench) error {
	if err := b.lan(); err != nil {
		return err
	}
	v, err := b.village(wired{siren: true, motor: true, speaker: true, others: true})
	if err != nil {
		return err
	}
	defer v.Close()
	l, err := b.linkAll()
	if err != nil {
		return err
	}
	defer l.Close()
	v.more = l.text
	x, err := v.begin()
	if err != nil {
		return err
	}
	defer x.end()
	if err := b.until("all links up", time.Minute, func() bool { up, err := x.linksUp(7); return up && err == nil }); err != nil {
		return err
	}
	// What the start took is given back a while after it.
	if err := b.pause(20 * time.Second); err != nil {
		return err
	}
	const clients = 20
	c, err := b.come(visitors{Addr: b.listen, Listeners: clients, Loads: true})
	if err != nil {
		return err
	}
	defer c.leave()
	if err := b.until("all who follow the page are there", 30*time.Second, func() bool { return c.seen().Listening == clients }); err != nil {
		return fmt.Errorf("%w: %+v; the box: %s", err, c.seen(), x.tail(5))
	}
	v.Pour(60)
	at, err := v.crossed()
	if err != nil {
		return err
	}
	if _, _, err := v.sounds(at, 5*time.Second); err != nil {
		return err
	}
	end := time.Now().Add(choose(b.long, 3*time.Minute, 40*time.Second))
	var worst float64
	var what string
	n := 0
	for ; time.Now().Before(end); n++ {
		if err := b.pause(time.Second); err != nil {
			return err
		}
		all, parts := 0.0, ""
		for _, pid := range append([]int{x.cmd.Process.Pid}, childrenOf(x.cmd.Process.Pid)...) {
			m, err := memoryOf(pid)
			if err != nil {
				if pid == x.cmd.Process.Pid {
					return err
				}
				continue // it ended meanwhile
			}
			all, parts = all+m.rss, parts+fmt.Sprintf(", %s %.1f MiB", nameOf(pid), m.rss)
		}
		if all > worst {
			worst, what = all, parts[2:]
		}
	}
	if s := c.seen(); s.Listening != clients {
		return fmt.Errorf("of %d only %d still follow the page", clients, s.Listening)
	}
	b.tellWhy("page.rss_mib", worst, n, fmt.Sprintf("%s; %d events and %d answers to %d people", what, c.seen().Events, c.seen().Answers, clients))
	return nil
}

// childrenOf are the processes that a process started.
func childrenOf(pid int) (all []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, t := range tasks {
		text, _ := os.ReadFile(t)
		for _, w := range strings.Fields(string(text)) {
			all = append(all, atoi(w))
		}
	}
	return all
}

func nameOf(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(b))
}
