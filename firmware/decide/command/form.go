package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"tocsin/firmware/phrase"
)

// The bounds of a payload's fields.
const (
	mostBytes   = 32 << 10
	mostNames   = 64
	longName    = 64
	longText    = 4000
	mostSeconds = 3600
	mostContent = 4 << 20
)

var (
	goodID     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	goodKey    = regexp.MustCompile(`^[0-9a-f]{32}$`)
	goodDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// fields says which scopes ask for a field (true) or allow it; those not named
// forbid it. Fields that are not here belong to every command.
var fields = map[string]map[Scope]bool{
	"kind":    {Drill: false, Talk: false},
	"level":   {Sound: true, Drill: false, Talk: false},
	"hazard":  {Sound: false, Drill: false},
	"outputs": {Sound: false, Drill: false, Stop: false, Volume: false, Talk: false},
	"zones":   {Sound: false, Drill: false, Stop: false, Volume: false, Talk: false},
	"seconds": {Sound: true, Drill: true, Talk: true},
	"tone":    {Sound: false, Drill: false},
	"clips":   {Sound: false, Drill: false},
	"text":    {Sound: false, Drill: false, Talk: false},
	"volume":  {Volume: true, Sound: false, Drill: false},
	"content": {Configuration: true, Sound: false, Drill: false},
	"cause":   {Stop: false},
	"talk":    {Talk: true},

	"release":    {Software: false},
	"not_before": {Software: false},
}

// always are the fields of every command; boxes may be left out.
var always = []string{"version", "id", "key", "group", "counter", "issued", "expires", "scope", "person"}

func bad(path string, err *phrase.Error) *Refusal { return &Refusal{Stage: Form, Path: path, Err: err} }

func field(name string, code func(path string) *phrase.Error) *Refusal {
	p := "/payload/" + name
	return bad(p, code(p))
}

func malformed(p string) *phrase.Error { return phrase.E("command.malformed", "path", p) }

// read reads a payload strictly: encoding/json alone takes names in any letters, the last
// of several, and null for anything.
func read(b []byte) (*Payload, *Refusal) {
	if len(b) > mostBytes {
		return nil, &Refusal{Stage: Bounds, Path: "/payload", Err: phrase.E("command.payload_size", "bytes", len(b), "most", mostBytes)}
	}
	if !utf8.Valid(b) {
		return nil, bad("/payload", phrase.E("command.utf8"))
	}
	top, name, err := object(b)
	if err != nil {
		return nil, bad("/payload/"+name, phrase.E("command.json", "path", "/payload/"+name, "detail", err.Error()))
	}
	p := &Payload{}
	if r := number(top, "version", &p.Version); r != nil {
		return nil, r
	}
	if p.Version != Version {
		return nil, field("version", func(path string) *phrase.Error {
			return phrase.E("command.version", "path", path, "version", p.Version)
		})
	}
	for _, n := range slices.Sorted(maps.Keys(top)) {
		if !slices.Contains(always, n) && n != "boxes" && fields[n] == nil {
			return nil, field(n, func(path string) *phrase.Error { return phrase.E("command.unknown_field", "path", path) })
		}
	}
	for _, n := range always {
		if top[n] == nil {
			return nil, field(n, func(path string) *phrase.Error { return phrase.E("command.missing", "path", path) })
		}
	}
	for _, step := range []func() *Refusal{
		func() *Refusal { return text(top, "id", &p.ID) },
		func() *Refusal { return text(top, "key", (*string)(&p.Key)) },
		func() *Refusal { return text(top, "group", &p.Group) },
		func() *Refusal { return texts(top, "boxes", &p.Boxes) },
		func() *Refusal { return whole(top, "counter", &p.Counter) },
		func() *Refusal { return instant(top, "issued", &p.Issued) },
		func() *Refusal { return instant(top, "expires", &p.Expires) },
		func() *Refusal { return text(top, "scope", (*string)(&p.Scope)) },
		func() *Refusal { return text(top, "person", &p.Person) },
		func() *Refusal { return text(top, "kind", &p.Kind) },
		func() *Refusal { return text(top, "level", &p.Level) },
		func() *Refusal { return text(top, "hazard", &p.Hazard) },
		func() *Refusal { return texts(top, "outputs", &p.Outputs) },
		func() *Refusal { return texts(top, "zones", &p.Zones) },
		func() *Refusal { return number(top, "seconds", &p.Seconds) },
		func() *Refusal { return text(top, "tone", &p.Tone) },
		func() *Refusal { return texts(top, "clips", &p.Clips) },
		func() *Refusal { return words(top, &p.Text) },
		func() *Refusal { return number(top, "volume", &p.Volume) },
		func() *Refusal { return content(top, &p.Content) },
		func() *Refusal { return text(top, "cause", &p.Cause) },
		func() *Refusal { return talkWith(top, &p.Talk) },
		func() *Refusal { return whole(top, "release", &p.Release) },
		func() *Refusal { return instant(top, "not_before", &p.NotBefore) },
	} {
		if r := step(); r != nil {
			return nil, r
		}
	}
	given := func(n string) bool { return top[n] != nil }
	if r := p.check(given); r != nil {
		return nil, r
	}
	return p, nil
}

// check holds the fields to each other and to the scope.
func (p *Payload) check(given func(string) bool) *Refusal {
	span := func(name string, ok bool) *Refusal {
		if ok {
			return nil
		}
		return field(name, malformed)
	}
	names := func(name string, all []string, most int) *Refusal {
		for i, s := range all {
			if !plain(s, longName) || slices.Contains(all[:i], s) {
				return span(name+"/"+strconv.Itoa(i+1), false)
			}
		}
		return span(name, len(all) <= most)
	}
	for _, r := range []*Refusal{
		span("id", goodID.MatchString(p.ID)),
		span("key", goodKey.MatchString(string(p.Key))),
		span("group", plain(p.Group, longName)),
		names("boxes", p.Boxes, mostNames),
		span("boxes", !given("boxes") || len(p.Boxes) > 0),
		span("counter", p.Counter > 0 && p.Counter < 1<<53), // exact in every JSON reader
		span("person", plain(p.Person, longName)),
		span("scope", slices.Contains(Scopes, p.Scope)),
		names("outputs", p.Outputs, mostNames), names("zones", p.Zones, mostNames), names("clips", p.Clips, mostNames),
		span("outputs", !given("outputs") || len(p.Outputs) > 0),
		span("zones", !given("zones") || len(p.Zones) > 0),
	} {
		if r != nil {
			return r
		}
	}
	if !p.Expires.After(p.Issued) {
		return field("expires", func(path string) *phrase.Error {
			return phrase.E("command.times", "path", path, "issued", p.Issued.Format(time.RFC3339), "expires", p.Expires.Format(time.RFC3339))
		})
	}
	for _, n := range slices.Sorted(maps.Keys(fields)) {
		needed, allowed := fields[n][p.Scope]
		switch {
		case given(n) && !allowed:
			return field(n, func(path string) *phrase.Error {
				return phrase.E("command.not_with", "path", path, "scope", string(p.Scope))
			})
		case needed && !given(n):
			return field(n, func(path string) *phrase.Error {
				return phrase.E("command.missing_with", "path", path, "scope", string(p.Scope))
			})
		}
	}
	if (p.Scope == Sound || p.Scope == Drill) && len(p.Outputs)+len(p.Zones) == 0 {
		return field("outputs", func(path string) *phrase.Error {
			return phrase.E("command.missing_with", "path", path, "scope", string(p.Scope))
		})
	}
	for _, r := range []*Refusal{
		span("kind", !given("kind") || p.Kind == "drill" || p.Kind == "test" || p.Kind == "real" && p.Scope == Talk),
		span("level", !given("level") || plain(p.Level, longName)),
		span("hazard", !given("hazard") || plain(p.Hazard, longName)),
		span("seconds", !given("seconds") || p.Seconds >= 1 && p.Seconds <= mostSeconds),
		span("tone", !given("tone") || plain(p.Tone, longName)),
		span("volume", !given("volume") || p.Volume >= 1 && p.Volume <= 100),
		span("cause", !given("cause") || plain(p.Cause, 200)),
		span("release", !given("release") || p.Release > 0 && p.Release < 1<<53),
		span("not_before", !given("not_before") || given("release") && p.NotBefore.Before(p.Expires)),
		span("text", !given("text") || p.Text != (phrase.Text{}) && len(p.Text.ZH)+len(p.Text.EN) <= longText && spoken(p.Text.ZH) && spoken(p.Text.EN)),
	} {
		if r != nil {
			return r
		}
	}
	if w := p.Talk; w != nil {
		for _, r := range []*Refusal{span("talk/key", goodDigest.MatchString(w.Key)), span("talk/codec", w.Codec == "pcma" || w.Codec == "pcmu"),
			span("talk/frame_ms", slices.Contains([]int{20, 30, 40, 60}, w.FrameMS))} {
			if r != nil {
				return r
			}
		}
	}
	if c := p.Content; c != nil {
		for _, r := range []*Refusal{span("content/name", plain(c.Name, longName)), span("content/sha256", goodDigest.MatchString(c.SHA256)),
			span("content/bytes", c.Bytes >= 1 && c.Bytes <= mostContent)} {
			if r != nil {
				return r
			}
		}
	}
	return nil
}

// plain tells whether s is a name: something, not too long, nothing that cannot be
// seen.
func plain(s string, most int) bool { return s != "" && len(s) <= most && spoken(s) }

func spoken(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// object reads one JSON object's own fields. name is where it went wrong.
func object(b []byte) (fields map[string]json.RawMessage, name string, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, "", errors.New("no object")
	}
	fields = map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, "", errors.New("no field name")
		}
		name := t.(string)
		if !plain(name, longName) {
			return nil, "", errors.New("no field name")
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, name, errors.New("no value")
		}
		if fields[name] != nil {
			return nil, name, errors.New("given twice")
		}
		if string(raw) == "null" {
			return nil, name, errors.New("null")
		}
		fields[name] = raw
	}
	if _, err := d.Token(); err != nil {
		return nil, "", errors.New("no end")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, "", errors.New("more after the end")
	}
	return fields, "", nil
}

// into decodes a field of a plain type; a field that is not there stays as it is.
func into[T any](m map[string]json.RawMessage, name, as string, v *T) *Refusal {
	raw := m[name]
	if raw == nil {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return field(as, malformed)
	}
	return nil
}

func text(m map[string]json.RawMessage, name string, v *string) *Refusal {
	return into(m, name, name, v)
}
func number(m map[string]json.RawMessage, name string, v *int) *Refusal {
	return into(m, name, name, v)
}
func whole(m map[string]json.RawMessage, name string, v *uint64) *Refusal {
	return into(m, name, name, v)
}

// texts reads a list of strings; encoding/json would take null for one.
func texts(m map[string]json.RawMessage, name string, v *[]string) *Refusal {
	var all []*string
	if r := into(m, name, name, &all); r != nil {
		return r
	}
	for i, s := range all {
		if s == nil {
			return field(name+"/"+strconv.Itoa(i+1), malformed)
		}
		*v = append(*v, *s)
	}
	return nil
}

// instant reads RFC 3339 with whole seconds.
func instant(m map[string]json.RawMessage, name string, v *time.Time) *Refusal {
	if m[name] == nil {
		return nil
	}
	var s string
	if r := text(m, name, &s); r != nil {
		return r
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Nanosecond() != 0 || t.Year() < 2000 || t.Year() > 2200 {
		return field(name, func(path string) *phrase.Error { return phrase.E("command.time", "path", path, "have", clip(s)) })
	}
	*v = t
	return nil
}

// nested reads an object of exactly these fields.
func nested(m map[string]json.RawMessage, name string, known ...string) (map[string]json.RawMessage, *Refusal) {
	raw := m[name]
	if raw == nil {
		return nil, nil
	}
	o, at, err := object(raw)
	if err != nil {
		path := "/payload/" + name
		if at != "" {
			path += "/" + at
		}
		return nil, bad(path, phrase.E("command.json", "path", path, "detail", err.Error()))
	}
	for n := range o {
		if !slices.Contains(known, n) {
			return nil, field(name+"/"+n, func(path string) *phrase.Error { return phrase.E("command.unknown_field", "path", path) })
		}
	}
	return o, nil
}

func words(m map[string]json.RawMessage, v *phrase.Text) *Refusal {
	o, r := nested(m, "text", "zh", "en")
	if r == nil {
		r = into(o, "zh", "text/zh", &v.ZH)
	}
	if r == nil {
		r = into(o, "en", "text/en", &v.EN)
	}
	return r
}

func content(m map[string]json.RawMessage, v **Content) *Refusal {
	o, r := nested(m, "content", "name", "sha256", "bytes")
	if r != nil || o == nil {
		return r
	}
	c := &Content{}
	for _, r := range []*Refusal{into(o, "name", "content/name", &c.Name), into(o, "sha256", "content/sha256", &c.SHA256), into(o, "bytes", "content/bytes", &c.Bytes)} {
		if r != nil {
			return r
		}
	}
	*v = c
	return nil
}

func talkWith(m map[string]json.RawMessage, v **TalkWith) *Refusal {
	o, r := nested(m, "talk", "key", "codec", "frame_ms")
	if r != nil || o == nil {
		return r
	}
	w := &TalkWith{}
	for _, r := range []*Refusal{into(o, "key", "talk/key", &w.Key), into(o, "codec", "talk/codec", &w.Codec), into(o, "frame_ms", "talk/frame_ms", &w.FrameMS)} {
		if r != nil {
			return r
		}
	}
	*v = w
	return nil
}

// clip makes a foreign text fit for a message.
func clip(s string) string {
	if len(s) > 40 {
		s = s[:40]
	}
	return strconv.Quote(s)
}
