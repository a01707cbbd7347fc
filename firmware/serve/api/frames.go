package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/firmware/point"
	"tocsin/firmware/serve/access"
)

// Frame is one frame of a line with its meaning, or the failure in place of one.
type Frame struct {
	Seq uint64    `json:"seq"`
	At  time.Time `json:"at"`
	// Kind: asked, answer, late, stray, fault.
	Kind  string `json:"kind"`
	Fault string `json:"fault,omitempty"`
	// Device is the unit's name in the site file, if it has one.
	Device   string `json:"device,omitempty"`
	Unit     int    `json:"unit,omitempty"`
	Function int    `json:"function,omitempty"`
	Addr     int    `json:"addr"`
	Count    int    `json:"count,omitempty"`
	// Bytes are as on the wire, in hex.
	Bytes   string       `json:"bytes,omitempty"`
	Meaning Text         `json:"meaning"`
	Values  []FrameValue `json:"values,omitempty"`
}

// FrameValue is what an answer says of one point.
type FrameValue struct {
	Point point.ID `json:"point"`
	// Value is null where there is none.
	Value   *float64      `json:"value"`
	Unit    string        `json:"unit,omitempty"`
	Quality point.Quality `json:"quality"`
}

type linePath struct {
	ID string `path:"id" maxLength:"64" doc:"the line's name in the site file"`
}

type framesPath struct {
	linePath
	After uint64 `query:"after" doc:"begin after this sequence number"`
}

// framesEvery is how often a follower is given what is new.
const framesEvery = 250 * time.Millisecond

func (s *Server) registerFrames() {
	add(s, access.Viewer, http.MethodGet, "/lines/{id}/frames", "frames", "The last 200 frames of a line with their meaning, the oldest first",
		func(_ context.Context, q *linePath) (*body[[]Frame], error) {
			fs, err := s.box.Frames(q.ID)
			if err != nil {
				return nil, s.refused(http.StatusConflict, err)
			}
			return &body[[]Frame]{full(fs)}, nil
		})
	add(s, access.Viewer, http.MethodGet, "/lines/{id}/frames/stream", "frames-stream", "Each frame of a line, one JSON object a line (Frame)",
		func(_ context.Context, q *framesPath) (*huma.StreamResponse, error) {
			if _, err := s.box.Frames(q.ID); err != nil {
				return nil, s.refused(http.StatusConflict, err)
			}
			return s.stream(func(ctx context.Context, line func(any) error) error {
				return s.followFrames(ctx, q.ID, q.After, line)
			}), nil
		}, lines)
}

func (s *Server) followFrames(ctx context.Context, id string, after uint64, line func(any) error) error {
	t := time.NewTicker(framesEvery)
	defer t.Stop()
	for {
		fs, err := s.box.Frames(id)
		if err != nil {
			return err
		}
		if n := len(fs); n > 0 && fs[n-1].Seq < after {
			after = 0 // the line was restarted and counts anew
		}
		for _, f := range fs {
			if f.Seq <= after {
				continue
			}
			if err := line(f); err != nil {
				return err
			}
			after = f.Seq
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}
