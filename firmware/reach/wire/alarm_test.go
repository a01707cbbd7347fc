package wire

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAnAlarmsTextIsCutAtAWholeRuneAndTheRestIsKept(t *testing.T) {
	a := AlarmItem{Name: Name{7, 8}, At: 1_790_000_000, Event: AlarmRaised, Rank: 3, Cause: 0x1234, Hazard: "flood", Text: "水位 103.2 m，超过 103.0 m"}
	for most := AlarmHead + len(a.Hazard); most < 80; most++ {
		b, err := a.Append(nil, most)
		if err != nil || len(b) > most {
			t.Fatalf("%d bytes of at most %d: %v", len(b), most, err)
		}
		got, err := ReadAlarm(b)
		if err != nil {
			t.Fatal(most, err)
		}
		if !utf8.ValidString(got.Text) || !strings.HasPrefix(a.Text, got.Text) || len(a.Text) > len(got.Text) && most-len(b) >= utf8.UTFMax {
			t.Fatalf("of %d bytes the text is %q", most, got.Text)
		}
		if got.Text = a.Text; got != a {
			t.Fatalf("%+v is read as %+v", a, got)
		}
	}
	if _, err := a.Append(nil, AlarmHead+len(a.Hazard)-1); err == nil {
		t.Error("the hazard was cut to make room")
	}
}

func TestAnAlarmThatIsMalformedIsNotRead(t *testing.T) {
	a := AlarmItem{Name: Name{7, 8}, Event: AlarmReleased, Rank: 31, Hazard: "abcdefghijklmnopq", Text: "a\nb\x1b[2J\xffc\u202E"}
	good, err := a.Append(nil, 100)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadAlarm(good)
	if err != nil || got.Hazard != a.Hazard[:HazardMost] || got.Text != "a b [2J\uFFFDc " {
		t.Fatalf("%+v %v", got, err)
	}
	change := func(i int, v byte) []byte { b := bytes.Clone(good); b[i] = v; return b }
	for name, b := range map[string][]byte{
		"short": good[:AlarmHead-1], "hazard beyond the end": good[:AlarmHead+3], "no hazard": change(13, 0), "hazard too long": change(13, 17), "a space in the hazard": change(14, ' '),
		"unknown event": change(10, 5<<5), "seq 0": append([]byte{0, 0, 7, 0, 0, 0}, good[6:]...), "a control in the text": change(len(good)-1, 7), "not UTF-8": change(AlarmHead+HazardMost, 0xFF),
	} {
		if got, err := ReadAlarm(b); err == nil {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
	for name, bad := range map[string]AlarmItem{
		"event": {Name: Name{1, 1}, Event: alarmEvents, Hazard: "x"}, "rank": {Name: Name{1, 1}, Rank: 32, Hazard: "x"}, "hazard": {Name: Name{1, 1}}, "name": {Hazard: "x"},
	} {
		if _, err := bad.Append(nil, 100); err == nil {
			t.Errorf("a false %s is written", name)
		}
	}
}
