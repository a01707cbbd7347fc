package slots

import (
	"slices"
	"strings"

	"tocsin/firmware/phrase"
	"tocsin/firmware/update/pack"
)

// Spare tells whether a slot that does not run may take the board over where the good one
// does not start: those who may release signed what it holds, it is for one of the boards
// named, it is not the release that went back, and it is whole. It may be below the floor:
// it is what was good before. pause is called after each chunk that was read, and its error
// ends the reading.
func Spare(p Slot, rule pack.Rule, boards []string, c Choice, pause func() error) error {
	h := headerOf(p)
	if h == nil {
		return phrase.E("update.no_release")
	}
	if err := h.Verify(rule); err != nil {
		return err
	}
	if !slices.ContainsFunc(boards, func(b string) bool { return slices.Contains(h.Hardware, b) }) {
		return phrase.E("update.other_board", "here", strings.Join(boards, ", "), "for", strings.Join(h.Hardware, ", "))
	}
	if h.Number == c.Bad {
		return phrase.E("update.went_back", "version", h.Version)
	}
	return prove(p, h, pause)
}
