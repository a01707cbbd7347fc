package paper

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"

	"tocsin/firmware/phrase"
)

// Order is what the process that draws is given: a sheet, and the files of fonts of which
// the first that has what is printed is taken.
type Order struct {
	Sheet Sheet    `json:"sheet"`
	Fonts []string `json:"fonts"`
}

// MostOrder bounds an order in bytes.
const MostOrder = 4 << 20

// Refusal is what the process that draws writes in a PDF's place.
type Refusal struct {
	Tried []string `json:"tried"`
}

// Undrawn says that none of the fonts has what is printed.
func Undrawn(tried []string) Refusal { return Refusal{Tried: tried} }

// Drawn takes what the process that draws has written: a PDF, or why there is none.
func Drawn(b []byte) ([]byte, error) {
	var r Refusal
	switch {
	case bytes.HasPrefix(b, []byte("%PDF-")):
		return b, nil
	case json.Unmarshal(b, &r) == nil && len(r.Tried) > 0:
		return nil, phrase.E("paper.no_font", "tried", strings.Join(r.Tried, ", "))
	}
	return nil, phrase.E("paper.failed")
}

// Fonts gives the files that begin as a single TrueType font does (.ttc and CFF cannot be
// embedded). It reads no more of them.
func Fonts(files []string) (found []string, err error) {
	for _, name := range files {
		if f, err := os.Open(name); err == nil {
			var head [4]byte
			if _, err := io.ReadFull(f, head[:]); err == nil && (string(head[:]) == "\x00\x01\x00\x00" || string(head[:]) == "true") {
				found = append(found, name)
			}
			f.Close()
		}
	}
	if len(found) == 0 {
		return nil, phrase.E("paper.no_font", "tried", strings.Join(files, ", "))
	}
	return found, nil
}
