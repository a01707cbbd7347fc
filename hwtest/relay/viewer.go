package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// LiveAge is how old a picture may be that is called live.
const LiveAge = 100 * time.Millisecond

// patience is how long a hole may stand before what comes after it is taken: a player's
// jitter buffer waits for what is sent again too.
const patience = 400 * time.Millisecond

// Viewing says what is viewed.
type Viewing struct {
	URL   string
	HTTP  *http.Client // nil is the usual one
	Film  *Film
	Table *Table // nil: nobody knows when pictures were sent
	// Everywhere looks for ways by all addresses of this machine, not by its loopback alone.
	Everywhere bool
}

func (w Viewing) client() *http.Client {
	if w.HTTP != nil {
		return w.HTTP
	}
	return http.DefaultClient
}

// Count is what a viewer saw since the last Begin.
type Count struct {
	Delays   []time.Duration // from before a picture's first packet was sent until all of it is here
	Packets  int64
	Gaps     int64 // missing when the next packet came
	Lost     int64 // never seen
	Pictures int64
	Bytes    int64
}

// Viewer is one WHEP player.
type Viewer struct {
	viewing Viewing
	pc      *webrtc.PeerConnection
	session string

	first, live, broke chan struct{}
	once               sync.Once

	mu       sync.Mutex
	err      error
	posted   time.Time
	began    time.Time     // the first picture is here
	lively   time.Time     // a picture younger than LiveAge is here
	firstAge time.Duration // of the first picture; -1 is unknown
	count    Count

	// packets by their extended sequence numbers
	some bool
	from uint64 // where the count begins
	most uint64
	seen []uint64
	next uint64
	held map[uint64]*rtp.Packet
	hole time.Time

	// the picture that is put together
	stamp    uint32
	open     bool
	broken   bool
	idr      bool
	fragment []byte
	slice    []byte
	started  bool
}

// View begins to view; how it goes is told by First and Live.
func View(w Viewing) *Viewer {
	v := &Viewer{viewing: w, firstAge: -1, first: make(chan struct{}), live: make(chan struct{}), broke: make(chan struct{})}
	go v.run()
	return v
}

// First waits for the first complete picture and tells how long after the request it
// came, and how old it was (-1: nobody knows).
func (v *Viewer) First(ctx context.Context) (after, age time.Duration, err error) {
	if err := v.wait(ctx, v.first, "the first picture"); err != nil {
		return 0, 0, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.began.Sub(v.posted), v.firstAge, nil
}

// Live waits for a picture younger than LiveAge and tells how long after the request it
// came.
func (v *Viewer) Live(ctx context.Context) (time.Duration, error) {
	if err := v.wait(ctx, v.live, "a live picture"); err != nil {
		return 0, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.lively.Sub(v.posted), nil
}

func (v *Viewer) wait(ctx context.Context, c chan struct{}, what string) error {
	select {
	case <-c:
		return nil
	case <-v.broke:
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.err
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
}

func (v *Viewer) fail(err error) {
	v.once.Do(func() {
		v.mu.Lock()
		v.err = err
		v.mu.Unlock()
		close(v.broke)
	})
}

func (v *Viewer) run() {
	if err := v.ask(); err != nil {
		v.fail(err)
	}
}

func (v *Viewer) ask() error {
	m := &webrtc.MediaEngine{}
	feedback := []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "transport-cc"}}
	for i, profile := range []string{"42e01f", "42001f", "4d001f", "64001f", "640028"} {
		err := m.RegisterCodec(webrtc.RTPCodecParameters{PayloadType: webrtc.PayloadType(96 + i), RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeH264, ClockRate: 90_000, RTCPFeedback: feedback,
			SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=" + profile}}, webrtc.RTPCodecTypeVideo)
		if err != nil {
			return err
		}
	}
	with := &interceptor.Registry{}
	if err := webrtc.RegisterDefaultInterceptors(m, with); err != nil {
		return err
	}
	s := webrtc.SettingEngine{}
	s.SetIncludeLoopbackCandidate(true)
	if !v.viewing.Everywhere {
		s.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() })
	}
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(with), webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return err
	}
	v.mu.Lock()
	v.pc = pc
	v.mu.Unlock()
	if _, err = pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		return err
	}
	pc.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { v.read(t) })
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateFailed {
			v.fail(errors.New("the connection failed"))
		}
	})
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err = pc.SetLocalDescription(offer); err != nil {
		return err
	}
	<-gathered
	v.mu.Lock()
	v.posted = time.Now()
	v.mu.Unlock()
	resp, err := v.viewing.client().Post(v.viewing.URL, "application/sdp", bytes.NewBufferString(pc.LocalDescription().SDP))
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	resp.Body.Close()
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the server answers %s: %s", resp.Status, bytes.TrimSpace(answer))
	}
	if at, err := url.Parse(v.viewing.URL); err == nil && resp.Header.Get("Location") != "" {
		if to, err := at.Parse(resp.Header.Get("Location")); err == nil {
			v.mu.Lock()
			v.session = to.String()
			v.mu.Unlock()
		}
	}
	return pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)})
}

// Close ends the viewing, at the server too.
func (v *Viewer) Close() {
	v.mu.Lock()
	session, pc := v.session, v.pc
	v.mu.Unlock()
	if session != "" {
		if r, err := http.NewRequest(http.MethodDelete, session, nil); err == nil {
			if resp, err := v.viewing.client().Do(r); err == nil {
				resp.Body.Close()
			}
		}
	}
	if pc != nil {
		pc.Close()
	}
}

func (v *Viewer) read(t *webrtc.TrackRemote) {
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return
		}
		now, at := time.Now(), mono()
		v.mu.Lock()
		v.packet(p, now, at)
		v.mu.Unlock()
	}
}

// Begin counts anew.
func (v *Viewer) Begin() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.count, v.seen, v.from = Count{}, nil, v.most+1
}

// Count is what was seen since Begin.
func (v *Viewer) Count() Count {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := v.count
	if v.most >= v.from {
		c.Lost = int64(v.most - v.from + 1)
		for _, w := range v.seen {
			c.Lost -= int64(bits.OnesCount64(w))
		}
	}
	return c
}

// packet takes one packet as it comes, and hands on what is in order.
func (v *Viewer) packet(p *rtp.Packet, now time.Time, at int64) {
	if !v.some {
		v.some = true
		v.most = 1<<20 + uint64(p.SequenceNumber)
		v.from, v.next = v.most, v.most
		v.held = map[uint64]*rtp.Packet{}
	}
	ahead := int16(p.SequenceNumber - uint16(v.most))
	n := uint64(int64(v.most) + int64(ahead))
	if ahead > 0 {
		v.count.Gaps += int64(ahead) - 1
		v.most = n
	}
	if n >= v.from {
		i := n - v.from
		for uint64(len(v.seen)) <= i/64 {
			v.seen = append(v.seen, 0)
		}
		v.seen[i/64] |= 1 << (i % 64)
	}
	v.count.Packets++
	v.count.Bytes += int64(len(p.Payload))
	if n < v.next {
		return // twice, or too late
	}
	v.held[n] = p
	for len(v.held) > 0 {
		if q, ok := v.held[v.next]; ok {
			delete(v.held, v.next)
			v.next++
			v.hole = time.Time{}
			v.inOrder(q, now, at)
			continue
		}
		if v.hole.IsZero() {
			v.hole = now
		}
		if now.Sub(v.hole) < patience {
			return
		}
		for v.held[v.next] == nil {
			v.next++
		}
		v.broken = true
	}
}

func (v *Viewer) inOrder(p *rtp.Packet, now time.Time, at int64) {
	if len(p.Payload) == 0 {
		return
	}
	if !v.open || p.Timestamp != v.stamp {
		v.open, v.idr, v.stamp, v.fragment, v.slice = true, false, p.Timestamp, v.fragment[:0], nil
	}
	switch t := p.Payload[0] & 31; {
	case t >= 1 && t <= 23:
		v.nal(p.Payload)
	case t == 24:
		for b := p.Payload[1:]; len(b) > 2; {
			n := int(b[0])<<8 | int(b[1])
			if n+2 > len(b) {
				break
			}
			v.nal(b[2 : 2+n])
			b = b[2+n:]
		}
	case t == 28 && len(p.Payload) > 2:
		h := p.Payload[1]
		if h&0x80 != 0 {
			v.fragment = append(v.fragment[:0], p.Payload[0]&0xe0|h&31)
		}
		v.fragment = append(v.fragment, p.Payload[2:]...)
		if h&0x40 != 0 {
			v.nal(v.fragment)
		}
	}
	if !p.Marker {
		return
	}
	v.open = false
	if v.broken {
		v.broken = false
		return
	}
	if v.slice != nil {
		v.picture(now, at)
	}
}

// picture is told of each whole one.
func (v *Viewer) picture(now time.Time, at int64) {
	v.count.Pictures++
	age := time.Duration(-1)
	if v.viewing.Table != nil {
		if i, ok := v.viewing.Film.find(v.slice); ok {
			if sent := v.viewing.Table.sent(i); sent != 0 {
				age = time.Duration(at - sent)
				v.count.Delays = append(v.count.Delays, age)
			}
		}
	}
	if v.idr && !v.started {
		v.started, v.began, v.firstAge = true, now, age
		close(v.first)
	}
	if v.started && v.lively.IsZero() && age >= 0 && age < LiveAge {
		v.lively = now
		close(v.live)
	}
}

func (v *Viewer) nal(n []byte) {
	if len(n) == 0 || !isSlice(n) {
		return
	}
	v.idr = v.idr || n[0]&31 == 5
	if v.slice == nil {
		v.slice = append([]byte(nil), n...)
	}
}
