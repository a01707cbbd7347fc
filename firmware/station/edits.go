package station

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/config/edit"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

var _ api.Editor = (*House)(nil)

// EditDocument tells what a revision, or a draft of it, becomes by edits.
func (h *House) EditDocument(ctx context.Context, q api.EditQuery) (api.Edited, error) {
	base, err := h.Revision(q.Base)
	if err != nil {
		return api.Edited{}, err
	}
	text := base.Document
	if q.Document != "" {
		text = q.Document
	}
	var edits []edit.Edit
	for _, e := range q.Edits {
		edits = append(edits, edit.Edit{Op: e.Op, Path: e.Path, Value: e.Value})
	}
	b, err := edit.Apply([]byte(text), edits)
	if err != nil {
		return api.Edited{}, err
	}
	return h.edited(ctx, base, string(b))
}

func (h *House) edited(ctx context.Context, base api.RevisionText, document string) (api.Edited, error) {
	j, err := h.Judge(ctx, document)
	if err != nil {
		return api.Edited{}, err
	}
	document = h.hidden.hide(document) // what an import brought
	return api.Edited{Base: base.Number, Document: document, Diff: edit.Diff(strconv.Itoa(base.Number), strconv.Itoa(base.Number)+"+", base.Document, document), Judgement: j}, nil
}

// Compare tells what makes one text into another.
func (h *House) Compare(_ context.Context, q api.DiffQuery) (api.Diff, error) {
	from, err := h.Revision(q.From)
	if err != nil {
		return api.Diff{}, err
	}
	name, to := strconv.Itoa(from.Number)+"+", q.Document
	if to == "" {
		r, err := h.Revision(q.To)
		if err != nil {
			return api.Diff{}, err
		}
		name, to = strconv.Itoa(r.Number), r.Document
	}
	return api.Diff{Diff: edit.Diff(strconv.Itoa(from.Number), name, from.Document, h.hidden.hide(to))}, nil
}

// keeps are the places that belong to one box and not to its settings.
var keeps = map[string][]string{
	"identity": {"/site/id", "/site/name", "/site/at", "/county", "/beacons"},
	"network":  {"/page", "/links", "/mqtt", "/proxies", "/time"},
}

// Import tells what another box's document, or an older one of this, would change here. It
// reads it as anybody's bytes: bounded, without anchors, and proved before it is shown.
func (h *House) Import(ctx context.Context, q api.ImportQuery) (api.Edited, error) {
	base, err := h.Revision(0)
	if err != nil {
		return api.Edited{}, err
	}
	text := []byte(q.Document)
	if err := writtenOut(text); err != nil {
		return api.Edited{}, err
	}
	var kept []string
	for _, k := range q.Keep {
		for _, path := range keeps[k] {
			next, err := keepHere(text, []byte(base.Document), path)
			if err != nil {
				return api.Edited{}, err
			}
			if !bytes.Equal(next, text) {
				kept, text = append(kept, path), next
			}
		}
	}
	v, err := h.edited(ctx, base, string(text))
	v.Kept = kept
	return v, err
}

// writtenOut refuses a document that nests without an end or that means more than it says,
// before anything asks what it means.
func writtenOut(document []byte) error {
	if line := config.TooDeep(document); line > 0 {
		return phrase.E("edit.unreadable", "line", line, "detail", "[[[…")
	}
	f, err := parser.ParseBytes(document, 0)
	if err != nil {
		return nil // whoever reads it says what is wrong
	}
	for _, x := range f.Docs {
		if x.Body == nil {
			continue
		}
		if a := config.Aliased(x.Body); a != nil {
			return phrase.E("edit.unreadable", "line", a.GetToken().Position.Line, "detail", phrase.M("config.alias"))
		}
	}
	return nil
}

// keepHere puts what stands here at a path into the foreign text, or takes it out.
func keepHere(theirs, here []byte, path string) ([]byte, error) {
	ours, ok, err := valueAt(here, path)
	if err != nil {
		return nil, err
	}
	if ok {
		return edit.Apply(theirs, []edit.Edit{{Op: edit.Set, Path: path, Value: ours}})
	}
	if _, there, err := valueAt(theirs, path); err != nil || !there {
		return theirs, err
	}
	return edit.Apply(theirs, []edit.Edit{{Op: edit.Remove, Path: path}})
}

// valueAt gives what a document says at a path of keys, as JSON.
func valueAt(document []byte, path string) (json.RawMessage, bool, error) {
	unreadable := func(err error) error { return phrase.Wrap(err, "edit.unreadable", "line", 1, "detail", err) }
	var x yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(document, &x, yaml.UseOrderedMap()); err != nil {
		return nil, false, unreadable(err)
	}
	var at any = x
	for _, p := range bytes.Split([]byte(path[1:]), []byte("/")) {
		m, _ := at.(yaml.MapSlice)
		found := false
		for _, e := range m {
			if k, _ := e.Key.(string); k == string(p) {
				at, found = e.Value, true
			}
		}
		if !found {
			return nil, false, nil
		}
	}
	b, err := yaml.MarshalWithOptions(at, yaml.JSON())
	if err != nil {
		return nil, false, unreadable(err)
	}
	return json.RawMessage(b), true, nil
}
