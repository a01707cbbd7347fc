package page

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
)

// answer is what the script gets; a browser without it gets a page.
type answer struct {
	Done bool   `json:"done"`
	Text string `json:"text"`
}

// stop takes the STOP form: token, who, lang. Whoever may stop without a token
// (a cadre) may leave it out.
func (p *page) stop(w http.ResponseWriter, r *http.Request) {
	status, done, m := p.tryStop(r)
	p.say(w, r, status, done, m)
}

// tryStop stops by a form, and tells what became of it.
func (p *page) tryStop(r *http.Request) (status int, done bool, m phrase.Message) {
	ct, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || ct != "application/x-www-form-urlencoded" {
		return http.StatusUnsupportedMediaType, false, phrase.M("serve.form_only")
	}
	if err := r.ParseForm(); err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			return http.StatusRequestEntityTooLarge, false, phrase.M("serve.too_large")
		}
		return http.StatusBadRequest, false, phrase.M("serve.form_only")
	}
	g := api.GrantOf(r.Context())
	given := r.PostForm.Get("token")
	switch {
	case g.Role.Allows(access.Cadre):
	case g.Via != api.ViaPage && !g.Role.Allows(access.Viewer):
		return http.StatusForbidden, false, phrase.M("serve.forbidden")
	case strings.TrimSpace(given) == "":
		return http.StatusUnauthorized, false, phrase.M("serve.needs_token")
	case p.token == nil || !p.token.Verify(r.Context(), g.Addr, given):
		return http.StatusUnauthorized, false, phrase.M("serve.wrong_token")
	}
	name := orElse(api.Clean(r.PostForm.Get("who"), 64), orElse(g.Addr, "?"))
	if g.SignedIn() {
		name = orElse(api.Clean(g.Name, 64), g.Account)
	}
	got, err := p.box.Stop(api.Who{Name: name, Via: g.Via})
	switch {
	case err != nil:
		m := phrase.Of(err)
		if m.Code == "error.plain" {
			p.o.Log.Error("STOP from the page was refused", "err", err)
			m = phrase.M("serve.internal")
		}
		return http.StatusConflict, false, m
	case got.State == "stopped" || got.State == "finished":
		return http.StatusOK, true, phrase.M("serve.stopped")
	case got.State == "failed":
		why := phrase.M("serve.no_reason_given")
		if got.Why != nil {
			why = phrase.M("error.plain", "text", in(*got.Why, langOf(r)))
		}
		return http.StatusBadGateway, false, phrase.M("serve.stop_failed", "why", why)
	}
	return http.StatusOK, true, phrase.M("serve.stop_ordered")
}

func (p *page) say(w http.ResponseWriter, r *http.Request, status int, done bool, m phrase.Message) {
	l := langOf(r)
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(answer{done, m.In(l)})
		return
	}
	v := p.lookFor(r)
	v.Said, v.Done = m.In(l), done
	v.Name = api.Clean(r.PostForm.Get("who"), 64)
	p.write(w, status, "stop", v)
}
