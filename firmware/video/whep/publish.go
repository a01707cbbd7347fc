package whep

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph265"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/stream"
)

// hole is how long a packet that is missing is waited for: it is asked for meanwhile,
// and a satellite's round trip is 0.6 s (draft-ietf-avtcore, RFC 4588 6.3).
const hole = 1300 * time.Millisecond

// Publish answers the offer of somebody who gives a stream; open is called when the
// offer is in order. The writer is closed with the session. ErrOffer, ErrCodec and
// ErrBusy say what to answer; open's error is given as it is.
func (s *Server) Publish(ctx context.Context, offer, who string, open func() (*stream.Writer, error)) (answer string, _ *Session, _ error) {
	offered, err := offers(offer)
	if err != nil {
		return "", nil, err
	}
	if !offered["video/h264"] && !offered["video/h265"] {
		return "", nil, phrase.Wrap(ErrCodec, "whep.publish_codec")
	}
	w, err := open()
	if err != nil {
		return "", nil, err
	}
	v := s.session(Publish, w.Stream(), who)
	kept := false
	defer func() {
		if !kept {
			w.Close(errEnded)
			s.forget(v)
			if v.pc != nil {
				v.pc.Close()
			}
		}
	}()
	if err := s.admit(v, 0); err != nil {
		return "", nil, err
	}
	if v.pc, err = s.in.NewPeerConnection(webrtc.Configuration{Certificates: []webrtc.Certificate{s.cert}}); err != nil {
		return "", nil, err
	}
	tracks := make(chan taken, 2)
	v.pc.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		select {
		case tracks <- taken{t}:
		default: // one picture and one sound: more are not for us
		}
	})
	v.pc.OnDataChannel(func(d *webrtc.DataChannel) {
		if d.Label() == stillsChannel || d.Label() == seldomChannel {
			v.stillsOf(d)
		}
	})
	if err := v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", nil, phrase.Wrap(ErrOffer, "whep.offer", "detail", err.Error())
	}
	a, err := v.pc.CreateAnswer(nil)
	if err != nil {
		return "", nil, phrase.Wrap(ErrOffer, "whep.offer", "detail", err.Error())
	}
	v.watch()
	if answer, err = gathered(ctx, v.pc, func() error { return v.pc.SetLocalDescription(a) }); err != nil {
		return "", nil, phrase.Wrap(ErrOffer, "whep.offer", "detail", err.Error())
	}
	kept = true
	s.o.Start("whip publisher", func() { v.take(w, tracks) })
	return answer, v, nil
}

type taken struct{ *webrtc.TrackRemote }

// take gives the writer what comes, until the end.
func (v *Session) take(w *stream.Writer, tracks <-chan taken) {
	defer v.finish()
	defer func() { w.Close(v.Err()) }()
	t := time.NewTimer(connectWait)
	defer t.Stop()
	seen := map[webrtc.RTPCodecType]bool{}
	for {
		select {
		case tr := <-tracks:
			if seen[tr.Kind()] {
				continue
			}
			seen[tr.Kind()] = true
			if tr.Kind() == webrtc.RTPCodecTypeVideo {
				ssrc := uint32(tr.SSRC())
				w.OnKey(func() { v.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: ssrc}}) })
			}
			v.s.o.Start("whip track", func() { v.read(w, tr.TrackRemote) })
		case <-t.C:
			if len(seen) == 0 {
				v.end(phrase.E("whep.unconnected"))
				return
			}
		case <-v.ctx.Done():
			return
		}
	}
}

// read takes one track apart.
func (v *Session) read(w *stream.Writer, t *webrtc.TrackRemote) {
	var unpack func(*rtp.Packet) ([][]byte, error)
	var c stream.Codec
	switch m := strings.ToLower(t.Codec().MimeType); m {
	case strings.ToLower(webrtc.MimeTypeH264):
		d := &rtph264.Decoder{PacketizationMode: 1}
		if d.Init() != nil {
			return
		}
		unpack, c = d.Decode, stream.H264
	case strings.ToLower(webrtc.MimeTypeH265):
		d := &rtph265.Decoder{}
		if d.Init() != nil {
			return
		}
		unpack, c = d.Decode, stream.H265
	case strings.ToLower(webrtc.MimeTypePCMA):
		c = stream.PCMA
	case strings.ToLower(webrtc.MimeTypePCMU):
		c = stream.PCMU
	case strings.ToLower(webrtc.MimeTypeOpus):
		c = stream.Opus
	default:
		w.Note(stream.Foreign)
		return
	}
	v.mu.Lock()
	if c.Picture() {
		v.st.Codec = c
	}
	v.mu.Unlock()
	order := reorder{wait: hole}
	var time90 unwrap
	damaged := c.Picture() // until the first key picture
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			if c.Picture() {
				v.end(errGone)
			}
			return
		}
		if len(p.Payload) == 0 { // a probe of what the way bears
			order.skip(p.SequenceNumber)
			continue
		}
		now := v.s.o.Now()
		for _, p := range order.put(p, now) {
			if p == nil { // a hole that nobody filled
				if c.Picture() && !damaged {
					damaged = true
					v.mu.Lock()
					v.st.Skipped++
					v.mu.Unlock()
					w.Stream().AskKey()
				}
				continue
			}
			at := time90.at(p.Timestamp)
			if !c.Picture() {
				w.Sound(c, at, p.Payload)
				continue
			}
			nals, err := unpack(p)
			if err != nil {
				if !errors.Is(err, rtph264.ErrMorePacketsNeeded) && !errors.Is(err, rtph265.ErrMorePacketsNeeded) && !errors.Is(err, rtph264.ErrNonStartingPacketAndNoPrevious) && !errors.Is(err, rtph265.ErrNonStartingPacketAndNoPrevious) {
					damaged = true
					w.Stream().AskKey()
				}
				continue
			}
			if damaged {
				// What refers to a picture that is missing is worse than none.
				if !stream.HasKey(c, nals) {
					w.Stream().AskKey()
					continue
				}
				damaged = false
			}
			if err := w.Picture(c, at, at, nals); err != nil {
				w.Stream().AskKey()
				damaged = true
				continue
			}
			v.mu.Lock()
			v.st.Pictures++
			v.mu.Unlock()
		}
	}
}

// unwrap makes 32 bits of RTP time 64.
type unwrap struct {
	set  bool
	last uint32
	full int64
}

func (u *unwrap) at(t uint32) int64 {
	if !u.set {
		u.set, u.full = true, int64(t)
	} else {
		u.full += int64(int32(t - u.last))
	}
	u.last = t
	return u.full
}

// most packets that wait behind a hole.
const waiting = 2048

// reorder gives packets in their order. A nil among them is a hole that was waited
// for in vain.
type reorder struct {
	wait  time.Duration
	set   bool
	next  uint16
	since time.Duration // when the hole was met
	held  map[uint16]*rtp.Packet
	out   []*rtp.Packet
}

// skip counts a number that carries nothing.
func (r *reorder) skip(seq uint16) {
	if r.set && seq == r.next {
		r.next++
	} else if r.set && int16(seq-r.next) > 0 && len(r.held) < waiting {
		r.hold(seq, &rtp.Packet{})
	}
}

func (r *reorder) hold(seq uint16, p *rtp.Packet) {
	if r.held == nil {
		r.held = map[uint16]*rtp.Packet{}
	}
	r.held[seq] = p
}

func (r *reorder) put(p *rtp.Packet, now time.Duration) []*rtp.Packet {
	r.out = r.out[:0]
	if !r.set {
		r.set, r.next = true, p.SequenceNumber
	}
	switch d := int16(p.SequenceNumber - r.next); {
	case d < 0 && d > -waiting:
		return nil // again, or too late
	case d < 0 || d > waiting:
		// The sender began anew.
		r.held, r.next = nil, p.SequenceNumber
		r.out = append(r.out, nil)
	case d > 0 && len(r.held) == 0:
		r.since = now
	}
	r.hold(p.SequenceNumber, p)
	for len(r.held) > 0 {
		q, ok := r.held[r.next]
		if !ok {
			if now-r.since < r.wait && len(r.held) < waiting {
				break
			}
			for ; !ok; _, ok = r.held[r.next] {
				r.next++
			}
			r.out = append(r.out, nil)
			continue
		}
		delete(r.held, r.next)
		r.next++
		r.since = now
		if len(q.Payload) > 0 {
			r.out = append(r.out, q)
		}
	}
	return r.out
}
