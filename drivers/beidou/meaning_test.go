package beidou

import (
	"testing"
	"time"

	"tocsin/drivers"
	sim "tocsin/hwtest/beidou"
)

func TestHexDigits(t *testing.T) {
	p := profile(t, "beidou-bds2")
	for _, c := range []struct {
		coding, in, want string
		bad              bool
	}{
		{codeCoding, "4142", "AB", false},
		{codeCoding, "41420", "AB", false}, // half a byte that a level leaves
		{codeCoding, "41424", "", true},
		{codeCoding, "a44142", "\xA4AB", false},
		{mixedCoding, "a44142", "AB", false},
		{mixedCoding, "4142", "AB", false}, // without the mark
		{codeCoding, "4G", "", true},
		{codeCoding, "", "", false},
	} {
		if got, err := p.bytesOf(c.in, c.coding); string(got) != c.want || (err != nil) != c.bad {
			t.Errorf("%+v: %x, %v", c, got, err)
		}
	}
}

func TestATimeOfDayIsTheOneThatIsNearest(t *testing.T) {
	for _, c := range []struct {
		at, of, want string
	}{
		{"2026-06-01T12:00:00Z", "115959", "2026-06-01T11:59:59Z"},
		{"2026-06-01T00:00:05Z", "235958", "2026-05-31T23:59:58Z"},
		{"2026-05-31T23:59:58Z", "000003", "2026-06-01T00:00:03Z"},
		{"2026-06-01T08:00:05+08:00", "2359", "2026-05-31T23:59:00Z"},
	} {
		at, _ := time.Parse(time.RFC3339, c.at)
		if got := nearest(ofDay(c.of, "hhmmss"[:len(c.of)]), at).Format(time.RFC3339); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	for _, s := range []string{"", "240000", "126000", "1260", "12345", "12:304", "-10000"} {
		if of := ofDay(s, "hhmmss"); of >= 0 || !nearest(of, time.Now()).IsZero() {
			t.Errorf("%q: %v", s, of)
		}
	}
}

func TestOnlyTheTerminalsOwnSentencesCount(t *testing.T) {
	d, err := New(nil, Opts{Profile: profile(t, "beidou-bds2")})
	if err != nil {
		t.Fatal(err)
	}
	say := func(body string) { d.hear(drivers.Chunk{At: time.Unix(1, 0), B: []byte(sim.Frame(body))}) }
	say("CCICI,4207733,0,0,3,60,2,N,22") // what the host says, come back as an echo
	say("GNTXR,1,0179773,2,,A468656C6C6F")
	if s := d.State(); s.ID != "" || s.Received != 0 || s.Strange != 2 {
		t.Errorf("%+v", s)
	}
	say("BDICI,4207733,0,0,3,60,2,N,22")
	say("BDTXR,1,0179773,2,,A468656C6C6F")
	if s := d.State(); s.ID != "4207733" || s.Received != 1 || s.Strange != 2 {
		t.Errorf("%+v", s)
	}
	// What cannot be a card leaves the one that was read.
	say("BDICI,4207733,0,0,3,,2,N,22")
	say("BDICI,x,0,0,3,60,2,N,22")
	say("BDICI,4207733,0,0,3,999999,2,N,22")
	if s, l := d.State(), d.Limits(); s.ID != "4207733" || s.Strange != 5 || l.Every != time.Minute {
		t.Errorf("%+v, %+v", s, l)
	}
}

func TestAClockThatStepsBackAgreesWithNothing(t *testing.T) {
	var w witness
	at := time.Unix(1700000000, 0)
	for i := range 20 {
		said := at.Add(time.Duration(i) * time.Second)
		if i%2 == 1 {
			said = said.Add(-1200 * time.Millisecond)
		}
		if w.agrees(said, at.Add(time.Duration(i)*time.Second)) {
			t.Fatalf("after %d", i)
		}
	}
}
