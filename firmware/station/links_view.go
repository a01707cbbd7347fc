package station

import (
	"maps"
	"slices"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/serve/api"
)

// linkTexts name the states of a link.
var linkTexts = map[string]phrase.Message{
	"off": phrase.M("serve.link_off"), "down": phrase.M("serve.link_down"), "suspect": phrase.M("serve.link_suspect"),
	"returning": phrase.M("serve.link_returning"), "up": phrase.M("serve.link_up"), linkListening: phrase.M("serve.link_listening"),
}

// linkNames name the rows that links.yaml ships with.
var linkNames = map[string]phrase.Message{
	"fibre": phrase.M("serve.link_fibre"), "cellular": phrase.M("serve.link_cellular"), "satellite": phrase.M("serve.link_satellite"),
	"mesh": phrase.M("serve.link_mesh"), "beidou": phrase.M("serve.link_beidou"), "sbd": phrase.M("serve.link_sbd"), "sms": phrase.M("serve.link_sms"),
}

// linkName names a link for people: as the site calls it where it is a row of its own.
func linkName(name string) api.Text {
	if m, ok := linkNames[name]; ok {
		return api.TextOf(m)
	}
	return api.Text{ZH: name, EN: name}
}

// linkListening is the state of a terminal that may not send.
const linkListening = "listening"

// Links gives the ways to the county and what waits for them.
func (h *House) Links() api.Links {
	s := h.seen()
	told := h.tally.told.Load()
	x := api.Links{County: s.bp.Doc.Site.County != nil, Channels: told.channels, NarrowChannels: told.narrow, Points: len(s.bp.Points)}
	st, ok := h.courierStatus()
	if ok {
		x.Kept, x.Waiting, x.Bytes, x.Stray, x.Unread = st.Kept, st.Rows, st.Bytes, st.Stray, st.Unread
		if !st.Why.IsZero() {
			why := s.text(st.Why)
			x.Why = &why
		}
	}
	there := map[string]bool{}
	for _, l := range st.Links {
		there[l.Link] = true
		x.Links = append(x.Links, s.link(l))
	}
	for _, name := range slices.Sorted(maps.Keys(s.bp.Doc.Site.Links)) {
		if l := s.bp.Doc.Site.Links[name]; !there[name] && !sends(l) && !(forPeople(l) && l.Transmit != nil) {
			x.Links = append(x.Links, api.Link{Name: name, NameText: linkName(name), Kind: l.Kind, State: linkListening, StateText: api.TextOf(linkTexts[linkListening]), Why: s.text(phrase.M("station.link_listens"))})
		}
	}
	for _, c := range st.Classes {
		class, _ := courier.ParseClass(c.Class)
		x.Classes = append(x.Classes, api.OutboxClass{Class: c.Class, ClassText: api.TextOf(class.Message()), Waiting: c.Waiting, Late: c.Late, Oldest: c.Oldest, Posted: c.Posted,
			Delivered: c.Delivered, DeliveredLate: c.DeliveredLate, Replaced: c.Replaced, Refused: c.Refused, Dropped: c.Dropped, Expired: c.Expired})
	}
	for _, d := range h.deliveries.list("") {
		x.Receipts = append(x.Receipts, s.delivery(d))
	}
	return x
}

func (s shown) link(l courier.LinkStatus) api.Link {
	state := l.State.String()
	x := api.Link{Name: l.Link, NameText: linkName(l.Link), Kind: s.bp.Doc.Site.Links[l.Link].Kind, State: state, StateText: api.TextOf(linkTexts[state]), Why: s.text(l.State.Say(l.Why)), For: l.For,
		Delivery: l.Delivery, Latency: l.Latency, Slot: l.Slot, Out: l.Out + l.Sending, Balance: l.Balance, Full: l.Full, Reserve: l.Reserve, Spent: l.Spent,
		Parcels: l.Parcels, Bytes: l.Bytes, Acked: l.Acked, Lost: l.Lost, Faults: l.LinkCounts.Faults, Probes: l.Probes, Missed: l.Missed}
	if l.Quiet >= 0 {
		quiet := l.Quiet
		x.Quiet = &quiet
	}
	return x
}
