package ui_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// catalogues are where texts lie; the county's console has its own beside those of lib.
var catalogues = []string{"lib/i18n", "county/i18n"}

// texts reads a catalogue of one language: file → key → text.
func texts(t *testing.T, at, lang string) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	files, err := filepath.Glob(filepath.Join(at, lang, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("no catalogue: ", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]string{}
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		all[strings.TrimSuffix(filepath.Base(f), ".json")] = m
	}
	return all
}

var place = regexp.MustCompile(`\{[a-z_]+\}`)

// TestBothLanguagesSayTheSame: one file a view in each language, with the same keys, the
// same places for values, and each in its own script.
func TestBothLanguagesSayTheSame(t *testing.T) {
	for _, at := range catalogues {
		t.Run(at, func(t *testing.T) { sayTheSame(t, texts(t, at, "zh"), texts(t, at, "en")) })
	}
}

func sayTheSame(t *testing.T, zh, en map[string]map[string]string) {
	for f := range en {
		if zh[f] == nil {
			t.Errorf("en/%s.json has no Chinese", f)
		}
	}
	for f, m := range zh {
		if en[f] == nil {
			t.Errorf("zh/%s.json has no English", f)
			continue
		}
		for k, z := range m {
			e, ok := en[f][k]
			if !ok || e == "" || z == "" {
				t.Errorf("%s: %q is missing or empty in one language", f, k)
				continue
			}
			pz, pe := place.FindAllString(z, -1), place.FindAllString(e, -1)
			slices.Sort(pz)
			slices.Sort(pe)
			if !slices.Equal(pz, pe) {
				t.Errorf("%s: %q has the places %v in Chinese and %v in English", f, k, pz, pe)
			}
			if strings.ContainsFunc(strings.ReplaceAll(e, "中文", ""), func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
				t.Errorf("%s: %q is Chinese in English: %s", f, k, e)
			}
		}
		for k := range en[f] {
			if _, ok := m[k]; !ok {
				t.Errorf("%s: %q is missing in Chinese", f, k)
			}
		}
	}
}

var (
	used     = regexp.MustCompile(`\bt\(\s*["']([a-z0-9_-]+)\.([A-Za-z0-9_.-]+)["']`)
	titles   = regexp.MustCompile(`\btitle:\s*"([a-z0-9_-]+)\.([A-Za-z0-9_.-]+)"`)
	comments = regexp.MustCompile(`(?s)<!--.*?-->|/\*.*?\*/|(?m:^\s*//.*$)`)
)

// there looks a key up; one that ends in "_" is the beginning of several ("lib.quality_" + …).
func there(m map[string]string, key string) bool {
	if !strings.HasSuffix(key, "_") {
		return m[key] != ""
	}
	for k := range m {
		if strings.HasPrefix(k, key) {
			return true
		}
	}
	return false
}

// TestEveryStringIsInTheCatalogue finds keys that are used and not there, and Chinese
// that is written into a source rather than into a catalogue.
func TestEveryStringIsInTheCatalogue(t *testing.T) {
	n := 0
	for _, root := range []string{"lib", "station", "county"} {
		zh := texts(t, "lib/i18n", "zh")
		if root == "county" {
			// Of lib's texts it has those of the components; the rest is the station's.
			zh = map[string]map[string]string{"lib": zh["lib"]}
			for f, m := range texts(t, "county/i18n", "zh") {
				if zh[f] == nil {
					zh[f] = map[string]string{}
				}
				maps.Copy(zh[f], m)
			}
		}
		err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(p) != ".svelte" && filepath.Ext(p) != ".ts" || strings.HasSuffix(p, ".d.ts") {
				return err
			}
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			src := comments.ReplaceAllString(string(b), "")
			for _, re := range []*regexp.Regexp{used, titles} {
				for _, m := range re.FindAllStringSubmatch(src, -1) {
					n++
					if !there(zh[m[1]], m[2]) {
						t.Errorf("%s: %s.%s is not in lib/i18n", p, m[1], m[2])
					}
				}
			}
			if strings.ContainsFunc(strings.ReplaceAll(src, "中文", ""), func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
				t.Errorf("%s: Chinese text in a source; it belongs into lib/i18n", p)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 20 {
		t.Errorf("only %d uses of the catalogue were found", n)
	}
}
