package console

import (
	"encoding/json"
	"net/http"
	"time"

	"tocsin/cmd/hubd/logbook"
	"tocsin/cmd/hubd/post"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
)

// State is what the hub knows, for programs: hubd state prints it.
type State struct {
	Stations []StationState `json:"stations"`
	Alarms   []AlarmState   `json:"alarms"` // newest first
	Sent     []SentState    `json:"sent"`   // newest first
	Narrow   []NarrowState  `json:"narrow"`
}

// NarrowState is a terminal of the hub's own: Bar says why it may not send, as drivers.Bar has it.
type NarrowState struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	Up       bool   `json:"up"`
	Transmit bool   `json:"transmit"`
	Bar      string `json:"bar,omitempty"`
	Taken    int64  `json:"taken"`
	Sent     int64  `json:"sent"`
	Refused  int64  `json:"refused"`
	Waiting  int    `json:"waiting"`
	Last     string `json:"last,omitempty"` // what went wrong last
}

// StationState is one station and when each link brought something of it last.
type StationState struct {
	ID      letter.Station       `json:"id"`
	Name    phrase.Text          `json:"name"`
	Seen    map[string]time.Time `json:"seen"`
	Ready   bool                 `json:"ready"`
	Faults  int                  `json:"faults"`
	Strange int                  `json:"strange"`
	LeftOut []string             `json:"left_out,omitempty"` // links by which it is not served
}

// AlarmState is one alarm, however many links brought it.
type AlarmState struct {
	Station  letter.Station `json:"station"`
	Title    phrase.Text    `json:"title"`
	Text     phrase.Text    `json:"text"`
	Hazard   string         `json:"hazard,omitempty"`
	Rank     int            `json:"rank,omitempty"`
	Over     bool           `json:"over"`
	Messages []MessageState `json:"messages"` // newest first
}

// MessageState is one message of an alarm and the links by which it came.
type MessageState struct {
	Name  string     `json:"name"`
	Event string     `json:"event"`
	Ways  []WayState `json:"ways"`
}

// WayState is a link, and when the message came by it first. Short: in its short form.
type WayState struct {
	Link  string    `json:"link"`
	At    time.Time `json:"at"`
	Short bool      `json:"short"`
}

// SentState is what the desk sent, and how far it got at each station.
type SentState struct {
	ID    string                          `json:"id"`
	About string                          `json:"about"`
	By    string                          `json:"by"`
	At    time.Time                       `json:"at"`
	To    map[letter.Station]ReachedState `json:"to"`
}

// ReachedState is how far something got at a station: taken by a link, and the stage that
// each link's receipts told.
type ReachedState struct {
	Taken   time.Time         `json:"taken,omitzero"`
	TakenBy string            `json:"taken_by,omitempty"`
	Stage   string            `json:"stage,omitempty"`
	By      map[string]string `json:"by,omitempty"`
}

// stageCodes are wire's stages in order.
var stageCodes = []string{"received", "verified", "sounding", "played", "heard", "confirmed"}

func stageCode(s wire.Stage) string {
	if int(s) < len(stageCodes) {
		return stageCodes[s]
	}
	return ""
}

var eventCodes = map[wire.AlarmEvent]string{wire.AlarmRaised: "raised", wire.AlarmEscalated: "escalated", wire.AlarmEased: "eased", wire.AlarmAgain: "again"}

func (c *Console) state(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err := json.NewEncoder(w).Encode(c.known()); err != nil {
		c.log.Warn("state", "err", err)
	}
}

// namesOf are those by which receipts speak of what was sent, in all its forms.
func namesOf(d post.Sent, all []post.Sent) []wire.About {
	var names []wire.About
	for _, f := range all {
		if f.ID == d.ID || f.ID == d.With || f.With == d.ID {
			names = append(names, logbook.ReadNames(f.Names)...)
		}
	}
	return names
}

// known gathers the state.
func (c *Console) known() State {
	out := State{Stations: []StationState{}, Alarms: []AlarmState{}, Sent: []SentState{}, Narrow: []NarrowState{}}
	st, book := c.office.State(), logbook.State{}
	if c.book != nil {
		book = c.book.State()
	}
	if c.terminals != nil {
		for _, t := range c.terminals() {
			out.Narrow = append(out.Narrow, NarrowState{t.Name, t.Kind, t.Terminal.Up, t.Limits.Transmit, string(t.Limits.Bar), int64(t.Counts.Taken), int64(t.Counts.Sent), int64(t.Counts.Refused), t.Waiting + t.Orders, t.Terminal.Last})
		}
	}
	for _, s := range st.Stations {
		b := book.Stations[s.ID]
		x := StationState{s.ID, s.Name, s.Seen, b.Ready, len(b.Faults), b.Strange, nil}
		for _, l := range b.Left {
			x.LeftOut = append(x.LeftOut, l.Link)
		}
		out.Stations = append(out.Stations, x)
	}
	for _, a := range book.Alarms {
		x := AlarmState{Station: a.Station, Title: a.Title, Text: a.Text, Hazard: a.Hazard, Rank: int(a.Rank), Over: a.Over}
		for _, m := range a.Messages {
			event, ok := eventCodes[m.Event]
			if !ok {
				event = "released"
			}
			ms := MessageState{Name: m.Name.String(), Event: event}
			for _, way := range m.Ways {
				ms.Ways = append(ms.Ways, WayState(way))
			}
			x.Messages = append(x.Messages, ms)
		}
		out.Alarms = append(out.Alarms, x)
	}
	for _, d := range st.Sent {
		x := SentState{ID: d.ID, About: d.About, By: d.By, At: d.At, To: map[letter.Station]ReachedState{}}
		for s, t := range d.To {
			x.To[s] = ReachedState{Taken: t.At, TakenBy: t.Link}
		}
		if c.book != nil {
			for s, r := range c.book.Reached(namesOf(d, st.Sent)) {
				to := x.To[s]
				if !r.At.IsZero() {
					to.Stage = stageCode(r.Stage)
				}
				to.By = map[string]string{}
				for link, step := range r.By {
					to.By[link] = stageCode(step.Stage)
				}
				x.To[s] = to
			}
		}
		out.Sent = append(out.Sent, x)
	}
	return out
}
