package releases

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/trust"
	"tocsin/firmware/update"
	"tocsin/firmware/update/pack"
)

// image is a board's: much of it zero, as real ones are.
func image(seed byte, n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n/2; i++ {
		b[i] = byte(i*int(seed)>>3) ^ byte(i>>8)
	}
	return b
}

func packed(t *testing.T, number uint64, img, base []byte) []byte {
	t.Helper()
	s, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	var w bytes.Buffer
	if _, err := pack.Write(&w, update.Release{Version: "1.x", Number: number, Hardware: []string{"pi"}}, img, base, s); err != nil {
		t.Fatal(err)
	}
	return w.Bytes()
}

func TestAStationGetsTheSmallestThatFitsAndOnlyWhatIsOfferedToIt(t *testing.T) {
	now := time.Unix(1e9, 0)
	dir := t.TempDir()
	s, err := Open(dir, func() time.Time { now = now.Add(time.Minute); return now })
	if err != nil {
		t.Fatal(err)
	}
	old, img := image(3, 3<<20), image(3, 3<<20)
	copy(img[5000:], "something new")
	add := func(b []byte) Release {
		t.Helper()
		f := filepath.Join(t.TempDir(), "x.tocsin")
		if err := os.WriteFile(f, b, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := s.Add(f)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	whole, delta := packed(t, 13, img, nil), packed(t, 13, img, old)
	w, d := add(whole), add(delta)
	sum := sha256.Sum256(old)
	base := hex.EncodeToString(sum[:])
	const here, there = letter.Station("330483105203"), letter.Station("330483105204")
	ask := letter.ReleaseAsk{Hardware: "pi", Running: "1.2", Number: 12}
	if o := s.For(here, ask); o.Name != "" {
		t.Fatalf("given without an offer: %+v", o)
	}
	if err := s.Give(Offer{Number: 13, To: []string{string(here)}}); err != nil {
		t.Fatal(err)
	}
	with := func(f func(*letter.ReleaseAsk)) letter.ReleaseAsk { a := ask; f(&a); return a }
	for name, c := range map[string]struct {
		to   letter.Station
		ask  letter.ReleaseAsk
		want string
	}{
		"whole":                   {here, ask, w.Name},
		"a delta where it fits":   {here, with(func(a *letter.ReleaseAsk) { a.Base = base }), d.Name},
		"another station":         {there, ask, ""},
		"another board":           {here, with(func(a *letter.ReleaseAsk) { a.Hardware = "armv7" }), ""},
		"it runs already":         {here, with(func(a *letter.ReleaseAsk) { a.Number = 13 }), ""},
		"it is staged already":    {here, with(func(a *letter.ReleaseAsk) { a.Next = 13 }), ""},
		"it did not stay":         {here, with(func(a *letter.ReleaseAsk) { a.Bad = 13 }), ""},
		"something newer is here": {here, with(func(a *letter.ReleaseAsk) { a.Number = 14 }), ""},
	} {
		if o := s.For(c.to, c.ask); o.Name != c.want {
			t.Errorf("%s: %+v", name, o)
		}
	}
	part := letter.ReleasePart{Name: d.Name, At: 100, Long: 1000}
	if b := s.Part(here, part); !bytes.Equal(b, delta[100:1100]) {
		t.Errorf("%d bytes", len(b))
	}
	if s.Part(there, part) != nil {
		t.Error("another station fetches it")
	}
	part.At = int64(len(delta)) - 10
	if b := s.Part(here, part); len(b) != 10 {
		t.Errorf("%d bytes at the end", len(b))
	}
	// A new process reads the same, and an offer that is taken back ends.
	again, err := Open(dir, func() time.Time { now = now.Add(time.Minute); return now })
	if err != nil {
		t.Fatal(err)
	}
	if all, offers := again.All(); len(all) != 2 || len(offers) != 1 {
		t.Errorf("%v %v", all, offers)
	}
	if err := again.Give(Offer{Number: 13}); err != nil {
		t.Fatal(err)
	}
	if o := s.For(here, ask); o.Name != "" {
		t.Errorf("given after it was taken back: %+v", o)
	}
}

func TestWhatIsNoPackageOrNotWholeIsNotTakenIn(t *testing.T) {
	s, err := Open(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	good := packed(t, 5, image(1, 1<<20), nil)
	for name, b := range map[string][]byte{"text": []byte("hello"), "cut": good[:len(good)-1], "more": append(bytes.Clone(good), 0)} {
		f := filepath.Join(t.TempDir(), "x.tocsin")
		if err := os.WriteFile(f, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Add(f); phrase.Of(err).Code != "hubd.release_bad" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if all, _ := s.All(); len(all) != 0 {
		t.Error(all)
	}
}
