package intake

import (
	"bytes"
	"regexp"
)

// claimed finds what a CAP text says of itself, under whatever prefix.
var claimed = regexp.MustCompile(`<(?:[A-Za-z_][\w.-]{0,31}:)?(severity|msgType)\s*>\s*([A-Za-z]{1,12})\s*<`)

// levels are CAP's severities (CAP 1.2 section 3.2.2) from 1 up.
var levels = map[string]int{"Minor": 1, "Moderate": 2, "Severe": 3, "Extreme": 4}

// Claim reads cheaply and believes nothing: the highest severity that a CAP text
// claims in its first 64 KiB, from 1 to 4. A Cancel, a text whose severity is not
// found or not known, and whatever is no CAP text claim the highest: an order to
// stop must not wait, and what cannot be told must not be put last.
func Claim(b []byte) int {
	const top = 4
	b = b[:min(len(b), 64<<10)]
	if !bytes.Contains(b, []byte("<")) {
		return top
	}
	level := 0
	for _, m := range claimed.FindAllSubmatch(b, 64) {
		if string(m[1]) == "msgType" {
			if string(m[2]) == "Cancel" {
				return top
			}
			continue
		}
		l, ok := levels[string(m[2])]
		if !ok {
			return top
		}
		level = max(level, l)
	}
	if level == 0 {
		return top
	}
	return level
}
