package hypertext

import (
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Write writes a template with what it is given. Word gives the text of a message's code,
// for t. What it writes on an error is not whole: a page is rendered before it is sent.
func (s *Set) Write(w io.Writer, name string, given any, word func(code string) string) error {
	if s.bodies[name] == nil {
		return fmt.Errorf("there is no template %s", name)
	}
	p := &writer{set: s, word: word}
	if err := p.template(name, reflect.ValueOf(given)); err != nil {
		return fmt.Errorf("template %s: %w", name, err)
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

// deepest is how far templates may call each other.
const deepest = 50

type writer struct {
	set  *Set
	word func(string) string
	b    strings.Builder
	vars []reflect.Value
	deep int
}

func (w *writer) template(name string, given reflect.Value) error {
	if w.deep++; w.deep > deepest {
		return fmt.Errorf("templates call each other without end")
	}
	was := w.vars
	w.vars = []reflect.Value{given}
	err := w.all(w.set.bodies[name], given)
	w.vars, w.deep = was, w.deep-1
	return err
}

func (w *writer) all(steps []step, at reflect.Value) error {
	for i := range steps {
		if err := w.one(&steps[i], at); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) one(s *step, at reflect.Value) error {
	if s.does == write {
		w.b.WriteString(s.text)
		return nil
	}
	v, err := w.value(s.of, at)
	if err != nil {
		return err
	}
	switch s.does {
	case show:
		escaped(&w.b, s.escape, printed(v))
	case let:
		w.keep(s.more.slots[0], v)
	case call:
		return w.template(s.text, v)
	case choose, with:
		if !truth(v) {
			return w.all(s.more.no, at)
		}
		if len(s.more.slots) > 0 {
			w.keep(s.more.slots[0], v)
		}
		if s.does == with {
			at = v
		}
		return w.all(s.more.yes, at)
	case each:
		return w.each(s, plainly(v), at)
	}
	return nil
}

func (w *writer) keep(slot int, v reflect.Value) { w.vars = append(w.vars[:slot:slot], v) }

func (w *writer) each(s *step, v, at reflect.Value) error {
	item := func(k, x reflect.Value) error {
		switch len(s.more.slots) {
		case 1:
			w.keep(s.more.slots[0], x)
		case 2:
			w.keep(s.more.slots[0], k)
			w.keep(s.more.slots[1], x)
		}
		return w.all(s.more.yes, x)
	}
	switch {
	case !truth(v):
		return w.all(s.more.no, at)
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			if err := item(reflect.ValueOf(i), v.Index(i)); err != nil {
				return err
			}
		}
		return nil
	case v.Kind() == reflect.Map && v.Type().Key().Kind() == reflect.String:
		keys := map[string]reflect.Value{}
		for _, k := range v.MapKeys() {
			keys[k.String()] = k
		}
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			if err := item(keys[k], v.MapIndex(keys[k])); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("%s cannot be gone through", v.Type())
}

func (w *writer) value(e *expr, at reflect.Value) (v reflect.Value, err error) {
	switch {
	case e.call != "":
		return w.call(e, at)
	case e.from == word:
		return reflect.ValueOf(e.word), nil
	case e.from == dot:
		v = at
	default:
		v = w.vars[e.from]
	}
	for _, name := range e.path {
		if v = plainly(v); v.Kind() != reflect.Struct {
			return v, fmt.Errorf("a field %s of what is none", name)
		}
		of := v.Type()
		if v = v.FieldByName(name); !v.IsValid() || !v.CanInterface() {
			return v, fmt.Errorf("%s has no field %s", of, name)
		}
	}
	return v, nil
}

func (w *writer) call(e *expr, at reflect.Value) (v reflect.Value, err error) {
	var first reflect.Value
	for i := range e.args {
		if v, err = w.value(e.args[i], at); err != nil {
			return v, err
		}
		if e.call == "and" && !truth(v) || e.call == "or" && truth(v) {
			return v, nil
		}
		if i == 0 {
			first = v
		}
	}
	switch e.call {
	case "and", "or":
		return v, nil
	case "not":
		return reflect.ValueOf(!truth(v)), nil
	case "t":
		if first = plainly(first); first.Kind() != reflect.String || w.word == nil {
			return v, fmt.Errorf("t takes a code")
		}
		return reflect.ValueOf(w.word(first.String())), nil
	case "len":
		switch v = plainly(v); v.Kind() {
		case reflect.String, reflect.Slice, reflect.Map:
			return reflect.ValueOf(v.Len()), nil
		}
	case "eq", "ne":
		a, b := plainly(first), plainly(v)
		if len(e.args) == 2 && a.IsValid() && b.IsValid() && a.Kind() == b.Kind() && (a.Kind() == reflect.String || a.Kind() == reflect.Bool || a.CanInt()) {
			same := a.Kind() == reflect.String && a.String() == b.String() || a.Kind() == reflect.Bool && a.Bool() == b.Bool() || a.CanInt() && a.Int() == b.Int()
			return reflect.ValueOf(same == (e.call == "eq")), nil
		}
	}
	return v, fmt.Errorf("%s cannot be had of that", e.call)
}

// plainly goes through pointers and interfaces.
func plainly(v reflect.Value) reflect.Value {
	for v.IsValid() && (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) {
		v = v.Elem()
	}
	return v
}

// truth is that of text/template: neither zero nor empty, but for a struct, which is.
func truth(v reflect.Value) bool {
	if v.IsValid() && v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if !v.IsValid() {
		return false
	}
	switch v.Kind() {
	case reflect.Struct:
		return true
	case reflect.Slice, reflect.Map:
		return v.Len() > 0
	}
	return !v.IsZero()
}

func printed(v reflect.Value) string {
	if v = plainly(v); !v.IsValid() {
		return ""
	}
	if v.Kind() == reflect.String && v.Type().NumMethod() == 0 {
		return v.String()
	}
	return fmt.Sprint(v.Interface())
}
