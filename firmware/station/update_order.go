package station

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/command"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/account"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/serve/audit"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/trust"
	"tocsin/firmware/update"
)

// The county's order to activate a release. There is one, the newest. It is kept over restarts until its end,
// waits until exactly that release is staged and nothing bars it, and whatever comes of it is told to the county.

// keyUpdateOrder is where the journal keeps it.
const keyUpdateOrder = "update/order"

// How an order stands.
const (
	orderWaits    = "waits"
	orderDone     = "done"
	orderDeclined = "declined"
)

// updateOrder is one, with what became of it. It is never changed: another takes its place.
type updateOrder struct {
	Number uint64    `json:"number"` // 0: an earlier one was withdrawn
	Who    string    `json:"who"`
	Cause  string    `json:"cause"`
	Issued time.Time `json:"issued"`
	// Key, Group and Counter are how it was counted.
	Key       trust.KeyID `json:"key,omitempty"`
	Group     string      `json:"group,omitempty"`
	Counter   uint64      `json:"counter,omitempty"`
	NotBefore time.Time   `json:"not_before,omitzero"`
	Expires   time.Time   `json:"expires"`
	// Came and Life end it where no clock says that it has.
	Came  clock.Stamp   `json:"came"`
	Life  time.Duration `json:"life"`
	State string        `json:"state"`
	// Why it waits or was declined, At when it came or ended.
	Why phrase.Message `json:"why"`
	At  clock.Stamp    `json:"at"`
	// fresh: it was not judged yet; was is the one whose place it took.
	fresh bool
	was   *updateOrder
}

func (o *updateOrder) over(now clock.Stamp, floor time.Time) bool {
	d, _ := now.Since(o.Came)
	return d >= o.Life || clock.Expired(o.Expires, now, floor)
}

// begun tells whether its time has come. Without a clock only what is known to be past counts.
func (o *updateOrder) begun(now clock.Stamp, floor time.Time) bool {
	return !o.NotBefore.After(floor) || now.Trust > clock.Free && !now.Wall.Before(o.NotBefore)
}

// before tells whether it was issued before another: within one second by the key's own
// counter, where the same key gave both.
func (o *updateOrder) before(x *updateOrder) bool {
	if !o.Issued.Equal(x.Issued) {
		return o.Issued.Before(x.Issued)
	}
	return o.Key == x.Key && o.Group == x.Group && o.Counter < x.Counter
}

// ahead tells whether a trusted clock shows that it cannot have been issued yet: it came while there was none, and
// bars no other.
func (o *updateOrder) ahead(now clock.Stamp, tolerance time.Duration) bool {
	return now.Trust > clock.Free && o.Issued.After(now.Wall.Add(tolerance))
}

// judge tells what is to become of an order that waits; "" for that it is to be carried out now. barred is why
// nothing may be activated.
func (o *updateOrder) judge(s update.State, barred error, now clock.Stamp, floor time.Time) (state string, why phrase.Message) {
	failed := s.Failed != nil && s.Failed.Number == o.Number
	switch {
	case s.Running != nil && s.Running.Number == o.Number:
		return orderDone, phrase.Message{}
	case s.Running != nil && s.Running.Number > o.Number:
		return orderDeclined, phrase.M("update.order_older", "number", o.Number, "running", s.Running.Number)
	case failed:
		return orderDeclined, phrase.M("update.order_failed", "number", o.Number, "why", s.Reason)
	case o.over(now, floor):
		return orderDeclined, phrase.M("update.order_over", "number", o.Number, "why", o.Why)
	case !o.begun(now, floor):
		return orderWaits, phrase.M("update.order_early", "at", o.NotBefore.In(siteZone()).Format(time.DateTime))
	case s.Phase == update.Trial:
		return orderWaits, phrase.M("update.order_trial")
	case s.Next == nil:
		return orderWaits, phrase.M("update.order_not_here", "number", o.Number)
	case s.Next.Number != o.Number:
		return orderWaits, phrase.M("update.order_other", "number", o.Number, "staged", s.Next.Number)
	case barred != nil:
		return orderWaits, phrase.Of(barred)
	}
	return "", phrase.Message{}
}

// told is the order as the county is told of it.
func (o *updateOrder) told() *account.Order {
	if o == nil {
		return nil
	}
	return &account.Order{Number: o.Number, By: o.Who, State: o.State, At: told(o.At), Until: o.Expires.Unix(), Code: o.Why.Code,
		Text: account.TextOf(o.Why.In(phrase.ZH), o.Why.In(phrase.EN))}
}

// told is a time for the county; 0 where the box had no clock.
func told(at clock.Stamp) int64 {
	if at.Trust == clock.Free {
		return 0
	}
	return max(0, at.Wall.Unix())
}

// putOrder has an order take another's place; false where that is not the one any more.
func (h *House) putOrder(was, now *updateOrder) bool {
	u := &h.updates
	u.orderKept.Lock()
	defer u.orderKept.Unlock()
	if !u.order.CompareAndSwap(was, now) {
		return false
	}
	b, _ := json.Marshal(now) // strings, numbers and times
	h.journal.Put(keyUpdateOrder, b)
	return true
}

// obeySoftware takes an order to activate a release. It is kept before its counter is: the same one twice changes
// nothing, and one that counts as obeyed is not lost by a cut. Whether it can be carried out is told by whoever
// brought it, since a board may be slow to answer.
func (c *county) obeySoftware(cmd *command.Command, who order.Who, j *job, now clock.Stamp) (func() (phrase.Message, error), error) {
	h := c.h
	if _, err := h.installer(); phrase.Of(err).Code == "update.none_here" {
		return nil, err
	}
	o := &updateOrder{Number: cmd.Release, Who: who.Name, Cause: causeOfCommand(cmd), Issued: cmd.Issued, Key: cmd.Key, Group: cmd.Group, Counter: cmd.Counter, NotBefore: cmd.NotBefore, Expires: cmd.Expires, Came: now, Life: cmd.Expires.Sub(cmd.Issued),
		State: orderWaits, Why: phrase.M("update.opening"), At: now, fresh: true}
	what := phrase.M("update.order_kept", "number", o.Number)
	if o.Number == 0 {
		o.State, o.Why = orderDeclined, phrase.M("update.order_withdrawn", "who", o.Who)
		what = o.Why
	}
	was := h.updates.order.Load()
	for ; ; was = h.updates.order.Load() {
		if was != nil && o.before(was) && !was.ahead(now, c.commands.Tolerance) {
			return nil, phrase.E("update.order_late", "newest", was.Issued.In(siteZone()).Format(time.DateTime))
		}
		if o.was = was; h.putOrder(was, o) {
			break
		}
	}
	h.audit.Note(audit.Entry{Op: "update.order", Status: http.StatusOK, Via: who.Via, Who: o.Who, Target: strconv.FormatUint(o.Number, 10)})
	j.then = func(context.Context) (phrase.Message, error) { return h.answerOrder(o) }
	return saying(what), nil
}

// answerOrder judges an order that has just come, and tells how it stands. One that cannot be carried out leaves the
// one that waited before as it was.
func (h *House) answerOrder(o *updateOrder) (phrase.Message, error) {
	x := *o
	x.fresh, x.was = false, nil
	if x.State == orderWaits {
		i, err := h.installer()
		if err != nil {
			x.Why = phrase.Of(err)
		} else {
			x.State, x.Why = o.judge(i.State(), h.barred(), h.clock.Now(), h.clock.Floor())
		}
		switch x.State {
		case "":
			x.State, x.Why = orderWaits, phrase.M("update.order_goes")
		case orderDone:
			x.State, x.Why = orderDeclined, phrase.M("update.order_runs", "number", x.Number)
		}
		stays := &x
		if x.State == orderDeclined && o.was != nil && o.was.State == orderWaits {
			stays = o.was
		}
		if !h.putOrder(o, stays) {
			return phrase.M("update.order_kept", "number", o.Number), nil // it was carried out or told of already
		}
	}
	h.tellOrder(&x)
	if x.State == orderDeclined && x.Number > 0 {
		return phrase.Message{}, &phrase.Error{Message: x.Why}
	}
	return x.says(), nil
}

// says is how an order stands, in words.
func (o *updateOrder) says() phrase.Message {
	switch {
	case o.Number == 0:
		return o.Why
	case o.State == orderWaits:
		return phrase.M("update.order_waits", "who", o.Who, "number", o.Number, "why", o.Why)
	}
	return phrase.M("update.order_declined", "who", o.Who, "number", o.Number, "why", o.Why)
}

// orderKinds are the journal's kinds of what is told of an order.
var orderKinds = map[string]string{orderWaits: "update.ordered", orderDeclined: "update.declined"}

// tellOrder tells the county how an order stands; that it was carried out, its trial says.
func (h *House) tellOrder(o *updateOrder) {
	code := wire.UpdateOrdered
	if o.State == orderDeclined {
		code = wire.UpdateDeclined
	}
	h.tellCounty(orderKinds[o.State], o.says(), updateTold{Number: o.Number, Why: o.Why, At: o.At}.short(code))
}

// declinedMost bounds how many refused orders are remembered.
const declinedMost = 256

// softwareRefused tells the county that an order to activate a release was refused here, where a key that is
// believed signed it for this box. A replay is not told of, nor the same command twice.
func (c *county) softwareRefused(raw []byte, err error, j *job) {
	var r *command.Refusal
	if !errors.As(err, &r) || r.Stage != command.Granted && r.Stage != command.Expiry && r.Stage != command.Bounds {
		return
	}
	p, err := command.Show(raw)
	if err != nil || p.Scope != command.Software {
		return
	}
	id := string(p.Key) + p.ID
	told := &c.h.updates.declined
	if slices.Contains(*told, id) { // whoever plays old ones in turn fills neither outbox nor audit
		return
	}
	*told = append((*told)[max(0, len(*told)-declinedMost+1):], id)
	o := updateOrder{Number: p.Release, Who: p.Person, State: orderDeclined, Why: r.Err.Message, At: c.h.clock.Now()}
	c.h.audit.Note(audit.Entry{Op: "update.order", Status: http.StatusForbidden, Via: "command", Who: o.Who, Target: strconv.FormatUint(o.Number, 10)})
	j.then = func(context.Context) (phrase.Message, error) {
		c.h.tellOrder(&o)
		return phrase.M("station.command_refused", "path", r.Path, "why", r.Err.Message), nil
	}
}

// followOrder carries out the order that waits, at the first moment at which it may. It is called every second.
func (h *House) followOrder(i update.Installer) {
	o := h.updates.order.Load()
	if o == nil || o.State != orderWaits {
		return
	}
	if o.fresh { // whoever brought it has not come to it
		_, _ = h.answerOrder(o)
		return
	}
	state, why := o.judge(i.State(), h.barred(), h.clock.Now(), h.clock.Floor())
	switch state {
	case orderDone, orderDeclined:
		h.endOrder(o, state, why)
		return
	case orderWaits:
		if why.Code != o.Why.Code {
			x := *o
			x.Why = why
			h.putOrder(o, &x)
		}
		return
	}
	err := h.activate(i, trialUsual, o.Who, o)
	switch phrase.Of(err).Code {
	case "update.busy", "update.not_staged", "update.level", "update.power", "update.sounding", "update.drill":
		return // since it was judged
	}
	if err != nil {
		h.endOrder(o, orderDeclined, phrase.Of(err))
		return
	}
	h.audit.Note(audit.Entry{Op: "update.activate", Status: http.StatusOK, Via: "command", Who: o.Who, Target: strconv.FormatUint(o.Number, 10)})
}

// endOrder ends an order that waited, and tells of one that was not carried out.
func (h *House) endOrder(o *updateOrder, state string, why phrase.Message) {
	x := *o
	x.State, x.Why, x.At = state, why, h.clock.Now()
	if h.putOrder(o, &x) && state == orderDeclined {
		h.tellOrder(&x)
	}
}

// recallOrder takes back the order that an earlier run kept, unless a newer one came since.
func (h *House) recallOrder() {
	b, ok := h.journal.Get(keyUpdateOrder)
	if !ok {
		return
	}
	o := &updateOrder{}
	if err := json.Unmarshal(b, o); err != nil {
		h.unreadable("update order", err)
		return
	}
	if now := h.clock.Now(); o.State == orderWaits {
		if _, known := now.Since(o.Came); !known {
			o.Came = now // nobody can tell how long the power was off
		}
	}
	h.updates.order.CompareAndSwap(nil, o)
}
