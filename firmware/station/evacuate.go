package station

import (
	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sound/order"
)

// evacuate raises a level in a person's name. Where it stands by hand already it sounds
// anew, whoever has stopped it: who confirms twice means it. On the decide goroutine.
func (h *House) evacuate(l point.Level, who order.Who, reason string) (id string, again bool, err error) {
	now := h.clock.Now()
	for _, a := range h.alarms.Open() {
		if a.Hazard == alarm.ByHand && a.Level >= l {
			why := phrase.M("station.evacuation_again", "who", who.Name)
			h.announcer.Withdraw(a.ID, why)
			delete(h.halted, a.ID)
			h.sound(a, false)
			h.write(journal.Record{Kind: "announcer.again", Cause: a.ID, Who: who.Name, Via: who.Via, At: now, Message: why}, h.stateOfHalts())
			return a.ID, true, nil
		}
	}
	e, err := h.alarms.RaiseByHand(l, alarm.Who(who), reason, now)
	if err != nil {
		return "", false, err
	}
	h.happen(e)
	return e.Alarm.ID, false, nil
}
