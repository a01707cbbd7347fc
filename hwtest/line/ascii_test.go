package line

import (
	"bytes"
	"net"
	"testing"
	"time"
)

func TestASCIIFramesAreTheStandards(t *testing.T) {
	// Read one holding register at 0 of unit 1: 01 03 00 00 00 01, whose sum is
	// 05, its complement FB.
	if got := string(ASCIIFrame(1, []byte{3, 0, 0, 0, 1})); got != ":010300000001FB\r\n" {
		t.Errorf("%q", got)
	}
	for frame, want := range map[string][]byte{
		":010300000001FB\r\n":   {1, 3, 0, 0, 0, 1},
		":010300000001fb\r\n":   {1, 3, 0, 0, 0, 1},
		":010300000001FA\r\n":   nil,
		":010300000001F\r\n":    nil,
		":0103000G0001FB\r\n":   nil,
		"010300000001FB\r\n":    nil,
		":010300000001FB\n":     nil,
		":01\r\n":               nil,
		":":                     nil,
		"\r\n":                  nil,
		":FF\r\n":               nil,
		"::010300000001FB\r\n":  nil,
		":010300000001FB\r\n\n": nil,
	} {
		if got := asciiBody([]byte(frame)); !bytes.Equal(got, want) {
			t.Errorf("%q is % x, not % x", frame, got, want)
		}
	}
}

func TestASerialServerPassesRTUFramesAndFindsItsStep(t *testing.T) {
	srv, err := NewRTUOverTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	srv.Attach(1, UnitFunc(func(pdu []byte, _ time.Time) ([]byte, Exception) {
		return Map{Holding: func(a uint16) (uint16, Exception) { return a + 100, 0 }, ID: &Identity{Server: []byte{7, 0xFF}}}.Answer(pdu)
	}))
	c, err := net.Dial("tcp", srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := func(sent, want []byte) {
		t.Helper()
		c.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Write(sent); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		for n := 0; n < len(got); {
			k, err := c.Read(got[n:])
			if err != nil {
				t.Fatalf("after % x: %v", got[:n], err)
			}
			n += k
		}
		if !bytes.Equal(got, want) {
			t.Errorf("% x, not % x", got, want)
		}
	}
	ask(Frame(1, []byte{3, 0, 5, 0, 1}), Frame(1, []byte{3, 2, 0, 105}))
	ask(Frame(1, []byte{17}), Frame(1, []byte{17, 2, 7, 0xFF}))
	ask(Frame(1, []byte{6, 0, 5, 0, 1}), Frame(1, []byte{0x86, 1}))
	// A frame whose check is wrong is nobody's; the next is heard.
	bad := Frame(1, []byte{3, 0, 5, 0, 1})
	bad[7] ^= 1
	ask(append(bad, Frame(1, []byte{3, 0, 6, 0, 1})...), Frame(1, []byte{3, 2, 0, 106}))
	if n := srv.Counters().BadFrames; n == 0 {
		t.Error("no bad frame was counted")
	}
}

func TestIdentityComesInPartsAsTheStandardHasIt(t *testing.T) {
	m := Map{ID: &Identity{Objects: []string{"Maker", "Gauge-7", "1.02"}, Each: 2}}
	first, x := m.Answer([]byte{43, 14, 1, 0})
	if want := append([]byte{43, 14, 1, 1, 0xFF, 2, 2, 0, 5}, "Maker\x01\x07Gauge-7"...); x != 0 || !bytes.Equal(first, want) {
		t.Errorf("% x %d", first, x)
	}
	rest, x := m.Answer([]byte{43, 14, 1, 2})
	if want := append([]byte{43, 14, 1, 1, 0, 0, 1, 2, 4}, "1.02"...); x != 0 || !bytes.Equal(rest, want) {
		t.Errorf("% x %d", rest, x)
	}
	if _, x := m.Answer([]byte{17}); x != IllegalFunction {
		t.Errorf("function 17: %d", x)
	}
}
