package console

import (
	"tocsin/cmd/hubd/logbook"
	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
)

// alarmsShown bounds the page.
const alarmsShown = 50

type alarmView struct {
	Title, Text, Station, State, Kind, Rank, At string
	Over                                        bool
	Messages                                    []messageView
}

type messageView struct {
	Event, At, Name, Signed string
	Bad                     bool
	Ways                    []wayView
}

type wayView struct {
	Link, At string
	Short    bool
}

type terminalView struct {
	Name, Kind, ID, State, Waiting, Traffic, Odd string
	Good                                         bool
}

func (c *Console) alarms(all []logbook.Alarm, names map[letter.Station]string, l phrase.Lang) (out []alarmView) {
	for _, a := range all[:min(len(all), alarmsShown)] {
		v := alarmView{Title: a.Title.In(l), Text: a.Text.In(l), Station: names[a.Station], At: c.when(a.At), Over: a.Over, State: phrase.M("hubd.alarm_open").In(l)}
		if a.Over {
			v.State = phrase.M("hubd.alarm_over").In(l)
		}
		switch a.Kind {
		case "drill":
			v.Kind = phrase.M("hubd.alarm_drill").In(l)
		case "test":
			v.Kind = phrase.M("hubd.alarm_test").In(l)
		}
		long := false
		for _, m := range a.Messages {
			mv := messageView{Event: eventName(m.Event).In(l), At: c.when(m.At), Name: m.Name.String()}
			long = long || m.Long
			switch {
			case !m.Long:
				mv.Signed = phrase.M("hubd.signed_sealed").In(l)
			case m.Signed == logbook.ByBox:
				mv.Signed = phrase.M("hubd.signed_box").In(l)
			case m.Signed == logbook.NotByBox:
				mv.Signed, mv.Bad = phrase.M("hubd.signed_other").In(l), true
			default:
				mv.Signed = phrase.M("hubd.signed_unpinned").In(l)
			}
			for _, w := range m.Ways {
				mv.Ways = append(mv.Ways, wayView{w.Link, c.when(w.At), w.Short})
			}
			v.Messages = append(v.Messages, mv)
		}
		if !long && a.Rank > 0 {
			v.Rank = phrase.M("hubd.alarm_rank", "rank", int(a.Rank)).In(l)
		}
		out = append(out, v)
	}
	return out
}

func eventName(e wire.AlarmEvent) phrase.Message {
	switch e {
	case wire.AlarmRaised:
		return phrase.M("hubd.event_raised")
	case wire.AlarmEscalated:
		return phrase.M("hubd.event_escalated")
	case wire.AlarmEased:
		return phrase.M("hubd.event_eased")
	case wire.AlarmAgain:
		return phrase.M("hubd.event_again")
	}
	return phrase.M("hubd.event_released")
}

// narrow tells how the gateways for short messages do.
func (c *Console) narrow(l phrase.Lang) (out []terminalView) {
	if c.terminals == nil {
		return nil
	}
	for _, t := range c.terminals() {
		v := terminalView{Name: t.Name, Kind: t.Kind, ID: t.Terminal.ID}
		n := t.Counts
		switch {
		case !t.Terminal.Up:
			v.State = phrase.M("hubd.terminal_silent").In(l)
		case t.Limits.Transmit:
			v.State, v.Good = phrase.M("hubd.terminal_sends", "bytes", t.Limits.Bytes).In(l), true
		case t.Limits.Bar == drivers.BarReceiveOnly:
			v.State, v.Good = phrase.M("hubd.terminal_listens").In(l), true
		default:
			v.State = phrase.M("hubd.terminal_barred", "bar", string(t.Limits.Bar)).In(l)
		}
		if t.Waiting+t.Orders > 0 {
			v.Waiting = phrase.M("hubd.terminal_waiting", "warnings", t.Waiting, "orders", t.Orders).In(l)
		}
		v.Traffic = phrase.M("hubd.terminal_traffic", "taken", n.Taken, "sent", n.Sent, "alone", n.Alone, "stations", t.Stations).In(l)
		if n.Refused+n.Strangers+n.Again+n.Unkept > 0 {
			v.Odd = phrase.M("hubd.terminal_odd", "refused", n.Refused, "strangers", n.Strangers, "again", n.Again, "unkept", n.Unkept, "from", t.LastFrom).In(l)
		}
		out = append(out, v)
	}
	return out
}
