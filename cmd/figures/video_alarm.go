package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// alarmBesideVideo measures the way from a crossing to the relay without live pictures,
// with a full house, and with the process of live pictures killed each second: by how
// much the worse of the two is later than the first.
func alarmBesideVideo(b *bench) error {
	section, url, err := b.videoSection()
	if err != nil {
		return err
	}
	v, err := b.village(wired{siren: true})
	if err != nil {
		return err
	}
	defer v.Close()
	frames := watch(v.Out)
	n := b.n(10, 100)
	calm, err := b.crossingsOnce(v, frames, "calm", n, nil)
	if err != nil {
		return err
	}
	v.more = section
	pub, err := b.publish(scene720, url)
	if err != nil {
		return err
	}
	defer pub.end()
	full, err := b.crossingsOnce(v, frames, "full", n, func(x *box) (func(), error) {
		r := &relayed{b: b, pub: pub, viewing: x.viewing(pub), pid: x.videoChild}
		if err := r.flows(); err != nil {
			return nil, fmt.Errorf("%w; the box: %s", err, x.tail(8))
		}
		all, err := r.watch(audience)
		if err != nil {
			closeAll(all)
			return nil, err
		}
		return func() { closeAll(all) }, nil
	})
	if err != nil {
		return err
	}
	kills := 0
	killed, err := b.crossingsOnce(v, frames, "killed", n, func(x *box) (func(), error) {
		ctx, cancel := context.WithCancel(b.ctx)
		var done sync.WaitGroup
		done.Go(func() {
			for tick := time.NewTicker(time.Second); ; {
				select {
				case <-ctx.Done():
					tick.Stop()
					return
				case <-tick.C:
				}
				if pid, err := x.videoChild(); err == nil && syscall.Kill(pid, syscall.SIGKILL) == nil {
					kills++
				}
			}
		})
		return func() { cancel(); done.Wait() }, nil
	})
	if err != nil {
		return err
	}
	if kills == 0 {
		return fmt.Errorf("the process of live pictures was never there to be killed")
	}
	b.log("to the relay: without %s; %d viewers %s; killed %d times %s", spread(calm), audience, spread(full), kills, spread(killed))
	b.tellWhy("video.alarm_path_effect_ms", max(p99(full), p99(killed))-p99(calm), n,
		fmt.Sprintf("p99 %.1f ms without live pictures, %.1f ms with %d viewers, %.1f ms with their process killed %d times", p99(calm), p99(full), audience, p99(killed), kills))
	return nil
}

// crossingsOnce has n crossings in one life of a box, beside what beside starts.
func (b *bench) crossingsOnce(v *village, frames *trace, name string, n int, beside func(*box) (func(), error)) (all []float64, err error) {
	site, err := v.site()
	if err != nil {
		return nil, err
	}
	x, err := b.startArmed(site, filepath.Join(b.dir, "data-"+name))
	if err != nil {
		return nil, err
	}
	defer x.end()
	if beside != nil {
		stop, err := beside(x)
		if err != nil {
			return nil, err
		}
		defer stop()
	}
	r := b.rng()
	for range n {
		if err := b.pause(time.Duration(r.IntN(500)) * time.Millisecond); err != nil {
			return nil, err
		}
		at, err := v.crossed()
		if err != nil {
			return nil, err
		}
		on, _, err := v.sounds(at, mostWait)
		if err != nil {
			if b.ctx.Err() != nil {
				return nil, err
			}
			on, _ = b.silent(x, frames, at, err)
		}
		all = append(all, ms(on.Sub(at)))
		if err := v.calm(x); err != nil {
			return nil, err
		}
	}
	return all, nil
}
