// Package page is the one page that the box shows on the local network: what it
// measures and how far that may be trusted, what stands, what sounds and why,
// what is wrong, and STOP.
//
// It is rendered on the box by html/template, so that it works without script
// and on an old phone; a small script (under 5 kB) refreshes it each second and
// says when the box cannot be reached. It asks for nothing from outside the box,
// changes nothing on a GET, and knows the box by api.Box alone. It never decides
// what a level means: names and colours come with the data.
//
// Sources: WCAG 2.2 (1.4.1 use of colour, 1.4.6 contrast 7:1, 2.5.5 target
// size 44 px), domain note on the web, sections 1 and 4.
package page

import (
	"bytes"
	"context"
	"embed"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

//go:embed web
var web embed.FS

// Verifier compares a stop token; *access.Token is one.
type Verifier interface {
	Verify(ctx context.Context, addr, given string) bool
}

// Opts configure the page.
type Opts struct {
	// Log, nil for slog.Default.
	Log *slog.Logger
	// Zone is where times are shown; nil for Asia/Shanghai.
	Zone *time.Location
	// Colours gives each level's code one of blue, yellow, orange, red; a level
	// that has none is shown red.
	Colours map[string]string
	// Cameras are the site's streams of live pictures, in order; nil for none ever.
	Cameras func() []Camera
}

type page struct {
	box   api.Box
	token Verifier
	o     Opts
	tpl   map[phrase.Lang]*template.Template
}

// New makes the handler of the page. It expects to hang behind the gate of
// serve/api, which says who calls.
func New(box api.Box, token Verifier, o Opts) (http.Handler, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Zone == nil {
		z, err := time.LoadLocation("Asia/Shanghai")
		if err != nil {
			z = time.FixedZone("CST", 8*3600)
		}
		o.Zone = z
	}
	p := &page{box: box, token: token, o: o, tpl: map[phrase.Lang]*template.Template{}}
	for _, l := range phrase.Languages {
		t, err := template.New("").Funcs(template.FuncMap{
			"t": func(code string) string { return phrase.Message{Code: code}.In(l) },
		}).ParseFS(web, "web/*.html")
		if err != nil {
			return nil, err
		}
		p.tpl[l] = t
	}
	static, err := fs.Sub(web, "web")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.show("page"))
	mux.HandleFunc("GET /live", p.show("live"))
	mux.HandleFunc("GET /stop", p.show("stop"))
	mux.HandleFunc("POST /stop", p.stop)
	mux.HandleFunc("GET /video", p.watch)
	for _, name := range []string{"style.css", "page.js", "video.js", "icon.svg"} {
		mux.HandleFunc("GET /page/"+name, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, static, name)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		p.write(w, http.StatusNotFound, "lost", p.plain(langOf(r)))
	})
	return mux, nil
}

func (p *page) show(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.write(w, http.StatusOK, name, p.look(langOf(r)))
	}
}

// write renders whole before it answers, so that a page is never half there.
func (p *page) write(w http.ResponseWriter, status int, name string, v *view) {
	var b bytes.Buffer
	if err := p.tpl[v.Lang].ExecuteTemplate(&b, name, v); err != nil {
		p.o.Log.Error("the page could not be rendered", "page", name, "err", err)
		http.Error(w, phrase.M("serve.internal").In(v.Lang), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Vary", "Accept-Language")
	w.WriteHeader(status)
	b.WriteTo(w)
}
