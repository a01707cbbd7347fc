package whep

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"strings"
	"time"

	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/stream"
)

// ViewRequest is a browser that wants to see.
type ViewRequest struct {
	Stream *stream.Stream
	Offer  string // SDP
	Name   string // who, as the list of viewers shows it
}

// View answers a viewer's offer. The session ends by itself when the viewer is gone.
// ErrOffer, ErrNoPicture, ErrCodec and ErrBusy say what to answer.
func (s *Server) View(ctx context.Context, q ViewRequest) (answer string, _ *Session, _ error) {
	offered, err := offers(q.Offer)
	if err != nil {
		return "", nil, err
	}
	st, err := s.picture(ctx, q.Stream)
	if err != nil {
		return "", nil, err
	}
	if !offered[strings.ToLower(mime(st.Picture.Codec))] {
		return "", nil, phrase.Wrap(ErrCodec, "whep.codec", "codec", st.Picture.Codec.String(), "stream", q.Stream.Name())
	}
	for _, n := range st.Notes {
		if n == stream.Referenced {
			return "", nil, phrase.Wrap(ErrCodec, "whep.reordered")
		}
	}
	v := s.session(View, q.Stream, q.Name)
	if err := s.admit(v, max(st.Bitrate, 1)); err != nil {
		return "", nil, err
	}
	kept := false
	defer func() {
		if !kept {
			s.forget(v)
			if v.pc != nil {
				v.pc.Close()
			}
		}
	}()
	if v.pc, err = s.out.NewPeerConnection(webrtc.Configuration{Certificates: []webrtc.Certificate{s.cert}}); err != nil {
		return "", nil, err
	}
	if err := v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: q.Offer}); err != nil {
		return "", nil, phrase.Wrap(ErrOffer, "whep.offer", "detail", err.Error())
	}
	v.carry(st)
	if st.Sound != stream.None && offered[strings.ToLower(mime(st.Sound))] {
		v.tracks = append(v.tracks, newTrack(st.Sound, "sound", uint16(random()), random()))
	}
	var senders []*webrtc.RTPSender
	for _, t := range v.tracks {
		sender, err := v.pc.AddTrack(t)
		if err != nil {
			return "", nil, phrase.Wrap(ErrCodec, "whep.codec", "codec", t.codec.String(), "stream", q.Stream.Name())
		}
		senders = append(senders, sender)
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
	for i, t := range v.tracks {
		s.o.Start("whep feedback", func() { v.hear(senders[i], t) })
	}
	s.o.Start("whep viewer", v.run)
	return answer, v, nil
}

// carry gives the session the track of a stream's pictures.
func (v *Session) carry(st stream.State) {
	t := newTrack(st.Picture.Codec, "picture", uint16(random()), random())
	if len(st.Picture.SPS) > 1 && st.Picture.Codec == stream.H264 {
		t.profile = st.Picture.SPS[1]
	}
	v.st.Codec = st.Picture.Codec
	v.tracks = []*track{t}
}

func random() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint32(b[:])
}

func (s *Server) session(k Kind, st *stream.Stream, who string) *Session {
	v := &Session{s: s, id: name(), kind: k, stream: st, name: who, began: s.o.Now(), done: make(chan struct{}), up: make(chan struct{})}
	v.ctx, v.end = context.WithCancelCause(context.Background())
	return v
}

// picture waits a little for a stream that has just begun, for a picture or for a still.
func (s *Server) picture(ctx context.Context, st *stream.Stream) (stream.State, error) {
	until := s.o.Now() + pictureWait
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		now := st.State()
		if now.From == "" {
			return now, phrase.Wrap(ErrNoPicture, "whep.nobody", "stream", st.Name())
		}
		switch {
		case now.Picture.SPS != nil:
			return now, nil
		case st.Still().Number > 0:
			// The link bears stills alone so far. When it bears more, that is H.264 nearly always; of
			// another codec the session says so, and the viewer comes again.
			now.Picture.Codec = stream.H264
			return now, nil
		}
		if s.o.Now() > until {
			return now, phrase.Wrap(ErrNoPicture, "whep.no_key", "stream", st.Name())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return now, ctx.Err()
		}
	}
}

// offers are the codecs that an offer names, as lower-case MIME types.
func offers(offer string) (map[string]bool, error) {
	if len(offer) > MaxBody {
		return nil, phrase.Wrap(ErrOffer, "whep.too_long", "most", "65536")
	}
	var d sdp.SessionDescription
	if err := d.UnmarshalString(offer); err != nil {
		return nil, phrase.Wrap(ErrOffer, "whep.offer", "detail", err.Error())
	}
	if len(d.MediaDescriptions) == 0 || len(d.MediaDescriptions) > 16 {
		return nil, phrase.Wrap(ErrOffer, "whep.offer", "detail", "no media")
	}
	out := map[string]bool{}
	for _, m := range d.MediaDescriptions {
		for _, f := range m.MediaName.Formats {
			switch f { // RFC 3551 6
			case "0":
				out["audio/pcmu"] = true
			case "8":
				out["audio/pcma"] = true
			}
		}
		for _, a := range m.Attributes {
			if a.Key != "rtpmap" {
				continue
			}
			_, c, _ := strings.Cut(a.Value, " ")
			c, _, _ = strings.Cut(c, "/")
			out[strings.ToLower(m.MediaName.Media+"/"+c)] = true
		}
	}
	return out, nil
}
