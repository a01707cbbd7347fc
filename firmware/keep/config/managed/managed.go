package managed

import (
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/config/edit"
	"tocsin/firmware/phrase"
)

// Bounds of what a document may mark.
const (
	MostPaths     = 64
	MostOverrides = 32
	part          = "managed"
)

// Rules bound overrides; a county sets them.
type Rules struct {
	Least, Most time.Duration
}

// Conflict is a county-managed setting that a draft changes. Path is the smallest place.
type Conflict struct {
	Path    string // what the draft changes
	Managed string // the managed place that it is part of
}

// read gives a document that was parsed strictly, and what it says with its keys in order.
func read(document []byte) (*config.Doc, yaml.MapSlice, error) {
	d, ps := config.Parse("", document)
	if d == nil {
		p := ps[0]
		return nil, nil, phrase.E("edit.unreadable", "line", p.Line, "detail", p.Message)
	}
	var x yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(document, &x, yaml.UseOrderedMap()); err != nil {
		return nil, nil, phrase.Wrap(err, "edit.unreadable", "line", 1, "detail", err)
	}
	return d, x, nil
}

// Good tells what is wrong with a part managed; nil for nothing.
func Good(m *config.Managed, rules Rules) error {
	if m.By.ZH == "" && m.By.EN == "" || len(m.Paths) == 0 || len(m.Paths) > MostPaths {
		return phrase.E("managed.part", "most", MostPaths)
	}
	for _, p := range m.Paths {
		if !strings.HasPrefix(p, "/") || len(p) > 256 || strings.ContainsAny(p, " \t\n") || slices.Contains(parts(p), "") || parts(p)[0] == part || parts(p)[0] == "version" {
			return phrase.E("managed.path", "path", p)
		}
	}
	if len(m.Overrides) > MostOverrides {
		return phrase.E("managed.many", "most", MostOverrides)
	}
	for _, o := range m.Overrides {
		if _, ok := of(m, parts(o.Path)); !ok || !strings.HasPrefix(o.Path, "/") {
			return phrase.E("managed.not_managed", "path", o.Path)
		}
		if o.Who == "" || o.Why == "" || o.From.IsZero() || !o.Until.After(o.From.Time) || o.Until.Sub(o.From.Time) > rules.Most {
			return phrase.E("managed.bounds", "path", o.Path, "most", int(rules.Most.Hours()))
		}
	}
	return nil
}

// of gives the managed place that a place is in.
func of(m *config.Managed, path []string) (string, bool) {
	for _, p := range m.Paths {
		if q := parts(p); len(path) >= len(q) && slices.Equal(path[:len(q)], q) {
			return p, true
		}
	}
	return "", false
}

// County gives the county's view of a document: its overrides undone.
func County(document []byte) ([]byte, error) {
	d, _, err := read(document)
	if err != nil {
		return nil, err
	}
	if d.Site.Managed == nil {
		return document, nil
	}
	all := make([]int, len(d.Site.Managed.Overrides))
	for i := range all {
		all[i] = i
	}
	return Lapse(document, all)
}

// Lapse brings the county's values back in place of some overrides, by their index.
func Lapse(document []byte, which []int) ([]byte, error) {
	d, x, err := read(document)
	if err != nil {
		return nil, err
	}
	if d.Site.Managed == nil || len(which) == 0 {
		return document, nil
	}
	which = slices.Clone(which)
	slices.Sort(which)
	for _, i := range slices.Backward(which) { // the newest first, and so that the others keep their index
		if i < 0 || i >= len(d.Site.Managed.Overrides) {
			return nil, phrase.E("managed.part", "most", MostPaths)
		}
		o := d.Site.Managed.Overrides[i]
		var es []edit.Edit
		entry, _ := at(x, []string{part, "overrides", itoa(i)})
		if v, there := at(entry, []string{"county"}); there && v != nil {
			raw, err := toJSON(v)
			if err != nil {
				return nil, phrase.Wrap(err, "edit.value", "path", o.Path)
			}
			es = append(es, edit.Edit{Op: edit.Set, Path: o.Path, Value: raw})
		} else if _, there := at(x, parts(o.Path)); there {
			es = append(es, edit.Edit{Op: edit.Remove, Path: o.Path})
		}
		gone := "/" + part + "/overrides/" + itoa(i)
		if len(d.Site.Managed.Overrides) == 1 {
			gone = "/" + part + "/overrides"
		}
		if document, err = edit.Apply(document, append(es, edit.Edit{Op: edit.Remove, Path: gone})); err != nil {
			return nil, err
		}
		if d, x, err = read(document); err != nil {
			return nil, err
		}
	}
	return document, nil
}

// Conflicts gives the county-managed settings that a draft changes against what is in force.
// An error says what of it nobody at the box may do, also as an override.
func Conflicts(inForce, draft []byte) ([]Conflict, error) {
	now, was, err := read(inForce)
	if err != nil {
		return nil, err
	}
	next, is, err := read(draft)
	if err != nil {
		return nil, err
	}
	a, b := now.Site.Managed, next.Site.Managed
	switch {
	case a == nil && b == nil:
		return nil, nil
	case a == nil:
		return nil, phrase.E("managed.made")
	case b == nil || a.By != b.By || a.Since != b.Since || !slices.Equal(a.Paths, b.Paths):
		return nil, phrase.E("managed.touched", "by", a.By)
	}
	// What a draft says of overrides is what the box has written, or less.
	for i, o := range b.Overrides {
		entry, _ := at(is, []string{part, "overrides", itoa(i)})
		known := false
		for j := range a.Overrides {
			old, _ := at(was, []string{part, "overrides", itoa(j)})
			known = known || same(entry, old)
		}
		if !known {
			return nil, phrase.E("managed.written", "path", o.Path)
		}
	}
	if len(a.Overrides) > 0 {
		v, err := County(inForce)
		if err != nil {
			return nil, err
		}
		if _, was, err = read(v); err != nil {
			return nil, err
		}
	}
	if len(b.Overrides) > 0 {
		v, err := County(draft)
		if err != nil {
			return nil, err
		}
		if _, is, err = read(v); err != nil {
			return nil, err
		}
	}
	var out []Conflict
	for _, p := range a.Paths {
		x, had := at(was, parts(p))
		y, has := at(is, parts(p))
		if had != has {
			out = append(out, Conflict{p, p})
			continue
		}
		for _, c := range differ(x, y, parts(p)) {
			if !slices.ContainsFunc(out, func(o Conflict) bool { return o.Path == pointer(c) }) {
				out = append(out, Conflict{pointer(c), p})
			}
		}
	}
	return out, nil
}

// Override writes overrides into a draft for what it conflicts in.
func Override(inForce, draft []byte, conflicts []Conflict, who, why string, from time.Time, lasts time.Duration) ([]byte, error) {
	v, err := County(inForce)
	if err != nil {
		return nil, err
	}
	_, was, err := read(v)
	if err != nil {
		return nil, err
	}
	from = from.Truncate(time.Second)
	for _, c := range conflicts {
		entry := yaml.MapSlice{{Key: "path", Value: c.Path}}
		if x, there := at(was, parts(c.Path)); there {
			entry = append(entry, yaml.MapItem{Key: "county", Value: x})
		}
		entry = append(entry, yaml.MapItem{Key: "who", Value: who}, yaml.MapItem{Key: "why", Value: why},
			yaml.MapItem{Key: "from", Value: from.Format(time.RFC3339)}, yaml.MapItem{Key: "until", Value: from.Add(lasts).Format(time.RFC3339)})
		raw, err := toJSON(entry)
		if err != nil {
			return nil, phrase.Wrap(err, "edit.value", "path", c.Path)
		}
		if draft, err = edit.Apply(draft, []edit.Edit{{Op: edit.Set, Path: "/" + part + "/overrides/-", Value: raw}}); err != nil {
			return nil, err
		}
	}
	// What was written is not believed either: nothing may be left that is no override.
	left, err := conflictsOfView(inForce, draft)
	if err != nil {
		return nil, err
	}
	if len(left) > 0 {
		return nil, phrase.E("managed.shape", "path", left[0].Path)
	}
	return draft, nil
}

// conflictsOfView compares the county's views alone.
func conflictsOfView(inForce, draft []byte) ([]Conflict, error) {
	a, err := County(inForce)
	if err != nil {
		return nil, err
	}
	b, err := County(draft)
	if err != nil {
		return nil, err
	}
	return Conflicts(a, b)
}
