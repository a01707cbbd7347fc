package pictures

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/video/recorder/shelf"
)

// film is one officer who is shown one clip.
type film struct {
	entry Entry
	mask  []hubfile.Part
	last  time.Time // when he asked for something of it
	rest  bool      // the codec changed: the film shows the first part alone
}

// The bounds of showing clips.
const (
	filmsMost = 200
	filmIdle  = 15 * time.Minute // without a request: a browser without scripts says nothing while it plays
	filmWrite = 10 * time.Minute // for one answer
	formMost  = 4 << 10
)

// beginFilm handles the form of the page: clip is station/id, why as for a live picture. Nobody is shown what is not
// written down.
func (p *Pictures) beginFilm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formMost)
	station, id, _ := strings.Cut(r.PostFormValue("clip"), "/")
	name, roles := p.o.Who(r)
	e, ok := shelf.Entry{}, false
	if p.shelf != nil {
		e, ok = p.shelf.Of(station, id)
	}
	if !ok {
		fail(w, http.StatusNotFound, phrase.E("pictures.no_clip"))
		return
	}
	view := p.o.File.Pictures.ViewOf(letter.Station(e.Station), e.Clip.Stream)
	if !view.MaySee(roles) {
		p.o.Log.Warn("a clip was refused: no role", "who", name, "station", e.Station, "clip", e.Clip.ID)
		fail(w, http.StatusForbidden, phrase.E("pictures.no_right"))
		return
	}
	why, err := reasonOf(r.PostFormValue("why"))
	if err != nil {
		fail(w, http.StatusUnprocessableEntity, err)
		return
	}
	m, err := p.shelf.Film(e.Station, e.Clip.ID)
	if err != nil {
		p.o.Log.Warn("a clip cannot be shown", "station", e.Station, "clip", e.Clip.ID, "err", err)
		fail(w, http.StatusUnprocessableEntity, phrase.Wrap(err, "pictures.clip_odd"))
		return
	}
	m.Close()
	f := &film{mask: view.MaskFor(roles), last: p.o.Now(), rest: m.More}
	f.entry = Entry{ID: secret()[:22], Kind: Played, Who: name, Roles: roles, Remote: r.RemoteAddr, Why: why, Station: letter.Station(e.Station), Stream: e.Clip.Stream,
		Masked: len(f.mask) > 0, Clip: e.Clip.ID, Cause: e.Clip.Cause, SHA256: e.Clip.SHA256, Bytes: e.Clip.Size, From: p.o.Now().UTC()}
	p.mu.Lock()
	own := 0
	for _, x := range p.films {
		if x.entry.Who == name {
			own++
		}
	}
	full := len(p.films) >= filmsMost || own >= viewsEachMost
	p.mu.Unlock()
	if full {
		fail(w, http.StatusServiceUnavailable, phrase.E("pictures.full", "most", min(filmsMost, viewsEachMost)))
		return
	}
	if err := p.o.Diary.Begin(r.Context(), f.entry); err != nil {
		p.o.Log.Error("a viewing cannot be written down, and is refused", "err", err)
		fail(w, http.StatusServiceUnavailable, err)
		return
	}
	p.mu.Lock()
	p.films[f.entry.ID] = f
	p.mu.Unlock()
	w.Header().Set("Location", "/pictures/film/"+f.entry.ID)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(p.filmState(f, e, langOf(r)))
}

// filmOf finds what an officer is shown; it is his alone.
func (p *Pictures) filmOf(w http.ResponseWriter, r *http.Request) (film, bool) {
	name, _ := p.o.Who(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.films[r.PathValue("id")]
	if f == nil || f.entry.Who != name {
		fail(w, http.StatusNotFound, phrase.E("pictures.no_call"))
		return film{}, false
	}
	f.last = p.o.Now()
	return *f, true
}

// FilmState is what is shown: the player asks for Film, which is not the bytes that the station sent but what a player
// reads; those are File, for whoever sees it bare.
type FilmState struct {
	ID      string         `json:"id"`
	Film    string         `json:"film"`
	File    string         `json:"file,omitempty"`
	Clip    ClipState      `json:"clip"`
	Why     string         `json:"why"`
	Cause   string         `json:"cause"`
	Undated string         `json:"undated,omitempty"`
	Mask    []hubfile.Part `json:"mask,omitempty"`
	Rest    bool           `json:"rest,omitempty"` // the codec changed: the film is the first part alone
}

func (p *Pictures) filmState(f *film, e shelf.Entry, l phrase.Lang) FilmState {
	at := "/pictures/film/" + f.entry.ID
	v := FilmState{ID: f.entry.ID, Film: at + "/film.mp4", Clip: p.clipState(e, l, f.entry.Roles), Why: f.entry.Why, Cause: e.Clip.Cause, Mask: f.mask, Rest: f.rest}
	if len(f.mask) == 0 {
		v.File = at + "/clip.mp4"
	}
	if e.Clip.Began.IsZero() {
		v.Undated = phrase.M("pictures.clip_undated").In(l)
	}
	return v
}

// giveFilm gives the clip as a player reads it; it asks for ranges.
func (p *Pictures) giveFilm(w http.ResponseWriter, r *http.Request) {
	f, ok := p.filmOf(w, r)
	if !ok {
		return
	}
	m, err := p.shelf.Film(string(f.entry.Station), f.entry.Clip)
	if err != nil {
		fail(w, http.StatusNotFound, phrase.E("pictures.no_clip"))
		return
	}
	defer m.Close()
	serveFilm(w, r, m)
}

// giveClip gives the bytes as the station sent them, of which the hash is: to whoever sees the picture bare.
func (p *Pictures) giveClip(w http.ResponseWriter, r *http.Request) {
	f, ok := p.filmOf(w, r)
	if !ok {
		return
	}
	if len(f.mask) > 0 {
		fail(w, http.StatusForbidden, phrase.E("pictures.no_right"))
		return
	}
	b, err := p.shelf.File(string(f.entry.Station), f.entry.Clip)
	if err != nil {
		fail(w, http.StatusNotFound, phrase.E("pictures.no_clip"))
		return
	}
	defer b.Close()
	w.Header().Set("Content-Disposition", `attachment; filename="`+string(f.entry.Station)+"-"+f.entry.Clip+`.mp4"`)
	serveFilm(w, r, b)
}

func serveFilm(w http.ResponseWriter, r *http.Request, from io.ReadSeeker) {
	w.Header().Set("Content-Type", "video/mp4")
	w.Header().Set("Cache-Control", "no-store")
	// A thin line takes longer than the page's own answers may.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(filmWrite))
	http.ServeContent(w, r, "", time.Time{}, from)
}

// keepFilm says that the page is still open.
func (p *Pictures) keepFilm(w http.ResponseWriter, r *http.Request) {
	if _, ok := p.filmOf(w, r); ok {
		w.WriteHeader(http.StatusNoContent)
	}
}

// endFilm says that it was closed.
func (p *Pictures) endFilm(w http.ResponseWriter, r *http.Request) {
	if f, ok := p.filmOf(w, r); ok {
		p.played(f.entry.ID, p.o.Now())
		w.WriteHeader(http.StatusOK)
	}
}

// rewind ends what nobody asks for any more. The lock is held.
func (p *Pictures) rewind(now time.Time) {
	for id, f := range p.films {
		if now.Sub(f.last) >= filmIdle {
			delete(p.films, id)
			p.endLater(f.entry, f.last)
		}
	}
}

// played ends one.
func (p *Pictures) played(id string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.films[id]; f != nil {
		delete(p.films, id)
		p.endLater(f.entry, at)
	}
}

// endLater writes an end down, beside whoever holds the lock.
func (p *Pictures) endLater(e Entry, at time.Time) {
	p.o.Guard.Go("pictures", "played", guard.Once, func(context.Context) error {
		p.endEntry(e, at)
		return nil
	})
}

func (p *Pictures) endEntry(e Entry, at time.Time) {
	e.To = at.UTC()
	if err := p.o.Diary.End(context.Background(), e); err != nil {
		p.o.Log.Error("the end of a viewing is not written down", "id", e.ID, "err", err)
	}
}

// endFilms ends all: the hub ends.
func (p *Pictures) endFilms() {
	p.mu.Lock()
	all := p.films
	p.films = map[string]*film{}
	p.mu.Unlock()
	for _, f := range all {
		p.endEntry(f.entry, f.last)
	}
}
