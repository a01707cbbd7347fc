package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
)

// Release is one version of the software.
type Release struct {
	Version string      `json:"version"`
	Number  int64       `json:"number"`
	Notes   phrase.Text `json:"notes"`
	Size    int64       `json:"size,omitempty"`
	Built   *time.Time  `json:"built,omitempty"`
}

// Update is how the box's software stands.
type Update struct {
	// Why says why this box cannot be updated from here; absent where it can.
	Why     *Text    `json:"why,omitempty"`
	Phase   string   `json:"phase" enum:"idle,staged,trial"`
	Running Release  `json:"running"`
	Before  *Release `json:"before,omitempty"`
	Next    *Release `json:"next,omitempty"`
	// Coming is a release that is being brought at this moment.
	Coming *Coming `json:"coming,omitempty"`
	// Left is how long a trial waits for its confirmation.
	Left time.Duration `json:"left_ns"`
	// SelfJudged: the box confirms or ends a trial by itself; else a person confirms it.
	// Missing names what answered before a trial and does not answer on it.
	SelfJudged bool   `json:"self_judged,omitempty"`
	Missing    []Text `json:"missing,omitempty"`
	// Reason is what became of the last one where it did not stay, by ReasonKind: it went back, as
	// Failed at FailedAt where those are known; the spare software does not start; or the records
	// of which software starts were lost.
	Reason     *Text      `json:"reason,omitempty"`
	ReasonKind string     `json:"reason_kind,omitempty" enum:"back,spare,records"`
	Failed     *Release   `json:"failed,omitempty"`
	FailedAt   *time.Time `json:"failed_at,omitempty"`
	// Barred says why none may be activated now, such as a level that stands; Unfit why a
	// trial may not be confirmed yet.
	Barred *Text `json:"barred,omitempty"`
	Unfit  *Text `json:"unfit,omitempty"`
	// Ordered is the county's order to activate a release, and for what it waits; absent where none does.
	Ordered *Text `json:"ordered,omitempty"`
	// Trial is how long a trial lasts unless told.
	Trial time.Duration `json:"trial_ns"`
}

// Coming is how far a release has come that By brings: Got bytes of Of, which is 0 where nobody knows.
type Coming struct {
	By  string `json:"by"`
	Got int64  `json:"got"`
	Of  int64  `json:"of,omitempty"`
}

// Updatable is a box whose software can be replaced.
type Updatable interface {
	Update() Update
	// StageRelease reads a release, verifies it whole, and puts it beside what runs.
	StageRelease(ctx context.Context, r io.Reader, who Who) (Release, error)
	ActivateRelease(within time.Duration, who Who) error
	ConfirmRelease(who Who) error
	RollBackRelease(reason string, who Who) error
}

// LargestRelease bounds a release file.
const LargestRelease = 300 << 20

const releasePath = prefix + "/update/file"

// RescueUpdatePath is where the rescue page brings a release, by a plain form.
const RescueUpdatePath = "/rescue/update"

func (s *Server) registerUpdate() {
	add(s, access.Technician, http.MethodGet, "/update", "update", "How the box's software stands, and whether it may be replaced now", func(context.Context, *none) (*body[Update], error) {
		return &body[Update]{s.box.Update()}, nil
	})
	add(s, access.Technician, http.MethodPost, "/update/file", "stage-release", "Bring a signed release: verified whole and put beside what runs", func(ctx context.Context, in *struct {
		Who string `query:"who" maxLength:"64"`
	}) (*huma.StreamResponse, error) {
		w, err := whoOf(ctx, orElse(in.Who, GrantOf(ctx).Addr))
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			r, rw := humago.Unwrap(hc)
			c := http.NewResponseController(rw)
			rel, err := s.box.StageRelease(r.Context(), &patient{r: r.Body, size: r.ContentLength, more: func() { _ = c.SetReadDeadline(time.Now().Add(s.o.Limits.Read)) }}, w)
			_ = c.SetWriteDeadline(time.Now().Add(s.o.Limits.Write))
			if err != nil {
				if p, ok := s.refused(http.StatusConflict, err).(*Problem); ok {
					s.refuse(hc, p)
				}
				return
			}
			rw.Header().Set("Content-Type", "application/json")
			json.NewEncoder(rw).Encode(rel)
		}}, nil
	}, func(op *huma.Operation) {
		op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}}
		answers(op, "application/json")
	})
	act := func(ctx context.Context, who string, f func(Who) error) (*body[Update], error) {
		w, err := whoOf(ctx, who)
		if err != nil {
			return nil, err
		}
		if err := f(w); err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		return &body[Update]{s.box.Update()}, nil
	}
	add(s, access.Technician, http.MethodPost, "/update/activate", "activate-release", "Run what is staged, on trial", func(ctx context.Context, in *struct {
		Body struct {
			Named
			Within time.Duration `json:"within_ns,omitempty" doc:"how soon it must be confirmed"`
		}
	}) (*body[Update], error) {
		return act(ctx, in.Body.Who, func(w Who) error { return s.box.ActivateRelease(in.Body.Within, w) })
	})
	add(s, access.Technician, http.MethodPost, "/update/confirm", "confirm-release", "Let the release on trial stay", func(ctx context.Context, in *struct{ Body Named }) (*body[Update], error) {
		return act(ctx, in.Body.Who, func(w Who) error { return s.box.ConfirmRelease(w) })
	})
	add(s, access.Technician, http.MethodPost, "/update/back", "roll-back-release", "Bring the release before the trial back", func(ctx context.Context, in *struct {
		Body struct {
			Named
			Reason string `json:"reason,omitempty" maxLength:"1200"`
		}
	}) (*body[Update], error) {
		return act(ctx, in.Body.Who, func(w Who) error { return s.box.RollBackRelease(Clean(in.Body.Reason, 300), w) })
	})
}

// patient reads a body for as long as something comes.
type patient struct {
	r    io.Reader
	size int64
	more func()
}

// Size is how many bytes there will be; 0 or less for nobody knows.
func (p *patient) Size() int64 { return p.size }

func (p *patient) Read(b []byte) (int, error) { p.more(); return p.r.Read(b) }
