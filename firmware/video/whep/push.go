package whep

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pion/interceptor/pkg/cc"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/stream"
)

// The data channels by which stills go where a link bears no video. One that comes every few
// seconds and took longer than its life is worth nothing any more; one that comes seldom may take its time.
const (
	stillsChannel = "stills"
	seldomChannel = "seldom stills"
	stillLife     = 3 * time.Second
	seldomLife    = time.Minute
	// stillAgain is the longest wait before what was not heard of is sent again: a link that was
	// away and is back shall not wait for the minute to which RFC 9260 6.3.3 lets it grow.
	stillAgain = 1200 * time.Millisecond
	probeEvery = 20 * time.Millisecond
	padding    = 224 // bytes of a packet that holds nothing
)

// PushRequest is a stream that goes to the county.
type PushRequest struct {
	Stream *stream.Stream
	// URL and Token are the county's (RFC 9725).
	URL, Token string
	ICE        []webrtc.ICEServer
	// Client carries the request; nil is Go's own.
	Client *http.Client
	Gov    Governor
	// Start is what the way is believed to bear before anything is known of it, bit/s.
	Start int
}

// Push gives a stream to the county by WHIP. The session is there when the county has
// answered; it ends when the way breaks or somebody ends it.
func (s *Server) Push(ctx context.Context, q PushRequest) (*Session, error) {
	st, err := s.picture(ctx, q.Stream)
	if err != nil {
		return nil, err
	}
	if q.Client == nil {
		q.Client = http.DefaultClient
	}
	v := s.session(Push, q.Stream, "county")
	v.gov = q.Gov
	if err := s.admit(v, 0); err != nil {
		return nil, err
	}
	kept := false
	defer func() {
		if !kept {
			v.end(errEnded)
			s.forget(v)
			if v.pc != nil {
				v.pc.Close()
			}
		}
	}()
	var est cc.BandwidthEstimator
	v.wire = &wire{now: s.o.Now}
	api, err := s.pusher(q.Start, v.wire, func(e cc.BandwidthEstimator) { est = e })
	if err != nil {
		return nil, err
	}
	if v.pc, err = api.NewPeerConnection(webrtc.Configuration{ICEServers: q.ICE, Certificates: []webrtc.Certificate{s.cert}}); err != nil {
		return nil, err
	}
	if est != nil {
		v.est = est.GetTargetBitrate
	}
	v.carry(st)
	if st.Sound != stream.None {
		v.tracks = append(v.tracks, newTrack(st.Sound, "sound", uint16(random()), random()))
	}
	var senders []*webrtc.RTPSender
	for _, t := range v.tracks {
		tr, err := v.pc.AddTransceiverFromTrack(t, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		if err != nil {
			return nil, err
		}
		senders = append(senders, tr.Sender())
	}
	for i, c := range []struct {
		name string
		life time.Duration
	}{{stillsChannel, stillLife}, {seldomChannel, seldomLife}} {
		life := uint16(c.life / time.Millisecond)
		if v.stills[i].ch, err = v.pc.CreateDataChannel(c.name, &webrtc.DataChannelInit{MaxPacketLifeTime: &life}); err != nil {
			return nil, err
		}
		v.stills[i].life = c.life
	}
	offer, err := v.pc.CreateOffer(nil)
	if err != nil {
		return nil, err
	}
	v.watch()
	sdp, err := gathered(ctx, v.pc, func() error { return v.pc.SetLocalDescription(offer) })
	if err != nil {
		return nil, err
	}
	at, answer, err := knock(ctx, q, sdp)
	if err != nil {
		return nil, err
	}
	if err := v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		return nil, phrase.Wrap(err, "whep.answer", "detail", err.Error())
	}
	kept = true
	for i, t := range v.tracks {
		s.o.Start("whip feedback", func() { v.hear(senders[i], t) })
	}
	s.o.Start("whip probes", v.probe)
	s.o.Start("whip push", func() {
		v.run()
		if at != "" {
			leave(q, at)
		}
	})
	return v, nil
}

// knock posts the offer.
func knock(ctx context.Context, q PushRequest, sdp string) (at, answer string, _ error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, q.URL, strings.NewReader(sdp))
	if err != nil {
		return "", "", phrase.Wrap(err, "whep.county", "detail", err.Error())
	}
	r.Header.Set("Content-Type", "application/sdp")
	r.Header.Set("Authorization", "Bearer "+q.Token)
	res, err := q.Client.Do(r)
	if err != nil {
		return "", "", phrase.Wrap(err, "whep.county", "detail", errors.Unwrap(err))
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, MaxBody))
	if err != nil {
		return "", "", phrase.Wrap(err, "whep.county", "detail", err.Error())
	}
	if res.StatusCode != http.StatusCreated {
		return "", "", phrase.E("whep.county", "detail", res.Status)
	}
	if u, err := url.Parse(q.URL); err == nil {
		if l, err := u.Parse(res.Header.Get("Location")); err == nil && l.Host == u.Host && l.Scheme == u.Scheme {
			at = l.String()
		}
	}
	return at, string(b), nil
}

// leave tells the county that it is over.
func leave(q PushRequest, at string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodDelete, at, nil)
	if err != nil {
		return
	}
	r.Header.Set("Authorization", "Bearer "+q.Token)
	if res, err := q.Client.Do(r); err == nil {
		res.Body.Close()
	}
}

// channel is a data channel for stills, with what it was given and has not brought there.
type channel struct {
	ch   *webrtc.DataChannel
	life time.Duration
	left int
	at   time.Duration // when it was given something last
}

// SendStill gives the county a still; seldom says that the next is far. It is false where the
// channel is not open or the last has not gone yet.
func (v *Session) SendStill(jpeg []byte, seldom bool) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := &v.stills[0]
	if seldom {
		c = &v.stills[1]
	}
	if c.ch == nil || c.ch.ReadyState() != webrtc.DataChannelStateOpen {
		return false
	}
	for i := range v.stills {
		if v.stills[i].ch.BufferedAmount() > 0 {
			return false
		}
	}
	v.came(v.s.o.Now())
	c.left, c.at = len(jpeg), v.s.o.Now()
	for len(jpeg) > 0 { // a message holds 16 KiB that every stack takes; the last is shorter
		n := min(len(jpeg), stillPart)
		if c.ch.Send(jpeg[:n]) != nil {
			return false
		}
		if jpeg = jpeg[n:]; len(jpeg) == 0 && n == stillPart {
			c.ch.Send(nil)
		}
	}
	return true
}

// came counts what of stills has arrived: it is known to have been sent when it is known to
// have come, since the data channel has a pace of its own. The caller holds mu.
func (v *Session) came(now time.Duration) {
	for i := range v.stills {
		c := &v.stills[i]
		if c.ch == nil || c.left == 0 {
			continue
		}
		left := min(int(c.ch.BufferedAmount()), c.left)
		if n := c.left - left; now-c.at < c.life { // later it was given up
			v.out.add(now, n)
			v.ack.add(now, n)
		}
		c.left = left
	}
}

const stillPart = 16 << 10

// probe fills what pictures leave free with padding while the governor asks for it.
func (v *Session) probe() {
	t := time.NewTicker(probeEvery)
	defer t.Stop()
	var h rtp.Header
	owed := 0
	last := v.s.o.Now()
	for {
		select {
		case <-v.ctx.Done():
			return
		case <-t.C:
		}
		now := v.s.o.Now()
		want := 0
		if v.gov != nil {
			want = v.gov.Probe()
		}
		if want == 0 {
			owed, last = 0, now
			continue
		}
		owed = min(owed+int(int64(want/8)*int64(now-last)/int64(time.Second)), want/40)
		v.mu.Lock()
		owed -= v.out.since()
		v.mu.Unlock()
		last = now
		for ; owed > padding; owed -= padding {
			if v.tracks[0].pad(&h) != nil {
				return
			}
			v.mu.Lock()
			v.out.add(now, padding)
			v.out.taken = v.out.total
			v.mu.Unlock()
		}
	}
}

// pad sends a packet that holds nothing (RFC 3550 5.1).
func (t *track) pad(h *rtp.Header) error {
	t.mu.Lock()
	w := t.w
	if w == nil {
		t.mu.Unlock()
		return nil
	}
	t.seq++
	t.header(h, t.seq, t.last.rtp, false)
	t.mu.Unlock()
	_, err := w.WriteRTP(h, nothing[:])
	return err
}

// arrived counts what the other end says has come (transport-wide feedback, section 3.1).
func (v *Session) arrived(now time.Duration, p *rtcp.TransportLayerCC) {
	if v.wire == nil {
		return
	}
	came, lost, way := v.wire.tells(now, p)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ack.add(now, came)
	v.lost.add(now, lost)
	if way > 0 {
		v.st.RTT, v.heard = way, now
	}
}
