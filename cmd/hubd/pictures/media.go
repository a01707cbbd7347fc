package pictures

import (
	"context"
	"time"

	"tocsin/firmware/video/stream"
	"tocsin/firmware/video/whep"
)

// WebRTC is Media by video/whep.
type WebRTC struct{ Server *whep.Server }

// View answers a viewer.
func (m WebRTC) View(ctx context.Context, s *stream.Stream, offer, who string) (string, Call, error) {
	answer, v, err := m.Server.View(ctx, whep.ViewRequest{Stream: s, Offer: offer, Name: who})
	if err != nil {
		return "", nil, err
	}
	return answer, session{v}, nil
}

// session tells how old what a viewer is shown is.
type session struct{ *whep.Session }

// Behind is how old the last picture was when it went out.
func (s session) Behind() time.Duration { return s.State().Behind }

// Publish answers a station.
func (m WebRTC) Publish(ctx context.Context, offer, who string, open func() (*stream.Writer, error)) (string, Call, error) {
	answer, v, err := m.Server.Publish(ctx, offer, who, open)
	if err != nil {
		return "", nil, err
	}
	return answer, v, nil
}
