package gb28181

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tocsin/firmware/phrase"
)

// Device is the box as platforms see it. Use New.
type Device struct {
	o     Opts
	lines []*line

	mu       sync.Mutex
	sessions map[*session]struct{}
}

// New makes one; the error names what the configuration has wrong.
func New(o Opts) (*Device, error) {
	if err := o.settle(); err != nil {
		return nil, err
	}
	d := &Device{o: o, sessions: map[*session]struct{}{}}
	for i := range o.Platforms {
		d.lines = append(d.lines, &line{d: d, n: i, p: &d.o.Platforms[i], phase: phrase.M("gb28181.not_yet")})
	}
	return d, nil
}

// Run signs in at every platform and serves it until the context ends.
func (d *Device) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, l := range d.lines {
		wg.Add(1)
		d.o.Go("gb28181 "+l.p.Name, func(own context.Context) error {
			defer wg.Done()
			ctx, stop := both(ctx, own)
			defer stop()
			l.run(ctx)
			return nil
		})
	}
	wg.Wait()
	return nil
}

// both ends where either does.
func both(a, b context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(a)
	stop := context.AfterFunc(b, func() { cancel(context.Cause(b)) })
	return ctx, func() { stop(); cancel(nil) }
}

func (d *Device) log() *slog.Logger { return d.o.Log }

func (p *Platform) channel(id string) *Channel {
	for i := range p.Channels {
		if p.Channels[i].ID == id {
			return &p.Channels[i]
		}
	}
	return nil
}

// admit takes a session in, or says why not. bits is what it will take.
func (d *Device) admit(s *session, bits int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.sessions) >= d.o.MostSessions {
		return phrase.E("gb28181.full", "most", d.o.MostSessions)
	}
	if d.o.Budget != nil {
		if left := d.o.Budget(); left >= 0 {
			used := 0
			for o := range d.sessions {
				used += int(o.bits.Load())
			}
			if used+bits > left {
				return phrase.E("gb28181.narrow", "needs", (used+bits)/1000, "left", left/1000)
			}
		}
	}
	s.bits.Store(int64(bits))
	d.sessions[s] = struct{}{}
	return nil
}

func (d *Device) release(s *session) {
	d.mu.Lock()
	delete(d.sessions, s)
	d.mu.Unlock()
}

// over says that all sessions together take more than the budget has.
func (d *Device) over() bool {
	if d.o.Budget == nil {
		return false
	}
	left := d.o.Budget()
	d.mu.Lock()
	defer d.mu.Unlock()
	used := 0
	for s := range d.sessions {
		used += int(s.bits.Load())
	}
	return left >= 0 && used > left
}

// Status is what the page shows.
type Status struct{ Platforms []PlatformStatus }

// PlatformStatus is one platform's.
type PlatformStatus struct {
	Name, ID string
	Online   bool
	Since    time.Duration  // of being so, on the monotonic clock
	Phase    phrase.Message // what is going on, or what is wrong and the mend
	Why      phrase.Message // while it is not online: what was wrong last
	Answered time.Duration  // when it last answered; nought where never
	Clock    time.Duration  // how far its clock is before the box's, where it said so
	Sessions []SessionStatus
}

// SessionStatus is one session's.
type SessionStatus struct {
	Channel, Kind, Way, To string
	Since                  time.Duration
	Packets, Bytes         uint64
	KeysOnly               bool // the link has less left than the pictures need
	Paused                 bool
}

// Status tells how it is.
func (d *Device) Status() Status {
	var st Status
	for _, l := range d.lines {
		l.mu.Lock()
		ps := PlatformStatus{Name: l.p.Name, ID: l.p.ID, Online: l.online, Since: l.since, Phase: l.phase, Why: l.why, Answered: l.answered, Clock: l.clock}
		l.mu.Unlock()
		d.mu.Lock()
		for s := range d.sessions {
			if s.line == l {
				ps.Sessions = append(ps.Sessions, s.status())
			}
		}
		d.mu.Unlock()
		slices.SortFunc(ps.Sessions, func(a, b SessionStatus) int { return int(a.Since - b.Since) })
		st.Platforms = append(st.Platforms, ps)
	}
	return st
}
