package config_test

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
)

// keys gives every key of a document's type as the reference writes it.
func keys(t reflect.Type, prefix string) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var all []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		key := prefix + name
		all = append(all, key)
		ft := f.Type
		sub := key + "."
		if ft.Kind() == reflect.Map || ft.Kind() == reflect.Slice {
			ft, sub = ft.Elem(), key+".*."
		}
		for ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		if ft.Kind() == reflect.Struct && ft.PkgPath() == reflect.TypeFor[config.Site]().PkgPath() && ft != reflect.TypeFor[config.Amount]() && ft != reflect.TypeFor[phrase.Text]() {
			all = append(all, keys(ft, sub)...)
		}
	}
	return all
}

func TestTheReferenceNamesEveryKeyOfASiteAndNoOther(t *testing.T) {
	b, err := os.ReadFile("../../../configs/README.md")
	if err != nil {
		t.Fatal(err)
	}
	site, rest, _ := strings.Cut(string(b), "### 条件")
	_, after, _ := strings.Cut(rest, "## page")
	var told []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_.*]+)` \\|").FindAllStringSubmatch(site+"\n## page"+after, -1) {
		told = append(told, m[1])
	}
	known := keys(reflect.TypeFor[config.Site](), "")
	if len(known) < 40 {
		t.Fatalf("only %d keys were found in the document's type", len(known))
	}
	for _, k := range known {
		if !slices.Contains(told, k) {
			t.Errorf("configs/README.md does not tell %s", k)
		}
	}
	for _, k := range told {
		if !slices.Contains(known, k) {
			t.Errorf("configs/README.md tells %s, which no site may write", k)
		}
	}
}

// The keys of a condition are known to the room that proves them.
func TestTheReferenceNamesEveryKeyOfACondition(t *testing.T) {
	src, err := os.ReadFile("../../station/conditions.go")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`known := append\(\[\]string\{([^}]+)\}`).FindSubmatch(src)
	if list == nil {
		t.Fatal("station/conditions.go does not list a condition's keys any more")
	}
	b, err := os.ReadFile("../../../configs/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, conditions, _ := strings.Cut(string(b), "### 条件")
	for _, k := range strings.Split(strings.ReplaceAll(string(list[1]), `"`, ""), ", ") {
		if !strings.Contains(conditions, "| `"+k+"` |") {
			t.Errorf("configs/README.md does not tell the condition's key %s", k)
		}
	}
}
