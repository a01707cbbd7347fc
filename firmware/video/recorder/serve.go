package recorder

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/phrase"
)

// Handler shows a recording to a browser. Who may see it, and that it is journaled, is the
// matter of who mounts it.
//
//	GET spans                      what there is, as JSON
//	GET clips                      the alarms' clips, as JSON
//	GET film?boot=b&from=s&to=s    a film, by seconds since a boot
//	GET film?from=t&to=t           or by RFC 3339
//	GET clips/<id>                 a clip as a film
//
// Films answer range requests. What it shows is not to be kept by anybody on the way.
func (r *Recorder) Handler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /spans", func(w http.ResponseWriter, q *http.Request) { answer(w, r.Spans()) })
	m.HandleFunc("GET /clips", func(w http.ResponseWriter, q *http.Request) { answer(w, r.Clips()) })
	m.HandleFunc("GET /clips/{id}", func(w http.ResponseWriter, q *http.Request) {
		f, err := r.PlayClip(q.PathValue("id"))
		show(w, q, f, err)
	})
	m.HandleFunc("GET /film", func(w http.ResponseWriter, q *http.Request) {
		f, err := r.asked(q)
		show(w, q, f, err)
	})
	return m
}

// asked makes the film that a request asks for.
func (r *Recorder) asked(q *http.Request) (*Film, error) {
	v := q.URL.Query()
	boot, from, to := v.Get("boot"), v.Get("from"), v.Get("to")
	if boot != "" {
		a, e := strconv.ParseFloat(from, 64)
		b, f := strconv.ParseFloat(to, 64)
		// Not a number is neither more nor less; so it is asked this way round.
		if e != nil || f != nil || !(a >= 0 && a < b && b < mostMono.Seconds()) {
			return nil, phrase.E("recorder.film_asked")
		}
		return r.Play(boot, time.Duration(a*float64(time.Second)), time.Duration(b*float64(time.Second)))
	}
	a, e := time.Parse(time.RFC3339Nano, from)
	b, f := time.Parse(time.RFC3339Nano, to)
	if e != nil || f != nil || !a.Before(b) {
		return nil, phrase.E("recorder.film_asked")
	}
	for _, s := range r.Between(a, b) { // of the first boot that has something of it
		return r.Play(s.Boot, s.From, min(s.To, s.From+r.o.MostFilm))
	}
	return nil, phrase.E("recorder.film_none", "stream", r.o.Stream)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // whoever asked has gone
}

func show(w http.ResponseWriter, q *http.Request, f *Film, err error) {
	w.Header().Set("Cache-Control", "no-store")
	if err != nil {
		code := http.StatusNotFound
		var e *phrase.Error
		switch {
		case errors.As(err, &e) && e.Code == "recorder.film_none", errors.Is(err, fs.ErrNotExist):
		case e != nil:
			code = http.StatusBadRequest
		default:
			code = http.StatusInternalServerError
		}
		lang := phrase.ZH
		if strings.HasPrefix(q.Header.Get("Accept-Language"), "en") {
			lang = phrase.EN
		}
		http.Error(w, phrase.In(err, lang), code)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "video/mp4")
	http.ServeContent(w, q, "", time.Time{}, f)
}
