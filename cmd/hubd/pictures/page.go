package pictures

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"tocsin/firmware/phrase"
)

//go:embed page.html
var pageText string

//go:embed page.js
var pageScript string

//go:embed voice.js
var voiceScript string

//go:embed film.html
var filmText string

//go:embed film.js
var filmScript string

// shownMost is how many pictures the page shows at once.
const shownMost = 9

type pageView struct {
	Lang, Other phrase.Lang
	Tag, Name   string
	State       State
	Who         string
	Most        int
}

// Page is the handler of what lies below /pictures/: the page, its state, WHEP and talk. Who comes
// there was let in by the console.
func (p *Pictures) Page() http.Handler {
	tpl, filmTpl := templates(pageText), templates(filmText)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /pictures/{$}", func(w http.ResponseWriter, r *http.Request) {
		l := langOf(r)
		name, roles := p.o.Who(r)
		v := pageView{Lang: l, Other: phrase.EN, Tag: "zh-CN", Name: p.o.File.Name.In(l), State: p.state(l, name, roles), Who: name, Most: shownMost}
		if l == phrase.EN {
			v.Other, v.Tag = phrase.ZH, "en"
		}
		w.Header().Set("Permissions-Policy", "microphone=(self), camera=()")
		p.writePage(w, tpl[l], v, "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; connect-src 'self'; worker-src 'self'; media-src 'self' blob:; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
	})
	script := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
			w.Header().Set("Cache-Control", "no-cache")
			_, _ = w.Write([]byte(text))
		}
	}
	mux.HandleFunc("GET /pictures/page.js", script(pageScript))
	mux.HandleFunc("GET /pictures/voice.js", script(voiceScript))
	mux.HandleFunc("GET /pictures/film.js", script(filmScript))
	mux.HandleFunc("POST /pictures/clip", p.beginFilm)
	mux.HandleFunc("GET /pictures/film/{id}", func(w http.ResponseWriter, r *http.Request) { p.filmPage(w, r, filmTpl) })
	mux.HandleFunc("GET /pictures/film/{id}/film.mp4", p.giveFilm)
	mux.HandleFunc("GET /pictures/film/{id}/clip.mp4", p.giveClip)
	mux.HandleFunc("POST /pictures/film/{id}", p.keepFilm)
	mux.HandleFunc("DELETE /pictures/film/{id}", p.endFilm)
	mux.HandleFunc("GET /pictures/state", p.giveState)
	mux.HandleFunc("GET /pictures/ice", p.giveICE)
	mux.HandleFunc("GET /pictures/seen.csv", p.giveSeen)
	mux.HandleFunc("GET /pictures/still/{station}/{stream}", p.giveStill)
	mux.HandleFunc("POST /pictures/whep/{station}/{stream}", p.takeView)
	mux.HandleFunc("DELETE /pictures/call/{id}", p.endView)
	mux.HandleFunc("POST /pictures/talk/{station}", p.beginTalk)
	mux.HandleFunc("POST /pictures/voice/{id}", p.pieceOfTalk)
	mux.HandleFunc("DELETE /pictures/voice/{id}", p.endTalk)
	// A browser sends an officer's sign-in along with what another site makes it ask for.
	own := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		if err := own.Check(r); err != nil {
			fail(w, http.StatusForbidden, phrase.E("pictures.other_site"))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// writePage makes a page whole before it goes out; policy is what it may load.
func (p *Pictures) writePage(w http.ResponseWriter, tpl *template.Template, v any, policy string) {
	var b bytes.Buffer
	if err := tpl.Execute(&b, v); err != nil {
		p.o.Log.Error("the page could not be made", "err", err)
		http.Error(w, "500", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes())
}

// templates are a page's in each language.
func templates(text string) map[phrase.Lang]*template.Template {
	tpl := map[phrase.Lang]*template.Template{}
	for _, l := range phrase.Languages {
		tpl[l] = template.Must(template.New("page").Funcs(template.FuncMap{
			"t": func(code string, pairs ...any) string {
				m := phrase.Message{Code: code, Params: map[string]any{}}
				for i := 0; i+1 < len(pairs); i += 2 {
					m.Params[pairs[i].(string)] = pairs[i+1]
				}
				return m.In(l)
			},
			"percent": func(f float64) template.CSS { return template.CSS(strconv.FormatFloat(f*100, 'f', 3, 64) + "%") },
		}).Parse(text))
	}
	return tpl
}

// langOf takes ?lang=, then English where the browser wants it before Chinese.
func langOf(r *http.Request) phrase.Lang {
	switch r.URL.Query().Get("lang") {
	case "zh":
		return phrase.ZH
	case "en":
		return phrase.EN
	}
	want := strings.ToLower(r.Header.Get("Accept-Language"))
	zh, en := strings.Index(want, "zh"), strings.Index(want, "en")
	if en >= 0 && (zh < 0 || en < zh) {
		return phrase.EN
	}
	return phrase.ZH
}
