package main

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tocsin/cmd/hubd/releases"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/trust"
	"tocsin/firmware/update"
	"tocsin/firmware/update/pack"
)

func TestAStationFetchesOverItsOwnLinkWhatIsOfferedToItAlone(t *testing.T) {
	w := newWorld(t)
	h, _ := w.hub()
	key, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	img := make([]byte, 1<<20)
	rand.Read(img)
	var b bytes.Buffer
	if _, err := pack.Write(&b, update.Release{Version: "1.3", Number: 13, Hardware: []string{"pi"}}, img, nil, key); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "x.tocsin")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := releases.Open(filepath.Join(w.dir, "data", "releases"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(file); err != nil {
		t.Fatal(err)
	}
	if err := s.Give(releases.Offer{Number: 13, To: []string{string(upper)}}); err != nil {
		t.Fatal(err)
	}
	up, low := w.link(w.natsOpts(upper, h.engine.Addr().String())), w.link(w.natsOpts(lower, h.engine.Addr().String()))
	ask := letter.ReleaseAsk{Hardware: "pi", Running: "1.2", Number: 12}
	o, err := up.Software(within(5*time.Second), ask)
	if err != nil || o.Number != 13 || o.Size != int64(b.Len()) {
		t.Fatalf("%+v %v", o, err)
	}
	if o, err := low.Software(within(5*time.Second), ask); err != nil || o.Name != "" {
		t.Fatalf("another station is offered %+v, %v", o, err)
	}
	var got []byte
	for int64(len(got)) < o.Size {
		p, err := up.Part(within(5*time.Second), letter.ReleasePart{Name: o.Name, At: int64(len(got)), Long: letter.PartMost})
		if err != nil || len(p) == 0 {
			t.Fatal(len(got), err)
		}
		got = append(got, p...)
	}
	if !bytes.Equal(got, b.Bytes()) {
		t.Fatal("it is not what was put in")
	}
	if p, err := low.Part(within(5*time.Second), letter.ReleasePart{Name: o.Name, Long: 100}); err != nil || len(p) != 0 {
		t.Fatalf("another station fetched %d bytes, %v", len(p), err)
	}
}
