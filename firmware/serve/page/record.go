package page

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
)

// The page where a cadre records the village's own messages, beside the cadre's page and as small: recorded
// while a button is held or brought as a file, listened to, put to use, deleted by an operator.
const recordPath = api.RecordPath

type recording struct {
	ID, Name, Told string
	Used, Drop     bool
}

func (p *page) recordRoutes(r *api.Routes, act func(access.Role, string, string, func(http.ResponseWriter, *http.Request, api.Who) error)) {
	r.Open("GET "+recordPath, true, func(w http.ResponseWriter, q *http.Request) { p.hand(w, q, http.StatusOK, recordPath, nil) })
	r.Handle(access.Cadre, "GET "+recordPath+"/{id}", func(w http.ResponseWriter, q *http.Request) {
		b, err := p.box.Recorded(q.PathValue("id"))
		if err != nil {
			p.hand(w, q, http.StatusNotFound, recordPath, func(x *hand) { x.Said, x.Bad = p.told(err).In(x.Lang), true })
			return
		}
		w.Header().Set("Content-Type", "audio/wav")
		http.ServeContent(w, q, "", time.Time{}, bytes.NewReader(b))
	})
	act(access.Cadre, recordPath, "", p.record)
	act(access.Cadre, recordPath, "/use", func(w http.ResponseWriter, q *http.Request, who api.Who) error {
		if err := p.box.UseRecording(q.PostForm.Get("id"), who); err != nil {
			return err
		}
		p.goOn(w, q, recordPath, phrase.M("hand.record_used"))
		return nil
	})
	act(access.Cadre, recordPath, "/drop", func(w http.ResponseWriter, q *http.Request, who api.Who) error {
		id := q.PostForm.Get("id")
		for _, x := range p.box.Announcer().Recordings {
			if x.ID == id && x.Used && !api.GrantOf(q.Context()).Role.Allows(access.Operator) {
				return phrase.E("hand.record_operator")
			}
		}
		if err := p.box.DropRecording(id, who); err != nil {
			return err
		}
		p.goOn(w, q, recordPath, phrase.M("hand.record_dropped"))
		return nil
	})
}

// record takes a file, of the page's own button or of a form.
func (p *page) record(w http.ResponseWriter, r *http.Request, who api.Who) error {
	parts, err := r.MultipartReader()
	if err != nil {
		return phrase.E("serve.form_only")
	}
	name := ""
	for {
		part, err := parts.NextPart()
		if err != nil {
			return recordErr(err, phrase.E("hand.no_file"))
		}
		in := &slowly{part, http.NewResponseController(w)}
		if part.FileName() == "" {
			if b, err := io.ReadAll(io.LimitReader(in, 256)); err == nil && part.FormName() == "name" {
				name = string(b)
			}
			continue
		}
		x, err := p.box.Record(name, in, who)
		if err != nil {
			return recordErr(err, err)
		}
		p.goOn(w, r, recordPath, phrase.M("hand.recorded", "name", x.Name, "seconds", int(x.Long.Seconds()+0.5)))
		return nil
	}
}

// recordErr says that a recording is larger than may be, where that is why it could not be read.
func recordErr(err, or error) error {
	if big := (*http.MaxBytesError)(nil); errors.As(err, &big) {
		return phrase.Wrap(err, "hand.record_large", "mib", big.Limit>>20)
	}
	return or
}

func (p *page) recordings(v *hand, operator bool) {
	a := p.box.Announcer()
	v.Seconds = int(a.RecordMost / time.Second)
	for _, x := range a.Recordings {
		m := phrase.M("hand.record_draft", "who", x.Who, "seconds", int(x.Long.Seconds()+0.5))
		if x.Used {
			m = phrase.M("hand.record_in_use", "who", x.Who, "seconds", int(x.Long.Seconds()+0.5))
		}
		v.Recordings = append(v.Recordings, recording{ID: x.ID, Name: x.Name, Told: strings.TrimSpace(m.In(v.Lang)), Used: x.Used, Drop: operator || !x.Used})
	}
}
