package recorder

import (
	"context"
	"errors"
	"slices"
	"time"

	"tocsin/firmware/clock"
)

// forget removes what is older than the county lets it become.
func (k *keeper) forget(now clock.Stamp) {
	if k.r.o.Age > 0 {
		k.r.mu.Lock()
		segs := slices.Clone(k.r.segs)
		ages := k.r.ages(segs, now)
		k.r.mu.Unlock()
		for i, s := range segs {
			if ages[i] > k.r.o.Age {
				if k.seg != nil && k.seg.kept == s {
					k.shut()
					k.gap = true // what follows needs a key picture of its own
				}
				_ = k.remove(s) // told in the log, and tried again with the next look
			}
		}
	}
	if k.r.o.ClipAge <= 0 {
		return
	}
	k.r.mu.Lock()
	old := slices.DeleteFunc(slices.Clone(k.r.clips), func(c *clip) bool { return c.busy || k.r.clipAge(c, now) <= k.r.o.ClipAge })
	k.r.mu.Unlock()
	for _, c := range old {
		_ = k.drop(c)
	}
}

// ages tells how old the end of each segment is, at least: by the boot's own clock, by
// UTC where both ends are known, and else by what came after it. A segment of an
// earlier boot is older than this boot; so a box that never knows the hour forgets too.
// r.mu is held.
func (r *Recorder) ages(segs []*kept, now clock.Stamp) []time.Duration {
	ages := make([]time.Duration, len(segs))
	least := time.Duration(0)
	for i, s := range slices.Backward(segs) {
		age := now.Mono
		if s.label.boot == now.Boot {
			age = max(0, now.Mono-s.to)
		} else if at, _, ok := r.times.utc(s.label.boot, s.to); ok && now.Trust > clock.Free {
			age = max(age, now.Wall.Sub(at))
		}
		least = max(least, age)
		ages[i] = least
	}
	return ages
}

// clipAge tells how old a clip is, at least; r.mu is held.
func (r *Recorder) clipAge(c *clip, now clock.Stamp) time.Duration {
	if c.Boot == now.Boot {
		return now.Mono - c.To
	}
	if at, _, ok := r.times.utc(c.Boot, c.To); ok && now.Trust > clock.Free {
		return max(now.Mono, now.Wall.Sub(at))
	}
	return now.Mono
}

// Erase removes what the ring shows of a time: whole segments that touch it, the open
// one too; with clips also every clip that touches it, delivered or not, so that no
// link is left. What lies at an hour that nobody knows is not touched: EraseAll takes
// that too.
func (r *Recorder) Erase(ctx context.Context, from, to time.Time, clips bool) error {
	return r.erase(ctx, clips, func(boot string, a, b time.Duration) bool {
		x, _, ok := r.times.utc(boot, a)
		y, _, _ := r.times.utc(boot, b)
		return ok && x.Before(to) && y.After(from)
	})
}

// EraseAll removes everything, with clips the clips too.
func (r *Recorder) EraseAll(ctx context.Context, clips bool) error {
	return r.erase(ctx, clips, func(string, time.Duration, time.Duration) bool { return true })
}

func (r *Recorder) erase(ctx context.Context, clips bool, hit func(boot string, from, to time.Duration) bool) error {
	var err error
	e := r.do(ctx, func() {
		k := r.keeper
		if err = k.recover(); err != nil {
			return
		}
		r.mu.Lock()
		segs := slices.DeleteFunc(slices.Clone(r.segs), func(s *kept) bool { return !hit(s.label.boot, s.from, s.to) })
		var gone []*clip
		if clips {
			gone = slices.DeleteFunc(slices.Clone(r.clips), func(c *clip) bool { return !hit(c.Boot, c.From, c.To) })
		}
		r.mu.Unlock()
		for _, s := range segs {
			if k.seg != nil && k.seg.kept == s {
				k.shut()
				k.gap = true
			}
			err = errors.Join(err, k.remove(s))
		}
		for _, c := range gone {
			err = errors.Join(err, k.drop(c))
		}
		err = errors.Join(err, syncDir(r.ring()), syncDir(r.kept()))
	})
	return errors.Join(e, err)
}
