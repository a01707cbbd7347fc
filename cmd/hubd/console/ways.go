package console

import (
	"tocsin/cmd/hubd/gateway"
	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// ways tells by which links a letter goes to how many of the stations, and by which it cannot.
func (c *Console) ways(body []byte, to []letter.Station) (all []phrase.Message) {
	nats, sealed := 0, 0
	for _, s := range to {
		if st := c.file.Stations[string(s)]; st.NKey != "" || st.Token != "" {
			nats++
		}
		if c.file.Stations[string(s)].Key != nil {
			sealed++
		}
	}
	if nats > 0 || len(c.file.NATS.Servers) > 0 {
		all = append(all, phrase.M("hubd.way_nats", "count", max(nats, len(to)*min(len(c.file.NATS.Servers), 1))))
	}
	left := c.left(to)
	for _, d := range c.file.Datagrams {
		sealed := sealed - len(left[d.Name])
		switch {
		case sealed <= 0:
		case len(body)+letter.IDMost+2+letter.Overhead > letter.DatagramMost:
			all = append(all, phrase.M("hubd.way_datagrams_large", "link", d.Name))
		default:
			all = append(all, phrase.M("hubd.way_datagrams", "link", d.Name, "count", sealed))
		}
	}
	now := map[string]gateway.NarrowState{}
	if c.terminals != nil {
		for _, t := range c.terminals() {
			now[t.Name] = t
		}
	}
	for _, t := range c.file.Terminals {
		there := 0
		for _, s := range to {
			if c.file.Stations[string(s)].Addresses[t.Name] != "" && !left[t.Name][s] {
				there++
			}
		}
		switch {
		case !compact.Is(body):
			all = append(all, phrase.M("hubd.way_narrow_full", "link", t.Name))
		case t.Transmit == nil:
			all = append(all, phrase.M("hubd.way_narrow_mute", "link", t.Name))
		case there == 0:
			all = append(all, phrase.M("hubd.way_narrow_nobody", "link", t.Name))
		case now[t.Name].Limits.Bytes > 0 && now[t.Name].Limits.Bytes < len(body):
			all = append(all, phrase.M("hubd.way_narrow_small", "link", t.Name, "bytes", now[t.Name].Limits.Bytes))
		default:
			all = append(all, phrase.M("hubd.way_narrow", "link", t.Name, "count", there))
			if !now[t.Name].Limits.Transmit {
				all = append(all, phrase.M("hubd.way_narrow_waits", "link", t.Name))
			}
		}
	}
	return all
}

// left tells which of the stations are not served by which links.
func (c *Console) left(to []letter.Station) map[string]map[letter.Station]bool {
	out := map[string]map[letter.Station]bool{}
	if c.book == nil {
		return out
	}
	all := c.book.State().Stations
	for _, s := range to {
		for _, l := range all[s].Left {
			if out[l.Link] == nil {
				out[l.Link] = map[letter.Station]bool{}
			}
			out[l.Link][s] = true
		}
	}
	return out
}
