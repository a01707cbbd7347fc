package station

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"

	"tocsin/drivers"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
	"tocsin/firmware/sense/setpoint"
	"tocsin/firmware/serve/api"
)

// keySetpoints is where the journal keeps what is held for a fail-safe value.
const keySetpoints = "setpoints"

// buildSetpoints makes the desk of what people may set.
func (h *House) buildSetpoints() {
	h.setpoints = setpoint.New(setpoint.Opts{
		Clock: h.clock, Write: h.writePoint,
		Keep:    func(state []byte) { h.journal.Put(keySetpoints, state) },
		Changed: h.noteSet,
		Fault:   h.setFault, Cleared: h.clearFault,
	})
	h.setpoints.Plan(h.bp.setpoints())
}

// startSetpoints restores fail-safe values from now on.
func (h *House) startSetpoints(ctx context.Context) {
	h.guard.GoIn(ctx, "sense", "setpoints", guard.Restart, h.setpoints.Run)
}

// setpoints gives all that the site's devices let people set. What an output uses
// is listed with why it is refused.
func (bp *Blueprint) setpoints() []setpoint.Spec {
	var out []setpoint.Spec
	for _, l := range bp.Lines {
		for _, u := range l.Units {
			for i := range u.Profile.Writes {
				w := &u.Profile.Writes[i]
				r, unit := w.Span()
				s := setpoint.Spec{ID: u.Device + "." + w.ID, Name: pointName(u.Device, bp.Doc.Site.Devices[u.Device], w.Name), Unit: unit,
					Min: r.Min, Max: r.Max, Step: 1, Takes: w.Takes, Refused: bp.noisy(u, w)}
				if w.Setting != nil {
					s.Step = w.Setting.Step()
				}
				if f := w.FailSafe; f != nil {
					s.FailSafe, s.After = f.Value, f.After
				}
				out = append(out, s)
			}
		}
	}
	return out
}

// noisy says why a write may not be set by people: it is an output's own relay or
// contactor, under whatever name the profile has for that coil, or a register of
// a device that an output is switched or supervised by, or that keys hang on.
func (bp *Blueprint) noisy(u UnitPlan, w *profile.Write) phrase.Message {
	id := u.Device + "." + w.ID
	for _, o := range bp.Outputs {
		for _, ref := range []Ref{o.Relay, o.Cut} {
			if ref.Device != u.Device || ref.Device == "" {
				continue
			}
			if own, ok := u.Profile.Write(ref.Part); ok && w.Setting == nil && (w.Addr == own.Addr || own.Timed != nil && own.Timed.Table == drivers.Coil && w.Addr == own.Timed.Addr) {
				return phrase.M("setpoint.sounds", "id", id, "output", o.Name)
			}
			// Boards have coils that switch all relays: one that is not read back as
			// itself may be such a one.
			if w.Setting != nil || w.Confirm == nil || w.Confirm.Table != drivers.Coil || w.Confirm.Addr != w.Addr {
				return phrase.M("setpoint.beside_output", "id", id, "output", o.Name, "device", u.Device)
			}
		}
		if w.Setting != nil && o.Sensed.Device == u.Device && u.Device != "" {
			return phrase.M("setpoint.beside_output", "id", id, "output", o.Name, "device", u.Device)
		}
	}
	for _, in := range bp.Inputs {
		if w.Setting != nil && in.Input.Device == u.Device && u.Device != "" {
			return phrase.M("setpoint.beside_key", "id", id, "device", u.Device)
		}
	}
	return phrase.Message{}
}

// writePoint sets through the owner of the line of the moment.
func (h *House) writePoint(ctx context.Context, id string, v float64) (float64, error) {
	dev, part, _ := strings.Cut(id, ".")
	name := h.seen().bp.Doc.Site.Devices[dev].Line
	l := h.lineOf(name)
	if l == nil || l.regs == nil {
		return math.NaN(), phrase.E("line.closed", "device", dev, "line", name)
	}
	return l.regs.Set(ctx, dev, part, v)
}

// setBody is what the journal keeps of a change.
type setBody struct {
	ID       string   `json:"id"`
	Old      *float64 `json:"old"` // null where it was not known
	New      float64  `json:"new"`
	Unit     string   `json:"unit"`
	Restored bool     `json:"restored,omitempty"`
	Taken    bool     `json:"taken"`
}

func (h *House) noteSet(c setpoint.Change, state []byte) {
	b := setBody{ID: c.ID, New: c.New, Unit: string(c.Unit), Restored: c.Restored, Taken: c.Err == nil}
	if !math.IsNaN(c.Old) {
		b.Old = &c.Old
	}
	body, _ := json.Marshal(b) // finite numbers always marshal
	kind := "setpoint.changed"
	if c.Err != nil {
		kind = "setpoint.failed"
	}
	var keep map[string][]byte
	if state != nil {
		keep = map[string][]byte{keySetpoints: state}
	}
	m := setMessage(c)
	h.log.Warn("set-point", "id", c.ID, "who", c.Who.Name, "via", c.Who.Via, "old", c.Old, "new", c.New, "err", c.Err)
	h.write(journal.Record{Kind: kind, Who: c.Who.Name, Via: c.Who.Via, Message: m, Body: body, At: c.At}, keep)
}

// setMessage says what came of a change.
func setMessage(c setpoint.Change) phrase.Message {
	now := exactly(c.New, c.Unit)
	var old any = phrase.M("setpoint.unknown_old")
	if !math.IsNaN(c.Old) {
		old = exactly(c.Old, c.Unit)
	}
	why := phrase.Message{}
	var said *phrase.Error
	if errors.As(c.Err, &said) {
		why = said.Message
	} else if c.Err != nil {
		why = phrase.M("error.plain", "text", c.Err.Error())
	}
	switch {
	case c.Err != nil && c.Restored:
		return phrase.M("setpoint.restore_failed", "item", c.ID, "new", now, "why", why)
	case c.Err != nil:
		return phrase.M("setpoint.failed", "who", c.Who.Name, "item", c.ID, "new", now, "why", why)
	case c.Restored:
		return phrase.M("setpoint.restored", "item", c.ID, "old", old, "new", now)
	}
	return phrase.M("setpoint.done", "who", c.Who.Name, "item", c.ID, "old", old, "new", now)
}

// exactly writes a value with every digit that it has: what was set is not shown
// rounded. A switch is on or off.
func exactly(v float64, u point.Unit) any {
	switch {
	case u == "on/off" && v == 0:
		return phrase.M("setpoint.off")
	case u == "on/off" && v == 1:
		return phrase.M("setpoint.on")
	case u == "1" || u == "on/off":
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64) + " " + string(u)
}

// setpointText names what can be set.
func (bp *Blueprint) setpointText(id string) (phrase.Text, bool) {
	dev, part, _ := strings.Cut(id, ".")
	for _, l := range bp.Lines {
		for _, u := range l.Units {
			if w, ok := u.Profile.Write(part); ok && u.Device == dev {
				return pointName(dev, bp.Doc.Site.Devices[dev], w.Name), true
			}
		}
	}
	return phrase.Text{}, false
}

// Setpoints gives what people may set.
func (h *House) Setpoints() []api.Setpoint {
	s := h.seen()
	var out []api.Setpoint
	for _, x := range h.setpoints.All() {
		p := api.Setpoint{ID: x.ID, Name: x.Name, Unit: string(x.Unit), Min: x.Min, Max: x.Max, Step: x.Step}
		if x.After > 0 {
			p.FailSafe, p.After = &x.FailSafe, x.After
		}
		if !x.Refused.IsZero() {
			t := s.text(x.Refused)
			p.Refused = &t
		}
		if !x.Failing.IsZero() {
			t := s.text(x.Failing)
			p.Failing = &t
		}
		if x.Held != nil {
			p.Asked = &api.Asked{Value: x.Held.Value, Who: api.Who(x.Held.Who), At: x.Held.At.Wall}
		}
		out = append(out, p)
	}
	return out
}

// Set asks the desk in a person's name.
func (h *House) Set(ctx context.Context, id string, a api.Asking, who api.Who) (api.Set, error) {
	v := a.Value
	if a.Unit != "" {
		for _, x := range h.setpoints.All() {
			if x.ID != id {
				continue
			}
			var err error
			if v, err = point.Unit(a.Unit).Convert(v, x.Unit); err != nil {
				return api.Set{}, phrase.E("setpoint.unit", "id", id, "unit", string(x.Unit), "got", a.Unit)
			}
		}
	}
	c, err := h.setpoints.Set(ctx, id, v, setpoint.Who(who))
	switch {
	case errors.Is(err, setpoint.ErrUnknown):
		var said *phrase.Error
		errors.As(err, &said)
		return api.Set{}, &phrase.Error{Message: said.Message, Err: api.ErrUnknown}
	case err != nil:
		return api.Set{}, h.spelt(err)
	case c.Err != nil:
		return api.Set{}, h.spelt(&phrase.Error{Message: setMessage(c), Err: c.Err})
	}
	out := api.Set{ID: id, New: c.New, Unit: string(c.Unit), At: c.At.Wall}
	if !math.IsNaN(c.Old) {
		out.Old = &c.Old
	}
	return out, nil
}

// spelt puts names for ids into what is told a person.
func (h *House) spelt(err error) error {
	var said *phrase.Error
	if errors.As(err, &said) {
		return &phrase.Error{Message: h.seen().bp.spell(said.Message), Err: said.Err}
	}
	return err
}
