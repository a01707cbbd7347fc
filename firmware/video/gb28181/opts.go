package gb28181

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/stream"
)

// Opts is what the room needs.
type Opts struct {
	Log *slog.Logger
	// Now is the box's monotonic clock, Wall its wall clock.
	Now  func() time.Duration
	Wall func() time.Time
	// Go starts a goroutine that its owner waits for.
	Go func(name string, run func(context.Context) error)
	// Pause waits; nil waits for real.
	Pause func(ctx context.Context, d time.Duration) error

	About     About
	Platforms []Platform
	// Began, where set, is told of each session that a platform has begun, with its place in
	// Platforms. It must not block.
	Began func(platform int, s SessionStatus)
	// MostSessions at a time, over all platforms; nought is 4.
	MostSessions int
	// Budget is the bits in a second that all sessions may have together; nil, or
	// below nought, bounds nothing.
	Budget func() int
}

// About is what the box says of itself.
type About struct{ Name, Maker, Model, Firmware string }

// Platform is one to sign in at.
type Platform struct {
	Name      string // for people
	ID        string // the platform's code
	Realm     string // its domain; empty is the first ten digits of its code
	Host      string // name or address
	Port      int    // nought is 5060
	Transport string // udp or tcp
	Device    string // this box's code there
	User      string // empty is the box's code
	Password  string
	// Expires is how long a signing-in is asked to hold, Keepalive how often the box
	// says that it lives, Misses how many may go unanswered.
	Expires, Keepalive time.Duration
	Misses             int
	// LocalPort is where SIP comes by datagrams; nought is any.
	LocalPort int
	// MediaTo, where set, are the only prefixes that pictures go to.
	MediaTo []netip.Prefix
	// Charset is what bodies are written in: GB2312 (also where empty), GB18030, UTF-8.
	Charset string
	// Channels are what it sees, and it sees no others.
	Channels []Channel
	// Records are what it may play back; nil has none.
	Records Records
}

// Channel is one camera as a platform sees it.
type Channel struct {
	ID     string
	Name   string
	Stream *stream.Stream
}

// Record is a span of time of which there are pictures.
type Record struct{ From, Until time.Time }

// Records are the pictures that the box has kept.
type Records interface {
	// List gives the records of a channel within the span, oldest first, at most most.
	List(ctx context.Context, channel string, from, until time.Time, most int) ([]Record, error)
	// Open begins at the key picture before from.
	Open(ctx context.Context, channel string, from, until time.Time) (Player, error)
}

// Player gives a record's units in the order of decoding, as fast as they are asked
// for; io.EOF at its end. It is of one goroutine.
type Player interface {
	Next(context.Context) (*stream.Unit, error)
	// Seek goes on at the key picture before that place, counted from the beginning.
	Seek(time.Duration) error
	Close()
}

func (o *Opts) settle() error {
	if o.Pause == nil {
		o.Pause = pause
	}
	if o.MostSessions <= 0 {
		o.MostSessions = 4
	}
	ps := make([]Platform, len(o.Platforms))
	for i, p := range o.Platforms {
		if err := p.settle(); err != nil {
			return err
		}
		ps[i] = p
	}
	o.Platforms = ps
	return nil
}

func (p *Platform) settle() error {
	if p.Name == "" {
		p.Name = p.Host
	}
	for what, id := range map[string]string{"platform.id": p.ID, "platform.device": p.Device} {
		if err := checkID(what, id); err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	for _, c := range p.Channels {
		if err := checkID(c.Name, c.ID); err != nil {
			return err
		}
		if seen[c.ID] {
			return phrase.E("gb28181.twice", "id", c.ID)
		}
		seen[c.ID] = true
	}
	if p.Realm == "" {
		p.Realm = p.ID[:10]
	}
	if p.User == "" {
		p.User = p.Device
	}
	if p.Port == 0 {
		p.Port = 5060
	}
	if p.Host == "" || p.Port < 1 || p.Port > 65535 {
		return phrase.E("gb28181.address", "name", p.Name)
	}
	if p.Transport == "" {
		p.Transport = "udp"
	}
	if p.Transport != "udp" && p.Transport != "tcp" {
		return phrase.E("gb28181.transport", "name", p.Name, "transport", shown(p.Transport))
	}
	switch p.Charset {
	case "":
		p.Charset = "GB2312"
	case "GB2312", "GB18030", "UTF-8":
	default:
		return phrase.E("gb28181.charset", "name", p.Name, "charset", shown(p.Charset))
	}
	if p.Expires <= 0 {
		p.Expires = time.Hour
	}
	if p.Keepalive <= 0 {
		p.Keepalive = time.Minute
	}
	if p.Misses <= 0 {
		p.Misses = 3
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
