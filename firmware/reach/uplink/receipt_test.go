package uplink

import (
	"encoding/json"
	"testing"
	"time"

	"tocsin/firmware/reach/letter"
)

// FuzzReceipt brings what a hub, or what calls itself one, says of a letter.
func FuzzReceipt(f *testing.F) {
	s := letter.Station("330483105203")
	f.Add(s.Kept("b-1"), []byte(`{"class":3,"link":"fibre","bytes":4,"sum":"88d4266fd4e6338d","seq":1,"at":"2026-07-01T22:40:00Z"}`))
	f.Add(s.Taken("b-1"), []byte(`{"class":-1}`))
	f.Add("rcpt.>", []byte(`{"class":300,"at":"never"}`))
	f.Add(s.Up(0), []byte(`[]`))
	f.Fuzz(func(t *testing.T, subject string, b []byte) {
		r, ok := readReceipt(subject, b)
		if !ok {
			return
		}
		if !letter.IsID(r.ID) {
			t.Fatalf("a receipt for %q", r.ID)
		}
		if _, err := json.Marshal(r); err != nil && r.At.Year() >= 0 && r.At.Year() < 10_000 {
			t.Fatal(err)
		}
	})
}

func TestAReceiptIsForOneLetterAlone(t *testing.T) {
	l := letter.Letter{ID: "b-1", Class: letter.Alarm, Body: []byte("wet")}
	r := Receipt{ID: "b-1", Class: letter.Alarm, Sum: letter.Sum(l.Body), At: time.Unix(0, 0)}
	if !r.Is(&l) {
		t.Error("not its own")
	}
	for name, other := range map[string]letter.Letter{
		"another id":    {ID: "b-2", Class: letter.Alarm, Body: l.Body},
		"another body":  {ID: "b-1", Class: letter.Alarm, Body: []byte("dry")},
		"another class": {ID: "b-1", Class: letter.Command, Body: l.Body},
	} {
		if r.Is(&other) {
			t.Errorf("is for %s", name)
		}
	}
}
