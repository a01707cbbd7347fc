package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/firmware/serve/access"
)

// ConfigEdit is one change of one place of a document.
type ConfigEdit struct {
	Op    string          `json:"op" enum:"set,remove"`
	Path  string          `json:"path" minLength:"2" maxLength:"1024" doc:"a JSON Pointer, such as /devices/rain/unit; - as the last part adds to a list"`
	Value json.RawMessage `json:"value,omitempty" doc:"what stands there then; the order of keys is kept"`
}

// EditQuery asks what a document becomes by edits. Nothing is used.
type EditQuery struct {
	Base     int          `json:"base,omitempty" minimum:"0" doc:"the revision that is edited; 0: the one in force"`
	Document string       `json:"document,omitempty" maxLength:"1048576" doc:"instead of the revision's text: a draft made from it"`
	Edits    []ConfigEdit `json:"edits" minItems:"1" maxItems:"64"`
}

// Edited is what a document would become.
type Edited struct {
	// Base is the revision that it was made from, which a proposal names.
	Base     int    `json:"base"`
	Document string `json:"document"`
	// Diff tells in the unified form what makes the base's text into it.
	Diff      string    `json:"diff"`
	Judgement Judgement `json:"judgement"`
	// Kept are the places that an import has left as they are here.
	Kept []string `json:"kept,omitempty"`
}

// DiffQuery asks what makes one revision into another or into a draft.
type DiffQuery struct {
	From     int    `json:"from" minimum:"0" doc:"a revision; 0: the one in force"`
	To       int    `json:"to,omitempty" minimum:"0" doc:"another one, where there is no document"`
	Document string `json:"document,omitempty" maxLength:"1048576"`
}

// Diff is a difference in the unified form; empty where there is none.
type Diff struct {
	Diff string `json:"diff"`
}

// ImportQuery asks what a foreign document would change here.
type ImportQuery struct {
	Document string `json:"document" minLength:"1" maxLength:"1048576"`
	// Keep names what stays as it is here, where the document comes from another box.
	Keep []string `json:"keep,omitempty" maxItems:"2" enum:"identity,network" doc:"identity: id, name, place and the county's keys; network: page, links, platforms"`
}

// Editor is a box that tells what becomes of its document, and uses nothing of it.
type Editor interface {
	EditDocument(ctx context.Context, q EditQuery) (Edited, error)
	Compare(ctx context.Context, q DiffQuery) (Diff, error)
	Import(ctx context.Context, q ImportQuery) (Edited, error)
}

// editing registers one of them: with a large body, and nothing used.
func editing[I, O any](s *Server, path, id, summary string, f func(context.Context, I) (O, error)) {
	add(s, access.Technician, http.MethodPost, path, id, summary, func(ctx context.Context, in *struct{ Body I }) (*body[O], error) {
		v, err := f(ctx, in.Body)
		if err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		return &body[O]{v}, nil
	}, func(op *huma.Operation) { op.MaxBodyBytes = bodyConfig })
}

func (s *Server) registerEdits() {
	editing(s, "/config/edit", "edit-config", "What a document becomes by edits that keep its comments; nothing is used", func(ctx context.Context, q EditQuery) (Edited, error) {
		v, err := s.box.EditDocument(ctx, q)
		v.Judgement.Problems = full(v.Judgement.Problems)
		return v, err
	})
	editing(s, "/config/diff", "diff-config", "What makes one revision into another or into a draft", func(ctx context.Context, q DiffQuery) (Diff, error) { return s.box.Compare(ctx, q) })
	editing(s, "/config/import", "import-config", "What a document from elsewhere would change here; nothing is used", func(ctx context.Context, q ImportQuery) (Edited, error) {
		v, err := s.box.Import(ctx, q)
		v.Judgement.Problems = full(v.Judgement.Problems)
		return v, err
	})
}
