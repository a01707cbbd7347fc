package api

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
)

// People are those who are told of levels, and how far each alarm's roll-call is.
type People struct {
	// Modem is the link by which they are told, "" for none.
	Modem *Phone `json:"modem"`
	// People are in the order in which they are called.
	People []Person `json:"people"`
	// Rounds are of alarms, the newest first.
	Rounds []Round `json:"rounds"`
}

// Phone is the modem by which people are told.
type Phone struct {
	Link string `json:"link"`
	Up   bool   `json:"up"`
	// Bars of the signal, 0 to 4; -1 where it is not known.
	Bars int `json:"bars"`
	// Barred says why it writes nothing, Mute why it calls nobody; absent where it
	// does.
	Barred *Text `json:"barred,omitempty"`
	Mute   *Text `json:"mute,omitempty"`
	// Calling: a call is on. Made, Answered and Refused count calls since the start.
	Calling  bool  `json:"calling"`
	Made     int64 `json:"calls_made"`
	Answered int64 `json:"calls_answered"`
	Refused  int64 `json:"calls_refused"`
}

// Person is somebody who is told.
type Person struct {
	ID   string      `json:"id"`
	Name phrase.Text `json:"name"`
	Role phrase.Text `json:"role"`
	// Numbers are masked but to operators.
	Numbers  []string `json:"numbers"`
	Language string   `json:"language"`
	Hazards  []string `json:"hazards,omitempty"`
	// SMS and Call are the codes of the levels from which on; "" for never.
	SMS      string   `json:"sms"`
	Call     string   `json:"call"`
	Deputies []string `json:"deputies,omitempty"`
}

// Round is one alarm's roll-call.
type Round struct {
	Alarm     string `json:"alarm"`
	Hazard    Text   `json:"hazard"`
	Level     string `json:"level"`
	LevelText Text   `json:"level_text"`
	Drill     bool   `json:"drill,omitempty"`
	// Phase is calling, spent (its time is over), still (the level stands no more) or
	// clear (the all-clear is told).
	Phase     string  `json:"phase"`
	PhaseText Text    `json:"phase_text"`
	People    []Reach `json:"people"`
}

// Reach is how far one person was reached. Only confirmed is a person's own word: the
// rest is what the modem said.
type Reach struct {
	Person string      `json:"person"`
	Name   phrase.Text `json:"name"`
	// Wrote: the message of this level is with the network.
	Wrote bool `json:"wrote"`
	// Known is the most that is known of the calls: "", dialled, rang, answered, heard,
	// confirmed; Text says it.
	Known string `json:"known"`
	Text  Text   `json:"text"`
	Calls int    `json:"calls"`
	Key   string `json:"key,omitempty"`
	// Turn: this person is called, for themselves or as a deputy. Now: in this moment.
	Turn bool `json:"turn"`
	Now  bool `json:"now,omitempty"`
	// Missed: they were called as often as may be, and not reached.
	Missed bool `json:"missed,omitempty"`
}

var (
	descPeople     = desc("people_told", "people of alarms that stand, by what is known of them", "alarm", "known")
	descCalls      = desc("phone_calls_total", "calls of the modem by what became of them: made, answered as it says, refused that came", "link", "what")
	descPhoneReady = desc("phone_ready", "1 where the modem can write to people, and call them", "link", "for")
	peopleDescs    = []*prometheus.Desc{descPeople, descCalls, descPhoneReady}
)

// people tells how calls to people do, without a name or number of anybody.
func (c boxCollector) people(gauge, sum func(*prometheus.Desc, float64, ...string)) {
	x := c.box.People(false)
	if m := x.Modem; m != nil {
		gauge(descPhoneReady, truth(m.Barred == nil), m.Link, "messages")
		gauge(descPhoneReady, truth(m.Barred == nil && m.Mute == nil), m.Link, "calls")
		for what, n := range map[string]int64{"made": m.Made, "answered": m.Answered, "refused": m.Refused} {
			sum(descCalls, float64(n), m.Link, what)
		}
	}
	for _, r := range x.Rounds {
		if r.Phase != "calling" && r.Phase != "spent" || r.Drill {
			continue
		}
		known := map[string]int{}
		for _, p := range r.People {
			if p.Known == "" {
				p.Known = "nothing"
			}
			known[p.Known]++
		}
		for k, n := range known {
			gauge(descPeople, float64(n), r.Alarm, k)
		}
	}
}

func (s *Server) registerPeople() {
	add(s, access.Viewer, http.MethodGet, "/people", "people", "Who is told of levels by telephone, and how far each alarm's roll-call is. Numbers are masked but to operators",
		func(ctx context.Context, _ *none) (*body[People], error) {
			p := s.box.People(GrantOf(ctx).Role.Allows(access.Operator))
			p.People, p.Rounds = full(p.People), full(p.Rounds)
			return &body[People]{p}, nil
		})
}
