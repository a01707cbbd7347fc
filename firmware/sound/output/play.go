package output

import (
	"context"
	"errors"
	"time"
)

// block is how much is written at once: STOP is obeyed between two of them.
const block = 20 * time.Millisecond

var errNothing = errors.New("the programme has nothing to play")

// play plays a job until its programme has ended (over), its context has, or
// the player fails. It runs in the voice's goroutine.
func (u *unit) play(ctx context.Context, j *job) (over bool, err error) {
	f := u.m.s.Format
	r := j.p.Samples(f)
	if r == nil {
		return false, errNothing
	}
	stream, err := u.m.s.Player.Open(ctx, f)
	if err != nil {
		return false, err
	}
	kept := false
	defer func() {
		if !kept {
			stream.Drop() // whatever it says: there is nothing else to do about a device that will not fall silent
		}
	}()
	buf := make([]int16, int(block*time.Duration(f.Rate)/time.Second)*f.Channels)
	var heardAt, beat time.Duration
	for empty := 0; ; {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		n, done := r.Read(buf)
		if n > 0 {
			empty = 0
			if heardAt == 0 {
				heardAt = u.h.now() + stream.Delay()
			}
			if err := stream.Write(ctx, buf[:n]); err != nil {
				return false, err
			}
			if now := u.h.now(); beat == 0 || now-beat >= 500*time.Millisecond {
				beat = now
				at := heardAt
				u.post(func(now time.Duration) { u.m.voiceBeat(now, j, at) })
			}
		} else if empty++; !done && empty > 100 {
			return false, errNothing // a reader that neither gives nor ends would spin
		}
		if done {
			break
		}
	}
	if heardAt == 0 {
		return false, errNothing
	}
	kept = true
	c, stop := context.WithTimeout(ctx, 2*time.Second+u.m.s.Patience)
	defer stop()
	if err := stream.Drain(c); err != nil {
		stream.Drop()
		return false, err
	}
	return true, nil
}
