package video

import (
	"context"
	"net/http"
	"sync"
	"time"
	"tocsin/firmware/video/terms"

	"github.com/pion/webrtc/v4"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/ladder"
	"tocsin/firmware/video/stream"
	"tocsin/firmware/video/whep"
)

// Turns of the ladder.
const (
	turn     = 100 * time.Millisecond
	stillMay = 4 * time.Second // for making one
	// Stills further apart than this may take long on their way.
	seldomFrom = 4 * time.Second
)

// push is one stream on its way to the county.
type push struct {
	r       *Relay
	e       *entry
	session *whep.Session
	ladder  *ladder.Ladder
	end     context.CancelFunc

	mu   sync.Mutex
	gate ladder.Gate
	now  ladder.Decision
	keys meanKey
	busy bool
	// Of stills: when the last was begun, of a picture of when (where the camera makes none itself),
	// and one that could not go yet.
	made, taken time.Duration
	waits       []byte
	began       bool // the link was up once
	caught      bool // what goes is live: it began with what was kept
	// What the source's rungs take, when they were last there, and how big stills are, in bytes.
	main, lower         int
	still, thumb, small int
}

// meanKey is how big key pictures are, and how the rest is.
type meanKey struct {
	bytes  int
	at     time.Duration
	every  time.Duration
	rest   int // bytes of droppable pictures in this second
	second time.Duration
	drop   int // bit/s of droppable pictures, the second before
}

// Let, Goes, Rate, Probe and Train are the governor's: what the ladder decided last holds.
func (p *push) Let(u *stream.Unit) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !u.Codec.Picture() {
		return p.now.Rung.Video()
	}
	k := &p.keys
	if u.Arrived-k.second >= time.Second {
		k.second, k.drop, k.rest = u.Arrived, k.rest*8, 0
	}
	switch {
	case u.Key:
		if k.at > 0 {
			k.every = u.Arrived - k.at
		}
		k.bytes, k.at = u.Size(), u.Arrived
	case u.Droppable:
		k.rest += u.Size()
	}
	// What waited long here is of no use to a viewer, who sees the next key picture sooner without it.
	wait, late := p.r.rules.Pace.Wait.D(), p.r.mono()-u.Arrived
	p.caught = p.caught || late < wait/2
	return p.gate.Pass(u.Key, u.Droppable, u.Gap || p.caught && late > wait && !u.Key)
}

func (p *push) Rate() int  { p.mu.Lock(); defer p.mu.Unlock(); return p.now.Rate }
func (p *push) Goes() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.now.Rung.Video() }
func (p *push) Probe() int { p.mu.Lock(); defer p.mu.Unlock(); return p.now.Probe }
func (p *push) Train() (uint64, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now.Train, p.now.TrainBytes
}

func (p *push) decision() ladder.Decision { p.mu.Lock(); defer p.mu.Unlock(); return p.now }

// run turns the ladder until the session ends.
func (p *push) run(ctx context.Context) {
	t := time.NewTicker(turn)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			p.session.Close()
			return
		case <-p.session.Done():
			return
		case <-t.C:
		}
		p.turn(ctx)
	}
}

func (p *push) turn(ctx context.Context) {
	now := p.r.mono()
	st, ss := p.e.stream.State(), p.session.State()
	if p.began = p.began || ss.Connected; !p.began {
		return // nothing is known of a link that has carried nothing yet
	}
	p.mu.Lock()
	if st.Bitrate > 0 {
		if st.Rung == 0 {
			p.main = st.Bitrate
		} else {
			p.lower = st.Bitrate
		}
	}
	k := p.keys
	supply := ladder.Supply{Main: p.main, Lower: p.lower, KeyBytes: k.bytes, KeyEvery: k.every, HasLower: st.Rungs > 1, HasDroppable: k.drop > 0,
		CanStill: p.r.canStill(p.e), LiveStill: p.e.camera != nil, StillBytes: p.still, ThumbBytes: p.thumb, SmallBytes: p.small}
	p.mu.Unlock()
	link := ladder.Link{Budget: p.r.share(), Estimate: ss.Estimate, Sent: ss.Sent, Acked: ss.Acked, Loss: ss.Loss, RTT: ss.RTT, Up: ss.Connected, Train: ss.Train, Told: ss.Told}
	if k.drop > 0 {
		supply.Thinned = max(st.Bitrate-k.drop, 1)
	}
	d := p.ladder.Step(now, link, supply)
	p.mu.Lock()
	before := p.now.Rung
	p.now = d
	p.gate.Set(d)
	due := p.due(now, d, d.Rung > before)
	if waits := p.waits; waits != nil && p.session.SendStill(waits, seldom(d)) {
		p.waits = nil
	}
	p.mu.Unlock()
	if d.Rung != before {
		p.r.log.Info("the link's ladder", "stream", p.e.plan.Name, "rung", int(d.Rung), "budget", d.Budget, "reason", d.Reason.In(phrase.EN))
		p.rungs(before, d.Rung)
	}
	if due {
		p.r.start("still "+p.e.plan.Name, func(context.Context) error { p.sendStill(ctx, d); return nil })
	}
}

// due says whether a still is to be made now, and notes it. Stills of key pictures are as far apart as
// those, so that none is missed by a little; after a step down one of the size that goes now comes at once. The
// caller holds mu.
func (p *push) due(now time.Duration, d ladder.Decision, down bool) bool {
	if down {
		p.made, p.taken, p.waits = 0, 0, nil
		p.session.LeaveStill()
	}
	if d.StillEvery == 0 || p.busy {
		return false
	}
	if p.e.camera == nil {
		u := p.e.stream.Key()
		if u == nil || p.taken > 0 && u.Arrived-p.taken < max(d.StillEvery-p.keys.every/4, 1) {
			return false
		}
		p.taken = u.Arrived
	} else if p.made > 0 && now-p.made < d.StillEvery {
		return false
	}
	p.busy, p.made = true, now
	return true
}

// seldom says that the next still is so far that this one may take its time.
func seldom(d ladder.Decision) bool { return d.StillEvery > seldomFrom }

// rungs asks the source for its lower rung below the main one, and for its best again.
func (p *push) rungs(before, now ladder.Rung) {
	if (before == ladder.Main) != (now == ladder.Main) {
		rung := 1
		if now == ladder.Main {
			rung = 0
		}
		p.e.stream.AskRung(rung)
	}
	if !before.Video() && now.Video() {
		p.e.stream.AskKey()
	}
}

// sendStill makes one and sends it.
func (p *push) sendStill(ctx context.Context, d ladder.Decision) {
	ctx, cancel := context.WithTimeout(ctx, stillMay)
	defer cancel()
	jpeg, err := p.r.makeStill(ctx, p.e, d.Width, d.Height)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy = false
	if err == nil {
		switch {
		case d.Width >= 640:
			p.still = len(jpeg)
		case d.Width >= 320:
			p.thumb = len(jpeg)
		default:
			p.small = len(jpeg)
		}
	}
	if err != nil {
		p.r.log.Debug("no still", "stream", p.e.plan.Name, "err", err)
		return
	}
	if p.waits = nil; !p.session.SendStill(jpeg, seldom(d)) {
		p.waits = jpeg // in place of an older one that could not go either
	}
}

// Push begins to send a stream to the county, in place of an older push of it.
func (r *Relay) Push(ctx context.Context, name string, q terms.Push) error {
	e := r.streams[name]
	if e == nil {
		return phrase.E("video.unknown", "stream", name)
	}
	client, err := clientOf(q.CA)
	if err != nil {
		return err
	}
	r.Stop(name)
	p := &push{r: r, e: e, ladder: ladder.New(ladder.Opts{Rules: r.rules})}
	p.now = p.ladder.Step(r.mono(), ladder.Link{Up: true, Budget: r.share()}, ladder.Supply{Main: e.stream.State().Bitrate})
	p.gate.Set(p.now)
	if p.session, err = r.web.Push(ctx, whep.PushRequest{Stream: e.stream, URL: q.URL, Token: q.Token, ICE: servers(q.ICE), Client: client, Gov: p, Start: int(r.rules.Budget.Start)}); err != nil {
		return err
	}
	var run context.Context
	run, p.end = context.WithCancel(context.Background())
	r.mu.Lock()
	r.pushes[name] = p
	r.mu.Unlock()
	r.start("push "+name, func(outer context.Context) error {
		stop := context.AfterFunc(outer, p.end)
		defer stop()
		defer p.end()
		p.run(run)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.pushes[name] == p {
			delete(r.pushes, name)
		}
		return nil
	})
	return nil
}

// Stop ends a push; nothing where there is none.
func (r *Relay) Stop(name string) {
	r.mu.Lock()
	p := r.pushes[name]
	delete(r.pushes, name)
	r.mu.Unlock()
	if p != nil {
		p.end()
		<-p.session.Done()
	}
}

var _ whep.Governor = (*push)(nil)

func clientOf(ca string) (*http.Client, error) {
	tr := http.DefaultTransport.(*http.Transport).Clone()
	if ca != "" {
		pool, err := poolOf(ca)
		if err != nil {
			return nil, err
		}
		tr.TLSClientConfig = pool
	}
	tr.DisableKeepAlives = true
	return &http.Client{Transport: tr, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// servers are what pion knows them as.
func servers(from []terms.ICE) (to []webrtc.ICEServer) {
	for _, s := range from {
		to = append(to, webrtc.ICEServer{URLs: s.URLs, Username: s.User, Credential: s.Password})
	}
	return to
}
