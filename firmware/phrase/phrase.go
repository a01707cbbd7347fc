// Package phrase holds every message that a person may see: a code with
// parameters, rendered in Chinese (zh-CN) first and English second.
//
// The catalogue is data: one YAML file a room in catalogue/, each entry
// `code: {zh: "…{name}…", en: "…{name}…"}`. A code that the source uses and the
// catalogue lacks, a language that is missing, or parameters that differ
// between the languages fail the build (see the catalogue test, which
// `make build` runs).
//
// The package imports nothing of ours. It never formats units or numbers by
// locale: both languages write 12.35.
package phrase

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
)

// Lang is a language of the catalogue.
type Lang string

// The languages of the product, Chinese first.
const (
	ZH Lang = "zh"
	EN Lang = "en"
)

// Languages lists every language that each code must have.
var Languages = []Lang{ZH, EN}

//go:embed catalogue/*.yaml
var files embed.FS

// Text is one sentence in every language of the product.
type Text struct {
	ZH string `yaml:"zh" json:"zh"`
	EN string `yaml:"en" json:"en"`
}

// In gives the text in a language, and the other one where it is empty.
func (t Text) In(l Lang) string {
	if l == EN && t.EN != "" || t.ZH == "" {
		return t.EN
	}
	return t.ZH
}

// Message is a code of the catalogue with its parameters, not yet in any
// language. The zero Message says nothing.
type Message struct {
	Code   string         `json:"code,omitempty"`
	Params map[string]any `json:"params,omitempty"`
}

// M makes a Message. Params come in pairs: a name, its value. The catalogue
// test reads calls of M in the source, so the code must be a literal.
func M(code string, pairs ...any) Message {
	m := Message{Code: code}
	if len(pairs) > 0 {
		m.Params = make(map[string]any, len(pairs)/2)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		m.Params[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return m
}

// UnmarshalJSON reads what Marshal wrote of a Message. Parameters that are
// messages or texts themselves come back as such, so that an alarm that was kept
// over a restart reads as it did before.
func (m *Message) UnmarshalJSON(b []byte) error {
	var raw struct {
		Code   string
		Params map[string]json.RawMessage
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	*m = Message{Code: raw.Code}
	if len(raw.Params) > 0 {
		m.Params = make(map[string]any, len(raw.Params))
	}
	for k, v := range raw.Params {
		p, err := param(v)
		if err != nil {
			return err
		}
		m.Params[k] = p
	}
	return nil
}

func param(b json.RawMessage) (any, error) {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, err
	}
	o, ok := v.(map[string]any)
	if !ok {
		return v, nil
	}
	if _, ok := o["code"].(string); ok {
		var m Message
		err := json.Unmarshal(b, &m)
		return m, err
	}
	zh, isZH := o["zh"].(string)
	if en, isEN := o["en"].(string); isZH && isEN {
		return Text{zh, en}, nil
	}
	return v, nil
}

// IsZero tells whether the message says nothing.
func (m Message) IsZero() bool { return m.Code == "" }

// In renders the message. An unknown code renders as itself with its
// parameters, so that nothing is ever silently lost.
func (m Message) In(l Lang) string {
	if m.Code == "" {
		return ""
	}
	t, ok := find(m.Code)
	if !ok {
		if len(m.Params) == 0 {
			return m.Code
		}
		return fmt.Sprint(m.Code, " ", m.Params)
	}
	return fill(t.In(l), m.Params, l)
}

func fill(s string, params map[string]any, l Lang) string {
	if !strings.Contains(s, "{") {
		return s
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '{')
		if i < 0 {
			break
		}
		j := strings.IndexByte(s[i:], '}')
		if j < 0 {
			break
		}
		name := s[i+1 : i+j]
		b.WriteString(s[:i])
		if v, ok := params[name]; ok {
			b.WriteString(render(v, l))
		} else {
			b.WriteString(s[i : i+j+1])
		}
		s = s[i+j+1:]
	}
	b.WriteString(s)
	return b.String()
}

func render(v any, l Lang) string {
	switch v := v.(type) {
	case Message:
		return v.In(l)
	case Text:
		return v.In(l)
	case *Error:
		return v.In(l)
	case error:
		return In(v, l)
	case string:
		if l == EN { // lists are joined by 、
			return strings.ReplaceAll(v, "、", ", ")
		}
		return v
	case float64:
		return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", v), "0"), ".")
	}
	return fmt.Sprint(v)
}

// Error is an error that a person may see. Err, where set, is what caused it.
type Error struct {
	Message
	Err error
}

// E makes an Error; its last pair may be followed by nothing. Use Wrap to keep
// a cause.
func E(code string, pairs ...any) *Error { return &Error{Message: M(code, pairs...)} }

// Wrap makes an Error that keeps err as its cause.
func Wrap(err error, code string, pairs ...any) *Error {
	return &Error{Message: M(code, pairs...), Err: err}
}

// Error renders in English, for logs; a cause follows after a colon.
func (e *Error) Error() string {
	s := e.In(EN)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// In renders any error in a language: a phrase.Error by its catalogue entry
// followed by its cause, another by its own text.
func In(err error, l Lang) string {
	if err == nil {
		return ""
	}
	var e *Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	s := e.Message.In(l)
	if e.Err != nil {
		sep := "："
		if l == EN {
			sep = ": "
		}
		s += sep + In(e.Err, l)
	}
	return s
}

// Of gives an error as a Message: its own where it is one, else the catalogue's
// plain wrapping of its text.
func Of(err error) Message {
	var e *Error
	if errors.As(err, &e) {
		return e.Message
	}
	if err == nil {
		return Message{}
	}
	return M("error.plain", "text", err.Error())
}

// places gives where in the catalogue each code's entry stands. An entry is read when its words are asked for: to read them all costs a
// board a good part of the second in which it begins to stand watch, and to keep them a good part of a megabyte.
var places = sync.OnceValue(func() map[string]place {
	// The catalogue is compiled in and held by a test; a fault here cannot
	// reach a box. What could be read speaks, the rest speaks by its codes.
	all, _ := index(files)
	return all
})

// place is where an entry stands: a file, and the bytes in it.
type place struct {
	file     string
	from, to int32
}

// read keeps the entries that were asked for: a Text of each code.
var read sync.Map

// find gives the words of a code.
func find(code string) (Text, bool) {
	if t, ok := read.Load(code); ok {
		return t.(Text), true
	}
	at, ok := places()[code]
	if !ok {
		return Text{}, false
	}
	b, err := files.ReadFile(at.file)
	one := map[string]Text{}
	if err != nil || yaml.UnmarshalWithOptions(b[at.from:at.to], &one, yaml.Strict()) != nil {
		return Text{}, false
	}
	t, ok := one[code]
	if ok {
		read.Store(code, t)
	}
	return t, ok
}

// index gives the place of each entry: from the line that begins with its code to the next such line.
func index(f fs.FS) (map[string]place, error) {
	names, err := fs.Glob(f, "catalogue/*.yaml")
	if err != nil {
		return nil, err
	}
	all := make(map[string]place, 4096)
	var faults []error
	for _, name := range names {
		b, err := fs.ReadFile(f, name)
		if err != nil {
			return all, err
		}
		code, from, at := "", 0, 0
		end := func() {
			if _, twice := all[code]; twice {
				faults = append(faults, fmt.Errorf("%s: %s is defined twice", path.Base(name), code))
			}
			if code != "" {
				all[code] = place{name, int32(from), int32(at)}
			}
		}
		for line := range bytes.Lines(b) {
			if first := line[0]; first != ' ' && first != '#' && first != '\n' {
				end()
				key, _, _ := bytes.Cut(line, []byte(":"))
				code, from = string(key), at
			}
			at += len(line)
		}
		end()
	}
	return all, errors.Join(faults...)
}
