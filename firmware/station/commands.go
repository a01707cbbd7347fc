package station

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/decide/command"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/trust"
)

// keyOrders is where the journal keeps what signed commands left behind: their
// counters before anything sounds, what they hold up, the volume that they set.
const keyOrders = "orders"

const (
	commandWindow = 16 // links reorder
	commandsStand = 16
	// counterKept is how long a sounding waits for its counter to be durable. A
	// disk that is slower than this or dead does not hold it up.
	counterKept = 250 * time.Millisecond
	// commandLongest is how long a command lives at the longest where the site does
	// not say how long a warning may stand.
	commandLongest = 24 * time.Hour
	// softwareLongest is the same for an order to activate a release, which may have to come first
	// and then waits for calm.
	softwareLongest = 7 * 24 * time.Hour
	commandEarly    = 2 * time.Minute
)

// commanded is a level that a signed command raised. Its name is the issuer's and the
// command's together: no issuer can take another's by calling a command the same.
type commanded struct {
	Issuer  string      `json:"issuer"`
	ID      string      `json:"id"`
	Level   string      `json:"level"`
	Outputs []string    `json:"outputs,omitempty"`
	Tone    string      `json:"tone,omitempty"`
	Clips   []string    `json:"clips,omitempty"`
	Text    phrase.Text `json:"text,omitzero"`
	Who     order.Who   `json:"who"`
	Begun   clock.Stamp `json:"begun"`
	// For is its longest time, Expires the command's own end.
	For     time.Duration `json:"for"`
	Expires time.Time     `json:"expires"`
}

func (s commanded) hazard() string { return commandPrefix + s.Issuer + "." + s.ID }

// ordersKept is what is kept of commands.
type ordersKept struct {
	Version  int                `json:"version"`
	Counters trust.CounterState `json:"counters"`
	Stand    []commanded        `json:"stand,omitempty"`
	Volume   int                `json:"volume,omitempty"`
}

// commandsOf opens commands by a site's trust; counters go on.
func commandsOf(bp *Blueprint, counters *trust.Counters) *command.Verifier {
	a := bp.Doc.Site.Alerts
	v := &command.Verifier{Trust: bp.Trust, Counters: counters, Box: bp.Doc.Site.Site.ID, Groups: a.Groups, Longest: commandLongest, Tolerance: commandEarly}
	if d := a.Longest.Duration(); d > 0 {
		v.Longest = d
	}
	if d := a.Early.Duration(); d > 0 {
		v.Tolerance = d
	}
	v.Longer = map[command.Scope]time.Duration{command.Software: softwareLongest}
	return v
}

func newCounters() *trust.Counters {
	return trust.NewCounters(trust.CounterOptions{Window: commandWindow, Build: BuildTime()})
}

// TakeCommand verifies a signed command and carries it out.
func (h *House) TakeCommand(ctx context.Context, raw []byte, way string) (api.CommandVerdict, error) {
	j := &job{way: way, command: true}
	err := h.county.bring(ctx, raw, wayHand, j)
	return j.commanded, err
}

// command verifies one and acts on it; false where it is not what it claims.
func (c *county) command(raw []byte, j *job) bool {
	now, floor := c.now()
	cmd, err := c.commands.Open(raw, now, floor)
	if err == nil && len(j.only) > 0 && !slices.Contains(j.only, cmd.Issuer.ID) {
		err = &command.Refusal{Stage: command.Trust, Path: "/", ID: cmd.ID,
			Err: phrase.E("station.wrong_way", "issuer", cmd.Issuer.ID, "issuers", strings.Join(j.only, "、"))}
	}
	if err != nil {
		c.commandRefused(err, j, now)
		c.softwareRefused(raw, err, j)
		var r *command.Refusal
		return errors.As(err, &r) && (r.Stage == command.Address || r.Stage == command.Expiry || r.Stage == command.Counter)
	}
	v := &j.commanded
	v.ID, v.Issuer, v.Scope, v.Marked = cmd.ID, cmd.Issuer.ID, string(cmd.Scope), cmd.Marked
	act, err := c.obey(cmd, j, now)
	// What it changes is kept with its counter, in one: a cut between the two would
	// leave a command that counts as obeyed and never was.
	kept := c.keepOrders(cmd)
	var what phrase.Message
	if err == nil {
		what, err = act()
	}
	if err != nil {
		r := &command.Refusal{Stage: command.Bounds, Path: "/payload/scope", ID: cmd.ID, Err: asPhrase(err)}
		c.commandRefused(r, j, now)
		c.softwareRefused(raw, r, j)
		return true
	}
	v.Accepted = true
	m := phrase.M("station.commanded", "who", c.commander(cmd).Name, "what", what)
	if !kept {
		m = phrase.M("station.command_unkept", "what", m)
	}
	if cmd.Marked {
		m = phrase.M("station.alert_marked", "what", m)
	}
	v.Outcome = c.bp.textOf(m)
	c.h.write(journal.Record{Kind: "order.commanded", Cause: causeOfCommand(cmd), Who: c.commander(cmd).Name, Via: "command", At: now, Message: m,
		Body: commandBody(&cmd.Payload, cmd.Issuer.ID, j.way)}, map[string][]byte{keyOrders: c.ordersNow()})
	return true
}

func asPhrase(err error) *phrase.Error {
	var e *phrase.Error
	if errors.As(err, &e) {
		return e
	}
	return phrase.Wrap(err, "error.plain", "text", err.Error())
}

// causeOfCommand is what a command's soundings and receipts are called; for one that
// raises a level it is also the name of the alarm.
func causeOfCommand(cmd *command.Command) string {
	return alarm.WarnedID(commanded{Issuer: cmd.Issuer.ID, ID: cmd.ID}.hazard())
}

func commandBody(p *command.Payload, issuer, way string) json.RawMessage {
	b, _ := json.Marshal(map[string]any{"issuer": issuer, "way": way, "payload": p}) // strings and numbers
	return b
}

func (c *county) commandRefused(err error, j *job, now clock.Stamp) {
	m := phrase.Of(err)
	var r *command.Refusal
	path, id := "/", ""
	if errors.As(err, &r) {
		m, path, id = r.Err.Message, r.Path, r.ID
	}
	j.commanded.ID = id
	out := phrase.M("station.command_refused", "path", path, "why", m)
	j.commanded.Outcome = c.h.seen().bp.textOf(out) // not the county's goroutine alone refuses
	c.h.log.Warn("command refused", "id", id, "path", path, "way", j.way, "why", m.In(phrase.EN))
	b, _ := json.Marshal(map[string]string{"id": id, "path": path, "way": j.way})
	c.h.write(journal.Record{Kind: "order.refused", At: now, Message: out, Body: b}, nil)
}

// keepOrders makes the counter, and what the command changed, durable before anything
// sounds, as far as the disk lets it in time. It tells whether it did.
func (c *county) keepOrders(cmd *command.Command) bool {
	c.h.journal.Commit(journal.Batch{State: map[string][]byte{keyOrders: c.ordersNow()}})
	ctx, cancel := context.WithTimeout(context.Background(), counterKept)
	defer cancel()
	if err := c.h.journal.Sync(ctx); err != nil {
		c.h.log.Error("a command acts whose counter is kept in RAM alone", "command", cmd.ID, "err", err)
		return false
	}
	return true
}

func (c *county) ordersNow() []byte {
	b, _ := json.Marshal(ordersKept{Version: 1, Counters: c.commands.Counters.Snapshot(), Stand: c.stand, Volume: int(c.h.volume.Load())})
	return b
}

// readOrders reads what the journal kept of commands.
func readOrders(b []byte) (k ordersKept, err error) {
	if err = json.Unmarshal(b, &k); err == nil && k.Version != 1 {
		err = fmt.Errorf("version %d", k.Version)
	}
	return k, err
}

// recallOrders takes back what the journal kept of commands.
func (c *county) recallOrders() {
	b, ok := c.h.journal.Get(keyOrders)
	if !ok {
		return
	}
	k, err := readOrders(b)
	if err == nil {
		err = c.commands.Counters.Restore(k.Counters)
	}
	if err != nil {
		c.h.unreadable("orders", err)
		return
	}
	now := c.h.clock.Now()
	for _, s := range k.Stand {
		if slices.ContainsFunc(c.stand, func(x commanded) bool { return x.hazard() == s.hazard() }) {
			continue
		}
		if _, known := now.Since(s.Begun); !known {
			// Nobody can tell how long the power was off: its time runs from now, for it
			// must end even where no clock ever says that it has.
			s.Begun = now
		}
		c.stand = append(c.stand, s)
	}
}

func (c *county) commander(cmd *command.Command) order.Who {
	name := named(cmd.Issuer.Name, cmd.Issuer.ID).ZH
	return order.Who{Name: name + " " + api.Clean(cmd.Person, 60), Via: "command"}
}

// obey changes what the county keeps by a command, within this box's own bounds, and
// gives what is then to be done about it.
func (c *county) obey(cmd *command.Command, j *job, now clock.Stamp) (act func() (phrase.Message, error), err error) {
	outs, err := c.outputsOf(cmd)
	if err != nil {
		return nil, err
	}
	who := c.commander(cmd)
	if (cmd.Scope == command.Stop || cmd.Scope == command.Volume) && len(outs) > 0 {
		// More than was ordered would fall silent, or become quieter.
		return nil, phrase.E("station.command_part")
	}
	switch cmd.Scope {
	case command.Sound:
		return c.obeySound(cmd, outs, who, now)
	case command.Drill:
		kind := order.Drill
		if cmd.Kind == order.Test.String() {
			kind = order.Test
		}
		why := phrase.M("station.command_drill", "kind", kind.Message())
		return func() (phrase.Message, error) {
			var refused error
			busy := c.h.do(func() {
				refused = c.h.once(oncePlan{cause: causeOfCommand(cmd), kind: kind, src: order.Command, who: who, why: why, outputs: outs, clips: cmd.Clips, most: cmd.For()})
			})
			return why, cmp.Or(busy, refused)
		}, nil
	case command.Stop:
		return c.obeyStop(cmd, who, now)
	case command.Volume:
		c.h.volume.Store(int32(cmd.Payload.Volume))
		return saying(phrase.M("station.command_volume", "volume", cmd.Payload.Volume)), nil
	case command.Talk:
		return c.obeyTalk(cmd, outs, who, j)
	case command.Configuration:
		return c.want(cmd, j, now)
	case command.Software:
		return c.obeySoftware(cmd, who, j, now)
	}
	return nil, phrase.E("station.command_scope", "scope", string(cmd.Scope))
}

// saying is an act that is done already.
func saying(m phrase.Message) func() (phrase.Message, error) {
	return func() (phrase.Message, error) { return m, nil }
}

func (c *county) obeySound(cmd *command.Command, outs []string, who order.Who, now clock.Stamp) (func() (phrase.Message, error), error) {
	if cmd.Tone != "" {
		if _, err := c.bp.Tones.Get(cmd.Tone); err != nil {
			return nil, phrase.E("station.command_tone", "tone", cmd.Tone)
		}
	}
	have := c.bp.clips()
	for _, id := range cmd.Clips {
		if !have[id] {
			return nil, phrase.E("station.command_clip", "clip", id)
		}
	}
	l, ok := c.bp.Levels.Level(cmd.Level)
	if !ok {
		return nil, phrase.E("site.no_level", "level", cmd.Level, "levels", strings.Join(c.bp.Levels.Codes(), "、"))
	}
	if most, ok := c.bp.Levels.Level(cmd.Issuer.Grant.MostLevel); !ok || l > most {
		return nil, phrase.E("station.command_level", "issuer", named(cmd.Issuer.Name, cmd.Issuer.ID), "level", c.bp.Levels.Rank(l).Name)
	}
	s := commanded{Issuer: cmd.Issuer.ID, ID: cmd.ID, Level: cmd.Level, Outputs: outs, Tone: cmd.Tone, Clips: cmd.Clips, Text: cmd.Text, Who: who, Begun: now, For: cmd.For(), Expires: cmd.Expires}
	var refused error
	if busy := c.h.do(func() { refused = c.h.mayStand(c.bp.standingOf(s), order.Command) }); busy == nil && refused != nil {
		return nil, refused // a busy alarm path is no reason: the desk itself is asked again
	}
	// The issuer's own command of that name is replaced: one alarm has one level.
	if i := slices.IndexFunc(c.stand, func(x commanded) bool { return x.hazard() == s.hazard() }); i >= 0 {
		c.stand[i] = s
	} else if len(c.stand) >= commandsStand {
		return nil, phrase.E("station.command_many", "most", commandsStand)
	} else {
		c.stand = append(c.stand, s)
	}
	c.ordered = true
	return func() (phrase.Message, error) {
		c.tellOrders(nil)
		return phrase.M("station.command_sound", "level", c.bp.Levels.Rank(l).Name), nil
	}, nil
}

// obeyStop silences, or lifts what an earlier command raised: its issuer's own, or
// that of one whom it may amend.
func (c *county) obeyStop(cmd *command.Command, who order.Who, now clock.Stamp) (func() (phrase.Message, error), error) {
	if cmd.Cause == "" {
		return func() (phrase.Message, error) {
			return phrase.M("station.command_stop"), c.h.do(func() { c.h.stopped(who, now) })
		}, nil
	}
	i := slices.IndexFunc(c.stand, func(s commanded) bool { return alarm.WarnedID(s.hazard()) == cmd.Cause })
	if i < 0 {
		return nil, phrase.E("station.command_gone", "cause", cmd.Cause)
	}
	s := c.stand[i]
	if s.Issuer != cmd.Issuer.ID && !cmd.Issuer.Grant.MayAmend(s.Issuer) {
		return nil, phrase.E("station.command_not_yours", "cause", cmd.Cause, "issuer", s.Issuer)
	}
	c.stand = slices.Delete(c.stand, i, i+1)
	c.ordered = true
	return func() (phrase.Message, error) {
		c.tellOrders(map[string]lift{s.hazard(): {who: who}})
		return phrase.M("station.command_lifted", "id", s.ID), nil
	}, nil
}

// expireOrders lets time pass over what commands hold up.
func (c *county) expireOrders(now clock.Stamp, floor time.Time) {
	n := len(c.stand)
	c.stand = slices.DeleteFunc(c.stand, func(s commanded) bool {
		d, _ := now.Since(s.Begun)
		return d >= s.For || clock.Expired(s.Expires, now, floor)
	})
	if len(c.stand) != n {
		c.ordered = true
		c.h.journal.Put(keyOrders, c.ordersNow())
	}
	if c.ordered {
		c.tellOrders(nil)
	}
}

// tellOrders gives the alarm path what commands hold up now; where it was too busy
// it is told again.
func (c *county) tellOrders(lifted map[string]lift) {
	var stand []standing
	for _, s := range c.stand {
		stand = append(stand, c.bp.standingOf(s))
	}
	err := c.h.do(func() { c.h.warn(commandPrefix, stand, lifted) })
	c.ordered = err != nil
	if err != nil {
		c.h.log.Error("the alarm path does not know of a command yet", "err", err)
	}
}

// standingOf gives what a command raises.
func (bp *Blueprint) standingOf(s commanded) standing {
	l, ok := bp.Levels.Level(s.Level)
	if !ok {
		l = point.Level(len(bp.Levels.Codes()))
	}
	name := s.Text
	if name == (phrase.Text{}) {
		name = inBoth(phrase.M("station.command_name", "who", s.Who.Name))
	}
	_, believed := bp.Trust.Issuer(s.Issuer)
	return standing{hazard: s.hazard(), level: l, disowned: !believed, name: name, who: s.Who, outputs: s.Outputs, tone: s.Tone, clips: s.Clips,
		why: phrase.M("station.warned_by", "from", s.Who.Name, "headline", name)}
}

// outputsOf gives the outputs that a command names, by itself or by their zones; none
// is all, where its scope allows that.
func (c *county) outputsOf(cmd *command.Command) ([]string, error) {
	return c.bp.outputsIn(cmd.Outputs, cmd.Zones)
}

func (bp *Blueprint) outputsIn(names, zones []string) ([]string, error) {
	outs := slices.Clone(names)
	for _, o := range names {
		if !slices.ContainsFunc(bp.Outputs, func(p OutputPlan) bool { return p.Name == o }) {
			return nil, phrase.E("station.command_output", "output", o)
		}
	}
	for _, z := range zones {
		found := false
		for _, p := range bp.Outputs {
			if slices.Contains(p.Config.Zones, z) {
				found = true
				if !slices.Contains(outs, p.Name) {
					outs = append(outs, p.Name)
				}
			}
		}
		if !found {
			return nil, phrase.E("station.command_zone", "zone", z)
		}
	}
	return outs, nil
}

// clips gives the clips that are held in RAM.
func (bp *Blueprint) clips() map[string]bool {
	have := map[string]bool{}
	for _, p := range bp.Plans {
		for _, id := range p.Clips() {
			have[id] = true
		}
	}
	return have
}
