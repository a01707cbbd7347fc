package console

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"

	"tocsin/firmware/phrase"
)

//go:embed page.html sign.html send.html frame.html county.css
var web embed.FS

// frameView is what every page of the county has around it.
type frameView struct {
	Lang, Other phrase.Lang
	Tag         string
	Name, Now   string
	Here        string // which page it is
	Path        string // where the other language is
	Who         string // who signed in; "" where nobody does
	Pictures    bool   // there are live pictures
	MaySend     bool
}

func (c *Console) frame(r *http.Request) frameView {
	l := langOf(r)
	v := frameView{Lang: l, Other: phrase.EN, Tag: "zh-CN", Name: c.file.Name.In(l), Now: c.when(c.now()), Path: r.URL.Path, Pictures: c.below["/pictures/"] != nil, MaySend: c.maySend(r)}
	if l == phrase.EN {
		v.Other, v.Tag = phrase.ZH, "en"
	}
	if who, roles := Officer(r); who != "localhost" || roles != nil {
		v.Who = who
	}
	return v
}

// templates are the pages in both languages.
func templates() map[phrase.Lang]*template.Template {
	all := map[phrase.Lang]*template.Template{}
	for _, l := range phrase.Languages {
		all[l] = template.Must(template.New("county").Funcs(template.FuncMap{
			"t": func(code string, pairs ...any) string {
				m := phrase.Message{Code: code, Params: map[string]any{}}
				for i := 0; i+1 < len(pairs); i += 2 {
					m.Params[pairs[i].(string)] = pairs[i+1]
				}
				return m.In(l)
			},
		}).ParseFS(web, "*.html"))
	}
	return all
}

// write gives one of the pages.
func (c *Console) write(w http.ResponseWriter, status int, l phrase.Lang, name string, v any) {
	c.once.Do(func() { c.pages = templates() })
	var b bytes.Buffer
	if err := c.pages[l].ExecuteTemplate(&b, name+".html", v); err != nil {
		c.log.Error("the page could not be made", "page", name, "err", err)
		http.Error(w, "500", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// style is what the pages wear; it is open, since the page by which officers sign in wears it too.
func style(w http.ResponseWriter, _ *http.Request) {
	b, _ := web.ReadFile("county.css")
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(b)
}
