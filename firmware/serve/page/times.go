package page

import (
	"strconv"
	"time"

	"tocsin/firmware/phrase"
)

// times is the panel of where the time comes from and of whom else is told.
type times struct {
	Head, Bound, Icon string
	Sources           []timeSource
	Platforms         []platform
}

type timeSource struct {
	Name, Kind, State, Icon, Heard, Bound, Why string
}

type platform struct {
	Name, State, Icon, Why string
	Figures                string
}

func (p *page) times(l phrase.Lang) times {
	x := p.box.Times()
	v := times{Icon: "clock"}
	switch {
	case x.Source != "":
		v.Head = phrase.M("serve.page_time_by", "source", x.Source, "kind", in(x.KindText, l)).In(l)
	case x.Kind != "":
		v.Head = phrase.M("serve.page_time_was", "kind", in(x.KindText, l)).In(l)
	default:
		v.Head = phrase.M("serve.page_time_none").In(l)
	}
	if x.Bound != nil {
		v.Icon = "ok"
		v.Bound = phrase.M("serve.page_time_bound", "bound", fine(*x.Bound)).In(l)
	}
	for _, s := range x.Sources {
		y := timeSource{Name: s.Name, Kind: in(s.KindText, l), Heard: age(s.Heard, l), Bound: "±" + fine(s.Bound)}
		switch {
		case s.Why != nil:
			y.Icon, y.State, y.Why = "cross", phrase.M("serve.page_time_refused").In(l), in(*s.Why, l)
		case s.Holds:
			y.Icon, y.State = "ok", phrase.M("serve.page_time_holds").In(l)
		case s.Live:
			y.Icon, y.State = "ok", phrase.M("serve.page_time_agrees").In(l)
		default:
			y.Icon, y.State = "wait", phrase.M("serve.page_time_silent").In(l)
		}
		v.Sources = append(v.Sources, y)
	}
	for _, k := range p.box.Platforms() {
		y := platform{Name: k.Name, Icon: "ok", State: phrase.M("serve.page_platform_up").In(l)}
		if !k.Up {
			y.Icon, y.State = "cross", phrase.M("serve.page_platform_down").In(l)
		}
		if k.Why != nil {
			y.Why = in(*k.Why, l)
		}
		y.Figures = phrase.M("serve.page_platform_figures", "told", strconv.FormatInt(k.Told, 10), "waiting", k.Waiting, "lost", strconv.FormatInt(k.Dropped+k.Refused, 10)).In(l)
		v.Platforms = append(v.Platforms, y)
	}
	return v
}

// fine writes a bound with two digits that matter.
func fine(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}
