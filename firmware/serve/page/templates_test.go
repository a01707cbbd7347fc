package page

import (
	"bytes"
	"html/template"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/hypertext"
)

// fill puts something into each field, hostile words among it.
func fill(r *rand.Rand, v reflect.Value, deep int) {
	words := []string{"", "黄渡村", `<script>alert(1)</script>`, `" onload="x`, `' x='`, "javascript:alert(1)", "/a?b=c&d", "https://a/", "&lt;", "a+b\x00", "ok", "en"}
	switch v.Kind() {
	case reflect.String:
		v.SetString(words[r.IntN(len(words))])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		v.SetInt(r.Int64N(100))
	case reflect.Slice:
		if deep > 0 {
			n := r.IntN(3)
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				fill(r, v.Index(i), deep-1)
			}
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range r.IntN(3) {
			k, x := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(r, k, deep-1)
			fill(r, x, deep-1)
			v.SetMapIndex(k, x)
		}
	case reflect.Pointer:
		if deep > 0 && r.IntN(4) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem(), deep-1)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(r, v.Field(i), deep)
			}
		}
	}
}

// TestEachPageIsWrittenAsHTMLTemplateWouldWriteIt renders every page that this room has with
// whatever values its views can hold, by both.
func TestEachPageIsWrittenAsHTMLTemplateWouldWriteIt(t *testing.T) {
	word := func(code string) string { return phrase.Message{Code: code}.In(phrase.EN) + `<&"'` }
	want, err := template.New("").Funcs(template.FuncMap{"t": word}).ParseFS(web, "web/*.html")
	if err != nil {
		t.Fatal(err)
	}
	got, err := hypertext.Read(web, "web/*.html")
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]any{"hand-now": hand{}, "hand-cadre": hand{}, "hand-rescue": hand{}}
	whole := 0
	for _, x := range want.Templates() {
		name := x.Name()
		if _, ok := given[name]; ok || strings.HasPrefix(name, "hand-") || name == "icon" || name == "" || strings.HasSuffix(name, ".html") {
			continue
		}
		given[name] = view{}
	}
	for name, of := range given {
		for seed := range uint64(120) {
			v := reflect.New(reflect.TypeOf(of))
			fill(rand.New(rand.NewPCG(seed, 7)), v.Elem(), 4)
			var a, b bytes.Buffer
			errA, errB := got.Write(&a, name, v.Interface(), word), want.ExecuteTemplate(&b, name, v.Interface())
			if (errA == nil) != (errB == nil) {
				t.Fatalf("%s, %d: %v, and of html/template %v", name, seed, errA, errB)
			}
			if errA != nil {
				continue // a part whose pointer the view does not have
			}
			if whole++; a.String() != b.String() {
				t.Fatalf("%s, %d:\n got %s\nwant %s", name, seed, a.String(), b.String())
			}
		}
	}
	if whole < 100*len(given) {
		t.Errorf("only %d pages were written", whole)
	}
}
