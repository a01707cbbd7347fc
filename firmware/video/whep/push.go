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

// stillsChannel is the data channel by which stills go where a link bears no video;
// a still that took longer than its life is worth nothing any more.
const (
	stillsChannel = "stills"
	stillLife     = uint16(8000) // ms
	probeEvery    = 20 * time.Millisecond
	padding       = 224 // bytes of a packet that holds nothing
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
	api, err := s.pusher(q.Start, func(e cc.BandwidthEstimator) { est = e })
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
	life := stillLife
	if v.stills, err = v.pc.CreateDataChannel(stillsChannel, &webrtc.DataChannelInit{MaxPacketLifeTime: &life}); err != nil {
		return nil, err
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

// SendStill gives the county a still; false where the channel is not open or the last
// has not gone yet.
func (v *Session) SendStill(jpeg []byte) bool {
	if v.stills == nil || v.stills.ReadyState() != webrtc.DataChannelStateOpen || v.stills.BufferedAmount() > 0 {
		return false
	}
	for len(jpeg) > 0 { // a message holds 16 KiB that every stack takes; the last is shorter
		n := min(len(jpeg), stillPart)
		if v.stills.Send(jpeg[:n]) != nil {
			return false
		}
		if jpeg = jpeg[n:]; len(jpeg) == 0 && n == stillPart {
			v.stills.Send(nil)
		}
	}
	return true
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
	h.Padding, h.PaddingSize = true, padding
	t.mu.Unlock()
	_, err := w.WriteRTP(h, nil)
	return err
}

// arrived counts what the other end says has come (transport-wide feedback, section 3.1).
func (v *Session) arrived(now time.Duration, p *rtcp.TransportLayerCC, t *track) {
	n := 0
	for _, c := range p.PacketChunks {
		switch c := c.(type) {
		case *rtcp.RunLengthChunk:
			if c.PacketStatusSymbol == rtcp.TypeTCCPacketReceivedSmallDelta || c.PacketStatusSymbol == rtcp.TypeTCCPacketReceivedLargeDelta {
				n += int(c.RunLength)
			}
		case *rtcp.StatusVectorChunk:
			for _, s := range c.SymbolList {
				if s == rtcp.TypeTCCPacketReceivedSmallDelta || s == rtcp.TypeTCCPacketReceivedLargeDelta {
					n++
				}
			}
		}
	}
	n = min(n, int(p.PacketStatusCount))
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ack.add(now, n*v.mean(t))
}

// mean is how big a packet is on average, header and all. The caller holds mu.
func (v *Session) mean(t *track) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count.packets == 0 {
		return padding
	}
	return int(t.count.bytes/t.count.packets) + 12
}
