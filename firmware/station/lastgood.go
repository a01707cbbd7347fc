package station

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
)

// lastGood is the copy of the last site file that the box ran with, in its data
// directory.
const lastGood = "site.last-good.yaml"

// refusedFiles are what the board's init sets aside beside a site's file.
const refusedFiles = ".refused*"

// blank tells whether a document is that of a box that nobody has set up: no division and
// nothing to read. A new board begins with one, and a box that lost its file is given one.
func blank(doc *config.Doc) bool {
	s := doc.Site
	return strings.Trim(s.Site.ID, "0") == "" && len(s.Lines) == 0 && len(s.Rules) == 0
}

// LoadLasting loads a site's file. Where it cannot be used (an edit that went
// wrong, a card that went bad) and the box has run with an earlier one, that one
// is proved instead, and fallen is true: a box that says what is wrong beats one
// that does not start. A blank file where the box has had a site is taken for a
// lost one: without an earlier one that proves it runs with that, fallen. The
// problems are always those of the file itself.
func LoadLasting(file, data string) (bp *Blueprint, problems []config.Problem, fallen bool) {
	bp, problems = Load(file)
	if bp != nil && !blank(bp.Doc) {
		return bp, problems, false
	}
	earlier, had := loadLastGood(file, data)
	if bp == nil {
		return earlier, problems, earlier != nil
	}
	if aside, _ := filepath.Glob(file + refusedFiles); !had && len(aside) == 0 {
		return bp, problems, false // nobody has set it up
	}
	problems = append(problems, lost(file))
	if earlier != nil {
		bp = earlier
	}
	return bp, problems, true
}

// loadLastGood proves the copy; had tells whether there is one at all, of a box that was
// set up.
func loadLastGood(file, data string) (bp *Blueprint, had bool) {
	b, err := os.ReadFile(filepath.Join(data, lastGood))
	if err != nil {
		return nil, false
	}
	doc, _ := config.Parse(file, b)
	if doc == nil {
		return nil, true
	}
	if blank(doc) {
		return nil, false
	}
	bp, _ = Prove(doc)
	return bp, true
}

// lost is the problem of a blank file where there was a site.
func lost(file string) config.Problem {
	return config.Problem{File: file, Message: phrase.M("station.site_lost", "file", file)}
}

// lostSite tells whether the box runs blank though it has had a site: it warns of nothing.
func (h *House) lostSite() bool { return len(h.o.Wrong) > 0 && blank(h.seen().bp.Doc) }

// keepLastGood puts away the document that the box runs with. A blank one is no good one: it
// would take the place of what the village had.
func keepLastGood(data string, doc *config.Doc) error {
	if blank(doc) {
		return nil
	}
	return renameio.WriteFile(filepath.Join(data, lastGood), doc.Source, 0o600)
}
