package video

import (
	"context"
	"maps"
	"slices"
	"time"

	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/video/gb28181"
	"tocsin/firmware/video/recorder"
	national "tocsin/firmware/video/source/gb28181"
	"tocsin/firmware/video/terms"
)

const (
	// recordLongest is the longest record that a platform is told of: a day in one piece is
	// little use to who wants to fetch an hour.
	recordLongest = time.Hour
	mostShown     = 256
)

// nationally runs both ends of GB/T 28181 until ctx ends. What the plan has wrong there
// is a fault, and no reason to relay nothing else.
func (r *Relay) nationally(ctx context.Context) {
	if len(r.plan.Platforms) > 0 {
		d, err := gb28181.New(r.platforms())
		if err != nil {
			r.fault("platforms", phrase.Of(err))
		} else {
			r.mu.Lock()
			r.device = d
			r.mu.Unlock()
			r.guard.GoIn(ctx, "video", "platforms", guard.Restart, d.Run)
		}
	}
	if r.plan.Upper != nil {
		r.guard.GoIn(ctx, "video", "upper", guard.Restart, func(ctx context.Context) error {
			return r.again(ctx, "upper", func(ctx context.Context) error {
				s, err := national.New(r.cameras())
				if err != nil {
					return err
				}
				r.mu.Lock()
				r.upper = s
				r.mu.Unlock()
				return s.Run(ctx)
			})
		})
	}
}

// platforms are the options of the device that signs in at platforms.
func (r *Relay) platforms() gb28181.Opts {
	o := gb28181.Opts{
		Log: r.log, Now: r.mono, Wall: func() time.Time { return r.clock.Now().Wall }, Go: r.start, Pause: r.pause,
		About: gb28181.About(r.plan.About), MostSessions: r.plan.Sessions, Budget: r.left, Began: r.began,
	}
	for _, p := range r.plan.Platforms {
		q := gb28181.Platform{
			Name: p.Title, ID: p.ID, Realm: p.Domain, Host: p.Host, Port: p.Port, Transport: p.Transport, Device: p.Device, User: p.User, Password: p.Password,
			Expires: p.Expires, Keepalive: p.Keepalive, Misses: p.Misses, LocalPort: p.LocalPort, MediaTo: p.Media, Charset: p.Charset,
		}
		kept := records{r: r, streams: map[string]string{}}
		for _, c := range p.Channels {
			e := r.streams[c.Stream]
			if e == nil {
				continue // the box has proved that there is none
			}
			q.Channels = append(q.Channels, gb28181.Channel{ID: c.ID, Name: c.Title, Stream: e.stream})
			kept.streams[c.ID] = c.Stream
		}
		if p.Records && r.plan.Record != nil {
			q.Records = kept
		}
		o.Platforms = append(o.Platforms, q)
	}
	return o
}

// left is what the links bear beside what goes to the county; below nought: no bound.
func (r *Relay) left() int {
	bits := r.budget.get()
	if bits == 0 {
		return -1
	}
	r.mu.Lock()
	pushes := slices.Collect(maps.Values(r.pushes))
	r.mu.Unlock()
	for _, p := range pushes {
		bits -= p.session.State().Bitrate
	}
	return max(bits, 0)
}

// cameras are the options of the platform at which devices sign in.
func (r *Relay) cameras() national.Opts {
	u := r.plan.Upper
	o := national.Opts{Log: r.log, Now: r.mono, Go: r.start, Pause: r.pause, Desk: r.desk, ID: u.ID, Realm: u.Domain, Listen: u.Listen, From: u.From}
	for _, s := range r.plan.Streams {
		if s.Device == nil {
			continue
		}
		c := national.Camera{Device: s.Device.ID, Password: s.Password, Stream: s.Name, Channel: s.Device.Channel}
		if s.Device.TCP {
			c.Media = "tcp"
		}
		if s.Device.SHA256 {
			c.Algorithm = "SHA-256"
		}
		o.Cameras = append(o.Cameras, c)
	}
	return o
}

// devices is how it stands with those that sign in here, by their streams.
func (r *Relay) devices() map[string]*terms.DeviceState {
	r.mu.Lock()
	u := r.upper
	r.mu.Unlock()
	if u == nil {
		return nil
	}
	all := map[string]*terms.DeviceState{}
	for _, s := range u.Status() {
		all[s.Stream] = &terms.DeviceState{ID: s.Device, From: s.From, Online: s.Online, Sending: s.Sending, Phase: s.Phase}
	}
	return all
}

// tellPlatforms tells how it stands with platforms; one that refuses or is silent is a
// fault until it takes the box in.
func (r *Relay) tellPlatforms(s *terms.State) {
	r.mu.Lock()
	d := r.device
	r.mu.Unlock()
	if d == nil {
		return
	}
	now := r.mono()
	for i, p := range d.Status().Platforms {
		name := r.plan.Platforms[i].Name
		v := terms.PlatformState{Name: name, ID: p.ID, Online: p.Online, Since: now - p.Since, Phase: p.Phase, Answered: -1, Clock: p.Clock}
		if p.Answered > 0 {
			v.Answered = now - p.Answered
		}
		if !p.Why.IsZero() {
			v.Why = &p.Why
			s.Faults["platform "+name] = p.Why
		}
		for _, x := range p.Sessions {
			v.Sessions = append(v.Sessions, terms.Session{
				Stream: r.streamOf(i, x.Channel), Kind: x.Kind, Way: x.Way, To: x.To, For: now - x.Since, Bytes: x.Bytes, KeysOnly: x.KeysOnly, Paused: x.Paused,
			})
		}
		s.Platforms = append(s.Platforms, v)
	}
}

// streamOf is the stream of a channel's code at a platform.
func (r *Relay) streamOf(platform int, channel string) string {
	for _, c := range r.plan.Platforms[platform].Channels {
		if c.ID == channel {
			return c.Stream
		}
	}
	return ""
}

// began keeps a session for the box's journal.
func (r *Relay) began(platform int, s gb28181.SessionStatus) {
	x := terms.Shown{Platform: r.plan.Platforms[platform].Name, Stream: r.streamOf(platform, s.Channel), Kind: s.Kind, To: s.To}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.shown) < mostShown {
		r.shown = append(r.shown, x)
	}
}

// takeShown gives them once.
func (r *Relay) takeShown() []terms.Shown {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.shown
	r.shown = nil
	return s
}

// records are what a platform may have of the recordings: those of its channels.
type records struct {
	r       *Relay
	streams map[string]string // by channel
}

func (k records) of(channel string) (*recorder.Recorder, error) {
	name := k.streams[channel]
	k.r.mu.Lock()
	defer k.r.mu.Unlock()
	if e := k.r.streams[name]; e != nil && e.rec != nil {
		return e.rec, nil
	}
	return nil, phrase.E("video.no_record", "stream", name)
}

// List gives what is known to be of that time. What was recorded while the box knew no
// hour, and does not know it since, is not among it.
func (k records) List(_ context.Context, channel string, from, until time.Time, most int) (all []gb28181.Record, err error) {
	rec, err := k.of(channel)
	if err != nil {
		return nil, err
	}
	for _, s := range rec.Between(from, until) {
		end := s.Began.Add(s.To - s.From)
		for at := s.Began; at.Before(end) && len(all) < most; at = at.Add(recordLongest) {
			next := at.Add(recordLongest)
			if next.After(end) {
				next = end
			}
			all = append(all, gb28181.Record{From: at, Until: next})
		}
	}
	return all, nil
}

// Open begins to play.
func (k records) Open(_ context.Context, channel string, from, until time.Time) (gb28181.Player, error) {
	rec, err := k.of(channel)
	if err != nil {
		return nil, err
	}
	return rec.Tape(from, until)
}

var _ gb28181.Records = records{}
