package line

import (
	"maps"

	"tocsin/firmware/phrase"
)

// aboveDatum tells a jump in the same levels as the value beside it: above the
// site's datum, not above the gauge's own zero.
func aboveDatum(why phrase.Message, zero float64) phrase.Message {
	if zero == 0 || why.Code != "sense.too_fast" && why.Code != "sense.jump" {
		return why
	}
	why.Params = maps.Clone(why.Params)
	for _, k := range []string{"from", "to"} {
		if x, ok := why.Params[k].(float64); ok {
			why.Params[k] = x + zero
		}
	}
	return why
}
