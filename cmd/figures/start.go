package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// coldStarts measures how long after its lines' first round a box is armed: the
// box says both, from the start of its process. The bench checks it from
// outside: from the start of the process to the answer that says so, beyond the
// same first round. The greater of the two counts. Half of the starts find a
// journal, an alarm that stands and unsaved rules' memory from a life that was
// killed.
func coldStarts(b *bench) error {
	v, err := b.village(wired{siren: true, motor: true, speaker: true, others: true})
	if err != nil {
		return err
	}
	defer v.Close()
	site, err := v.site()
	if err != nil {
		return err
	}
	data := filepath.Join(b.dir, "data")
	var all []float64
	for i := range b.n(6, 20) {
		fresh := i%2 == 0
		if fresh {
			os.RemoveAll(data)
		}
		x, err := b.start(site, data)
		if err != nil {
			return err
		}
		st, err := x.armed()
		if err != nil {
			x.end()
			return err
		}
		outside := time.Since(x.began)
		beyond := max(st.ArmedAfter, outside) - st.FirstRound
		all = append(all, ms(beyond))
		b.log("%s: armed %v after the process began (by its own count %v), first round %v, beyond %v",
			choose(fresh, "fresh", "after a kill"), outside.Round(time.Millisecond), st.ArmedAfter.Round(time.Millisecond),
			st.FirstRound.Round(time.Millisecond), beyond.Round(time.Millisecond))
		if fresh {
			at, err := v.crossed()
			if err == nil {
				_, _, err = v.sounds(at, 5*time.Second)
			}
			if err != nil {
				x.end()
				return err
			}
			b.pause(300 * time.Millisecond)
		}
		x.end()
		v.Gas.Set(gasCalm)
	}
	b.tell("alarm.cold_start_to_armed_ms", rank(all, 1), len(all))
	return nil
}

// memory measures the parent's resident set in a village like the demo's, with every kind of
// link to the county up.
func memory(b *bench) error {
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
	b.log("links up: %s", strings.Join(l.kinds, ", "))
	// What the start took is given back a while after it.
	if err := b.pause(20 * time.Second); err != nil {
		return err
	}
	v.Pour(60)
	at, err := v.crossed()
	if err != nil {
		return err
	}
	if _, _, err := v.sounds(at, 5*time.Second); err != nil {
		return err
	}
	end := time.Now().Add(choose(b.long, time.Minute, 20*time.Second))
	var worst float64
	n := 0
	for ; time.Now().Before(end); n++ {
		if err := b.pause(time.Second); err != nil {
			return err
		}
		m, err := memoryOf(x.cmd.Process.Pid)
		if err != nil {
			return err
		}
		worst = max(worst, m.rss)
	}
	b.tell("edged.rss_mib", worst, n)
	return nil
}

// held is a process' memory in MiB: its resident set; of that what is its own
// (anon) and what maps files, which the kernel may drop and read again; and its
// proportional set.
type held struct{ rss, anon, file, pss float64 }

func (h held) String() string {
	return fmt.Sprintf("%.1f MiB resident (%.1f anonymous, %.1f of files; %.1f proportional)", h.rss, h.anon, h.file, h.pss)
}

func memoryOf(pid int) (h held, err error) {
	for file, keys := range map[string]map[string]*float64{
		"status":       {"VmRSS:": &h.rss, "RssAnon:": &h.anon, "RssFile:": &h.file},
		"smaps_rollup": {"Pss:": &h.pss},
	} {
		p, err := os.ReadFile(filepath.Join("/proc", itoa(pid), file))
		if err != nil {
			return h, err
		}
		found := 0
		for l := range strings.Lines(string(p)) {
			if f := strings.Fields(l); len(f) == 3 && keys[f[0]] != nil {
				*keys[f[0]] = float64(atoi(f[1])) / 1024
				found++
			}
		}
		if found < len(keys) {
			return h, os.ErrNotExist
		}
	}
	return h, nil
}
