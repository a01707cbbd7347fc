package pictures

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/video/stream"
	"tocsin/firmware/video/whep"
)

// viewing is one officer who looks at one stream.
type viewing struct {
	entry Entry
	feed  *feed
	call  Call
	// giveUp ends the waiting for the first picture.
	giveUp context.CancelCauseFunc
}

// The bounds of what a viewer says.
const (
	whyLeast = 2
	whyMost  = 120
	// waitFor is how long a viewer waits for the first picture: the station is asked, begins
	// to push, and sends a key picture.
	waitFor = 25 * time.Second
)

// reason is why somebody wants to see, or an error.
func reason(r *http.Request) (string, error) {
	return reasonOf(r.URL.Query().Get("why"))
}

func reasonOf(why string) (string, error) {
	why = strings.TrimSpace(why)
	if n := utf8.RuneCountInString(why); !utf8.ValidString(why) || n < whyLeast || n > whyMost {
		return "", phrase.E("pictures.why", "least", whyLeast, "most", whyMost)
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, why), nil
}

// takeView handles a viewer's POST (WHEP).
func (p *Pictures) takeView(w http.ResponseWriter, r *http.Request) {
	k := feedKey{letter.Station(r.PathValue("station")), r.PathValue("stream")}
	name, roles := p.o.Who(r)
	view := p.o.File.Pictures.ViewOf(k.station, k.stream)
	if !view.MaySee(roles) {
		p.o.Log.Warn("a viewing was refused: no role", "who", name, "station", clip(string(k.station)), "stream", clip(k.stream))
		fail(w, http.StatusForbidden, phrase.E("pictures.no_right"))
		return
	}
	why, err := reason(r)
	if err != nil {
		fail(w, http.StatusUnprocessableEntity, err)
		return
	}
	offer, status, err := offerOf(w, r)
	if err != nil {
		fail(w, status, err)
		return
	}
	v := &viewing{entry: Entry{ID: secret()[:22], Kind: Saw, Who: name, Roles: roles, Remote: r.RemoteAddr, Why: why, Station: k.station, Stream: k.stream,
		Masked: len(view.MaskFor(roles)) > 0, From: p.o.Now().UTC()}}
	if status, err := p.admit(v, k); err != nil {
		fail(w, status, err)
		return
	}
	// Nobody sees what is not written down.
	if err := p.o.Diary.Begin(r.Context(), v.entry); err != nil {
		p.leave(v)
		p.o.Log.Error("a viewing cannot be written down, and is refused", "err", err)
		fail(w, http.StatusServiceUnavailable, err)
		return
	}
	answer, status := "", http.StatusServiceUnavailable
	if err = p.join(v, k); err == nil {
		answer, status, err = p.show(r.Context(), v, offer)
	}
	if err != nil {
		v.entry.Failed = phrase.Of(err)
		p.over(v)
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "5")
		}
		fail(w, status, err)
		return
	}
	over := context.Background()
	if p.o.Until != nil {
		over = p.o.Until(r)
	}
	p.o.Guard.Go("pictures", "view", guard.Once, func(ctx context.Context) error {
		select {
		case <-v.call.Done():
		case <-over.Done():
			v.call.Close()
		case <-ctx.Done():
			v.call.Close()
		}
		p.over(v)
		return nil
	})
	w.Header().Set("Location", "/pictures/call/"+v.entry.ID)
	w.Header().Set("Content-Type", "application/sdp")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer)
}

// admit enters a viewing, within the bounds.
func (p *Pictures) admit(v *viewing, k feedKey) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.has(k.station, k.stream); !ok {
		return http.StatusNotFound, phrase.E("pictures.no_stream")
	}
	own := 0
	for _, x := range p.calls {
		if x.entry.Who == v.entry.Who {
			own++
		}
	}
	if len(p.calls) >= viewsMost || own >= viewsEachMost {
		return http.StatusServiceUnavailable, phrase.E("pictures.full", "most", min(viewsMost, viewsEachMost))
	}
	p.calls[v.entry.ID] = v
	return 0, nil
}

// join has a viewing wait for its stream, which is asked for from now on.
func (p *Pictures) join(v *viewing, k feedKey) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, err := p.open(k)
	if err != nil {
		return err
	}
	if !p.o.Now().Before(f.again) {
		f.refused = nil // it is asked again
	}
	v.feed = f
	f.viewers[v] = struct{}{}
	p.wake()
	return nil
}

// show waits for the stream and answers the offer.
func (p *Pictures) show(ctx context.Context, v *viewing, offer string) (string, int, error) {
	ctx, cancel := context.WithTimeout(ctx, waitFor)
	defer cancel()
	if err := p.arrived(ctx, v); err != nil {
		return "", http.StatusServiceUnavailable, err
	}
	answer, call, err := p.o.Media.View(ctx, v.feed.s, offer, v.entry.Who)
	if err != nil {
		return "", whep.Status(err), err
	}
	p.mu.Lock()
	v.call = call
	gone := p.calls[v.entry.ID] != v
	p.mu.Unlock()
	if gone {
		call.Close()
	}
	return answer, 0, nil
}

// arrived waits until the first picture is there, or it is known that none comes.
func (p *Pictures) arrived(ctx context.Context, v *viewing) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	f := v.feed
	p.mu.Lock()
	v.giveUp = giveUp
	refused := f.refused
	p.mu.Unlock()
	if refused != nil {
		return phrase.Wrap(refused, "pictures.refused")
	}
	// Sound is not waited for: a drone announces it and sends none.
	r := f.s.Reader(stream.ReaderOpts{Name: v.entry.Who})
	defer r.Close()
	_, err := r.Next(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF):
		return phrase.E("pictures.ended")
	case errors.Is(context.Cause(ctx), context.Canceled):
		return phrase.E("pictures.left")
	case errors.Is(err, context.Canceled):
		return phrase.Wrap(context.Cause(ctx), "pictures.refused")
	}
	return phrase.E("pictures.no_picture", "seconds", int(waitFor/time.Second))
}

// leave takes a viewing out.
func (p *Pictures) leave(v *viewing) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls[v.entry.ID] != v {
		return false
	}
	delete(p.calls, v.entry.ID)
	if v.feed == nil {
		return true
	}
	delete(v.feed.viewers, v)
	if len(v.feed.viewers) == 0 {
		v.feed.left = p.o.Now()
	}
	return true
}

// over ends a viewing and writes that down.
func (p *Pictures) over(v *viewing) {
	if !p.leave(v) {
		return
	}
	v.entry.To = p.o.Now().UTC()
	if err := p.o.Diary.End(context.Background(), v.entry); err != nil {
		p.o.Log.Error("the end of a viewing is not written down", "id", v.entry.ID, "err", err)
	}
}

// endView handles a viewer's DELETE. The address is known to him alone.
func (p *Pictures) endView(w http.ResponseWriter, r *http.Request) {
	name, _ := p.o.Who(r)
	p.mu.Lock()
	v := p.calls[r.PathValue("id")]
	var call Call
	if v != nil {
		call = v.call
	}
	p.mu.Unlock()
	if v == nil || call == nil || v.entry.Who != name {
		fail(w, http.StatusNotFound, phrase.E("pictures.no_call"))
		return
	}
	call.Close()
	p.over(v)
	w.WriteHeader(http.StatusOK)
}
