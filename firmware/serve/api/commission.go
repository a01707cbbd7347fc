package api

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/access"
)

// Commissioning is the sheet of this site: what was proved and what is left.
type Commissioning struct {
	Number int `json:"number"`
	// Commissioned: every step that applies has passed, or is left out for a stated reason.
	Commissioned bool       `json:"commissioned"`
	BegunBy      string     `json:"begun_by,omitempty"`
	Begun        *time.Time `json:"begun,omitempty"`
	// Left counts the steps that are neither passed nor left out.
	Left  int                 `json:"left"`
	Steps []CommissioningStep `json:"steps" nullable:"false"`
	// PhotoBytes are taken of PhotoQuota.
	PhotoBytes int64 `json:"photo_bytes"`
	PhotoQuota int64 `json:"photo_quota"`
	// NoPDF says why there is no PDF; the page prints all the same.
	NoPDF *Text `json:"no_pdf,omitempty"`
}

// CommissioningStep is one thing to prove.
type CommissioningStep struct {
	ID   string        `json:"id"`
	Name phrase.Text   `json:"name"`
	Why  phrase.Text   `json:"why"`
	Do   []phrase.Text `json:"do" nullable:"false"`
	// Applies is false where the site has nothing of the kind; then it is not asked for.
	Applies bool   `json:"applies"`
	State   string `json:"state" enum:"open,passed,failed,not-applicable"`
	Reason  string `json:"reason,omitempty"`
	Who     string `json:"who,omitempty"`
	// At is when it was settled.
	At *time.Time `json:"at,omitempty"`
	// Skip: it may be left out for a stated reason.
	Skip    bool   `json:"skip"`
	Measure string `json:"measure,omitempty"`
	// Timed: what is measured has a beginning and an end.
	Timed  bool                    `json:"timed"`
	Given  *CommissioningGiven     `json:"given,omitempty"`
	Things []CommissioningThing    `json:"things" nullable:"false"`
	Ask    []CommissioningQuestion `json:"ask" nullable:"false"`
	Photos []CommissioningPhoto    `json:"photos" nullable:"false"`
	// PhotosLeast are needed, PhotosMost may be kept.
	PhotosLeast int `json:"photos_least"`
	PhotosMost  int `json:"photos_most"`
	// Missing is what it lacks to pass.
	Missing []Text `json:"missing" nullable:"false"`
	Source  *Text  `json:"source,omitempty"`
	// Maintenance is for how long maintenance should be on while this is done; absent: not needed.
	Maintenance time.Duration `json:"maintenance_ns,omitempty"`
	// Recalled: the source could not be read; check it before you rely on it.
	Recalled bool `json:"recalled,omitempty"`
}

// CommissioningGiven is what a person must say when a measurement begins.
type CommissioningGiven struct {
	Name Text   `json:"name"`
	Unit string `json:"unit"`
}

// CommissioningThing is one thing that a step measures: a point, a line, an output.
type CommissioningThing struct {
	ID   string      `json:"id"`
	Name phrase.Text `json:"name"`
	// Value is what a point says now.
	Value   *float64           `json:"value"`
	Unit    string             `json:"unit,omitempty"`
	Quality string             `json:"quality,omitempty"`
	Hint    *Text              `json:"hint,omitempty"`
	Run     *CommissioningRun  `json:"run,omitempty"`
	Take    *CommissioningTake `json:"take,omitempty"`
}

// CommissioningRun is a measurement that is under way.
type CommissioningRun struct {
	Who  string        `json:"who"`
	Age  time.Duration `json:"age_ns"`
	Base float64       `json:"base"`
	Now  *float64      `json:"now"`
	// Text says how it stands, in words.
	Text Text `json:"text"`
	// Late: it took longer than it may; begin again.
	Late bool `json:"late,omitempty"`
}

// CommissioningTake is what the box measured.
type CommissioningTake struct {
	Good bool      `json:"good"`
	Text Text      `json:"text"`
	More []Text    `json:"more,omitempty"`
	Who  string    `json:"who"`
	At   time.Time `json:"at"`
}

// CommissioningQuestion is what a person enters.
type CommissioningQuestion struct {
	ID       string      `json:"id"`
	Kind     string      `json:"kind" enum:"number,text,tick,choice"`
	Name     phrase.Text `json:"name"`
	Unit     string      `json:"unit,omitempty"`
	Of       []string    `json:"of,omitempty"`
	Least    *float64    `json:"least,omitempty"`
	Most     *float64    `json:"most,omitempty"`
	Optional bool        `json:"optional,omitempty"`
	Answer   string      `json:"answer"`
}

// CommissioningPhoto is one that is kept.
type CommissioningPhoto struct {
	ID     string    `json:"id"`
	Size   int64     `json:"size"`
	Width  int       `json:"width"`
	Height int       `json:"height"`
	Who    string    `json:"who"`
	At     time.Time `json:"at"`
}

// Measuring begins, ends or drops a measurement; steps that look once need no thing.
type Measuring struct {
	Thing string  `json:"thing,omitempty" maxLength:"128"`
	Act   string  `json:"act" enum:"begin,end,cancel,look"`
	Given float64 `json:"given,omitempty" doc:"what is known to be true: metres moved, the bottle's concentration"`
}

// Paper is something to print.
type Paper struct {
	Media string
	Name  string // of the file, where it is one to keep
	Bytes []byte
}

// Commissionable is a box that can be commissioned.
type Commissionable interface {
	Commissioning() (Commissioning, error)
	Answer(step string, answers map[string]string, who Who) error
	Measure(step string, m Measuring, who Who) error
	// Settle says how a step ends; ErrUnknown where there is no such step.
	Settle(step, state, reason string, who Who) error
	AddPhoto(step string, b []byte, who Who) (CommissioningPhoto, error)
	DropPhoto(step, photo string, who Who) error
	Photo(id string) (Paper, error)
	// CommissionAnew begins a new sheet; the photos of the old one go.
	CommissionAnew(reason string, who Who) error
	// Paper makes what is printed: report, labels, card; as pdf or html.
	Paper(ctx context.Context, what, as string, lang phrase.Lang) (Paper, error)
}

// LargestPhoto bounds a photo in any table.
const LargestPhoto = 16 << 20

func (s *Server) registerCommissioning() {
	add(s, access.Technician, http.MethodGet, "/commissioning", "commissioning", "The sheet of the site's commissioning, with what is being measured", func(context.Context, *none) (*body[Commissioning], error) {
		c, err := s.box.Commissioning()
		if err != nil {
			return nil, s.refused(http.StatusServiceUnavailable, err)
		}
		return &body[Commissioning]{c}, nil
	})
	act := func(ctx context.Context, who string, f func(Who) error) (*none, error) {
		w, err := whoOf(ctx, who)
		if err != nil {
			return nil, err
		}
		if err := f(w); err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		return nil, nil
	}
	add(s, access.Technician, http.MethodPost, "/commissioning/{id}/answers", "answer-step", "Write down what a person entered for a step", func(ctx context.Context, in *struct {
		ID   string `path:"id" maxLength:"64"`
		Body struct {
			Named
			Answers map[string]string `json:"answers"`
		}
	}) (*none, error) {
		return act(ctx, in.Body.Who, func(w Who) error { return s.box.Answer(in.ID, in.Body.Answers, w) })
	})
	add(s, access.Technician, http.MethodPost, "/commissioning/{id}/measure", "measure-step", "Begin, end or drop a measurement of a step", func(ctx context.Context, in *struct {
		ID   string `path:"id" maxLength:"64"`
		Body struct {
			Named
			Measuring
		}
	}) (*none, error) {
		return act(ctx, in.Body.Who, func(w Who) error { return s.box.Measure(in.ID, in.Body.Measuring, w) })
	})
	add(s, access.Technician, http.MethodPost, "/commissioning/{id}/settle", "settle-step", "Say that a step passed, failed, does not apply, or is open again", func(ctx context.Context, in *struct {
		ID   string `path:"id" maxLength:"64"`
		Body struct {
			Named
			State  string `json:"state" enum:"open,passed,failed,not-applicable"`
			Reason string `json:"reason,omitempty" maxLength:"1200"`
		}
	}) (*none, error) {
		return act(ctx, in.Body.Who, func(w Who) error { return s.box.Settle(in.ID, in.Body.State, Clean(in.Body.Reason, 300), w) })
	})
	add(s, access.Technician, http.MethodPost, "/commissioning/{id}/photos", "add-photo", "Keep a photo (JPEG or PNG) for a step; where it was taken is dropped", func(ctx context.Context, in *struct {
		ID      string `path:"id" maxLength:"64"`
		Who     string `query:"who" maxLength:"64"`
		RawBody []byte `contentType:"image/jpeg"`
	}) (*body[CommissioningPhoto], error) {
		w, err := whoOf(ctx, orElse(in.Who, GrantOf(ctx).Addr))
		if err != nil {
			return nil, err
		}
		p, err := s.box.AddPhoto(in.ID, bytes.Clone(in.RawBody), w)
		if err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		return &body[CommissioningPhoto]{p}, nil
	}, func(op *huma.Operation) {
		op.MaxBodyBytes, op.SkipValidateBody, op.BodyReadTimeout = LargestPhoto, true, 2*time.Minute
	})
	add(s, access.Technician, http.MethodDelete, "/commissioning/{id}/photos/{photo}", "drop-photo", "Remove a photo", func(ctx context.Context, in *struct {
		ID    string `path:"id" maxLength:"64"`
		Photo string `path:"photo" maxLength:"64"`
		Who   string `query:"who" maxLength:"64"`
	}) (*none, error) {
		return act(ctx, orElse(in.Who, GrantOf(ctx).Addr), func(w Who) error { return s.box.DropPhoto(in.ID, in.Photo, w) })
	})
	add(s, access.Technician, http.MethodGet, "/commissioning/photos/{photo}", "photo", "One photo", func(_ context.Context, in *struct {
		Photo string `path:"photo" maxLength:"64"`
	}) (*huma.StreamResponse, error) {
		p, err := s.box.Photo(in.Photo)
		return s.paper(p, err)
	}, func(op *huma.Operation) { answers(op, "image/jpeg") })
	add(s, access.Technician, http.MethodPost, "/commissioning/anew", "commission-anew", "Begin a new sheet; the old one's photos are removed", func(ctx context.Context, in *struct {
		Body struct {
			Named
			Reason string `json:"reason" minLength:"1" maxLength:"1200"`
		}
	}) (*none, error) {
		reason := Clean(in.Body.Reason, 300)
		if reason == "" {
			return nil, problem(http.StatusUnprocessableEntity, phrase.M("serve.needs_reason"))
		}
		return act(ctx, in.Body.Who, func(w Who) error { return s.box.CommissionAnew(reason, w) })
	})
	for _, paper := range [][2]string{{"report", "The report of the commissioning, with photos"}, {"labels", "Labels of the terminals"}, {"card", "The card with the telephone numbers"}} {
		what, summary := paper[0], paper[1]
		add(s, access.Technician, http.MethodGet, "/commissioning/"+what, "paper-"+what, summary+", as a page to print or as PDF", func(ctx context.Context, in *struct {
			As   string `query:"as" enum:"html,pdf" default:"html"`
			Lang string `query:"lang" enum:"zh,en" default:"zh"`
		}) (*huma.StreamResponse, error) {
			p, err := s.box.Paper(ctx, what, in.As, phrase.Lang(in.Lang))
			return s.paper(p, err)
		}, func(op *huma.Operation) { answers(op, "text/html") })
	}
}

// paper answers with what is to be shown or printed.
func (s *Server) paper(p Paper, err error) (*huma.StreamResponse, error) {
	if err != nil {
		return nil, s.refused(http.StatusConflict, err)
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, w := humago.Unwrap(hc)
		w.Header().Set("Content-Type", p.Media)
		if p.Name != "" {
			w.Header().Set("Content-Disposition", `attachment; filename="`+strings.Map(fileRune, p.Name)+`"`)
		}
		w.Write(p.Bytes)
	}}, nil
}

func fileRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
		return r
	}
	return '-'
}

// ReadingOf is what a thing of a step shows of a point.
func (t *CommissioningThing) ReadingOf(r Reading) {
	t.Value, t.Unit, t.Quality = r.Value, r.Unit, r.Quality.String()
	if r.Quality != point.Good && r.Why != nil {
		t.Hint = r.Why
	}
}
