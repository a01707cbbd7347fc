package rtsp

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"sync"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/stream"
)

// connection is one session with a camera that plays.
type connection struct {
	client *gortsplib.Client
	rung   int
	shown  string // its URL, without the password
	feed   *feed
	notes  []stream.Note
	ended  chan error
	first  chan struct{} // closed at its first picture
	closed sync.Once
}

var (
	errPassword  = errors.New("the password is refused")
	errElsewhere = errors.New("the camera sends us to another host")
)

func parse(camera, raw string) (*base.URL, error) {
	u, err := base.ParseURL(raw)
	if err != nil || u.Hostname() == "" || len(raw) > 1024 {
		return nil, phrase.E("video-rtsp.url", "camera", camera)
	}
	return u, nil
}

// connect makes a session that plays; before is called when all is set up and nothing
// plays yet. What it plays is written where Puller.write lets it.
func (p *Puller) connect(ctx context.Context, rung int, before func(*connection) error) (*connection, error) {
	u, err := parse(p.o.Name, p.o.URLs[rung])
	if err != nil {
		return nil, err
	}
	tcp := gortsplib.ProtocolTCP
	c := &connection{rung: rung, shown: without((*url.URL)(u)), ended: make(chan error, 1), first: make(chan struct{})}
	c.client = &gortsplib.Client{
		Scheme: u.Scheme, Host: u.Host, Protocol: &tcp, UserAgent: "tocsin",
		ReadTimeout: p.o.Timeout, WriteTimeout: p.o.Timeout,
		DialContext: p.dialer(u.Hostname()),
		OnResponse: func(r *base.Response) {
			if b, ok := mend(r.Body, false); ok && len(r.Body) > 0 {
				r.Body = b
			}
		},
		OnPacketsLost: func(uint64) {}, OnDecodeError: func(error) {}, OnTransportSwitch: func(error) {},
	}
	if p.o.UDP {
		c.client.Protocol = nil // UDP, and TCP where nothing comes for 3 s
		c.client.UDPReadBufferSize = 0
	}
	if err := c.client.Start(); err != nil {
		return nil, p.told(c.shown, err)
	}
	stop := context.AfterFunc(ctx, c.client.Close)
	defer stop()
	if err := c.play(p, u, before); err != nil {
		c.client.Close()
		return nil, p.told(c.shown, err)
	}
	p.o.Go("rtsp "+p.o.Name, func(context.Context) error {
		c.ended <- c.client.Wait()
		return nil
	})
	return c, nil
}

func (c *connection) play(p *Puller, u *base.URL, before func(*connection) error) error {
	d, _, err := c.client.Describe(u)
	if err != nil {
		return err
	}
	picture, sound, notes := choose(d)
	if picture == nil {
		return phrase.E("video-rtsp.camera_codec", "camera", p.o.Name, "url", c.shown)
	}
	if f, ok := picture.format.(*format.H264); ok && f.PacketizationMode == 0 {
		f.PacketizationMode = 1 // read the same way; the library takes 0 by TCP alone
	}
	if _, err := c.client.Setup(d.BaseURL, picture.media, 0, 0); err != nil {
		return err
	}
	if sound != nil {
		if _, err := c.client.Setup(d.BaseURL, sound.media, 0, 0); err != nil {
			sound, notes = nil, append(notes, stream.SoundAbsent)
		}
	}
	c.feed, c.notes = newFeed(picture, sound), notes
	begun := sync.OnceFunc(func() { close(c.first) })
	c.feed.write = func(key bool, do func(*stream.Writer)) {
		p.write(c, key, do)
		if c.feed.pictured.Load() > 0 {
			begun()
		}
	}
	c.client.OnPacketRTP(picture.media, picture.format, c.feed.video)
	if sound != nil {
		c.client.OnPacketRTP(sound.media, sound.format, c.feed.audio)
	}
	if err := before(c); err != nil {
		return err
	}
	_, err = c.client.Play(nil)
	return err
}

// tell notes what its description lacks.
func (c *connection) tell(w *stream.Writer) {
	for _, n := range c.notes {
		w.Note(n)
	}
}

func (c *connection) close() { c.closed.Do(c.client.Close) }

// dialer connects to the camera's own host and to no other: a camera that redirects
// elsewhere would take the password there.
func (p *Puller) dialer(host string) func(context.Context, string, string) (net.Conn, error) {
	left := 4
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		to, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if left--; left < 0 || !strings.EqualFold(to, host) {
			return nil, errElsewhere
		}
		return p.o.Dial(ctx, network, address)
	}
}

// told makes of the library's errors what a technician can mend.
func (p *Puller) told(at string, err error) error {
	var said *phrase.Error
	if errors.As(err, &said) {
		return err
	}
	var status liberrors.ErrClientBadStatusCode
	var auth liberrors.ErrClientAuthSetup
	var network net.Error
	switch {
	case errors.As(err, &status):
		switch status.Code {
		case base.StatusUnauthorized, base.StatusForbidden:
			return phrase.Wrap(errPassword, "video-rtsp.password", "camera", p.o.Name, "url", at)
		case base.StatusNotFound:
			return phrase.E("video-rtsp.path", "camera", p.o.Name, "url", at)
		case base.StatusNotEnoughBandwidth, base.StatusServiceUnavailable:
			return phrase.E("video-rtsp.busy", "camera", p.o.Name, "url", at, "status", int(status.Code))
		}
		return phrase.E("video-rtsp.status", "camera", p.o.Name, "url", at, "status", int(status.Code), "message", oneLine(status.Message))
	case errors.As(err, &auth):
		return phrase.Wrap(errPassword, "video-rtsp.password", "camera", p.o.Name, "url", at)
	case errors.Is(err, errElsewhere):
		return phrase.E("video-rtsp.elsewhere", "camera", p.o.Name, "url", at)
	case errors.As(err, &network), errors.As(err, &liberrors.ErrClientRequestTimedOut{}), errors.As(err, &liberrors.ErrClientTCPTimeout{}), errors.As(err, &liberrors.ErrClientUDPTimeout{}):
		return phrase.Wrap(err, "video-rtsp.unreachable", "camera", p.o.Name, "url", at)
	}
	return phrase.Wrap(err, "video-rtsp.ended", "camera", p.o.Name, "url", at)
}
