// Package page is the one page that the box shows on the local network: what it
// measures and how far that may be trusted, what stands, what sounds and why,
// what is wrong, and STOP.
//
// It is rendered on the box by serve/hypertext, so that it works without script
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
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/hypertext"
	"tocsin/firmware/serve/page/ui"
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
	// Door is sign-in; nil for none.
	Door Door
	// Authority is who signed the page's certificate; nil without TLS.
	Authority Authority
}

type page struct {
	box     api.Box
	token   Verifier
	o       Opts
	tpl     *hypertext.Set
	flashes flashes
}

// New makes the handler of the page. It expects to hang behind the gate of
// serve/api, which says who calls.
func New(box api.Box, token Verifier, o Opts) (*api.Routes, error) {
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
	tpl, err := hypertext.Read(web, "web/*.html")
	if err != nil {
		return nil, err
	}
	p := &page{box: box, token: token, o: o, tpl: tpl}
	static, err := fs.Sub(web, "web")
	if err != nil {
		return nil, err
	}
	r := api.NewRoutes()
	r.Handle(access.Viewer, "GET /{$}", p.show("page"))
	r.Handle(access.Viewer, "GET /live", p.show("live"))
	// STOP is open to whoever has the token, and without TLS: nothing may be in its way.
	r.Open("GET /stop", true, p.show("stop"))
	r.Open("POST /stop", true, p.stop)
	r.Handle(access.Viewer, "GET /video", p.watch)
	p.signRoutes(r)
	p.certificateRoutes(r)
	p.handRoutes(r)
	for _, name := range []string{"style.css", "paper.css", "page.js", "video.js", "icon.svg", "sign.css", "setup.js"} {
		r.Open("GET /page/"+name, true, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, static, name)
		})
	}
	r.Handle(access.Viewer, "GET /console/", ui.Station("/console/").ServeHTTP)
	r.Handle(access.Viewer, "/", func(w http.ResponseWriter, r *http.Request) {
		p.write(w, http.StatusNotFound, "lost", p.plain(langOf(r)))
	})
	return r, nil
}

func (p *page) show(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.write(w, http.StatusOK, name, p.lookFor(r))
	}
}

// lookFor takes one look at the box; who may see nothing sees its name alone.
func (p *page) lookFor(r *http.Request) *view {
	l := langOf(r)
	if api.GrantOf(r.Context()).Role.Allows(access.Viewer) {
		return p.look(l)
	}
	v, st := p.plain(l), p.box.Status()
	v.Stranger = true
	v.Site, v.Version = orElse(st.Name.In(l), st.Site), st.Version
	return v
}

// write renders whole before it answers, so that a page is never half there.
func (p *page) write(w http.ResponseWriter, status int, name string, v *view) {
	p.render(w, status, v.Lang, name, v)
}

func (p *page) render(w http.ResponseWriter, status int, l phrase.Lang, name string, v any) {
	var b bytes.Buffer
	if err := p.tpl.Write(&b, name, v, func(code string) string { return phrase.Message{Code: code}.In(l) }); err != nil {
		p.o.Log.Error("the page could not be rendered", "page", name, "err", err)
		http.Error(w, phrase.M("serve.internal").In(l), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Vary", "Accept-Language")
	w.WriteHeader(status)
	b.WriteTo(w)
}
