package station

import (
	"time"

	"tocsin/firmware/decide/rule"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sound/output"
)

// Delay is how late a sounding may come after a crossing at one point, at the
// worst, while every unit answers.
type Delay struct {
	Point point.ID
	// Period is how long a crossing may wait until the point is asked.
	Period time.Duration
	// Queue is how long the asking may wait for the line, Read the reading's own
	// time on the wire.
	Queue, Read time.Duration
	// Dwell is the rule's own, and Hold how long a reading that jumps waits for
	// others that jump with it (a surge) before it counts.
	Dwell, Hold time.Duration
	// Switch is the time to the slowest output: wait for its line and the command.
	Switch time.Duration
	Output string
}

// Worst adds it up.
func (d Delay) Worst() time.Duration {
	return d.Period + d.Queue + d.Read + d.Hold + d.Dwell + d.Switch
}

// decideMost is an allowance for the rules, the announcer and the scheduler of a
// small board, measured by the figures as a few milliseconds.
const decideMost = 20 * time.Millisecond

// Delays gives the worst delay of each point that a rule looks at.
func (bp *Blueprint) Delays() []Delay {
	var slowest time.Duration
	name := ""
	for _, o := range bp.Outputs {
		d := decideMost
		if o.Kind == output.Loudspeaker {
			d += 100 * time.Millisecond // one buffer of the card
		}
		for _, l := range bp.Lines {
			if l.Name == o.Relay.Line && !l.Text() {
				d += l.longest() + l.command()
			}
		}
		if d > slowest {
			slowest, name = d, o.Name
		}
	}
	var out []Delay
	for _, p := range bp.Points {
		if !p.Used {
			continue
		}
		d := Delay{Point: p.ID, Period: p.Every, Switch: slowest, Output: name}
		if src := bp.Sources[p.ID]; bp.Doubts.Surge.Inputs > 0 && (src.Counter != nil || src.Step != nil) {
			d.Hold = bp.Doubts.Surge.Within + decideTick
		}
		for _, l := range bp.Lines {
			if l.Name != p.Line || l.Text() {
				continue
			}
			for _, u := range l.Units {
				for _, r := range u.Profile.Plan() {
					c := l.cost(u.Profile, r.Table, r.Count)
					for _, i := range r.Points {
						if point.ID(u.Device+"."+u.Profile.Points[i].ID) == p.ID {
							d.Read = c
						}
					}
					d.Queue += c
				}
			}
			d.Queue -= d.Read
		}
		for _, r := range bp.Rules {
			for _, c := range r.AnyOf {
				if c.Point == p.ID && c.Kind == rule.Value {
					d.Dwell = max(d.Dwell, c.Dwell)
				}
			}
		}
		out = append(out, d)
	}
	return out
}

// command is the time of a write with its echo: eight bytes each way.
func (l LinePlan) command() time.Duration {
	if l.Config.TCP != "" {
		return 5 * time.Millisecond
	}
	return l.turnaround() + time.Duration(16+7)*11*time.Second/time.Duration(l.Baud)
}

// Explain says what each rule works with, defaults included.
func (bp *Blueprint) Explain() []phrase.Message {
	var out []phrase.Message
	for _, r := range bp.Rules {
		for _, c := range r.AnyOf {
			// Points stay ids here: whoever reads this has the file open.
			what := phrase.M("check.value", "point", string(c.Point))
			switch c.Kind {
			case rule.Sum:
				what = phrase.M("check.sum", "point", string(c.Point), "window", spanText(c.Window))
			case rule.Rise:
				what = phrase.M("check.rise", "point", string(c.Point), "window", spanText(c.Window))
			}
			for _, t := range c.Levels {
				m := []any{"hazard", r.Hazard, "plan", bp.PlanOf[r.Hazard].Name, "what", what, "level", bp.Levels.Rank(t.Level).Name, "on", c.Unit.Write(t.On), "off", c.Unit.Write(t.Off),
					"unit", string(c.Unit), "after", spanText(c.Dwell), "for", spanText(c.ClearDwell)}
				if c.Below {
					out = append(out, phrase.M("check.threshold_below", m...))
				} else {
					out = append(out, phrase.M("check.threshold", m...))
				}
			}
		}
	}
	return out
}
