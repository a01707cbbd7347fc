package api

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/firmware/phrase"
)

// described serves the document of the API. It is made when somebody asks first, by a
// server that is then thrown away, and kept packed: what serves holds nothing of it (forget).
func (s *Server) described(media string, form func(*huma.OpenAPI) ([]byte, error)) http.Handler {
	packed := sync.OnceValues(func() ([]byte, error) {
		x, err := build(nil, Opts{Version: s.o.Version})
		if err != nil {
			return nil, err
		}
		b, err := form(x.api.OpenAPI())
		if err != nil {
			return nil, err
		}
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		if _, err = z.Write(b); err == nil {
			err = z.Close()
		}
		return bytes.Clone(out.Bytes()), err
	})
	return s.viewersOnly(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := packed()
		if err != nil {
			s.log.Error("the document of the API", "err", err)
			writeProblem(w, problem(http.StatusInternalServerError, phrase.M("serve.internal")))
			return
		}
		w.Header().Set("Content-Type", media)
		w.Header().Set("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(b)
			return
		}
		if z, err := gzip.NewReader(bytes.NewReader(b)); err == nil {
			_, _ = io.Copy(w, z)
		}
	}))
}

func asJSON(d *huma.OpenAPI) ([]byte, error) { return json.Marshal(d) }

// forget lets go of what only a document needs: what is said of answers, and the schemas of
// types that nobody sends. Requests are judged by what stays.
func (s *Server) forget() {
	d := s.api.OpenAPI()
	s.ways = ways(d)
	schemas, stays := d.Components.Schemas.Map(), map[string]bool{}
	var keep func(*huma.Schema)
	keep = func(x *huma.Schema) {
		if x == nil {
			return
		}
		if name := x.Ref[strings.LastIndexByte(x.Ref, '/')+1:]; name != "" && !stays[name] {
			stays[name] = true
			keep(schemas[name])
		}
		for _, p := range x.Properties {
			keep(p)
		}
		for _, of := range [][]*huma.Schema{x.OneOf, x.AnyOf, x.AllOf, {x.Items, x.Not}} {
			for _, p := range of {
				keep(p)
			}
		}
		if p, ok := x.AdditionalProperties.(*huma.Schema); ok {
			keep(p)
		}
	}
	for _, item := range d.Paths {
		for _, op := range operationsOf(item) {
			for _, p := range op.Parameters {
				keep(p.Schema)
			}
			if op.RequestBody != nil {
				for _, m := range op.RequestBody.Content {
					keep(m.Schema)
				}
			}
			clear(op.Responses)
		}
	}
	for name := range schemas {
		if !stays[name] {
			delete(schemas, name)
		}
	}
	d.Paths = nil
}

func operationsOf(item *huma.PathItem) map[string]*huma.Operation {
	all := map[string]*huma.Operation{
		http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put,
		http.MethodPatch: item.Patch, http.MethodDelete: item.Delete,
	}
	for method, op := range all {
		if op == nil {
			delete(all, method)
		}
	}
	return all
}
