package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/access"
)

// Sample is one line of the stream of readings.
type Sample struct {
	Point point.ID `json:"point"`
	// Value is null where nothing was measured.
	Value   *float64      `json:"value"`
	Unit    string        `json:"unit"`
	Quality point.Quality `json:"quality"`
	// Why is null where the quality is good.
	Why *Text     `json:"why"`
	At  time.Time `json:"at"`
	// Lost counts readings that were dropped before this one because the
	// follower was too slow.
	Lost int `json:"lost,omitempty"`
}

type afterQuery struct {
	After int64 `query:"after" minimum:"0" doc:"begin with the record after this sequence number"`
}

func (s *Server) registerStreams() {
	add(s, access.Viewer, http.MethodGet, "/readings/stream", "readings-stream", "Each reading as it is made, one JSON object a line (Sample)",
		func(context.Context, *none) (*huma.StreamResponse, error) {
			return s.stream(func(ctx context.Context, line func(any) error) error {
				return s.box.FollowReadings(ctx, func(r Reading, lost int) error {
					return line(Sample{r.Point, r.Value, r.Unit, r.Quality, r.Why, r.At, lost})
				})
			}), nil
		}, lines)
	add(s, access.Viewer, http.MethodGet, "/journal/stream", "journal-stream", "Each record once it is durable, one JSON object a line (Record)",
		func(_ context.Context, q *afterQuery) (*huma.StreamResponse, error) {
			return s.stream(func(ctx context.Context, line func(any) error) error {
				return s.box.FollowJournal(ctx, q.After, func(r Record) error { return line(r) })
			}), nil
		}, lines)
	add(s, access.Viewer, http.MethodGet, "/soundings/last.wav", "last-sound", "The programme of the last sounding",
		func(context.Context, *none) (*huma.StreamResponse, error) {
			return &huma.StreamResponse{Body: s.lastSound}, nil
		}, func(op *huma.Operation) { answers(op, "audio/wav") })
}

const ndjson = "application/x-ndjson"

func lines(op *huma.Operation) { answers(op, ndjson) }

func answers(op *huma.Operation, ct string) {
	op.Responses["200"] = &huma.Response{
		Description: "OK", Content: map[string]*huma.MediaType{ct: {Schema: &huma.Schema{Type: "string"}}},
	}
}

// stream writes lines until the follower leaves, the server ends or a line is
// not taken within Limits.Write.
func (s *Server) stream(follow func(context.Context, func(any) error) error) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		places := s.streams
		if GrantOf(r.Context()).Via == ViaSocket {
			places = s.socketStreams
		}
		leave, ok := places.take(GrantOf(r.Context()))
		if !ok {
			w.Header().Set("Retry-After", "5")
			s.refuse(hc, problem(http.StatusServiceUnavailable, phrase.M("serve.too_many_streams")))
			return
		}
		defer leave()
		follows(r.Context())
		rc := http.NewResponseController(w)
		// The reading side stays open as long as the stream: net/http tells of
		// a follower that left by it.
		rc.SetReadDeadline(time.Time{})
		w.Header().Set("Content-Type", ndjson)
		w.WriteHeader(http.StatusOK)
		rc.SetWriteDeadline(time.Now().Add(s.o.Limits.Write))
		if rc.Flush() != nil {
			return
		}
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		err := follow(r.Context(), func(v any) error {
			rc.SetWriteDeadline(time.Now().Add(s.o.Limits.Write))
			return errors.Join(enc.Encode(v), rc.Flush())
		})
		if err != nil && r.Context().Err() == nil {
			s.log.Info("a stream ended", "path", r.URL.Path, "err", err)
			// What was promised to go on and did not must not look whole.
			panic(http.ErrAbortHandler)
		}
	}}
}

// largestSound bounds a rendered programme: three minutes of 44.1 kHz mono.
const largestSound = 16 << 20

var errTooLoud = errors.New("the sound is larger than 16 MiB")

type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > largestSound {
		return 0, errTooLoud
	}
	return b.Buffer.Write(p)
}

func (s *Server) lastSound(hc huma.Context) {
	r, w := humago.Unwrap(hc)
	leave, ok := s.sounds.take(GrantOf(r.Context()))
	if !ok {
		w.Header().Set("Retry-After", "2")
		s.refuse(hc, problem(http.StatusServiceUnavailable, phrase.M("serve.too_many_streams")))
		return
	}
	defer leave()
	var b bounded
	ok, err := s.box.LastSound(&b)
	switch {
	case err != nil:
		var p *Problem
		if !errors.As(s.refused(http.StatusServiceUnavailable, err), &p) {
			return
		}
		s.refuse(hc, p)
		return
	case !ok:
		s.refuse(hc, problem(http.StatusNotFound, phrase.M("serve.no_sound")))
		return
	}
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(6 * s.o.Limits.Write))
	w.Header().Set("Content-Type", "audio/wav")
	// Players on phones ask for ranges and refuse a server that has none.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b.Bytes()))
}
