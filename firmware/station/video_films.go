package station

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/video/terms"
)

// Bounds of what is played from the recording.
const (
	filmsMost  = 64
	filmFor    = 2 * time.Hour
	filmWrite  = 10 * time.Minute // for one answer
	clipsShown = 50               // of one stream, on the page
)

// playing is one film that somebody was let see: the journal has it already.
type playing struct {
	path, query string // at the child
	addr        string
	until       time.Duration
}

// mayPlay says whether somebody may see what was recorded: an operator, and where the site's file says so whoever
// may see the live picture.
func (p *pictures) mayPlay(role access.Role) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return role.Allows(access.Operator) || p.site != nil && p.site.Record != nil && p.site.Record.Page
}

// play lets somebody see a clip (clip=) or a time (from=, to=) of a stream, writes that down, and tells where the film is.
func (p *pictures) play(w http.ResponseWriter, r *http.Request, stream, who string, grant access.Grant) {
	if !p.mayPlay(grant.Role) {
		refusePicture(w, http.StatusForbidden, phrase.E("station.video_barred"))
		return
	}
	if _, ok := p.camera(stream); !ok {
		refusePicture(w, http.StatusNotFound, phrase.E("video.unknown", "stream", stream))
		return
	}
	q := r.URL.Query()
	f, what := playing{path: "/film/" + stream, addr: grant.Addr, until: p.h.clock.Now().Mono + filmFor}, ""
	if id := q.Get("clip"); id != "" {
		i := -1
		all := p.shownClips(stream)
		for k, c := range all {
			if c.ID == id && c.Finished {
				i = k
			}
		}
		if i < 0 {
			refusePicture(w, http.StatusNotFound, phrase.E("video.no_record", "stream", stream))
			return
		}
		f.path, what = "/clip/"+stream+"/"+all[i].ID, all[i].ID
	} else {
		from, err1 := time.Parse(time.RFC3339, q.Get("from"))
		to, err2 := time.Parse(time.RFC3339, q.Get("to"))
		if err1 != nil || err2 != nil || !from.Before(to) || to.Sub(from) > time.Hour {
			refusePicture(w, http.StatusBadRequest, phrase.E("recorder.film_asked"))
			return
		}
		f.query = url.Values{"from": {from.Format(time.RFC3339)}, "to": {to.Format(time.RFC3339)}}.Encode()
		what = from.UTC().Format(time.RFC3339) + "/" + to.UTC().Format(time.RFC3339)
	}
	id := rand.Text()
	p.mu.Lock()
	now := p.h.clock.Now().Mono
	for k, o := range p.films {
		if now >= o.until {
			delete(p.films, k)
		}
	}
	full := len(p.films) >= filmsMost
	if !full {
		p.films[id] = f
	}
	p.mu.Unlock()
	if full {
		refusePicture(w, http.StatusServiceUnavailable, phrase.E("station.video_many", "most", filmsMost))
		return
	}
	p.h.record("video.played", phrase.M("station.video_played", "who", who, "stream", stream, "what", what), map[string]any{"stream": stream, "who": who, "what": what})
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"url": videoAPI + "/films/" + id})
}

// film gives where a film is at the child; only to the address that was let see it.
func (p *pictures) film(id, addr string) (playing, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, ok := p.films[id]
	return f, ok && f.addr == addr && p.h.clock.Now().Mono < f.until
}

// shownClip is a clip as the page is told of it.
type shownClip struct {
	ID      string      `json:"id"`
	Began   time.Time   `json:"began,omitzero"`
	Title   phrase.Text `json:"title"`
	Seconds int         `json:"seconds"`
	Bytes   int64       `json:"bytes"`
	SHA256  string      `json:"sha256,omitempty"`
	Done    bool        `json:"done"` // it can be played
	State   phrase.Text `json:"state_text"`
}

func (p *pictures) clipList(name string, s *terms.State) []shownClip {
	out := []shownClip{}
	cam, _ := p.camera(name)
	all := p.shownClips(name)
	for _, c := range all[:min(len(all), clipsShown)] {
		m := phrase.M("station.clip_waits")
		switch {
		case !c.Finished:
			m = phrase.M("station.clip_growing")
		case c.Size == 0:
			m = phrase.M("station.clip_empty")
		case c.Delivered:
			m = phrase.M("station.clip_delivered")
		case c.Refused:
			m = phrase.M("station.clip_refused")
		case cam.Here:
			m = phrase.M("station.clip_here")
		case s.Sending:
			m = phrase.M("station.clip_sending")
		}
		v := shownClip{ID: c.ID, Began: c.Began, Title: c.Title, Seconds: int((c.Last - c.First) / time.Second), Bytes: c.Size, SHA256: c.SHA256, Done: c.Finished && c.Size > 0, State: saidBoth(m)}
		if v.Title == (phrase.Text{}) {
			v.Title = phrase.Text{ZH: c.Cause, EN: c.Cause}
		}
		out = append(out, v)
	}
	return out
}
