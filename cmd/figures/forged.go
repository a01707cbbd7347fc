package main

import (
	"fmt"
	"strings"

	"tocsin/firmware/reach/narrow/forge"
)

// forgedOnLinks tries copies, cut and changed messages, and those of other keys on each kind of link end, and counts what was
// taken for genuine. A link that is only deaf measures nothing: genuine messages between them must all be taken.
func forgedOnLinks(b *bench) error {
	all, err := forge.All(uint64(b.seed), b.n(5_000, 100_000))
	if err != nil {
		return err
	}
	accepted, n := 0, 0
	var said []string
	for _, c := range all {
		if c.Refused > 0 {
			return fmt.Errorf("%s refused %d of %d genuine messages", c.Link, c.Refused, c.Genuine)
		}
		if c.First != "" {
			b.log("ACCEPTED by %s: %s", c.Link, c.First)
		}
		accepted, n = accepted+c.Accepted, n+c.Forged
		said = append(said, fmt.Sprintf("%s %d and %d genuine", c.Link, c.Forged, c.Genuine))
	}
	b.tellWhy("links.forged_accepted", float64(accepted), n, "tried on "+strings.Join(said, ", ")+": all genuine ones taken")
	return nil
}
