package managed

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// parts splits a JSON Pointer (RFC 6901).
func parts(pointer string) []string {
	l := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, p := range l {
		l[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(p)
	}
	return l
}

func pointer(path []string) string {
	var b strings.Builder
	for _, p := range path {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(p))
	}
	return b.String()
}

// at gives what stands at a place of a document, and whether anything does.
func at(root any, path []string) (any, bool) {
	for _, p := range path {
		switch x := root.(type) {
		case yaml.MapSlice:
			found := false
			for _, e := range x {
				if fmt.Sprint(e.Key) == p {
					root, found = e.Value, true
					break
				}
			}
			if !found {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(p)
			if err != nil || i < 0 || i >= len(x) || strconv.Itoa(i) != p {
				return nil, false
			}
			root = x[i]
		default:
			return nil, false
		}
	}
	return root, true
}

// same compares what two places say; the order of keys says nothing.
func same(a, b any) bool { return reflect.DeepEqual(plain(a), plain(b)) }

func plain(v any) any {
	switch x := v.(type) {
	case yaml.MapSlice:
		m := map[string]any{}
		for _, e := range x {
			m[fmt.Sprint(e.Key)] = plain(e.Value)
		}
		return m
	case map[string]any:
		m := map[string]any{}
		for k, e := range x {
			m[k] = plain(e)
		}
		return m
	case []any:
		l := make([]any, len(x))
		for i, e := range x {
			l[i] = plain(e)
		}
		return l
	case int64:
		return float64(x)
	case uint64:
		return float64(x)
	case int:
		return float64(x)
	}
	return v
}

// differ gives the smallest places below path at which a and b differ: the less an override
// names, the more of the county's text and comments stays as it is.
func differ(a, b any, path []string) (out [][]string) {
	if same(a, b) {
		return nil
	}
	here := [][]string{append([]string(nil), path...)}
	switch x := a.(type) {
	case yaml.MapSlice:
		y, ok := b.(yaml.MapSlice)
		if !ok {
			return here
		}
		for _, k := range keys(x, y) {
			v, has := at(x, []string{k})
			w, had := at(y, []string{k})
			sub := append(append([]string(nil), path...), k)
			if has != had {
				out = append(out, sub)
				continue
			}
			out = append(out, differ(v, w, sub)...)
		}
		return out
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return here
		}
		for i := range x {
			out = append(out, differ(x[i], y[i], append(append([]string(nil), path...), strconv.Itoa(i)))...)
		}
		return out
	}
	return here
}

func keys(a, b yaml.MapSlice) (out []string) {
	seen := map[string]bool{}
	for _, m := range []yaml.MapSlice{a, b} {
		for _, e := range m {
			if k := fmt.Sprint(e.Key); !seen[k] {
				seen[k], out = true, append(out, k)
			}
		}
	}
	return out
}

// toJSON writes a value with its keys in their order.
func toJSON(v any) (json.RawMessage, error) {
	var b strings.Builder
	if err := write(&b, v); err != nil {
		return nil, err
	}
	return json.RawMessage(b.String()), nil
}

func write(b *strings.Builder, v any) error {
	switch x := v.(type) {
	case yaml.MapSlice:
		b.WriteByte('{')
		for i, e := range x {
			if i > 0 {
				b.WriteByte(',')
			}
			k, _ := json.Marshal(fmt.Sprint(e.Key)) // a string
			b.Write(k)
			b.WriteByte(':')
			if err := write(b, e.Value); err != nil {
				return err
			}
		}
		b.WriteByte('}')
		return nil
	case []any:
		b.WriteByte('[')
		for i, e := range x {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := write(b, e); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case float64:
		if math.IsInf(x, 0) || math.IsNaN(x) {
			return fmt.Errorf("%v is no number of JSON", x)
		}
	}
	j, err := json.Marshal(v)
	b.Write(j)
	return err
}
