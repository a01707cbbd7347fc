package console

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"tocsin/cmd/hubd/post"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

//go:embed page.html
var pageText string

// lateAfter marks a station that was not heard for so long.
const lateAfter = 15 * time.Minute

type pageView struct {
	Lang, Other phrase.Lang
	Tag         string
	Name, Now   string
	Stations    []stationView
	Sent        []sentView
	Unknown     int
}

type stationView struct {
	ID, Name   string
	Seen, Link string
	Late       bool
	Links      []seenView
	Letters    [6]int
	Copies     int
	Faults     []string
	Recent     []keptView
}

type seenView struct{ Link, At string }

type keptView struct {
	ID, Class, Link, At string
	Bytes               int
}

type sentView struct {
	ID, About, By, Class, At string
	Taken, Of                int
	To                       []tookView
}

type tookView struct{ Name, At, Link string }

// Page is the handler of the officers' page.
func (c *Console) Page() http.Handler {
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
		}).Parse(pageText))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		l := langOf(r)
		var b bytes.Buffer
		if err := tpl[l].Execute(&b, c.look(l)); err != nil {
			c.log.Error("the page could not be made", "err", err)
			http.Error(w, "500", http.StatusInternalServerError)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(b.Bytes())
	})
	return mux
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

func (c *Console) look(l phrase.Lang) pageView {
	s, now := c.office.State(), c.now()
	v := pageView{Lang: l, Other: phrase.EN, Tag: "zh-CN", Name: c.file.Name.In(l), Now: c.when(now), Unknown: s.Unknown}
	if l == phrase.EN {
		v.Other, v.Tag = phrase.ZH, "en"
	}
	names := map[letter.Station]string{}
	for _, st := range s.Stations {
		name := st.Name.In(l)
		if name == "" {
			name = string(st.ID)
		}
		names[st.ID] = name
		v.Stations = append(v.Stations, c.station(st, name, now, l))
	}
	for _, d := range s.Sent {
		sv := sentView{ID: d.ID, About: d.About, By: d.By, Class: className(d.Class).In(l), At: c.when(d.At), Of: len(d.To)}
		for st, t := range d.To {
			n := names[st]
			if n == "" {
				n = string(st)
			}
			tv := tookView{Name: n}
			if !t.At.IsZero() {
				sv.Taken++
				tv.At, tv.Link = c.when(t.At), t.Link
			}
			sv.To = append(sv.To, tv)
		}
		// Who has not taken it stands first.
		slices.SortFunc(sv.To, func(a, b tookView) int {
			if (a.At == "") != (b.At == "") {
				if a.At == "" {
					return -1
				}
				return 1
			}
			return strings.Compare(a.Name, b.Name)
		})
		v.Sent = append(v.Sent, sv)
	}
	return v
}

func (c *Console) station(st post.Station, name string, now time.Time, l phrase.Lang) stationView {
	at, link := st.Last()
	v := stationView{ID: string(st.ID), Name: name, Seen: c.when(at), Link: link, Late: now.Sub(at) > lateAfter, Letters: st.Letters, Copies: st.Copies}
	var links []string
	for k := range st.Seen {
		links = append(links, k)
	}
	slices.SortFunc(links, func(a, b string) int { return st.Seen[b].Compare(st.Seen[a]) })
	for _, k := range links {
		v.Links = append(v.Links, seenView{k, c.when(st.Seen[k])})
	}
	if st.Twice > 0 {
		v.Faults = append(v.Faults, phrase.M("hubd.page_twice", "count", st.Twice).In(l))
	}
	if st.Mislabelled > 0 {
		v.Faults = append(v.Faults, phrase.M("hubd.page_mislabelled", "count", st.Mislabelled).In(l))
	}
	for _, k := range st.Recent {
		v.Recent = append(v.Recent, keptView{k.ID, className(k.Class).In(l), k.Link, c.when(k.At), k.Bytes})
	}
	return v
}

func className(c letter.Class) phrase.Message {
	switch c {
	case letter.Warning:
		return phrase.M("hubd.class_warning")
	case letter.Command:
		return phrase.M("hubd.class_command")
	case letter.Receipt:
		return phrase.M("hubd.class_receipt")
	case letter.Alarm:
		return phrase.M("hubd.class_alarm")
	case letter.Telemetry:
		return phrase.M("hubd.class_telemetry")
	}
	return phrase.M("hubd.class_bulk")
}

func (c *Console) when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(c.zone).Format("2006-01-02 15:04:05")
}
