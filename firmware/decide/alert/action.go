package alert

import (
	"fmt"
	"maps"
	"slices"

	"tocsin/firmware/phrase"
)

type actionTable struct {
	Version  int               `yaml:"version"`
	Levels   []string          `yaml:"levels"`
	Statuses map[string]string `yaml:"statuses"`
	Scopes   []string          `yaml:"scopes"`
	Types    []string          `yaml:"types"`
	Own      ownTable          `yaml:"own"`
	Rules    []actionRow       `yaml:"rules"`
}

// ownTable says how the box's own alarms read in CAP.
type ownTable struct {
	Categories []string          `yaml:"categories"`
	Levels     map[string]ownRow `yaml:"levels"`
}

type ownRow struct {
	Response  string `yaml:"response"`
	Urgency   string `yaml:"urgency"`
	Severity  string `yaml:"severity"`
	Certainty string `yaml:"certainty"`
}

type actionRow struct {
	ID   string    `yaml:"id"`
	When condition `yaml:"when"`
	Not  condition `yaml:"not"`
	Then struct {
		Level string   `yaml:"level"`
		Sound bool     `yaml:"sound"`
		Tone  string   `yaml:"tone"`
		Clips []string `yaml:"clips"`
		Rank  int      `yaml:"rank"`
	} `yaml:"then"`
}

// condition fits where every list that is given holds one of the block's values.
type condition struct {
	Profile   []string `yaml:"profile"`
	Colour    []string `yaml:"colour"`
	Severity  []string `yaml:"severity"`
	Urgency   []string `yaml:"urgency"`
	Certainty []string `yaml:"certainty"`
	Hazard    []string `yaml:"hazard"`
	Response  []string `yaml:"response"`
	Category  []string `yaml:"category"`
}

// facts are what a block has of each list, worked out once.
type facts [8][]string

func (t *Tables) factsOf(a *Alert, in *Info) facts {
	return facts{{a.Profile}, {in.Colour}, {t.SeverityOf(in)}, {in.Urgency}, {in.Certainty}, {t.HazardOf(in)}, in.Responses, in.Categories}
}

func (c *condition) lists() [8][]string {
	return [8][]string{c.Profile, c.Colour, c.Severity, c.Urgency, c.Certainty, c.Hazard, c.Response, c.Category}
}

// known is what each list may ask for.
func (t *Tables) known() [8][]string {
	values := func(name string) []string { return infoFields[fieldOf(infoFields, name)].values }
	ids := []string{generic.ID}
	for _, p := range t.Profiles {
		ids = append(ids, p.ID)
	}
	return [8][]string{ids, {"red", "orange", "yellow", "blue", "white"}, values("severity"), values("urgency"), values("certainty"),
		slices.Sorted(maps.Keys(t.hazards)), values("responseType"), values("category")}
}

// fits tells whether all lists that are given hold, and whether any does.
func (c *condition) fits(f *facts) (all, any bool) {
	all = true
	for i, want := range c.lists() {
		if len(want) == 0 {
			continue
		}
		if slices.ContainsFunc(f[i], func(h string) bool { return has(want, h) }) {
			any = true
		} else {
			all = false
		}
	}
	return all, any
}

func (c *condition) empty() bool {
	for _, want := range c.lists() {
		if len(want) > 0 {
			return false
		}
	}
	return true
}

func (t *Tables) proveActions() error {
	const file = "alerts/actions.yaml"
	if len(t.actions.Levels) == 0 || len(t.actions.Scopes) == 0 || len(t.actions.Types) == 0 {
		return fmt.Errorf("%s: levels, scopes and types are needed", file)
	}
	for s, kind := range t.actions.Statuses {
		if !has(alertFields[fieldOf(alertFields, "status")].values, s) || !has([]string{"real", "drill", "test"}, kind) {
			return fmt.Errorf("%s: statuses: %s: %s: a status of CAP becomes real, drill or test", file, s, kind)
		}
		// Only what its sender calls Actual is ever real: a drill that empties a
		// village as if it were none is no county's to decide.
		if kind == "real" && s != "Actual" {
			return fmt.Errorf("%s: statuses: %s cannot be real", file, s)
		}
	}
	for _, s := range t.actions.Scopes {
		if !has(alertFields[fieldOf(alertFields, "scope")].values, s) {
			return fmt.Errorf("%s: scopes: %q is none of CAP's", file, s)
		}
	}
	for _, s := range t.actions.Types {
		if !has([]string{"Alert", "Update"}, s) {
			return fmt.Errorf("%s: types: only Alert and Update say something themselves, not %q", file, s)
		}
	}
	seen, known := map[string]bool{}, t.known()
	if len(t.actions.Own.Categories) == 0 {
		return fmt.Errorf("%s: own: categories are needed", file)
	}
	for _, l := range t.actions.Levels {
		if _, ok := t.actions.Own.Levels[l]; !ok {
			return fmt.Errorf("%s: own: the level %s has no row", file, l)
		}
	}
	for l, o := range t.actions.Own.Levels {
		if !has(known[6], o.Response) || !has(known[3], o.Urgency) || !has(known[2], o.Severity) || !has(known[4], o.Certainty) {
			return fmt.Errorf("%s: own: %s: values are CAP's", file, l)
		}
	}
	for i, row := range t.actions.Rules {
		if row.ID == "" || seen[row.ID] {
			return fmt.Errorf("%s: rule %d needs an id of its own", file, i+1)
		}
		seen[row.ID] = true
		if row.Then.Level != "" && (!row.Then.Sound || !has(t.actions.Levels, row.Then.Level)) {
			return fmt.Errorf("%s: %s: a level is one of %v and sounds", file, row.ID, t.actions.Levels)
		}
		for _, c := range []condition{row.When, row.Not} {
			for i, want := range c.lists() {
				for _, w := range want {
					if !has(known[i], w) {
						return fmt.Errorf("%s: %s: %q is not one of %v", file, row.ID, w, known[i])
					}
				}
			}
		}
	}
	n := len(t.actions.Rules)
	if n == 0 {
		return fmt.Errorf("%s: there are no rules", file)
	}
	if last := t.actions.Rules[n-1]; !last.When.empty() || !last.Not.empty() {
		return fmt.Errorf("%s: the last rule must fit whatever comes", file)
	}
	return nil
}

// ActionFor says what is done about an alert: of the blocks given, the row of
// highest rank. No blocks given means all of them.
func (t *Tables) ActionFor(a *Alert, blocks []int) Action {
	act := Action{Info: -1, Kind: t.actions.Statuses[a.Status]}
	if blocks == nil {
		for i := range a.Infos {
			blocks = append(blocks, i)
		}
	}
	best := -1
	for _, i := range blocks {
		in := &a.Infos[i]
		row := t.row(a, in)
		if row == nil || best >= 0 && row.Then.Rank <= best {
			continue
		}
		best = row.Then.Rank
		act.Level, act.Sound, act.Tone, act.Clips = row.Then.Level, row.Then.Sound, row.Then.Tone, slices.Clone(row.Then.Clips)
		act.Rank, act.Rule, act.Info = row.Then.Rank, row.ID, i
		act.Colour, act.Hazard = in.Colour, t.HazardOf(in)
	}
	quiet := func(why phrase.Message) { act.Level, act.Sound, act.Why = "", false, why }
	switch {
	case !has(t.actions.Types, a.MsgType):
		quiet(phrase.M("alert.action.type", "type", a.MsgType))
	case act.Kind == "":
		quiet(phrase.M("alert.action.status", "status", a.Status))
	case !has(t.actions.Scopes, a.Scope):
		act.Kind = ""
		quiet(phrase.M("alert.action.scope", "scope", a.Scope))
	case act.Info < 0:
		quiet(phrase.M("alert.action.empty"))
	case !act.Sound:
		act.Why = phrase.M("alert.action.show", "rule", act.Rule)
	case act.Level == "":
		act.Why = phrase.M("alert.action.announce", "rule", act.Rule)
	default:
		act.Why = phrase.M("alert.action.level", "rule", act.Rule, "level", act.Level)
	}
	return act
}

func (t *Tables) row(a *Alert, in *Info) *actionRow {
	f := t.factsOf(a, in)
	for i := range t.actions.Rules {
		row := &t.actions.Rules[i]
		all, _ := row.When.fits(&f)
		_, any := row.Not.fits(&f)
		if all && !any {
			return row
		}
	}
	return nil
}

// capLevel lowers a level to the highest that an issuer may raise; "" where it may
// raise none.
func (t *Tables) capLevel(level, most string) string {
	if have := slices.Index(t.actions.Levels, level); have > slices.Index(t.actions.Levels, most) {
		return most
	}
	return level
}
