package console

import (
	"cmp"
	"slices"

	"tocsin/cmd/hubd/logbook"
	"tocsin/cmd/hubd/post"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
)

type sentView struct {
	About, By, Class, At string
	// Forms are the letters that carry it: in full, and short.
	Forms            []string
	Taken, Heard, Of int
	To               []tookView
}

type tookView struct {
	Name, At, Link string
	// Stage is how far it got, Why why no further.
	Stage, Why, Note string
	Good, Bad        bool
	Steps            []stepView
	stage            int
}

type stepView struct{ Link, Stage, At string }

// sent joins the forms of each warning, and what stations said of it.
func (c *Console) sent(all []post.Sent, names map[letter.Station]string, l phrase.Lang) (out []sentView) {
	full := map[string]int{}
	for i, d := range all {
		full[d.ID] = i
	}
	short := map[int][]post.Sent{}
	for _, d := range all {
		if i, ok := full[d.With]; ok && d.With != "" && all[i].With == "" {
			short[i] = append(short[i], d)
		}
	}
	for i, d := range all {
		if j, ok := full[d.With]; ok && d.With != "" && all[j].With == "" {
			continue // it stands with its full form
		}
		out = append(out, c.warned(append([]post.Sent{d}, short[i]...), names, l))
	}
	return out
}

func (c *Console) warned(forms []post.Sent, names map[letter.Station]string, l phrase.Lang) sentView {
	d := forms[0]
	v := sentView{About: d.About, By: d.By, Class: className(d.Class).In(l), At: c.when(d.At)}
	to := map[letter.Station]post.Took{}
	var about []wire.About
	for _, f := range forms {
		v.Forms = append(v.Forms, f.ID)
		about = append(about, logbook.ReadNames(f.Names)...)
		for s, t := range f.To {
			if old, ok := to[s]; !ok || old.At.IsZero() || !t.At.IsZero() && t.At.Before(old.At) {
				to[s] = t
			}
		}
	}
	var reached map[letter.Station]logbook.Reached
	if c.book != nil {
		reached = c.book.Reached(about)
	}
	for s := range reached { // who heard it by a relay
		if _, ok := to[s]; !ok {
			to[s] = post.Took{}
		}
	}
	v.Of = len(to)
	for s, t := range to {
		n := names[s]
		if n == "" {
			n = string(s)
		}
		tv := tookView{Name: n, stage: -1}
		if !t.At.IsZero() {
			v.Taken++
			tv.At, tv.Link = c.when(t.At), t.Link
		}
		if r, ok := reached[s]; ok {
			tv.Note = r.Note
			if !r.At.IsZero() {
				v.Heard++
				tv.stage, tv.Stage, tv.Good = int(r.Stage), stageName(r.Stage).In(l), r.Stage >= wire.Heard
				if r.Why != wire.WhyNone {
					tv.Why, tv.Bad = whyName(r.Why).In(l), true
				}
			}
			for link, step := range r.By {
				tv.Steps = append(tv.Steps, stepView{link, stageName(step.Stage).In(l), c.when(step.At)})
			}
			slices.SortFunc(tv.Steps, func(a, b stepView) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Link, b.Link)) })
		}
		v.To = append(v.To, tv)
	}
	// Who was reached least stands first.
	slices.SortFunc(v.To, func(a, b tookView) int {
		taken := func(t tookView) int { return min(len(t.At), 1) }
		return cmp.Or(a.stage-b.stage, taken(a)-taken(b), cmp.Compare(a.Name, b.Name))
	})
	return v
}

func stageName(s wire.Stage) phrase.Message {
	switch s {
	case wire.Received:
		return phrase.M("hubd.stage_received")
	case wire.Verified:
		return phrase.M("hubd.stage_verified")
	case wire.Sounding:
		return phrase.M("hubd.stage_sounding")
	case wire.Played:
		return phrase.M("hubd.stage_played")
	case wire.Heard:
		return phrase.M("hubd.stage_heard")
	}
	return phrase.M("hubd.stage_confirmed")
}

func whyName(w wire.Why) phrase.Message {
	switch w {
	case wire.WhyElsewhere:
		return phrase.M("hubd.why_elsewhere")
	case wire.WhyRefused:
		return phrase.M("hubd.why_refused")
	case wire.WhyEnded:
		return phrase.M("hubd.why_ended")
	case wire.WhySilent:
		return phrase.M("hubd.why_silent")
	case wire.WhyOutputs:
		return phrase.M("hubd.why_outputs")
	case wire.WhyNotHeard:
		return phrase.M("hubd.why_not_heard")
	}
	return phrase.M("hubd.why_unkept")
}
