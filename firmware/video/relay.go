package video

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"
	"tocsin/firmware/video/terms"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/video/gb28181"
	"tocsin/firmware/video/ladder"
	"tocsin/firmware/video/recorder"
	national "tocsin/firmware/video/source/gb28181"
	"tocsin/firmware/video/source/onvif"
	"tocsin/firmware/video/source/rtmp"
	"tocsin/firmware/video/source/rtsp"
	"tocsin/firmware/video/source/srt"
	"tocsin/firmware/video/source/ts"
	"tocsin/firmware/video/stream"
	"tocsin/firmware/video/whep"
)

// reopen is the pause before a port is tried again.
const reopen = 5 * time.Second

// Relay is the child's inside: streams, the ways in and the ways out.
type Relay struct {
	plan    terms.Plan
	log     *slog.Logger
	clock   clock.Clock
	guard   *guard.Guard
	order   []string
	streams map[string]*entry
	county  *county // where clips are brought
	desk    *desk
	web     *whep.Server
	budget  budget
	rules   *ladder.Rules
	stills  *stills

	mu     sync.Mutex
	pushes map[string]*push
	faults map[string]phrase.Message
	shown  []terms.Shown // of which the parent has not heard
	upper  *national.Server
	device *gb28181.Device

	pause func(context.Context, time.Duration) error // between attempts at platforms; nil waits for real
}

// entry is one stream with what belongs to it.
type entry struct {
	plan   terms.Source
	stream *stream.Stream
	puller *rtsp.Puller
	rec    *recorder.Recorder
	onvif  *onvif.Camera
	camera Camera // makes stills itself; nil where it does not
}

// budget is what the links to the county bear for pictures, in bit/s.
type budget struct {
	mu   sync.Mutex
	bits int
}

func (b *budget) set(bits int) { b.mu.Lock(); b.bits = bits; b.mu.Unlock() }
func (b *budget) get() int     { b.mu.Lock(); defer b.mu.Unlock(); return b.bits }

// share is what one of the streams on their way to the county may take, in bit/s.
func (r *Relay) share() int {
	bits := r.budget.get()
	if bits == 0 {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(bits/max(len(r.pushes), 1), 1)
}

// New builds a relay of a plan. A port that cannot be opened is a fault that is told
// and tried again; WebRTC's alone is an error.
func New(p terms.Plan, g *guard.Guard, c clock.Clock, log *slog.Logger) (*Relay, error) {
	r := &Relay{plan: p, log: log, clock: c, guard: g, stills: newStills(p.FFmpeg), streams: map[string]*entry{}, pushes: map[string]*push{}, county: &county{}, faults: map[string]phrase.Message{}}
	for _, s := range p.Streams {
		e := &entry{plan: s, stream: stream.New(stream.Opts{Name: s.Name, Now: r.mono})}
		if s.ONVIF != "" {
			cam, err := onvif.New(onvif.Opts{Name: s.Name, Address: s.ONVIF, User: s.User, Password: s.Password, Now: func() time.Time { return c.Now().Wall }})
			if err != nil {
				return nil, err
			}
			e.onvif, e.camera = cam, &cameraOf{cam: cam}
		}
		r.streams[s.Name] = e
		r.order = append(r.order, s.Name)
		if len(s.Pull) > 0 {
			var err error
			if e.puller, err = r.pull(e); err != nil {
				return nil, err
			}
		}
	}
	r.desk = newDesk(r.mono, r.streams)
	var err error
	if r.rules, err = ladder.ParseRules([]byte(p.Rules)); err != nil {
		return nil, err
	}
	r.web, err = whep.New(whep.Opts{Log: log, Now: r.mono, Start: g.Starter("video"), Listen: p.Listen, Loopback: p.Loopback, Most: p.Viewers, Key: r.rules.Pace.Key.D()})
	return r, err
}

func (r *Relay) mono() time.Duration { return r.clock.Now().Mono }

func (r *Relay) pull(e *entry) (*rtsp.Puller, error) {
	o := rtsp.PullOpts{Name: e.plan.Name, URLs: e.plan.Pull, UDP: e.plan.UDP, Open: e.stream.Open, Now: r.mono, Log: r.log, Go: r.start}
	if e.onvif != nil {
		o.AskKey = func(ctx context.Context) error { return e.onvif.AskKey(ctx, "") }
	}
	return rtsp.NewPuller(o)
}

func (r *Relay) start(name string, run func(context.Context) error) {
	r.guard.Go("video", name, guard.Once, run)
}

// Run runs the ways in and the recorders until ctx ends.
func (r *Relay) Run(ctx context.Context) error {
	defer r.web.Close()
	for _, name := range r.order {
		e := r.streams[name]
		if e.puller != nil {
			r.guard.GoIn(ctx, "video", "pull "+name, guard.Restart, e.puller.Run)
		}
		if e.plan.TS != "" {
			r.guard.GoIn(ctx, "video", "ts "+name, guard.Restart, func(ctx context.Context) error { return r.transport(ctx, e) })
		}
		if r.plan.Record != nil && e.plan.Record {
			r.guard.GoIn(ctx, "video", "record "+name, guard.Restart, func(ctx context.Context) error { return r.record(ctx, e) })
		}
	}
	if r.plan.RTMP != "" {
		s := rtmp.New(rtmp.Opts{Desk: r.desk, Go: r.start, Log: r.log})
		r.guard.GoIn(ctx, "video", "rtmp", guard.Restart, func(ctx context.Context) error { return r.listen(ctx, "rtmp", r.plan.RTMP, s.Serve) })
	}
	if r.plan.SRT != "" {
		r.guard.GoIn(ctx, "video", "srt", guard.Restart, func(ctx context.Context) error {
			return r.again(ctx, "srt", func(ctx context.Context) error {
				s, err := srt.Listen(srt.Opts{Address: r.plan.SRT, Desk: r.desk, Go: r.start, Log: r.log})
				if err != nil {
					return phrase.Wrap(err, "video.port", "way", "srt", "port", r.plan.SRT)
				}
				return s.Serve(ctx)
			})
		})
	}
	r.nationally(ctx)
	if r.plan.RTSP != "" {
		s, err := rtsp.New(rtsp.Opts{Listen: r.plan.RTSP, Desk: r.desk, View: r.desk.View, Key: r.desk.key, Log: r.log, Now: r.mono, Go: r.start})
		if err != nil {
			return err
		}
		r.guard.GoIn(ctx, "video", "rtsp", guard.Restart, func(ctx context.Context) error {
			return r.again(ctx, "rtsp", s.Run)
		})
	}
	<-ctx.Done()
	return nil
}

// again runs what needs a port until ctx ends; what it says meanwhile is a fault.
func (r *Relay) again(ctx context.Context, name string, run func(context.Context) error) error {
	for ctx.Err() == nil {
		err := run(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = errors.New("ended")
		}
		r.fault(name, phrase.Of(err))
		select {
		case <-ctx.Done():
		case <-time.After(reopen):
		}
		r.fault(name, phrase.Message{})
	}
	return nil
}

func (r *Relay) listen(ctx context.Context, name, at string, serve func(context.Context, net.Listener) error) error {
	return r.again(ctx, name, func(ctx context.Context) error {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", at)
		if err != nil {
			return phrase.Wrap(err, "video.port", "way", name, "port", at)
		}
		return serve(ctx, l)
	})
}

func (r *Relay) transport(ctx context.Context, e *entry) error {
	l, err := ts.New(ts.Opts{Stream: e.plan.Name, From: e.plan.From, Desk: r.desk, Log: r.log})
	if err != nil {
		return err
	}
	return r.again(ctx, "ts "+e.plan.Name, func(ctx context.Context) error {
		var lc net.ListenConfig
		c, err := lc.ListenPacket(ctx, "udp", e.plan.TS)
		if err != nil {
			return phrase.Wrap(err, "video.port", "way", "ts", "port", e.plan.TS)
		}
		return l.Serve(ctx, c.(*net.UDPConn))
	})
}

// record keeps a stream; the quota is shared evenly.
func (r *Relay) record(ctx context.Context, e *entry) error {
	n := int64(0)
	for _, s := range r.plan.Streams {
		if s.Record {
			n++
		}
	}
	k := r.plan.Record
	rec, err := recorder.Open(recorder.Opts{
		Dir: filepath.Join(k.Dir, e.plan.Name), Stream: e.plan.Name, Clock: r.clock, Quota: k.Quota / n, ClipQuota: k.ClipQuota / n, Age: k.Age, ClipAge: k.ClipAge,
		AskKey: func() { e.stream.AskKey() },
		Fault:  func(m phrase.Message) { r.fault("record "+e.plan.Name, m) },
		Go: func(name string, run func(context.Context) error) {
			r.guard.GoIn(ctx, "video", name, guard.Restart, run)
		},
		Log: r.log,
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	e.rec = rec
	r.mu.Unlock()
	if !e.plan.Here {
		r.guard.GoIn(ctx, "video", "bring "+e.plan.Name, guard.Restart, func(ctx context.Context) error { return r.bring(ctx, e, rec) })
	}
	reader := e.stream.Reader(stream.ReaderOpts{Name: "recorder", Sound: true})
	defer reader.Close()
	return rec.Run(ctx, reader)
}

func (r *Relay) fault(thing string, why phrase.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if why.IsZero() {
		delete(r.faults, thing)
		return
	}
	r.faults[thing] = why
	r.log.Warn("video", "thing", thing, "why", fmt.Sprint(why.In(phrase.EN)))
}
