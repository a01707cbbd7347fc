package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"slices"

	"tocsin/cmd/hubd/issue"
	"tocsin/cmd/hubd/logbook"
	"tocsin/cmd/hubd/post"
	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

type sendView struct {
	frameView
	To     string
	Areas  []areaView
	May    bool
	Wrong  string
	Answer *answerView
}

type areaView struct{ Code, Name string }

// answerView is what became of it.
type answerView struct {
	Sent   string
	Failed []string
	Said   []string
	Error  string
}

// maySend tells whether who asks has one of the roles that may send down by the page. Where nobody signs in nobody
// may: the desk's socket is its owner's alone, and the page is everybody's on this machine.
func (c *Console) maySend(r *http.Request) bool {
	_, roles := Officer(r)
	return slices.ContainsFunc(roles, func(role string) bool { return slices.Contains(c.file.Page.Send, role) })
}

// sends is the page by which a signed alert's file goes to the stations of an area. The token is asked again:
// a page that was left open sends nothing.
func (c *Console) sends(o *officers) http.Handler {
	mux := http.NewServeMux()
	show := func(w http.ResponseWriter, r *http.Request, status int, wrong error, a *answerView) {
		v := sendView{frameView: c.frame(r), May: c.maySend(r), Answer: a, To: r.FormValue("area")}
		if wrong != nil {
			v.Wrong = phrase.In(wrong, v.Lang)
		}
		v.Here = "send"
		for _, s := range c.office.State().Stations {
			v.Areas = append(v.Areas, areaView{string(s.ID), s.Name.In(v.Lang)})
		}
		c.write(w, status, v.Lang, "send", v)
	}
	mux.HandleFunc("GET /send", func(w http.ResponseWriter, r *http.Request) { show(w, r, http.StatusOK, nil, nil) })
	mux.HandleFunc("POST /send", func(w http.ResponseWriter, r *http.Request) {
		if !c.maySend(r) {
			show(w, r, http.StatusForbidden, phrase.E("county.may_not"), nil)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, alertMost+(64<<10))
		raw, err := fileOf(r)
		if err != nil {
			show(w, r, http.StatusUnprocessableEntity, err, nil)
			return
		}
		name, _ := Officer(r)
		if o == nil || !o.knows(name, r.PostFormValue("token")) {
			show(w, r, http.StatusUnauthorized, phrase.E("county.wrong_token"), nil)
			return
		}
		d, odd, err := c.dispatchOf(raw)
		to := []letter.Station(nil)
		if err == nil {
			to, err = c.file.Match(r.PostFormValue("area"))
		}
		if err != nil {
			show(w, r, http.StatusUnprocessableEntity, err, nil)
			return
		}
		l := langOf(r)
		d.By, d.To = name, to
		failed, err := c.office.Send(context.WithoutCancel(r.Context()), d)
		a := &answerView{}
		if n := len(to) - len(failed); n > 0 {
			a.Sent = phrase.M("hubd.alert_sent", "about", d.About, "id", d.Letter.ID, "count", n).In(l)
		}
		for _, s := range failed {
			a.Failed = append(a.Failed, phrase.M("hubd.alert_failed", "station", string(s)).In(l))
		}
		for _, m := range append(odd, c.ways(raw, to)...) {
			a.Said = append(a.Said, m.In(l))
		}
		status := http.StatusOK
		if err != nil {
			a.Error, status = phrase.In(err, l), http.StatusBadGateway
		}
		c.log.Info("an alert was sent down by the page", "id", d.Letter.ID, "by", name, "to", r.PostFormValue("area"), "stations", len(to)-len(failed), "failed", len(failed))
		show(w, r, status, nil, a)
	})
	return mux
}

func fileOf(r *http.Request) ([]byte, error) {
	f, _, err := r.FormFile("file")
	if large := new(http.MaxBytesError); errors.As(err, &large) {
		return nil, phrase.E("hubd.alert_large", "most", alertMost)
	}
	if err != nil {
		return nil, phrase.E("county.no_file")
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, alertMost+1))
	switch {
	case err != nil || len(raw) == 0:
		return nil, phrase.E("county.no_file")
	case len(raw) > alertMost:
		return nil, phrase.E("hubd.alert_large", "most", alertMost)
	}
	return raw, nil
}

// dispatchOf reads what a file holds: an alert in full, or its 78 bytes.
func (c *Console) dispatchOf(raw []byte) (post.Dispatch, []phrase.Message, error) {
	if compact.Is(raw) {
		n, err := issue.NamesOf(c.file, raw, c.now())
		d := sha256.Sum256(raw)
		return post.Dispatch{Letter: letter.Letter{ID: "c-" + hex.EncodeToString(d[:12]), Class: letter.Warning, Body: bytes.Clone(raw)}, About: n.About, Names: logbook.WriteNames(n.Names)}, nil, err
	}
	l, about, names, odd, err := Alert(raw, c.file.Warnings.CAP)
	return post.Dispatch{Letter: l, About: about, Names: logbook.WriteNames(names)}, odd, err
}
