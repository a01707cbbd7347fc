package api

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
)

const prefix = "/api/v1"

type none struct{}

type body[T any] struct{ Body T }

// Named is an act with a name to it.
type Named struct {
	Who string `json:"who,omitempty" maxLength:"64" doc:"name of the acting person; on the socket it must be given"`
}

// Reasoned is an act that needs a name and a reason.
type Reasoned struct {
	Who    string `json:"who,omitempty" maxLength:"64" doc:"name of the acting person; of who is signed in the account says it"`
	Reason string `json:"reason" minLength:"1" maxLength:"500"`
}

// Raising asks for a level by hand.
type Raising struct {
	Level  string `json:"level" minLength:"1" maxLength:"64" doc:"code of configs/levels.yaml"`
	Who    string `json:"who,omitempty" maxLength:"64" doc:"name of the acting person; of who is signed in the account says it"`
	Reason string `json:"reason" minLength:"1" maxLength:"500"`
}

// Raised is the alarm that came of a raising.
type Raised struct {
	Alarm string `json:"alarm"`
}

type journalQuery struct {
	After int64 `query:"after" minimum:"0" doc:"give records after this sequence number"`
	Limit int   `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

// add registers one operation with the least role that may call it.
func add[I, O any](s *Server, need access.Role, method, path, id, summary string, f func(context.Context, *I) (*O, error), more ...func(*huma.Operation)) {
	op := huma.Operation{
		Method: method, Path: prefix + path, OperationID: id, Summary: summary,
		MaxBodyBytes: s.o.Limits.Body, BodyReadTimeout: s.o.Limits.Read,
		Extensions: map[string]any{roleExt: need.String()},
		Responses: map[string]*huma.Response{"default": {
			Description: "A refusal, in both languages",
			Content: map[string]*huma.MediaType{"application/problem+json": {
				Schema: &huma.Schema{Ref: "#/components/schemas/Problem"},
			}},
		}},
	}
	for _, m := range more {
		m(&op)
	}
	huma.Register(s.api, op, f)
}

func byToken(op *huma.Operation) {
	op.Extensions[tokenExt] = true
	op.Security = []map[string][]string{{"stopToken": {}}}
}

func get[O any](s *Server, path, id, summary string, f func() O) {
	add(s, access.Viewer, http.MethodGet, path, id, summary, func(context.Context, *none) (*body[O], error) {
		return &body[O]{f()}, nil
	})
}

func (s *Server) register() {
	s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "")

	get(s, "/status", "status", "The box at a glance", func() Status { return s.box.Status() })
	get(s, "/readings", "readings", "The latest reading of each point", func() []Reading { return full(s.box.Readings()) })
	get(s, "/lines", "lines", "Counters of each line and unit", func() []Line { return full(s.box.Lines()) })
	get(s, "/alarms", "alarms", "Alarms that stand, worst first, then those that ended in the last day", func() []Alarm { return full(s.box.Alarms()) })
	get(s, "/faults", "faults", "Faults that stand", func() []Fault { return full(s.box.Faults()) })
	get(s, "/soundings", "soundings", "What sounds now and why, and the last receipts", func() Soundings {
		x := s.box.Soundings()
		x.Now, x.Last = full(x.Now), full(x.Last)
		return x
	})
	add(s, access.Viewer, http.MethodGet, "/journal", "journal", "Committed records, oldest first", s.journal)
	s.registerIdentity()
	s.registerSession()
	s.registerUsers()
	s.registerAudit()
	s.registerHistory()
	s.registerLinks()
	s.registerOutside()
	s.registerFrames()
	s.registerSetpoints()
	s.registerProfiles()
	s.registerPeople()
	s.registerRevisions()
	s.registerEdits()
	s.registerSealing()
	s.registerDevices()
	s.registerRules()
	s.registerStreams()
	s.registerEvents()
	s.registerThresholds()

	add(s, access.Cadre, http.MethodPost, "/stop", "stop", "Silence what sounds now; the level stands", s.stop, byToken)
	add(s, access.Operator, http.MethodPost, "/alarms/{id}/acknowledge", "acknowledge", "A named person takes an alarm in hand", s.acknowledge)
	add(s, access.Operator, http.MethodPost, "/alarms/{id}/release", "release", "A named person gives the all-clear", s.release)
	add(s, access.Operator, http.MethodPost, "/raise", "raise", "A named person raises a level by hand", s.raise)
	s.registerScan()
	s.registerTalk()
	s.registerAnnouncer()
	s.registerRestart()
	s.registerReset()
	s.registerAlerts()
	s.registerCommissioning()
	s.registerSupport()
	s.registerUpdate()
	s.registerNetwork()
}

// full writes an empty list as [] rather than null.
func full[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

func (s *Server) journal(ctx context.Context, q *journalQuery) (*body[[]Record], error) {
	l, err := s.box.Journal(ctx, q.After, q.Limit)
	if err != nil {
		return nil, s.refused(http.StatusServiceUnavailable, err)
	}
	return &body[[]Record]{full(l)}, nil
}

func (s *Server) stop(ctx context.Context, in *struct{ Body Named }) (*body[Receipt], error) {
	who, err := whoOf(ctx, in.Body.Who)
	if err != nil {
		return nil, err
	}
	r, err := s.box.Stop(who)
	if err != nil {
		return nil, s.refused(http.StatusConflict, err)
	}
	return &body[Receipt]{r}, nil
}

func (s *Server) acknowledge(ctx context.Context, in *struct {
	ID   string `path:"id" maxLength:"128"`
	Body Named
}) (*none, error) {
	who, err := whoOf(ctx, in.Body.Who)
	if err != nil {
		return nil, err
	}
	if err := s.box.Acknowledge(in.ID, who); err != nil {
		return nil, s.refused(http.StatusConflict, err)
	}
	return nil, nil
}

func (s *Server) release(ctx context.Context, in *struct {
	ID   string `path:"id" maxLength:"128"`
	Body Reasoned
}) (*none, error) {
	who, reason, err := withReason(ctx, in.Body.Who, in.Body.Reason)
	if err != nil {
		return nil, err
	}
	if err := s.box.Release(in.ID, who, reason); err != nil {
		return nil, s.refused(http.StatusConflict, err)
	}
	return nil, nil
}

func (s *Server) raise(ctx context.Context, in *struct{ Body Raising }) (*body[Raised], error) {
	who, reason, err := withReason(ctx, in.Body.Who, in.Body.Reason)
	if err != nil {
		return nil, err
	}
	id, err := s.box.Raise(in.Body.Level, who, reason)
	if err != nil {
		return nil, s.refused(http.StatusConflict, err)
	}
	return &body[Raised]{Raised{id}}, nil
}

func withReason(ctx context.Context, name, reason string) (Who, string, error) {
	who, err := whoOf(ctx, name)
	if err != nil {
		return who, "", err
	}
	if reason = Clean(reason, 500); reason == "" {
		return who, "", problem(http.StatusUnprocessableEntity, phrase.M("serve.needs_reason"))
	}
	return who, reason, nil
}

// whoOf makes the actor of a name. Who is signed in is who their account says,
// whatever name is given. On the socket a person must give one; on the network,
// where only STOP gets here without an account and must never fail for a missing
// name, the address stands in.
func whoOf(ctx context.Context, name string) (Who, error) {
	g := GrantOf(ctx)
	name = Clean(name, 64)
	if g.SignedIn() {
		name = orElse(Clean(g.Name, 64), g.Account)
	}
	if name == "" && g.Via == ViaPage {
		name = g.Addr
	}
	if name == "" {
		return Who{}, problem(http.StatusUnprocessableEntity, phrase.M("serve.needs_name"))
	}
	NoteWho(ctx, g.Account, name)
	return Who{Name: name, Via: g.Via}, nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// Clean makes text that came from outside fit for a journal, a terminal and a
// page: no control or direction-changing characters, no outer blanks, at most
// limit characters.
func Clean(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r == unicode.ReplacementChar, unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.TrimSpace(s)
	if r := []rune(s); len(r) > limit {
		s = strings.TrimSpace(string(r[:limit]))
	}
	return s
}
