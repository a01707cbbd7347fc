package speech

import (
	"os"
	"testing"
)

func shipped(t testing.TB, licensed bool) *Tones {
	t.Helper()
	tones, err := LoadTones(os.DirFS("../../../configs"), "tones.yaml", licensed)
	if err != nil {
		t.Fatal(err)
	}
	return tones
}

func TestTheShippedTonesPassTheirOwnCheck(t *testing.T) {
	if n := len(shipped(t, false).Names()); n < 9 {
		t.Errorf("only %d tones", n)
	}
}
