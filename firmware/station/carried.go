package station

import (
	"encoding/json"
	"slices"
	"strings"

	"tocsin/firmware/decide/alert/book"
	"tocsin/firmware/decide/beacon"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/narrow"
)

// A box whose data partition is broken runs from memory, with the counters that it finds: none. Once the
// partition is mended it is started anew and uses that again, and what was kept in memory lies beside, that of each
// such time (Opts.Memory). What it must not forget is carried over before anything is obeyed, by the journal, in
// one transaction (journal.Opts.Beside):
//
//	orders               the counters of signed commands and the issuers' floors, what
//	                     commands hold up, the volume that one set
//	alert/…              the book's entries: what was heard, what was ended
//	beacons              what was heard of other stations and what stands by it
//	update/order         the order for a release, or that it was withdrawn, where it was issued later
//	narrow/…, datagrams/… the numbers of messages, both ways
//
// With them go the journal's own numbers and the clock's floor. All of these only rise, or only end: taking the later
// of two can refuse what would have been taken, and never the other way.
//
// Not carried is what else the box kept in memory, which stays where it lies: records and letters that were
// not delivered, the site's file and its revisions, accounts, alarms, stops and what is under maintenance, set-points,
// the audit's chain, estimates. Nothing is accepted or refused by their numbers: the names of letters are of an outbox
// drawn for each disk (names), the audit's are of its own chain, and sessions end with the boot. Alarms and
// stops stand as the disk has them, which may warn again and silences nothing.
//
// The other way there is nothing to carry from: in memory a command that was obeyed from the disk counts as new until it
// expires. A cut of the power while the partition is being mended loses all of the time in memory, and one between
// that and the start anew its last minutes: what was obeyed then counts as new, too. So does that of the oldest of more
// times in memory than are kept, where no start from the disk was between them (images/init, memory.go).

// carriedAlerts bounds the entries that are carried over; no book keeps more.
const carriedAlerts = 2048

// carried gives what of other's values must be set where own are kept (journal.Opts.Merge), and
// without a value the names of what cannot be joined.
func carried(own, other map[string][]byte, later bool) map[string][]byte {
	out, alerts := map[string][]byte{}, 0
	for k, o := range other {
		mine, have := own[k]
		var m []byte
		switch {
		case k == keyOrders:
			m = carriedOrders(mine, o, have, later)
			out[k] = m
		case strings.HasPrefix(k, keyAlert):
			if m = book.Merge(k[len(keyAlert):], mine, o); m != nil {
				if alerts++; alerts > carriedAlerts {
					m = nil
				}
			}
		case k == keyBeacons:
			if m = o; have {
				m, _ = beacon.Merge(mine, o)
				out[k] = m
			}
		case k == keyUpdateOrder:
			m = carriedUpdate(mine, o, have)
		case strings.HasPrefix(k, "datagrams/") && strings.HasSuffix(k, "/sent"):
			m = narrow.Higher(mine, o)
		case strings.HasPrefix(k, "datagrams/"):
			if w, ok := letter.ReadWindow(o); ok {
				if before, ok := letter.ReadWindow(mine); ok {
					w.Join(before)
				}
				m = w.Bytes()
			}
		case strings.HasPrefix(k, "narrow/"):
			m = narrow.Merge(k, mine, o)
		}
		if m != nil {
			out[k] = m
		}
	}
	return out
}

// carriedOrders joins what was kept of commands; of two volumes the later one. nil: one of the
// two cannot be read.
func carriedOrders(own, other []byte, have, later bool) []byte {
	o, err := readOrders(other)
	if err != nil {
		return nil
	}
	k := ordersKept{Version: 1}
	c := newCounters()
	if have {
		if k, err = readOrders(own); err != nil || c.Restore(k.Counters) != nil {
			return nil // whoever takes it back says so
		}
	}
	if c.Restore(o.Counters) != nil {
		return nil
	}
	k.Counters = c.Snapshot()
	for _, s := range o.Stand {
		if len(k.Stand) < commandsStand && !slices.ContainsFunc(k.Stand, func(x commanded) bool { return x.hazard() == s.hazard() }) {
			k.Stand = append(k.Stand, s)
		}
	}
	if o.Volume > 0 && o.Volume <= 100 && (later || k.Volume == 0) {
		k.Volume = o.Volume
	}
	b, err := json.Marshal(k)
	if err != nil {
		return nil
	}
	return b
}

// carriedUpdate gives other's order for a release where it was issued later.
func carriedUpdate(own, other []byte, have bool) []byte {
	var mine, o updateOrder
	if json.Unmarshal(other, &o) != nil || o.Issued.IsZero() {
		return nil
	}
	if have && json.Unmarshal(own, &mine) == nil && !mine.before(&o) {
		return nil
	}
	return other
}
