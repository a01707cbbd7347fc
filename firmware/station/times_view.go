package station

import (
	"tocsin/firmware/clock"
	"tocsin/firmware/clock/source"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

var timeKinds = map[source.Kind]phrase.Message{
	source.PPS: {Code: "time.kind_pps"}, source.GNSS: {Code: "time.kind_gnss"}, source.NTP: {Code: "time.kind_ntp"},
	source.BeiDou: {Code: "time.kind_beidou"}, source.Downlink: {Code: "time.kind_downlink"}, source.RTC: {Code: "time.kind_rtc"},
}

// Times gives where the time comes from.
func (h *House) Times() api.Times {
	v, now := h.times.state(), h.clock.Now()
	x := api.Times{Source: v.Holder, Kind: string(v.Kind), Trust: now.Trust.String(), Sure: v.Sure, Sources: []api.TimeSource{}}
	if m, ok := timeKinds[v.Kind]; ok {
		x.KindText = api.TextOf(m)
	}
	if v.Bound >= 0 && now.Trust > clock.Free {
		b := v.Bound
		x.Bound = &b
	}
	for _, s := range v.Sources {
		y := api.TimeSource{Name: s.Name, Kind: string(s.Kind), KindText: api.TextOf(timeKinds[s.Kind]), Live: s.Live, Holds: s.Holds, Heard: max(0, now.Mono-s.Heard), Bound: s.Bound, Ahead: s.Ahead}
		if !s.Why.IsZero() {
			t := api.TextOf(s.Why)
			y.Why = &t
		}
		x.Sources = append(x.Sources, y)
	}
	return x
}
