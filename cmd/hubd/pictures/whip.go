package pictures

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"

	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/video/stream"
	"tocsin/firmware/video/whep"
)

// offerMost bounds an SDP document: a browser's with every codec is some 10 kB.
const offerMost = 64 << 10

// WHIP is the handler for stations (RFC 9725), and for the clips that they bring.
func (p *Pictures) WHIP() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /whip/{station}/{stream}", p.takePush)
	mux.HandleFunc("DELETE /whip/call/{id}", p.endPush)
	mux.HandleFunc("PATCH /whip/call/{id}", func(w http.ResponseWriter, _ *http.Request) {
		// Neither trickle nor restart: the station pushes anew (RFC 9725, 4.3).
		w.Header().Set("Allow", "DELETE")
		fail(w, http.StatusMethodNotAllowed, phrase.E("pictures.patch"))
	})
	mux.HandleFunc("/clips/{station}/{clip}", p.takeClip)
	mux.HandleFunc("OPTIONS /whip/{station}/{stream}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Accept-Post", "application/sdp")
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// takePush handles a station's POST.
func (p *Pictures) takePush(w http.ResponseWriter, r *http.Request) {
	k := feedKey{letter.Station(r.PathValue("station")), r.PathValue("stream")}
	// Nothing is read of who brings no token.
	if err := p.good(k, bearer(r)); err != nil {
		p.stranger(w, r, k, err)
		return
	}
	offer, status, err := offerOf(w, r)
	if err != nil {
		fail(w, status, err)
		return
	}
	f, g, err := p.redeem(k, bearer(r))
	if err != nil {
		p.stranger(w, r, k, err)
		return
	}
	answer, err := p.publish(r.Context(), f, g, offer, r.RemoteAddr)
	if err != nil {
		p.o.Log.Warn("a push failed", "station", k.station, "stream", k.stream, "err", err)
		fail(w, whep.Status(err), err)
		return
	}
	w.Header().Set("Location", "/whip/call/"+g.call)
	w.Header().Set("Content-Type", "application/sdp")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer)
}

// stranger refuses.
func (p *Pictures) stranger(w http.ResponseWriter, r *http.Request, k feedKey, err error) {
	p.o.Log.Debug("a push was refused", "from", r.RemoteAddr, "to", clip(k.String()), "why", err) // anybody can make it say so
	w.Header().Set("WWW-Authenticate", `Bearer realm="hubd"`)
	fail(w, http.StatusUnauthorized, err)
}

// good tells whether a token lets somebody begin to push. Whatever is wrong, whoever asks hears the same.
func (p *Pictures) good(k feedKey, token string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.holds(k, token)
}

func (p *Pictures) holds(k feedKey, token string) error {
	g := p.tokens.of(token)
	if token == "" || g == nil || g.used || g.key != k || !p.o.Now().Before(g.until) || p.feeds[k] == nil {
		return phrase.E("pictures.token")
	}
	return nil
}

// redeem uses up a token.
func (p *Pictures) redeem(k feedKey, token string) (*feed, *grant, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.holds(k, token); err != nil {
		return nil, nil, err
	}
	g := p.tokens.of(token)
	g.used, g.call = true, secret()
	return p.feeds[k], g, nil
}

// publish lets a station's pictures in; a call that is there gives way: it is of the same station, whose
// link may have changed.
func (p *Pictures) publish(ctx context.Context, f *feed, g *grant, offer, from string) (string, error) {
	var w *stream.Writer
	answer, call, err := p.o.Media.Publish(ctx, offer, f.key.String(), func() (_ *stream.Writer, err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.hang(f)
		w, err = f.s.Open("whip " + from)
		return w, err
	})
	if err != nil {
		p.mu.Lock()
		p.tokens.forget(g.call)
		p.mu.Unlock()
		return "", phrase.Wrap(err, "pictures.not_answered")
	}
	p.mu.Lock()
	f.call, f.callID, f.writer, f.since, f.refused = call, g.call, w, p.o.Now(), nil
	f.tries = 0
	f.came++
	p.pushes[g.call] = f
	if p.feeds[f.key] != f { // it ended meanwhile
		p.hang(f)
	}
	p.mu.Unlock()
	p.o.Guard.Go("pictures", "push", guard.Once, func(ctx context.Context) error {
		select {
		case <-call.Done():
		case <-ctx.Done():
			call.Close()
		}
		p.hungUp(f, call)
		return nil
	})
	return answer, nil
}

// hungUp notes that a station's call ended. Who still watches has the station asked again: at once, unless it
// broke off as soon as it had begun.
func (p *Pictures) hungUp(f *feed, call Call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.call != call {
		return
	}
	p.hang(f)
	now := p.o.Now()
	if f.again = now; now.Sub(f.since) < pauseMost {
		f.again = now.Add(pauseFirst)
	}
	p.wake()
}

// endPush handles a station's DELETE.
func (p *Pictures) endPush(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	p.mu.Lock()
	defer p.mu.Unlock()
	g, f := p.tokens.of(bearer(r)), p.pushes[id]
	switch {
	case g == nil || g.call != id:
		w.Header().Set("WWW-Authenticate", `Bearer realm="hubd"`)
		fail(w, http.StatusUnauthorized, phrase.E("pictures.token"))
		return
	case f != nil:
		p.hang(f)
		f.again = p.o.Now().Add(pauseFirst)
	}
	w.WriteHeader(http.StatusOK)
}

// offerOf reads the body of a POST.
func offerOf(w http.ResponseWriter, r *http.Request) (string, int, error) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/sdp" {
		return "", http.StatusUnsupportedMediaType, phrase.E("pictures.not_sdp")
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, offerMost))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return "", http.StatusRequestEntityTooLarge, phrase.E("pictures.large", "most", offerMost)
	case err != nil:
		return "", http.StatusBadRequest, phrase.E("pictures.not_sdp")
	case len(b) == 0:
		return "", http.StatusBadRequest, phrase.E("pictures.not_sdp")
	}
	return string(b), 0, nil
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
