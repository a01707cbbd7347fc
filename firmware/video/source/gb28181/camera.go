package gb28181

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/gb28181/mans"
)

const (
	firstAgain = 2 * time.Second
	lastAgain  = time.Minute
	guessEvery = 10 * time.Second // how often a wrong password is told and logged
)

// camera is a configured device, with where it is while it is signed in.
type camera struct {
	s            *Server
	c            Camera
	byUDP, byTCP *sipgo.Client
	changed      chan struct{}
	catalog      chan string

	mu        sync.Mutex
	phase     phrase.Message
	source    string // address and port of its SIP
	transport string
	until     time.Duration
	last      time.Duration
	nonce     string // the last that was answered
	told      time.Duration
	sn        int
	call      string // Call-ID of the session
	hangUp    context.CancelCauseFunc
	packets   uint64
	ended     chan struct{}
}

// Status is what the page shows of a camera.
type Status struct {
	Stream, Device, From string
	Online, Sending      bool
	Phase                phrase.Message
	Packets              uint64
}

// Status tells how the cameras are, in the order of the configuration.
func (s *Server) Status() (all []Status) {
	for _, o := range s.o.Cameras {
		c := s.cameras[o.Device]
		c.mu.Lock()
		all = append(all, Status{Stream: o.Stream, Device: o.Device, From: c.source, Online: c.onlineLocked(), Sending: c.call != "", Phase: c.phase, Packets: c.packets})
		c.mu.Unlock()
	}
	return all
}

func (c *camera) tell(m phrase.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase.Code != m.Code {
		c.s.o.Log.Info("camera", "stream", c.c.Stream, "state", m.In(phrase.EN))
	}
	c.phase = m
}

// over is closed when run has ended, or at once where it never began.
func (c *camera) over() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == nil {
		c.ended = make(chan struct{})
	}
	return c.ended
}

func (c *camera) onlineLocked() bool {
	now := c.s.o.Now()
	return c.source != "" && now < c.until && now-c.last < c.s.o.Lost
}

func (c *camera) online() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.onlineLocked()
}

// isFrom says that the device signed in from that address; the port may change behind
// a router.
func (c *camera) isFrom(source string) bool {
	a, err := netip.ParseAddrPort(source)
	c.mu.Lock()
	defer c.mu.Unlock()
	b, err2 := netip.ParseAddrPort(c.source)
	return err == nil && err2 == nil && a.Addr().Unmap() == b.Addr().Unmap() && c.onlineLocked()
}

func (c *camera) heard() {
	c.mu.Lock()
	c.last = c.s.o.Now()
	c.mu.Unlock()
}

// guessed says whether a wrong password is to be told: not each of a flood.
func (c *camera) guessed(now time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told > 0 && now-c.told < guessEvery || c.onlineLocked() {
		return false
	}
	c.told = max(now, 1)
	return true
}

// firstUse says that the nonce was not answered before.
func (c *camera) firstUse(nonce string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if nonce == c.nonce {
		return false
	}
	c.nonce = nonce
	return true
}

func (c *camera) signedIn(r *sip.Request, expires time.Duration) {
	now := c.s.o.Now()
	c.mu.Lock()
	c.source, c.transport, c.until, c.last = r.Source(), r.Transport(), now+expires, now
	hang := c.hangUp
	c.mu.Unlock()
	if expires == 0 {
		if hang != nil {
			hang(errLeft)
		}
		c.tell(phrase.M("gb28181_in.left", "stream", c.c.Stream))
		return
	}
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

func (c *camera) isCall(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return id != "" && c.call == id
}

var (
	errLeft   = errors.New("the device signed out")
	errHungUp = errors.New("the device ended the session")
)

func (c *camera) hungUp(call string) {
	c.mu.Lock()
	hang := c.hangUp
	same := c.call == call
	c.mu.Unlock()
	if same && hang != nil {
		hang(errHungUp)
	}
}

// run asks for pictures as long as the device is there.
func (c *camera) run(ctx context.Context) {
	c.over()
	defer close(c.ended)
	again := firstAgain
	for ctx.Err() == nil {
		if !c.online() {
			again = firstAgain
			select {
			case <-c.changed:
			case <-ctx.Done():
			}
			continue
		}
		began := c.s.o.Now()
		err := c.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errLeft) {
			c.tell(phrase.M("gb28181_in.left", "stream", c.c.Stream))
			continue
		}
		var e *phrase.Error
		if !errors.As(err, &e) {
			e = phrase.Wrap(err, "gb28181_in.ended", "stream", c.c.Stream, "why", fmt.Sprint(err))
		}
		c.tell(e.Message)
		if c.s.o.Now()-began > lastAgain {
			again = firstAgain
		}
		if c.s.o.Pause(ctx, again) != nil {
			return
		}
		again = min(2*again, lastAgain)
	}
}

// request makes a request to the device or its channel.
func (c *camera) request(method sip.RequestMethod, to string) (*sip.Request, *sipgo.Client, error) {
	c.mu.Lock()
	source, transport, online := c.source, c.transport, c.onlineLocked()
	c.mu.Unlock()
	if !online {
		return nil, nil, errLeft
	}
	a, err := netip.ParseAddrPort(source)
	if err != nil {
		return nil, nil, err
	}
	host := a.Addr().Unmap().String()
	if a.Addr().Unmap().Is6() {
		host = "[" + host + "]"
	}
	r := sip.NewRequest(method, sip.Uri{Scheme: "sip", User: to, Host: host, Port: int(a.Port())})
	r.SetTransport(transport)
	r.SetDestination(source)
	from := sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: c.s.o.ID, Host: c.s.o.Realm}}
	from.Params.Add("tag", sip.GenerateTagN(12))
	r.AppendHeader(&from)
	r.AppendHeader(&sip.ToHeader{Address: sip.Uri{Scheme: "sip", User: to, Host: c.s.o.Realm}})
	if transport == "TCP" {
		return r, c.byTCP, nil
	}
	return r, c.byUDP, nil
}

// message sends a body of MANSCDP.
func (c *camera) message(ctx context.Context, kind, command, of string, more ...mans.Element) error {
	r, client, err := c.request(sip.MESSAGE, c.c.Device)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.sn++
	n := strconv.Itoa(c.sn)
	c.mu.Unlock()
	r.AppendHeader(sip.NewHeader("Content-Type", "Application/MANSCDP+xml"))
	r.SetBody(mans.Write("GB2312", mans.Element{Name: kind, Parts: append([]mans.Element{mans.El("CmdType", command), mans.El("SN", n), mans.El("DeviceID", of)}, more...)}))
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	res, err := client.Do(ctx, r)
	if err == nil && !res.IsSuccess() {
		err = fmt.Errorf("%s answered with %d", command, res.StatusCode)
	}
	return err
}

// findChannel is the code of the camera: configured, or the first of the catalog.
func (c *camera) findChannel(ctx context.Context) (string, error) {
	if c.c.Channel != "" {
		return c.c.Channel, nil
	}
	select {
	case <-c.catalog:
	default:
	}
	if err := c.message(ctx, "Query", "Catalog", c.c.Device); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	select {
	case id := <-c.catalog:
		return id, nil
	case <-ctx.Done():
		return "", phrase.E("gb28181_in.no_catalog", "stream", c.c.Stream)
	}
}
