package logbook

import (
	"fmt"
	"strings"

	"tocsin/firmware/reach/wire"
)

// namesMost bounds how many names one warning has.
const namesMost = 8

// WriteNames writes the names of a warning for a header.
func WriteNames(names []wire.About) string {
	var all []string
	for _, n := range names {
		if n.Compact {
			all = append(all, fmt.Sprintf("c%d.%d.%d.%d", n.Type, n.Issuer, n.Day, n.Number))
		} else {
			all = append(all, fmt.Sprintf("d%x", n.Digest))
		}
	}
	return strings.Join(all, ",")
}

// ReadNames reads them; what is none is left out.
func ReadNames(s string) []wire.About {
	if len(s) > 400 {
		return nil
	}
	var all []wire.About
	for _, w := range strings.Split(s, ",") {
		n := wire.About{Compact: strings.HasPrefix(w, "c")}
		var err error
		if n.Compact {
			_, err = fmt.Sscanf(w, "c%d.%d.%d.%d", &n.Type, &n.Issuer, &n.Day, &n.Number)
		} else {
			_, err = fmt.Sscanf(w, "d%x", &n.Digest)
		}
		if err == nil && WriteNames([]wire.About{n}) == w && len(all) < namesMost {
			all = append(all, n)
		}
	}
	return all
}
