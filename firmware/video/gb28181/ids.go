package gb28181

import (
	"fmt"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/gb28181/mans"
)

// checkID holds a code against the standard's coding: eight digits of the place, two of the trade,
// three of the kind, seven of the number. what is how people call it.
func checkID(what, id string) error {
	if !mans.IsCode(id) {
		return phrase.E("gb28181.id", "what", what, "id", shown(id))
	}
	return nil
}

// shown bounds and quotes what came from outside or was typed.
func shown(s string) string {
	const most = 40
	if len(s) > most {
		s = s[:most] + "…"
	}
	return fmt.Sprintf("%q", s)
}
