package pictures

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/video/stream"
)

// State is what the page shows, in the reader's language.
type State struct {
	Now      string         `json:"now"`
	Stations []StationState `json:"stations"`
	Seen     []SeenState    `json:"seen"`
	Legs     []LegState     `json:"legs"`
	Clips    []ClipState    `json:"clips"`
	Shelf    *ShelfState    `json:"shelf,omitempty"` // nil where the county has no clips
}

// StationState is one station with pictures.
type StationState struct {
	ID      string        `json:"id"`
	Name    string        `json:"name"`
	Told    string        `json:"told"`
	Old     bool          `json:"old,omitempty"` // nothing was heard for a while
	Talk    bool          `json:"talk,omitempty"`
	Clips   string        `json:"clips,omitempty"` // that wait there
	Streams []StreamState `json:"streams"`
}

// StreamState is one of its streams.
type StreamState struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	State string `json:"state"` // in words
	Good  bool   `json:"good,omitempty"`
	May   bool   `json:"may,omitempty"`
	// Rung is how much of it comes and why, Behind how old the newest picture is.
	Rung   string         `json:"rung,omitempty"`
	Behind string         `json:"behind,omitempty"`
	Late   bool           `json:"late,omitempty"`
	Still  uint64         `json:"still,omitempty"` // the number of a still that is newer than the pictures
	Who    []string       `json:"who,omitempty"`
	Mask   []hubfile.Part `json:"mask,omitempty"`
}

// SeenState is one line of who saw what.
type SeenState struct {
	At, Who, What, Why, Until string
	Odd                       bool
}

// LegState is what the relay's check found.
type LegState struct {
	Name string `json:"name"`
	Text string `json:"text"`
	Good bool   `json:"good"`
}

const (
	seenShown = 50
	lateAfter = 3 * time.Second
)

// look at l: what somebody with these roles is shown.
func (p *Pictures) state(l phrase.Lang, name string, roles []string) State {
	now, mono := p.o.Now(), p.o.Mono()
	out := State{Now: p.when(now), Stations: []StationState{}, Seen: []SeenState{}, Legs: []LegState{}, Clips: []ClipState{}}
	p.mu.Lock()
	var ids []letter.Station
	for id, t := range p.stations {
		if len(t.Streams) > 0 || t.Talk || t.Clips > 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		t := p.stations[id]
		s := StationState{ID: string(id), Name: p.name(id, l), Told: p.when(t.at), Old: now.Sub(t.at) > toldFor, Talk: p.o.Talk != nil && t.Talk && p.mayTalk(t, id, roles)}
		if t.Clips > 0 {
			s.Clips = phrase.M("pictures.clips_wait", "n", t.Clips).In(l)
			if b := p.brings[id]; b != nil && b.refused != nil {
				s.Clips = join(s.Clips, phrase.In(b.refused, l))
			}
		}
		for _, x := range t.Streams {
			s.Streams = append(s.Streams, p.stream(id, x, l, name, roles, mono))
		}
		out.Stations = append(out.Stations, s)
	}
	legs := p.legs
	p.mu.Unlock()
	p.shelved(&out, l, roles)
	for _, e := range p.o.Diary.Recent(seenShown) {
		out.Seen = append(out.Seen, p.seen(e, l))
	}
	for _, g := range legs {
		v := LegState{Name: g.Name + " " + g.At, Good: g.Err.IsZero(), Text: g.Err.In(l)}
		if v.Good {
			v.Text = phrase.M("pictures.leg_good").In(l)
		}
		out.Legs = append(out.Legs, v)
	}
	return out
}

func (p *Pictures) name(id letter.Station, l phrase.Lang) string {
	if n := p.o.File.Stations[string(id)].Name.In(l); n != "" {
		return n
	}
	return string(id)
}

// stream tells how one does. The lock is held.
func (p *Pictures) stream(id letter.Station, x letter.StreamOf, l phrase.Lang, name string, roles []string, mono time.Duration) StreamState {
	view := p.o.File.Pictures.ViewOf(id, x.Name)
	v := StreamState{Name: x.Name, Title: x.Title.In(l), May: view.MaySee(roles), Mask: view.MaskFor(roles)}
	if v.Title == "" {
		v.Title = x.Name
	}
	switch x.State {
	case letter.StreamLive:
		v.State, v.Good = phrase.M("pictures.state_live").In(l), true
	case letter.StreamIdle:
		v.State, v.Good = phrase.M("pictures.state_idle").In(l), true
	default:
		v.State = phrase.M("pictures.state_lost").In(l)
	}
	if !v.May {
		v.State = phrase.M("pictures.state_barred").In(l)
	}
	if x.Rung > 0 || !x.Reason.IsZero() {
		v.Rung = join(rungName(x.Rung).In(l), x.Reason.In(l))
	}
	if !x.Note.IsZero() {
		v.Rung = join(v.Rung, x.Note.In(l))
	}
	f := p.feeds[feedKey{id, x.Name}]
	if f == nil {
		return v
	}
	var behind time.Duration
	for w := range f.viewers {
		// One's own way may be slower than the hub's.
		if c, ok := w.call.(interface{ Behind() time.Duration }); ok && w.entry.Who == name {
			behind = max(behind, c.Behind())
		}
		v.Who = append(v.Who, w.entry.Who+"（"+w.entry.Why+"）")
	}
	slices.Sort(v.Who)
	st := f.s.State()
	still := f.s.Still()
	switch {
	case still.Number > 0 && f.call != nil && still.At > st.Last:
		v.State, v.Good, v.Still = phrase.M("pictures.state_stills").In(l), true, still.Number
		age := mono - still.At
		v.Behind, v.Late = behindText(age, l), true
	case f.call != nil && st.Picture.Codec != stream.None:
		age := max(mono-st.Last, behind)
		v.State, v.Good = phrase.M("pictures.state_coming", "width", st.Picture.Width, "height", st.Picture.Height, "codec", st.Picture.Codec.String(), "kbps", st.Bitrate/1000).In(l), true
		v.Behind, v.Late = behindText(age, l), age > lateAfter
	case len(f.viewers) == 0:
	case f.refused != nil:
		v.State, v.Good = phrase.M("pictures.state_refused", "why", f.refused).In(l), false
	default:
		v.State = phrase.M("pictures.state_asked").In(l)
	}
	return v
}

func behindText(age time.Duration, l phrase.Lang) string {
	return phrase.M("pictures.behind", "seconds", float64(age.Round(100*time.Millisecond))/float64(time.Second)).In(l)
}

// giveStill gives the newest still to whoever looks at the stream now: that is written down.
func (p *Pictures) giveStill(w http.ResponseWriter, r *http.Request) {
	k := feedKey{letter.Station(r.PathValue("station")), r.PathValue("stream")}
	name, _ := p.o.Who(r)
	var jpeg []byte
	p.mu.Lock()
	if f := p.feeds[k]; f != nil {
		for v := range f.viewers {
			if v.entry.Who == name && v.call != nil {
				jpeg = f.s.Still().JPEG
			}
		}
	}
	p.mu.Unlock()
	if jpeg == nil {
		fail(w, http.StatusNotFound, phrase.E("pictures.no_call"))
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(jpeg)
}

func rungName(rung int) phrase.Message {
	switch rung {
	case 0:
		return phrase.M("pictures.rung_full")
	case 1:
		return phrase.M("pictures.rung_lower")
	case 2:
		return phrase.M("pictures.rung_fewer")
	case 3:
		return phrase.M("pictures.rung_keys")
	}
	return phrase.M("pictures.rung_stills")
}

func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " · ")
}

func (p *Pictures) seen(e Entry, l phrase.Lang) SeenState {
	v := SeenState{At: p.when(e.From), Who: e.Who, What: join(p.name(e.Station, l), e.Stream), Why: e.Why, Until: p.when(e.To)}
	if e.Kind == Spoke {
		v.What = join(p.name(e.Station, l), phrase.M("pictures.spoke").In(l))
	}
	switch e.Kind {
	case Came:
		v.What, v.Why, v.Until = join(v.What, phrase.M("pictures.clip_came").In(l)), e.Cause, ""
		return v
	case Went:
		v.What, v.Why, v.Until = join(v.What, phrase.M("pictures.clip_went").In(l)), e.Failed.In(l), ""
		return v
	case Played:
		v.What = join(v.What, phrase.M("pictures.clip_played").In(l))
	}
	switch {
	case !e.Failed.IsZero():
		v.Until, v.Odd = phrase.M("pictures.failed", "why", e.Failed).In(l), true
	case e.Running:
		v.Until = phrase.M("pictures.running").In(l)
	case e.To.IsZero():
		v.Until, v.Odd = phrase.M("pictures.end_unknown").In(l), true
	}
	if e.Masked {
		v.What = join(v.What, phrase.M("pictures.masked").In(l))
	}
	return v
}

func (p *Pictures) when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(p.o.Zone).Format("2006-01-02 15:04:05")
}

func (p *Pictures) giveState(w http.ResponseWriter, r *http.Request) {
	name, roles := p.o.Who(r)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(p.state(langOf(r), name, roles))
}

// giveICE gives a viewer what helps through a firewall, for the next minutes.
func (p *Pictures) giveICE(w http.ResponseWriter, r *http.Request) {
	type server struct {
		URLs       []string `json:"urls"`
		Username   string   `json:"username"`
		Credential string   `json:"credential"`
	}
	name, _ := p.o.Who(r)
	all := []server{}
	if p.o.Relay != nil {
		c := p.o.Relay.For(name)
		all = append(all, server{c.URLs, c.User, c.Password})
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(all)
}
