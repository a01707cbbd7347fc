package camera

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"
	"github.com/pion/rtp"
)

// Opts are what the camera is like.
type Opts struct {
	User, Password string
	// UDP is the first of two free ports, the first even; 0 gives by TCP alone.
	UDP int
	// H265 makes the main stream H.265; the lower one is H.264 always.
	H265 bool
	// Sound is "", "pcma", "aac" or "refused" (described, and its SETUP fails).
	Sound string
	// Sets are put into the description of H.264 streams: SPS, PPS.
	Sets [2][]byte
	// Most sessions at a time; 0 is any number.
	Most int
	// Redirect is where DESCRIBE sends whoever asks, "" nowhere.
	Redirect string
	// JPEG is the snapshot.
	JPEG []byte
}

// Camera is one that runs. Use Start.
type Camera struct {
	o    Opts
	rtsp *gortsplib.Server
	web  *http.Server
	http net.Listener

	mu       sync.Mutex
	streams  map[string]*one
	sessions map[*gortsplib.ServerSession]string
	playing  map[*gortsplib.ServerSession]bool
	asked    int // key pictures asked for
	tries    int // requests with a password, right or wrong
	refused  int // of them, with a wrong one
	nonces   map[string]bool
	stops    []func()
}

// one is a stream of the camera.
type one struct {
	s              *gortsplib.ServerStream
	picture, sound *description.Media
	enc            interface {
		Encode([][]byte) ([]*rtp.Packet, error)
	}
}

// Start runs a camera on ports of 127.0.0.1.
func Start(o Opts) (*Camera, error) {
	c := &Camera{o: o, streams: map[string]*one{}, sessions: map[*gortsplib.ServerSession]string{}, playing: map[*gortsplib.ServerSession]bool{}, nonces: map[string]bool{}}
	c.rtsp = &gortsplib.Server{Handler: (*handler)(c), RTSPAddress: "127.0.0.1:0"}
	if o.UDP != 0 {
		c.rtsp.UDPRTPAddress, c.rtsp.UDPRTCPAddress = fmt.Sprintf("127.0.0.1:%d", o.UDP), fmt.Sprintf("127.0.0.1:%d", o.UDP+1)
	}
	if err := c.rtsp.Start(); err != nil {
		return nil, err
	}
	for _, name := range []string{"main", "sub"} {
		s, err := c.stream(name == "main" && o.H265)
		if err != nil {
			return nil, err
		}
		c.streams[name] = s
	}
	var err error
	if c.http, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	c.web = &http.Server{Handler: c.onvif()}
	go c.web.Serve(c.http)
	return c, nil
}

func (c *Camera) stream(h265 bool) (*one, error) {
	var f format.Format
	s := &one{}
	if h265 {
		k := &format.H265{PayloadTyp: 96}
		e, err := k.CreateEncoder()
		if err != nil {
			return nil, err
		}
		f, s.enc = k, e
	} else {
		k := &format.H264{PayloadTyp: 96, PacketizationMode: 1, SPS: c.o.Sets[0], PPS: c.o.Sets[1]}
		e, err := k.CreateEncoder()
		if err != nil {
			return nil, err
		}
		f, s.enc = k, e
	}
	s.picture = &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{f}}
	d := &description.Session{Medias: []*description.Media{s.picture}}
	switch c.o.Sound {
	case "pcma", "refused":
		s.sound = &description.Media{Type: description.MediaTypeAudio, Formats: []format.Format{&format.G711{PayloadTyp: 8, SampleRate: 8000, ChannelCount: 1}}}
		d.Medias = append(d.Medias, s.sound)
	case "aac": // without its configuration, as some describe it
		s.sound = &description.Media{Type: description.MediaTypeAudio, Formats: []format.Format{&format.Generic{PayloadTyp: 97, RTPMa: "MPEG4-GENERIC/16000/1", ClockRat: 16000}}}
		d.Medias = append(d.Medias, s.sound)
	}
	s.s = &gortsplib.ServerStream{Server: c.rtsp, Desc: d}
	return s, s.s.Initialize()
}

// Close ends it.
func (c *Camera) Close() {
	for _, stop := range c.stops {
		stop()
	}
	c.web.Close()
	c.rtsp.Close()
}

// URL is that of a stream, main or sub, without a password.
func (c *Camera) URL(name string) string {
	return fmt.Sprintf("rtsp://%s/%s", c.rtsp.NetListener().Addr(), name)
}

// Login is URL with user and password.
func (c *Camera) Login(name string) string {
	return strings.Replace(c.URL(name), "rtsp://", "rtsp://"+c.o.User+":"+c.o.Password+"@", 1)
}

// Send gives a picture to all who watch a stream; ts is in ticks of 90 kHz.
func (c *Camera) Send(name string, ts uint32, nals [][]byte) error {
	s := c.streams[name]
	ps, err := s.enc.Encode(nals)
	if err != nil {
		return err
	}
	for _, p := range ps {
		p.Timestamp = ts
		if err := s.s.WritePacketRTP(s.picture, p); err != nil {
			return err
		}
	}
	return nil
}

// Hear gives a packet of sound to all who watch a stream.
func (c *Camera) Hear(name string, seq uint16, ts uint32, b []byte) error {
	s := c.streams[name]
	return s.s.WritePacketRTP(s.sound, &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: s.sound.Formats[0].PayloadType(), SequenceNumber: seq, Timestamp: ts}, Payload: b})
}

// Watching is how many watch a stream.
func (c *Camera) Watching(name string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ss, what := range c.sessions {
		if what == name && c.playing[ss] {
			n++
		}
	}
	return n
}

// Cut breaks off all who watch a stream.
func (c *Camera) Cut(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ss, what := range c.sessions {
		if what == name {
			delete(c.playing, ss)
			ss.Close()
		}
	}
}

// Asked is how often a key picture was asked for by ONVIF.
func (c *Camera) Asked() int { c.mu.Lock(); defer c.mu.Unlock(); return c.asked }

// Tries is how many requests had a password, and how many of them a wrong one.
func (c *Camera) Tries() (all, wrong int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tries, c.refused
}

type handler Camera

func (h *handler) may(sc *gortsplib.ServerConn, req *base.Request) bool {
	if h.o.User == "" {
		return true
	}
	ok := sc.VerifyCredentials(req, h.o.User, h.o.Password)
	if req.Header["Authorization"] != nil {
		h.mu.Lock()
		h.tries++
		if !ok {
			h.refused++
		}
		h.mu.Unlock()
	}
	return ok
}

var errNo = errors.New("no")

func (h *handler) OnDescribe(c *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if h.o.Redirect != "" {
		return &base.Response{StatusCode: base.StatusFound, Header: base.Header{"Location": base.HeaderValue{h.o.Redirect}}}, nil, nil
	}
	if !h.may(c.Conn, c.Request) {
		return &base.Response{StatusCode: base.StatusUnauthorized}, nil, liberrors.ErrServerAuth{}
	}
	s := h.streams[strings.Trim(c.Path, "/")]
	if s == nil {
		return &base.Response{StatusCode: base.StatusNotFound}, nil, nil
	}
	return &base.Response{StatusCode: base.StatusOK}, s.s, nil
}

func (h *handler) OnSetup(c *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	name := strings.Trim(c.Path, "/")
	s := h.streams[name]
	if s == nil || !h.may(c.Conn, c.Request) {
		return &base.Response{StatusCode: base.StatusNotFound}, nil, nil
	}
	if h.o.Sound == "refused" && strings.HasSuffix(c.Request.URL.String(), "trackID=1") {
		return &base.Response{StatusCode: base.StatusUnsupportedTransport}, nil, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.o.Most > 0 && len(h.sessions) >= h.o.Most && h.sessions[c.Session] == "" {
		return &base.Response{StatusCode: base.StatusNotEnoughBandwidth}, nil, errNo
	}
	h.sessions[c.Session] = name
	return &base.Response{StatusCode: base.StatusOK}, s.s, nil
}

func (h *handler) OnPlay(*gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	return &base.Response{StatusCode: base.StatusOK}, nil
}

func (h *handler) OnSessionClose(c *gortsplib.ServerHandlerOnSessionCloseCtx) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sessions, c.Session)
	delete(h.playing, c.Session)
}

// OnResponse notes who plays: only when PLAY is answered is what is sent for him too.
func (h *handler) OnResponse(sc *gortsplib.ServerConn, _ *base.Response) {
	if ss := sc.Session(); ss != nil && ss.State() == gortsplib.ServerSessionStatePlay {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.sessions[ss] != "" {
			h.playing[ss] = true
		}
	}
}

func (h *handler) OnStreamWriteError(*gortsplib.ServerHandlerOnStreamWriteErrorCtx) {}
