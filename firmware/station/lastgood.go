package station

import (
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"tocsin/firmware/keep/config"
)

// lastGood is the copy of the last site file that the box ran with, in its data
// directory.
const lastGood = "site.last-good.yaml"

// LoadLasting loads a site's file. Where it cannot be used (an edit that went
// wrong, a card that went bad) and the box has run with an earlier one, that one
// is proved instead, and fallen is true: a box that says what is wrong beats one
// that does not start. The problems are always those of the file itself.
func LoadLasting(file, data string) (bp *Blueprint, problems []config.Problem, fallen bool) {
	bp, problems = Load(file)
	if bp != nil {
		return bp, problems, false
	}
	b, err := os.ReadFile(filepath.Join(data, lastGood))
	if err != nil {
		return nil, problems, false
	}
	doc, _ := config.Parse(file, b)
	if doc == nil {
		return nil, problems, false
	}
	if bp, _ = Prove(doc); bp == nil {
		return nil, problems, false
	}
	return bp, problems, true
}

// keepLastGood puts away the document that the box runs with.
func keepLastGood(data string, doc *config.Doc) error {
	return renameio.WriteFile(filepath.Join(data, lastGood), doc.Source, 0o600)
}
