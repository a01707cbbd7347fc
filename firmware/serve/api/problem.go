package api

import (
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/firmware/phrase"
)

// ErrUnknown is wrapped by a Box's answer about a thing that does not exist, such
// as an alarm's id; it becomes 404.
var ErrUnknown = errors.New("no such thing")

// Problem is how every refusal is written: a code and both languages.
type Problem struct {
	Status int    `json:"status" doc:"HTTP status"`
	Code   string `json:"code" doc:"the message's code"`
	ZH     string `json:"zh"`
	EN     string `json:"en"`
	// Details name what in the request was wrong.
	Details []Detail `json:"details,omitempty"`
}

// Detail is one thing that is wrong with a request.
type Detail struct {
	Where string `json:"where"`
	What  string `json:"what"`
}

// Error gives the English text, for logs.
func (p *Problem) Error() string { return p.EN }

// GetStatus is huma's.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is huma's.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

func problem(status int, m phrase.Message) *Problem {
	t := TextOf(m)
	return &Problem{Status: status, Code: t.Code, ZH: t.ZH, EN: t.EN}
}

// refused makes the problem of an error that the Box answered. What the Box
// wrote for a person passes; any other text stays in the log.
func (s *Server) refused(status int, err error) error {
	if big := (*http.MaxBytesError)(nil); errors.As(err, &big) {
		// However the reader of the body called what it could not read on.
		return problem(http.StatusRequestEntityTooLarge, phrase.M("serve.larger", "kib", big.Limit>>10))
	}
	var pe *phrase.Error
	if !errors.As(err, &pe) {
		if errors.Is(err, ErrUnknown) {
			return problem(http.StatusNotFound, phrase.M("serve.not_found"))
		}
		s.log.Error("the box refused without a reason for people", "err", err)
		return problem(http.StatusInternalServerError, phrase.M("serve.internal"))
	}
	switch {
	case errors.Is(err, ErrUnknown):
		status = http.StatusNotFound
	case errors.Is(err, ErrOthers):
		status = http.StatusForbidden
	}
	return &Problem{Status: status, Code: pe.Code, ZH: pe.Message.In(phrase.ZH), EN: pe.Message.In(phrase.EN)}
}

// speak turns huma's own English errors into problems.
func speak(ctx huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	m := phrase.M("serve.bad_request")
	switch e.Status {
	case http.StatusRequestEntityTooLarge:
		m = phrase.M("serve.too_large")
	case http.StatusRequestTimeout:
		// What has not come by now is not waited for.
		ctx.SetHeader("Connection", "close")
		m = phrase.M("serve.too_slow")
	case http.StatusUnsupportedMediaType:
		m = phrase.M("serve.json_only")
	case http.StatusNotAcceptable:
		m = phrase.M("serve.not_acceptable")
	default:
		if e.Status >= 500 {
			m = phrase.M("serve.internal")
		}
	}
	p := problem(e.Status, m)
	for _, d := range e.Errors {
		if d != nil && e.Status < 500 && len(p.Details) < 10 {
			p.Details = append(p.Details, Detail{Where: d.Location, What: d.Message})
		}
	}
	return p, nil
}
