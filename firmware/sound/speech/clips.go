package speech

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"

	"tocsin/firmware/phrase"
)

// Lang is a language that is spoken aloud, as in a clip's file name.
type Lang string

// The languages of the clips that come with the box.
const (
	Mandarin  Lang = "cmn"
	Cantonese Lang = "yue"
)

// The clips that the box itself needs by name.
const (
	DrillWords = "drill" // before and after every repetition of a drill
	TestWords  = "test"  // the same of a test
)

// Script is what the clips of a folder say: clips.yaml.
type Script struct {
	Version  int             `yaml:"version"`
	Loudness Loudness        `yaml:"loudness"`
	Clips    map[string]Line `yaml:"clips"`
	// Pieces are of sentences that are put together; their ids begin with PiecePrefix.
	Pieces map[string]Line `yaml:"pieces"`
}

// PiecePrefix begins the ids of clips that are pieces of a sentence: between two of them is a short pause only.
const PiecePrefix = "say-"

// Line is the text of one clip.
type Line struct {
	ZH string `yaml:"zh" json:"zh"`
	// Pinyin with tone numbers is what the Mandarin voice is given: characters
	// have readings that it would guess wrong, and it drops decimal points.
	Pinyin string `yaml:"pinyin" json:"pinyin,omitempty"`
	Yue    string `yaml:"yue" json:"yue,omitempty"`
	EN     string `yaml:"en" json:"en"`
}

// LoadScript reads clips.yaml. Errors are *phrase.Error with file, line and
// column.
func LoadScript(fsys fs.FS, name string) (Script, error) {
	var s Script
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		return s, phrase.Wrap(err, "speech.tones.unreadable", "file", name)
	}
	if len(b) > maxTonesFile {
		return s, phrase.E("speech.tones.long", "file", name, "kib", maxTonesFile>>10)
	}
	tree, err := parser.ParseBytes(b, 0)
	if err != nil {
		return s, yamlError(err, name)
	}
	if at := aliased(tree); at != "" {
		return s, phrase.E("speech.tones.alias", "at", name+at)
	}
	if err := yaml.UnmarshalWithOptions(b, &s, yaml.Strict()); err != nil {
		return Script{}, yamlError(err, name)
	}
	c := checker{file: name, tree: tree}
	if s.Version != 1 {
		c.add(phrase.E("speech.tones.version", "at", c.at("version"), "version", s.Version))
	}
	if s.Loudness == (Loudness{}) {
		s.Loudness = DefaultLoudness
	}
	c.between(c.at("loudness"), "rms", s.Loudness.RMS, -40, -6)
	c.between(c.at("loudness"), "peak", s.Loudness.Peak, -20, -0.5)
	for at, lines := range map[string]map[string]Line{"clips": s.Clips, "pieces": s.Pieces} {
		for _, id := range slices.Sorted(maps.Keys(lines)) {
			if l := lines[id]; !plain(id) {
				c.add(phrase.E("speech.tones.name", "at", c.at("%s", at), "tone", id))
			} else if l.ZH == "" || l.EN == "" {
				c.add(phrase.E("speech.tones.title", "at", c.at("%s.%s", at, id)))
			} else if strings.HasPrefix(id, PiecePrefix) != (at == "pieces") {
				c.add(phrase.E("speech.piece", "at", c.at("%s.%s", at, id), "clip", id, "prefix", PiecePrefix))
			}
		}
	}
	if len(c.errs) > 0 {
		return Script{}, errors.Join(c.errs...)
	}
	return s, nil
}
