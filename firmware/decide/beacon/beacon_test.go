package beacon

import (
	"crypto"
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/trust"
)

var noon = time.Date(2026, 6, 7, 22, 40, 0, 0, time.UTC)

func at(t time.Time, tr clock.Trust) clock.Stamp {
	return clock.Stamp{Mono: t.Sub(noon) + time.Hour, Wall: t, Boot: "b", Trust: tr}
}

func signer(t testing.TB, kind trust.Kind) *trust.PrivateKey {
	t.Helper()
	k, err := trust.NewSigner(kind)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func opts(key crypto.PublicKey) Opts {
	return Opts{Self: 17, Relay: true, Upstream: []Upstream{{
		Name: phrase.Text{ZH: "黄洞", EN: "Huangdong"}, Number: 12, Key: key,
		Effects: map[uint8]Effect{1: {Hazard: "flood", Levels: []Step{{1, 1}, {2, 2}}, Travel: 40 * time.Minute, Lasts: time.Hour}},
	}}}
}

// evacuate lasts an hour, and here forty minutes and an hour more.
var evacuate = Message{Station: 12, Serial: 9, Hazard: 1, Rank: 2, Lasts: 6}

func sealed(t testing.TB, m Message, k *trust.PrivateKey, when time.Time) []byte {
	t.Helper()
	b, err := Sign(m, k, when)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) != Size || !Is(b) {
		t.Fatalf("%d bytes that begin with %02x", len(b), b[0])
	}
	return b
}

func TestABeaconRaisesWhatTheSiteSaysUntilItExpires(t *testing.T) {
	for _, kind := range []trust.Kind{trust.P256, trust.SM2, trust.Ed25519} {
		key := signer(t, kind)
		k := New(opts(key.Public()))
		r := k.Take(sealed(t, evacuate, key, noon), at(noon, clock.Set), time.Time{})
		if r.Outcome != Raised || !r.Relay || !r.Issued.Equal(noon) || r.Upstream.ZH != "黄洞" {
			t.Fatalf("%v: %+v", kind, r)
		}
		want := Stood{Hazard: "flood", Level: 2, Number: 12, Upstream: r.Upstream, Issued: noon, Arrives: noon.Add(40 * time.Minute)}
		for _, after := range []time.Duration{0, 159 * time.Minute} {
			if s := k.Standing(at(noon.Add(after), clock.Set)); len(s) != 1 || s[0] != want {
				t.Errorf("%v, after %v: %+v", kind, after, s)
			}
		}
		if s := k.Standing(at(noon.Add(160*time.Minute), clock.Set)); len(s) != 0 {
			t.Errorf("%v: stands for ever: %+v", kind, s)
		}
	}
}

func TestNothingThatComesLowersALevel(t *testing.T) {
	key := signer(t, trust.P256)
	k := New(opts(key.Public()))
	k.Take(sealed(t, evacuate, key, noon), at(noon, clock.Set), time.Time{})
	less := Message{Station: 12, Serial: 10, Hazard: 1, Rank: 1, Lasts: 1}
	if r := k.Take(sealed(t, less, key, noon.Add(time.Minute)), at(noon.Add(time.Minute), clock.Set), time.Time{}); r.Outcome != Raised {
		t.Fatalf("%+v", r)
	}
	short := evacuate
	short.Serial, short.Lasts = 11, 1
	k.Take(sealed(t, short, key, noon.Add(2*time.Minute)), at(noon.Add(2*time.Minute), clock.Set), time.Time{})
	if s := k.Standing(at(noon.Add(150*time.Minute), clock.Set)); len(s) != 1 || s[0].Level != 2 {
		t.Errorf("a lower or a shorter one took the level down: %+v", s)
	}
}

func TestOfEachMessageOneCountsAlsoAfterARestart(t *testing.T) {
	key := signer(t, trust.P256)
	b := sealed(t, evacuate, key, noon)
	k := New(opts(key.Public()))
	now := at(noon, clock.Set)
	k.Take(b, now, time.Time{})
	// ECDSA signatures are not unique: another one of the same message is the same message.
	if r := k.Take(sealed(t, evacuate, key, noon), now, time.Time{}); r.Outcome != Again || r.Relay {
		t.Errorf("a second signature: %+v", r)
	}
	kept, err := k.Kept()
	if err != nil {
		t.Fatal(err)
	}
	again := New(opts(key.Public()))
	if err := again.Restore(kept); err != nil {
		t.Fatal(err)
	}
	if r := again.Take(b, now, time.Time{}); r.Outcome != Again || r.Relay {
		t.Errorf("after a restart: %+v", r)
	}
	if s := again.Standing(now); len(s) != 1 {
		t.Errorf("after a restart stands %+v", s)
	}
	again.Set(Opts{})
	if s := again.Standing(now); len(s) != 0 {
		t.Errorf("stands by a station that the site no longer names: %+v", s)
	}
}

func TestWhatCameBeforeASlowDiskHadLoadedIsJoinedToWhatItKept(t *testing.T) {
	key := signer(t, trust.P256)
	k := New(opts(key.Public()))
	k.Take(sealed(t, evacuate, key, noon), at(noon, clock.Set), time.Time{})
	kept, err := k.Kept()
	if err != nil {
		t.Fatal(err)
	}
	again := New(opts(key.Public()))
	drill := evacuate
	drill.Drill, drill.Serial = true, 77
	early := sealed(t, drill, key, noon.Add(time.Minute))
	if r := again.Take(early, at(noon.Add(time.Minute), clock.Set), time.Time{}); r.Outcome != Drill {
		t.Fatalf("%+v", r)
	}
	if err := again.Restore(kept); err != nil {
		t.Fatal(err)
	}
	now := at(noon.Add(2*time.Minute), clock.Set)
	if s := again.Standing(now); len(s) != 1 || s[0].Level != 2 {
		t.Errorf("stands %+v", s)
	}
	for what, b := range map[string][]byte{"of before": sealed(t, evacuate, key, noon), "since": early} {
		if r := again.Take(b, now, time.Time{}); r.Outcome != Again {
			t.Errorf("%s: %v", what, r.Outcome)
		}
	}
}

// Two memories of one box joined know what either has heard, and what stands by it.
func TestOfTwoMemoriesJoinedNothingIsHeardAgain(t *testing.T) {
	key := signer(t, trust.P256)
	early, late := sealed(t, evacuate, key, noon), sealed(t, evacuate, key, noon.Add(10*time.Minute))
	drill := evacuate
	drill.Drill, drill.Serial = true, 77
	test := sealed(t, drill, key, noon.Add(time.Minute))
	kept := func(bs ...[]byte) []byte {
		k := New(opts(key.Public()))
		for _, b := range bs {
			k.Take(b, at(noon.Add(10*time.Minute), clock.Set), time.Time{})
		}
		b, err := k.Kept()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	now := at(noon.Add(11*time.Minute), clock.Set)
	for what, x := range map[string][2][]byte{"one each": {kept(early), kept(late, test)}, "the other way": {kept(late, test), kept(early)}, "none": {kept(), kept(early, late, test)}} {
		b, err := Merge(x[0], x[1])
		if err != nil {
			t.Fatal(err)
		}
		again := New(opts(key.Public()))
		if err := again.Restore(b); err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{early, late, test} {
			if r := again.Take(b, now, time.Time{}); r.Outcome != Again {
				t.Errorf("%s: %v", what, r.Outcome)
			}
		}
		if s := again.Standing(now); len(s) != 1 || !s[0].Issued.Equal(noon.Add(10*time.Minute)) {
			t.Errorf("%s: stands %+v", what, s)
		}
	}
	// No more digests than Restore takes, the newest of them.
	var many [2]state
	for n := range many {
		h := &heardOf{Newest: noon.Add(time.Duration(n) * time.Hour)}
		for d := range digestsMost {
			h.Digests = append(h.Digests, []byte{byte(n), byte(d)})
		}
		many[n] = state{Version: 1, Stations: map[uint16]*heardOf{12: h}}
	}
	own, _ := json.Marshal(many[1])
	other, _ := json.Marshal(many[0])
	b, err := Merge(own, other)
	var s state
	if err != nil || json.Unmarshal(b, &s) != nil || len(s.Stations[12].Digests) != digestsMost || s.Stations[12].Digests[0][0] != 1 {
		t.Errorf("%v: %s", err, b)
	}
	for what, b := range map[string][]byte{"damaged": []byte("{"), "another version": []byte(`{"version":2}`), "endless": make([]byte, keptMost+1)} {
		if _, err := Merge(own, b); err == nil {
			t.Errorf("%s is joined", what)
		}
	}
}

func TestWhatIsNotBelieved(t *testing.T) {
	key, other := signer(t, trust.P256), signer(t, trust.P256)
	b := sealed(t, evacuate, key, noon)
	stranger, own := evacuate, evacuate
	stranger.Station, own.Station = 13, 17
	drill, none := evacuate, evacuate
	drill.Drill, none.Hazard = true, 200
	for name, c := range map[string]struct {
		b     []byte
		when  time.Time
		trust clock.Trust
		floor time.Time
		want  Outcome
	}{
		"another's key":                        {sealed(t, evacuate, other, noon), noon, clock.Set, time.Time{}, Unsigned},
		"a station that nobody named":          {sealed(t, stranger, key, noon), noon, clock.Set, time.Time{}, Unknown},
		"this box's own, back by a relay":      {sealed(t, own, key, noon), noon, clock.Set, time.Time{}, Own},
		"an exercise":                          {sealed(t, drill, key, noon), noon, clock.Set, time.Time{}, Drill},
		"a hazard that does nothing here":      {sealed(t, none, key, noon), noon, clock.Set, time.Time{}, Heard},
		"its end is over":                      {b, noon.Add(161 * time.Minute), clock.Set, time.Time{}, Old},
		"a week later, when its bits fit":      {b, noon.AddDate(0, 0, 8), clock.Set, time.Time{}, Unsigned},
		"far ahead":                            {b, noon.Add(-11 * time.Minute), clock.Set, time.Time{}, Old},
		"little ahead":                         {b, noon.Add(-9 * time.Minute), clock.Set, time.Time{}, Raised},
		"a clock that nobody set":              {b, time.Unix(0, 0), clock.Free, noon.AddDate(0, -3, 0), Raised},
		"before the floor of such a clock":     {b, time.Unix(0, 0), clock.Free, noon.Add(3 * time.Hour), Old},
		"beyond the days that are tried":       {b, time.Unix(0, 0), clock.Free, noon.AddDate(-3, 0, 0), Unsigned},
		"a clock ten years behind that lies":   {b, noon.AddDate(-10, 0, 0), clock.Set, time.Time{}, Unsigned},
		"a truncated one":                      {b[:Size-1], noon, clock.Set, time.Time{}, NoForm},
		"one with something where zeros stand": {append(append([]byte{}, b[:13]...), append([]byte{1}, b[14:]...)...), noon, clock.Set, time.Time{}, NoForm},
	} {
		r := New(opts(key.Public())).Take(c.b, at(c.when, c.trust), c.floor)
		if r.Outcome != c.want {
			t.Errorf("%s: %v, want %v", name, r.Outcome, c.want)
		}
		if r.Relay && (r.Outcome == Unknown || r.Outcome == Unsigned || r.Outcome == Own || r.Outcome == Old || r.Outcome == NoForm) {
			t.Errorf("%s: passed on", name)
		}
	}
}

func TestAnOldRecordingIsNotBelievedByABoxWithoutATrustedClock(t *testing.T) {
	key := signer(t, trust.P256)
	k := New(opts(key.Public()))
	now := at(time.Unix(0, 0), clock.Free)
	floor := noon.AddDate(0, -1, 0)
	if r := k.Take(sealed(t, evacuate, key, noon), now, floor); r.Outcome != Raised {
		t.Fatalf("%+v", r)
	}
	old := evacuate
	old.Serial = 1
	if r := k.Take(sealed(t, old, key, noon.Add(-3*time.Hour)), now, floor); r.Outcome != Old {
		t.Errorf("%+v", r)
	}
	if r := k.Take(sealed(t, old, key, noon.Add(-time.Hour)), now, floor); r.Outcome != Raised {
		t.Errorf("out of order by an hour: %+v", r)
	}
}

func TestNoFlippedBitIsBelieved(t *testing.T) {
	key := signer(t, trust.Ed25519)
	b := sealed(t, evacuate, key, noon)
	k := New(opts(key.Public()))
	for bit := range len(b) * 8 {
		x := append([]byte{}, b...)
		x[bit/8] ^= 1 << (bit % 8)
		if r := k.Take(x, at(noon, clock.Set), time.Time{}); r.Outcome == Raised || r.Outcome == Heard || r.Outcome == Drill || r.Relay {
			t.Fatalf("bit %d: %+v", bit, r)
		}
	}
}

func TestNeitherALoopNorAStationGoneMadFillsTheAir(t *testing.T) {
	key, key2 := signer(t, trust.P256), signer(t, trust.P256)
	o := opts(key.Public())
	for n := range uint16(4) {
		o.Upstream = append(o.Upstream, Upstream{Number: 100 + n, Key: key2.Public()})
	}
	k := New(o)
	passed := map[uint16]int{}
	say := func(station uint16, key *trust.PrivateKey, serial int, after time.Duration) {
		m := Message{Station: station, Serial: uint8(serial), Hazard: 1, Rank: 1, Lasts: 63}
		b := sealed(t, m, key, noon.Add(after))
		for range 3 { // as often as neighbours repeat it
			if k.Take(b, at(noon.Add(after), clock.Set), time.Time{}).Relay {
				passed[station]++
			}
		}
	}
	for i := range 40 {
		say(12, key, i, time.Duration(i)*time.Minute)
		for n := range uint16(4) {
			say(100+n, key2, i, time.Duration(i)*time.Minute)
		}
	}
	all := 0
	for n, c := range passed {
		if all += c; c > relayHour {
			t.Errorf("of station %d %d were passed on in an hour", n, c)
		}
	}
	if all != relayAllHour {
		t.Errorf("%d were passed on in an hour", all)
	}
	say(12, key, 99, 2*time.Hour)
	if passed[12] == 0 {
		t.Error("nothing is passed on after the hour")
	}
}

func TestTheBytes(t *testing.T) {
	m := Message{Drill: true, Station: 0xABCD, DayBits: 5, Minute: 1234, Serial: 0x5A, Hazard: 3, Rank: 2, Lasts: 33}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	// 0001 1111 | ABCD | 101 10011010010 01011010 00000011 0010 100001 | zeros
	want := []byte{0x1F, 0xAB, 0xCD, 0b10110011, 0b01001001, 0b01101000, 0b00001100, 0b10100001, 0, 0, 0, 0, 0, 0}
	if string(b) != string(want) {
		t.Errorf("%08b, want %08b", b, want)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		m := Message{r.IntN(2) == 1, uint16(1 + r.IntN(65535)), uint8(r.IntN(8)), uint16(r.IntN(1440)), uint8(r.IntN(256)), uint8(r.IntN(256)), uint8(1 + r.IntN(15)), uint8(1 + r.IntN(63))}
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Unpack(b); err != nil || got != m {
			t.Fatalf("%+v came back as %+v, %v", m, got, err)
		}
	}
}

func TestDamagedMemoryIsNotBelieved(t *testing.T) {
	key := signer(t, trust.P256)
	for _, s := range []string{"", "{}", `{"version":2}`, `{"version":1,"stands":[{"number":12,"hazard":1,"rank":2,"for":-5}]}`, `{"version":1,"stations":{"12":null}}`} {
		k := New(opts(key.Public()))
		_ = k.Restore([]byte(s))
		if got := k.Standing(at(noon, clock.Set)); len(got) != 0 {
			t.Errorf("%q: %+v", s, got)
		}
		if r := k.Take(sealed(t, evacuate, key, noon), at(noon, clock.Set), time.Time{}); r.Outcome != Raised {
			t.Errorf("%q: %+v", s, r)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte{0x1F, 0xAB, 0xCD, 0b10110011, 0b01001001, 0b01101000, 0b00001100, 0b10100001, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0x10, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Unpack(b)
		if err != nil {
			return
		}
		back, err := m.Pack()
		if err != nil || string(back) != string(b) {
			t.Errorf("%x is written %x, %v", b, back, err)
		}
	})
}

func FuzzRestore(f *testing.F) {
	f.Add([]byte(`{"version":1,"stations":{"12":{"newest":"2026-06-07T22:40:00Z","digests":["AAAA"]}},"stands":[{"number":12,"hazard":1,"rank":2,"for":60000000000}]}`))
	key := signer(f, trust.P256)
	f.Fuzz(func(t *testing.T, b []byte) {
		k := New(opts(key.Public()))
		_ = k.Restore(b)
		for _, s := range k.Standing(at(noon, clock.Set)) {
			if s.Level == point.Calm || s.Hazard != "flood" {
				t.Errorf("%+v", s)
			}
		}
	})
}
