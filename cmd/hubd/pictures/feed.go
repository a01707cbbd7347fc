package pictures

import (
	"context"
	"time"

	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/video/stream"
)

// feedKey names one stream of one station.
type feedKey struct {
	station letter.Station
	stream  string
}

func (k feedKey) String() string { return string(k.station) + "/" + k.stream }

// feed is one stream that somebody wants to see. The room's lock guards it.
type feed struct {
	key     feedKey
	s       *stream.Stream
	viewers map[*viewing]struct{}
	left    time.Time // when the last viewer went

	call   Call
	callID string
	writer *stream.Writer
	since  time.Time // of the call

	asking  bool
	asked   bool      // the station was asked, and may push
	came    int       // how often it did
	again   time.Time // not before, the station is asked again
	tries   int
	refused error // what the station said last
}

// The waits of asking: a station that refuses may have a drone that takes off in a minute.
const (
	askIn      = 12 * time.Second // longer than a station may take (uplink)
	pushWithin = 20 * time.Second // from the answer to the push
	pauseFirst = 3 * time.Second
	pauseMost  = 30 * time.Second
)

// open finds or makes a feed. The lock is held.
func (p *Pictures) open(k feedKey) (*feed, error) {
	if f := p.feeds[k]; f != nil {
		return f, nil
	}
	if len(p.feeds) >= feedsMost {
		return nil, phrase.E("pictures.full", "most", feedsMost)
	}
	f := &feed{key: k, s: stream.New(stream.Opts{Name: k.String(), Now: p.o.Mono}), viewers: map[*viewing]struct{}{}}
	p.feeds[k] = f
	return f, nil
}

// look asks for what is wanted and is not there, and ends what nobody wants.
func (p *Pictures) look(ctx context.Context) {
	now := p.o.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.feeds {
		switch {
		case len(f.viewers) == 0:
			if now.Sub(f.left) >= p.o.File.Pictures.LingerFor() && !f.asking {
				p.end(ctx, f)
			}
		case f.call == nil && !f.asking && !now.Before(f.again):
			p.ask(ctx, f, now)
		}
	}
	p.hush(now)
	p.fetch(ctx, now)
	p.rewind(now)
	if r := p.o.Relay; r != nil && (p.legsAt.IsZero() || now.Sub(p.legsAt) >= checkEvery) {
		p.legsAt = now
		p.o.Guard.GoIn(ctx, "pictures", "check", guard.Once, func(ctx context.Context) error {
			legs := r.Check(ctx)
			for _, g := range legs {
				if !g.Err.IsZero() {
					p.o.Log.Warn("a leg of the relay fails", "leg", g.Name, "at", g.At, "why", g.Err.In(phrase.EN))
				}
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			p.legs = legs
			return nil
		})
	}
}

// checkEvery is how often the relay is walked through.
const checkEvery = 10 * time.Minute

// ask asks the station to push. The lock is held.
func (p *Pictures) ask(ctx context.Context, f *feed, now time.Time) {
	token, until := p.tokens.issue(f.key, now)
	push := &letter.Push{Stream: f.key.stream, URL: p.url + "/whip/" + f.key.String(), Token: token, Until: until}
	if p.o.Relay != nil {
		c := p.o.Relay.For(string(f.key.station))
		push.ICE = []letter.ICE{{URLs: c.URLs, User: c.User, Password: c.Password}}
	}
	f.asking, f.asked = true, true
	came := f.came
	p.o.Guard.GoIn(ctx, "pictures", "ask", guard.Once, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, askIn)
		defer cancel()
		err := p.o.Ask.Ask(ctx, f.key.station, letter.Ask{Push: push})
		p.answered(f, came, err)
		return nil
	})
}

// answered notes what a station said. Where what it was asked for came before its word, the push has told
// when to ask again.
func (p *Pictures) answered(f *feed, came int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.asking = false
	if f.came != came {
		return
	}
	f.tries++
	pause := min(pauseFirst<<min(f.tries-1, 8), pauseMost)
	if err == nil {
		pause = max(pause, pushWithin) // it is on its way
	}
	f.again, f.refused = p.o.Now().Add(pause), err
	if err != nil {
		p.o.Log.Info("a station was asked for a picture", "station", f.key.station, "stream", f.key.stream, "err", err)
		for v := range f.viewers {
			if v.giveUp != nil {
				v.giveUp(err)
			}
		}
	}
}

// end ends a feed and has the station stop. The lock is held.
func (p *Pictures) end(ctx context.Context, f *feed) {
	delete(p.feeds, f.key)
	p.hang(f)
	f.s.End()
	if !f.asked {
		return
	}
	p.o.Guard.GoIn(ctx, "pictures", "stop", guard.Once, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, askIn)
		defer cancel()
		if err := p.o.Ask.Ask(ctx, f.key.station, letter.Ask{Stop: f.key.stream}); err != nil {
			// Its call is closed: it has noticed, or will.
			p.o.Log.Info("a station was asked to stop a picture", "station", f.key.station, "stream", f.key.stream, "err", err)
		}
		return nil
	})
}

// hang closes a station's call. The lock is held.
func (p *Pictures) hang(f *feed) {
	if f.call == nil {
		return
	}
	f.call.Close()
	f.writer.Close(nil)
	delete(p.pushes, f.callID)
	p.tokens.forget(f.callID)
	f.call, f.writer, f.callID = nil, nil, ""
}

// closeAll ends every call: the hub ends.
func (p *Pictures) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range p.calls {
		if v.call != nil {
			v.call.Close()
		}
	}
	for _, f := range p.feeds {
		p.hang(f)
		f.s.End()
	}
}
