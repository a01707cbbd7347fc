package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

// ReadCmd prints the points as they are now, or each reading as it is made.
type ReadCmd struct {
	Follow bool     `help:"一直跟着打印，Ctrl-C 结束 · Go on with what is new; end with Ctrl-C" short:"f"`
	JSON   bool     `name:"json" help:"输出 JSON，一行一条 · Print JSON, one value a line"`
	Points []string `arg:"" optional:"" help:"只看这些测点，如 river.level · Only these points"`
}

// Run prints.
func (c *ReadCmd) Run(g *Globals) error {
	if c.Follow {
		return c.follow(g)
	}
	var all []api.Reading
	if err := g.get("/readings", nil, &all); err != nil {
		return err
	}
	if missing := c.missing(all); missing != "" {
		return &clientError{phrase.E("serve.no_point", "point", missing), exitRefused}
	}
	l := g.lang()
	t := table{{
		phrase.M("serve.col_point").In(l), phrase.M("serve.col_name").In(l), phrase.M("serve.col_value").In(l), phrase.M("serve.col_unit").In(l),
		phrase.M("serve.col_quality").In(l), phrase.M("serve.col_age").In(l), phrase.M("serve.col_why").In(l),
	}}
	for _, r := range all {
		if !c.wants(r.Point) {
			continue
		}
		if c.JSON {
			if err := g.printLine(api.Sample{Point: r.Point, Value: r.Value, Unit: r.Unit, Quality: r.Quality, Why: r.Why, At: r.At}); err != nil {
				return err
			}
			continue
		}
		t = append(t, []string{string(r.Point), r.Name.In(l), cmp.Or(r.Text, g.value(r.Value, r.Unit)), g.unit(r.Unit), g.quality(r.Quality), g.age(r), g.why(r.Why)})
	}
	if c.JSON {
		return nil
	}
	return t.write(g.out(), 2)
}

func (c *ReadCmd) follow(g *Globals) error {
	return g.follow("/readings/stream", func(line []byte) error {
		var s api.Sample
		if err := json.Unmarshal(line, &s); err != nil {
			return &clientError{phrase.Wrap(err, "serve.stream_ended"), exitRefused}
		}
		if !c.wants(s.Point) {
			return nil
		}
		if c.JSON {
			_, err := g.out().Write(append(line, '\n'))
			return err
		}
		if s.Lost > 0 {
			g.say(phrase.M("serve.lost", "n", s.Lost))
		}
		_, err := fmt.Fprintf(g.out(), "%s  %s %s %s  %s  %s\n", local(s.At).Format("15:04:05.000"),
			pad(string(s.Point), 24), padLeft(g.value(s.Value, s.Unit), 10), pad(g.unit(s.Unit), 6), pad(g.quality(s.Quality), 12), g.why(s.Why))
		return err
	})
}

func (c *ReadCmd) wants(id point.ID) bool {
	return len(c.Points) == 0 || slices.Contains(c.Points, string(id))
}

func (c *ReadCmd) missing(all []api.Reading) string {
	for _, p := range c.Points {
		if !slices.ContainsFunc(all, func(r api.Reading) bool { return string(r.Point) == p }) {
			return p
		}
	}
	return ""
}

func (g *Globals) value(v *float64, unit string) string {
	switch {
	case v == nil:
		return "-"
	case unit == "on/off" && *v == 0:
		return phrase.M("serve.off").In(g.lang())
	case unit == "on/off" && *v == 1:
		return phrase.M("serve.on").In(g.lang())
	}
	return point.Unit(unit).Write(*v)
}

// unit hides the units that are no words: of a contact and of a plain number.
func (g *Globals) unit(u string) string {
	if u == "on/off" || u == "1" {
		return ""
	}
	return u
}

func (g *Globals) why(t *api.Text) string {
	if t == nil {
		return ""
	}
	return g.text(*t)
}

func (g *Globals) quality(q point.Quality) string {
	if q == point.Unknown {
		return phrase.M("serve.never_measured").In(g.lang())
	}
	return q.Message().In(g.lang())
}

func (g *Globals) age(r api.Reading) string {
	if r.Quality == point.Unknown {
		return "-"
	}
	n, m := strconv.FormatFloat(r.Age.Seconds(), 'f', 1, 64), phrase.M("serve.age_s", "n", "")
	switch {
	case r.Age >= 48*time.Hour:
		n, m = strconv.Itoa(int(r.Age.Hours()/24)), phrase.M("serve.age_d", "n", "")
	case r.Age >= time.Hour:
		n, m = strconv.Itoa(int(r.Age.Hours())), phrase.M("serve.age_h", "n", "")
	case r.Age >= time.Minute:
		n, m = strconv.Itoa(int(r.Age.Minutes())), phrase.M("serve.age_m", "n", "")
	}
	m.Params["n"] = n
	return m.In(g.lang())
}
