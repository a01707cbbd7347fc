package gb28181

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/gb28181/mans"
	"tocsin/firmware/video/source"
)

// Opts is what the room needs.
type Opts struct {
	Log *slog.Logger
	Now func() time.Duration // the box's monotonic clock
	// Go starts a goroutine that its owner waits for.
	Go func(name string, run func(context.Context) error)
	// Pause waits; nil waits for real.
	Pause func(ctx context.Context, d time.Duration) error
	Desk  source.Desk

	ID     string         // this box's code as a platform
	Realm  string         // its domain; empty is the first ten digits of its code
	Listen netip.AddrPort // where SIP comes, by datagrams and by TCP
	// From, where set, are the only prefixes that are heard.
	From    []netip.Prefix
	Cameras []Camera
	// Lost is after how long without a keepalive a device is gone, Silence after how
	// long without pictures a session is asked for again.
	Lost, Silence time.Duration
}

// Camera is a device that may sign in.
type Camera struct {
	Device   string // its code
	Password string
	Stream   string // the stream that its pictures go to
	// Channel is the code of its camera; empty is the first of its catalog.
	Channel string
	// Media is how pictures come: udp (also where empty) or tcp.
	Media string
	// Algorithm of the digest: MD5 (also where empty) or SHA-256.
	Algorithm string
}

// Server is the platform. Use New.
type Server struct {
	o       Opts
	key     []byte // of nonces
	cameras map[string]*camera
	gate    *source.Gate

	mu     sync.Mutex
	at     netip.AddrPort // where it listens
	passes map[string]*source.Pass
}

// New makes one; the error names what the configuration has wrong.
func New(o Opts) (*Server, error) {
	if !mans.IsCode(o.ID) {
		return nil, phrase.E("gb28181_in.id", "what", "id", "id", shown(o.ID))
	}
	if o.Realm == "" {
		o.Realm = o.ID[:10]
	}
	if o.Pause == nil {
		o.Pause = pause
	}
	if o.Lost <= 0 {
		o.Lost = 200 * time.Second
	}
	if o.Silence <= 0 {
		o.Silence = 15 * time.Second
	}
	s := &Server{o: o, key: make([]byte, 32), cameras: map[string]*camera{}, gate: source.NewGate(4, 32), passes: map[string]*source.Pass{}}
	if _, err := rand.Read(s.key); err != nil {
		return nil, err
	}
	for _, c := range o.Cameras {
		switch {
		case !mans.IsCode(c.Device):
			return nil, phrase.E("gb28181_in.id", "what", c.Stream, "id", shown(c.Device))
		case c.Channel != "" && !mans.IsCode(c.Channel):
			return nil, phrase.E("gb28181_in.id", "what", c.Stream, "id", shown(c.Channel))
		case s.cameras[c.Device] != nil:
			return nil, phrase.E("gb28181_in.twice", "id", c.Device)
		case c.Password == "":
			return nil, phrase.E("gb28181_in.no_password", "id", c.Device)
		case c.Media != "" && c.Media != "udp" && c.Media != "tcp",
			c.Algorithm != "" && c.Algorithm != "MD5" && c.Algorithm != "SHA-256":
			return nil, phrase.E("gb28181_in.unknown", "id", c.Device, "what", shown(c.Media+" "+c.Algorithm))
		}
		s.cameras[c.Device] = &camera{s: s, c: c, phase: phrase.M("gb28181_in.not_yet"), changed: make(chan struct{}, 1), catalog: make(chan string, 1)}
	}
	return s, nil
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
