package video

import (
	"encoding/json"
	"io"
	"net/http"
	"time"
	"tocsin/firmware/video/terms"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/recorder"
)

// records are playback, clips and pins.
func (r *Relay) records(m *http.ServeMux) {
	recorded := func(w http.ResponseWriter, q *http.Request) *recorder.Recorder {
		name := q.PathValue("stream")
		r.mu.Lock()
		defer r.mu.Unlock()
		if e := r.streams[name]; e != nil && e.rec != nil {
			return e.rec
		}
		writeError(w, http.StatusNotFound, phrase.E("video.no_record", "stream", name))
		return nil
	}
	m.HandleFunc("GET /spans/{stream}", func(w http.ResponseWriter, q *http.Request) {
		if rec := recorded(w, q); rec != nil {
			writeJSON(w, rec.Spans())
		}
	})
	m.HandleFunc("GET /clips/{stream}", func(w http.ResponseWriter, q *http.Request) {
		if rec := recorded(w, q); rec != nil {
			writeJSON(w, rec.Clips())
		}
	})
	m.HandleFunc("GET /clip/{stream}/{id}", func(w http.ResponseWriter, q *http.Request) {
		if rec := recorded(w, q); rec != nil {
			film, err := rec.PlayClip(q.PathValue("id"))
			show(w, q, film, err)
		}
	})
	m.HandleFunc("GET /film/{stream}", func(w http.ResponseWriter, q *http.Request) {
		rec := recorded(w, q)
		if rec == nil {
			return
		}
		from, err := time.Parse(time.RFC3339, q.URL.Query().Get("from"))
		if err != nil {
			writeError(w, http.StatusBadRequest, phrase.E("video.time", "time", q.URL.Query().Get("from")))
			return
		}
		to, err := time.Parse(time.RFC3339, q.URL.Query().Get("to"))
		if err != nil {
			writeError(w, http.StatusBadRequest, phrase.E("video.time", "time", q.URL.Query().Get("to")))
			return
		}
		spans := rec.Between(from, to)
		if len(spans) == 0 {
			writeError(w, http.StatusNotFound, phrase.E("video.no_record", "stream", q.PathValue("stream")))
			return
		}
		first, last := spans[0], spans[0]
		for _, s := range spans {
			if s.Boot == first.Boot {
				last = s
			}
		}
		film, err := rec.Play(first.Boot, first.From, last.To)
		show(w, q, film, err)
	})
	m.HandleFunc("POST /pin", func(w http.ResponseWriter, q *http.Request) {
		var p terms.Pin
		if err := json.NewDecoder(io.LimitReader(q.Body, controlMost)).Decode(&p); err != nil {
			writeError(w, http.StatusBadRequest, err)
			return
		}
		now := r.mono()
		var clips []recorder.Clip
		for _, name := range r.order {
			r.mu.Lock()
			rec := r.streams[name].rec
			r.mu.Unlock()
			if rec == nil {
				continue
			}
			c, err := rec.Pin(q.Context(), recorder.Alarm{Cause: p.Cause, Title: p.Title, Class: p.Class, From: max(now-p.Before, 0), To: now + p.After})
			if err != nil {
				r.log.Warn("no clip", "stream", name, "cause", p.Cause, "err", err)
				continue
			}
			clips = append(clips, c)
		}
		writeJSON(w, clips)
	})
	m.HandleFunc("GET /clips", func(w http.ResponseWriter, q *http.Request) { writeJSON(w, r.clips()) })
}

// show serves a film; browsers ask for ranges of it.
func show(w http.ResponseWriter, q *http.Request, film *recorder.Film, err error) {
	if err != nil {
		writeError(w, http.StatusNotFound, err)
		return
	}
	defer film.Close()
	w.Header().Set("Content-Type", "video/mp4")
	w.Header().Set("Cache-Control", "no-store")
	http.ServeContent(w, q, "", time.Time{}, film)
}
