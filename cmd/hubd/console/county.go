package console

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tocsin/cmd/hubd/logbook"
	"tocsin/cmd/hubd/post"
	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// lateAfter marks a station that was not heard for so long.
const lateAfter = 15 * time.Minute

// County is what the console shows at once; both languages go along.
type County struct {
	Stations  []Station  `json:"stations"`
	Alarms    []Alarm    `json:"alarms"` // those that stand first, the newest first
	Sent      []Warned   `json:"sent"`   // newest first
	Terminals []Terminal `json:"terminals"`
	// Unknown counts letters of stations that are not in the hub's file.
	Unknown int `json:"unknown"`
}

// Station is one village's box as the county knows it.
type Station struct {
	ID     string      `json:"id"`
	Name   phrase.Text `json:"name"`
	Number int         `json:"number,omitempty"`
	// Seen is when each link brought something last, the newest first; Late: none did of late.
	Seen []Seen `json:"seen"`
	Late bool   `json:"late"`
	// State is what it said of itself, at StateAt; without StateAt it said nothing yet. Tone is calm, unsure or fault.
	State   phrase.Text `json:"state"`
	Tone    string      `json:"tone"`
	StateAt time.Time   `json:"state_at,omitzero"`
	// Open counts its alarms that stand, Sounding is the warning that sounds there by its newest receipt.
	Open     int    `json:"open"`
	Sounding string `json:"sounding,omitempty"`
	// Software is which it runs, and what became of the last update; SoftwareBad: that one was refused or taken back.
	Software    phrase.Text `json:"software"`
	SoftwareBad bool        `json:"software_bad"`
	// Odd is what is wrong between it and the hub.
	Odd []phrase.Text `json:"odd"`
}

// Seen is a link and when it brought something last.
type Seen struct {
	Link string    `json:"link"`
	At   time.Time `json:"at"`
}

// Alarm is one alarm, however many links brought it.
type Alarm struct {
	ID       string      `json:"id"`
	Station  string      `json:"station"`
	Title    phrase.Text `json:"title"`
	Text     phrase.Text `json:"text"`
	Kind     string      `json:"kind"`           // real, drill or test
	Rank     int         `json:"rank,omitempty"` // where only short forms came
	Over     bool        `json:"over"`
	At       time.Time   `json:"at"`
	Messages []Told      `json:"messages"` // newest first
}

// Told is one thing that a station said of an alarm, and the links by which it came.
type Told struct {
	Event  string      `json:"event"` // raised, escalated, eased, again or released
	At     time.Time   `json:"at,omitzero"`
	Name   string      `json:"name"`
	Signed phrase.Text `json:"signed"`
	Bad    bool        `json:"bad"` // it is signed by another than the box
	Ways   []WayState  `json:"ways"`
}

// Terminal is a gateway of the hub's own for short messages.
type Terminal struct {
	Name    string      `json:"name"`
	Kind    string      `json:"kind"`
	ID      string      `json:"id"`
	State   phrase.Text `json:"state"`
	Good    bool        `json:"good"`
	Waiting phrase.Text `json:"waiting"`
	Traffic phrase.Text `json:"traffic"`
	Odd     phrase.Text `json:"odd"`
}

// StationDetail is all of one.
type StationDetail struct {
	Station
	Told     []phrase.Text `json:"told"` // its faults, in its own words
	Values   []Measured    `json:"values"`
	ValuesAt time.Time     `json:"values_at,omitzero"`
	Letters  []Count       `json:"letters"`
	Strange  []StrangeOne  `json:"strange"`
	Strayed  int           `json:"strayed"`
	Recent   []KeptOne     `json:"recent"`
}

// Measured is a value as the station told it; none: no good one.
type Measured struct {
	Name phrase.Text `json:"name"`
	Text string      `json:"text"`
}

// Count is how many letters of a class were kept.
type Count struct {
	Class phrase.Text `json:"class"`
	N     int         `json:"n"`
}

// StrangeOne is a letter that was kept and not acted on.
type StrangeOne struct {
	At   time.Time   `json:"at"`
	Link string      `json:"link"`
	ID   string      `json:"id"`
	Why  phrase.Text `json:"why"`
}

// KeptOne is a letter that was kept.
type KeptOne struct {
	ID    string      `json:"id"`
	Class phrase.Text `json:"class"`
	Link  string      `json:"link"`
	At    time.Time   `json:"at"`
	Bytes int         `json:"bytes"`
}

func both(m phrase.Message) phrase.Text {
	return phrase.Text{ZH: m.In(phrase.ZH), EN: m.In(phrase.EN)}
}

// glance is the county as it was a moment ago: however many officers look, it is gathered once a second.
type glance struct {
	mu   sync.Mutex
	at   time.Time
	body []byte
	tag  string
}

const glanceFor = time.Second

// nowHeader is the hub's clock, by which ages are counted: a browser's own may be wrong.
const nowHeader = "Tocsin-Now"

// giveCounty gives it, or says that nothing changed: the console asks each second.
func (c *Console) giveCounty(w http.ResponseWriter, r *http.Request) error {
	now := c.now()
	c.seen.mu.Lock()
	if d := now.Sub(c.seen.at); c.seen.body == nil || d < 0 || d >= glanceFor {
		b, err := json.Marshal(c.county(now))
		if err != nil {
			c.seen.mu.Unlock()
			return err
		}
		sum := sha256.Sum256(b)
		c.seen.at, c.seen.body, c.seen.tag = now, b, `"`+hex.EncodeToString(sum[:12])+`"`
	}
	body, tag := c.seen.body, c.seen.tag
	c.seen.mu.Unlock()
	w.Header().Set(nowHeader, now.UTC().Format(time.RFC3339Nano))
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(body)
	return err
}

func (c *Console) county(now time.Time) County {
	s, known := c.office.State(), logbook.State{}
	if c.book != nil {
		known = c.book.State()
	}
	out := County{Stations: []Station{}, Alarms: []Alarm{}, Sent: c.sent(s), Terminals: []Terminal{}, Unknown: s.Unknown}
	open := map[letter.Station]int{}
	for _, a := range known.Alarms {
		if !a.Over {
			open[a.Station]++
		}
		if len(out.Alarms) < alarmsShown {
			out.Alarms = append(out.Alarms, alarmOf(a))
		}
	}
	sounding := map[string]string{}
	for _, w := range slices.Backward(out.Sent) { // the newest has the last word
		for _, v := range w.Villages {
			if v.Stage == "sounding" && v.Why == (phrase.Text{}) {
				sounding[v.ID] = w.About
			} else if v.Stage != "" {
				delete(sounding, v.ID)
			}
		}
	}
	for _, st := range s.Stations {
		v := c.stationOf(st, known.Stations[st.ID], now)
		v.Open, v.Sounding = open[st.ID], sounding[v.ID]
		out.Stations = append(out.Stations, v)
	}
	if c.terminals != nil {
		for _, t := range c.terminals() {
			out.Terminals = append(out.Terminals, terminalOf(t))
		}
	}
	return out
}

func (c *Console) nameOf(id letter.Station) phrase.Text {
	if n := c.file.Stations[string(id)].Name; n != (phrase.Text{}) {
		return n
	}
	return phrase.Text{ZH: string(id), EN: string(id)}
}

func (c *Console) stationOf(st post.Station, k logbook.Station, now time.Time) Station {
	at, _ := st.Last()
	v := Station{ID: string(st.ID), Name: st.Name, Number: c.file.Stations[string(st.ID)].Number, Seen: []Seen{}, Late: now.Sub(at) > lateAfter, StateAt: k.StateAt, Tone: "unsure", Odd: []phrase.Text{}}
	if v.Name == (phrase.Text{}) {
		v.Name = c.nameOf(st.ID)
	}
	for l, t := range st.Seen {
		v.Seen = append(v.Seen, Seen{l, t})
	}
	slices.SortFunc(v.Seen, func(a, b Seen) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Link, b.Link)) })
	if !k.StateAt.IsZero() {
		m := phrase.M("hubd.page_unready")
		switch {
		case len(k.Faults) > 0:
			m = phrase.M("hubd.page_faults", "count", len(k.Faults))
		case k.Ready:
			m = phrase.M("hubd.page_ready")
		}
		if v.State, v.Tone = both(m), "fault"; k.Ready && len(k.Faults) == 0 && len(k.Blind) == 0 {
			v.Tone = "calm"
		}
		if len(k.Blind) > 0 {
			blind := both(phrase.M("hubd.page_is_blind"))
			v.State = phrase.Text{ZH: blind.ZH + " · " + v.State.ZH, EN: blind.EN + " · " + v.State.EN}
		}
	}
	v.Software, v.SoftwareBad = softwareOf(k)
	odd := func(m phrase.Message) { v.Odd = append(v.Odd, both(m)) }
	for _, x := range k.Left {
		odd(phrase.M("hubd.left_out", "link", x.Link, "why", x.Why))
	}
	if k.Strange > 0 {
		odd(phrase.M("hubd.page_strange", "count", k.Strange))
	}
	if st.Twice > 0 {
		odd(phrase.M("hubd.page_twice", "count", st.Twice))
	}
	if st.Mislabelled > 0 {
		odd(phrase.M("hubd.page_mislabelled", "count", st.Mislabelled))
	}
	return v
}

func (c *Console) giveStation(w http.ResponseWriter, r *http.Request) error {
	id := letter.Station(r.PathValue("id"))
	s := c.office.State()
	i := slices.IndexFunc(s.Stations, func(x post.Station) bool { return x.ID == id })
	if i < 0 {
		return with(http.StatusNotFound, phrase.E("county.no_station", "station", clip(string(id))))
	}
	known := logbook.State{}
	if c.book != nil {
		known = c.book.State()
	}
	st, k := s.Stations[i], known.Stations[id]
	v := StationDetail{Station: c.stationOf(st, k, c.now()), Told: []phrase.Text{}, Values: []Measured{}, ValuesAt: k.ValuesAt, Letters: []Count{}, Strange: []StrangeOne{}, Strayed: k.Strange, Recent: []KeptOne{}}
	for _, a := range known.Alarms {
		if a.Station == id && !a.Over {
			v.Open++
		}
	}
	for _, hazard := range k.Blind {
		v.Told = append(v.Told, both(phrase.M("hubd.page_blind", "hazard", c.file.Warnings.CAP.HazardName(hazard))))
	}
	for _, f := range k.Faults {
		v.Told = append(v.Told, phrase.Text{ZH: f.ZH, EN: f.EN})
	}
	for _, x := range k.Values {
		t := ""
		if x.Good {
			if t = strings.TrimSpace(number(x.V, x.Resolution) + " " + x.Unit); x.Between {
				t = "≈ " + t
			}
		}
		v.Values = append(v.Values, Measured{x.Name, t})
	}
	for class, n := range st.Letters {
		v.Letters = append(v.Letters, Count{both(className(letter.Class(class))), n})
	}
	for _, x := range k.Last {
		v.Strange = append(v.Strange, StrangeOne{x.At, x.Link, x.ID, both(x.Why)})
	}
	for _, x := range st.Recent {
		v.Recent = append(v.Recent, KeptOne{x.ID, both(className(x.Class)), x.Link, x.At, x.Bytes})
	}
	return give(w, v)
}

// number writes a value with as many digits as its resolution has.
func number(v, resolution float64) string {
	digits := 0
	for r := resolution; r > 0 && r < 0.9999 && digits < 6; r *= 10 {
		digits++
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

func className(c letter.Class) phrase.Message {
	switch c {
	case letter.Warning:
		return phrase.M("hubd.class_warning")
	case letter.Command:
		return phrase.M("hubd.class_command")
	case letter.Receipt:
		return phrase.M("hubd.class_receipt")
	case letter.Alarm:
		return phrase.M("hubd.class_alarm")
	case letter.Telemetry:
		return phrase.M("hubd.class_telemetry")
	}
	return phrase.M("hubd.class_bulk")
}

// alarmsShown bounds what is shown.
const alarmsShown = 50

func alarmOf(a logbook.Alarm) Alarm {
	v := Alarm{ID: string(a.Station) + "-" + strconv.Itoa(int(a.Cause)), Station: string(a.Station), Title: a.Title, Text: a.Text, Kind: a.Kind, Over: a.Over, At: a.At, Messages: []Told{}}
	long := false
	for _, m := range a.Messages {
		t := Told{Event: "released", At: m.At, Name: m.Name.String(), Ways: []WayState{}}
		if e, ok := eventCodes[m.Event]; ok {
			t.Event = e
		}
		long = long || m.Long
		switch {
		case !m.Long:
			t.Signed = both(phrase.M("hubd.signed_sealed"))
		case m.Signed == logbook.ByBox:
			t.Signed = both(phrase.M("hubd.signed_box"))
		case m.Signed == logbook.NotByBox:
			t.Signed, t.Bad = both(phrase.M("hubd.signed_other")), true
		default:
			t.Signed = both(phrase.M("hubd.signed_unpinned"))
		}
		for _, w := range m.Ways {
			t.Ways = append(t.Ways, WayState(w))
		}
		v.Messages = append(v.Messages, t)
	}
	if !long {
		v.Rank = int(a.Rank)
	}
	return v
}

// barred tells why a terminal may not send.
func barred(l drivers.TerminalLimits) phrase.Message {
	if l.Bar == drivers.BarReceiveOnly {
		return phrase.M("hubd.terminal_listens")
	}
	return phrase.M("hubd.terminal_barred", "bar", string(l.Bar))
}
