package station

import (
	"fmt"
	"testing"

	"tocsin/firmware/serve/api"
	"tocsin/hwtest/line"
)

// Whatever the line speaks, a proof is of RTU frames.
func TestAProofIsRecordedFromEveryFraming(t *testing.T) {
	ask, answer := []byte{3, 0, 2, 0, 2}, []byte{3, 4, 0, 0, 0x40, 0x50}
	tcp := func(pdu []byte) []byte { return append([]byte{0, 1, 0, 0, 0, byte(len(pdu) + 1), 7}, pdu...) }
	for name, frame := range map[string]func([]byte) []byte{
		"rtu":   func(pdu []byte) []byte { return line.Frame(7, pdu) },
		"ascii": func(pdu []byte) []byte { return line.ASCIIFrame(7, pdu) },
		"tcp":   tcp,
	} {
		x := exchange(api.Frame{Function: 3, Addr: 2, Count: 2, Bytes: fmt.Sprintf("% X", frame(ask))}, api.Frame{Bytes: fmt.Sprintf("% X", frame(answer))})
		if got, want := fmt.Sprintf("% X / % X", x.Sent, x.Heard), fmt.Sprintf("% X / % X", line.Frame(7, ask), line.Frame(7, answer)); got != want {
			t.Errorf("%s: %s, not %s", name, got, want)
		}
	}
	for _, b := range []string{"3A", "3A 0D 0A", "3A 30", "3A 30 31 0D 0A", ""} {
		exchange(api.Frame{Function: 3, Bytes: b}, api.Frame{Bytes: b})
	}
}
