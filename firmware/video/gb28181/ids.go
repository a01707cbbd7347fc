package gb28181

import (
	"fmt"

	"tocsin/firmware/phrase"
)

// checkID holds a code against the standard's coding: eight digits of the place, two of the trade,
// three of the kind, seven of the number. what is how people call it.
func checkID(what, id string) error {
	if len(id) != 20 || !digits(id) {
		return phrase.E("gb28181.id", "what", what, "id", shown(id))
	}
	return nil
}

func digits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

// shown bounds and quotes what came from outside or was typed.
func shown(s string) string {
	const most = 40
	if len(s) > most {
		s = s[:most] + "…"
	}
	return fmt.Sprintf("%q", s)
}
