package main

import (
	"path/filepath"
	"syscall"
	"time"
)

// kills ends the box by SIGKILL at random instants under load and counts, over
// all lives: acknowledged records lost, acknowledged raises that stand under a
// new id, alarms forgotten.
func kills(b *bench) error {
	p, err := b.plant()
	if err != nil {
		return err
	}
	defer p.Close()
	data := filepath.Join(b.dir, "data")
	n := b.n(20, 200)
	l := newLedger(b)
	err = b.lives(l, p, n, func() string { return data }, func(x *box) error {
		x.kill(syscall.SIGKILL)
		return nil
	}, nil)
	if err != nil {
		return err
	}
	b.tell("alarm.kill9_resume_lost", float64(l.sum()), n)
	return nil
}

// fatals aborts or kills the process while it sounds, starts it again 100 ms
// after its end as a service manager would, and counts the soundings in which
// the siren or the loudspeaker was silent for more than two seconds.
func fatals(b *bench) error {
	v, err := b.village(wired{siren: true, speaker: true})
	if err != nil {
		return err
	}
	defer v.Close()
	x, err := v.begin()
	if err != nil {
		return err
	}
	defer func() { x.end() }()
	const most, before, after = 2 * time.Second, 2 * time.Second, 6 * time.Second
	site, data := filepath.Join(b.dir, "site", "site.yaml"), filepath.Join(b.dir, "data")
	r := b.rng()
	broken, n := 0, b.n(5, 20)
	for i := range n {
		at, err := v.crossed()
		if err != nil {
			return err
		}
		if _, _, err := v.sounds(at, 5*time.Second); err != nil {
			return err
		}
		if err := b.pause(before + time.Duration(r.IntN(5000))*time.Millisecond); err != nil {
			return err
		}
		sig := []syscall.Signal{syscall.SIGABRT, syscall.SIGKILL}[i%2]
		t0 := time.Now()
		x.kill(sig)
		<-x.done
		died := time.Since(t0)
		if err := b.pause(100 * time.Millisecond); err != nil {
			return err
		}
		x.end()
		if x, err = b.start(site, data); err != nil {
			return err
		}
		if err := b.pause(time.Until(t0.Add(after))); err != nil {
			return err
		}
		siren := v.Horn.LongestSilence(t0.Add(-before), t0.Add(after))
		horn := v.ear.LongestSilence(t0.Add(-before), t0.Add(after), audible)
		usual := v.ear.LongestSilence(t0.Add(-before), t0, audible)
		b.log("%v (died in %v): siren silent for %v, loudspeaker for %v (its own pauses before: %v)", sig, died.Round(time.Millisecond),
			siren.Round(time.Millisecond), horn.Round(time.Millisecond), usual.Round(time.Millisecond))
		if siren > most || horn > most {
			broken++
		}
		if _, err := x.armed(); err != nil {
			return err
		}
		if err := v.calm(x); err != nil {
			return err
		}
	}
	b.tell("alarm.fatal_elsewhere", float64(broken), n)
	return nil
}
