package console

import (
	"cmp"
	"slices"
	"time"

	"tocsin/cmd/hubd/gateway"
	"tocsin/cmd/hubd/logbook"
	"tocsin/cmd/hubd/post"
	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
)

// Warned is what was sent down, in all its forms, and how far it got in each village.
type Warned struct {
	ID    string      `json:"id"`
	About string      `json:"about"`
	By    string      `json:"by"`
	Class phrase.Text `json:"class"`
	At    time.Time   `json:"at"`
	// Forms are the letters that carry it: in full, and short.
	Forms []string `json:"forms"`
	// Taken counts villages that it is known to have reached, Told those that said something of it, Heard those where it was
	// measured to be heard.
	Taken int `json:"taken"`
	Told  int `json:"told"`
	Heard int `json:"heard"`
	// Villages stand with those first that were reached least.
	Villages []Village `json:"villages"`
}

// Village is how far a warning got at one station. Without Stage nothing was said: nobody knows.
type Village struct {
	ID   string      `json:"id"`
	Name phrase.Text `json:"name"`
	// Taken is when a link brought it, and Link which.
	Taken time.Time `json:"taken,omitzero"`
	Link  string    `json:"link,omitempty"`
	// Stage is the highest receipt: received, verified, sounding, played, heard or confirmed; Text in words, Why why no
	// further, Note what the box said of it.
	Stage string      `json:"stage,omitempty"`
	Text  phrase.Text `json:"text"`
	Why   phrase.Text `json:"why"`
	Note  string      `json:"note,omitempty"`
	At    time.Time   `json:"at,omitzero"`
	Steps []Step      `json:"steps"`

	stage int
}

// Step is the highest stage that a link's receipts told.
type Step struct {
	Link string      `json:"link"`
	Text phrase.Text `json:"text"`
	At   time.Time   `json:"at"`
}

// sent joins the forms of each warning, and what stations said of it.
func (c *Console) sent(s post.State) []Warned {
	out := []Warned{}
	full := map[string]int{}
	for i, d := range s.Sent {
		full[d.ID] = i
	}
	shortOf := func(d post.Sent) (int, bool) {
		j, ok := full[d.With]
		return j, ok && d.With != "" && s.Sent[j].With == ""
	}
	short := map[int][]post.Sent{}
	for _, d := range s.Sent {
		if i, ok := shortOf(d); ok {
			short[i] = append(short[i], d)
		}
	}
	for i, d := range s.Sent {
		if _, ok := shortOf(d); !ok { // a short form stands with its full one
			out = append(out, c.warned(append([]post.Sent{d}, short[i]...)))
		}
	}
	return out
}

func (c *Console) warned(forms []post.Sent) Warned {
	d := forms[0]
	v := Warned{ID: d.ID, About: d.About, By: d.By, Class: both(className(d.Class)), At: d.At, Villages: []Village{}}
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
	for s, t := range to {
		x := Village{ID: string(s), Name: c.nameOf(s), Taken: t.At, Link: t.Link, Steps: []Step{}, stage: -1}
		r, ok := reached[s]
		if !t.At.IsZero() || ok && !r.At.IsZero() { // by a relay, or by a link whose word was lost
			v.Taken++
		}
		if ok {
			x.Note = r.Note
			if !r.At.IsZero() {
				v.Told++
				x.stage, x.Stage, x.Text, x.At = int(r.Stage), stageCode(r.Stage), both(stageName(r.Stage)), r.At
				if r.Stage >= wire.Heard {
					v.Heard++
				}
				if r.Why != wire.WhyNone {
					x.Why = both(whyName(r.Why))
				}
			}
			for link, step := range r.By {
				x.Steps = append(x.Steps, Step{link, both(stageName(step.Stage)), step.At})
			}
			slices.SortFunc(x.Steps, func(a, b Step) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Link, b.Link)) })
		}
		v.Villages = append(v.Villages, x)
	}
	slices.SortFunc(v.Villages, func(a, b Village) int {
		taken := func(t Village) int {
			if t.Taken.IsZero() {
				return 0
			}
			return 1
		}
		return cmp.Or(a.stage-b.stage, taken(a)-taken(b), cmp.Compare(a.ID, b.ID))
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

// terminalOf tells how a gateway for short messages does.
func terminalOf(t gateway.NarrowState) Terminal {
	v := Terminal{Name: t.Name, Kind: t.Kind, ID: t.Terminal.ID}
	n := t.Counts
	switch {
	case !t.Terminal.Up:
		v.State = both(phrase.M("hubd.terminal_silent"))
	case t.Limits.Transmit:
		v.State, v.Good = both(phrase.M("hubd.terminal_sends", "bytes", t.Limits.Bytes)), true
	default:
		v.State, v.Good = both(barred(t.Limits)), t.Limits.Bar == drivers.BarReceiveOnly
	}
	if t.Waiting+t.Orders > 0 {
		v.Waiting = both(phrase.M("hubd.terminal_waiting", "warnings", t.Waiting, "orders", t.Orders))
	}
	v.Traffic = both(phrase.M("hubd.terminal_traffic", "taken", n.Taken, "sent", n.Sent, "alone", n.Alone, "stations", t.Stations))
	if n.Refused+n.Strangers+n.Again+n.Unkept > 0 {
		v.Odd = both(phrase.M("hubd.terminal_odd", "refused", n.Refused, "strangers", n.Strangers, "again", n.Again, "unkept", n.Unkept, "from", t.LastFrom))
	}
	return v
}
