package main

import (
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

// memory measures the parent's proportional set in a village like the demo's.
func memory(b *bench) error {
	v, err := b.village(wired{siren: true, motor: true, speaker: true, others: true})
	if err != nil {
		return err
	}
	defer v.Close()
	x, err := v.begin()
	if err != nil {
		return err
	}
	defer x.end()
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
		m, err := pss(x.cmd.Process.Pid)
		if err != nil {
			return err
		}
		worst = max(worst, m)
	}
	b.tell("edged.rss_mib", worst, n)
	return nil
}

// pss is a process' proportional set size in MiB.
func pss(pid int) (float64, error) {
	p, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "smaps_rollup"))
	if err != nil {
		return 0, err
	}
	for l := range strings.Lines(string(p)) {
		if f := strings.Fields(l); len(f) == 3 && f[0] == "Pss:" {
			return float64(atoi(f[1])) / 1024, nil
		}
	}
	return 0, os.ErrNotExist
}
