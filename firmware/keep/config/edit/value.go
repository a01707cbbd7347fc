package edit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// value is what a document means: a scalar, a list, or a mapping in its order.
type value struct {
	scalar any // string, float64, bool, nil
	list   []*value
	keys   []string
	of     map[string]*value
	kind   byte   // s, l, m
	text   string // of a number, as it was written
}

var errShape = errors.New("no such place")

func fromJSON(raw json.RawMessage) (*value, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := decode(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one value")
	}
	return v, nil
}

func decode(d *json.Decoder, depth int) (*value, error) {
	if depth > mostDepth {
		return nil, errors.New("too deep")
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch x := t.(type) {
	case json.Delim:
		v := &value{kind: 'l'}
		if x == '{' {
			v = &value{kind: 'm', of: map[string]*value{}}
		}
		for d.More() {
			key := ""
			if v.kind == 'm' {
				k, err := d.Token()
				if err != nil {
					return nil, err
				}
				key = k.(string)
				if _, twice := v.of[key]; twice || key == "" {
					return nil, fmt.Errorf("the key %q is there twice, or empty", key)
				}
			}
			c, err := decode(d, depth+1)
			if err != nil {
				return nil, err
			}
			if v.kind == 'm' {
				v.keys = append(v.keys, key)
				v.of[key] = c
			} else {
				v.list = append(v.list, c)
			}
		}
		_, err := d.Token()
		return v, err
	case json.Number:
		f, err := x.Float64()
		if err != nil {
			return nil, err
		}
		return &value{kind: 's', scalar: f, text: x.String()}, nil
	}
	return &value{kind: 's', scalar: t}, nil
}

// mean reads what a document means.
func mean(document []byte) (*value, error) {
	var x any
	if err := yaml.UnmarshalWithOptions(document, &x, yaml.UseOrderedMap()); err != nil {
		return nil, err
	}
	return meant(x)
}

func meant(x any) (*value, error) {
	switch x := x.(type) {
	case yaml.MapSlice:
		v := &value{kind: 'm', of: map[string]*value{}}
		for _, e := range x {
			k := fmt.Sprint(e.Key)
			c, err := meant(e.Value)
			if err != nil {
				return nil, err
			}
			if _, twice := v.of[k]; twice {
				return nil, fmt.Errorf("the key %q is there twice", k)
			}
			v.keys = append(v.keys, k)
			v.of[k] = c
		}
		return v, nil
	case []any:
		v := &value{kind: 'l'}
		for _, e := range x {
			c, err := meant(e)
			if err != nil {
				return nil, err
			}
			v.list = append(v.list, c)
		}
		return v, nil
	case string, bool, nil:
		return &value{kind: 's', scalar: x}, nil
	case float64:
		return &value{kind: 's', scalar: x}, nil
	case int64:
		return &value{kind: 's', scalar: float64(x), text: strconv.FormatInt(x, 10)}, nil
	case uint64:
		return &value{kind: 's', scalar: float64(x), text: strconv.FormatUint(x, 10)}, nil
	}
	return nil, fmt.Errorf("a value of type %T", x)
}

func (v *value) same(o *value) bool {
	if v == nil || o == nil || v.kind != o.kind || len(v.list) != len(o.list) || len(v.keys) != len(o.keys) {
		return v == o
	}
	switch v.kind {
	case 's':
		return v.scalar == o.scalar
	case 'l':
		for i := range v.list {
			if !v.list[i].same(o.list[i]) {
				return false
			}
		}
	default:
		for i, k := range v.keys {
			if o.keys[i] != k || !v.of[k].same(o.of[k]) {
				return false
			}
		}
	}
	return true
}

// empty: nothing stands there, so that anything may.
func (v *value) empty() bool { return v == nil || v.kind == 's' && v.scalar == nil }

// wrapped is v below the keys of a path that is not there yet.
func wrapped(path []string, v *value) (*value, error) {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == "-" {
			v = &value{kind: 'l', list: []*value{v}}
			continue
		}
		v = &value{kind: 'm', keys: []string{path[i]}, of: map[string]*value{path[i]: v}}
	}
	return v, nil
}

// with gives what v means when x stands at path.
func (v *value) with(path []string, x *value) (*value, error) {
	if len(path) == 0 {
		return x, nil
	}
	if v.empty() {
		return wrapped(path, x)
	}
	out := *v
	switch v.kind {
	case 'm':
		c, err := v.of[path[0]].with(path[1:], x)
		if err != nil {
			return nil, err
		}
		out.of = map[string]*value{}
		for k, o := range v.of {
			out.of[k] = o
		}
		if _, there := v.of[path[0]]; !there {
			out.keys = append(append([]string(nil), v.keys...), path[0])
		}
		out.of[path[0]] = c
		return &out, nil
	case 'l':
		i, ok := index(path[0])
		if !ok || i >= len(v.list) {
			return nil, errShape
		}
		out.list = append([]*value(nil), v.list...)
		if i < 0 {
			out.list = append(out.list, nil)
			i = len(out.list) - 1
		}
		c, err := out.list[i].with(path[1:], x)
		out.list[i] = c
		return &out, err
	}
	return nil, errShape
}

// without gives what v means without what stands at path.
func (v *value) without(path []string) (*value, error) {
	if v == nil {
		return nil, errShape
	}
	out := *v
	switch v.kind {
	case 'm':
		c, there := v.of[path[0]]
		if !there {
			return nil, errShape
		}
		out.of = map[string]*value{}
		for k, o := range v.of {
			out.of[k] = o
		}
		if len(path) > 1 {
			c, err := c.without(path[1:])
			out.of[path[0]] = c
			return &out, err
		}
		delete(out.of, path[0])
		out.keys = nil
		for _, k := range v.keys {
			if k != path[0] {
				out.keys = append(out.keys, k)
			}
		}
		return &out, nil
	case 'l':
		i, ok := index(path[0])
		if !ok || i < 0 || i >= len(v.list) {
			return nil, errShape
		}
		out.list = append([]*value(nil), v.list...)
		if len(path) > 1 {
			c, err := v.list[i].without(path[1:])
			out.list[i] = c
			return &out, err
		}
		out.list = append(out.list[:i], out.list[i+1:]...)
		return &out, nil
	}
	return nil, errShape
}

// plain is text that needs no quotes anywhere, however a reader takes it; whether it also
// stays text is tried.
var plain = regexp.MustCompile(`^[\p{L}\p{N}/_.][\p{L}\p{N}/_.:+%°²³µ~@() -]*$`)

// written gives a scalar as it is written in a document.
func (v *value) written() string {
	switch x := v.scalar.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(x)
	case float64:
		if v.text != "" {
			return v.text
		}
		return strconv.FormatFloat(x, 'g', -1, 64)
	case string:
		return text(x)
	}
	return ""
}

// words are taken for something else than text by one reader of YAML or another.
var words = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|true|false|null|nan|\.nan|[+-]?\.inf)$`)

func text(s string) string {
	if plain.MatchString(s) && !words.MatchString(s) && !strings.HasSuffix(s, " ") && !strings.HasSuffix(s, ":") && !strings.Contains(s, ": ") {
		if v, err := mean([]byte("a: [" + s + "]")); err == nil {
			if l := v.of["a"].list; len(l) == 1 && l[0].scalar == s {
				return s
			}
		}
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r == 0x7f || r == 0x85 || r == 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// flow writes a value on one line.
func (v *value) flow(b *strings.Builder) {
	switch v.kind {
	case 's':
		b.WriteString(v.written())
	case 'l':
		b.WriteByte('[')
		for i, c := range v.list {
			if i > 0 {
				b.WriteString(", ")
			}
			c.flow(b)
		}
		b.WriteByte(']')
	default:
		b.WriteByte('{')
		for i, k := range v.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(text(k) + ": ")
			v.of[k].flow(b)
		}
		b.WriteByte('}')
	}
}

// lineMost is how long a line may get before what stands on it goes on lines of its own.
const lineMost = 140

// after writes a value behind “key:” or “-” whose column is indent, with the space or
// the line break that it needs.
func (v *value) after(indent int) string {
	var b strings.Builder
	v.flow(&b)
	if v.kind == 's' || b.Len()+indent <= lineMost || len(v.list)+len(v.keys) == 0 {
		return " " + b.String()
	}
	b.Reset()
	pad := "\n" + strings.Repeat(" ", indent+2)
	for _, k := range v.keys {
		b.WriteString(pad + text(k) + ":" + v.of[k].after(indent+2))
	}
	for _, c := range v.list {
		b.WriteString(pad + "-")
		c.flowAfter(&b)
	}
	return b.String()
}

func (v *value) flowAfter(b *strings.Builder) {
	b.WriteByte(' ')
	v.flow(b)
}
