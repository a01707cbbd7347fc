package letter

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

func key(t testing.TB, seed byte) *Key {
	t.Helper()
	k, err := NewKey(bytes.Repeat([]byte{seed}, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sample() []Datagram {
	return []Datagram{
		{Kind: KindLetter, Counter: 7, Letter: Letter{ID: "a-1_Z", Class: Alarm, Body: []byte("river 103.2")}},
		{Kind: KindAnswer, Counter: 1 << 40, Of: 7, Word: Later},
		{Kind: KindProbe, Counter: 9},
		{Kind: KindEcho, Counter: counterMost, Of: 0xBEEF},
	}
}

func TestADatagramOpensAsItWasSealedAndOnlyByItsKeyAndDirection(t *testing.T) {
	k, other := key(t, 1), key(t, 2)
	for _, g := range sample() {
		b, err := k.Seal(FromStation, &g)
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.Open(FromStation, b)
		if err != nil {
			t.Fatal(err)
		}
		if got.Kind != g.Kind || got.Counter != g.Counter || got.Of != g.Of || got.Word != g.Word || got.Letter.ID != g.Letter.ID || got.Letter.Class != g.Letter.Class || !bytes.Equal(got.Letter.Body, g.Letter.Body) {
			t.Errorf("%+v came back as %+v", g, got)
		}
		if _, err := k.Open(FromHub, b); !errors.Is(err, ErrForeign) {
			t.Errorf("kind %d opened as the other direction: %v", g.Kind, err)
		}
		if _, err := other.Open(FromStation, b); !errors.Is(err, ErrForeign) {
			t.Errorf("kind %d opened by another's key: %v", g.Kind, err)
		}
	}
}

func TestNoChangedOrCutDatagramOpens(t *testing.T) {
	k := key(t, 1)
	for _, g := range sample() {
		b, err := k.Seal(FromHub, &g)
		if err != nil {
			t.Fatal(err)
		}
		for i := range b {
			for bit := range 8 {
				c := bytes.Clone(b)
				c[i] ^= 1 << bit
				if _, err := k.Open(FromHub, c); err == nil {
					t.Fatalf("kind %d opened with bit %d of byte %d changed", g.Kind, bit, i)
				}
			}
			if _, err := k.Open(FromHub, b[:i]); err == nil {
				t.Fatalf("kind %d opened when cut to %d", g.Kind, i)
			}
		}
		if _, err := k.Open(FromHub, append(bytes.Clone(b), 0)); err == nil {
			t.Fatal("opened with a byte more")
		}
	}
}

func TestProbesAreSmallEnoughForADaysBudget(t *testing.T) {
	k := key(t, 1)
	const ip = 28
	probe, _ := k.Seal(FromStation, &Datagram{Kind: KindProbe, Counter: 1})
	echo, _ := k.Seal(FromHub, &Datagram{Kind: KindEcho, Counter: 1})
	if day := (len(probe) + len(echo) + 2*ip) * 86400 / 100; day > 102_400 {
		t.Errorf("a probe and its echo each 100 s cost %d bytes a day", day)
	}
}

func TestWhatDoesNotFitIsRefusedNotCut(t *testing.T) {
	k := key(t, 1)
	for name, l := range map[string]Letter{
		"too large for a datagram": {ID: "a", Body: make([]byte, DatagramMost)},
		"empty":                    {ID: "a"},
		"no id":                    {Body: []byte{1}},
		"an id with a dot":         {ID: "a.b", Body: []byte{1}},
		"an id too long":           {ID: string(bytes.Repeat([]byte{'a'}, IDMost+1)), Body: []byte{1}},
		"an unknown class":         {ID: "a", Class: classes, Body: []byte{1}},
	} {
		if _, err := k.Seal(FromStation, &Datagram{Kind: KindLetter, Counter: 1, Letter: l}); err == nil {
			t.Errorf("%s was sealed", name)
		}
	}
	if _, err := k.Seal(FromStation, &Datagram{Kind: KindProbe}); err == nil {
		t.Error("counter 0 was sealed")
	}
}

// TestAWindowAcceptsEachCounterOnce holds the window against a plain set.
func TestAWindowAcceptsEachCounterOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var w Window
	seen := map[uint64]bool{}
	at, newest := uint64(300), uint64(0)
	for range 200_000 {
		switch r.IntN(20) {
		case 0:
			at += uint64(r.IntN(600))
		case 1:
			w2, ok := ReadWindow(w.Bytes())
			if !ok || w2 != w {
				t.Fatal("a kept window came back otherwise")
			}
			w = w2
		default:
			at++
		}
		c := at - uint64(r.IntN(300))
		want := !seen[c] && (c > newest || newest-c < windowBits)
		if got := w.Accept(c); got != want {
			t.Fatalf("counter %d with newest %d: %v, want %v", c, newest, got, want)
		}
		seen[c] = true
		newest = max(newest, c)
	}
}

// TestJoinedWindowsHaveSeenWhatEitherHas: joined they take what both would have taken, and nothing else.
func TestJoinedWindowsHaveSeenWhatEitherHas(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	takes := func(w Window, n uint64) bool { return w.Accept(n) }
	for range 200 {
		var a, b Window
		from := r.Uint64N(600)
		for range 100 {
			a.Accept(1 + r.Uint64N(400))
			b.Accept(from + 1 + r.Uint64N(400))
		}
		x, y := a, b
		x.Join(b)
		y.Join(a)
		if x != y {
			t.Fatal("the order matters")
		}
		for n := uint64(1); n < 1100; n++ {
			if takes(x, n) != (takes(a, n) && takes(b, n)) {
				t.Fatalf("%d: %v of %v and %v", n, takes(x, n), takes(a, n), takes(b, n))
			}
		}
	}
}

func TestADamagedWindowIsNotRead(t *testing.T) {
	var w Window
	w.Accept(77)
	b := w.Bytes()
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 4
		if _, ok := ReadWindow(c); ok {
			t.Fatalf("read with byte %d changed", i)
		}
	}
}

func TestSubjectsComeApartAsTheyWereMade(t *testing.T) {
	for _, s := range []Station{"330483105203", "330483105203-2b"} {
		if !s.Valid() {
			t.Fatal(s)
		}
		for _, want := range []struct {
			subject string
			is      Subject
		}{
			{s.Up(Alarm), Subject{Way: "up", Station: s, Class: Alarm}},
			{s.Down(Warning), Subject{Way: "down", Station: s}},
			{s.Kept("x-1"), Subject{Way: "up", Receipt: true, Station: s, ID: "x-1"}},
			{s.Taken("x-1"), Subject{Way: "down", Receipt: true, Station: s, ID: "x-1"}},
		} {
			if got, ok := ParseSubject(want.subject); !ok || got != want.is {
				t.Errorf("%s: %+v, %v", want.subject, got, ok)
			}
		}
	}
	for _, bad := range []string{"", "up", "up.33.330483.330483105203.9", "up.33.330484.330483105203.1", "up.33.330483.330483105203", "up.33.330483.*.1", "rcpt.33.330483.330483105203.up.a.b", "rcpt.33.330483.330483105203.up."} {
		if _, ok := ParseSubject(bad); ok {
			t.Errorf("%q was read", bad)
		}
	}
	for _, bad := range []Station{"", "33048310520", "33048310520x", "330483105203-", "330483105203-a.b", "330483105203-123456789"} {
		if bad.Valid() {
			t.Errorf("%q is valid", bad)
		}
	}
}

func TestOneIDWithAnotherBodyIsNotACopy(t *testing.T) {
	s := Station("330483105203")
	a, b := Letter{ID: "1", Body: []byte("a")}, Letter{ID: "1", Body: []byte("b")}
	if s.MessageID(&a) == s.MessageID(&b) {
		t.Error("JetStream would drop the second")
	}
}
