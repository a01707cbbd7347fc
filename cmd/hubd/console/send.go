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
	"tocsin/firmware/serve/audit"
)

// Checked is what a file holds and who would get it, before anything is sent.
type Checked struct {
	ID    string `json:"id"`
	About string `json:"about"`
	Short bool   `json:"short"` // 78 bytes, and not an alert in full
	Bytes int    `json:"bytes"`
	// SHA256 is the file's: what is sent is held to it.
	SHA256 string `json:"sha256"`
	// Odd are findings that do not stop it; Ways what goes by which link, and what cannot.
	Odd      []phrase.Text `json:"odd"`
	Ways     []phrase.Text `json:"ways"`
	Villages []Place       `json:"villages"`
	// Before is when the very same file was sent already.
	Before *Warned `json:"before,omitempty"`
}

// Place is a station that would be asked.
type Place struct {
	ID   string      `json:"id"`
	Name phrase.Text `json:"name"`
}

// SentDown is what became of it.
type SentDown struct {
	ID     string        `json:"id"`
	Sent   int           `json:"sent"`
	Failed []Place       `json:"failed"`
	Ways   []phrase.Text `json:"ways"`
	Error  phrase.Text   `json:"error"`
}

// upload is a file with the area that it is for.
type upload struct {
	raw  []byte
	area string
	d    post.Dispatch
	odd  []phrase.Message
	to   []letter.Station
}

func (c *Console) uploaded(w http.ResponseWriter, r *http.Request) (u upload, err error) {
	r.Body = http.MaxBytesReader(w, r.Body, alertMost+(64<<10))
	if u.raw, err = fileOf(r); err != nil {
		return u, err
	}
	if u.d, u.odd, err = c.dispatchOf(u.raw); err != nil {
		return u, err
	}
	u.area = r.PostFormValue("area")
	u.to, err = c.file.Match(u.area)
	return u, err
}

func texts(all []phrase.Message) []phrase.Text {
	out := []phrase.Text{}
	for _, m := range all {
		out = append(out, both(m))
	}
	return out
}

func (c *Console) places(to []letter.Station) []Place {
	out := []Place{}
	for _, s := range to {
		out = append(out, Place{string(s), c.nameOf(s)})
	}
	return out
}

// checkAlert reads a file as the stations will, and tells who would get it by which links. Nothing is sent.
func (c *Console) checkAlert(w http.ResponseWriter, r *http.Request) error {
	u, err := c.uploaded(w, r)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(u.raw)
	v := Checked{ID: u.d.Letter.ID, About: u.d.About, Short: compact.Is(u.raw), Bytes: len(u.raw), SHA256: hex.EncodeToString(sum[:]), Odd: texts(u.odd), Ways: texts(c.ways(u.raw, u.to)), Villages: c.places(u.to)}
	for _, s := range c.sent(c.office.State()) {
		if slices.Contains(s.Forms, v.ID) {
			v.Before = &s
			break
		}
	}
	return give(w, v)
}

// sendAlert sends a file's very bytes down. The password is asked again: a page that was left open sends nothing. The
// file must be the one that was checked.
func (c *Console) sendAlert(w http.ResponseWriter, r *http.Request) error {
	u, err := c.uploaded(w, r)
	note(r, func(e *audit.Entry) { e.Target, e.New = clip(u.area), clip(u.d.Letter.ID) })
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(u.raw); r.PostFormValue("sha256") != hex.EncodeToString(sum[:]) {
		return with(http.StatusConflict, phrase.E("county.other_file"))
	}
	if err := c.proves(r, r.PostFormValue("password")); err != nil {
		return err
	}
	u.d.By, u.d.To = who(grantOf(r)), u.to
	failed, err := c.office.Send(context.WithoutCancel(r.Context()), u.d)
	v := SentDown{ID: u.d.Letter.ID, Sent: len(u.to) - len(failed), Failed: c.places(failed), Ways: texts(c.ways(u.raw, u.to))}
	if err != nil {
		v.Error = both(phrase.Of(err))
	}
	c.seen.mu.Lock()
	c.seen.body = nil // who sent it sees it at once
	c.seen.mu.Unlock()
	c.log.Info("an alert was sent down by the page", "id", v.ID, "by", u.d.By, "to", u.area, "stations", v.Sent, "failed", len(failed))
	return give(w, v)
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
