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

const (
	fillEvery = 20 * time.Millisecond
	padding   = 224 // bytes of a packet that holds nothing
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
	if err := v.album.open(v.pc); err != nil {
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
	s.o.Start("whip fill", v.fill)
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

// fill sends stills at the link's pace, and has padding fill what all else leaves free of what
// the governor asks for.
func (v *Session) fill() {
	t := time.NewTicker(fillEvery)
	defer t.Stop()
	var h rtp.Header
	owed, train := 0, uint64(0)
	var asked time.Duration
	last := v.s.o.Now()
	for {
		select {
		case <-v.ctx.Done():
			return
		case <-t.C:
		}
		now := v.s.o.Now()
		since := now - last
		last = now
		want := 0
		if v.gov != nil {
			v.stills(now, since, v.gov.Rate()/8)
			want = v.gov.Probe()
			switch number, bytes := v.gov.Train(); {
			case number == train:
				asked = now
			case now-asked > stillLife || v.between(): // a train holds up no still that is under way
				train = number
				if v.leave(&h, now, number, bytes) != nil {
					return
				}
			}
		}
		v.mu.Lock()
		left := v.out.since()
		v.mu.Unlock()
		if want == 0 {
			owed = 0
			continue
		}
		for owed = min(owed+during(want/8, since), want/40) - left; owed > padding; owed -= padding {
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

// between says that no still is under way.
func (v *Session) between() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.album.jpeg == nil && (v.album.ch[0] == nil || v.album.waits() == 0)
}

// leave sends a train.
func (v *Session) leave(h *rtp.Header, now time.Duration, number uint64, bytes int) error {
	v.wire.begin(number)
	defer v.wire.end()
	for n := 0; n < bytes; n += padding {
		if err := v.tracks[0].pad(h); err != nil {
			return err
		}
		v.mu.Lock()
		v.out.add(now, padding)
		v.mu.Unlock()
	}
	return nil
}

// during is what a rate gives in a time.
func during(rate int, d time.Duration) int { return int(int64(rate) * int64(d) / int64(time.Second)) }

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
