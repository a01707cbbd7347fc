package station

import (
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard/power"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/wire"
)

// powerHazard is the code under which the county hears of a station's power: one alarm an episode.
const powerHazard = "power"

// tell tells the county, in the fewest bytes, of an episode of want. The last word before the power goes takes every
// link at once. What found no room is told at the next look.
func (x *economy) tell(e power.Event, v power.View, now clock.Stamp) {
	item := wire.AlarmItem{Cause: causeDigest(e.Episode), Hazard: powerHazard}
	if now.Trust > clock.Free {
		item.At = uint32(max(0, now.Wall.Unix()))
	}
	urgent := false
	var why phrase.Message
	out := spanText(e.Out.Round(time.Minute))
	if e.Out >= 2*time.Hour {
		out = spanText(e.Out.Round(time.Hour))
	}
	switch e.Kind {
	case power.Want:
		item.Event, why = wire.AlarmRaised, phrase.M("power.told_want")
	case power.Gasp:
		item.Event, why, urgent = wire.AlarmEscalated, phrase.M("power.told_gasp"), true
	case power.Back:
		item.Event, why = wire.AlarmAgain, phrase.M("power.told_back", "for", out)
		if !e.Sure {
			why = phrase.M("power.told_back_unsure")
		}
	default:
		item.Event, why = wire.AlarmReleased, phrase.M("power.told_mended", "state", supplyText(v.State), "for", out)
		if !e.Sure {
			why = phrase.M("power.told_mended_unsure", "state", supplyText(v.State))
		}
	}
	item.Text = why.In(phrase.ZH)
	var state map[string][]byte
	if x.recalled {
		state = map[string][]byte{keyPower: x.keeper.Kept(now)}
	}
	h := x.h
	send := func() bool {
		return h.herald.soon(func() {
			t := telling{class: courier.Alarm, urgent: urgent, kind: uint8(wire.ItemAlarm)}
			// What is kept says that it was told, in one with the message: once an episode, whatever ends this run.
			batch := journal.Batch{State: state, Records: []journal.Record{{Kind: "power." + string(e.Kind), Cause: e.Episode, At: now, Message: why}}}
			name, named := h.herald.countyName()
			var content []byte
			if named {
				item.Name = name
				batch.Records[0].Body = nameBody(name)
				var err error
				if content, err = item.Append(nil, alarmBytes); err != nil {
					h.log.Error("a word on the power has no short form", "err", err)
					named = false
				}
				t.short = func(wire.Name) []byte { return content }
			}
			h.herald.post(name, named, t.kind, content, t, now, batch)
		})
	}
	if len(x.untold) == 0 && send() {
		return
	}
	if len(x.untold) < untoldMost {
		x.untold = append(x.untold, send)
	}
}
