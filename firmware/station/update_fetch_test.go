package station

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/trust"
	"tocsin/firmware/update"
	"tocsin/firmware/update/pack"
	"tocsin/firmware/update/slots"
)

// memoryDisk is a partition in memory.
type memoryDisk struct{ b []byte }

func (m *memoryDisk) ReadAt(p []byte, at int64) (int, error) {
	return bytes.NewReader(m.b).ReadAt(p, at)
}
func (m *memoryDisk) WriteAt(p []byte, at int64) (int, error) { return copy(m.b[at:], p), nil }
func (m *memoryDisk) Sync() error                             { return nil }
func (m *memoryDisk) Size() int64                             { return int64(len(m.b)) }

// thinShop is a county that offers one package by a link that can break.
type thinShop struct {
	file  []byte
	offer letter.ReleaseOffer
	asked letter.ReleaseAsk
	sent  int
	part  func(n int) error
}

func (s *thinShop) Up() bool { return true }

func (s *thinShop) Software(_ context.Context, a letter.ReleaseAsk) (letter.ReleaseOffer, error) {
	s.asked = a
	if a.Number >= s.offer.Number || a.Next == s.offer.Number || a.Bad == s.offer.Number {
		return letter.ReleaseOffer{}, nil
	}
	return s.offer, nil
}

func (s *thinShop) Part(_ context.Context, p letter.ReleasePart) ([]byte, error) {
	if err := s.part(s.sent); err != nil {
		return nil, err
	}
	b := s.file[p.At:min(len(s.file), int(p.At)+p.Long)]
	s.sent += len(b)
	return b, nil
}

func TestSoftwareFromTheCountyGoesOnWhereItBrokeOff(t *testing.T) {
	h := modelHouse(t, t.TempDir())
	h.build()
	<-h.journal.Loaded()
	key, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	image := func(seed byte) []byte {
		b := make([]byte, 4<<20)
		state := uint32(seed) + 1
		for i := range b {
			state = state*1664525 + 1013904223
			b[i] = byte(state >> 24)
		}
		return b
	}
	packed := func(number uint64, img []byte) ([]byte, *pack.Header) {
		var w bytes.Buffer
		header, err := pack.Write(&w, update.Release{Version: "1.x", Number: number, Hardware: []string{"pi"}}, img, nil, key)
		if err != nil {
			t.Fatal(err)
		}
		return w.Bytes(), header
	}
	a, b, env := &memoryDisk{make([]byte, 8<<20)}, &memoryDisk{make([]byte, 8<<20)}, &memoryDisk{make([]byte, 4<<20)}
	copy(a.b, image(1))
	_, running := packed(12, image(1))
	if err := slots.Seal(a, running); err != nil {
		t.Fatal(err)
	}
	open := func() *slots.Installer {
		i, err := slots.Open(slots.Opts{Selector: slots.Environment{Disk: env, At: slots.Standard}, Slots: map[string]slots.Slot{"A": a, "B": b}, Running: "A", Hardware: "pi", Write: func(use func(slots.Partition) error) error { return use(b) },
			Rule: pack.Rule{Keys: []crypto.PublicKey{key.Public()}, Need: []trust.Kind{trust.Ed25519}}, Now: h.clock.Now, Reboot: func(string) error { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	file, _ := packed(13, image(2))
	s := &thinShop{file: file, offer: letter.ReleaseOffer{Name: hex.EncodeToString(make([]byte, 32)), Release: "1.x", Number: 13, Size: int64(len(file))}}
	h.bp.Rows = &courier.Rules{Links: map[string]courier.LinkRule{"fibre": {Wide: true, Free: true}, "4g": {Wide: true, Metered: true}, "beidou": {}}}
	h.show()
	for _, dear := range []string{"4g", "beidou"} {
		h.updates.shops.Store(dear, s)
	}
	if h.openShop() != nil {
		t.Fatal("software goes by a link that costs")
	}
	h.updates.shops.Store("fibre", s)
	may := func() bool { return true }
	// The power goes after more than half of it.
	ctx, cut := context.WithCancel(t.Context())
	s.part = func(sent int) error {
		if sent > 5<<19 {
			cut()
			return errors.New("cut")
		}
		return nil
	}
	i := open()
	if err := h.fetchFrom(ctx, h.openShop(), i, i, may); err == nil || i.State().Phase != update.Idle {
		t.Fatalf("%v %+v", err, i.State())
	}
	if sum := sha256.Sum256(image(1)); s.asked.Base != hex.EncodeToString(sum[:]) || s.asked.Hardware != "pi" || s.asked.Number != 12 {
		t.Fatalf("the county was told %+v", s.asked)
	}
	first := s.sent
	if c := h.viewComing(); c != nil {
		t.Errorf("it broke off, and is still told: %+v", c)
	}
	s.part = func(sent int) error {
		c := h.viewComing()
		if c == nil || c.Of != int64(len(file)) || c.Got != int64(sent-first) || !strings.Contains(c.By, "county") {
			t.Errorf("after %d bytes the page is told %+v", sent-first, c)
		}
		return nil
	}
	i = open()
	if err := h.fetchFrom(t.Context(), h.openShop(), i, i, may); err != nil {
		t.Fatal(err)
	}
	s.part = func(int) error { return nil }
	if st := i.State(); st.Phase != update.Staged || st.Next.Number != 13 {
		t.Fatalf("%+v", st)
	}
	if again := s.sent - first; again > len(file)-2<<20+64<<10 {
		t.Errorf("%d of %d bytes came a second time", s.sent-len(file), len(file))
	}
	if told := h.updates.told.Load(); told == nil || told.Outcome != "staged" || told.Number != 13 {
		t.Errorf("%+v", told)
	}
	// What is staged is not fetched again, nor what is none for this box.
	before := s.sent
	if err := h.fetchFrom(t.Context(), h.openShop(), i, i, may); err != nil || s.sent != before {
		t.Error(err, s.sent-before)
	}
	other, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	key = other
	forged, _ := packed(14, image(3))
	s.file, s.offer = forged, letter.ReleaseOffer{Name: s.offer.Name, Release: "1.y", Number: 14, Size: int64(len(forged))}
	for range 2 {
		if err := h.fetchFrom(t.Context(), h.openShop(), i, i, may); err != nil {
			t.Fatal(err)
		}
	}
	if told := h.updates.told.Load(); told.Outcome != "refused" || told.Number != 14 {
		t.Errorf("%+v", told)
	}
	if s.sent-before > 64<<10 || i.State().Next.Number != 13 {
		t.Errorf("a forged release cost %d bytes of the link", s.sent-before)
	}
}

func TestSoftwareWaitsForWhatIsUrgent(t *testing.T) {
	for class, want := range map[string]bool{"warning": true, "command": true, "receipt": true, "alarm": true, "telemetry": false, "bulk": false} {
		st := courier.Status{Classes: []courier.ClassStatus{{Class: class, Waiting: 1}, {Class: "alarm"}}}
		if urgentWaits(st) != want {
			t.Error(class)
		}
	}
	h := modelHouse(t, t.TempDir())
	h.build()
	h.show()
	h.shown.worst = 1
	if h.mayFetch() || phrase.Of(h.barred()).Code != "update.level" {
		t.Error("fetched while a level stands")
	}
}
