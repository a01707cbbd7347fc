package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/cmd/hubd/logbook"
	"tocsin/cmd/hubd/post"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// lateAfter marks a station that was not heard for so long.
const lateAfter = 15 * time.Minute

type pageView struct {
	frameView
	Alarms    []alarmView
	Stations  []stationView
	Sent      []sentView
	Terminals []terminalView
	Unknown   int
	// OpenAlarms, stations heard of late of all, and those that told of a fault.
	OpenAlarms, Heard, Of, Faulty int
}

type stationView struct {
	ID, Name         string
	Number           int
	Seen, Link       string
	Late             bool
	Links            []seenView
	State            string
	Ready            bool
	Letters          [6]int
	Faults           []string
	Told             []string
	ToldAt, ValuesAt string
	Values           []valueView
	Strange          []strangeView
	StrangeCount     int
	Recent           []keptView
}

type seenView struct{ Link, At string }

type valueView struct{ Name, Text string }

type strangeView struct{ At, Link, ID, Why string }

type keptView struct {
	ID, Class, Link, At string
	Bytes               int
}

// Page is the handler of the officers' page.
func (c *Console) Page() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		v := c.look(r)
		c.write(w, http.StatusOK, v.Lang, "page", v)
	})
	mux.HandleFunc("GET /county.css", style)
	return mux
}

// langOf takes ?lang=, then English where the browser wants it before Chinese.
func langOf(r *http.Request) phrase.Lang {
	switch r.URL.Query().Get("lang") {
	case "zh":
		return phrase.ZH
	case "en":
		return phrase.EN
	}
	want := strings.ToLower(r.Header.Get("Accept-Language"))
	zh, en := strings.Index(want, "zh"), strings.Index(want, "en")
	if en >= 0 && (zh < 0 || en < zh) {
		return phrase.EN
	}
	return phrase.ZH
}

func (c *Console) look(r *http.Request) pageView {
	s, now, l := c.office.State(), c.now(), langOf(r)
	v := pageView{frameView: c.frame(r), Unknown: s.Unknown}
	v.Here = "home"
	var known logbook.State
	if c.book != nil {
		known = c.book.State()
	}
	names := map[letter.Station]string{}
	for _, st := range s.Stations {
		name := st.Name.In(l)
		if name == "" {
			name = string(st.ID)
		}
		names[st.ID] = name
		sv := c.station(st, name, now, l)
		if k, ok := known.Stations[st.ID]; ok {
			c.told(&sv, k, l)
		}
		v.Stations = append(v.Stations, sv)
	}
	v.Alarms, v.Sent, v.Terminals = c.alarms(known.Alarms, names, l), c.sent(s.Sent, names, l), c.narrow(l)
	for _, a := range v.Alarms {
		if !a.Over {
			v.OpenAlarms++
		}
	}
	v.Of = len(v.Stations)
	for _, st := range v.Stations {
		if !st.Late {
			v.Heard++
		}
		if st.State != "" && !st.Ready || len(st.Faults) > 0 {
			v.Faulty++
		}
	}
	return v
}

// told adds what a station said of itself.
func (c *Console) told(v *stationView, k logbook.Station, l phrase.Lang) {
	if !k.StateAt.IsZero() {
		v.Ready, v.ToldAt = k.Ready && len(k.Faults) == 0, c.when(k.StateAt)
		switch {
		case len(k.Faults) > 0:
			v.State = phrase.M("hubd.page_faults", "count", len(k.Faults)).In(l)
		case k.Ready:
			v.State = phrase.M("hubd.page_ready").In(l)
		default:
			v.State = phrase.M("hubd.page_unready").In(l)
		}
		for _, hazard := range k.Blind {
			v.Ready = false
			v.Told = append(v.Told, phrase.M("hubd.page_blind", "hazard", c.file.Warnings.CAP.HazardName(hazard)).In(l))
		}
		if len(k.Blind) > 0 {
			v.State = phrase.M("hubd.page_is_blind").In(l) + " · " + v.State
		}
		for _, f := range k.Faults {
			v.Told = append(v.Told, phrase.Text{ZH: f.ZH, EN: f.EN}.In(l))
		}
	}
	v.ValuesAt = c.when(k.ValuesAt)
	for _, x := range k.Values {
		t := ""
		if x.Good {
			t = strings.TrimSpace(number(x.V, x.Resolution) + " " + x.Unit)
			if x.Between {
				t = "≈ " + t
			}
		}
		v.Values = append(v.Values, valueView{x.Name.In(l), t})
	}
	for _, x := range k.Left {
		v.Faults = append(v.Faults, phrase.M("hubd.left_out", "link", x.Link, "why", x.Why).In(l))
	}
	if v.StrangeCount = k.Strange; k.Strange > 0 {
		v.Faults = append(v.Faults, phrase.M("hubd.page_strange", "count", k.Strange).In(l))
	}
	for _, x := range k.Last {
		v.Strange = append(v.Strange, strangeView{c.when(x.At), x.Link, x.ID, x.Why.In(l)})
	}
}

// number writes a value with as many digits as its resolution has.
func number(v, resolution float64) string {
	digits := 0
	for r := resolution; r > 0 && r < 0.9999 && digits < 6; r *= 10 {
		digits++
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

func (c *Console) station(st post.Station, name string, now time.Time, l phrase.Lang) stationView {
	at, link := st.Last()
	v := stationView{ID: string(st.ID), Name: name, Seen: c.when(at), Link: link, Late: now.Sub(at) > lateAfter, Letters: st.Letters, Number: c.file.Stations[string(st.ID)].Number}
	var links []string
	for k := range st.Seen {
		links = append(links, k)
	}
	slices.SortFunc(links, func(a, b string) int { return st.Seen[b].Compare(st.Seen[a]) })
	for _, k := range links {
		v.Links = append(v.Links, seenView{k, c.when(st.Seen[k])})
	}
	if st.Twice > 0 {
		v.Faults = append(v.Faults, phrase.M("hubd.page_twice", "count", st.Twice).In(l))
	}
	if st.Mislabelled > 0 {
		v.Faults = append(v.Faults, phrase.M("hubd.page_mislabelled", "count", st.Mislabelled).In(l))
	}
	for _, k := range st.Recent {
		v.Recent = append(v.Recent, keptView{k.ID, className(k.Class).In(l), k.Link, c.when(k.At), k.Bytes})
	}
	return v
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

func (c *Console) when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(c.zone).Format("2006-01-02 15:04:05")
}
