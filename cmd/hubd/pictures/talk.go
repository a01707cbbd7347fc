package pictures

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// talk is one officer who speaks.
type talk struct {
	entry Entry
	voice Voice
	last  time.Time
}

// The bounds of a talk: a page sends a piece five times a second.
const (
	pieceMost = 8 << 10 // a second of A-law
	talkMost  = 2 * time.Minute
	hushAfter = 5 * time.Second // without a piece
)

// beginTalk handles POST /pictures/talk/{station}.
func (p *Pictures) beginTalk(w http.ResponseWriter, r *http.Request) {
	s := letter.Station(r.PathValue("station"))
	name, roles := p.o.Who(r)
	p.mu.Lock()
	t := p.stations[s]
	busy := false
	for _, x := range p.talks {
		busy = busy || x.entry.Station == s
	}
	p.mu.Unlock()
	switch {
	case t == nil || !t.Talk || p.o.Talk == nil:
		fail(w, http.StatusNotFound, phrase.E("pictures.no_talk"))
		return
	case !p.mayTalk(t, s, roles):
		p.o.Log.Warn("a talk was refused: no role", "who", name, "station", s)
		fail(w, http.StatusForbidden, phrase.E("pictures.no_right"))
		return
	case busy:
		fail(w, http.StatusConflict, phrase.E("pictures.talk_busy"))
		return
	}
	why, err := reason(r)
	if err != nil {
		fail(w, http.StatusUnprocessableEntity, err)
		return
	}
	k := &talk{entry: Entry{ID: secret()[:22], Kind: Spoke, Who: name, Roles: roles, Remote: r.RemoteAddr, Why: why, Station: s, From: p.o.Now().UTC()}, last: p.o.Now()}
	if err := p.o.Diary.Begin(r.Context(), k.entry); err != nil {
		fail(w, http.StatusServiceUnavailable, err)
		return
	}
	if k.voice, err = p.o.Talk.Talk(context.WithoutCancel(r.Context()), s, name, why); err != nil {
		k.entry.Failed = phrase.Of(err)
		p.spoken(k)
		fail(w, http.StatusServiceUnavailable, err)
		return
	}
	p.mu.Lock()
	p.talks[k.entry.ID] = k
	p.mu.Unlock()
	w.Header().Set("Location", "/pictures/voice/"+k.entry.ID)
	w.WriteHeader(http.StatusCreated)
}

// mayTalk tells whether somebody may speak at a station: by what its streams or its own rule say.
func (p *Pictures) mayTalk(t *told, s letter.Station, roles []string) bool {
	for _, x := range t.Streams {
		if v := p.o.File.Pictures.ViewOf(s, x.Name); v.MayTalk(roles) {
			return true
		}
	}
	return false
}

// pieceOfTalk handles POST /pictures/voice/{id}: A-law, 8 kHz.
func (p *Pictures) pieceOfTalk(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, pieceMost))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		fail(w, http.StatusRequestEntityTooLarge, phrase.E("pictures.large", "most", pieceMost))
		return
	}
	k := p.talkOf(r)
	if k == nil || err != nil {
		fail(w, http.StatusNotFound, phrase.E("pictures.no_call"))
		return
	}
	if _, err := k.voice.Write(b); err != nil {
		k.entry.Failed = phrase.Of(err)
		p.finish(k)
		fail(w, http.StatusServiceUnavailable, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// talkOf finds a talk of whoever asks.
func (p *Pictures) talkOf(r *http.Request) *talk {
	name, _ := p.o.Who(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.talks[r.PathValue("id")]
	if k == nil || k.entry.Who != name {
		return nil
	}
	k.last = p.o.Now()
	return k
}

// endTalk handles DELETE /pictures/voice/{id}.
func (p *Pictures) endTalk(w http.ResponseWriter, r *http.Request) {
	k := p.talkOf(r)
	if k == nil {
		fail(w, http.StatusNotFound, phrase.E("pictures.no_call"))
		return
	}
	p.finish(k)
	w.WriteHeader(http.StatusOK)
}

// finish ends a talk once.
func (p *Pictures) finish(k *talk) {
	p.mu.Lock()
	on := p.talks[k.entry.ID] == k
	delete(p.talks, k.entry.ID)
	p.mu.Unlock()
	if !on {
		return
	}
	if err := k.voice.Close(); err != nil && k.entry.Failed.IsZero() {
		k.entry.Failed = phrase.Of(err)
	}
	p.spoken(k)
}

func (p *Pictures) spoken(k *talk) {
	k.entry.To = p.o.Now().UTC()
	if err := p.o.Diary.End(context.Background(), k.entry); err != nil {
		p.o.Log.Error("the end of a talk is not written down", "id", k.entry.ID, "err", err)
	}
}

// hush ends talks that went silent or too long. The lock is held.
func (p *Pictures) hush(now time.Time) {
	for _, k := range p.talks {
		if now.Sub(k.last) > hushAfter || now.Sub(k.entry.From) > talkMost {
			p.o.Guard.Go("pictures", "hush", guard.Once, func(context.Context) error { p.finish(k); return nil })
		}
	}
}
