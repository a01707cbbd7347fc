package line

import (
	"math"
	"testing"

	"tocsin/firmware/phrase"
)

func TestAJumpIsToldAboveTheDatumLikeTheValueBesideIt(t *testing.T) {
	m := phrase.M("sense.too_fast", "from", 4.9, "to", 6.4, "unit", "m", "most", 1.0, "per", "1m")
	if got := aboveDatum(m, 96.2); math.Abs(got.Params["from"].(float64)-101.1) > 1e-9 || math.Abs(got.Params["to"].(float64)-102.6) > 1e-9 || got.Params["most"] != 1.0 {
		t.Errorf("told as %v", got.Params)
	}
	if m.Params["from"] != 4.9 {
		t.Error("the message that was given has changed")
	}
}
